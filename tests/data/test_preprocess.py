"""Each step against another way to do it; nothing but the pixels it is about changes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from podium.data.geometry import Spatial, resize
from podium.data.preprocess import Preprocess, clahe, otsu_foreground
from podium.data.stain import LIGHT, REFERENCE_CONCENTRATIONS, REFERENCE_STAINS, macenko, stains
from podium.errors import ConfigError, DataError
from podium.recipe import InputConfig, Recipe


def preprocess(**settings):
    return Preprocess.of(InputConfig(**settings))


@pytest.fixture
def photo():
    """A lit scene: gradients, noise, a red disc."""
    y, x = np.mgrid[:120, :160]
    image = np.stack([60 + x * 0.7, 90 + y * 0.5, 140 - x * 0.3], axis=2)
    image[(y - 60) ** 2 + (x - 80) ** 2 < 900] = (190, 40, 50)
    return (image + np.random.default_rng(0).normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)


# ---------------------------------------------------------------------- settings


def test_without_settings_nothing_happens(photo):
    assert preprocess().image(photo) is photo
    assert preprocess() == Preprocess()
    assert Preprocess.of(None) == Preprocess()
    assert Preprocess.of([32, 48]) == preprocess(size=[32, 48])


def test_what_a_store_depends_on_is_what_changes_its_pixels():
    plain = preprocess(pad_to=64, pad="zero", pad_side="end", normalize="unit", train_crop=64)
    assert plain.image_settings() == plain.mask_settings() == {"size": None}
    full = preprocess(
        crop=[1, 2, 64, 80], size=[32, 40], keep_aspect=True, clahe=[2, 8], stain="macenko", mask_out="otsu"
    )
    assert full.mask_settings() == {"size": [32, 40], "crop": [1, 2, 64, 80], "keep_aspect": True}
    assert full.image_settings() == full.mask_settings() | {"clahe": [2.0, 8], "stain": "macenko", "mask_out": "otsu"}
    assert preprocess(crop="centre 512", channels="grey").image_settings() == {
        "size": None,
        "crop": "centre 512 512",
        "grey": True,
    }


@pytest.mark.parametrize(
    "change",
    [
        "input.crop=[1,2,3]",
        "input.crop=[1,2,3,4]",
        "input.crop=[-1,0,64,64]",
        "input.crop=[0.5,0,64,64]",
        "input.crop=centre",
        "input.crop=centre 0",
        "input.crop=center 512",
        "input.crop=centre 512 512 512",
        "input.clahe=[2]",
        "input.clahe=[2, 8.5]",
        "input.clahe=[0, 8]",
        "input.stain=reinhard",
        "input.mask_out=masks/a.png",
        "input.mask_out=otsu bright",
        "input.keep_aspect=true",
        "input.pad=mirror",
        "input.channels=bgr",
    ],
)
def test_what_makes_no_sense_is_refused_by_its_key(change):
    with pytest.raises(ConfigError) as caught:
        Recipe().with_overrides([change])
    assert "input" in caught.value.found
    assert caught.value.expected


@pytest.mark.parametrize(
    ("crop", "spatial"),
    [
        ("[28, 320, 1024, 1280]", Spatial(crop=(28, 320, 1024, 1280))),
        ("centre 512", Spatial(centre=(512, 512))),
        ("centre 480 640", Spatial(centre=(480, 640))),
    ],
)
def test_crops_in_recipes(crop, spatial, tmp_path):
    recipe = Recipe().with_overrides([f"input.crop={crop}"])
    (tmp_path / "r.toml").write_text(recipe.to_toml())
    assert Recipe.load(tmp_path / "r.toml") == recipe
    assert Preprocess.of(recipe.input).spatial == spatial
    assert recipe.with_overrides(["input.crop=none"]).input.crop is None


# ---------------------------------------------------------------------- the frame


def test_the_frame_has_the_pad_and_the_side():
    canvas = preprocess(pad="edge", pad_side="end", pad_to=16).canvas((20, 40))
    assert (canvas.height, canvas.width, canvas.pad, canvas.side) == (32, 48, "edge", "end")
    assert preprocess(train_crop=64, pad="zero").canvas((200, 300), 64).crop


def test_images_of_a_kept_aspect_share_a_frame():
    given = preprocess(size=[64, 96], keep_aspect=True, pad_to=32)
    frames = {given.canvas(given.spatial.shape(s)) for s in [(100, 100), (50, 300), (300, 50), (64, 96)]}
    assert [(f.height, f.width) for f in frames] == [(64, 96)]


# ---------------------------------------------------------------------- pixels


def test_crop_then_resize_then_the_rest(photo):
    both = preprocess(crop=[10, 20, 64, 96], size=[32, 48], clahe=[2, 8])
    assert (both.image(photo) == clahe(resize(photo[10:74, 20:116], [32, 48]), 2, 8)).all()


def test_clahe_is_the_winners(photo):
    yuv = cv2.cvtColor(photo[:, :, ::-1], cv2.COLOR_BGR2YUV)
    yuv[:, :, 0] = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8)).apply(yuv[:, :, 0])
    assert (preprocess(clahe=[2, 8]).image(photo) == cv2.cvtColor(yuv, cv2.COLOR_YUV2BGR)[:, :, ::-1]).all()


def test_clahe_raises_contrast_where_it_is_low():
    dull = np.random.default_rng(0).integers(118, 138, (64, 64, 3), dtype=np.uint8)
    assert clahe(dull, 4, 4).std() > 1.5 * dull.std()
    flat = np.full((64, 64, 3), 77, np.uint8)
    assert len(np.unique(clahe(flat, 2, 8))) == 1


def test_grey_is_the_luminance_three_times(photo):
    grey = preprocess(channels="grey").image(photo)
    wanted = photo @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey - wanted[:, :, None]).max() <= 1


@pytest.mark.parametrize("light_ground", [False, True])
def test_otsu_keeps_what_stands_out_holes_too(light_ground):
    y, x = np.mgrid[:100, :140]
    r = (y - 50) ** 2 + (x - 70) ** 2
    ring = (r < 900) & (r > 100)
    image = np.where(ring[:, :, None], 200, 30).astype(np.uint8).repeat(3, axis=2)
    image = 255 - image if light_ground else image
    image = cv2.add(image, np.random.default_rng(0).integers(0, 10, image.shape, dtype=np.uint8))
    wanted = r < 900
    found = otsu_foreground(image)
    assert (found != wanted).sum() < 0.1 * wanted.sum()
    assert found[50, 70]
    out = preprocess(mask_out="otsu").image(image)
    assert (out == image * found[:, :, None]).all()


@pytest.mark.parametrize("keep", ["dark", "light"])
def test_which_part_is_kept_can_be_said(keep):
    image = np.full((60, 60, 3), 220, np.uint8)
    image[:, :40] = 40  # most of the edge
    wanted = np.broadcast_to((np.arange(60) < 40) == (keep == "dark"), (60, 60))
    assert (otsu_foreground(image, keep) == wanted).mean() > 0.95
    out = preprocess(mask_out=f"otsu {keep}").image(image)
    assert (out == image * otsu_foreground(image, keep)[:, :, None]).all()
    assert (otsu_foreground(image) == otsu_foreground(image, "light")).all()


def test_otsu_of_one_shade_keeps_all():
    flat = np.full((20, 20, 3), 90, np.uint8)
    assert (preprocess(mask_out="otsu").image(flat) == flat).all()


def test_masks_in_files_say_what_is_kept(tmp_path, photo):
    mask = np.zeros((120, 160), bool)
    mask[20:100, 30:130] = True
    (tmp_path / "hands").mkdir()
    Image.fromarray(mask).save(tmp_path / "hands/a_1.png")
    given = Preprocess.of(InputConfig(mask_out="hands/{id}.png", crop=[10, 20, 80, 120], size=[40, 60]), tmp_path)
    out = given.image(photo, "a_1")
    keep = Spatial(crop=(10, 20, 80, 120), size=(40, 60)).mask(mask)
    assert (out == given.spatial.image(photo) * keep[:, :, None]).all()
    with pytest.raises(DataError, match=r"a_2.png: no such file"):
        given.image(photo, "a_2")
    with pytest.raises(DataError, match="mask is 160x120, its image 160x119"):
        given.image(photo[1:], "a_1")


# ---------------------------------------------------------------------- stains


def slide(own, scale, n=90, seed=0):
    """A synthetic slide: dark nuclei in the first stain on a ground in the second, and blank glass."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n]
    nuclei = np.zeros((n, n), bool)
    for cy, cx in rng.uniform(10, n - 10, (14, 2)):
        nuclei |= (y - cy) ** 2 + (x - cx) ** 2 < 30
    c = np.empty((n, n, 2))
    c[..., 0] = np.where(nuclei, rng.uniform(0.6, 1.0, (n, n)), rng.uniform(0, 0.02, (n, n))) * scale[0]
    c[..., 1] = np.where(nuclei, rng.uniform(0, 0.02, (n, n)), rng.uniform(0.8, 1.0, (n, n))) * scale[1]
    c[:, : n // 6] = 0
    return (LIGHT * np.exp(-(c @ own.T)) - 1).clip(0, 255).round().astype(np.uint8)


def unit(*columns):
    stains = np.array(columns, float).T
    return stains / np.linalg.norm(stains, axis=0)


OTHER = unit((0.65, 0.70, 0.29), (0.27, 0.88, 0.40))


def angle(a, b):
    return np.degrees(np.arccos(np.clip((a * b).sum(axis=0), -1, 1)))


@pytest.mark.parametrize("own", [OTHER, REFERENCE_STAINS, unit((0.5, 0.75, 0.45), (0.2, 0.75, 0.63))])
def test_the_stains_of_a_slide_are_found(own):
    image = slide(own, (1.2, 0.9))
    found, highest = stains(image)
    assert angle(found, own / np.linalg.norm(own, axis=0)).max() < 3
    assert np.allclose(highest, (1.2, 0.9), rtol=0.1)


def test_every_slide_gets_the_stains_of_the_reference():
    normalised = macenko(slide(OTHER, (1.2, 0.9)))
    found, highest = stains(normalised)
    assert angle(found, REFERENCE_STAINS / np.linalg.norm(REFERENCE_STAINS, axis=0)).max() < 3
    assert np.allclose(highest, REFERENCE_CONCENTRATIONS, rtol=0.08)
    other = macenko(slide(unit((0.5, 0.75, 0.45), (0.2, 0.75, 0.63)), (0.8, 1.1)))
    tissue = np.s_[:, 20:]
    assert np.abs(normalised[tissue].astype(int) - other[tissue]).mean() < 4
    assert (normalised[:, :10] >= 235).all(), "glass stays light"


def test_macenko_is_as_published():
    """Step by step as in the paper's pseudo-code, in other words than podium's."""
    image = slide(OTHER, (1.2, 0.9), seed=3)
    density = -np.log((image.reshape(-1, 3) + 1.0) / 240)
    tissue = density[~(density < 0.15).any(axis=1)]
    _, vectors = np.linalg.eigh(np.cov(tissue, rowvar=False))
    vectors = vectors[:, [2, 1]]
    vectors = vectors * np.sign(vectors[0] + 1e-12) if (vectors[0, 0] < 0) else vectors
    phi = np.arctan2(tissue @ vectors[:, 1], tissue @ vectors[:, 0])
    ends = [vectors @ (np.cos(p), np.sin(p)) for p in (np.percentile(phi, 1), np.percentile(phi, 99))]
    own = np.stack(sorted(ends, key=lambda v: -v[0]), axis=1)
    highest = np.percentile(np.linalg.lstsq(own, tissue.T, rcond=None)[0], 99, axis=1)
    c = np.linalg.lstsq(own, density.T, rcond=None)[0] / highest[:, None] * [[1.9705], [1.0308]]
    wanted = (240 * np.exp(-REFERENCE_STAINS @ c)).clip(0, 255).T.reshape(image.shape)
    assert np.abs(macenko(image) - wanted).max() <= 1


@pytest.mark.parametrize("shade", [0, 90, 200, 255])
def test_a_blank_image_is_left_alone(shade):
    blank = np.full((40, 40, 3), shade, np.uint8)
    assert macenko(blank) is blank


def test_glass_with_the_noise_of_a_camera_and_specks_of_dust_is_left_alone():
    glass = np.random.default_rng(0).integers(232, 250, (80, 80, 3), dtype=np.uint8)
    glass[10:12, 20:22] = 40
    assert macenko(glass) is glass


def test_a_slide_of_one_stain_is_left_alone():
    nuclei_only = slide(np.stack([OTHER[:, 0]] * 2, axis=1), (1.2, 0.3))
    assert macenko(nuclei_only) is nuclei_only


def test_the_result_does_not_depend_on_chance_or_on_the_place_of_pixels():
    image = np.tile(slide(OTHER, (1.2, 0.9)), (4, 4, 1))  # more pixels than are looked at
    assert (macenko(image) == macenko(image.copy())).all()
    small = macenko(image[:90, :90])
    assert np.abs(macenko(image)[:90, :90].astype(int) - small).mean() < 2


def test_stains_need_colour():
    with pytest.raises(DataError, match="RGB"):
        macenko(np.zeros((4, 4), np.uint8))
