"""PSPNet: a dilated ResNet at stride 8, a pyramid of poolings beside its features, and an auxiliary loss."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.errors import ModelError, nearest
from podium.models.base import Logits, SegmentationModel, initialise, scaled
from podium.models.factory import register_model
from podium.models.resnet import RESNET50, RESNET101, RESNET152, bottleneck_stage
from podium.recipe import ModelConfig

ENCODERS = {"resnet50": RESNET50, "resnet101": RESNET101, "resnet152": RESNET152}
BINS = (1, 2, 3, 6)


class PSPNet(SegmentationModel):
    """ResNet with three 3x3 convolutions first and stages 3 and 4 dilated, pyramid pooling, and a classifier.

    Sides are padded to 8 k + 1: bilinear upsampling with aligned corners then fits the strided convolutions. While
    training, logits of stage 3 follow those of the head; they count 0.4 in the loss. Layers are named as in the source.
    Weights start as `initialise` says, norms as the identity.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        blocks: Of the four stages.
        width: Multiplies every number of filters; each is rounded, and at least 4.

    Raises:
        ModelError: while training on a single image: the pooling to 1x1 leaves its batch norm one value a channel.

    Source: Zhao et al. 2016 (arXiv 1612.01105); github.com/hszhao/semseg, model/pspnet.py and model/resnet.py.
    """

    auxiliary_weights = (0.4,)
    encoder_names = ("layer0", "layer1", "layer2", "layer3", "layer4")
    norm_stride = math.inf

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 1,
        *,
        blocks: tuple[int, int, int, int] = RESNET50,
        width: float = 1.0,
    ) -> None:
        super().__init__(stride=8, offset=1)
        f64, f128, f256, f512 = (scaled(n, width) for n in (64, 128, 256, 512))
        self.layer0 = nn.Sequential(
            *(nn.Conv2d(in_channels, f64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(f64), _relu()),
            *(nn.Conv2d(f64, f64, 3, padding=1, bias=False), nn.BatchNorm2d(f64), _relu()),
            *(nn.Conv2d(f64, f128, 3, padding=1, bias=False), nn.BatchNorm2d(f128), _relu()),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        self.layer1 = bottleneck_stage(f128, f64, blocks[0], stride=1)
        self.layer2 = bottleneck_stage(4 * f64, f128, blocks[1], stride=2)
        self.layer3 = bottleneck_stage(4 * f128, f256, blocks[2], stride=1, dilation=2)
        self.layer4 = bottleneck_stage(4 * f256, f512, blocks[3], stride=1, dilation=4)
        self.ppm = PyramidPooling(4 * f512, f512)
        self.cls = _classifier(4 * f512 + len(BINS) * f512, f512, classes)
        self.aux = _classifier(4 * f256, f256, classes)
        initialise(self, self.cls[-1], self.aux[-1])

    def forward_features(self, images: Tensor) -> Logits:
        x = self.layer2(self.layer1(self.layer0(images)))
        middle = self.layer3(x)
        logits = _resize(self.cls(self.ppm(self.layer4(middle))), images)
        return (logits, _resize(self.aux(middle), images)) if self.training else logits


class PyramidPooling(nn.Module):
    """Features beside their averages over 1, 2 x 2, 3 x 3 and 6 x 6 parts, each through a 1x1 convolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.features = nn.ModuleList(
            nn.Sequential(
                nn.AdaptiveAvgPool2d(bins), nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), _relu()
            )
            for bins in BINS
        )

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same height and width: those of ``x``, then one set for each of the poolings."""
        return torch.cat([x, *(_resize(pool(x), x) for pool in self.features)], dim=1)


def _resize(x: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=True)


def _classifier(before: int, middle: int, classes: int) -> nn.Sequential:
    conv = nn.Conv2d(before, middle, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(middle), _relu(), nn.Dropout2d(0.1), nn.Conv2d(middle, classes, 1))


def _relu() -> nn.ReLU:
    return nn.ReLU(inplace=True)


@register_model(
    "pspnet",
    reads=("width", "encoder"),
    summary="dilated ResNet-50 (encoder: resnet101, resnet152), pyramid pooling 1, 2, 3, 6, auxiliary loss",
)
def build_pspnet(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The PSPNet of a recipe."""
    encoder = config.encoder or "resnet50"
    if encoder not in ENCODERS:
        raise ModelError(
            f"pspnet does not have the encoder '{encoder}'",
            where="model.encoder",
            expected="one of: " + ", ".join(ENCODERS) + "; smp.PSPNet takes others",
            remedy=nearest(encoder, list(ENCODERS)),
        )
    return PSPNet(in_channels, classes, blocks=ENCODERS[encoder], width=config.width)
