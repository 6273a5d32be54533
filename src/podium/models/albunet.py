"""AlbuNet-34: a ResNet-34 encoder and TernausNet's decoder, concatenated skips."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from podium.models.base import SegmentationModel, initialise, scaled
from podium.models.decoder import ConvRelu, DecoderBlock, kernel_of
from podium.models.factory import register_model
from podium.models.resnet import RESNET34, basic_stage
from podium.recipe import ModelConfig


class AlbuNet34(SegmentationModel):
    """UNet on ResNet-34; stride 64, as a last pooling follows the encoder.

    Layers are named as in the source, where the ResNet's classifier (fc) lies unused among the weights; here it does
    not. Weights start as `initialise` says, norms as the identity.

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        width: Multiplies every number of filters; each is rounded, and at least 4.
        kernel: Of the decoder's transposed convolutions; 0 = bilinear, then two convolutions.

    Source: Shvets et al. 2018 (arXiv 1804.08024), fig. 4; github.com/ternaus/angiodysplasia-segmentation, models.py,
    AlbuNet (is_deconv=False).
    """

    norm_stride = 32

    def __init__(self, in_channels: int = 3, classes: int = 1, *, width: float = 1.0, kernel: int = 0) -> None:
        super().__init__(stride=64)
        f32, f64, f128, f256, f512 = (scaled(n, width) for n in (32, 64, 128, 256, 512))
        self.encoder = ResNet34(in_channels, f64, f128, f256, f512)
        self.center = DecoderBlock(f512, f512, f256, kernel)
        self.dec5 = DecoderBlock(f512 + f256, f512, f256, kernel)
        self.dec4 = DecoderBlock(f256 + f256, f512, f256, kernel)
        self.dec3 = DecoderBlock(f128 + f256, f256, f64, kernel)
        self.dec2 = DecoderBlock(f64 + f64, f128, f128, kernel)
        self.dec1 = DecoderBlock(f128, f128, f32, kernel)
        self.dec0 = ConvRelu(f32, f32)
        self.final = nn.Conv2d(f32, classes, 1)
        initialise(self, self.final)

    def forward_features(self, images: Tensor) -> Tensor:
        skips = self.encoder(images)
        x = self.center(torch.max_pool2d(skips[-1], 2))
        for decode in (self.dec5, self.dec4, self.dec3, self.dec2):
            x = decode(torch.cat([x, skips.pop()], dim=1))
        return self.final(self.dec0(self.dec1(x)))


class ResNet34(nn.Module):
    """ResNet-34 without its classifier, named as torchvision's; its first pooling is over 2x2, as AlbuNet has it."""

    def __init__(self, in_channels: int, f64: int, f128: int, f256: int, f512: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, f64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(f64)
        self.layer1 = basic_stage(f64, f64, RESNET34[0], stride=1)
        self.layer2 = basic_stage(f64, f128, RESNET34[1], stride=2)
        self.layer3 = basic_stage(f128, f256, RESNET34[2], stride=2)
        self.layer4 = basic_stage(f256, f512, RESNET34[3], stride=2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features at the strides 4, 8, 16 and 32."""
        x = torch.max_pool2d(torch.relu_(self.bn1(self.conv1(images))), 2)
        features: list[Tensor] = []
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = layer(x)
            features.append(x)
        return features


@register_model(
    "albunet34",
    reads=("width", "upsample", "pretrained"),
    imagenet="resnet34",
    summary="ResNet-34 encoder, concatenated skips, bilinear or transposed convolutions",
)
def build_albunet34(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The AlbuNet-34 of a recipe."""
    kernel = kernel_of(config.upsample, "albunet34", "bilinear")
    return AlbuNet34(in_channels, classes, width=config.width, kernel=kernel)
