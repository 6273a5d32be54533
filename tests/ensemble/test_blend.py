"""Blends of attempts in a workspace: better than the best where errors differ, refused where weights would lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from attempt_drawing import data_of, draw_attempt, drawn_space
from podium.config import read_toml
from podium.data.store import Store
from podium.ensemble.ground import Ground
from podium.ensemble.outside import FileStack, read_values
from podium.ensemble.told import told
from podium.errors import ConfigError, DataError, LedgerError
from podium.workspace import Workspace

NOISE = {"number": 150.0, "one class": 1.6}


@pytest.mark.parametrize("task", ["overlapping", "objects", "class map", "one class", "number"])
@pytest.mark.parametrize("weights", ["hill-climb", "fit", "equal", "stack"])
def test_members_whose_errors_differ_are_better_together(task: str, weights: str, tmp_path: Path) -> None:
    space = drawn_space(tmp_path, task, 90 if task in NOISE else 18, k=2)
    noise = NOISE.get(task, 2.5)
    for n, name in enumerate(("baseline", "other", "third")):
        draw_attempt(space, name, noise, f"model.width={1 + n}", seed=n)
    done = space.blend(["0", "other", "0002-third"], weights)
    assert [m.name for m in done.members] == ["0000-baseline", "0001-other", "0002-third"]
    assert done.scores == pytest.approx([a.cv for a in space.attempts.all()])
    assert done.gain is not None
    assert done.gain > 0
    assert done.score is not None
    assert done.file is None
    assert "no test images" in done.why
    text = "\n".join(told(done, space.metric.name))
    assert "over the best member" in text
    again = space.blend(["2", "1", "0"], weights)
    assert (again.score, again.weights) == (done.score, done.weights)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Masks of two classes and two attempts, the second of another input size."""
    space = drawn_space(tmp_path_factory.mktemp("blend"), "overlapping", 18)
    for n, name in enumerate(("baseline", "other")):
        changes = [f"model.width={1 + n}"] + ["input.size=[16, 24]"] * n
        draw_attempt(space, name, 2.5, *changes, seed=n, bias=-1.0)
    return space


def test_members_of_different_input_sizes_meet_at_the_original_one(space: Workspace) -> None:
    done = space.blend(["baseline", "other"], "equal")
    data, member = data_of(space), space.attempts.get("other")
    stores = [Store(run.folder / "oof", touch=False) for run in member.runs]
    id = stores[0].ids[0]
    assert stores[0].image(0).shape[:2] == (16, 24)
    oof = done.members[1].oof
    assert oof is not None
    shape = data.stores.truth.shape(data.stores.truth.row[id])
    assert oof.pixels(id, shape).shape == (*shape, 2)


def test_what_is_tuned_is_fitted_on_the_blend(tmp_path: Path) -> None:
    space = drawn_space(tmp_path, "overlapping", 18)
    for n, name in enumerate(("baseline", "other")):
        draw_attempt(space, name, 1.0, f"model.width={1 + n}", seed=n, bias=-2.0)
    plain = space.blend(["0", "1"], "equal")
    tuned = space.blend(["0", "1"], "equal", ["predict.threshold=tuned"])
    assert plain.score is not None
    assert tuned.score is not None
    assert tuned.score > plain.score
    assert isinstance(tuned.config.threshold, list)
    assert max(tuned.config.threshold) < 0.5


