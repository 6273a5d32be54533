"""Near-duplicates with different targets, in views and in the test set; and what the page shows of them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from podium.data.facts import gather
from podium.data.leaks import input_shift
from podium.data.pictures import Pictures, colour_of, tinted
from podium.recipe import InputConfig
from podium.workspace import Workspace


def scene(rng):
    """Something with structure at all scales, as photographs have."""
    image = np.zeros((96, 96, 3))
    for side in (3, 6, 12, 24):
        image += np.kron(rng.normal(0, 30, (side, side, 3)), np.ones((96 // side, 96 // side, 1)))
    return Image.fromarray((image + 128).clip(0, 255).astype(np.uint8))


@pytest.fixture
def space(tmp_path):
    """Twelve houses of two photographs each; h03 and h07 share one of them, re-encoded; t0 is h05's, mirrored."""
    rng = np.random.default_rng(0)
    images, test = tmp_path / "data" / "images", tmp_path / "data" / "test"
    images.mkdir(parents=True)
    test.mkdir()
    kept = {}
    for i in range(12):
        for view in ("front", "room"):
            kept[i, view] = scene(rng)
            kept[i, view].save(images / f"h{i:02d}_{view}.png")
    kept[3, "room"].save(tmp_path / "x.jpg", quality=80)
    Image.open(tmp_path / "x.jpg").save(images / "h07_room.png")
    mirrored = kept[5, "front"].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    mirrored.save(test / "t0_front.png")
    scene(rng).save(test / "t0_room.png")
    rows = "".join(f"h{i:02d},{100 * (i + 1)}\n" for i in range(12))
    (tmp_path / "data" / "train.csv").write_text("id,price\n" + rows)
    (tmp_path / "competition.toml").write_text(
        'name = "x"\ntask = "regression"\nmetric = "mae"\n[data]\ntrain_images = "images/{id}_{view}.png"\n'
        'views = ["front", "room"]\ntrain_csv = "train.csv"\nid_column = "id"\ntargets = ["price"]\n'
        'test_images = "test/{id}_{view}.png"\n'
    )
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "baseline.toml").write_text("")
    return Workspace(tmp_path)


def test_one_photograph_and_two_prices(space):
    found = {f.name: f for f in space.look().findings}
    finding = found["duplicate images, different targets"]
    assert finding.ids == ("h03", "h07")
    assert finding.detail == ("room/h03: 400, room/h07: 800",)
    assert finding.severity == "warning"
    assert list(found["duplicate images in several groups"].examples) == ["room/h03", "room/h07"]


def test_one_photograph_and_one_price_is_no_contradiction(space):
    table = space.root / "data" / "train.csv"
    table.write_text(table.read_text().replace("h07,800", "h07,400"))
    assert "duplicate images, different targets" not in {f.name for f in space.look().findings}


def test_the_page_shows_the_very_images(space):
    report = space.look()
    across = next(f for f in report.findings if f.name == "duplicate images in train and test")
    assert list(across.examples) == ["test/t0", "front/h05"] or list(across.examples) == ["front/h05", "test/t0"]
    page = report.path.read_text()
    card = page[page.index("duplicate images in train and test") :]
    card = card[: card.index("</section>")]
    assert re.findall(r'<strong title="([^"]+)"', card) == list(across.examples)
    facts, stores, tested = gather(space.competition, space.root, InputConfig())
    pictures = Pictures(facts, stores, tested)
    assert pictures.get("room/h03") != pictures.get("front/h03") == pictures.get("h03")
    assert pictures.get("test/t0")
    assert pictures.get("test/nothing") is pictures.get("nothing") is None


def test_colours_of_classes_are_apart_and_the_rest_is_untouched():
    colours = np.array([colour_of(n) for n in range(12)], int)
    apart = np.abs(colours[:, None] - colours[None]).sum(2) + 1000 * np.eye(12, dtype=int)
    assert apart.min() > 60
    picture = np.full((8, 8, 3), 100, np.uint8)
    out = tinted(picture, np.arange(4, dtype=np.uint8).repeat(2)[None].repeat(8, 0), colours.astype(np.uint8), {1, 2})
    assert (out[:, [0, 1, 6, 7]] == 100).all()
    assert (out[:, 2] != 100).any()
    assert (out[0, 2] != out[0, 4]).any()


@pytest.mark.parametrize("shifted", [False, True])
def test_a_shift_of_the_test_set_is_found_and_only_then(tmp_path, shifted):
    rng = np.random.default_rng(1)
    for part, n, light in (("images", 60, 0), ("test", 40, 40 * shifted)):
        (tmp_path / "data" / part).mkdir(parents=True)
        for i in range(n):
            pixels = np.asarray(scene(rng)).astype(int)[:32, :32] + light
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(
                tmp_path / "data" / part / f"{part[0]}{i:02d}.png"
            )
    rows = "".join(f"i{i:02d},{i}\n" for i in range(60))
    (tmp_path / "data" / "train.csv").write_text("id,y\n" + rows)
    (tmp_path / "competition.toml").write_text(
        'name = "x"\ntask = "regression"\nmetric = "mae"\n[data]\ntrain_images = "images/*"\ntest_images = "test/*"\n'
        'train_csv = "train.csv"\nid_column = "id"\ntargets = ["y"]\n'
    )
    space = Workspace(tmp_path)
    facts, *_ = gather(space.competition, space.root, InputConfig())
    assert [f.severity for f in input_shift(facts)] == ["warning" if shifted else "note"]
