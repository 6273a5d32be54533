"""The views of an image that are predicted beside it, and how a prediction is turned back."""

from __future__ import annotations

import torch
from torch import Tensor

from podium.recipe import View


def shown(images: Tensor, view: View) -> Tensor:
    """Images (N, C, H, W) as a view shows them; turned by one quarter or three they are (N, C, W, H)."""
    quarters, flipped = view
    if quarters % 2:
        return torch.rot90(images.flip(3) if flipped else images, quarters, (2, 3))
    axes = [axis for axis, wanted in ((2, quarters == 2), (3, (quarters == 2) != flipped)) if wanted]
    return images.flip(axes) if axes else images


def turned_back(probs: Tensor, view: View) -> Tensor:
    """Predictions of pixels of a view, (N, C, H, W), where the pixels of the image itself are."""
    quarters, flipped = view
    if quarters % 2:
        upright = torch.rot90(probs, -quarters, (2, 3))
        return upright.flip(3) if flipped else upright
    return shown(probs, view)  # which is its own inverse
