"""A change of [predict] alone: what a training anew would give, without one, in a folder that stands alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import podium.training.repredict as module
from podium.config import read_toml
from podium.data.competition import Competition
from podium.data.geometry import mask_at
from podium.data.parts import tidied
from podium.data.preprocess import Preprocess
from podium.data.ready import make_ready
from podium.data.store import Store
from podium.errors import ConfigError, LedgerError
from podium.files import write_atomic
from podium.inference import sources
from podium.inference.predict import predict_test
from podium.ledger.attempts import Attempt, Attempts
from podium.ledger.fold_runs import FoldRun, finished_runs
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training import fold_run
from podium.training.check import check_recipe
from podium.training.fold_run import FoldData, run_fold
from podium.training.repredict import repredict_fold
from podium.training.tasks import create_task
from task_drawing import SPECS, draw_task, metric_of

LEAST = {"class map": ["predict.min_area=6"], "overlapping": ["predict.threshold=[0.3, 0.6]", "predict.largest=true"]}
LEAST["objects"] = ["predict.rim=0.3", "predict.min_area=1"]


def tiny(*changes: str) -> Recipe:
    model = ["model.width=0.25", "model.depth=3", "optim.lr=1e-2", "train.epochs=4", "train.batch_size=4"]
    return Recipe().with_overrides([*model, "train.precision=fp32"]).with_overrides(changes)


def fitting(competition: Competition, *changes: str) -> Recipe:
    """A recipe that this competition's task can be trained with."""
    kind = create_task(competition, metric_of(competition), Recipe()).kind
    terms = {"planes": "{bce=1}", "labels": "{ce=1}", "values": "{huber=1}"}[kind]
    dense = competition.task in ("segmentation", "instances")
    model = ["model.depth=3"] if dense else ["model.arch=resnet_small"]
    plain = ["model.width=0.25", "train.epochs=3", "train.batch_size=4", "train.precision=fp32"]
    return Recipe().with_overrides([*model, *plain, "optim.lr=1e-2", f"loss.terms={terms}", *changes])


def trained(data: FoldData, recipe: Recipe, attempt: Path, fold: int = 0, seed: int = 0) -> FoldRun:
    """A fold run of an attempt's folder with its recipe in it."""
    write_atomic(attempt / "recipe.toml", recipe.to_toml())
    return run_fold(data, recipe, fold, seed, attempt)


