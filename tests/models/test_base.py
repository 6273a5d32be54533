"""Padding to the stride and cropping back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.errors import ModelError
from podium.models.base import Logits, SegmentationModel, first_logits, initialise, scaled, split_parameters


class Echo(SegmentationModel):
    """Returns what it is given, and remembers its size."""

    def forward_features(self, images: Tensor) -> Tensor:
        self.seen = images
        return images


@pytest.mark.parametrize("size", [(16, 32), (101, 101), (17, 40), (1, 1), (3, 100)])
def test_padding_is_cropped_back_exactly(size: tuple[int, int]) -> None:
    model, x = Echo(16), torch.rand(2, 3, *size)
    assert torch.equal(model(x), x)
    assert all(side % 16 == 0 for side in model.seen.shape[-2:])


def test_margins_reflect_where_they_can() -> None:
    model, x = Echo(16), torch.rand(1, 1, 14, 16)
    model(x)
    assert torch.equal(model.seen[..., 0, :], x[..., 1, :])
    assert torch.equal(model.seen[..., 15, :], x[..., 12, :])


def test_margins_are_zero_where_reflection_is_impossible() -> None:
    model = Echo(16)
    model(torch.ones(1, 1, 3, 16))
    assert model.seen.sum() == 3 * 16


def test_margins_keep_channels_last() -> None:
    model = Echo(16)
    model(torch.rand(2, 3, 20, 20).contiguous(memory_format=torch.channels_last))
    assert model.seen.is_contiguous(memory_format=torch.channels_last)


def test_an_offset_remains() -> None:
    model, x = Echo(8, 1), torch.rand(1, 2, 17, 20)
    assert torch.equal(model(x), x)
    assert model.seen.shape[-2:] == (17, 25)


class Two(SegmentationModel):
    """Logits, and others behind them while training."""

    auxiliary_weights = (0.5,)
    encoder_names = ("first", "second")

    def __init__(self) -> None:
        super().__init__(4)
        self.first, self.second, self.firstborn = nn.Linear(1, 1), nn.Linear(1, 1), nn.Linear(1, 1)

    def forward_features(self, images: Tensor) -> Logits:
        return (images, images + 1) if self.training else images


def test_auxiliary_logits_are_cropped_like_the_others() -> None:
    model, x = Two(), torch.rand(1, 1, 5, 6)
    logits, others = model.train()(x)
    assert torch.equal(logits, x)
    assert torch.equal(others, x + 1)
    assert torch.equal(first_logits((logits, others)), x)
    assert torch.equal(first_logits(model.eval()(x)), x)


def test_the_encoder_is_the_children_it_names() -> None:
    model = Two()
    encoder, others = split_parameters(model)
    assert [id(p) for p in encoder] == [id(p) for p in (*model.first.parameters(), *model.second.parameters())]
    assert [id(p) for p in others] == [id(p) for p in model.firstborn.parameters()]
    plain = nn.ModuleDict({"encoder": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
    assert [len(part) for part in split_parameters(plain)] == [2, 2]


class Normed(Echo):
    norm_stride = 16.0


@pytest.mark.parametrize(("norm_stride", "size", "refused"), [
    (16, (16, 16), True), (16, (16, 17), False), (math.inf, (640, 640), True), (None, (1, 1), False),
])  # fmt: skip
def test_one_value_a_channel_is_refused_while_training(
    norm_stride: float | None, size: tuple[int, int], refused: bool
) -> None:
    model = Normed(16)
    model.norm_stride = norm_stride
    model.eval()(torch.rand(1, 1, *size))
    model.train()(torch.rand(2, 1, *size))
    if not refused:
        model(torch.rand(1, 1, *size))
        return
    with pytest.raises(ModelError, match=r"single value(.|\n)*train\.batch_size higher"):
        model(torch.rand(1, 1, *size))


def test_the_base_has_no_features() -> None:
    with pytest.raises(NotImplementedError):
        SegmentationModel(2)(torch.rand(1, 1, 2, 2))


@pytest.mark.parametrize(("filters", "width", "expected"), [(32, 1, 32), (32, 0.25, 8), (32, 0.01, 4), (64, 1.5, 96)])
def test_scaled(filters: int, width: float, expected: int) -> None:
    assert scaled(filters, width) == expected


def test_initialise_keeps_the_variance_of_activations() -> None:
    torch.manual_seed(0)
    head = nn.Conv2d(64, 1, 1)
    deconvs = [nn.ConvTranspose2d(64, 64, 2, stride=2), nn.ConvTranspose2d(64, 64, 3, 2, padding=1, output_padding=1)]
    layers = nn.ModuleList([nn.Conv2d(64, 64, 3, padding=1), *deconvs, head])
    initialise(layers, head)
    x = F.relu(torch.randn(2, 64, 32, 32)) * 2**0.5  # a second moment of 1, as behind a ReLU
    for layer in layers[:3]:
        assert F.relu(layer(x)).square().mean().item() == pytest.approx(1, rel=0.15)
        assert not layer.bias.any()
    assert layers[0].weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.05)
    assert not head.bias.any()
