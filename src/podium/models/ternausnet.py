"""TernausNet: a VGG encoder and a decoder of convolutions and transposed convolutions, concatenated skips."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from podium.models.base import SegmentationModel, initialise, scaled
from podium.models.factory import register_model
from podium.recipe import ModelConfig

VGG11 = ((64,), (128,), (256, 256), (512, 512), (512, 512))
"""Filters of the 3x3 convolutions of VGG-11, stage by stage; a 2x2 maximum ends each stage."""


class TernausNet11(SegmentationModel):
    """UNet on VGG-11, without norms: 22,927,393 parameters at width 1 with one class, stride 32.

    `encoder` numbers its layers as torchvision's ``vgg11().features`` does, and the other layers are named as in the
    published code, so weights of either fit. Weights start as `initialise` says.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        width: Multiplies every number of filters; each is rounded, and at least 4.

    Source: Iglovikov & Shvets 2018 (arXiv 1801.05746), fig. 2; github.com/ternaus/TernausNet.
    """

    def __init__(self, in_channels: int = 3, classes: int = 1, *, width: float = 1.0) -> None:
        super().__init__(stride=32)
        stages = [[scaled(filters, width) for filters in stage] for stage in VGG11]
        f32, f64, f128, f256, f512 = (scaled(filters, width) for filters in (32, 64, 128, 256, 512))
        skip1, skip2, skip3, skip4, skip5 = (stage[-1] for stage in stages)
        self.encoder = _vgg(in_channels, stages)
        self.center = DecoderBlock(skip5, f512, f256)
        self.dec5 = DecoderBlock(f256 + skip5, f512, f256)
        self.dec4 = DecoderBlock(f256 + skip4, f512, f128)
        self.dec3 = DecoderBlock(f128 + skip3, f256, f64)
        self.dec2 = DecoderBlock(f64 + skip2, f128, f32)
        self.dec1 = ConvRelu(f32 + skip1, f32)
        self.final = nn.Conv2d(f32, classes, 1)
        initialise(self, self.final)

    def forward_features(self, images: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = images
        for layer in self.encoder:
            if isinstance(layer, nn.MaxPool2d):
                skips.append(x)
            x = layer(x)
        x = self.center(x)
        for decode in (self.dec5, self.dec4, self.dec3, self.dec2, self.dec1):
            x = decode(torch.cat([x, skips.pop()], dim=1))
        return self.final(x)


class ConvRelu(nn.Module):
    """A 3x3 convolution and a ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same height and width."""
        return torch.relu_(self.conv(x))


class DecoderBlock(nn.Module):
    """A 3x3 convolution, then a 3x3 transposed convolution that doubles the resolution, each with a ReLU."""

    def __init__(self, before: int, middle: int, after: int) -> None:
        super().__init__()
        grow = nn.ConvTranspose2d(middle, after, 3, stride=2, padding=1, output_padding=1)
        self.block = nn.Sequential(ConvRelu(before, middle), grow, nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Features of twice the height and width."""
        return self.block(x)


def _vgg(in_channels: int, stages: list[list[int]]) -> nn.Sequential:
    layers: list[nn.Module] = []
    before = in_channels
    for stage in stages:
        for after in stage:
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(inplace=True)]
            before = after
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


@register_model("ternausnet11", reads=("width",), summary="VGG-11 encoder, transposed convolutions, no norms")
def build_ternausnet11(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The TernausNet-11 of a recipe."""
    return TernausNet11(in_channels, classes, width=config.width)