@pytest.fixture(scope="module")
def parent(fold_data: FoldData, tmp_path_factory: pytest.TempPathFactory) -> FoldRun:
    return trained(fold_data, tiny(), tmp_path_factory.mktemp("attempts") / "0000-baseline")


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("train", "train_features", "launch"):
        monkeypatch.setattr(fold_run, name, lambda *a, **k: pytest.fail("trained"))


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Content and time of every file."""
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in folder.rglob("*") if p.is_file()
    }


def weights(file: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(file, weights_only=True)["model"])


def same_predictions(one: Path, other: Path) -> bool:
    if (one / "oof/values.parquet").exists():
        return pl.read_parquet(one / "oof/values.parquet").equals(pl.read_parquet(other / "oof/values.parquet"))
    a, b = Store(one / "oof", touch=False), Store(other / "oof", touch=False)
    return a.ids == b.ids and all((a.image(i) == b.image(i)).all() for i in range(len(a)))


# ------------------------------------------------------------------ the very same as a training anew


@pytest.mark.parametrize(
    "change",
    [
        "predict.threshold=0.8",
        "predict.min_area=30",
        "predict.fill_holes=true",
        "predict.largest=true",
        'predict.tta=["hflip"]',
        'predict.tta=["d4"]',
    ],
)
def test_is_what_a_training_with_this_predict_section_would_have_left(
    change: str, parent: FoldRun, fold_data: FoldData, tmp_path: Path
) -> None:
    """Which also says that the training does not read it."""
    recipe = tiny(change)
    anew = trained(fold_data, recipe, tmp_path / "anew")
    again = repredict_fold(fold_data, recipe, parent, tmp_path / "again")
    assert again.scores().equals(anew.scores())
    assert again.score == anew.score
    assert same_predictions(again.folder, anew.folder)
    own, wanted = weights(again.folder / "best.pt"), weights(anew.folder / "best.pt")
    assert own.keys() == wanted.keys()
    assert all(torch.equal(own[name], wanted[name]) for name in own)
    assert (again.folder / "extremes.jpg").read_bytes() == (anew.folder / "extremes.jpg").read_bytes()
    left_out = {"last.pt"}  # of use to who trains on
    assert {p.name for p in again.folder.iterdir()} == {p.name for p in anew.folder.iterdir()} - left_out
    changed = again.scores()["score"].to_list() != parent.scores()["score"].to_list()
    assert changed or change in ("predict.fill_holes=true", "predict.largest=true"), "the change says nothing here"


@pytest.mark.parametrize("checkpoint", ["top3", "snapshots", "last", "loss"])
def test_predicts_with_the_weights_that_were_chosen(checkpoint: str, fold_data: FoldData, tmp_path: Path) -> None:
    base = tiny(f"train.checkpoint={checkpoint}", "schedule.name=cosine", "schedule.cycles=2")
    base = base.with_overrides(["train.ema=0.9"] if checkpoint == "last" else [])
    recipe = base.with_overrides(['predict.tta=["vflip", "rot90"]', "predict.threshold=0.4"])
    source = trained(fold_data, base, tmp_path / "0000-baseline", fold=1, seed=1)
    anew = trained(fold_data, recipe, tmp_path / "anew", fold=1, seed=1)
    again = repredict_fold(fold_data, recipe, source, tmp_path / "0001-views")
    assert (again.fold, again.seed, again.folder.name) == (1, 1, "fold1-seed1")
    assert again.scores().equals(anew.scores())
    assert same_predictions(again.folder, anew.folder)
    assert len(list(again.folder.glob("*.pt"))) == (2 if checkpoint == "snapshots" else 1)


@pytest.mark.parametrize("task", SPECS)
def test_every_task(task: str, tmp_path: Path) -> None:
    """Views for all; of masks what else the task reads, from the stored predictions."""
    competition = draw_task(tmp_path, task, 16)
    base = fitting(competition, 'predict.tta=["hflip"]')
    p = make_ready(competition, tmp_path, base.input)
    data = FoldData(competition, p.stores, p.folds, metric_of(competition), p.samples)
    source = trained(data, base, tmp_path / "0000-baseline")
    views = ["predict.tta=[]"] if "views" in task else ['predict.tta=["vflip"]', *LEAST.get(task, [])]
    for changes in (views, LEAST.get(task, ['predict.tta=["hflip", "hflip"]'])):
        recipe = base.with_overrides(changes)
        check_recipe(recipe, create_task(competition, data.metric, recipe))
        anew = trained(data, recipe, tmp_path / "anew")
        again = repredict_fold(data, recipe, source, tmp_path / "again")
        assert again.scores().equals(anew.scores())
        assert same_predictions(again.folder, anew.folder)
        shutil.rmtree(tmp_path / "anew")
        shutil.rmtree(tmp_path / "again")


def test_scores_follow_from_the_stored_probabilities_by_hand(
    parent: FoldRun, fold_data: FoldData, tmp_path: Path
) -> None:
    recipe = tiny("predict.threshold=0.2", "predict.min_area=25", "predict.fill_holes=true")
    run = repredict_fold(fold_data, recipe, parent, tmp_path / "0001-post")
    oof, truth = Store(parent.folder / "oof", touch=False), fold_data.stores.truth
    for row in run.scores().iter_rows(named=True):
        i = truth.row[row["id"]]
        mask = mask_at(oof.image(oof.row[row["id"]])[:, :, 0], truth.shape(i), 0.2)
        mask, target = tidied(mask, fill_holes=True, min_area=25), truth.mask(i).astype(bool)
        total = mask.sum() + target.sum()
        assert row["score"] == pytest.approx(2 * (mask & target).sum() / total if total else 1.0, abs=1e-12)


# ------------------------------------------------------------------ without training, without the parent


def test_a_threshold_runs_no_network(
    parent: FoldRun, fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_training: None
) -> None:
    for name in ("load_trained", "create_fabric", "predict_out_of_fold"):
        monkeypatch.setattr(module, name, lambda *a, **k: pytest.fail("ran the network"))
    run = repredict_fold(fold_data, tiny("predict.threshold=0.3"), parent, tmp_path / "0001-lower")
    assert run.score != parent.score
    assert "device" not in run.facts


def test_views_are_predicted_without_training(
    parent: FoldRun, fold_data: FoldData, tmp_path: Path, no_training: None
) -> None:
    run = repredict_fold(fold_data, tiny('predict.tta=["d4"]'), parent, tmp_path / "0001-d4")
    assert not same_predictions(run.folder, parent.folder)


def test_says_whose_training_it_is(parent: FoldRun, fold_data: FoldData, tmp_path: Path) -> None:
    recipe = tiny("predict.threshold=0.3")
    write_atomic(tmp_path / "0001-lower/recipe.toml", recipe.to_toml())
    child = repredict_fold(fold_data, recipe, parent, tmp_path / "0001-lower")
    grandchild = repredict_fold(
        fold_data, recipe.with_overrides(['predict.tta=["d4"]']), child, tmp_path / "0002-views"
    )
    assert parent.trained_in == child.trained_in == grandchild.trained_in == "0000-baseline/fold0-seed0"
    assert read_toml(grandchild.folder / "run.toml")["trained_in"] == "0000-baseline/fold0-seed0"
    assert child.facts["best_epoch"] == parent.facts["best_epoch"]
    assert child.facts["seconds"] < parent.facts["seconds"]
    assert "0000-baseline/fold0-seed0" in (child.folder / "log.txt").read_text()


@pytest.mark.parametrize("change", ["predict.threshold=0.3", 'predict.tta=["vflip"]'])
@pytest.mark.parametrize("links", [True, False])
def test_the_parent_stays_as_it_is(
    change: str,
    links: bool,
    parent: FoldRun,
    fold_data: FoldData,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if not links:
        monkeypatch.setattr("podium.files.os.link", refuse)
    before = state(parent.folder.parent)
    run = repredict_fold(fold_data, tiny(change), parent, tmp_path / "0001-other")
    assert state(parent.folder.parent) == before
    shared = (run.folder / "best.pt").stat().st_ino == (parent.folder / "best.pt").stat().st_ino
    one_disk = run.folder.stat().st_dev == parent.folder.stat().st_dev
    assert shared == (links and one_disk)
    again = repredict_fold(fold_data, tiny(change), parent, tmp_path / "0001-other")
    assert again.facts == run.facts, "a finished one is not made again"


@pytest.mark.parametrize("change", ["predict.threshold=0.3", 'predict.tta=["d4"]'])
def test_a_copied_attempt_predicts_when_the_parent_is_gone(change: str, fold_data: FoldData, tmp_path: Path) -> None:
    store, metric = fold_data.stores.images, fold_data.metric
    test = sources.TestSet(sources.StoredImages(store), store.row)

    def file_of(attempt: Attempt, name: str) -> bytes:
        done = predict_test(attempt, fold_data.competition, metric, store.ids, test, tmp_path / name)
        return done.file.read_bytes()

    ledger, digest = Attempts(tmp_path / "here/attempts"), fold_data.folds.digest()
    base = ledger.create("baseline", tiny(), None, "first", digest)
    runs = [run_fold(fold_data, base.recipe, fold, 0, base.folder) for fold in range(2)]
    child = ledger.create("other", tiny(change), base, "perhaps", digest)
    for source in runs:
        repredict_fold(fold_data, child.recipe, source, child.folder)
    plain, expected = file_of(ledger.get("baseline"), "plain"), file_of(ledger.get("other"), "expected")
    shutil.copytree(child.folder, tmp_path / "there/attempts" / child.folder.name)
    shutil.rmtree(tmp_path / "here")
    (copied,) = Attempts(tmp_path / "there/attempts").all()
    assert len(copied.runs) == 2
    assert copied.cv is not None
    assert file_of(copied, "copied") == expected != plain


# ------------------------------------------------------------------ killed, and refused


@pytest.mark.parametrize("at", ["evaluate", "write_judged", "share_file", "write_toml", "write_atomic"])
def test_killed_half_way_leaves_nothing_that_counts(
    at: str, parent: FoldRun, fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    recipe, attempt = tiny("predict.threshold=0.3"), tmp_path / "0001-lower"
    with monkeypatch.context() as patch:
        patch.setattr(module, at, die)
        with pytest.raises(Killed):
            repredict_fold(fold_data, recipe, parent, attempt)
    assert finished_runs(attempt) == []
    assert not (attempt / "fold0-seed0").exists()
    (attempt / ".fold0-seed0.1.tmp").mkdir()  # as a kill by the system leaves it
    run = repredict_fold(fold_data, recipe, parent, attempt)
    assert [r.folder for r in finished_runs(attempt)] == [run.folder]
    assert [p.name for p in attempt.iterdir()] == ["fold0-seed0"]


def copy_of(parent: FoldRun, to: Path) -> FoldRun:
    shutil.copytree(parent.folder.parent, to)
    return FoldRun.load(to / parent.folder.name)


def lose_predictions(folder: Path) -> None:
    shutil.rmtree(folder / "oof")


def damage_predictions(folder: Path) -> None:
    (folder / "oof/pixels.bin").write_bytes(b"")


def lose_weights(folder: Path) -> None:
    (folder / "best.pt").unlink()


@pytest.mark.parametrize(
    ("damage", "change", "told"),
    [
        (lose_predictions, "predict.threshold=0.3", "out-of-fold predictions cannot be read"),
        (damage_predictions, "predict.threshold=0.3", "out-of-fold predictions cannot be read"),
        (lose_weights, "predict.threshold=0.3", "weights are gone"),
        (lose_weights, 'predict.tta=["d4"]', "weights are gone"),
        (lambda folder: None, "optim.lr=2e-3", "optim.lr changed"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(
    damage: Callable[[Path], None],
    change: str,
    told: str,
    parent: FoldRun,
    fold_data: FoldData,
    tmp_path: Path,
) -> None:
    source = copy_of(parent, tmp_path / "0000-baseline")
    damage(source.folder)
    with pytest.raises(LedgerError, match=told):
        repredict_fold(fold_data, tiny(change), source, tmp_path / "0001-other")
    assert not (tmp_path / "0001-other/fold0-seed0").exists()


def test_predictions_of_another_fold_are_refused(parent: FoldRun, fold_data: FoldData, tmp_path: Path) -> None:
    source = copy_of(parent, tmp_path / "0000-baseline")
    other = FoldRun(source.folder, 1, 0, source.score, source.facts)
    with pytest.raises(LedgerError, match="other samples than the fold has now"):
        repredict_fold(fold_data, tiny("predict.threshold=0.3"), other, tmp_path / "0001-other")


@pytest.mark.parametrize(
    ("task", "change", "told"),
    [
        ("one class", "predict.threshold=0.3", r"predict\.threshold: it does nothing for classification of 3 classes"),
        ("number", "predict.min_area=3", r"predict\.min_area: it does nothing for regression"),
        ("class map", "predict.threshold=0.3", r"predict\.threshold: it does nothing for segmentation of 3 classes"),
        ("class map", "predict.fill_holes=true", r"predict\.fill_holes: it does nothing"),
        ("class map", "predict.min_area=[3, 4]", "list of 2(.|\n)*a list of 3: ground, red, green"),
        ("overlapping", "predict.rim=0.3", r"predict\.rim: it does nothing"),
        ("overlapping", "predict.threshold=[0.3]", "list of 1(.|\n)*a list of 2: red, green"),
        ("objects", "predict.threshold=[0.3, 0.4]", "list of 2(.|\n)*one number"),
        ("objects", "predict.largest=true", r"predict\.largest: it does nothing"),
    ],
)
def test_settings_that_say_nothing_for_the_task_are_refused(task: str, change: str, told: str) -> None:
    competition = Competition.from_tree({"name": "x", **SPECS[task]})
    recipe = fitting(competition, change)
    with pytest.raises(ConfigError, match=told):
        check_recipe(recipe, create_task(competition, metric_of(competition), recipe))


def test_thresholds_and_areas_of_each_class(fold_data: FoldData) -> None:
    """As the answer of a submission and as the score: both ask the task."""
    competition = Competition.from_tree({"name": "x", **SPECS["overlapping"]})
    recipe = tiny("predict.threshold=[0.2, 0.6]", "predict.min_area=[1, 3]")
    task = create_task(competition, get_metric("dice"), recipe)
    probs = np.zeros((3, 6, 2), np.uint8)
    probs[0, :2] = 100  # above 0.2, below 0.6
    probs[2, 0] = 250
    probs[2, 3:] = 250
    found = task.decided(probs, (3, 6), Preprocess.of(None))
    assert found.dtype == np.bool_
    assert [plane.sum(1).tolist() for plane in found] == [[2, 0, 4], [0, 0, 3]]
