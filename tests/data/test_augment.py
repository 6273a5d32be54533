"""Random changes: exact where they can be, the mask always moving with the image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.data.augment import _geometry, augment
from podium.data.geometry import Canvas, canvas_for, place
from podium.recipe import AugmentConfig

NOTHING = {"hflip": 0, "vflip": 0, "shift": 0, "scale": 0, "rotate": 0, "brightness": 0, "contrast": 0, "saturation": 0}


def config(**changes):
    return AugmentConfig.from_tree(NOTHING | changes)


def sample(h, w, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (h, w, 3), dtype=np.uint8), rng.integers(0, 2, (h, w), dtype=np.uint8)


def run(settings_, canvas, image, mask, seed=0):
    return augment(settings_, canvas, np.random.default_rng(seed), image, mask)


@pytest.mark.parametrize("shape", [(32, 64), (33, 41), (1, 5)])
def test_identity_settings_return_the_exact_image_padded(shape):
    image, mask = sample(*shape)
    canvas = canvas_for(shape, 32)
    out, out_mask = run(config(), canvas, image, mask)
    assert (out == place(image, canvas.height, canvas.width)).all()
    assert (out_mask == place(mask, canvas.height, canvas.width)).all()


@pytest.mark.parametrize(
    ("flips", "step"),
    [({"hflip": 1}, np.s_[:, ::-1]), ({"vflip": 1}, np.s_[::-1]), ({"hflip": 1, "vflip": 1}, np.s_[::-1, ::-1])],
)
def test_flips_are_exact(flips, step):
    image, mask = sample(32, 64)
    out, out_mask = run(config(**flips), Canvas(32, 64), image, mask)
    assert (out == image[step]).all()
    assert (out_mask == mask[step]).all()


def test_a_flip_within_a_warp_is_a_flip():
    image, mask = sample(32, 64)
    warp = config(hflip=1, vflip=1, rotate=1e-9, warp=1)
    out, out_mask = run(warp, Canvas(32, 64), image, mask)
    assert (out == image[::-1, ::-1]).all()
    assert (out_mask == mask[::-1, ::-1]).all()


@pytest.mark.parametrize("crop", [False, True])
@pytest.mark.parametrize("shape", [(96, 128), (97, 131), (60, 200)])
def test_the_mask_moves_with_the_image(shape, crop):
    h, w = shape
    y, x = np.mgrid[:h, :w]
    mask = ((((y - h * 0.45) / (h * 0.3)) ** 2 + ((x - w * 0.4) / (w * 0.25)) ** 2 <= 1) & (x + y > h * 0.5)).astype(
        "u1"
    )
    image = np.repeat(mask[:, :, None] * np.uint8(255), 3, axis=2)
    canvas = Canvas(96, 96, crop=True) if crop else canvas_for(shape, 32)
    wild = config(hflip=0.5, vflip=0.5, shift=0.2, scale=0.4, rotate=90, warp=0.9)
    moved = 0
    for seed in range(60):
        out, out_mask = run(wild, canvas, image, mask, seed)
        assert out.shape == (canvas.height, canvas.width, 3)
        assert set(np.unique(out_mask)) <= {0, 1}
        seen, told = out[:, :, 0] > 127, out_mask > 0
        assert (seen & told).sum() > 0.9 * (seen | told).sum()
        moved += not np.array_equal(told, place(mask, canvas.height, canvas.width) > 0) if not crop else 1
    assert moved > 50


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 999))
@settings(max_examples=100)
def test_a_crop_lies_within_the_image(h, w, seed):
    canvas = Canvas(32, 32, crop=True)
    _, (top, left, *_) = _geometry(config(), canvas, np.random.default_rng(seed).random(13), (h, w))
    assert 0 <= top <= max(h - 32, 0)
    assert 0 <= left <= max(w - 32, 0)
    image = np.arange(h * w, dtype=np.int64).reshape(h, w)
    image = np.stack([image // 65536, image // 256 % 256, image % 256], 2).astype(np.uint8)
    out, out_mask = run(config(), canvas, image, image[:, :, 2] & 1, seed)
    assert out.shape == (32, 32, 3)
    assert (out_mask == out[:, :, 2] & 1).all()
    if h >= 32 and w >= 32:
        assert (out == image[top : top + 32, left : left + 32]).all()


def test_crops_reach_every_corner():
    draws = np.full(13, 0.999999)
    assert _geometry(config(), Canvas(32, 32, crop=True), draws, (40, 50))[1][:2] == (8, 18)
    assert _geometry(config(), Canvas(32, 32, crop=True), np.zeros(13), (40, 50))[1][:2] == (0, 0)


@pytest.mark.parametrize("seed", range(8))
def test_a_warp_turns_zooms_and_flips_without_shear_and_within_its_bounds(seed):
    wild = config(hflip=0.5, vflip=0.5, shift=0.2, scale=0.4, rotate=30, warp=1)
    draws = np.random.default_rng(seed).random(13)
    matrix, _ = _geometry(wild, Canvas(64, 96), draws, (60, 90))
    linear = matrix[:, :2]
    gram = linear.T @ linear
    assert np.allclose(gram, gram[0, 0] * np.eye(2))
    assert 1 / 1.4 <= gram[0, 0] ** 0.5 <= 1 / 0.6
    flips = np.diag([-1 if draws[0] < 0.5 else 1, -1 if draws[1] < 0.5 else 1])
    turn = (linear @ flips) / gram[0, 0] ** 0.5
    assert abs(np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))) <= 30
    off = matrix @ [47.5, 31.5, 1] - [44.5, 29.5]
    assert (np.abs(off) <= [0.2 * 96, 0.2 * 64]).all()


def test_one_setting_does_not_reshuffle_the_others():
    image, mask = sample(64, 64)
    for seed in range(10):
        _, plain = run(config(hflip=0.5, shift=0.2, warp=0.5), Canvas(64, 64), image, mask, seed)
        _, coloured = run(config(hflip=0.5, shift=0.2, warp=0.5, brightness=0.5), Canvas(64, 64), image, mask, seed)
        assert (plain == coloured).all()


@pytest.mark.parametrize("setting", ["brightness", "contrast", "saturation"])
def test_colour_changes_the_image_and_not_the_mask(setting):
    image, mask = sample(32, 32)
    out, out_mask = run(config(**{setting: 0.5, "colour": 1}), Canvas(32, 32), image, mask)
    assert not (out == image).all()
    assert (out_mask == mask).all()
    off, _ = run(config(**{setting: 0.5, "colour": 0}), Canvas(32, 32), image, mask)
    assert (off == image).all()


def test_colour_is_the_same_function_with_and_without_saturation():
    image, mask = sample(32, 32)
    table, _ = run(config(brightness=0.3, contrast=0.3, colour=1), Canvas(32, 32), image, mask, 3)
    matrix, _ = run(config(brightness=0.3, contrast=0.3, saturation=1e-9, colour=1), Canvas(32, 32), image, mask, 3)
    assert np.abs(table.astype(int) - matrix).max() <= 1


def test_saturation_leaves_grey_grey():
    grey = np.repeat(sample(32, 32)[0][:, :, :1], 3, axis=2)
    out, _ = run(config(saturation=0.9, colour=1), Canvas(32, 32), grey, sample(32, 32)[1])
    assert np.abs(out.astype(int) - grey).max() <= 1


def test_the_source_is_never_written_to():
    image, mask = sample(48, 48)
    image.flags.writeable = mask.flags.writeable = False
    before = image.copy(), mask.copy()
    for seed in range(10):
        run(AugmentConfig(saturation=0.5), Canvas(48, 48), image, mask, seed)
    assert (image == before[0]).all()
    assert (mask == before[1]).all()
