"""Several images of one sample as one picture, side by side: every network can look at it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from podium.data.geometry import Canvas

Pixels = NDArray[np.uint8]


class Images(Protocol):
    """Where whole images come from: a store, or files decoded as they are needed."""

    def __len__(self) -> int: ...

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of image ``i`` at the input size, without decoding it."""

    def image(self, i: int) -> Pixels:
        """Image ``i``, uint8 (H, W, C)."""


class Source(Images, Protocol):
    """Where training reads images from: as `Images`, and it knows their ids."""

    @property
    def ids(self) -> Sequence[str]:
        """Every id, in order."""


def grid(n: int) -> tuple[int, int]:
    """(down, across) of the pictures side by side that several images of a sample become."""
    across = math.ceil(math.sqrt(n))
    return math.ceil(n / across), across


def montage(pictures: Sequence[Pixels]) -> Pixels:
    """Pictures of one shape, (H, W) or (H, W, C), side by side in a `grid`, the rest of which is 0."""
    (down, across), (h, w) = grid(len(pictures)), pictures[0].shape[:2]
    out = np.zeros((down * h, across * w, *pictures[0].shape[2:]), pictures[0].dtype)
    for k, picture in enumerate(pictures):
        y, x = k // across * h, k % across * w
        out[y : y + h, x : x + w] = picture
    return out


class Montages:
    """The images of several views, as one picture a sample; each view fills a frame of the size of the largest."""

    def __init__(self, views: Sequence[Images], canvas: Callable[[tuple[int, int]], Canvas]) -> None:
        self.views, self.canvas = list(views), canvas

    def __len__(self) -> int:
        return len(self.views[0])

    def _frame(self, i: int) -> tuple[int, int]:
        frames = [self.canvas(view.shape(i)) for view in self.views]
        return max(f.height for f in frames), max(f.width for f in frames)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of the whole picture."""
        (down, across), (h, w) = grid(len(self.views)), self._frame(i)
        return down * h, across * w

    def image(self, i: int) -> Pixels:
        """The whole picture, uint8 (H, W, C)."""
        h, w = self._frame(i)
        frame = self.canvas((h, w))
        return montage([frame.place(view.image(i)) for view in self.views])


class NoMasks:
    """Masks of images whose targets are values: all background, as a store of label maps has them."""

    def __init__(self, images: Images) -> None:
        self.images, self.kinds = images, ["labels"] * len(images)

    def __len__(self) -> int:
        return len(self.images)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of image ``i``."""
        return self.images.shape(i)

    def raw(self, i: int) -> Pixels:
        """Nothing of image ``i``, uint8 (H, W)."""
        return np.zeros(self.shape(i), np.uint8)
