"""Losses against plain formulas, torch and segmentation_models_pytorch; their ranges, weights and safety."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import segmentation_models_pytorch.losses as smp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from segmentation_models_pytorch.losses.lovasz import _lovasz_hinge, _lovasz_softmax
from torch import Tensor
from torch.nn import functional as F

from podium.errors import ConfigError, TrainingError
from podium.recipe import DEFAULT_TERMS, LossConfig
from podium.training.losses import KINDS, LOSSES, Kind, create_loss, fitting, make_case, register_loss
from podium.training.losses.entropy import boundary_kernel, near_boundary

PAIRS = [(name, kind) for name, spec in LOSSES.items() for kind in spec.kinds]
PIXELS = [(name, kind) for name, kind in PAIRS if kind != "values"]
every_pair = pytest.mark.parametrize(("name", "kind"), PAIRS)
planes_losses = pytest.mark.parametrize("name", fitting("planes"))


def value(
    name: str, logits: Tensor, target: Tensor, weight: Tensor | None = None, kind: Kind = "planes", **options: Any
) -> Tensor:
    """One loss, one value a sample."""
    spec = LOSSES[name]
    return spec.function(make_case(kind, logits, target, weight), **spec.read(options, kind))


def example(kind: Kind, seed: int = 0, n: int = 3, classes: int = 4, size: tuple[int, ...] = (6, 7)) -> Any:
    """Logits and a target of a kind."""
    rng = torch.Generator().manual_seed(seed)
    shape = (n, classes) if kind == "values" else (n, classes, *size)
    logits = 2 * torch.randn(shape, generator=rng)
    if kind == "planes":
        return logits, (torch.rand(shape, generator=rng) < 0.3).float()
    if kind == "labels":
        return logits, torch.randint(0, classes, (n, *size), generator=rng)
    return logits, torch.randn(shape, generator=rng)


def maps(*rows: list[float]) -> Tensor:
    """One-row images, (N, 1, 1, W)."""
    return torch.tensor(rows)[:, None, None, :]


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
