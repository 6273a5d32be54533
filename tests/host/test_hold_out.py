"""A labelled folder as a competition: the hidden labels are on the board and nowhere else."""

from __future__ import annotations

import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

from podium.data.infer import infer
from podium.data.samples import list_samples, wanted_ids
from podium.errors import DataError
from podium.formats import rle
from podium.formats.masks import read_mask
from podium.host.hold_out import hold_out
from podium.host.solution import read_solution
from podium.workspace import Workspace


class Held:
    def __init__(self, tiny, out, share=0.3, public=0.4, seed=0):
        self.tiny, self.data, self.board = tiny, out / "data", out / "board"
        self.source = infer(tiny.folder, "n").competition
        self.made = hold_out(self.source, tiny.folder, self.data, self.board, share, public, seed)
        self.competition = self.made.competition
        self.found = list_samples(self.competition, self.data)
        self.hidden = {s.id for s in self.found.test}
        self.train = {s.id for s in self.found.train}

    def solution(self):
        return read_solution(self.board / "solution.csv", self.competition.submission)


KINDS = {
    "masks": {"masks": "train_masks/{id}_mask.gif"},
    "masks and runs": {"masks": "m/{id}.png", "table": "train_masks.csv", "order": "column"},
    "side by side": {"images": "x/{id}.jpg", "masks": "x/{id}_mask.png"},
    "runs": {"masks": None, "table": "train.csv", "order": "column"},
    "runs in a folder": {"masks": None, "table": "runs.csv", "images": "pics/{id}.png"},
}


def tables(folder):
    for path in folder.rglob("*.csv"):
        with open(path, newline="", encoding="utf-8") as f:
            for row in csv.reader(f):
                yield path, row


@pytest.fixture(params=KINDS, ids=str)
def held(request, tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "source", n_groups=9, test_groups=0, **KINDS[request.param])
    rows = [f"{id}.jpg,{mask.sum()}" for id, mask in tiny.masks.items()]  # another column may betray the label
    (tiny.folder / "facts").mkdir()
    (tiny.folder / "facts" / "areas.csv").write_text("\n".join(["image,area", *rows]))
    (tiny.folder / "cars.csv").write_text("car,maker\ncar0,x\n")
    return Held(tiny, tmp_path / "out")


def test_both_sides_are_there_once_and_whole(held):
    assert held.train | held.hidden == set(held.tiny.masks)
    assert not held.train & held.hidden
    assert (held.made.train, held.made.test) == (len(held.train), len(held.hidden)) == (18, 9)
    assert held.found.problems == []
    for sample in held.found.train + held.found.test:
        with Image.open(sample.image) as image:
            assert image.size == (32, 24)
    for sample in held.found.train:
        if sample.mask:
            mask = read_mask(sample.mask, held.competition.data.mask_values)
        else:
            mask = rle.decode(sample.rle, (24, 32), held.competition.submission.order)
        assert (mask == held.tiny.masks[sample.id]).all()


def test_hidden_labels_are_nowhere_below_data(held):
    hidden_runs = {rle.encode(held.tiny.masks[id], order) for id in held.hidden for order in ("row", "column")}
    for path, row in tables(held.data):
        assert not hidden_runs & set(row)
        if path.name == "sample_submission.csv":
            assert not row[1] or row[1] == held.competition.submission.value_column
        else:
            assert not any(id in cell for id in held.hidden for cell in row), (path, row)
    files = [p for p in held.data.rglob("*") if not p.is_dir() and p.suffix != ".csv"]
    hidden_files = [p for p in files if any(id in p.name for id in held.hidden)]
    assert sorted(p.parent.name for p in hidden_files) == ["test"] * len(held.hidden)
    assert {p.suffix for p in hidden_files} <= {".jpg", ".png"}
    sources = {p.resolve() for p in files}
    assert not any(
        id in p.name and "mask" in str(p.relative_to(held.tiny.folder)) for id in held.hidden for p in sources
    )