@pytest.mark.parametrize("how", ["hill-climb", "equal"])
def test_maps_of_classes_are_weighed_by_their_contested_pixels_and_nothing_changes(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = drawn_space(tmp_path, "class map", 12, k=2)
    for n, name in enumerate(("baseline", "other", "third")):
        draw_attempt(space, name, 2.5, f"model.width={1 + n}", seed=n)
    found = space.blend(["0", "1", "2"], how)
    monkeypatch.setattr(Ground, "_plain_map", False)
    slow = space.blend(["0", "1", "2"], how)
    assert (found.score, found.naive, found.plain) == (slow.score, slow.naive, slow.plain)
    assert (found.by_fold, found.weights) == (slow.by_fold, slow.weights)


def test_what_is_tuned_of_objects_is_measured_as_in_a_submission(tmp_path: Path) -> None:
    space = drawn_space(tmp_path, "objects", 12, k=2)
    for n, name in enumerate(("baseline", "other")):
        draw_attempt(space, name, 2.0, f"model.width={1 + n}", seed=n)
    keys = ["predict.threshold=tuned", "predict.rim=tuned", "predict.min_area=tuned"]
    done = space.blend(["0", "1"], "equal", keys)
    chosen = done.config.tree()
    fixed = [f"predict.{key}={chosen[key]}" for key in ("threshold", "rim", "min_area") if key in chosen]
    assert space.blend(["0", "1"], "equal", fixed).score == pytest.approx(done.naive)
    climbed = space.blend(["0", "1"], "hill-climb", keys)  # weights are looked for before anything is tuned
    assert climbed.weights != []
    assert climbed.config.tuned == []


def test_fast_is_near(space: Workspace) -> None:
    assert space.blend(["0", "1"], fast=True).score == pytest.approx(space.blend(["0", "1"]).score, abs=0.02)


def test_what_is_counted_from_contested_pixels_is_what_whole_masks_score(space: Workspace) -> None:
    """A setting that changes nothing has every mask put together and decided anew."""
    counted, decided = space.blend(["0", "1"]), space.blend(["0", "1"], changes=["predict.empty_peak=0.001"])
    assert (counted.score, counted.naive, counted.plain) == (decided.score, decided.naive, decided.plain)


# ------------------------------------------------------------------ from elsewhere


def outside(space: Workspace, folder: Path, *, fold_shift: int = 0, folds: bool = True) -> Path:
    """The truth as a teammate's predictions."""
    data = data_of(space)
    (folder / "oof").mkdir(parents=True)
    for id in data.folds.fold:
        masks = data.stores.truth.mask(data.stores.truth.row[id])
        np.savez(folder / f"oof/{id}.npz", np.moveaxis(masks, 0, -1).astype(np.float32))
    if folds:
        rows = [f"{id},{(fold + fold_shift) % 3}" for id, fold in data.folds.fold.items()]
        (folder / "folds.csv").write_text("\n".join(["id,fold", *rows]) + "\n")
    return folder


def test_a_folder_from_elsewhere_gets_the_weight_it_deserves(space: Workspace, tmp_path: Path) -> None:
    done = space.blend(["0", str(outside(space, tmp_path / "mate"))], "hill-climb")
    assert done.weights == [0.0, 1.0]
    assert done.score == 1.0
    assert done.scores[1] == 1.0


@pytest.mark.parametrize(("folds", "told"), [(True, "is in fold"), (False, "nobody knows which folds")])
def test_weights_of_other_folds_are_refused_and_the_mean_is_offered(
    folds: bool, told: str, space: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mate = str(outside(space, tmp_path / "mate", fold_shift=1, folds=folds))
    with pytest.raises(LedgerError, match=rf"'mate': .*{told}(.|\n)*--weights equal"):
        space.blend(["0", mate])
    assert "neighbours of a sample" in capsys.readouterr().err
    done = space.blend(["0", mate], "equal")
    assert done.weights == [0.5, 0.5]
    assert done.score is not None


@pytest.mark.parametrize(
    ("members", "weights", "changes", "told"),
    [
        (["0"], "hill-climb", [], "a blend of one"),
        (["0", "0000-baseline"], "hill-climb", [], "a blend of one"),
        (["0", "nobody"], "hill-climb", [], "no attempt 'nobody'"),
        (["0", "predict.tta=d4"], "hill-climb", [], "is a setting, not an attempt"),
        (["0", "1"], "hilclimb", [], "did you mean"),
        (["0", "1"], "boost", [], "not for pixels"),
        (["0", "1"], "fit", ["optim.lr=1"], "no setting of a blend"),
        (["0", "1"], "fit", ["predict.rim=0.3"], "it does nothing"),
    ],
)
def test_wrong_wishes_are_refused(
    members: list[str], weights: str, changes: list[str], told: str, space: Workspace
) -> None:
    with pytest.raises((LedgerError, ConfigError), match=told):
        space.blend(members, weights, changes)


def test_folds_that_not_all_have_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space = drawn_space(tmp_path, "one class", 24)
    draw_attempt(space, "baseline", 1.0)
    draw_attempt(space, "two", 1.0, "model.width=2", folds=[0, 2])
    draw_attempt(space, "one", 1.0, "model.width=3", folds=[0])
    done = space.blend(["0", "1"])
    assert done.samples < 24
    assert sorted(done.by_fold) == [0, 2]
    said = capsys.readouterr().err
    assert "only folds 0, 2 are predicted by all members" in said
    assert "podium resume 0001-two --complete" in said
    with pytest.raises(LedgerError, match="fold 0 alone") as refused:
        space.blend(["0", "2"])
    assert "podium resume 0002-one --complete" in str(refused.value)


def test_lost_predictions_are_told(tmp_path: Path) -> None:
    space = drawn_space(tmp_path, "one class", 12, k=2)
    draw_attempt(space, "baseline", 1.0)
    other = draw_attempt(space, "other", 1.0, "model.width=2")
    (other.runs[0].folder / "oof/values.parquet").unlink()
    with pytest.raises(LedgerError, match="out-of-fold predictions of attempt 1 cannot be read"):
        space.blend(["0", "1"])


# ------------------------------------------------------------------ files


def test_grey_levels_and_arrays_are_read_alike(tmp_path: Path) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (6, 5)).astype(np.uint8)
    Image.fromarray(levels).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", levels)
    np.savez(tmp_path / "c.npz", levels / np.float32(255))
    stack = FileStack.of(tmp_path, 1)
    assert stack.ids == {"a", "b", "c"}
    for id in "abc":
        assert (stack.pixels(id, (6, 5))[:, :, 0] == levels).all()
    assert stack.pixels("a", (12, 10)).shape == (12, 10, 1)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (np.zeros((4, 4), np.int64), "values of type int64"),
        (np.full((4, 4), 1.5), "values of type float64"),
        (np.full((4, 4), np.nan), "values of type float64"),
        (np.zeros((4, 4, 2), np.uint8), "an array of shape"),
        (np.array([{}], object), "cannot be read"),
    ],
)
def test_arrays_of_something_else_are_refused(content: np.ndarray, told: str, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", content, allow_pickle=True)
    with pytest.raises(DataError, match=told):
        FileStack.of(tmp_path, 1).pixels("a", (4, 4))


def test_damaged_and_double_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="cannot be read"):
        FileStack.of(tmp_path, 1).pixels("a", (4, 4))
    np.save(tmp_path / "a.npy", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match="two files for 'a'"):
        FileStack.of(tmp_path, 1)


