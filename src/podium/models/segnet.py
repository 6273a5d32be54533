"""SegNet: VGG-16 and its mirror image; the decoder puts features back where the encoder's maxima were."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.models.base import SegmentationModel, initialise
from podium.models.factory import register_model
from podium.models.vgg import VGG16, vgg_features, vgg_stages
from podium.recipe import ModelConfig


class SegNet(SegmentationModel):
    """13 convolutions down and 13 up, each with batch norm and ReLU but the last; no skips but the places of maxima.

    `encoder` numbers its layers as torchvision's ``vgg16_bn().features`` does. Weights start as `initialise` says (He's
    as in the authors' files), norms as the identity (there: a shift of 0.001).

    Args:
        in_channels: Channels of the images.
        classes: Channels of the logits.
        width: Multiplies every number of filters; each is rounded, and at least 4.

    Source: Badrinarayanan et al. 2015 (arXiv 1511.00561), sec. 3; github.com/alexgkendall/SegNet-Tutorial,
    Models/segnet_train.prototxt.
    """

    norm_stride = 16

    def __init__(self, in_channels: int = 3, classes: int = 1, *, width: float = 1.0) -> None:
        super().__init__(stride=32)
        stages = vgg_stages(VGG16, width)
        self.encoder = vgg_features(in_channels, stages, norm=True)
        ends = [stages[0][0], *(stage[-1] for stage in stages[:-1])]  # what each stage of the decoder leaves
        decoder: list[nn.Sequential] = []
        for stage, after in zip(stages[::-1], ends[::-1], strict=True):
            filters = [*stage[:-1], after]
            layers: list[nn.Module] = []
            for here, there in zip(stage, filters, strict=True):
                layers += [nn.Conv2d(here, there, 3, padding=1), nn.BatchNorm2d(there), nn.ReLU(inplace=True)]
            decoder.append(nn.Sequential(*layers))
        final = nn.Conv2d(stages[0][0], classes, 3, padding=1)
        decoder[-1] = nn.Sequential(*decoder[-1][:-3], final)
        self.decoder = nn.ModuleList(decoder)
        initialise(self, final)

    def forward_features(self, images: Tensor) -> Tensor:
        places: list[Tensor] = []
        x = images
        for layer in self.encoder:
            if isinstance(layer, nn.MaxPool2d):
                x, place = layer(x)
                places.append(place)
            else:
                x = layer(x)
        for stage in self.decoder:
            x = stage(unpool(x, places.pop()))
        return x


def unpool(maxima: Tensor, places: Tensor) -> Tensor:
    """Maxima of 2x2 windows, (N, C, h, w), put back to their places among zeros: (N, C, 2h, 2w).

    Args:
        places: Of each maximum in its plane of 2h x 2w, row by row, as ``max_pool2d(…, return_indices=True)`` has them.
    """
    if not torch.are_deterministic_algorithms_enabled():
        return F.max_unpool2d(maxima, places, [2, 2])
    # No two of these windows overlap, so torch's own would do, but it refuses: it knows windows that do.
    height, width = 2 * maxima.shape[2], 2 * maxima.shape[3]
    plane = torch.arange(height * width, device=maxima.device).view(height, width)
    values, wanted = (t.repeat_interleave(2, 2).repeat_interleave(2, 3) for t in (maxima, places))
    return torch.where(wanted == plane, values, 0)


@register_model(
    "segnet",
    reads=("width", "pretrained"),
    imagenet="vgg16_bn",
    summary="VGG-16 with batch norm and its mirror image, max-unpooling with the encoder's indices",
)
def build_segnet(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The SegNet of a recipe."""
    return SegNet(in_channels, classes, width=config.width)
