"""What `[input]` does to an image once, before it is stored: crop, resize, stains, contrast, background; and back.

Padding is no part of it: the store holds images without, and `Preprocess.canvas` is the frame they are batched in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.data.geometry import AS_IT_IS, Canvas, Pad, Pixels, Shape, Side, Spatial, canvas_for, mask_at
from podium.data.stain import macenko
from podium.errors import DataError
from podium.formats import images, masks
from podium.recipe import InputConfig

Input = InputConfig | Sequence[int] | None
"""`[input]` as a whole, or only its size."""


@dataclass(frozen=True)
class Preprocess:
    """The steps that `[input]` asks for, in this order: crop, resize, stain, CLAHE, mask-out, grey.

    Attributes:
        spatial: The steps that move pixels, with their inverse.
        clahe: (clip limit, tiles a side) of local histogram equalisation.
        stain: Stain normalisation.
        mask_out: "otsu", "otsu dark", "otsu light", or a pattern of mask files below ``root``: the rest becomes black.
        grey: Whether all three channels get the luminance.
        native: Whether channels and bits stay as the file has them.
        pad_to, pad, side: How images are padded to batches.
        root: The workspace's folder.
    """

    spatial: Spatial = AS_IT_IS
    clahe: tuple[float, int] | None = None
    stain: Literal["macenko"] | None = None
    mask_out: str | None = None
    grey: bool = False
    native: bool = False
    pad_to: int = 32
    pad: Pad = "reflect"
    side: Side = "both"
    root: Path = field(default=Path(), compare=False)

    @classmethod
    def of(cls, given: Input | Preprocess, root: Path | None = None) -> Preprocess:
        """The pre-processing of a recipe's `[input]`, or of an input size alone."""
        if isinstance(given, Preprocess):
            return given
        if not isinstance(given, InputConfig):
            return cls(Spatial(size=(given[0], given[1])) if given else AS_IT_IS, root=root or Path())
        config, size = given, (given.size[0], given.size[1]) if given.size else None
        return cls(
            spatial=Spatial(config.crop_box, config.crop_centre, size, config.keep_aspect),
            clahe=(config.clahe[0], int(config.clahe[1])) if config.clahe else None,
            stain=config.stain,
            mask_out=config.mask_out,
            grey=config.channels == "grey",
            native=config.channels == "file",
            pad_to=config.pad_to,
            pad=config.pad,
            side=config.pad_side,
            root=root or Path(),
        )

    def image(self, image: Pixels, id: str = "") -> Pixels:
        """An image as the network is to see it, without padding.

        Args:
            image: uint8 (H, W, 3); as `images.read_pixels` gives it, where channels stay as they are.
            id: Its sample's id, for the mask that belongs to it.

        Raises:
            DataError: if the crop does not lie within the image or its mask cannot be used.
        """
        out = self.spatial.image(image)
        keep = self._foreground(out, (image.shape[0], image.shape[1]), id) if self.mask_out else None
        if self.stain:
            out = macenko(out)
        if self.clahe:
            out = clahe(out, *self.clahe)
        if keep is not None:
            out = out * keep[:, :, None]
        if self.grey:
            out = np.repeat(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2)
        return out

    def mask(self, mask: NDArray[Any], kind: Literal["binary", "labels"] = "binary") -> NDArray[Any]:
        """A mask where its image's pixels went; see `Spatial.mask`."""
        return self.spatial.mask(mask, kind)

    def restore(self, probs: NDArray[Any], original: Shape) -> NDArray[Any]:
        """Predictions put back to the size of the original image; see `Spatial.restore`."""
        return self.spatial.restore(probs, original)

    def mask_at(self, probs: Pixels, original: Shape, threshold: float | Sequence[float]) -> NDArray[np.bool_]:
        """The mask at an image's original size; see `geometry.mask_at`."""
        return mask_at(probs, original, threshold, self.spatial)

    def canvas(self, shape: Shape, train_crop: int | None = None) -> Canvas:
        """The frame in which pre-processed images of ``shape`` are batched."""
        size = self.spatial.size
        if size and self.spatial.keep_aspect and not train_crop:
            shape = size
        return canvas_for(shape, self.pad_to, train_crop, pad=self.pad, side=self.side)

    def mask_settings(self) -> dict[str, object]:
        """What of the settings a pre-processed mask depends on."""
        s = self.spatial
        crop: object = list(s.crop) if s.crop else f"centre {s.centre[0]} {s.centre[1]}" if s.centre else None
        size = list(s.size) if s.size else None
        return {"size": size} | ({"crop": crop} if crop else {}) | ({"keep_aspect": True} if s.keep_aspect else {})

    def image_settings(self) -> dict[str, object]:
        """What of the settings a pre-processed image depends on."""
        steps: dict[str, object] = {"stain": self.stain, "mask_out": self.mask_out, "grey": self.grey or None}
        steps["channels"] = "file" if self.native else None
        steps["clahe"] = list(self.clahe) if self.clahe else None
        return self.mask_settings() | {k: v for k, v in steps.items() if v is not None}

    def mask_file(self, id: str) -> Path | None:
        """The file that says what of a sample's image is kept, if there is one for each sample."""
        if self.mask_out is None or "{id}" not in self.mask_out:
            return None
        return self.root / self.mask_out.replace("{id}", id)

    def _foreground(self, image: Pixels, original: Shape, id: str) -> NDArray[np.bool_]:
        file = self.mask_file(id)
        if file is None:
            return otsu_foreground(image, str(self.mask_out).removeprefix("otsu").strip())
        mask = masks.read_mask(file)
        if mask.shape != original:
            raise DataError(
                f"mask is {mask.shape[1]}x{mask.shape[0]}, its image {original[1]}x{original[0]}",
                where=file,
                expected="a mask of the image's size, light where the image is to be kept",
            )
        return np.asarray(self.spatial.mask(mask))


def clahe(image: Pixels, clip: float, tiles: int) -> Pixels:
    """Contrast-limited adaptive histogram equalisation of the luma (YUV); the colours stay.

    Args:
        image: uint8 (H, W, 3), RGB.
        clip: How many times the mean of its histogram's bins a bin may count.
        tiles: Tiles a side, each equalised by itself.
    """
    yuv = cv2.cvtColor(image, cv2.COLOR_RGB2YUV)
    equalise = cv2.createCLAHE(clipLimit=clip, tileGridSize=(tiles, tiles))  # one a call: it is not safe in threads
    yuv[:, :, 0] = equalise.apply(yuv[:, :, 0])
    return np.asarray(cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB))


def otsu_foreground(image: Pixels, keep: str = "") -> NDArray[np.bool_]:
    """What stands out from the background, holes filled: (H, W).

    Otsu's threshold splits the luminance in two. An image of one shade is all foreground.

    Args:
        image: uint8 (H, W, 3), RGB.
        keep: "dark" or "light" says which part is the foreground; "" = not the one that most of the image's edge is.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (5, 5), 0)
    if grey.min() == grey.max():
        return np.ones(grey.shape, np.bool_)
    _, light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    edge = np.concatenate([light[0], light[-1], light[1:-1, 0], light[1:-1, -1]])
    if keep == "dark" or (not keep and edge.mean() > 0.5):
        light = 1 - light
    outlines, _ = cv2.findContours(light, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(np.zeros_like(light), outlines, -1, 1, cv2.FILLED) > 0)


def image_shape(path: Path, preprocess: Preprocess) -> Shape:
    """(height, width) that an image file gets; only its header is read."""
    return preprocess.spatial.shape(images.image_size(path))
