"""TernausNet: a VGG encoder, and a decoder that doubles the resolution block by block, concatenated skips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from podium.models.base import SegmentationModel, initialise, scaled
from podium.models.decoder import ConvRelu, DecoderBlock, kernel_of
from podium.models.factory import register_model
from podium.models.vgg import VGG11, VGG16, vgg_features, vgg_stages
from podium.recipe import ModelConfig


class TernausNet(SegmentationModel):
    """UNet on a VGG, without norms; stride 32.

    `encoder` numbers its layers as torchvision's ``vgg11().features`` does, and the other layers are named as in the
    published code, so weights of either fit. Weights start as `initialise` says.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        stages: Filters of the encoder.
        after: Filters behind center, dec5, dec4, dec3 and dec2.
        width: Multiplies every number of filters; each is rounded, and at least 4.
        kernel: Of the transposed convolutions; 0 = bilinear, then two convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        stages: Sequence[Sequence[int]],
        after: tuple[int, int, int, int, int],
        *,
        width: float,
        kernel: int,
    ) -> None:
        super().__init__(stride=32)
        filters = vgg_stages(stages, width)
        skip1, skip2, skip3, skip4, skip5 = (stage[-1] for stage in filters)
        out5, out4, out3, out2, out1 = (scaled(n, width) for n in after)
        f32, f128, f256, f512 = (scaled(n, width) for n in (32, 128, 256, 512))
        self.encoder = vgg_features(in_channels, filters)
        self.center = DecoderBlock(skip5, f512, out5, kernel)
        self.dec5 = DecoderBlock(out5 + skip5, f512, out4, kernel)
        self.dec4 = DecoderBlock(out4 + skip4, f512, out3, kernel)
        self.dec3 = DecoderBlock(out3 + skip3, f256, out2, kernel)
        self.dec2 = DecoderBlock(out2 + skip2, f128, out1, kernel)
        self.dec1 = ConvRelu(out1 + skip1, f32)
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


class TernausNet11(TernausNet):
    """TernausNet on VGG-11: 22,927,393 parameters at width 1 with one class.

    Transposed convolutions of 3x3; of 4x4 (`kernel` = 4) in the repository of the surgery paper, and bilinear
    (`kernel` = 0) in that of the angiodysplasia paper.

    Source: Iglovikov & Shvets 2018 (arXiv 1801.05746), fig. 2; github.com/ternaus/TernausNet, UNet11.
    """

    def __init__(self, in_channels: int = 3, classes: int = 1, *, width: float = 1.0, kernel: int = 3) -> None:
        super().__init__(in_channels, classes, VGG11, (256, 256, 128, 64, 32), width=width, kernel=kernel)


class TernausNet16(TernausNet):
    """TernausNet on VGG-16: transposed convolutions of 4x4, or bilinear (`kernel` = 0).

    Source: Shvets et al. 2018 (arXiv 1803.01207); github.com/ternaus/robot-surgery-segmentation, UNet16; with bilinear
    github.com/ternaus/TernausNet, UNet16 with is_deconv=False.
    """

    def __init__(self, in_channels: int = 3, classes: int = 1, *, width: float = 1.0, kernel: int = 4) -> None:
        super().__init__(in_channels, classes, VGG16, (256, 256, 256, 64, 32), width=width, kernel=kernel)


@register_model(
    "ternausnet11",
    reads=("width", "upsample", "pretrained"),
    imagenet="vgg11",
    summary="VGG-11 encoder, concatenated skips, transposed convolutions or bilinear, no norms",
)
def build_ternausnet11(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The TernausNet-11 of a recipe."""
    kernel = kernel_of(config.upsample, "ternausnet11", "deconv3")
    return TernausNet11(in_channels, classes, width=config.width, kernel=kernel)


@register_model(
    "ternausnet16",
    reads=("width", "upsample", "pretrained"),
    imagenet="vgg16",
    summary="VGG-16 encoder, concatenated skips, transposed convolutions or bilinear, no norms",
)
def build_ternausnet16(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The TernausNet-16 of a recipe."""
    kernel = kernel_of(config.upsample, "ternausnet16", "deconv4")
    return TernausNet16(in_channels, classes, width=config.width, kernel=kernel)
