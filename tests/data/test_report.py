"""`podium look` on a small workspace: the same findings in text, JSON and page; nothing decoded twice."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image

from podium.data import prepare, targets
from podium.data.pictures import outlined
from podium.errors import PodiumError
from podium.workspace import Workspace

EVIL = '<script>alert(1)<|script>&"'


def sample(data, id, seed, mask=True):
    rng = np.random.default_rng(seed)
    Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8)).save(data / "images" / f"{id}.png")
    if mask:
        pixels = np.zeros((24, 40), np.uint8)
        pixels[2 : 4 + seed % 15, 5:20] = 255
        Image.fromarray(pixels).save(data / "masks" / f"{id}.png")


@pytest.fixture
def space(tmp_path):
    root = tmp_path / "w"
    for name in ("images", "masks", "test"):
        (root / "data" / name).mkdir(parents=True)
    for i in range(12):
        sample(root / "data", f"s{i:02d}", i)
    sample(root / "data", EVIL, 50)
    Image.new("RGB", (40, 24)).save(root / "data" / "test" / "t0.png")
    (root / "competition.toml").write_text(
        'name = "tiny <b>"\n[data]\ntrain_images = "images/*"\ntrain_masks = "masks/{id}.png"\ntest_images = "test/*"\n'
    )
    (root / "recipes").mkdir()
    (root / "recipes" / "baseline.toml").write_text("[input]\nsize = [16, 32]\n")
    return Workspace(root)


def damage(space):
    """A cut-off image, an empty file, a mask of another size, a missing mask, a twin with another mask, one in test."""
    images, masks = space.root / "data" / "images", space.root / "data" / "masks"
    (images / "s00.png").write_bytes((images / "s00.png").read_bytes()[:200])
    (images / "s01.png").write_bytes(b"")
    Image.new("L", (8, 8), 255).save(masks / "s02.png")
    (masks / "s03.png").unlink()
    (images / "s04.png").write_bytes((images / "s05.png").read_bytes())
    (space.root / "data" / "test" / "t1.png").write_bytes((images / "s06.png").read_bytes())
    Image.new("RGB", (40, 24)).save(images / "s07.png")


PLANTED = {
    "unreadable images": ("s00", "s01"),
    "mask of another size": ("s02",),
    "images without a mask": ("s03",),
    "identical images": ("s04", "s05"),
    "same image, different targets": ("s04", "s05"),
    "train images in test": ("s06", "s07"),
    "blank images": ("s07",),
}


def test_clean_data_has_no_errors_and_no_warnings(space):
    assert {f.severity for f in space.look().findings} == {"note"}


def test_what_is_planted_is_found_and_bad_samples_do_not_stop_it(space):
    damage(space)
    found = {f.name: tuple(f.ids) for f in space.look().findings}
    assert {name: found[name] for name in PLANTED} == PLANTED


def test_text_json_and_page_have_the_same_findings(space):
    damage(space)
    report = space.look()
    page = report.path.read_text()
    names = [f.name for f in report.findings]
    assert re.findall(r"<h3>([^<]+)</h3>\n<span", page) == names
    assert [f["name"] for f in json.loads(json.dumps(report.tree()))["findings"]] == names
    assert re.findall(r"^(?:ERROR|WARNING|NOTE)  (.+): \d+$", report.text(), re.M) == names
    for finding in report.findings:
        assert finding.remedy in report.text()


def test_file_names_are_escaped(space):
    page = space.look().path.read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<h1>tiny &lt;b&gt;</h1>" in page


def test_a_file_name_cannot_steer_the_terminal(space):
    sample(space.root / "data", "\x1b[31mred", 70, mask=False)
    assert "\x1b" not in space.look().text()


def test_the_page_needs_nothing_from_elsewhere(space):
    report = space.look()
    page = report.path.read_text()
    assert not re.search(r"(src|href)=\"(?!data:image/jpeg;base64,)", page)
    assert "url(" not in page
    assert page.count("<img ") > 13
    assert "prefers-color-scheme: dark" in page
    assert "<svg" in page
    assert [p.name for p in report.path.parent.iterdir()] == ["data.html"]
    assert report._repr_html_().startswith("<iframe")


def test_nothing_is_decoded_a_second_time(space, monkeypatch):
    first = space.look()

    def refuse(*args):
        raise AssertionError("decoded again")

    monkeypatch.setattr(prepare, "decode_sample", refuse)
    monkeypatch.setattr(targets.masks, "read_mask", refuse)
    assert space.look() == first
    stages = {s.name: s.reused for s in space.prepare().stages}
    assert stages == {
        "train images": True,
        "train targets": True,
        "train masks": True,
        "test images": True,
        "images are read": True,
        "folds": False,
    }


def test_what_prepare_excludes_is_a_note_afterwards(space):
    damage(space)
    space.prepare(exclude_bad=True)
    found = {f.name: f for f in space.look().findings}
    assert "error" not in {f.severity for f in found.values()}
    assert found["excluded"].ids == ("s00", "s01", "s02", "s03")


def test_too_few_groups_for_the_folds_is_a_finding(space):
    space.competition = space.competition.with_overrides(["folds.k=50"])
    found = {f.name: f for f in space.look().findings}
    assert found["no folds"].remedy.startswith("set folds.k = 13")


def test_every_image_unreadable_is_still_a_report(space):
    for image in (space.root / "data" / "images").iterdir():
        image.write_bytes(b"nothing")
    assert next(f.count for f in space.look().findings if f.name == "unreadable images") == 13


def test_no_mask_at_all_says_what_to_do(space):
    for mask in (space.root / "data" / "masks").iterdir():
        mask.unlink()
    with pytest.raises(PodiumError, match="train_masks"):
        space.look()


def test_the_outline_is_the_edge_of_the_mask():
    image, mask = np.full((60, 60, 3), 128, np.uint8), np.zeros((30, 30), np.uint8)
    mask[5:25, 5:25] = 1
    drawn = (outlined(image, mask) != image).any(axis=2)
    assert drawn[30, 8:13].any()
    assert not drawn[20:40, 20:40].any()
    assert not drawn[:4].any()
    assert (outlined(image, np.zeros((30, 30), np.uint8)) == image).all()


def test_a_mask_of_one_pixel_is_seen():
    image, mask = np.full((60, 60, 3), 128, np.uint8), np.zeros((600, 600), np.uint8)
    mask[300, 300] = 1
    assert (outlined(image, mask) != image).any()


def test_apply_takes_the_suggestions_and_nothing_else(space):
    damage(space)
    suggested = {id for f in space.look().findings for id in f.exclude}
    assert suggested
    after = space.look(apply=True)
    rows = (space.root / "exclude.csv").read_text().splitlines()
    assert {row.partition(",")[0] for row in rows[1:]} == suggested
    assert all(row.endswith(",look") and ",," not in row for row in rows[1:])
    assert not any(f.exclude for f in after.findings)
    space.prepare()


def test_runs_that_disagree_with_the_mask_are_found(tmp_path, tiny_competition):
    tiny_competition(tmp_path / "d", table="train.csv", order="column")
    space = Workspace.new(tmp_path / "ws", tmp_path / "d")
    assert "runs unlike the mask" not in {f.name for f in space.look().findings}
    table = tmp_path / "d" / "train.csv"
    rows = table.read_text().splitlines()
    id, text = rows[1].split(",")
    rows[1] = f"{id},{text.rpartition(' ')[0].rpartition(' ')[0]}"
    table.write_text("\n".join(rows) + "\n")
    found = {f.name: f for f in space.look().findings}["runs unlike the mask"]
    assert found.ids == (id.removesuffix(".jpg"),)
    assert "1 of 18" in found.what
    wrong = Workspace.new(tmp_path / "other", tmp_path / "d", ["submission.order=row"])
    found = {f.name: f for f in wrong.look().findings}["runs unlike the mask"]
    assert found.count > 9
    assert 'submission.order = "column"' in found.remedy


def test_masks_of_objects_and_of_classes_that_overlap_are_found(tmp_path):
    """A folder a sample with a file an object, two of which overlap; and class folders, one on top of the other."""
    rng = np.random.default_rng(0)
    data = tmp_path / "w/data"
    for i in range(8):
        for k in range(3):
            mask = np.zeros((24, 40), np.uint8)
            mask[2:20, 10 * k : 10 * k + (12 if i == 5 else 9)] = 255
            for path in (data / f"s{i}/masks/{k}.png", data / f"classes/c{k}/s{i}.png"):
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(mask).save(path)
        path = data / f"s{i}/images/s{i}.png"
        path.parent.mkdir()
        Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8)).save(path)
    (tmp_path / "w/recipes").mkdir()
    (tmp_path / "w/recipes/baseline.toml").touch()
    by_object = 'train_masks = "{id}/masks/*.png"\n[classes]\nobject = 1\n'
    by_class = 'train_masks = "classes/{class}/{id}.png"\n[classes]\nbackground = 0\nc0 = 1\nc1 = 2\nc2 = 3\n'
    for task, masks, words in (
        ("instances", by_object, "the first object keeps"), ("segmentation", by_class, "the last class is on top")
    ):  # fmt: skip
        (tmp_path / "w/competition.toml").write_text(
            f'name = "t"\ntask = "{task}"\nmetric = "{"dsb2018" if task == "instances" else "mean_iou"}"\n[data]\n'
            f'train_images = "{{id}}/images/*.png"\n{masks}'
        )
        report = Workspace(tmp_path / "w").look()
        (finding,) = [f for f in report.findings if f.name == "overlapping masks"]
        assert finding.ids == ("s5",)
        assert words in finding.what
        assert finding.examples == {"s5": "overlap 72 px"}
        assert finding.severity == "note"
