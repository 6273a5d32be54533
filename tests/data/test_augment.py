"""Random changes of place: exact where they can be, the mask always moving with the image; and how they are drawn."""

import numpy as np
import pytest
from augment_settings import COLOURS, EFFECTS, MOVES, blob, config, planned, run, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.data.augment import partners
from podium.data.augment.draws import NAMES, chosen, draw, probability
from podium.data.augment.warp import Cut, Warp, window
from podium.data.geometry import Canvas, canvas_for, place
from podium.errors import ConfigError
from podium.recipe import PARTS, SINGLES, AugmentConfig

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
