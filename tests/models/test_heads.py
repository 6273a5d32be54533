"""Pooling and heads: shapes, what they start at, and that they learn what they are for."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from podium.errors import ModelError
from podium.models.classifier import Classifier
from podium.models.heads import BinsHead, OrdinalHead, Pool, check_head, create_head, generalised_mean
from podium.recipe import ModelConfig


def test_pools_on_numbers_worked_by_hand() -> None:
    maps = torch.tensor([[[[1.0, 3.0]], [[2.0, 2.0]]]])  # (1, 2, 1, 2)
    assert Pool("avg")(maps).tolist() == [[2, 2]]
    assert Pool("max")(maps).tolist() == [[3, 2]]
    assert Pool("concat")(maps).tolist() == [[2, 2, 3, 2]]
    assert Pool("gem")(maps)[0].tolist() == pytest.approx([((1 + 27) / 2) ** (1 / 3), 2])


def test_generalised_mean_goes_from_average_to_maximum() -> None:
    maps = torch.rand(2, 3, 4, 5) + 0.1
    torch.testing.assert_close(generalised_mean(maps, 1.0), maps.mean((2, 3)))
    torch.testing.assert_close(generalised_mean(maps, 200.0), maps.amax((2, 3)), atol=0.03, rtol=0.03)


def test_ordinal_log_probabilities_are_normalised_and_start_equal() -> None:
    head = OrdinalHead(8, 5)
    nn.init.zeros_(head.score.weight)
    logits = head(torch.randn(3, 8))
    torch.testing.assert_close(logits.exp(), torch.full((3, 5), 0.2))
    torch.testing.assert_close(logits.softmax(1), logits.exp())


def test_ordinal_is_exact_and_finite_for_extreme_scores() -> None:
    head = OrdinalHead(1, 4)
    nn.init.ones_(head.score.weight)
    for score in (-200.0, -3.0, 0.0, 2.5, 200.0):
        found = head(torch.tensor([[score]]))[0]
        assert torch.isfinite(found).all()
        above = torch.sigmoid(score - head.thresholds.double())
        whole = torch.cat([torch.ones(1), above, torch.zeros(1)])
        torch.testing.assert_close(found.exp().double(), whole[:-1] - whole[1:], atol=1e-6, rtol=1e-5)
    assert (head.thresholds.diff() > 0).all()


def test_ordinal_predicts_the_class_between_two_that_it_saw() -> None:
    """Along one line of features: classes 0 to 3 in order; a linear softmax has to learn each, this one score."""
    torch.manual_seed(0)
    x = torch.linspace(-2, 2, 80)[:, None]
    y = torch.bucketize(x[:, 0], torch.tensor([-1.0, 0.0, 1.0]))
    head = OrdinalHead(1, 4)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        F.cross_entropy(head(x), y).backward()
        optimizer.step()
    assert (head(x).argmax(1) == y).float().mean() > 0.95
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in head.parameters())


def test_an_order_of_two_is_refused() -> None:
    with pytest.raises(ModelError, match="at least 3 classes, not 2"):
        OrdinalHead(4, 2)


@pytest.mark.parametrize("kind", ["distribution", "cumulative"])
def test_values_of_bins_start_in_the_middle_and_reach_both_ends(kind: str) -> None:
    head = BinsHead(4, 2, 33, kind)
    nn.init.zeros_(head.linear.weight)
    torch.testing.assert_close(head(torch.randn(5, 4)), torch.zeros(5, 2), atol=1e-5, rtol=0)
    with torch.no_grad():
        head.linear.bias.copy_(1000 * head.centres.repeat(2) if kind == "distribution" else torch.full((66,), 1000.0))
    assert head(torch.zeros(1, 4)).tolist()[0] == pytest.approx([4, 4], abs=0.2)


@pytest.mark.parametrize("kind", ["linear", "distribution", "cumulative"])
def test_a_regression_is_learnt(kind: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(256, 3)
    y = torch.stack([x[:, 0], (x[:, 1] * 1.5).tanh()], dim=1)
    head = create_head(ModelConfig(head=kind), 3, 2)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        loss = F.mse_loss(head(x), y)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05  # always guessing the mean costs 0.7


def test_a_head_that_does_not_suit_is_refused_with_those_that_do() -> None:
    check_head("ordinal", "labels")
    with pytest.raises(ModelError, match=r"'ordinal' does not predict numbers(.|\n)*linear, distribution, cumulative"):
        check_head("ordinal", "values")
    with pytest.raises(ModelError, match="several labels"):
        check_head("distribution", "planes")


def tiny(config: ModelConfig, inputs: int = 0) -> Classifier:
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(3, 4, 3, 2, padding=1), nn.BatchNorm2d(4), nn.ReLU())
    return Classifier(encoder, 4, 2, config, 3, inputs)


def test_metadata_is_put_beside_the_image_and_decides() -> None:
    model = tiny(ModelConfig(), inputs=2).eval()
    images = torch.randn(1, 3, 8, 8).expand(2, -1, -1, -1)
    one, other = model(images, torch.tensor([[0.0, 0.0], [3.0, -2.0]]))
    assert not torch.allclose(one, other)
    with pytest.raises(ModelError, match="2 metadata numbers"):
        model(images)


def test_frozen_norms_keep_their_statistics_and_learn_their_scale() -> None:
    for norm, moves in (("own", True), ("frozen", False)):
        model = tiny(ModelConfig(encoder_norm=norm)).train()
        before = model.encoder[1].running_mean.clone()
        model(torch.randn(4, 3, 8, 8) + 5).sum().backward()
        assert torch.equal(before, model.encoder[1].running_mean) is not moves
        assert model.encoder[1].weight.grad is not None


@pytest.mark.parametrize("pooling", ["avg", "max", "gem", "concat"])
@pytest.mark.parametrize("head", ["linear", "ordinal", "distribution", "cumulative"])
def test_bf16_agrees_with_fp32(pooling: str, head: str) -> None:
    model, x = tiny(ModelConfig(pooling=pooling, head=head), inputs=2).train(), torch.randn(4, 3, 16, 16)
    inputs = torch.randn(4, 2)
    expected = model(x, inputs)
    with torch.autocast("cpu", torch.bfloat16):
        found = model(x, inputs)
    found.float().square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert (found.float() - expected).abs().max() < 0.1 * expected.abs().max() + 0.05