def test_the_board_has_the_true_masks(held):
    solution = held.solution()
    assert set(solution.ids) == held.hidden
    for id, (runs,) in zip(solution.ids, solution.truth, strict=True):
        assert solution.shapes[id] == (24, 32)
        assert (rle.mask_of(runs, (24, 32), held.competition.submission.order) == held.tiny.masks[id]).all()
    assert solution.usage.count("Public") == held.made.public


def test_groups_are_whole_on_each_side_and_in_each_part(held):
    groups = {id: id.partition("_")[0] for id in held.tiny.masks}
    assert not {groups[i] for i in held.train} & {groups[i] for i in held.hidden}
    parts = {}
    for id, usage in zip(held.solution().ids, held.solution().usage, strict=True):
        assert parts.setdefault(groups[id], usage) == usage
    assert {s.group for s in held.found.train} == {groups[i] for i in held.train}


def test_the_sample_submission_asks_for_the_hidden_ones(held):
    assert set(wanted_ids(held.competition, held.data, held.found.test)) == held.hidden
    assert held.competition.board.kind == "local"
    assert held.competition.submission == held.source.submission


def test_tables_keep_the_rows_of_training_samples(held):
    rows = [row for path, row in tables(held.data) if path.name == "areas.csv"]
    assert {row[0] for row in rows} == {"image"} | {f"{id}.jpg" for id in held.train}
    assert not (held.data / "cars.csv").exists()  # not about samples


def listing(folder):
    return {
        str(p.relative_to(folder)): os.readlink(p) if p.is_symlink() else p.read_bytes()
        for p in sorted(folder.rglob("*"))
        if not p.is_dir()
    }


def test_the_same_seed_holds_out_the_same_and_another_does_not(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "source", n_groups=12, test_groups=0, table="t.csv")
    a, b, c = (Held(tiny, tmp_path / str(n), seed=seed) for n, seed in enumerate((0, 0, 1)))
    assert listing(a.data) == listing(b.data)
    assert listing(a.board) == listing(b.board)
    assert a.hidden != c.hidden


def test_identical_images_are_not_torn_apart(tmp_path, tiny_competition):
    for seed in range(4):
        out = tmp_path / str(seed)
        tiny = tiny_competition(out / "source", n_groups=10, test_groups=0, images="i/{id}.png", masks="m/{id}.png")
        for n in range(0, 8, 2):  # chains of cars 0..1, 2..3, …
            shutil.copy(tiny.folder / f"i/car{n}_01.png", tiny.folder / f"i/car{n + 1}_02.png")
        held = Held(tiny, out, seed=seed)
        sides = {id.partition("_")[0]: id in held.hidden for id in tiny.masks}
        assert [sides[f"car{n}"] for n in range(0, 8, 2)] == [sides[f"car{n}"] for n in range(1, 8, 2)]
        usage = dict(zip(held.solution().ids, held.solution().usage, strict=True))
        for n in range(0, 8, 2):
            assert usage.get(f"car{n}_01") == usage.get(f"car{n + 1}_01")


def test_a_group_column_in_the_table_of_runs_is_kept(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "source", n_groups=8, test_groups=0, masks=None, table="train.csv")
    lines = (tiny.folder / "train.csv").read_text().splitlines()
    patients = ["patient", *(f"p{n // 6}" for n in range(24))]
    (tiny.folder / "train.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(lines, patients, strict=True)))
    held = Held(tiny, tmp_path / "out", share=0.5)
    assert held.source.data.group_csv == held.competition.data.group_csv == "train.csv"
    group = dict(zip(sorted(tiny.masks), patients[1:], strict=True))
    assert {s.id: s.group for s in held.found.train} == {id: group[id] for id in held.train}
    assert all(s.rle == rle.encode(tiny.masks[s.id]) for s in held.found.train)
    assert not any(
        id in cell for id in held.hidden for p, row in tables(held.data) for cell in row if "sample" not in p.name
    )


def test_a_source_with_a_test_set_of_its_own(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "source", n_groups=8, test_groups=2, table="t.csv")
    held = Held(tiny, tmp_path / "out")
    assert held.hidden < set(tiny.masks)
    assert set(wanted_ids(held.competition, held.data, held.found.test)) == held.hidden


@pytest.mark.parametrize("where", ["train/car0_01.jpg", "train_masks/{hidden}_mask.gif"])
def test_a_damaged_file_is_named_and_nothing_is_half_made(tmp_path, tiny_competition, where):
    tiny = tiny_competition(tmp_path / "source", n_groups=9, test_groups=0)
    hidden = sorted(Held(tiny, tmp_path / "first").hidden)[0]
    path = tiny.folder / where.replace("{hidden}", hidden)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=path.name):
        Held(tiny, tmp_path / "out")
    assert not (tmp_path / "out/board").exists()


