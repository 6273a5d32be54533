"""VGG's convolutions as encoders: 3x3 with padding, a ReLU after each, 2x2 maximum pooling after each stage."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from podium.models.base import scaled

VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
"""Filters of the convolutions, stage by stage.

Source: Simonyan & Zisserman 2014 (arXiv 1409.1556), table 1, columns A and D.
"""


def vgg_stages(stages: Sequence[Sequence[int]], width: float) -> list[list[int]]:
    """The filters of every convolution, each times `width`."""
    return [[scaled(filters, width) for filters in stage] for stage in stages]


def vgg_features(in_channels: int, stages: Sequence[Sequence[int]], *, norm: bool = False) -> nn.Sequential:
    """The layers, numbered as torchvision numbers ``vgg11().features``; with `norm` as in ``vgg11_bn().features``."""
    layers: list[nn.Module] = []
    before = in_channels
    for stage in stages:
        for after in stage:
            layers.append(nn.Conv2d(before, after, 3, padding=1))
            if norm:
                layers.append(nn.BatchNorm2d(after))
            layers.append(nn.ReLU(inplace=True))
            before = after
        layers.append(nn.MaxPool2d(2, return_indices=norm))
    return nn.Sequential(*layers)
