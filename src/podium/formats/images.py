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


def read_pixels(path: Path) -> npt.NDArray[Any]:
    """The pixels of an image file as it has them: uint8 or uint16 (H, W, C), C from 1 to 4.

    Grey is one channel, grey with transparency two, RGB three, RGB with transparency four. A palette becomes its
    colours, CMYK becomes RGB, and a camera's rotation flag is not applied.

    Raises:
        DataError: as `read_image`.
    """
    data = read_bytes(path)
    if data[:3] == b"\xff\xd8\xff":
        pixels = decode_image(data, path)
        return pixels[:, :, :1] if image_facts(path).mode == "L" else pixels
    deep = _deep(data, path)
    return decode(data, path, _as_it_is) if deep is None else deep


def as_rgb(pixels: npt.NDArray[Any]) -> Pixels:
    """What `read_pixels` gives as uint8 (H, W, 3): 16 bits become 8, grey becomes RGB, transparency is dropped."""
    eight = (pixels >> 8).astype(np.uint8) if pixels.dtype == np.uint16 else pixels
    if eight.size and (eight.ndim == 2 or eight.shape[2] < 3):
        return np.repeat(eight.reshape(*eight.shape[:2], -1)[:, :, :1], 3, axis=2)
    return np.asarray(eight[:, :, :3])


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
    return read_header(path, _facts)


def read_header(path: Path, read: Callable[[Image.Image], T]) -> T:
    """``read`` applied to an image file whose pixels are not decoded, with every sign of damage as a DataError."""
    _require_file(path)
    try:
        with Image.open(path) as image:
            return read(image)
    except _DAMAGE as error:
        raise damaged(error, path) from None


def _facts(image: Image.Image) -> ImageFacts:
    bits = {"1": 1, "I": 32, "F": 32}.get(image.mode, 16 if image.mode.startswith("I;16") else 8)
    return ImageFacts(image.height, image.width, image.mode, bits, image.format or "")


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
        with _opened(data) as image:
            image.load()
            return read(image)
    except _DAMAGE as error:
        raise damaged(error, where) from None


def _opened(data: bytes) -> Image.Image:
    """Pillow's image of ``data``, also of a BMP file that it would misread.

    A BMP file of 8 or 4 bits a pixel whose palette is black and white, or a ramp of greys, is opened by Pillow as if
    its pixels were not indices (mode 1, or L): such a mask reads as empty. With a palette that is no ramp it is read
    right, so it is opened with one such colour, and gets its own palette back.
    """
    image = Image.open(io.BytesIO(data))
    if image.format != "BMP" or image.mode not in ("1", "L"):
        return image
    header = int.from_bytes(data[14:18], "little")
    bits = data[24 if header == 12 else 28]
    if (image.mode, bits) in (("1", 1), ("L", 8)):
        return image
    blue = 14 + header
    image = Image.open(io.BytesIO(data[:blue] + bytes([data[blue] ^ 1]) + data[blue + 1 :]))
    image.load()
    palette = image.getpalette("RGB") or []
    palette[2] ^= 1  # kept as RGB here, as blue, green, red in the file
    image.putpalette(palette)
    return image


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


def _deep(data: bytes, where: Path) -> npt.NDArray[Any] | None:
    """Several channels of 16 bits, of which Pillow would drop the lower eight; None for any other image."""
    png = data[:8] == b"\x89PNG\r\n\x1a\n" and data[24:26] in (b"\x10\x02", b"\x10\x06")
    if not (png or data[:4] in (b"II*\0", b"MM\0*")):
        return None
    import cv2

    if decode(data, where, lambda image: image.mode) not in ("RGB", "RGBA"):  # Pillow finds what is damaged
        return None
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        return None
    return np.ascontiguousarray(pixels[:, :, [2, 1, 0, 3][: pixels.shape[2]]])


def _as_it_is(image: Image.Image) -> npt.NDArray[Any]:
    if image.mode.startswith("I"):
        wide: npt.NDArray[Any] = np.asarray(image)
        if wide.min() < 0 or wide.max() > 65535:
            raise ValueError(f"values from {wide.min()} to {wide.max()}; 8 and 16 bits can be read")
        return wide.astype(np.uint16)[:, :, None]
    if image.mode in ("1", "L"):
        return np.array(image.convert("L"))[:, :, None]
    return np.array(image) if image.mode in ("LA", "RGB", "RGBA") else _rgb(image)


def _rgb(image: Image.Image) -> Pixels:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range; convert it to 8 or 16 bits")
    if image.mode.startswith("I"):
        wide: npt.NDArray[Any] = np.asarray(image)
        grey = (wide >> 8).clip(0, 255) if image.mode != "I" or wide.max() > 255 else wide.clip(0, 255)
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    return np.array(image.convert("RGB"))
