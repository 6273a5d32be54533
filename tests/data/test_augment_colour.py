"""Random changes of colour, the costlier ones, and mixing: each what it is called, and a function of its seed."""

import numpy as np
import pytest
from augment_settings import COLOURS, EFFECTS, MIXED, config, run, sample

from podium.data.augment import mix, partners
from podium.data.augment.colour import hue_matrix
from podium.data.augment.effects import NORMAL, motion_kernel
from podium.data.geometry import Canvas
from podium.recipe import PARTS

# ---------------------------------------------------------------------- colour and effects


@pytest.mark.parametrize("name", [*COLOURS, *EFFECTS])
def test_colour_and_effects_change_the_image_and_not_the_mask(name):
    image, mask = sample(32, 32)
    out, out_mask = run(config(**{**COLOURS, **EFFECTS}[name]), Canvas(32, 32), image, mask)
    assert not (out == image).all()
    assert (out_mask == mask).all()
    if name in PARTS:
        off, _ = run(config(**COLOURS[name] | {"colour": 0}), Canvas(32, 32), image, mask)
        assert (off == image).all()


@pytest.mark.parametrize("name", COLOURS)
def test_colour_may_change_one_side_of_the_mask_only(name):
    image, mask = sample(32, 32)
    mask[:4] = 255
    change = COLOURS[name]
    everywhere, _ = run(config(**change), Canvas(32, 32), image, mask)
    front, _ = run(config(**change, colour_where="foreground"), Canvas(32, 32), image, mask)
    back, _ = run(config(**change, colour_where="background"), Canvas(32, 32), image, mask)
    car, road = mask == 1, mask == 0
    assert (front[car] == everywhere[car]).all()
    assert (front[~car] == image[~car]).all()
    assert (back[road] == everywhere[road]).all()
    assert (back[~road] == image[~road]).all()


def test_colour_is_the_same_function_with_and_without_saturation():
    image, mask = sample(32, 32)
    plain = {"brightness": 0.3, "contrast": 0.3, "gamma": 0.5, "value": 0.2}
    table, _ = run(config(**plain), Canvas(32, 32), image, mask, 3)
    matrix, _ = run(config(**plain, saturation=1e-9), Canvas(32, 32), image, mask, 3)
    assert np.abs(table.astype(int) - matrix).max() <= 2


@pytest.mark.parametrize("name", ["saturation", "hue", "grey", "shuffle"])
def test_grey_stays_grey(name):
    grey = np.repeat(sample(32, 32)[0][:, :, :1], 3, axis=2)
    out, _ = run(config(**COLOURS[name]), Canvas(32, 32), grey, sample(32, 32)[1])
    assert np.abs(out.astype(int) - grey).max() <= 1


def test_colours_are_what_they_are_called():
    image, mask = sample(32, 32)
    out, _ = run(config(grey=1), Canvas(32, 32), image, mask)
    assert np.abs(out[:, :, 0] - image @ [0.299, 0.587, 0.114]).max() <= 1
    out, _ = run(config(shuffle=1), Canvas(32, 32), image, mask)
    assert (np.sort(out, 2) == np.sort(image, 2)).all()
    assert np.allclose(hue_matrix(120), [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert np.allclose(hue_matrix(37) @ hue_matrix(37).T, np.eye(3))


def test_noise_has_the_size_asked_for_and_no_bias():
    assert NORMAL.std() == pytest.approx(1, abs=0.02)
    flat = np.full((200, 200, 3), 128, np.uint8)
    spread = [run(config(noise=1, noise_size=0.1), Canvas(200, 200), flat, flat[:, :, 0], s)[0] for s in range(20)]
    assert max(abs(s.mean() - 128) for s in spread) < 0.5
    assert 0.01 * 255 * 0.9 < min(s.std() for s in spread) < max(s.std() for s in spread) <= 0.1 * 255 * 1.05


@pytest.mark.parametrize("angle", [0, 0.6, np.pi / 2, 2.5])
def test_a_motion_kernel_is_a_line_through_the_middle(angle):
    kernel = motion_kernel(9, angle)
    assert kernel.sum() == pytest.approx(1)
    y, x = np.mgrid[: len(kernel), : len(kernel)] - (len(kernel) - 1) / 2
    assert (kernel * x).sum() == pytest.approx(0, abs=0.15)
    assert (kernel * y).sum() == pytest.approx(0, abs=0.15)
    assert (kernel * np.abs(y * np.cos(angle) - x * np.sin(angle))).sum() < 0.5


def test_holes_are_no_more_and_no_larger_than_asked_for():
    image = np.zeros((100, 100, 3), np.uint8)
    for seed in range(10):
        out, _ = run(
            config(dropout=1, dropout_holes=3, dropout_size=0.1), Canvas(100, 100), image, image[:, :, 0], seed
        )
        assert 0 < (out[:, :, 0] == 127).sum() <= 300


# ---------------------------------------------------------------------- mixing


def mixed(settings_, seed=0):
    """Own sample 10 with label 1 on the left half; the partners 50, 90 and 130, with labels 2, 3, 4 there."""
    half = np.zeros((40, 60), np.uint8)
    half[:, :30] = 1
    pairs = [(np.full((40, 60, 3), 10 + 40 * k, np.uint8), half * np.uint8(k + 1)) for k in range(4)]
    found = partners(settings_, np.random.default_rng(seed))
    return mix(settings_, found, pairs[0], lambda k: pairs[k + 1]), pairs


@pytest.mark.parametrize("name", ["cutmix", "mosaic", "copy_paste"])
def test_pixels_and_labels_come_from_the_same_sample(name):
    for seed in range(10):
        (image, mask), pairs = mixed(config(**MIXED[name]), seed)
        origin = (image[:, :, 0].astype(int) - 10) // 40
        for k, (theirs, labels) in enumerate(pairs):
            assert (image[origin == k] == theirs[origin == k]).all()
            assert (mask[origin == k] == labels[origin == k]).all()
        present = set(np.unique(origin))
        assert present == ({0, 1, 2, 3} if name == "mosaic" else {0, 1})
        if name == "cutmix":
            assert (origin == 1).mean() <= 0.42
        if name == "copy_paste":
            assert ((origin == 1) == (pairs[1][1] > 0)).all()


def test_mixup_blends_the_image_and_keeps_the_mask():
    for seed in range(10):
        (image, mask), pairs = mixed(config(mixup=1), seed)
        assert (mask == pairs[0][1]).all()
        assert 10 <= image.min() == image.max() <= 30


def test_nobody_is_asked_where_nothing_is_mixed():
    assert partners(config(), np.random.default_rng(0)) is None
    some = [partners(config(cutmix=0.3), np.random.default_rng(s)) is not None for s in range(500)]
    assert np.mean(some) == pytest.approx(0.3, abs=0.07)
