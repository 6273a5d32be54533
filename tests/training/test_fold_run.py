"""A fold run: what it leaves, that it learns, that it repeats, and that a killed one ends as if it had not been."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from podium.data.geometry import mask_at
from podium.data.store import Store
from podium.errors import TrainingError
from podium.files import is_complete
from podium.ledger.fold_runs import FoldRun
from podium.recipe import Recipe
from podium.training import loop
from podium.training.fold_run import FoldData, derived_seed, run_fold
from podium.training.tasks import Task


def tiny() -> Recipe:
    """Learns the blobs in four epochs of well under a second."""
    model = ["model.width=0.25", "model.depth=3", "optim.lr=1e-2"]
    return Recipe().with_overrides([*model, "train.epochs=4", "train.batch_size=4", "train.precision=fp32"])


@pytest.fixture
def tiny_recipe() -> Recipe:
    return tiny()


def weights(folder: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return dict(torch.load(folder / name, weights_only=True)["model"])


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@pytest.fixture(scope="module")
def finished(fold_data: FoldData, tmp_path_factory: pytest.TempPathFactory) -> FoldRun:
    return run_fold(fold_data, tiny(), 0, 0, tmp_path_factory.mktemp("attempt"))


def test_leaves_these_files(finished: FoldRun) -> None:
    names = {p.name for p in finished.folder.iterdir()}
    assert names == {
        "COMPLETE", "best.pt", "last.pt", "history.csv", "log.txt", "run.toml", "scores.parquet", "oof",
        "first_batch.jpg", "extremes.jpg",
    }  # fmt: skip
    history = pl.read_csv(finished.folder / "history.csv")
    assert history.columns == ["epoch", "lr", "loss", "score", "val_loss", "images_per_s", "data_wait", "seconds"]
    assert history["epoch"].to_list() == [1, 2, 3, 4]
    assert (finished.folder / "log.txt").read_text().count("epoch") >= 4


def test_learns_what_it_has_not_seen(fold_data: FoldData, tiny_recipe: Recipe, tmp_path: Path) -> None:
    longer = run_fold(fold_data, tiny_recipe.with_overrides(["train.epochs=12"]), 0, 0, tmp_path)
    empty_everywhere = np.mean([fold_data.stores.truth.mask(i).sum() == 0 for i in range(24)])
    assert longer.score > empty_everywhere + 0.5


def test_scores_each_validation_sample_once(finished: FoldRun, fold_data: FoldData) -> None:
    scores = finished.scores()
    assert sorted(scores["id"]) == fold_data.folds.validation(0)
    assert finished.score == pytest.approx(scores["score"].mean(), abs=1e-12)
    assert set(scores["group"]) == {fold_data.folds.group[id] for id in scores["id"]}


def test_scores_follow_from_the_stored_predictions(finished: FoldRun, fold_data: FoldData) -> None:
    oof, truth = Store(finished.folder / "oof"), fold_data.stores.truth
    for row in finished.scores().iter_rows(named=True):
        i = truth.row[row["id"]]
        predicted = mask_at(oof.image(oof.row[row["id"]])[:, :, 0], truth.shape(i), 0.5)
        target = truth.mask(i).astype(bool)
        both, total = (predicted & target).sum(), predicted.sum() + target.sum()
        assert row["score"] == pytest.approx(2 * both / total if total else 1.0, abs=1e-12)


def test_same_seed_same_weights_other_seed_others(
    finished: FoldRun, fold_data: FoldData, tiny_recipe: Recipe, tmp_path: Path
) -> None:
    again = run_fold(fold_data, tiny_recipe, 0, 0, tmp_path / "a")
    other = run_fold(fold_data, tiny_recipe, 0, 1, tmp_path / "a")
    assert same(weights(again.folder), weights(finished.folder))
    assert again.scores().equals(finished.scores())
    assert not same(weights(other.folder), weights(finished.folder))


@pytest.mark.parametrize("when", ["while validating", "before the checkpoint", "in the middle of an epoch"])
def test_killed_and_resumed_ends_with_equal_weights(
    when: str,
    finished: FoldRun,
    fold_data: FoldData,
    tiny_recipe: Recipe,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = 0

    class Killed(BaseException):
        pass

    def dying(original, at):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            nonlocal calls
            calls += 1
            if calls == at:
                raise Killed
            return original(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        if when == "while validating":
            import podium.training.fold_run as module

            patch.setattr(module, "evaluate", dying(module.evaluate, 3))
        elif when == "before the checkpoint":
            patch.setattr(loop.state, "save", dying(loop.state.save, 3))
        else:
            patch.setattr(loop.Training, "_step", dying(loop.Training._step, 10))
        with pytest.raises(Killed):
            run_fold(fold_data, tiny_recipe, 0, 0, tmp_path)
    folder = tmp_path / "fold0-seed0"
    assert not is_complete(folder)
    left = torch.load(folder / "last.pt", weights_only=True)
    assert 0 < len(left["done"]["history"]) < 4
    assert left["done"]["elapsed"] > 0
    left["done"]["elapsed"] = 1000.0  # as if it had trained so long
    torch.save(left, folder / "last.pt")

    resumed = run_fold(fold_data, tiny_recipe, 0, 0, tmp_path)
    assert "going on after epoch" in (folder / "log.txt").read_text()
    assert 1000 < resumed.seconds < 1100, "the hours before it was killed count too"
    assert same(weights(resumed.folder), weights(finished.folder))
    assert same(weights(resumed.folder, "best.pt"), weights(finished.folder, "best.pt"))
    assert resumed.scores().equals(finished.scores())


def test_a_finished_run_is_not_trained_again(
    finished: FoldRun, fold_data: FoldData, tiny_recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.training.fold_run.train", lambda *a, **k: pytest.fail("trained again"))
    again = run_fold(fold_data, tiny_recipe, 0, 0, finished.folder.parent)
    assert again.score == finished.score


def test_a_loss_that_is_not_finite_is_told_with_what_to_do(
    fold_data: FoldData, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nan_loss(self, logits, batch):  # type: ignore[no-untyped-def]
        return (logits * float("nan")).mean(), {}

    monkeypatch.setattr(Task, "loss", nan_loss)
    with pytest.raises(TrainingError, match=r"the loss became nan in epoch 1(.|\n)*optim\.lr="):
        run_fold(fold_data, tiny_recipe, 0, 0, tmp_path)
    assert not is_complete(tmp_path / "fold0-seed0")


def test_a_sample_that_cannot_be_loaded_is_named(
    fold_data: FoldData, tiny_recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args):  # type: ignore[no-untyped-def]
        raise ValueError("boom")

    monkeypatch.setattr("podium.data.loader.augment", broken)
    with pytest.raises(TrainingError, match=r"'g\d_\d' failed: ValueError: boom"):
        run_fold(fold_data, tiny_recipe, 0, 0, tmp_path)


def test_last_checkpoint_can_be_chosen(fold_data: FoldData, tiny_recipe: Recipe, tmp_path: Path) -> None:
    """Both rules predict with the weights they name: re-scored from the checkpoint the scores agree."""
    recipe = tiny_recipe.with_overrides(["train.checkpoint=last", "train.epochs=3"])
    run = run_fold(fold_data, recipe, 1, 0, tmp_path)
    history = pl.read_csv(run.folder / "history.csv")
    assert run.score == pytest.approx(history["score"][-1], abs=1e-9)


def test_derived_seeds_differ() -> None:
    seeds = {derived_seed(r, s, f) for r in range(4) for s in range(4) for f in range(5)}
    assert len(seeds) == 80
