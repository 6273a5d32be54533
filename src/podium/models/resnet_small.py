"""A small residual network for classes and numbers, to be trained from scratch on small images in minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from podium.models.base import initialise, scaled
from podium.models.classifier import Classifier
from podium.models.factory import register_model
from podium.recipe import ModelConfig

FILTERS = (32, 64, 128, 256)
"""Of the stages; each but the first halves the sides, and so does the stem."""


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; a stride is taken there by a mean over 2x2 pixels before its 1x1.

    Source: He et al. 2018 (arXiv 1812.01187), fig. 2c: ResNet-D. (A strided 1x1 convolution of few channels, channels
    last and in fp32, also corrupts memory in the backward pass of torch 2.15 on CPU.)
    """

    def __init__(self, before: int, filters: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(filters)
        shrink = [nn.AvgPool2d(2, ceil_mode=True)] if stride == 2 else []
        project = [nn.Conv2d(before, filters, 1, bias=False), nn.BatchNorm2d(filters)] if before != filters else []
        self.shortcut = nn.Sequential(*shrink, *project)

    def forward(self, x: Tensor) -> Tensor:
        """Features, the sides divided by the stride and rounded up."""
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def small_encoder(in_channels: int, width: float = 1.0) -> tuple[nn.Sequential, int]:
    """A 3x3 convolution of stride 2, then four stages of one basic block: stride 16, 1.2 million numbers at width 1.

    Returns:
        The encoder, and the channels of its feature maps.

    Source: He et al. 2015 (arXiv 1512.03385), sec. 4.2, the networks for small images, with a stride-2 stem.
    """
    filters = [scaled(f, width) for f in FILTERS]
    stem = [nn.Conv2d(in_channels, filters[0], 3, 2, 1, bias=False), nn.BatchNorm2d(filters[0]), nn.ReLU(inplace=True)]
    before = [filters[0], *filters[:-1]]
    stages = [Block(a, b, 1 if n == 0 else 2) for n, (a, b) in enumerate(zip(before, filters, strict=True))]
    return nn.Sequential(*stem, *stages), filters[-1]


@register_model(
    "resnet_small",
    reads=("width", "dropout", "pooling", "head", "bins", "encoder_norm"),
    summary="small residual network of four stages, from scratch",
    dense=False,
)
def build_resnet_small(config: ModelConfig, in_channels: int, classes: int, inputs: int = 0) -> Classifier:
    """The resnet_small of a recipe."""
    encoder, channels = small_encoder(in_channels, config.width)
    initialise(encoder, encoder[0])
    return Classifier(encoder, channels, 16, config, classes, inputs)
