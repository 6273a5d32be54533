"""Mask files of every kind that competitions ship."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from podium.errors import DataError
from podium.formats.masks import mask_values, read_mask

TRUTH = np.zeros((5, 11), bool)
TRUTH[1:3, 4:9] = True
BLACK_WHITE = [0, 0, 0, 255, 255, 255]


def palette(mask, colours):
    image = Image.frombytes("P", mask.shape[::-1], np.ascontiguousarray(mask, np.uint8).tobytes())
    image.putpalette(colours + [0] * (768 - len(colours)))
    return image


def grey(mask, high):
    return Image.fromarray((mask * high).astype(np.uint16 if high > 255 else np.uint8))


def rgb(mask, colour):
    return Image.fromarray((mask[:, :, None] * np.array(colour)).astype(np.uint8))


CASES = {
    "palette.gif": (lambda: palette(TRUTH, BLACK_WHITE), ("0/1", "0/max")),
    "palette.png": (lambda: palette(TRUTH, BLACK_WHITE), ("0/1", "0/max")),
    "inverted.png": (lambda: palette(~TRUTH, BLACK_WHITE[::-1]), ("0/1", "0/max")),
    "voc-red.png": (lambda: palette(TRUTH, [0, 0, 0, 128, 0, 0]), ("0/1", "0/max")),
    "all-black palette.png": (lambda: palette(TRUTH, [0] * 6), ("0/1", "0/max")),
    "classes.png": (lambda: palette(TRUTH * 2, [0, 0, 0, 255, 0, 0, 255, 255, 0]), ("0/1", "0/max")),
    "one bit.png": (lambda: Image.fromarray(TRUTH), ("0/1", "0/max")),
    "8-bit 0-1.png": (lambda: grey(TRUTH, 1), ("0/1",)),
    "8-bit 0-255.png": (lambda: grey(TRUTH, 255), ("0/1", "0/max")),
    "16-bit 0-65535.png": (lambda: grey(TRUTH, 65535), ("0/1", "0/max")),
    "16-bit.tif": (lambda: grey(TRUTH, 65535), ("0/1", "0/max")),
    "rgb.png": (lambda: rgb(TRUTH, [255, 255, 255]), ("0/1", "0/max")),
    "rgb 0-1.png": (lambda: rgb(TRUTH, [1, 1, 1]), ("0/1",)),
    "rgba.png": (lambda: rgb(TRUTH, [255, 255, 255]).convert("RGBA"), ("0/1", "0/max")),
    "yellow.png": (lambda: rgb(TRUTH, [255, 255, 0]), ("0/1", "0/max")),
    "soft.jpg": (lambda: grey(np.kron(TRUTH, np.ones((16, 16))), 255), ("0/max",)),
}


@pytest.mark.parametrize("name", CASES)
def test_every_storage_reads_the_same(tmp_path, name):
    make, kinds = CASES[name]
    path = tmp_path / name
    make().save(path)
    for values in kinds:
        mask = read_mask(path, values)
        assert mask.dtype == np.bool_
        np.testing.assert_array_equal(mask[8::16, 8::16] if name.endswith("jpg") else mask, TRUTH)


def test_an_all_background_mask_with_an_inverted_palette_is_empty(tmp_path):
    palette(np.ones((4, 4)), BLACK_WHITE[::-1]).save(tmp_path / "a.png")
    assert not read_mask(tmp_path / "a.png", "0/1").any()


def test_mask_values(tmp_path):
    grey(TRUTH, 65535).save(tmp_path / "wide.png")
    grey(TRUTH, 1).save(tmp_path / "low.png")
    palette(TRUTH * 2, BLACK_WHITE).save(tmp_path / "p.gif")
    Image.fromarray(TRUTH).save(tmp_path / "bit.png")
    assert mask_values(tmp_path / "wide.png") == ((0, 65535), 65535)
    assert mask_values(tmp_path / "low.png") == ((0, 1), 255)
    assert mask_values(tmp_path / "bit.png") == ((0, 1), 1)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_truncated_mask_names_file_and_remedy(tmp_path, suffix):
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:-1500])
    with pytest.raises(DataError, match=r"cut\.(png|tif)(.|\n)*podium prepare --exclude-bad"):
        read_mask(path)
