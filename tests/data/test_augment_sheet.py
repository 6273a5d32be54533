"""The picture sheet: a row a sample, then a row for each change that is on, by itself."""

import re

import numpy as np
import pytest

from podium.data.augment import augment
from podium.data.augment.draws import draw
from podium.data.augment.sheet import SAMPLES, VARIANTS, alone, extreme, outlined, switched_on
from podium.data.geometry import Canvas
from podium.errors import ConfigError
from podium.formats.images import read_image
from podium.recipe import PARTS, SINGLES, AugmentConfig


def test_the_sheet_has_a_row_for_each_change_that_is_on(workspace):
    path, plain = workspace.look_augment()
    before = read_image(path)
    assert plain[:1] == ["hflip"]
    recipe = workspace.recipe().with_overrides(["augment.cutmix=0.1", "augment.perspective=0.1", "augment.warp=1"])
    path, more = workspace.look_augment(recipe)
    assert set(more) - set(plain) == {"cutmix", "perspective"}
    assert path == workspace.root / "reports/augment.jpg"
    after = read_image(path)
    tile = before.shape[0] // (SAMPLES + len(plain))
    assert after.shape == (tile * (SAMPLES + len(more)), *before.shape[1:])
    with pytest.raises(ConfigError, match=r"did you mean 'augment\.shear'"):
        workspace.recipe().with_overrides(["augment.sheer=1"])


def test_the_page_beside_it_has_the_same_rows_and_is_linked(workspace):
    path, names = workspace.look_augment()
    page = path.with_suffix(".html").read_text()
    rows = re.findall(r"<h3[^>]*>([^<]+)</h3>", page)
    assert len(rows) == SAMPLES + len(names)
    assert [row.partition(" = ")[0] for row in rows[SAMPLES:]] == names
    assert page.count("<img ") == len(rows) * (1 + VARIANTS)
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg;base64,)", page)
    assert 'href="augment.html"' in workspace.look().path.read_text()
    path.with_suffix(".html").unlink()
    assert "href=" not in workspace.look().path.read_text()


def test_many_labels_are_coloured_without_lines():
    labels = np.repeat(np.arange(6, dtype=np.uint8), 10)[None].repeat(60, 0)
    out = outlined(np.full((60, 60, 3), 150, np.uint8), labels)
    assert len(np.unique(out.reshape(-1, 3), axis=0)) == 6
    assert (out[:, :10] == 150).all()


@pytest.mark.parametrize("name", ["", *SINGLES, *PARTS])
def test_alone_is_that_change_alone(name):
    more = {"shear": 5, "perspective": 0.2, "gamma": 0.2, "hue": 20, "value": 0.2}
    everything = AugmentConfig.from_tree(dict.fromkeys(SINGLES, 0.2) | more)
    assert switched_on(alone(everything, name)) == ([name] if everything.model_dump().get(name) else [])
    mask = np.eye(32, dtype=np.uint8)
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    out, _ = augment(alone(everything, name), Canvas(32, 32), np.random.default_rng(0), image, mask)
    mixed = name in ("mixup", "cutmix", "mosaic", "copy_paste")  # the loader's
    assert (out == image).all() == (name == "" or mixed or not everything.model_dump().get(name))


def test_extremes_are_those_of_the_size():
    draws = draw(np.random.default_rng(0))
    assert extreme(draws, "rotate", 0.0)["rotate"] == 0
    assert 0.999 < extreme(draws, "blur", 1.0)["blur_size"] < 1
    assert extreme(draws, "rotate", 0.0) | {"rotate": draws["rotate"]} == draws


def test_every_label_is_outlined_and_the_ignored_darkened():
    labels = np.zeros((60, 60), np.uint8)
    labels[5:20, 5:20], labels[30:50, 30:50], labels[:, 58:] = 1, 2, 255
    out = outlined(np.full((60, 60, 3), 150, np.uint8), labels, 255)
    assert (out[5, 5:20] == (180, 255, 0)).all()
    assert (out[30, 30:50] == (255, 120, 0)).all()
    assert (out[:, 59] == 50).all()
    assert (out[10:15, 10:15] == 150).all()