def test_tables_from_elsewhere(tmp_path: Path) -> None:
    space = drawn_space(tmp_path, "one class", 12, k=2)
    names = ["red", "green", "blue"]
    table = pl.DataFrame({"id": ["x", "y"], "green": [0.1, 0.2], "red": [0.3, 0.4], "blue": [0.6, 0.4]})
    table.write_csv(tmp_path / "a.csv")
    found = read_values(tmp_path / "a.csv", space.competition, names)
    np.testing.assert_allclose(found["x"], [0.3, 0.1, 0.6])
    table.with_columns(blue=pl.Series([None, 0.4])).write_csv(tmp_path / "b.csv")
    with pytest.raises(DataError, match="row 2, column 'blue'"):
        read_values(tmp_path / "b.csv", space.competition, names)
    table.drop("blue").write_csv(tmp_path / "c.csv")
    with pytest.raises(DataError, match="one for each of: red, green, blue"):
        read_values(tmp_path / "c.csv", space.competition, names)


# ------------------------------------------------------------------ to the board


@pytest.mark.slow
def test_from_trained_networks_to_the_board(workspace: Workspace) -> None:
    tiny = [
        "model.arch=unet",
        "model.width=0.25",
        "model.depth=3",
        "optim.lr=1e-2",
        "train.epochs=2",
        "train.batch_size=4",
    ]
    workspace.baseline(changes=[*tiny, "train.precision=fp32"], seeds=1)
    workspace.attempt("deeper", ["model.depth=4"], why="another one", seeds=1)
    done = workspace.blend(
        ["0", "1"], "hill-climb", ["predict.threshold=tuned"], pseudo=["confidence=0.51", "sure=0.1"]
    )
    assert done.file is not None
    assert done.pseudo is not None
    labels = pl.read_csv(done.pseudo / "pseudo.csv")
    assert set(labels["fold"]) == set(range(workspace.competition.folds.k))
    first = labels.row(0, named=True)
    with np.load(done.pseudo / f"fold{first['fold']}" / f"{first['id']}.npz") as sample:
        assert set(np.unique(sample["target"])) <= {0, 1, 255}  # a bit a class, and what does not count
        assert sample["target"].ndim == 2
    assert done.file.is_file()
    facts, blend = (read_toml(done.file.parent / name) for name in ("prediction.toml", "blend.toml"))
    assert facts["attempts"] == [0, 1]
    assert facts["cv"] == done.score
    assert [m["attempt"] for m in blend["members"]] == [0, 1]
    assert sum(m["weight"] for m in blend["members"]) == pytest.approx(1)
    receipt = workspace.submit("a blend")
    assert receipt.public is not None
    alone = workspace.predict(1)
    same = workspace.blend(["1", "0"], "equal")
    assert same.file is not None
    assert same.file.read_bytes() != alone.file.read_bytes()
