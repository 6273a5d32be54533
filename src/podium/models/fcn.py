"""FCN-32s, -16s and -8s: VGG-16 made fully convolutional, scores summed at the strides 32, 16 and 8."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.models.base import SegmentationModel, initialise, scaled
from podium.models.factory import register_model
from podium.models.vgg import VGG16, vgg_stages
from podium.recipe import ModelConfig

SCORE4, SCORE3 = 5, 9
"""Where the scores at stride 16 and 8 are cut to lie over those from below, given the padding of 100."""

CROPS = {32: 19, 16: 27, 8: 31}
"""Where the logits are cut to lie over the image."""


class FCN(SegmentationModel):
    """VGG-16 with its fully connected layers as convolutions, then scores and transposed convolutions.

    The first convolution pads by 100 and pooling rounds up, as published, so any size will do and nothing is padded
    besides. Layers are named as in the source. Weights start as `initialise` says, scores as heads whose sum
    is one (zero in the source, which trains nothing below them in the first step); transposed convolutions start as
    bilinear interpolation.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        stride: Of the finest scores: 32, 16 or 8.
        width: Multiplies every number of filters (4096 too); each is rounded, and at least 4.

    Source: Long et al. 2014 (arXiv 1411.4038), sec. 4; github.com/wkentaro/pytorch-fcn, torchfcn/models, after
    github.com/shelhamer/fcn.berkeleyvision.org, voc-fcn32s, voc-fcn16s and voc-fcn8s.
    """

    encoder_names = (*(f"conv{stage}_{n}" for stage in range(1, 6) for n in range(1, 4)), "fc6", "fc7")

    def __init__(
        self, in_channels: int = 3, classes: int = 1, *, stride: Literal[32, 16, 8] = 8, width: float = 1.0
    ) -> None:
        super().__init__(stride=1)
        self.finest = stride
        self.stages = vgg_stages(VGG16, width)
        before = in_channels
        for name, after in self._convolutions():
            setattr(self, name, nn.Conv2d(before, after, 3, padding=100 if name == "conv1_1" else 1))
            before = after
        wide = scaled(4096, width)
        self.fc6 = nn.Conv2d(before, wide, 7)
        self.fc7 = nn.Conv2d(wide, wide, 1)
        self.drop = nn.Dropout2d(0.5)
        self.score_fr = nn.Conv2d(wide, classes, 1)
        heads = [self.score_fr]
        if stride == 8:
            self.score_pool3 = nn.Conv2d(self.stages[2][-1], classes, 1)
            heads.append(self.score_pool3)
        if stride <= 16:
            self.score_pool4 = nn.Conv2d(self.stages[3][-1], classes, 1)
            heads.append(self.score_pool4)
            self.upscore2 = bilinear_deconv(classes, 2)
        if stride == 32:
            self.upscore = bilinear_deconv(classes, 32)
        elif stride == 16:
            self.upscore16 = bilinear_deconv(classes, 16)
        else:
            self.upscore8 = bilinear_deconv(classes, 8)
            self.upscore_pool4 = bilinear_deconv(classes, 2)
        initialise(self, *heads)
        with torch.no_grad():
            for head in heads:  # their sum starts as a head by itself would
                head.weight.div_(len(heads) ** 0.5)
        for module in self.modules():
            if isinstance(module, nn.ConvTranspose2d):
                fill_bilinear(module)

    def _convolutions(self) -> list[tuple[str, int]]:
        return [
            (f"conv{stage}_{n}", filters)
            for stage, counts in enumerate(self.stages, 1)
            for n, filters in enumerate(counts, 1)
        ]

    def forward_features(self, images: Tensor) -> Tensor:
        x, pools = images, []
        for stage, counts in enumerate(self.stages, 1):
            for n in range(1, len(counts) + 1):
                x = torch.relu_(getattr(self, f"conv{stage}_{n}")(x))
            x = F.max_pool2d(x, 2, ceil_mode=True)
            pools.append(x)
        x = self.drop(torch.relu_(self.fc6(x)))
        x = self.drop(torch.relu_(self.fc7(x)))
        x = self.score_fr(x)
        if self.finest == 32:
            return crop(self.upscore(x), CROPS[32], images)
        x = self.upscore2(x)
        x = x + crop(self.score_pool4(pools[3]), SCORE4, x)
        if self.finest == 16:
            return crop(self.upscore16(x), CROPS[16], images)
        x = self.upscore_pool4(x)
        x = x + crop(self.score_pool3(pools[2]), SCORE3, x)
        return crop(self.upscore8(x), CROPS[8], images)


def crop(x: Tensor, start: int, like: Tensor) -> Tensor:
    """A view of ``x`` from ``start`` on, of the height and width of ``like``."""
    height, width = like.shape[-2:]
    return x[..., start : start + height, start : start + width]


def bilinear_deconv(channels: int, factor: int) -> nn.ConvTranspose2d:
    """A transposed convolution over twice the factor; `fill_bilinear` makes it an interpolation."""
    return nn.ConvTranspose2d(channels, channels, 2 * factor, stride=factor, bias=False)


@torch.no_grad()
def fill_bilinear(layer: nn.ConvTranspose2d) -> None:
    """Weights of bilinear interpolation of each channel by itself.

    Source: github.com/shelhamer/fcn.berkeleyvision.org, surgery.py, upsample_filt.
    """
    if layer.weight.is_meta:
        return
    side = layer.kernel_size[0]
    ramp = 1 - (torch.arange(side) - (side - 1) / 2).abs() / (side // 2)
    layer.weight.zero_()
    channels = torch.arange(layer.in_channels)
    layer.weight[channels, channels] = torch.outer(ramp, ramp)


def _register(name: str, stride: Literal[32, 16, 8], summary: str) -> None:
    def build(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
        return FCN(in_channels, classes, stride=stride, width=config.width)

    build.__qualname__ = f"build_{name}"
    register_model(name, reads=("width", "pretrained"), imagenet="vgg16", summary=summary)(build)


_register("fcn32s", 32, "VGG-16 fully convolutional, scores at stride 32, learnt upsampling from bilinear")
_register("fcn16s", 16, "the same, scores at strides 32 and 16 summed")
_register("fcn8s", 8, "the same, scores at strides 32, 16 and 8 summed")
