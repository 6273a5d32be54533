"""LinkNet-34: a ResNet-34 encoder and a narrow decoder, skips added."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from podium.models.base import SegmentationModel, initialise, scaled
from podium.models.decoder import deconv, kernel_of
from podium.models.factory import register_model
from podium.models.resnet import RESNET34, basic_stage
from podium.recipe import ModelConfig


class LinkNet34(SegmentationModel):
    """LinkNet on ResNet-34; stride 32. Layers are named as in the source.

    Weights start as `initialise` says, norms as the identity.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        width: Multiplies every number of filters; each is rounded, and at least 4.
        kernel: Of the decoder's transposed convolutions: 4 as in the surgery paper, 3 as in Carvana's winning solution.

    Source: Chaurasia & Culurciello 2017 (arXiv 1707.03718); Shvets et al. 2018 (arXiv 1803.01207), fig. 3;
    github.com/ternaus/robot-surgery-segmentation, models.py, LinkNet34.
    """

    encoder_names = ("firstconv", "firstbn", "encoder1", "encoder2", "encoder3", "encoder4")
    norm_stride = 32

    def __init__(self, in_channels: int = 3, classes: int = 1, *, width: float = 1.0, kernel: int = 4) -> None:
        super().__init__(stride=32)
        f32, f64, f128, f256, f512 = (scaled(n, width) for n in (32, 64, 128, 256, 512))
        self.firstconv = nn.Conv2d(in_channels, f64, 7, stride=2, padding=3, bias=False)
        self.firstbn = nn.BatchNorm2d(f64)
        self.firstmaxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.encoder1 = basic_stage(f64, f64, RESNET34[0], stride=1)
        self.encoder2 = basic_stage(f64, f128, RESNET34[1], stride=2)
        self.encoder3 = basic_stage(f128, f256, RESNET34[2], stride=2)
        self.encoder4 = basic_stage(f256, f512, RESNET34[3], stride=2)
        self.decoder4 = LinkBlock(f512, f256, kernel)
        self.decoder3 = LinkBlock(f256, f128, kernel)
        self.decoder2 = LinkBlock(f128, f64, kernel)
        self.decoder1 = LinkBlock(f64, f64, kernel)
        self.finaldeconv1 = nn.ConvTranspose2d(f64, f32, 3, stride=2)
        self.finalconv2 = nn.Conv2d(f32, f32, 3)
        self.finalconv3 = nn.Conv2d(f32, classes, 2, padding=1)
        initialise(self, self.finalconv3)

    def forward_features(self, images: Tensor) -> Tensor:
        x = self.firstmaxpool(torch.relu_(self.firstbn(self.firstconv(images))))
        x1 = self.encoder1(x)
        x2 = self.encoder2(x1)
        x3 = self.encoder3(x2)
        x = self.decoder4(self.encoder4(x3)) + x3
        x = self.decoder3(x) + x2
        x = self.decoder2(x) + x1
        x = torch.relu_(self.finaldeconv1(self.decoder1(x)))  # one more than twice the side; the next takes two away
        return self.finalconv3(torch.relu_(self.finalconv2(x)))


class LinkBlock(nn.Module):
    """1x1 convolution to a quarter of the filters, doubling of the resolution, 1x1 convolution: each norm and ReLU."""

    def __init__(self, before: int, after: int, kernel: int) -> None:
        super().__init__()
        middle = max(4, before // 4)
        self.conv1 = nn.Conv2d(before, middle, 1)
        self.norm1 = nn.BatchNorm2d(middle)
        self.deconv2 = deconv(middle, middle, kernel)
        self.norm2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, after, 1)
        self.norm3 = nn.BatchNorm2d(after)

    def forward(self, x: Tensor) -> Tensor:
        """Features of twice the height and width."""
        x = torch.relu_(self.norm1(self.conv1(x)))
        x = torch.relu_(self.norm2(self.deconv2(x)))
        return torch.relu_(self.norm3(self.conv3(x)))


@register_model(
    "linknet34",
    reads=("width", "upsample", "pretrained"),
    imagenet="resnet34",
    summary="ResNet-34 encoder, narrow decoder, added skips",
)
def build_linknet34(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The LinkNet-34 of a recipe."""
    kernel = kernel_of(config.upsample, "linknet34", "deconv4", bilinear=False)
    return LinkNet34(in_channels, classes, width=config.width, kernel=kernel)
