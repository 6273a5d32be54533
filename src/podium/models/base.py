"""What every segmentation network shares: any image size, logits out, one initialisation."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SegmentationModel(nn.Module):
    """A network from images (N, in_channels, H, W) to logits (N, classes, H, W), for any H and W.

    A subclass writes `forward_features`, which may rely on sides that `stride` divides.

    Args:
        stride: What the sides are padded to a multiple of: the largest reduction inside the network.
    """

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, images: Tensor) -> Tensor:
        """Logits of the same height and width as `images`."""
        height, width = images.shape[-2:]
        top, bottom = _margins(height, self.stride)
        left, right = _margins(width, self.stride)
        if not (top or bottom or left or right):
            return self.forward_features(images)
        # A reflection needs more pixels than it adds; images that small are padded with zeros.
        mode = "reflect" if max(top, bottom) < height and max(left, right) < width else "constant"
        logits = self.forward_features(F.pad(images, (left, right, top, bottom), mode))
        return logits[..., top : top + height, left : left + width]

    def forward_features(self, images: Tensor) -> Tensor:
        """Logits for images whose sides are multiples of `stride`."""
        raise NotImplementedError


def _margins(side: int, stride: int) -> tuple[int, int]:
    """Padding before and after, as even as it can be, so that a flipped image meets the same margins."""
    extra = -side % stride
    return extra // 2, extra - extra // 2


def scaled(filters: int, width: float) -> int:
    """The number of filters times `width`, rounded, at least 4."""
    return max(4, round(filters * width))


@torch.no_grad()
def initialise(model: nn.Module, head: nn.Conv2d) -> None:
    """Kaiming normal weights for ReLU, zero biases; the head (LeCun normal) starts at probabilities around 0.5.

    Fan-in counts the inputs that reach one output: a transposed convolution of stride s sees 1 / s² of its kernel.

    Source: He et al. 2015 (arXiv 1502.01852), eq. 10; LeCun et al. 1998, Efficient BackProp, eq. 16 (the head).
    """
    if head.weight.is_meta:  # nothing to fill, and torch would take a second to find out
        return
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        fan_in: float = module.in_channels * math.prod(module.kernel_size)
        if isinstance(module, nn.ConvTranspose2d):
            fan_in /= math.prod(module.stride)
        nn.init.normal_(module.weight, std=math.sqrt((1 if module is head else 2) / fan_in))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
