"""UNet: double convolutions on the way down and up, concatenated skips."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.errors import ModelError, nearest
from podium.models.base import Logits, SegmentationModel, initialise, scaled
from podium.models.factory import register_model
from podium.recipe import ModelConfig

Norm = Literal["batch", "group", "none"]
Upsample = Literal["nearest", "bilinear", "deconv"]


class UNet(SegmentationModel):
    """UNet with padded convolutions: level l has filters * 2^l filters, `stride` is patch * 2^(depth - 1).

    Weights start as `initialise` says, norms as the identity. With 64 filters (width 2), batch norm and ``deconv`` the
    tensors are those of github.com/milesial/Pytorch-UNet in order, and its published weights fit.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        filters: Filters at full resolution.
        depth: Levels of resolution.
        norm: What follows each convolution; with one, convolutions have no bias. Groups: at most 8.
        upsample: How the decoder doubles the resolution; ``deconv`` (2x2, stride 2) also halves the channels.
        patch: Sides of the squares of pixels that are channels inside the network, and pixels again in the logits. With
            2 and twice the filters the levels below compute as much as those of a plain UNet with one level more, and
            the dearest level, at full resolution, is gone.
        supervised: Levels of the decoder, besides the last, that predict too while training: the nearest has half its
            weight in the loss, each further one half of that.

    Raises:
        ModelError: if there are not so many levels to supervise; while training, if ``batch`` is left with one value
            per channel: a batch of one tiny image.

    Source: Ronneberger et al. 2015 (arXiv 1505.04597); batch norm as in Çiçek et al. 2016 (arXiv 1606.06650); pixels
    out of channels: Shi et al. 2016 (arXiv 1609.05158), sec. 3.2.
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
        patch: int = 1,
        supervised: int = 0,
    ) -> None:
        if supervised > depth - 2:
            raise ModelError(
                f"the decoder has {depth - 2} levels besides the last, not {supervised}",
                where="model.supervised",
                expected=f"{depth - 2} at most",
            )
        super().__init__(stride=patch * 2 ** (depth - 1))
        self.patch = patch
        counts = [filters * 2**level for level in range(depth)]
        self.norm_stride = self.stride if norm == "batch" else None
        self.norm_remedy = "set model.depth lower or model.norm=group"
        self.encoder = nn.ModuleList(
            _double_conv(before, after, norm)
            for before, after in zip([in_channels * patch**2, *counts[:-1]], counts, strict=True)
        )
        steps = zip(counts[:0:-1], counts[-2::-1], strict=True)  # (filters below, filters here), upwards
        self.decoder = nn.ModuleList(UpBlock(below, here, norm, upsample) for below, here in steps)
        self.head = nn.Conv2d(filters, classes * patch**2, 1)
        sides = [nn.Conv2d(filters * 2**level, classes * patch**2, 1) for level in range(1, supervised + 1)]
        self.side_heads = nn.ModuleList(sides)
        self.auxiliary_weights = tuple(0.5**level for level in range(1, supervised + 1))
        initialise(self, self.head, *sides)

    def forward_features(self, images: Tensor) -> Logits:
        skips: list[Tensor] = []
        x = self.encoder[0](F.pixel_unshuffle(images, self.patch) if self.patch > 1 else images)
        for level in self.encoder[1:]:
            skips.append(x)
            x = level(torch.max_pool2d(x, 2))
        features = []  # of each level of the decoder, the last at full resolution
        for level in self.decoder:
            x = level(x, skips.pop())
            features.append(x)
        logits = self._pixels(self.head(x))
        if not (self.training and self.side_heads):
            return logits
        maps = (self._pixels(head(f)) for head, f in zip(self.side_heads, features[-2::-1], strict=False))
        return (logits, *(F.interpolate(m, images.shape[-2:], mode="bilinear", align_corners=False) for m in maps))

    def _pixels(self, logits: Tensor) -> Tensor:
        return F.pixel_shuffle(logits, self.patch) if self.patch > 1 else logits


class UpBlock(nn.Module):
    """Features of the level below, doubled in resolution and beside the skip, through two convolutions."""

    def __init__(self, below: int, here: int, norm: Norm, upsample: Upsample) -> None:
        super().__init__()
        self.grow = _upsample(below, here, upsample)
        self.conv = _double_conv((here if upsample == "deconv" else below) + here, here, norm)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Features of the resolution of ``skip``."""
        return self.conv(torch.cat([skip, self.grow(x)], dim=1))


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
    return Doubled() if kind == "nearest" else nn.Upsample(scale_factor=2, mode=kind, align_corners=False)


class Doubled(nn.Module):
    """Nearest neighbour at twice the resolution.

    Compiled it is written as a broadcast, whose gradient is a sum: that of `F.interpolate` becomes atomic additions in
    fp32, a fifth of a whole step on an H200.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Each pixel four times."""
        return doubled(x) if torch.compiler.is_dynamo_compiling() else F.interpolate(x, scale_factor=2, mode="nearest")


def doubled(x: Tensor) -> Tensor:
    """(N, C, H, W) to (N, C, 2H, 2W), each pixel four times; channels last, as is its gradient."""
    n, c, h, w = x.shape
    rows = x.permute(0, 2, 3, 1)[:, :, None, :, None].expand(n, h, 2, w, 2, c)
    return rows.reshape(n, 2 * h, 2 * w, c).permute(0, 3, 1, 2)


READS = ("width", "norm", "upsample", "supervised")


@register_model(
    "unet",
    reads=("depth", *READS),
    summary="double convolutions, concatenated skips; 32 filters at width 1, doubled at each level",
)
def build_unet(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The UNet of a recipe: 32 * width filters at full resolution."""
    return _unet(config, in_channels, classes, config.depth, 1)


@register_model(
    "unet_small",
    reads=READS,
    summary="a UNet of four levels on squares of 2x2 pixels, quick on CPUs; 32 filters at width 1",
)
def build_unet_small(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The UNet of a recipe, with 32 * width filters at half the resolution and four levels from there."""
    return _unet(config, in_channels, classes, 4, 2)


def _unet(config: ModelConfig, in_channels: int, classes: int, depth: int, patch: int) -> UNet:
    upsample = config.upsample or "nearest"
    if upsample not in get_args(Upsample):
        raise ModelError(
            f"{config.arch} does not have '{upsample}'",
            where="model.upsample",
            expected="one of: " + ", ".join(get_args(Upsample)),
            remedy=nearest(upsample, get_args(Upsample)),
        )
    return UNet(
        in_channels,
        classes,
        filters=scaled(32, config.width),
        depth=depth,
        norm=config.norm,
        upsample=upsample,  # type: ignore[arg-type]
        patch=patch,
        supervised=config.supervised,
    )