def test_what_has_no_mask_is_left_out(tmp_path, tiny_competition, capsys):
    tiny = tiny_competition(tmp_path / "source", n_groups=9, test_groups=0)
    (tiny.folder / "train_masks/car3_02_mask.gif").unlink()
    held = Held(tiny, tmp_path / "out")
    assert "car3_02" not in held.train | held.hidden
    assert "car3_02" in capsys.readouterr().err


def test_a_single_hidden_group_is_split_within_and_that_is_said(tmp_path, tiny_competition, capsys):
    tiny = tiny_competition(tmp_path / "source", n_groups=3, test_groups=0)
    held = Held(tiny, tmp_path / "out", share=0.3)
    assert set(held.solution().usage) == {"Public", "Private"}
    assert len({id.partition("_")[0] for id in held.hidden}) == 1
    assert held.competition.folds.k == 2, "no more folds than groups are left"
    assert "one group" in capsys.readouterr().err


def test_one_group_left_to_train_on_is_refused_before_anything_is_made(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "source", n_groups=3, test_groups=0)
    with pytest.raises(DataError, match=r"0\.6 of 3 groups leaves one group to train on(.|\n)*data\.group=none"):
        Held(tiny, tmp_path / "out", share=0.6)
    assert not (tmp_path / "out").exists()


def test_fewer_folds_for_the_groups_that_are_left_are_told(tmp_path, tiny_competition, capsys):
    tiny = tiny_competition(tmp_path / "source", n_groups=6, test_groups=0)
    Workspace.new(tmp_path / "space", tiny.folder, hold_out=0.5)
    assert "folds.k = 3: only 3 groups are left to train on" in capsys.readouterr().err
    space = Workspace.new(tmp_path / "loose", tiny.folder, ["data.group=none"], hold_out=0.5)
    assert space.competition.folds.k == 5
    assert "groups" not in capsys.readouterr().err


def test_a_single_hidden_sample_cannot_be_a_board(tmp_path, tiny_competition):
    tiny = tiny_competition(tmp_path / "source", n_groups=3, views=1, test_groups=0)
    with pytest.raises(DataError, match="cannot be split into a public and a private part"):
        Held(tiny, tmp_path / "out", share=0.3)


@pytest.mark.real_data
def test_real_salt_keeps_its_labels_to_the_board(tmp_path, real_data):
    folder = real_data / "tgs_salt"
    competition = infer(folder, "salt").competition
    made = hold_out(competition, folder, tmp_path / "data", tmp_path / "board", 0.2, 0.3)
    found = list_samples(made.competition, tmp_path / "data")
    hidden = {s.id for s in found.test}
    assert abs(len(hidden) / 977 - 0.2) < 0.03
    assert not hidden & {p.stem for p in (tmp_path / "data").rglob("*") if p.parent.name != "test"}
    told = made.competition.data.inputs_csv  # depths are known of test images too; nothing else is in that file
    assert (tmp_path / "data" / told).read_text().splitlines()[0] == "id,z"
    plain = ("sample_submission.csv", told)
    assert not hidden & {row[0] for p, row in tables(tmp_path / "data") if p.name not in plain}
    solution = read_solution(tmp_path / "board/solution.csv", made.competition.submission)
    with open(folder / "train.csv", newline="") as f:
        truth = dict(csv.reader(f))
    for id, (runs,) in zip(solution.ids, solution.truth, strict=True):
        assert np.array_equal(runs, rle.parse(truth[id]))
