"""Losses against numbers worked by hand or with plain numpy, their ranges and their safety."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from podium.errors import ConfigError
from podium.recipe import LossConfig
from podium.training.losses import LOSSES, create_loss

every_loss = pytest.mark.parametrize("name", LOSSES)


def maps(*rows: list[float]) -> Tensor:
    """One-row images, (N, 1, 1, W)."""
    return torch.tensor(rows)[:, None, None, :]


def by_hand(name: str, logits: np.ndarray, target: np.ndarray) -> float:
    """The formulas, written out for one flat sample in float64."""
    p = 1 / (1 + np.exp(-logits))
    right = np.where(target == 1, p, 1 - p)
    overlap, total = (p * target).sum(), p.sum() + target.sum()
    if name == "lovasz":
        return lovasz_by_hand(logits, target)
    return {
        "bce": -np.log(right).mean(),
        "focal": (-((1 - right) ** 2) * np.log(right)).mean(),
        "dice": 1 - (2 * overlap + 1) / (total + 1),
        "jaccard": -np.log((overlap + 1) / (total - overlap + 1)),
    }[name]


def lovasz_by_hand(logits: np.ndarray, target: np.ndarray) -> float:
    """Sum over sorted errors of the growth of the Jaccard loss of the set of wrong pixels (Berman et al., eq. 9)."""
    errors = 1 - logits * (2 * target - 1)
    wrong = np.zeros(len(target), bool)
    total, before = 0.0, 0.0
    for i in np.argsort(-errors, kind="stable"):
        wrong[i] = True
        predicted = np.where(wrong, 1 - target, target).astype(bool)
        union = (predicted | (target == 1)).sum()
        after = 1 - (predicted & (target == 1)).sum() / union if union else 0.0
        total += max(errors[i], 0) * (after - before)
        before = after
    return total


@every_loss
@pytest.mark.parametrize("seed", range(4))
def test_against_the_formula(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    logits, target = rng.normal(0, 2, (3, 1, 6, 7)), (rng.random((3, 1, 6, 7)) < 0.3).astype(float)
    got = LOSSES[name](torch.tensor(logits), torch.tensor(target), None)
    assert got.shape == (3,)
    assert got.dtype == torch.float32
    expected = [by_hand(name, x.ravel(), y.ravel()) for x, y in zip(logits, target, strict=True)]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bce", math.log(2)),
        ("focal", math.log(2) / 4),
        ("dice", 1 - 3 / 5),  # p = .5: overlap 1, areas 2 and 2
        ("jaccard", math.log(2)),  # (1 + 1) / (3 + 1)
        ("lovasz", 1.0),  # every hinge error is 1, and the increments sum to 1
    ],
)
def test_worked_by_hand_at_logit_zero(name: str, expected: float) -> None:
    assert LOSSES[name](maps([0.0] * 4), maps([1.0, 1, 0, 0]), None).item() == pytest.approx(expected)


@every_loss
def test_perfect_and_confident_costs_nothing(name: str) -> None:
    target = maps([1.0, 0, 1, 0], [0.0, 0, 0, 0])
    assert LOSSES[name](40 * (2 * target - 1), target, None).tolist() == pytest.approx([0, 0], abs=1e-6)


@every_loss
def test_a_pixel_that_does_not_count_changes_nothing(name: str) -> None:
    logits, target = maps([1.0, -2, 0.5, 3]), maps([1.0, 0, 0, 1])
    padded = torch.cat([logits, torch.tensor(-7.0).expand(1, 1, 1, 3)], dim=-1).requires_grad_()
    truth = torch.cat([target, torch.ones(1, 1, 1, 3)], dim=-1)
    weight = torch.tensor([1.0, 1, 1, 1, 0, 0, 0]).expand(1, 1, 1, 7)
    loss = LOSSES[name](padded, truth, weight)
    assert loss.item() == pytest.approx(LOSSES[name](logits, target, None).item(), rel=1e-6)
    loss.sum().backward()
    assert not padded.grad[..., 4:].any()


@every_loss
@pytest.mark.parametrize("size", [1e4, 0.0])
@pytest.mark.parametrize("truth", [0.0, 1.0])
@pytest.mark.parametrize("counts", [0.0, 1.0])
def test_finite_for_extreme_logits_and_empty_masks(name: str, size: float, truth: float, counts: float) -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(32).reshape(1, 1, 8, 8)
    logits = (size * signs).requires_grad_()
    loss = LOSSES[name](logits, torch.full((1, 1, 8, 8), truth), torch.full((1, 1, 8, 8), counts))
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()
    if not counts:
        assert loss.item() == 0
        assert not logits.grad.any()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    scale=st.sampled_from([0.1, 1, 10, 1e4]),
    share=st.sampled_from([0.0, 0.02, 0.5, 1.0]),
    valid=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_every_loss_stays_in_its_range(seed: int, scale: float, share: float, valid: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(2, 1, 5, 6, generator=rng)
    target = (torch.rand(2, 1, 5, 6, generator=rng) < share).float()
    weight = (torch.rand(2, 1, 5, 6, generator=rng) < valid).float()
    highest = {"dice": 1.0, "jaccard": math.log(31), "lovasz": 1 + logits.abs().max().item()}
    values = {name: loss(logits, target, weight) for name, loss in LOSSES.items()}
    for name, value in values.items():
        assert value.min() >= -1e-5, name
        assert value.max() <= highest.get(name, math.inf) * (1 + 1e-5), name
    assert (values["focal"] <= values["bce"] + 1e-6).all()


@every_loss
def test_fp32_whatever_autocast_says(name: str) -> None:
    logits = torch.randn(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    target = torch.zeros(2, 1, 64, 64, dtype=torch.uint8)
    target[:, :, :20] = 1
    with torch.autocast("cpu", torch.bfloat16):
        loss = LOSSES[name](logits, target, None)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, LOSSES[name](logits.float(), target.float(), None))


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="shape"):
        LOSSES["bce"](torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4), None)


def test_loss_is_the_weighted_sum_with_its_parts() -> None:
    logits, target = maps([1.0, -2, 0.5], [0.0, 1, -1]).requires_grad_(), maps([1.0, 0, 0], [0.0, 1, 1])
    total, parts = create_loss(LossConfig(terms={"bce": 0.7, "jaccard": 0.3}))(logits, target)
    means = {name: LOSSES[name](logits, target, None).mean().item() for name in ("bce", "jaccard")}
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(means)
    assert total.item() == pytest.approx(0.7 * means["bce"] + 0.3 * means["jaccard"])
    assert total.requires_grad
    assert not any(part.requires_grad for part in parts.values())


def test_an_unknown_loss_lists_the_names() -> None:
    with pytest.raises(ConfigError, match=r"loss\.terms\.dise(.|\n)*bce, dice, jaccard, focal, lovasz(.|\n)*'dice'"):
        create_loss(LossConfig(terms={"dise": 1.0}))


@pytest.mark.parametrize("share", [0.0, -1.0])
def test_a_weight_must_be_above_zero(share: float) -> None:
    with pytest.raises(ConfigError, match=r"loss\.terms\.dice"):
        create_loss(LossConfig(terms={"bce": 1.0, "dice": share}))
