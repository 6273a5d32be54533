"""The decoder blocks of the TernausNet family: a 3x3 convolution and a doubling of the resolution."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from podium.errors import ModelError


class ConvRelu(nn.Module):
    """A 3x3 convolution and a ReLU."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Features of the same height and width."""
        return torch.relu_(self.conv(x))


class DecoderBlock(nn.Module):
    """Features of `before` filters to `after` filters at twice the resolution, by way of `middle` filters.

    Args:
        kernel: Of a transposed convolution behind a 3x3 convolution; 0 = bilinear, then two 3x3 convolutions.
    """

    def __init__(self, before: int, middle: int, after: int, kernel: int) -> None:
        super().__init__()
        if kernel:
            layers = [ConvRelu(before, middle), deconv(middle, after, kernel), nn.ReLU(inplace=True)]
        else:
            grow = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
            layers = [grow, ConvRelu(before, middle), ConvRelu(middle, after)]
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Features of twice the height and width."""
        return self.block(x)


def deconv(before: int, after: int, kernel: int) -> nn.ConvTranspose2d:
    """A transposed convolution that doubles the resolution exactly; the kernel's side is 3 or 4."""
    return nn.ConvTranspose2d(before, after, kernel, stride=2, padding=1, output_padding=4 - kernel)


def kernel_of(upsample: str | None, arch: str, published: str, *, bilinear: bool = True) -> int:
    """The kernel that ``model.upsample`` names: 0 for bilinear; unset = as `published`.

    Raises:
        ModelError: for a way that the architecture does not have.
    """
    kernels = {"bilinear": 0} if bilinear else {}
    kernels |= {"deconv3": 3, "deconv4": 4}
    asked = upsample or published
    if asked == "deconv":
        asked = published if published.startswith("deconv") else "deconv4"
    if asked not in kernels:
        raise ModelError(
            f"{arch} does not have '{upsample}'",
            where="model.upsample",
            expected="one of: " + ", ".join(["deconv", *kernels]),
            remedy=f"leave it unset: {published}, as published",
        )
    return kernels[asked]
