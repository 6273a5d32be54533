"""Losses: their ranges, weights and safety; sums of them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_examples import PAIRS, PIXELS, every_pair, example, maps, value
from torch.nn import functional as F

from podium.errors import ConfigError, TrainingError
from podium.recipe import DEFAULT_TERMS, LossConfig
from podium.training.losses import KINDS, LOSSES, Kind, create_loss, fitting, register_loss

# ---------------------------------------------------------------------- what counts


@pytest.mark.parametrize(("name", "kind"), [p for p in PIXELS if p[0] != "boundary_bce"])  # it looks at neighbours
def test_what_does_not_count_changes_nothing(name: str, kind: Kind) -> None:
    logits, target = example(kind, size=(1, 8))
    wide = torch.cat([logits, torch.full_like(logits[..., :3], -7)], -1).requires_grad_()
    truth = torch.cat([target, torch.ones_like(target[..., :3])], -1)
    weight = torch.ones(truth.shape)
    weight[..., 8:] = 0
    loss = value(name, wide, truth, weight, kind)
    torch.testing.assert_close(loss, value(name, logits, target, None, kind))
    loss.sum().backward()
    assert not wide.grad[..., 8:].any()
    assert wide.grad[..., :8].any()


@pytest.mark.parametrize("name", fitting("labels"))
@pytest.mark.parametrize("ignored", [255, -1])
def test_ignored_labels_are_pixels_of_weight_0(name: str, ignored: int) -> None:
    logits, target = example("labels")
    weight = torch.ones(target.shape)
    weight[:, :2] = 0
    marked = target.masked_fill(weight == 0, ignored)
    expected = value(name, logits, target, weight, "labels")
    torch.testing.assert_close(value(name, logits, marked, None, "labels"), expected)
    torch.testing.assert_close(value(name, logits, marked.to(torch.int16), weight, "labels"), expected)


def test_label_255_is_a_class_where_there_are_more() -> None:
    logits = torch.zeros(2, 300)
    assert value("ce", logits, torch.tensor([255, -1]), kind="labels").tolist() == pytest.approx([math.log(300), 0])


def test_a_missing_number_does_not_count() -> None:
    y, t = torch.zeros(2, 2, requires_grad=True), torch.tensor([[1.0, math.nan], [math.nan, math.nan]])
    loss = value("mse", y, t, kind="values")
    assert loss.tolist() == [1, 0]
    loss.sum().backward()
    assert y.grad.tolist() == [[-2, 0], [0, 0]]


def test_other_weights_scale() -> None:
    logits, target = example("labels", size=())
    weight = torch.tensor([2.0, 0, 0.5])
    plain = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(value("ce", logits, target, weight, "labels"), plain * weight)


@pytest.mark.parametrize("pooled", [False, True])
def test_weights_of_samples(pooled: bool) -> None:
    logits, target = example("planes")
    loss = create_loss(LossConfig(terms={"dice": 1.0}, options={"dice": {"pooled": pooled}}))
    only_two = loss(logits, target, samples=torch.tensor([1.5, 1.5, 0]))[0]
    torch.testing.assert_close(only_two, loss(logits[:2], target[:2])[0], atol=2e-2 if pooled else 1e-6, rtol=0)
    bce = create_loss(LossConfig(terms={"bce": 1.0}))
    weighed = (value("bce", logits, target) * torch.tensor([0.5, 1, 3])).mean()
    torch.testing.assert_close(bce(logits, target, samples=torch.tensor([0.5, 1, 3]))[0], weighed)


# ---------------------------------------------------------------------- safety


@every_pair
def test_perfect_and_confident_costs_nothing(name: str, kind: Kind) -> None:
    _, target = example(kind, size=(16, 16))
    if kind == "values":
        logits = target
    else:
        planes = target if kind == "planes" else F.one_hot(target, 4).movedim(-1, 1)
        logits = 60.0 * (2 * planes - 1)
    torch.testing.assert_close(value(name, logits, target, None, kind), torch.zeros(3), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("name", "kind", "log"),
    [(n, k, log) for n, k in PAIRS for log in (False, True) if not log or "log" in LOSSES[n].options.model_fields],
)
@pytest.mark.parametrize("size", [1e4, 0.0])
@pytest.mark.parametrize("full", [0, 1])
@pytest.mark.parametrize("counts", [0.0, 1.0])
def test_finite_for_extreme_logits_and_empty_masks(
    name: str, kind: Kind, size: float, full: int, counts: float, log: bool
) -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(64)
    logits = (size * (signs.reshape(2, 64) if kind == "values" else signs.reshape(1, 2, 8, 8))).requires_grad_()
    shape = (1, 8, 8) if kind == "labels" else logits.shape
    target = torch.full(shape, full) if kind == "labels" else torch.full(shape, float(full))
    loss = value(
        name, logits, target, torch.full(shape, counts), kind, **({"log": True, "smooth": 1e-15} if log else {})
    )
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(logits.grad).all()
    if not counts:
        assert loss.abs().max() <= 1e-6
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
    highest = {"dice": 1.0, "tversky": 1.0, "jaccard": math.log(31), "lovasz": 1 + logits.abs().max().item()}
    values = {name: value(name, logits, target, weight) for name in fitting("planes")}
    for name, found in values.items():
        assert found.min() >= -1e-5, name
        assert found.max() <= highest.get(name, math.inf) * (1 + 1e-5), name
    assert (values["focal"] <= values["bce"] + 1e-6).all()
    if valid == 1:
        assert values["ohem"].mean() >= values["bce"].mean() * (1 - 1e-5)


@pytest.mark.parametrize(("name", "kind"), PIXELS)
@pytest.mark.parametrize("size", [(), (5,), (4, 5), (3, 4, 5)])
def test_any_number_of_trailing_dimensions(name: str, kind: Kind, size: tuple[int, ...]) -> None:
    logits, target = example(kind, size=size)
    if name == "boundary_bce" and len(size) != 2:
        with pytest.raises(TrainingError, match="masks"):
            value(name, logits, target)
        return
    assert value(name, logits.requires_grad_(), target, None, kind).shape == (3,)


@every_pair
def test_fp32_whatever_autocast_says(name: str, kind: Kind) -> None:
    logits, target = example(kind)
    loss = create_loss(LossConfig(terms={name: 1.0}), kind)
    with torch.autocast("cpu", torch.bfloat16):
        got = loss(logits.bfloat16(), target)[0]
    assert got.dtype == torch.float32
    assert torch.equal(got, loss(logits.bfloat16().float(), target)[0])


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"need planes of shape \(2, 1, 4, 4\), not \(2, 4, 4\)"):
        value("bce", torch.zeros(2, 1, 4, 4), torch.zeros(2, 4, 4))
    with pytest.raises(ValueError, match=r"need labels of shape \(2, 4, 4\)"):
        value("ce", torch.zeros(2, 3, 4, 4), torch.zeros(2, 1, 4), kind="labels")


# ---------------------------------------------------------------------- sums


def test_loss_is_the_weighted_sum_with_its_parts() -> None:
    logits, target = maps([1.0, -2, 0.5], [0.0, 1, -1]).requires_grad_(), maps([1.0, 0, 0], [0.0, 1, 1])
    config = LossConfig(terms={"bce": 0.7, "jaccard": 0.3}, options={"jaccard": {"pooled": True}})
    total, parts = create_loss(config)(logits, target)
    means = {
        "bce": value("bce", logits, target).mean().item(),
        "jaccard": value("jaccard", logits, target, pooled=True).mean().item(),
    }
    assert {name: part.item() for name, part in parts.items()} == pytest.approx(means)
    assert total.item() == pytest.approx(0.7 * means["bce"] + 0.3 * means["jaccard"])
    assert total.requires_grad
    assert not any(part.requires_grad for part in parts.values())


def test_the_loss_of_each_sample_is_kept() -> None:
    logits, target = example("planes")
    small = example("planes", 1, size=(3, 3))[0]
    loss = create_loss(LossConfig(terms={"bce": 0.7, "dice": 0.3}), "planes", [0.5])
    loss((logits.requires_grad_(), small), target)
    assert loss.each is not None
    assert not loss.each.requires_grad
    torch.testing.assert_close(loss.each, 0.7 * value("bce", logits, target) + 0.3 * value("dice", logits, target))


@pytest.mark.parametrize("kind", ["planes", "labels"])
def test_auxiliary_outputs_are_added_at_their_own_size(kind: Kind) -> None:
    logits, target = example(kind, size=(8, 8))
    small = example(kind, 1, size=(4, 4))[0]
    weight = torch.ones(target.shape)
    weight[..., :2, :] = 0
    config = LossConfig(terms=DEFAULT_TERMS[kind])
    main = create_loss(config, kind)
    total, parts = create_loss(config, kind, [0.4])((logits, small), target, weight)
    aux = main(small, target[..., 1::2, 1::2], weight[..., 1::2, 1::2])[0]
    torch.testing.assert_close(parts["auxiliary"], 0.4 * aux)
    torch.testing.assert_close(total, main(logits, target, weight)[0] + 0.4 * aux)
    with pytest.raises(TrainingError, match="1 auxiliary"):
        main((logits, small), target)


def test_a_recipe_may_weigh_the_auxiliary_outputs() -> None:
    config = LossConfig(auxiliary=[0.1, 0.2])
    assert create_loss(config, "planes", [1.0, 1.0]).auxiliary == (0.1, 0.2)
    assert create_loss(LossConfig(), "planes", [0.4]).auxiliary == (0.4,)
    with pytest.raises(ConfigError, match=r"loss\.auxiliary: 2 weights, and the network has 1"):
        create_loss(config, "planes", [0.4])


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_terms_fit(kind: Kind) -> None:
    create_loss(LossConfig(terms=DEFAULT_TERMS[kind]), kind)
    assert LossConfig().terms == DEFAULT_TERMS["planes"]


@pytest.mark.parametrize(
    ("settings", "kind", "told"),
    [
        ({"terms": {"dise": 1.0}}, "planes", r"loss\.terms\.dise(.|\n)*bce, focal, (.|\n)*'dice'"),
        ({"terms": {"bce": 1.0, "dice": 0.0}}, "planes", r"loss\.terms\.dice: the weight is 0"),
        ({"terms": {"bce": -1.0}}, "planes", r"loss\.terms\.bce"),
        ({"terms": {"ce": 1.0}}, "planes", r"'ce' is for one class of .*; .* here is masks(.|\n)*one of: bce"),
        ({"terms": {"mae": 1.0}}, "labels", r"'mae' is for numbers(.|\n)*one of: ce(.|\n)*loss\.terms=\{ce=1\.0, dice"),
        ({"options": {"dice": {"smoth": 1}}}, "planes", r"loss\.options\.dice: unknown key 'smoth'(.|\n)*'smooth'"),
        ({"options": {"dice": {"smooth": 0}}}, "planes", r"loss\.options\.dice: 'smooth' is 0(.|\n)*greater than 0"),
        ({"options": {"dice": {"background": False}}}, "planes", "'background' is for one class of several"),
        ({"options": {"lovasz": {"pooled": True}}}, "planes", r"'lovasz', which is not in loss\.terms"),
    ],
)
def test_what_does_not_fit_is_refused(settings: dict[str, Any], kind: Kind, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        create_loss(LossConfig.from_tree(settings), kind)


def test_a_loss_of_ones_own_has_options_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.training.losses.registry.LOSSES", LOSSES)

    @register_loss("scaled", kinds=("planes",))
    def scaled(case: Any, *, by: float = 2.0) -> Any:
        return by * case.mean(case.entropy)

    try:
        logits, target = example("planes")
        config = LossConfig(terms={"scaled": 1.0}, options={"scaled": {"by": 3}})
        torch.testing.assert_close(create_loss(config)(logits, target)[0], 3 * value("bce", logits, target).mean())
    finally:
        del LOSSES["scaled"]
