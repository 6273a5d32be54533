"""Every task: learnt from its pixels, scored by its metric at original size, stored once a sample, predicted."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.loader import TrainLoader
from podium.data.ready import Prepared, make_ready
from podium.data.store import Store
from podium.data.views import Montages, montage
from podium.errors import ConfigError, PodiumError
from podium.ledger.fold_runs import FoldRun
from podium.metrics import Measured, get_metric
from podium.recipe import Recipe
from podium.training.check import check_recipe, check_trainable
from podium.training.fold_run import FoldData, run_fold
from podium.training.tasks import MaskTask, TableTask, Values, create_task
from task_drawing import SPECS, TASKS, draw_task, metric_of

DENSE = ("class map", "overlapping", "objects")
LOSS = {
    "class map": "{ce=1, dice=1}",
    "one class": "{ce=1}",
    "yes or no": "{bce=1}",
    "several labels": "{bce=1}",
    "several targets": "{ce=1}",
}
BETTER_THAN = {  # in a few epochs; what no pixel looked at would give is said beside
    "class map": 0.5,  # .29: all ground
    "overlapping": 0.6,  # 0
    "objects": 0.3,  # .2: the images without any
    "one class": 0.9,  # .33
    "yes or no": 0.95,  # .5
    "several labels": 0.75,  # .5
    "several targets": 0.75,  # .39
    "number": 0.15,  # .28: the mean
    "numbers": 3.5,  # 6.5
    "views": 0.25,  # .41
}


def recipe_of(task: str, epochs: int = 12) -> Recipe:
    model = ["model.width=0.25", "model.depth=3"] if task in DENSE else ["model.arch=resnet_small", "model.width=0.25"]
    loss = LOSS.get(task) or ("{bce=1, dice=1}" if task in DENSE else "{huber=1}")
    plain = ["augment.colour=0", "augment.scale=0", "optim.lr=5e-3", "train.batch_size=4", "train.precision=fp32"]
    return Recipe().with_overrides([*model, f"loss.terms={loss}", *plain, f"train.epochs={epochs}"])


def test_logarithms_of_what_has_none_are_refused() -> None:
    competition = Competition.from_tree({"name": "x", **SPECS["number"]})
    recipe = recipe_of("number").with_overrides(["train.target=log"])
    task = create_task(competition, metric_of(competition), recipe)
    assert isinstance(task, TableTask)
    task.fit(Values(np.array([[0.0], [3.0], [-0.5]]), [()] * 3))
    with pytest.raises(ConfigError, match=r"go down to -1(.|\n)*above -1"):
        task.fit(Values(np.array([[0.0], [3.0], [-1.0]]), [()] * 3))


class Game:
    """A small competition of a task, prepared, with one fold trained."""

    def __init__(self, root: Path, task: str, epochs: int = 12) -> None:
        self.task, self.competition = task, draw_task(root, task, 32)
        self.metric = metric_of(self.competition)
        self.recipe = recipe_of(task, epochs)
        self.prepared: Prepared = make_ready(self.competition, root, self.recipe.input)
        p = self.prepared
        self.data = FoldData(self.competition, p.stores, p.folds, self.metric, p.samples)
        self.run = run_fold(self.data, self.recipe, 0, 0, root / "attempt")


@pytest.fixture(scope="module", params=TASKS)
def game(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Game:
    return Game(tmp_path_factory.mktemp("task"), request.param)


def test_learns_what_it_has_not_seen(game: Game) -> None:
    bar = BETTER_THAN[game.task]
    assert game.metric.better(game.run.score, bar), f"{game.run.score} against {bar}"


def test_each_sample_of_the_fold_is_scored_and_kept_once(game: Game) -> None:
    wanted, scores = game.prepared.folds.validation(0), game.run.scores()
    assert sorted(scores["id"]) == wanted
    if game.task in DENSE:
        oof = Store(game.run.folder / "oof")
        assert sorted(oof.ids) == wanted
        assert {oof.image(i).shape for i in range(len(oof))} == {(32, 32, 3 if game.task == "class map" else 2)}
    else:
        kept = pl.read_parquet(game.run.folder / "oof/values.parquet")
        assert sorted(kept["id"]) == wanted
        assert np.isfinite(kept.drop("id").to_numpy()).all()


def test_the_score_follows_from_the_stored_raw_material(game: Game) -> None:
    measured = Measured.of_columns(game.metric.kind, game.run.scores().to_dict(as_series=False))
    assert measured.score(game.metric) == pytest.approx(game.run.score, abs=1e-6)
    if game.metric.mean_over_samples:
        assert game.run.scores()["score"].mean() == pytest.approx(game.run.score, abs=1e-6)
    else:
        assert game.run.scores()["score"].null_count() == len(measured)


def test_the_raw_material_follows_from_the_stored_predictions(game: Game) -> None:
    """The out-of-fold predictions, decided anew, give the very same counts."""
    task = create_task(game.competition, game.metric, game.recipe)
    scores = game.run.scores()
    measured = Measured.of_columns(game.metric.kind, scores.to_dict(as_series=False))
    if isinstance(task, MaskTask):
        oof, truth = Store(game.run.folder / "oof"), game.data.stores.truth
        preprocess = task.recipe.input
        from podium.data.preprocess import Preprocess

        rows = [
            task.measure(oof.image(oof.row[id]), truth, truth.row[id], Preprocess.of(preprocess)) for id in scores["id"]
        ]
        again = Measured.of_counts(game.metric.kind, np.stack(rows))
    else:
        kept = pl.read_parquet(game.run.folder / "oof/values.parquet")
        values = Values.of(game.prepared.samples, kept["id"].to_list())
        again = Measured.of_table(task.truth(values.targets), task.predicted(kept.drop("id").to_numpy()))
    for name, array in again.arrays.items():
        np.testing.assert_allclose(array, measured.arrays[name], atol=1e-6)


def test_what_is_learnt_beside_weights_comes_from_training_samples_alone(game: Game) -> None:
    state = torch.load(game.run.folder / "best.pt", weights_only=True)["task"]
    if game.competition.task != "regression":
        assert "mean" not in state
        return
    ids = game.prepared.folds.training(0)
    targets = Values.of(game.prepared.samples, ids).targets
    scaled = np.log1p(targets) if game.task == "number" else targets
    assert state["log"] == (game.task == "number")
    np.testing.assert_allclose(state["mean"], scaled.mean(0))
    np.testing.assert_allclose(state["sd"], scaled.std(0))
    if game.task == "numbers":
        age = [float(s.inputs[0]) for s in game.prepared.samples if s.id in set(ids)]
        assert state["metadata"][0]["mean"] == pytest.approx(np.mean(age))
        assert state["metadata"][1]["categories"] == ["a", "b"]


@pytest.mark.parametrize("task", ["objects", "numbers", "views", "one class"])
def test_one_seed_same_weights_and_scores(task: str, tmp_path: Path) -> None:
    torch.use_deterministic_algorithms(False)
    first, second = Game(tmp_path / "a", task, 2), Game(tmp_path / "b", task, 2)
    weights = [torch.load(g.run.folder / "last.pt", weights_only=True)["model"] for g in (first, second)]
    assert all(torch.equal(weights[0][k], weights[1][k]) for k in weights[0])
    assert first.run.scores().equals(second.run.scores())


# ---------------------------------------------------------------------- what does not fit


FITS = {
    "class map": ("mean_iou", "pixel_accuracy", "endovis_iou", "dice", "boundary_iou"),
    "overlapping": ("dice", "iou_pooled", "boundary_iou"),
    "objects": ("dsb2018", "dice", "iou"),
    "one class": ("accuracy", "log_loss", "auc", "f1_macro", "quadratic_kappa"),
    "yes or no": ("auc", "log_loss", "accuracy", "f1"),
    "several labels": ("auc", "f2_samples", "log_loss", "accuracy"),
    "several targets": ("accuracy", "balanced_accuracy", "log_loss", "auc", "quadratic_kappa"),
    "number": ("rmse", "rmsle", "mae", "mape", "r2", "quadratic_kappa"),
    "numbers": ("rmse", "mae", "r2"),
}
MISFITS = {
    "class map": ("dsb2018", "auc"),
    "overlapping": ("mean_iou", "dsb2018", "mae"),
    "objects": ("mean_iou", "accuracy"),
    "one class": ("mae", "dice"),
    "yes or no": ("dice", "mean_iou"),
    "several labels": ("quadratic_kappa", "dice"),
    "several targets": ("mae", "dice"),
    "number": ("accuracy", "log_loss", "dice"),
    "numbers": ("quadratic_kappa", "auc"),
}


def task_of(root: Path, name: str, metric: str, recipe: Recipe | None = None) -> MaskTask | TableTask:
    competition = draw_task(root, name, 2)
    return create_task(competition, get_metric(metric, parts=competition.parts), recipe or recipe_of(name))


@pytest.mark.parametrize(("task", "metric"), [(t, m) for t, ms in FITS.items() for m in ms])
def test_metrics_that_fit_a_task_are_taken(task: str, metric: str, tmp_path: Path) -> None:
    check_trainable(task_of(tmp_path, task, metric), tmp_path)


@pytest.mark.parametrize(("task", "metric"), [(t, m) for t, ms in MISFITS.items() for m in ms])
def test_metrics_that_do_not_are_refused_with_those_that_do(task: str, metric: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        check_trainable(task_of(tmp_path, task, metric), tmp_path)
    told = caught.value.expected.removeprefix("one of: ").split(", ")
    assert set(FITS[task]) <= set(told)
    assert metric not in told


@pytest.mark.parametrize("task", TASKS)
def test_the_recipe_of_a_task_passes_and_a_loss_of_another_kind_does_not(task: str, tmp_path: Path) -> None:
    recipe = recipe_of(task)
    competition = draw_task(tmp_path, task, 2)
    check_recipe(recipe, create_task(competition, metric_of(competition), recipe))
    other = recipe.with_overrides(
        ["loss.terms={huber=1}" if competition.task != "regression" else "loss.terms={bce=1}"]
    )
    with pytest.raises(ConfigError, match="one of"):
        check_recipe(other, create_task(competition, metric_of(competition), other))


@pytest.mark.parametrize(("task", "arch"), [("one class", "unet"), ("class map", "resnet_small")])
def test_a_network_for_another_task_is_refused(task: str, arch: str, tmp_path: Path) -> None:
    recipe = Recipe().with_overrides([f"model.arch={arch}", f"loss.terms={LOSS[task]}"])
    with pytest.raises(PodiumError, match="competition wants"):
        check_recipe(recipe, task_of(tmp_path, task, "accuracy" if task == "one class" else "mean_iou", recipe))


def test_what_needs_a_mask_is_refused_without_one(tmp_path: Path) -> None:
    for n, change in enumerate(("augment.copy_paste=0.5", "augment.colour_where=foreground")):
        recipe = recipe_of("one class").with_overrides([change])
        with pytest.raises(ConfigError, match=r"augment\."):
            check_recipe(recipe, task_of(tmp_path / str(n), "one class", "accuracy", recipe))


# ---------------------------------------------------------------------- batches


def loader_of(root: Path, task: str, *changes: str) -> tuple[TrainLoader, FoldData]:
    competition, recipe = draw_task(root, task, 12), recipe_of(task).with_overrides(list(changes))
    prepared = make_ready(competition, root, recipe.input)
    data = FoldData(competition, prepared.stores, prepared.folds, metric_of(competition), prepared.samples)
    made = create_task(competition, data.metric, recipe)
    table = None
    if isinstance(made, TableTask):
        made.fit(data.truth)
        table = made.table(data.truth)
    views = list(data.stores.views.values())
    return TrainLoader(data.stores.images, data.stores.masks, range(12), recipe, table=table, views=views), data


def test_batches_of_tables_have_their_samples_targets_and_inputs(tmp_path: Path) -> None:
    loader, _ = loader_of(tmp_path, "numbers")
    assert loader.table is not None
    for batch in loader.epoch(0, 1):
        np.testing.assert_array_equal(batch.targets, loader.table.targets[batch.rows])
        np.testing.assert_array_equal(batch.inputs, loader.table.inputs[batch.rows])
        assert batch.inputs.shape == (4, 2 + 2), "a number and whether it is missing, two categories"


STILL = ("augment.hflip=0", "augment.warp=0")


@pytest.mark.parametrize("change", ["augment.mixup=1", "augment.cutmix=1", "augment.mosaic=1"])
def test_mixed_samples_have_mixed_targets(change: str, tmp_path: Path) -> None:
    """Images of one shade each, so that the mean shade of a mixture says what it is made of."""
    loader, data = loader_of(tmp_path, "number", change, *STILL, "loss.terms={huber=1}")
    images = [data.stores.images.image(i) for i in range(12)]
    shades = np.array([image.mean() for image in images])
    flat = [np.full_like(image, round(shade)) for image, shade in zip(images, shades, strict=True)]
    loader.views[0] = type("Flat", (), {"image": lambda self, i: flat[i], "shape": data.stores.images.shape})()
    loader.table.targets[:, 0] = np.round(shades)
    seen = 0
    for batch in itertools.chain(*(loader.epoch(0, e) for e in range(3))):
        np.testing.assert_allclose(batch.targets[:, 0], batch.images.mean((1, 2, 3)), atol=1.5)
        seen += int((np.abs(batch.targets - loader.table.targets[batch.rows]) > 2).sum())
    assert seen > 5, "nothing was mixed"


def test_several_views_are_one_picture_in_training_and_in_validation_alike(tmp_path: Path) -> None:
    loader, data = loader_of(tmp_path, "views", *STILL)
    whole = Montages(list(data.stores.views.values()), lambda shape: loader.canvas)
    batch = next(iter(loader.epoch(0, 1)))
    assert batch.images.shape == (4, 32, 64, 3)
    for image, row in zip(batch.images, batch.rows, strict=True):
        np.testing.assert_array_equal(image, whole.image(int(row)))
        each = [store.image(int(row)) for store in data.stores.views.values()]
        np.testing.assert_array_equal(image, np.concatenate(each, axis=1))


def test_a_montage_of_three_leaves_a_corner_empty() -> None:
    pictures = [np.full((2, 3, 3), k, np.uint8) for k in (1, 2, 3)]
    whole = montage(pictures)
    assert whole.shape == (4, 6, 3)
    assert [whole[0, 0, 0], whole[0, 3, 0], whole[2, 0, 0], whole[2, 3, 0]] == [1, 2, 3, 0]


@pytest.mark.parametrize("task", ["overlapping", "objects", "class map"])
def test_targets_on_the_device_are_the_stored_masks(task: str, tmp_path: Path) -> None:
    loader, data = loader_of(tmp_path, task, *STILL)
    made = create_task(data.competition, data.metric, recipe_of(task))
    batch = next(iter(loader.epoch(0, 1)))
    target, weight = made.target(batch, torch.device("cpu"))
    assert weight is None
    for row, t in zip(batch.rows, target.numpy(), strict=True):
        if task == "class map":
            np.testing.assert_array_equal(t, data.stores.masks.labels(int(row)))
            assert (t[:2] == 255).all(), "ignored"
        elif task == "overlapping":
            np.testing.assert_array_equal(t, data.stores.masks.mask(int(row)))
        else:
            labels = data.stores.truth.labels(int(row))
            np.testing.assert_array_equal(t[0], labels > 0)
            assert (t[1] <= t[0]).all()
            assert t[1].any() == (labels > 0).any()


def test_outside_the_image_nothing_is_learnt_where_the_border_says_so(tmp_path: Path) -> None:
    changes = ["augment.border=ignore", "augment.warp=1", "augment.shift=0.4", "augment.p={shift=1}"]
    for n, task in enumerate(("overlapping", "class map")):
        loader, data = loader_of(tmp_path / str(n), task, *changes)
        made = create_task(data.competition, data.metric, loader.recipe)
        batch = next(iter(loader.epoch(0, 1)))
        target, weight = made.target(batch, torch.device("cpu"))
        if task == "overlapping":
            assert weight is not None
            assert 0.3 < float(weight.mean()) < 1
            assert not (target * (1 - weight)).any()
        else:
            assert float((target == 255).float().mean()) > 0.1


def test_a_run_that_names_its_metric_is_pooled_over_folds(tmp_path: Path) -> None:
    """The CV of an area under the curve is that of all samples together."""
    from podium.ledger.attempts import Attempts

    folds = [([0, 1], [0.1, 0.2]), ([0, 1], [0.8, 0.9])]
    attempt = Attempts(tmp_path / "attempts").create("baseline", Recipe(), None, "", "digest")
    for fold, (truth, predicted) in enumerate(folds):
        folder = attempt.folder / f"fold{fold}-seed0"
        folder.mkdir()
        ids = [f"s{fold}{i}" for i in range(2)]
        columns = {"id": ids, "group": ids, "fold": [fold] * 2, "score": pl.Series([None, None], dtype=pl.Float64)}
        pl.DataFrame(columns | {"truth": truth, "predicted": predicted}).write_parquet(folder / "scores.parquet")
        write_toml(folder / "run.toml", {"fold": fold, "seed": 0, "score": 1.0, "metric": "auc"})
        (folder / "COMPLETE").touch()
    assert FoldRun.load(attempt.folder / "fold0-seed0").score == 1.0
    assert Attempts(tmp_path / "attempts").get(0).cv == 0.75
