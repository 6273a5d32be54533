"""Images with the channels and bits that their files have, and training on 16 bits."""

import cv2
import numpy as np
import pytest
from augment_settings import COLOURS, EFFECTS, MOVES, config, run
from PIL import Image

from podium.data.geometry import Canvas
from podium.data.loader import TrainLoader
from podium.data.store import Item, build_store
from podium.errors import ConfigError, DataError
from podium.formats.images import as_rgb, read_image, read_pixels
from podium.recipe import InputConfig, Recipe

RNG = np.random.default_rng(0)
DEEP = RNG.integers(0, 65536, (9, 11, 4)).astype(np.uint16)
EIGHT = RNG.integers(0, 256, (9, 11, 4)).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("grey.png", EIGHT[:, :, :1]),
        ("rgb.png", EIGHT[:, :, :3]),
        ("rgba.png", EIGHT),
        ("rgba.tif", EIGHT),
        ("deep.png", DEEP[:, :, :1]),
        ("deep.tif", DEEP[:, :, :1]),
        ("deep_rgb.png", DEEP[:, :, :3]),
        ("deep_rgba.png", DEEP),
        ("deep_rgb.tif", DEEP[:, :, :3]),
    ],
)
def test_channels_and_bits_are_those_of_the_file(tmp_path, name, pixels):
    path, channels = tmp_path / name, pixels.shape[2]
    cv2.imwrite(str(path), pixels if channels == 1 else pixels[:, :, [2, 1, 0, 3][:channels]])
    told = read_pixels(path)
    assert told.dtype == pixels.dtype
    assert (told == pixels).all()
    if channels > 1 or pixels.dtype == np.uint8:
        assert np.abs(as_rgb(told).astype(int) - read_image(path)).max() <= 1  # Pillow rounds, or cuts off
    else:
        assert (as_rgb(told) == read_image(path)).all()


def test_grey_with_transparency_has_two_channels_and_a_palette_its_colours(tmp_path):
    Image.fromarray(EIGHT[:, :, :2], "LA").save(tmp_path / "la.png")
    assert (read_pixels(tmp_path / "la.png") == EIGHT[:, :, :2]).all()
    Image.fromarray(EIGHT[:, :, :3]).convert("P").save(tmp_path / "p.png")
    assert (read_pixels(tmp_path / "p.png") == read_image(tmp_path / "p.png")).all()
    Image.fromarray(EIGHT[:, :, 0]).save(tmp_path / "grey.jpg")
    assert read_pixels(tmp_path / "grey.jpg").shape == (9, 11, 1)


@pytest.mark.parametrize("name", ["deep_rgb.png", "deep.tif", "rgb.png"])
@pytest.mark.parametrize("cut", [20, 60, 90])
def test_damage_is_an_error_of_ours(tmp_path, name, cut):
    cv2.imwrite(str(tmp_path / name), DEEP[:, :, :3] if "rgb" in name else DEEP[:, :, 0])
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[:cut])
    with pytest.raises(DataError):
        read_pixels(tmp_path / name)


def test_what_needs_rgb_is_refused_with_other_channels():
    with pytest.raises(ConfigError, match='stain works on three channels of 8 bits: with it, channels = "rgb"'):
        InputConfig.from_tree({"channels": "file", "stain": "macenko"})


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", [*MOVES, *COLOURS, *EFFECTS])
def test_16_bits_are_augmented_as_8_are(channels, name):
    """An image whose 16 bits say what 8 bits can: the variants agree to a level or two."""
    eight = cv2.GaussianBlur(RNG.integers(0, 256, (48, 48, 4), np.uint8), (0, 0), 2)[:, :, :channels]
    change = config(**{**MOVES, **COLOURS, **EFFECTS}[name])
    for canvas in (Canvas(48, 48), Canvas(32, 32, crop=True)):
        small, mask = run(change, canvas, eight, eight[:, :, 0] & 1)
        wide, other = run(change, canvas, eight.astype(np.uint16) * 257, eight[:, :, 0] & 1)
        assert wide.dtype == np.uint16
        assert wide.shape == small.shape
        assert (mask == other).all()
        if name not in ("noise", "clahe"):  # drawn otherwise; bins are finer
            assert np.abs(wide / 257 - small).max() <= 4


def test_batches_of_16_bits_and_mixed_channels(tmp_path):
    images = build_store(tmp_path / "i", ["a", "b"], lambda id: Item(id, DEEP[:, :, :1], {}), what="i")
    masks = build_store(tmp_path / "m", ["a", "b"], lambda id: Item(id, EIGHT[:, :, 0] > 99, {}), what="m")
    plain = Recipe().with_overrides(
        {"input": {"pad_to": 1}, "augment": {"hflip": 0, "warp": 0, "colour": 0}, "train": {"batch_size": 2}}
    )
    (batch,) = TrainLoader(images, masks, [0, 1], plain).epoch(0, 0)
    assert batch.images.dtype == np.uint16
    assert (batch.images == DEEP[:, :, :1]).all()
    assert (batch.masks == (EIGHT[:, :, 0] > 99)).all()
    several = {"a": DEEP[:, :, :1], "b": EIGHT[:, :, :3]}
    mixed = build_store(tmp_path / "x", ["a", "b"], lambda id: Item(id, several[id], {}), what="x")
    with pytest.raises(DataError, match="different channels: 1 of 16 bits, 3 of 8 bits"):
        TrainLoader(mixed, masks, [0, 1], plain)
