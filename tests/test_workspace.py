"""The whole loop from Python on a tiny competition: the files left, the scores, and that the same seed repeats them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

import plain_scores
from podium import Workspace
from podium.errors import BoardError, LedgerError
from podium.ledger.attempts import Attempt

SETTINGS = ["train.epochs=3", "model.width=0.25", "train.precision=fp32"]


def write_source(root: Path, groups: int = 9, views: int = 4) -> None:
    """Rectangles of one colour on another: images 50x70, masks of 0/255, groups `c<k>`."""
    rng = np.random.default_rng(3)
    (root / "imgs").mkdir(parents=True)
    (root / "imgs_masks").mkdir()
    for g in range(groups):
        for v in range(views):
            mask = np.zeros((50, 70), bool)
            y, x = rng.integers(2, 25), rng.integers(2, 35)
            mask[y : y + rng.integers(8, 24), x : x + rng.integers(8, 30)] = v > 0
            image = rng.integers(20, 90, (50, 70, 3)) + mask[..., None] * 110
            Image.fromarray(image.astype(np.uint8)).save(root / "imgs" / f"c{g}_{v:02d}.jpg", quality=95)
            Image.fromarray(mask.astype(np.uint8) * 255).save(root / "imgs_masks" / f"c{g}_{v:02d}_mask.png")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("source")
    write_source(root)
    return root


@pytest.fixture(scope="module")
def lap(source: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Attempt, Attempt]:
    """A workspace after one lap."""
    space = Workspace.new(tmp_path_factory.mktemp("lap") / "rects", source, ["folds.k=3"], hold_out=0.25, public=0.5)
    baseline = space.baseline("smoke", SETTINGS)
    attempt = space.attempt("hotter", ["optim.lr=1e-2"], why="learns faster")
    space.predict()
    space.submit("first")
    space.predict("hotter")
    space.submit("second")
    return space, baseline, attempt


def test_the_files_left(lap: tuple[Workspace, Attempt, Attempt]) -> None:
    root = lap[0].root
    top = {p.name for p in root.iterdir()}
    assert top >= {"competition.toml", "recipes", "data", "folds.csv", "attempts", "submissions", "board", ".podium"}
    assert {p.name for p in (root / "attempts").iterdir()} == {"0000-baseline", "0001-hotter"}
    head = {p.name for p in (root / "attempts/0001-hotter").iterdir()}
    assert head >= {"recipe.toml", "change.toml", "verdict.toml", "why.md", "COMPLETE"}
    first = {p.name for p in (root / "attempts/0000-baseline").iterdir()}
    assert first >= {f"fold{k}-seed{seed}" for k in range(3) for seed in (0, 1)}
    for name in ("0001-baseline", "0002-hotter"):
        left = {p.name for p in (root / "submissions" / name).iterdir()}
        assert left == {"submission.csv.gz", "prediction.toml", "receipt.toml", "COMPLETE"}
    assert not [p for p in root.rglob("*") if p.name.endswith((".tmp", ".partial"))]


def test_each_training_sample_is_scored_out_of_fold_once(lap: tuple[Workspace, Attempt, Attempt]) -> None:
    space, baseline, _ = lap
    table = baseline.out_of_fold()
    assert sorted(table["id"]) == sorted(s.id for s in space.samples().train)
    assert table["id"].n_unique() == len(table) == 28
    assert baseline.cv == pytest.approx(table["score"].mean())
    for group in table.partition_by("group"):
        assert group["fold"].n_unique() == 1


def test_the_board_agrees_with_a_plain_recomputation(lap: tuple[Workspace, Attempt, Attempt], source: Path) -> None:
    space = lap[0]

    def truth(id: str) -> plain_scores.Mask:
        return np.array(Image.open(source / "imgs_masks" / f"{id}_mask.png")) > 127

    rows = space.standings(reveal=True)
    assert {r["message"] for r in rows} == {"first", "second"}
    for row in rows:
        folder = next(p for p in (space.root / "submissions").iterdir() if p.name.endswith(row["attempt"][5:]))
        answers = plain_scores.rows(folder / "submission.csv.gz", "id", "rle_mask")
        plain = plain_scores.board_scores(answers, space.root / "board/solution.csv", truth, plain_scores.dice, "row")
        assert row["public"] == pytest.approx(plain["Public"], abs=1e-9)
        assert row["private"] == pytest.approx(plain["Private"], abs=1e-9)
        assert row["cv"] == pytest.approx(space.attempts.get(row["attempt"]).cv)


def test_private_scores_stay_hidden_until_revealed(lap: tuple[Workspace, Attempt, Attempt]) -> None:
    assert all(row["private"] is None for row in lap[0].standings())


def test_the_hidden_labels_are_outside_what_training_reads(
    lap: tuple[Workspace, Attempt, Attempt], tmp_path: Path
) -> None:
    """Without board/ everything up to the submission works, with the same scores."""
    space, baseline, _ = lap
    blind = tmp_path / "blind"
    shutil.copytree(space.root, blind, symlinks=True, ignore=shutil.ignore_patterns("board", "attempts", "submissions"))
    again = Workspace(blind).baseline("smoke", SETTINGS)
    assert again.out_of_fold().equals(baseline.out_of_fold())
    assert Workspace(blind).predict().rows == 8
    with pytest.raises(BoardError, match="no hidden labels"):
        Workspace(blind).submit("x")


def test_the_same_seed_gives_the_same_scores_and_file_twice(
    lap: tuple[Workspace, Attempt, Attempt], source: Path, tmp_path: Path
) -> None:
    space, baseline, _ = lap
    again = Workspace.new(tmp_path / "again", source, ["folds.k=3"], hold_out=0.25, public=0.5)
    second = again.baseline("smoke", SETTINGS)
    assert second.out_of_fold().equals(baseline.out_of_fold())
    file = again.predict().file
    assert file.read_bytes() == (space.root / "submissions/0001-baseline/submission.csv.gz").read_bytes()


def test_the_verdict_rests_on_the_noise_floor_of_the_baselines_second_seeds(
    lap: tuple[Workspace, Attempt, Attempt],
) -> None:
    space, baseline, attempt = lap
    verdict = attempt.verdict
    assert verdict is not None
    assert verdict.final
    assert verdict.noise_floor is not None
    assert verdict.noise_floor > 0
    assert verdict.raw_gain is not None
    a, b = (
        pl.concat([run.scores() for run in t.runs]).group_by("fold", "group").agg(pl.col("score").mean())
        for t in (attempt, baseline)  # the runs of a fold score the same samples: their mean is that of the seeds
    )
    means = a.join(b, on=["fold", "group"]).group_by("fold").agg((pl.col("score") - pl.col("score_right")).mean())
    if verdict.folds == 3:  # else folds were added after the verdict
        assert verdict.raw_gain == pytest.approx(means["score"].mean(), abs=1e-9)
    assert (space.champion().id == attempt.id) == (verdict.verdict == "YES")


def test_without_second_seeds_there_is_no_yes(source: Path, tmp_path: Path) -> None:
    space = Workspace.new(tmp_path / "one", source, ["folds.k=2"])
    quick = ["train.epochs=1", "model.width=0.25", "train.precision=fp32"]
    space.baseline("smoke", quick, seeds=1)
    attempt = space.attempt("hotter", ["optim.lr=1e-2"], why="learns faster", seeds=1)
    assert attempt.verdict is not None
    assert attempt.verdict.verdict == "UNSURE"
    assert "noise floor is unknown" in str(attempt.verdict)
    assert space.champion().id == 0


def test_nothing_is_done_twice(lap: tuple[Workspace, Attempt, Attempt], monkeypatch: pytest.MonkeyPatch) -> None:
    space, baseline, _ = lap
    monkeypatch.setattr("podium.data.prepare.decode_sample", lambda *a: pytest.fail("decoded again"))
    monkeypatch.setattr("podium.training.fold_run.train", lambda *a, **k: pytest.fail("trained again"))
    assert all(stage.reused for stage in space.prepare(baseline.recipe).stages)
    assert space.baseline("smoke", SETTINGS).cv == baseline.cv


def test_a_change_that_changes_nothing_is_refused(lap: tuple[Workspace, Attempt, Attempt]) -> None:
    with pytest.raises(LedgerError, match="changes nothing"):
        lap[0].attempt("same", ["train.epochs=3"], why="?")
    with pytest.raises(LedgerError, match="that is attempt 1"):
        lap[0].attempt("twin", ["optim.lr=0.01"], why="?")


def test_open_finds_the_workspace_from_below(lap: tuple[Workspace, Attempt, Attempt]) -> None:
    assert Workspace.open(lap[0].root / "attempts" / "0000-baseline").root == lap[0].root
