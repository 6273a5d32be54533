"""Image files: every mode becomes RGB, and damage is never read as pixels."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from podium.errors import DataError
from podium.formats.images import decode, decode_image, image_facts, image_size, read_image

PIXELS = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (48, 70, 3), np.uint8), (0, 0), 3)


def jpeg(image=None, **options):
    buffer = io.BytesIO()
    (image or Image.fromarray(PIXELS)).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}, {"optimize": True}])
def test_jpeg_pixels_are_pillows(options):
    data = jpeg(**options)
    np.testing.assert_array_equal(decode_image(data), np.asarray(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_other_jpegs(mode):
    pixels = decode_image(jpeg(Image.fromarray(PIXELS).convert(mode)))
    assert pixels.shape == PIXELS.shape
    assert pixels.dtype == np.uint8
    if mode == "L":
        assert (pixels == pixels[:, :, :1]).all()


def test_camera_rotation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "turned.jpg").write_bytes(jpeg(exif=exif))
    assert read_image(tmp_path / "turned.jpg").shape == PIXELS.shape
    assert image_size(tmp_path / "turned.jpg") == (48, 70)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
def test_png_modes(tmp_path, mode):
    image = Image.fromarray(PIXELS).convert(mode)
    image.save(tmp_path / "a.png")
    pixels = read_image(tmp_path / "a.png")
    expected = image.convert("RGB") if mode in ("P", "1", "L", "LA") else Image.fromarray(PIXELS)
    np.testing.assert_array_equal(pixels, np.asarray(expected))


def test_alpha_is_dropped_not_blended(tmp_path):
    rgba = np.dstack([PIXELS, np.zeros((48, 70), np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), PIXELS)


def test_16_bit_becomes_8(tmp_path):
    Image.fromarray(np.array([[0, 255, 256, 65535]], np.uint16)).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png")[0, :, 0], [0, 0, 1, 255])
    facts = image_facts(tmp_path / "a.png")
    assert (facts.height, facts.width, facts.bits, facts.format) == (1, 4, 16, "PNG")


def _bomb():
    data = bytearray(_png())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


def _png():
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, "PNG")
    return buffer.getvalue()


DAMAGE = {
    "half.jpg": lambda: jpeg()[: len(jpeg()) // 2],
    "header only.jpg": lambda: jpeg()[:200],
    "progressive half.jpg": lambda: jpeg(progressive=True)[: len(jpeg()) // 2],
    "half.png": lambda: _png()[: len(_png()) // 2],
    "wrong checksum.png": lambda: _png()[:60] + b"\x00\x01\x02\x03" + _png()[64:],
    "empty.jpg": lambda: b"",
    "text.jpg": lambda: b"<html>404 not found</html>",
    "three bytes.jpg": lambda: b"\xff\xd8\xff",
    "bomb.png": _bomb,
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_a_data_error_that_names_the_file(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(DAMAGE[name]())
    with pytest.raises(DataError) as caught:
        read_image(path)
    assert caught.value.where == str(path)
    assert "--exclude-bad" in caught.value.remedy


def test_every_truncation_of_a_jpeg_is_noticed(tmp_path):
    data = jpeg()
    for n in range(4, len(data) - 16, 37):
        with pytest.raises(DataError):
            decode_image(data[:n], "x.jpg")


def test_folder_and_missing_file(tmp_path):
    with pytest.raises(DataError, match="folder"):
        read_image(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        image_size(tmp_path / "none.jpg")
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(DataError, match="not an image"):
        image_size(tmp_path / "text.png")


def bmp(indices, palette, bits, used=True):
    """A BMP file of 1, 4 or 8 bits a pixel; ``used``: whether its header says how many colours it has."""
    height, width = indices.shape
    planes = (indices[::-1, :, None] >> np.arange(bits)[::-1]) & 1
    packed = np.packbits(planes.reshape(height, -1).astype(np.uint8), axis=1)
    rows = b"".join(row.tobytes().ljust(-(-width * bits // 32) * 4, b"\0") for row in packed)
    colours = b"".join(bytes([b, g, r, 0]) for r, g, b in palette).ljust(0 if used else 4 << bits, b"\0")
    start = 54 + len(colours)
    head = struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start)
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, 0, len(rows), 0, 0, used * len(palette), 0)
    return head + info + colours + rows


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize(
    "palette",
    [
        [(0,) * 3, (255,) * 3],
        [(255,) * 3, (0,) * 3],
        [(0,) * 3, (128, 0, 0)],
        [(0,) * 3],
        [(i,) * 3 for i in range(16)],
    ],
    ids=["black and white", "white and black", "black and red", "black", "greys"],
)
def test_bmp_files_with_a_palette(palette, bits, used):
    """Pillow opens some of them as if their indices were pixels, so that a mask reads as empty."""
    if len(palette) > 1 << bits:
        pytest.skip("more colours than the bits can count")
    indices = np.random.default_rng(0).integers(0, len(palette), (7, 13))
    data = bmp(indices, palette, bits, used)
    np.testing.assert_array_equal(decode_image(data), np.array(palette, np.uint8)[indices])
    np.testing.assert_array_equal(decode(data, "a.bmp", np.asarray), indices)
    with pytest.raises(DataError):
        decode_image(data[: len(data) // 2])
