"""Image files as uint8 RGB pixels, strictly: a file that is cut off is an error, never a half-grey image."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image, UnidentifiedImageError

from podium.errors import DataError

Pixels = npt.NDArray[np.uint8]
T = TypeVar("T")

REMEDY = "download it again, or exclude it: podium prepare --exclude-bad"

# Whatever Pillow's readers let through on damaged files, beside OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


@dataclass(frozen=True)
class ImageFacts:
    """What an image file's header says.

    Attributes:
        height: In pixels, as stored (a camera's rotation flag is not applied).
        width: In pixels.
        mode: Pillow's name of the pixel format: "RGB", "L", "P", "I;16", …
        bits: Bits of one channel: 1, 8, 16 or 32.
        format: "JPEG", "PNG", "GIF", …
    """

    height: int
    width: int
    mode: str
    bits: int
    format: str


def read_image(path: Path) -> Pixels:
    """The pixels of an image file, uint8 of shape (H, W, 3), RGB.

    Grey becomes RGB, transparency is dropped, 16 bits become 8, and a camera's rotation flag is not applied.

    Raises:
        DataError: naming the file and the cause, if it is missing, empty, no image or cut off.
    """
    return decode_image(read_bytes(path), path)


def decode_image(data: bytes, where: str | Path = "") -> Pixels:
    """The pixels of an image file's content, as `read_image`; ``where`` is the name for errors."""
    if data[:3] == b"\xff\xd8\xff":
        try:
            return _decode_jpeg(data)
        except ValueError:  # CMYK, or damaged: Pillow reads the first and words the second
            pass
    return decode(data, where, _rgb)


def image_size(path: Path) -> tuple[int, int]:
    """(height, width) from the header alone.

    Raises:
        DataError: if there is no image header.
    """
    facts = image_facts(path)
    return facts.height, facts.width


def image_facts(path: Path) -> ImageFacts:
    """What the header says; the pixels are not read.

    Raises:
        DataError: if there is no image header.
    """
    _require_file(path)
    try:
        with Image.open(path) as image:
            bits = {"1": 1, "I": 32, "F": 32}.get(image.mode, 16 if image.mode.startswith("I;16") else 8)
            return ImageFacts(image.height, image.width, image.mode, bits, image.format or "")
    except _DAMAGE as error:
        raise damaged(error, path) from None


def read_bytes(path: Path) -> bytes:
    """The content of a file of the data folder.

    Raises:
        DataError: if it is missing, a folder, empty or cannot be read.
    """
    _require_file(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path, remedy=REMEDY) from None


def decode(data: bytes, where: str | Path, read: Callable[[Image.Image], T]) -> T:
    """``read`` applied to the image that ``data`` holds, with every sign of damage as a DataError."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            return read(image)
    except _DAMAGE as error:
        raise damaged(error, where) from None


def damaged(error: Exception, where: str | Path) -> DataError:
    """The clear form of what an image reader raised."""
    if isinstance(error, UnidentifiedImageError):
        return DataError("not an image (or of a kind that Pillow cannot read)", where=where, remedy=REMEDY)
    if isinstance(error, Image.DecompressionBombError):
        return DataError(
            "the header promises more pixels than is safe to decode",
            where=where,
            expected=f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels",
            remedy=REMEDY,
        )
    cause = str(error) or type(error).__name__
    return DataError(f"the image cannot be decoded ({cause})", where=where, remedy=REMEDY)


def _require_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise DataError("a folder, not an image file", where=path)
        if path.stat().st_size == 0:
            raise DataError("the file is empty (0 bytes)", where=path, remedy=REMEDY)
    except FileNotFoundError:
        raise DataError("no such file", where=path, remedy=REMEDY) from None
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=path, remedy=REMEDY) from None


def _decode_jpeg(data: bytes) -> Pixels:
    """simplejpeg's pixels, five times as fast as Pillow's and equal to them; ValueError if it has any doubt."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    if height * width > 2 * (Image.MAX_IMAGE_PIXELS or height * width):
        raise ValueError("left to Pillow, which refuses it")
    pixels: Pixels = simplejpeg.decode_jpeg(data, "RGB", strict=True)
    return pixels


def _rgb(image: Image.Image) -> Pixels:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        wide: npt.NDArray[Any] = np.asarray(image)
        grey = (wide >> 8).clip(0, 255) if image.mode != "I" or wide.max() > 255 else wide.clip(0, 255)
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))
