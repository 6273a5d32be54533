"""Random changes: exact where they can be, the mask always moving with the image, each a function of its seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.data.augment import augment, mix, partners
from podium.data.augment.colour import hue_matrix
from podium.data.augment.draws import NAMES, chosen, draw, probability
from podium.data.augment.effects import NORMAL, motion_kernel
from podium.data.augment.warp import Cut, Warp, plan, window
from podium.data.geometry import Canvas, canvas_for, place
from podium.errors import ConfigError
from podium.recipe import PARTS, SINGLES, AugmentConfig

NOTHING = {"hflip": 0, "vflip": 0, "shift": 0, "scale": 0, "rotate": 0, "brightness": 0, "contrast": 0, "saturation": 0}
MOVES = {
    "hflip": {"hflip": 1},
    "vflip": {"vflip": 1},
    "rot90": {"rot90": 1},
    "shift": {"shift": 0.2},
    "scale": {"scale": 0.4},
    "rotate": {"rotate": 180},
    "shear": {"shear": 25},
    "perspective": {"perspective": 0.2},
    "resized_crop": {"resized_crop": [0.4, 0.9]},
    "aspect": {"aspect": 0.4},
    "elastic": {"elastic": 1, "elastic_size": 0.02},
    "grid": {"grid": 1},
    "together": {"hflip": 0.5, "rot90": 0.5, "shift": 0.1, "scale": 0.2, "rotate": 90, "shear": 10, "perspective": 0.1}
    | {"resized_crop": [0.5, 1.0], "aspect": 0.2, "elastic": 0.5, "grid": 0.5, "elastic_size": 0.01},
}
COLOURS = {
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 0.5},
    "gamma": {"gamma": 1},
    "hue": {"hue": 120},
    "saturation": {"saturation": 0.9},
    "value": {"value": 0.5},
    "grey": {"grey": 1},
    "shuffle": {"shuffle": 1},
    "clahe": {"clahe": 1},
}
EFFECTS = {
    "blur": {"blur": 1},
    "motion": {"motion": 1},
    "noise": {"noise": 1},
    "jpeg": {"jpeg": 1},
    "dropout": {"dropout": 1},
}
MIXED = {"mixup": {"mixup": 1}, "cutmix": {"cutmix": 1}, "mosaic": {"mosaic": 1}, "copy_paste": {"copy_paste": 1}}


def config(**changes):
    return AugmentConfig.from_tree(NOTHING | {"warp": 1, "colour": 1} | changes)


def sample(h, w, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (h, w, 3), dtype=np.uint8), rng.integers(0, 2, (h, w), dtype=np.uint8)


def blob(h, w, value=1):
    y, x = np.mgrid[:h, :w]
    mask = (((y - h * 0.45) / (h * 0.3)) ** 2 + ((x - w * 0.4) / (w * 0.25)) ** 2 <= 1) & (x + y > h * 0.5)
    return np.repeat(mask[:, :, None] * np.uint8(255), 3, axis=2), mask * np.uint8(value)


def run(settings_, canvas, image, mask, seed=0):
    return augment(settings_, canvas, np.random.default_rng(seed), image, mask)


def planned(settings_, canvas, draws, shape):
    return plan(settings_, canvas, draws, chosen(settings_, draws), shape)


# ---------------------------------------------------------------------- geometry


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
def test_flips_are_exact_alone_and_within_a_warp(flips, step):
    image, mask = sample(32, 64)
    for more in ({}, {"rotate": 1e-9}):
        out, out_mask = run(config(**flips, **more), Canvas(32, 64), image, mask)
        assert (out == image[step]).all()
        assert (out_mask == mask[step]).all()


def test_quarter_turns_are_those_of_numpy_alone_and_within_a_warp():
    image, mask = sample(40, 40)
    seen = set()
    for seed in range(20):
        draws = draw(np.random.default_rng(seed))
        k = planned(config(rot90=1), Canvas(40, 40), draws, (40, 40)).quarters
        for more in ({}, {"rotate": 1e-9}):
            out, out_mask = run(config(rot90=1, **more), Canvas(40, 40), image, mask, seed)
            assert (out == np.rot90(image, k)).all()
            assert (out_mask == np.rot90(mask, k)).all()
        seen.add(k)
    assert seen == {1, 2, 3}
    assert (run(config(rot90=1), Canvas(40, 64), *sample(40, 64))[0] == sample(40, 64)[0][::-1, ::-1]).all()


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("canvas", [Canvas(96, 128), Canvas(96, 96, crop=True), Canvas(128, 160, side="end")])
def test_the_mask_moves_with_the_image(name, canvas):
    image, mask = blob(96, 128, 3)
    still = run(config(), canvas, image, mask)[1]
    moved = 0
    for seed in range(12):
        out, out_mask = run(config(**MOVES[name]), canvas, image, mask, seed)
        assert out.shape == (canvas.height, canvas.width, 3)
        assert set(np.unique(out_mask)) <= {0, 3}
        seen, told = out[:, :, 0] > 127, out_mask > 0
        assert (seen & told).sum() >= 0.9 * (seen | told).sum()
        moved += not np.array_equal(out_mask, still)
    assert moved > 8


@pytest.mark.parametrize("shape", [(96, 128), (97, 131), (60, 200), (20, 30)])
@pytest.mark.parametrize("pad", ["reflect", "edge", "zero"])
def test_a_window_holds_all_that_a_warp_looks_at(shape, pad):
    """What lies outside it is never read: spoilt, it changes nothing."""
    canvas = Canvas(64, 64, crop=True, pad=pad)
    wild = config(**(MOVES["together"] | {"scale": 0.1, "resized_crop": None, "shift": 0.3}))
    image, mask = sample(*shape)
    smaller = 0
    for seed in range(25):
        draws = draw(np.random.default_rng(seed))
        found = planned(wild, canvas, draws, shape)
        if isinstance(found, Warp):
            top, bottom, left, right = window(found, canvas, shape)
            spoilt = np.full_like(image, 77)
            spoilt[top:bottom, left:right] = image[top:bottom, left:right]
            assert (run(wild, canvas, image, mask, seed)[0] == run(wild, canvas, spoilt, mask, seed)[0]).all()
            smaller += (bottom - top) * (right - left) < shape[0] * shape[1]
    assert smaller > 3 or min(shape) < 64


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 999))
@settings(max_examples=60)
def test_a_crop_lies_within_the_image(h, w, seed):
    canvas = Canvas(32, 32, crop=True)
    found = planned(config(), canvas, draw(np.random.default_rng(seed)), (h, w))
    assert isinstance(found, Cut)
    assert 0 <= found.top <= max(h - 32, 0)
    assert 0 <= found.left <= max(w - 32, 0)
    image = np.arange(h * w, dtype=np.int64).reshape(h, w)
    image = np.stack([image // 65536, image // 256 % 256, image % 256], 2).astype(np.uint8)
    out, out_mask = run(config(), canvas, image, image[:, :, 2] & 1, seed)
    assert out.shape == (32, 32, 3)
    assert (out_mask == out[:, :, 2] & 1).all()
    if h >= 32 and w >= 32:
        assert (out == image[found.top : found.top + 32, found.left : found.left + 32]).all()


def test_crops_reach_every_corner():
    for value, corner in ((0.999999, (8, 18)), (0.0, (0, 0))):
        found = planned(config(), Canvas(32, 32, crop=True), dict.fromkeys(NAMES, value), (40, 50))
        assert (found.top, found.left) == corner


@pytest.mark.parametrize("seed", range(8))
def test_a_warp_turns_zooms_and_flips_without_shear_and_within_its_bounds(seed):
    wild = config(hflip=0.5, vflip=0.5, shift=0.2, scale=0.4, rotate=30)
    draws = draw(np.random.default_rng(seed))
    matrix = planned(wild, Canvas(64, 96), draws, (60, 90)).matrix
    linear = matrix[:2, :2]
    gram = linear.T @ linear
    assert np.allclose(gram, gram[0, 0] * np.eye(2))
    assert 1 / 1.4 <= gram[0, 0] ** 0.5 <= 1 / 0.6
    flips = np.diag([-1 if draws["hflip"] < 0.5 else 1, -1 if draws["vflip"] < 0.5 else 1])
    turn = (linear @ flips) / gram[0, 0] ** 0.5
    assert abs(np.degrees(np.arctan2(turn[1, 0], turn[0, 0]))) <= 30
    off = (matrix @ [47.5, 31.5, 1])[:2] - [44.5, 29.5]
    assert (np.abs(off) <= [0.2 * 96, 0.2 * 64]).all()


def test_a_resized_crop_cuts_the_share_that_was_asked_for():
    for seed in range(30):
        found = planned(
            config(resized_crop=[0.3, 0.6]), Canvas(64, 64, crop=True), draw(np.random.default_rng(seed)), (200, 220)
        )
        sides = np.diag(found.matrix)[:2] * 64
        assert 0.29 <= sides[0] * sides[1] / (200 * 220) <= 0.61
        corner = (found.matrix @ [-0.5, -0.5, 1])[:2] + 0.5
        assert (corner >= -1e-9).all()
        assert (corner + sides <= [220 + 1e-9, 200 + 1e-9]).all()


def test_a_much_smaller_picture_is_averaged_not_aliased():
    image = np.zeros((256, 256, 3), np.uint8)
    image[::2] = 255
    out, _ = run(config(resized_crop=[1.0, 1.0]), Canvas(32, 32, crop=True), image, image[:, :, 0] // 255)
    assert np.abs(out.astype(int) - 127).max() < 40


def test_label_values_survive_and_outside_is_ignored_when_asked_for():
    rng = np.random.default_rng(0)
    labels = rng.choice(np.array([0, 3, 7, 11], np.uint8), (12, 16)).repeat(8, 0).repeat(8, 1)
    image = np.repeat(labels[:, :, None] * np.uint8(20), 3, 2)
    for canvas in (Canvas(96, 128), Canvas(128, 160), Canvas(64, 64, crop=True)):
        for seed in range(8):
            out, told = run(config(**MOVES["together"]), canvas, image, labels, seed)
            assert set(np.unique(told)) <= {0, 3, 7, 11}
            _, marked = run(config(**MOVES["together"], border="ignore"), canvas, image, labels, seed)
            assert set(np.unique(marked)) <= {0, 3, 7, 11, 255}
            inside = marked != 255
            assert (marked[inside] == told[inside]).all()
            assert (out == run(config(**MOVES["together"], border="ignore"), canvas, image, labels, seed)[0]).all()
    padded = run(config(border="ignore", ignore_label=9), Canvas(104, 136), image, labels)[1]
    assert (padded == 9).sum() == 104 * 136 - 96 * 128
    assert (padded[4:100, 4:132] == labels).all()


@pytest.mark.parametrize("channels", [1, 4])
def test_other_numbers_of_channels_go_through(channels):
    image = np.random.default_rng(0).integers(0, 256, (40, 50, channels), dtype=np.uint8)
    everything = {k: v for d in (MOVES["together"], *COLOURS.values(), *EFFECTS.values()) for k, v in d.items()}
    for canvas in (Canvas(64, 64), Canvas(32, 32, crop=True)):
        out, _ = run(config(**everything), canvas, image, image[:, :, 0] & 1)
        assert out.shape == (canvas.height, canvas.width, channels)
        assert run(config(hflip=1), canvas, image, image[:, :, 0] & 1)[0].shape[2] == channels


# ---------------------------------------------------------------------- draws


def test_one_setting_does_not_reshuffle_the_others():
    image, mask = sample(64, 64)
    few = {"hflip": 0.5, "shift": 0.2, "warp": 0.5}
    for seed in range(6):
        plain, told = run(config(**few), Canvas(64, 64), image, mask, seed)
        for more in (*COLOURS.values(), *EFFECTS.values()):
            assert (run(config(**few, **more), Canvas(64, 64), image, mask, seed)[1] == told).all()
        assert (
            run(config(**few, grey=1e-9, one_of=[["blur", "noise"]]), Canvas(64, 64), image, mask, seed)[0] == plain
        ).all()


def test_the_names_of_the_draws_only_grow():
    assert NAMES[:13] == (
        *("hflip", "vflip", "top", "left", "warp", "shift_x", "shift_y", "scale", "rotate"),
        *("colour", "brightness", "contrast", "saturation"),
    )
    assert len(set(NAMES)) == len(NAMES)


def test_every_name_of_the_recipe_is_a_setting_and_has_a_draw():
    assert set(SINGLES) | set(PARTS) <= set(AugmentConfig.model_fields)
    assert set(SINGLES) <= set(NAMES)
    off = {"hflip", *PARTS} - {"shear", "perspective", "gamma", "hue", "saturation", "value"}
    assert {n for n in (*SINGLES, *PARTS) if probability(AugmentConfig(), n) > 0} == off - {"rot90"}


@pytest.mark.parametrize("canvas", [Canvas(64, 96), Canvas(48, 48, crop=True)])
def test_at_strength_0_nothing_changes(canvas):
    image, mask = sample(64, 96)
    everything = {k: v for d in (MOVES["together"], *COLOURS.values(), *EFFECTS.values()) for k, v in d.items()}
    del everything["resized_crop"]
    for seed in range(8):
        plain = run(config(), canvas, image, mask, seed)
        out = run(config(**everything, strength=0), canvas, image, mask, seed)
        assert all((a == b).all() for a, b in zip(out, plain, strict=True))
    assert partners(config(mosaic=1, mixup=1, strength=0), np.random.default_rng(0)) is None


def test_strength_widens_and_flips_stay_random():
    strong = config(hflip=0.5, rotate=10, blur=0.3, strength=2)
    assert probability(strong, "hflip") == 0.5
    assert probability(strong, "blur") == 0.6
    a, b = (
        planned(config(rotate=10, strength=s), Canvas(64, 64), dict.fromkeys(NAMES, 0.75), (64, 64)).matrix
        for s in (1, 2)
    )
    assert np.arcsin(b[1, 0]) == pytest.approx(2 * np.arcsin(a[1, 0]))


def test_of_a_group_one_comes_at_its_own_probability():
    odds = {"blur": 0.3, "noise": 0.2, "grey": 0.1}
    some = config(**odds, hue=20, value=0.1, p={"hue": 0.2}, one_of=[["blur", "noise", "grey", "hue+value"]])
    counts = dict.fromkeys(["blur", "noise", "grey", "hue", "value"], 0)
    for seed in range(2000):
        come = chosen(some, draw(np.random.default_rng(seed)))
        assert ("hue" in come) == ("value" in come)
        assert len(come - {"value"}) <= 1
        for name in come:
            counts[name] += 1
    shares = {name: n / 2000 for name, n in counts.items()}
    assert shares == pytest.approx({**odds, "hue": 0.2, "value": 0.2}, abs=0.035)


def test_a_part_has_a_probability_of_its_own():
    come = [
        chosen(config(rotate=9, shift=0.1, hue=9, value=0.2, warp=0.8, p={"rotate": 0.5, "hue": 0.25}), draw(g))
        for g in (np.random.default_rng(seed) for seed in range(2000))
    ]
    share = {n: np.mean([n in c for c in come]) for n in ("rotate", "shift", "hue", "value")}
    assert share == pytest.approx({"rotate": 0.4, "shift": 0.8, "hue": 0.25, "value": 1.0}, abs=0.035)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"p": {"blur": 0.5}}, "p has no 'blur'"),
        ({"one_of": [["blurr"]]}, "one_of has no 'blurr'"),
        ({"one_of": [["blur"], ["noise", "blur"]]}, "'blur' twice"),
        ({"extra": "mine.py"}, r"file\.py:name"),
        ({"resized_crop": [0.9, 0.5]}, "least, most"),
    ],
)
def test_settings_that_do_not_fit_are_refused(change, told):
    with pytest.raises(ConfigError, match=told):
        config(**change)


@pytest.mark.parametrize("name", [*MOVES, *COLOURS, *EFFECTS])
def test_each_change_is_a_function_of_the_seed_and_spares_its_source(name):
    image, mask = sample(48, 48)
    image.flags.writeable = mask.flags.writeable = False
    change = config(**{**MOVES, **COLOURS, **EFFECTS}[name])
    variants = set()
    for seed in range(4):
        a, b = (run(change, Canvas(48, 48), image, mask, seed) for _ in range(2))
        assert (a[0] == b[0]).all()
        assert (a[1] == b[1]).all()
        variants.add(a[0].tobytes())
    assert image.tobytes() not in variants
    assert len(variants) > 1 or name in ("hflip", "vflip", "rot90", "grey", "clahe", "shuffle")


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
