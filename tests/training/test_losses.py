"""Losses against plain formulas, torch and segmentation_models_pytorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from loss_examples import example, maps, value
from segmentation_models_pytorch.losses.lovasz import _lovasz_hinge, _lovasz_softmax
from torch.nn import functional as F

from podium.errors import TrainingError
from podium.training.losses import LOSSES, fitting
from podium.training.losses.entropy import boundary_kernel, near_boundary

# ---------------------------------------------------------------------- formulas


def lovasz_by_hand(errors: np.ndarray, target: np.ndarray) -> float:
    """Sum over sorted errors of the growth of the Jaccard loss of the set of wrong pixels (Berman et al., eq. 9)."""
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


def of_plane(name: str, logits: np.ndarray, t: np.ndarray) -> float:
    """The formulas, written out for one flat plane in float64."""
    p = 1 / (1 + np.exp(-logits))
    right = np.where(t == 1, p, 1 - p)
    overlap, total = (p * t).sum(), p.sum() + t.sum()
    if name == "lovasz":
        return lovasz_by_hand(1 - logits * (2 * t - 1), t)
    if name == "ohem":
        return float(np.sort(-np.log(right))[::-1][: math.ceil(0.25 * len(t))].mean())
    return {
        "bce": -np.log(right).mean(),
        "focal": (-((1 - right) ** 2) * np.log(right)).mean(),
        "dice": 1 - (2 * overlap + 1) / (total + 1),
        "jaccard": -np.log((overlap + 1) / (total - overlap + 1)),
        "tversky": 1 - (overlap + 1) / (overlap + 0.3 * (p * (1 - t)).sum() + 0.7 * ((1 - p) * t).sum() + 1),
    }[name]


@pytest.mark.parametrize("name", [n for n in fitting("planes") if n != "boundary_bce"])
@pytest.mark.parametrize("seed", range(3))
def test_planes_against_the_formula(name: str, seed: int) -> None:
    logits, target = example("planes", seed, classes=1)
    got = value(name, logits, target, **({"pooled": False} if name == "ohem" else {}))
    assert got.shape == (3,)
    expected = [
        of_plane(name, x.ravel(), y.ravel()) for x, y in zip(logits.double().numpy(), target.numpy(), strict=True)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


@pytest.mark.parametrize("name", ["bce", "focal", "dice", "jaccard", "tversky", "lovasz"])
def test_several_planes_are_the_mean_over_them(name: str) -> None:
    logits, target = example("planes")
    alone = [value(name, logits[:, [c]], target[:, [c]]) for c in range(4)]
    torch.testing.assert_close(value(name, logits, target), torch.stack(alone).mean(0))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bce", math.log(2)),
        ("focal", math.log(2) / 4),
        ("dice", 1 - 3 / 5),  # p = .5: overlap 1, areas 2 and 2
        ("jaccard", math.log(2)),  # (1 + 1) / (3 + 1)
        ("tversky", 1 - 2 / 3),  # 1 false alarm, 1 miss: (1 + 1) / (1 + .3 + .7 + 1)
        ("lovasz", 1.0),  # every hinge error is 1, and the increments sum to 1
        ("ohem", math.log(2)),
    ],
)
def test_worked_by_hand_at_logit_zero(name: str, expected: float) -> None:
    assert value(name, maps([0.0] * 4), maps([1.0, 1, 0, 0])).item() == pytest.approx(expected)


def test_ce_against_torch() -> None:
    logits, target = example("labels")
    torch.testing.assert_close(value("ce", logits, target, kind="labels").mean(), F.cross_entropy(logits, target))
    smooth = value("ce", logits, target, kind="labels", smoothing=0.1).mean()
    torch.testing.assert_close(smooth, F.cross_entropy(logits, target, label_smoothing=0.1))
    weights = [0.5, 1.0, 2.0, 4.0]
    got = value("ce", logits, target, kind="labels", class_weights=weights).mean()
    torch.testing.assert_close(got, F.cross_entropy(logits, target, torch.tensor(weights)))
    soft = torch.softmax(example("planes", 5)[0], 1)
    torch.testing.assert_close(value("ce", logits, soft, kind="labels").mean(), F.cross_entropy(logits, soft))


def test_bce_against_torch_and_smp() -> None:
    logits, target = example("planes")
    weights = torch.tensor([0.5, 1, 2, 4])
    got = value("bce", logits, target, pos_weight=weights.tolist()).mean()
    pos = weights.view(-1, 1, 1)
    torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos))
    soft = smp.SoftBCEWithLogitsLoss(smooth_factor=0.1)(logits, target * 0.9 + 0.05)  # its own smoothing is another
    assert torch.isfinite(soft)
    got = value("bce", logits, target, smoothing=0.1).mean()
    torch.testing.assert_close(got, F.binary_cross_entropy_with_logits(logits, target * 0.9 + 0.05))


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(("name", "theirs"), [("dice", smp.DiceLoss), ("jaccard", smp.JaccardLoss)])
def test_pooled_areas_against_smp(name: str, theirs: Any, log: bool) -> None:
    """smp pools over the batch, counts only classes that the truth has, and adds its smoothing to both."""
    logits, target = example("planes")
    got = value(name, logits, target, pooled=True, log=log, smooth=1e-6, present=True).mean()
    torch.testing.assert_close(
        got, theirs("multilabel", log_loss=log, smooth=0.0)(logits, target), rtol=1e-4, atol=1e-5
    )
    logits, labels = example("labels")
    got = value(name, logits, labels, kind="labels", pooled=True, log=log, smooth=1e-6, present=True).mean()
    torch.testing.assert_close(
        got, theirs("multiclass", log_loss=log, smooth=0.0)(logits, labels), rtol=1e-4, atol=1e-5
    )


def test_tversky_focal_and_lovasz_against_smp() -> None:
    logits, target = example("planes", classes=1)
    theirs = smp.TverskyLoss("binary", alpha=0.2, beta=0.9, gamma=0.75, smooth=0.0)(logits, target)
    got = value("tversky", logits, target, pooled=True, alpha=0.2, beta=0.9, gamma=0.75, smooth=1e-6).mean()
    torch.testing.assert_close(got, theirs, rtol=1e-4, atol=1e-5)
    theirs = smp.FocalLoss("binary", alpha=0.25, gamma=1.5)(logits, target)
    torch.testing.assert_close(value("focal", logits, target, gamma=1.5, alpha=0.25).mean(), theirs)
    for per_image in (True, False):
        theirs = _lovasz_hinge(logits[:, 0], target[:, 0], per_image=per_image)
        torch.testing.assert_close(value("lovasz", logits, target, pooled=not per_image).mean(), theirs)
        many, labels = example("labels")
        theirs = _lovasz_softmax(many.softmax(1), labels, classes="present", per_image=per_image)
        torch.testing.assert_close(value("lovasz", many, labels, kind="labels", pooled=not per_image).mean(), theirs)


def test_focal_of_labels_with_gamma_0_is_ce() -> None:
    logits, target = example("labels")
    got = value("focal", logits, target, kind="labels", gamma=0)
    torch.testing.assert_close(got, value("ce", logits, target, kind="labels"))


def test_classes_background_and_squares() -> None:
    logits, target = example("labels")
    alone = {"pooled": False, "smooth": 1.0}
    chosen = value("dice", logits, target, kind="labels", classes=[1, 2, 3], **alone)
    torch.testing.assert_close(value("dice", logits, target, kind="labels", background=False, **alone), chosen)
    p, t = logits.softmax(1)[:, 2].flatten(1), (target == 2).float().flatten(1)
    expected = 1 - (2 * (p * t).sum(1) + 1) / (p.square().sum(1) + t.sum(1) + 1)
    torch.testing.assert_close(value("dice", logits, target, kind="labels", classes=[2], squared=True), expected)
    with pytest.raises(TrainingError, match=r"classes = \[4\], and the network has 4"):
        value("dice", logits, target, kind="labels", classes=[4])


def test_ohem_takes_the_top_share() -> None:
    logits, target = maps([0.0, 1, 2, 3], [4.0, 5, 6, 7]), torch.zeros(2, 1, 1, 4)
    softplus = F.softplus(torch.arange(8.0))
    assert value("ohem", logits, target, share=0.25).tolist() == pytest.approx([softplus[6:].mean().item()] * 2)
    each = value("ohem", logits, target, share=0.5, pooled=False).tolist()
    assert each == pytest.approx([softplus[2:4].mean().item(), softplus[6:].mean().item()])
    torch.testing.assert_close(value("ohem", logits, target, share=1.0).mean(), value("bce", logits, target).mean())
    weight = torch.tensor([1.0, 1, 1, 1, 1, 1, 0, 0]).view(2, 1, 1, 4)
    hard = value("ohem", logits, target, weight, share=0.25)  # 2 of the 6 that count
    assert hard.tolist() == pytest.approx([softplus[4:6].mean().item()] * 2)


def test_boundary_weights_as_the_winners_had_them() -> None:
    target = torch.zeros(2, 1, 128, 128)
    target[0, :, 30:90, 30:90] = 1
    logits = torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(0))
    mean = F.avg_pool2d(target, 11, 1, 5, count_include_pad=False)
    weight = 1 + 2 * ((mean >= 0.01) & (mean <= 0.99)).float()
    weight = weight * weight.numel() / weight.sum()
    expected = F.binary_cross_entropy_with_logits(logits, target, weight)
    torch.testing.assert_close(value("boundary_bce", logits, target).mean(), expected)
    torch.testing.assert_close(value("boundary_bce", logits, target, factor=1.0), value("bce", logits, target))
    assert [boundary_kernel(h) for h in (128, 256, 512, 1024, 1280)] == [11, 21, 21, 41, 51]
    assert all(boundary_kernel(h) % 2 for h in range(1, 2000))
    assert not near_boundary(torch.ones(1, 1, 40, 40), 11).any()  # the frame is no boundary


def test_regression_losses_against_torch_and_numpy() -> None:
    y, t = example("values")
    torch.testing.assert_close(value("mse", y, t, kind="values").mean(), F.mse_loss(y, t))
    torch.testing.assert_close(value("mae", y, t, kind="values").mean(), F.l1_loss(y, t))
    torch.testing.assert_close(value("huber", y, t, kind="values", delta=0.7).mean(), F.huber_loss(y, t, delta=0.7))
    q, e = np.array([0.1, 0.5, 0.9, 0.5]), (t - y).numpy()
    got = value("quantile", y, t, kind="values", q=q.tolist()).mean().item()
    assert got == pytest.approx(np.where(e > 0, q * e, (q - 1) * e).mean(), rel=1e-5)
    assert LOSSES["pinball"].function is LOSSES["quantile"].function
    with pytest.raises(TrainingError, match="2 quantiles for 4 targets"):
        value("quantile", y, t, kind="values", q=[0.1, 0.2])


def test_the_minimum_of_the_pinball_loss_is_the_quantile() -> None:
    sample = torch.randn(2001, 1, generator=torch.Generator().manual_seed(3))
    guesses = torch.linspace(-2, 2, 401)
    costs = [value("pinball", g.expand(2001, 1), sample, kind="values", q=0.8).mean().item() for g in guesses]
    assert guesses[int(np.argmin(costs))].item() == pytest.approx(sample.quantile(0.8).item(), abs=0.02)
