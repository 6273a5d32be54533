"""The stages of a ResNet as encoders, named and ordered as torchvision's, so that its weights fit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

RESNET34 = (3, 4, 6, 3)
RESNET50 = (3, 4, 6, 3)
RESNET101 = (3, 4, 23, 3)
RESNET152 = (3, 8, 36, 3)
"""Blocks a stage.

Source: He et al. 2015 (arXiv 1512.03385), table 1.
"""


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside an identity, or a 1x1 convolution where the shape changes."""

    expansion = 1

    def __init__(self, before: int, filters: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, filters, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.downsample = _shortcut(before, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Features of 1/stride of the height and width."""
        out = torch.relu_(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return torch.relu_(out.add_(x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1, 3x3 (strided, or dilated) and 1x1 convolutions beside an identity, or a 1x1 where the shape changes."""

    expansion = 4

    def __init__(self, before: int, filters: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        after = filters * self.expansion
        self.conv1 = nn.Conv2d(before, filters, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(filters, filters, 3, stride, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = nn.Conv2d(filters, after, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(after)
        self.downsample = _shortcut(before, after, stride)

    def forward(self, x: Tensor) -> Tensor:
        """Features of 1/stride of the height and width."""
        out = torch.relu_(self.bn1(self.conv1(x)))
        out = torch.relu_(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return torch.relu_(out.add_(x if self.downsample is None else self.downsample(x)))


def _shortcut(before: int, after: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and before == after:
        return None
    return nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))


def basic_stage(before: int, filters: int, blocks: int, stride: int) -> nn.Sequential:
    """A stage of basic blocks; the first has the stride."""
    return nn.Sequential(
        *(BasicBlock(filters if n else before, filters, 1 if n else stride) for n in range(blocks)),
    )


def bottleneck_stage(before: int, filters: int, blocks: int, stride: int, dilation: int = 1) -> nn.Sequential:
    """A stage of bottlenecks, of 4 * filters at its end; the first has the stride, all have the dilation."""
    after = filters * Bottleneck.expansion
    return nn.Sequential(
        *(Bottleneck(after if n else before, filters, 1 if n else stride, dilation) for n in range(blocks)),
    )
