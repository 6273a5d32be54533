"""UNet: double convolutions on the way down and up, concatenated skips."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

from podium.errors import ModelError
from podium.models.base import SegmentationModel, initialise, scaled
from podium.models.factory import register_model
from podium.recipe import ModelConfig

Norm = Literal["batch", "group", "none"]
Upsample = Literal["nearest", "bilinear", "deconv"]


class UNet(SegmentationModel):
    """UNet with padded convolutions: level l has filters * 2^l filters, `stride` is 2^(depth - 1).

    Weights start as `initialise` says, norms as the identity.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        filters: Filters at full resolution.
        depth: Levels of resolution.
        norm: What follows each convolution; with one, convolutions have no bias. Groups: at most 8.
        upsample: How the decoder doubles the resolution; ``deconv`` (2x2, stride 2) also halves the channels.

    Raises:
        ModelError: while training, if ``batch`` is left with one value per channel: a batch of one tiny image.

    Source: Ronneberger et al. 2015 (arXiv 1505.04597); batch norm as in Çiçek et al. 2016 (arXiv 1606.06650).
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1,
        *,
        filters: int = 32,
        depth: int = 5,
        norm: Norm = "batch",
        upsample: Upsample = "nearest",
    ) -> None:
        super().__init__(stride=2 ** (depth - 1))
        counts = [filters * 2**level for level in range(depth)]
        self.norm = norm
        self.pool = nn.MaxPool2d(2)
        self.encoder = nn.ModuleList(
            _double_conv(before, after, norm) for before, after in zip([in_channels, *counts[:-1]], counts, strict=True)
        )
        steps = list(zip(counts[:0:-1], counts[-2::-1], strict=True))  # (filters below, filters here), upwards
        grown = [here if upsample == "deconv" else below for below, here in steps]
        self.grow = nn.ModuleList(_upsample(below, here, upsample) for below, here in steps)
        self.decoder = nn.ModuleList(
            _double_conv(before + here, here, norm) for before, (_, here) in zip(grown, steps, strict=True)
        )
        self.head = nn.Conv2d(filters, classes, 1)
        initialise(self, self.head)

    def forward_features(self, images: Tensor) -> Tensor:
        skips: list[Tensor] = []
        x = self.encoder[0](images)
        for level in self.encoder[1:]:
            skips.append(x)
            x = self.pool(x)
            self._check_batch_norm(x)
            x = level(x)
        for grow, level in zip(self.grow, self.decoder, strict=True):
            x = level(torch.cat([grow(x), skips.pop()], dim=1))
        return self.head(x)

    def _check_batch_norm(self, x: Tensor) -> None:
        if self.training and self.norm == "batch" and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            raise ModelError(
                "batch norm cannot train on a single value per channel",
                where="model.norm",
                expected=f"more than one image in a batch, or images larger than {self.stride}x{self.stride}",
                remedy="set train.batch_size higher, model.depth lower or model.norm=group",
            )


def _double_conv(before: int, after: int, norm: Norm) -> nn.Sequential:
    return nn.Sequential(*_conv(before, after, norm), *_conv(after, after, norm))


def _conv(before: int, after: int, norm: Norm) -> list[nn.Module]:
    conv = nn.Conv2d(before, after, 3, padding=1, bias=norm == "none")
    relu = nn.ReLU(inplace=True)
    if norm == "none":
        return [conv, relu]
    return [conv, nn.BatchNorm2d(after) if norm == "batch" else nn.GroupNorm(math.gcd(8, after), after), relu]


def _upsample(below: int, here: int, kind: Upsample) -> nn.Module:
    if kind == "deconv":
        return nn.ConvTranspose2d(below, here, 2, stride=2)
    return nn.Upsample(scale_factor=2, mode=kind, align_corners=False if kind == "bilinear" else None)


@register_model(
    "unet",
    reads=("width", "depth", "norm", "upsample"),
    summary="double convolutions, concatenated skips; 32 filters at width 1, doubled at each level",
)
def build_unet(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The UNet of a recipe: 32 * width filters at full resolution."""
    return UNet(
        in_channels,
        classes,
        filters=scaled(32, config.width),
        depth=config.depth,
        norm=config.norm,
        upsample=config.upsample,
    )
