"""Frozen features: computed once, kept, learnt from, and predicted with as any network is."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from PIL import Image

from podium.data.competition import Competition
from podium.data.ready import make_ready
from podium.errors import ModelError
from podium.files import write_atomic
from podium.metrics import get_metric
from podium.models import create_model
from podium.models.features import BoostedTrees, FrozenFeatures, LinearLearner, power_mean, spread
from podium.recipe import ModelConfig, Recipe
from podium.training import checkpoint
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.fold_run import FoldData, run_fold
from podium.training.learners import Rows, fit
from podium.training.repredict import repredict_fold
from podium.training.tasks import create_task

COLOURS = {"red": (200, 40, 40), "green": (40, 200, 40), "blue": (40, 40, 200)}


def write_colours(root: Path, n: int = 36) -> None:
    """Images of one of three colours, lighter and darker; `train.csv` with colour, lightness and two flags."""
    rng = np.random.default_rng(0)
    (root / "data/train").mkdir(parents=True, exist_ok=True)
    rows = ["id,colour,lightness,warm,dark"]
    for i in range(n):
        name, light = list(COLOURS)[i % 3], 0.4 + 0.6 * (i * 7 % n) / n
        image = np.clip(np.array(COLOURS[name]) * light + rng.integers(0, 25, (36, 40, 3)), 0, 255)
        Image.fromarray(image.astype(np.uint8)).save(root / f"data/train/s{i:02d}.png")
        rows.append(f"s{i:02d},{name},{light:.3f},{int(name == 'red')},{int(light < 0.7)}")
    (root / "data/train.csv").write_text("\n".join(rows) + "\n")


CLASSES = {name: n for n, name in enumerate(COLOURS)}
KINDS = {
    "labels": ({"targets": ["colour"]}, {"task": "classification", "metric": "accuracy", "classes": CLASSES}),
    "planes": (
        {"targets": ["warm", "dark"]},
        {"task": "classification", "labels": "many", "metric": "auc", "classes": {"warm": 1, "dark": 2}},
    ),
    "each": (
        {"targets": ["colour", "dark"]},
        {
            "task": "classification",
            "labels": "each",
            "metric": "accuracy",
            "classes": {f"colour:{name}": n for name, n in CLASSES.items()} | {"dark:0": 3, "dark:1": 4},
        },
    ),
    "values": ({"targets": ["lightness"]}, {"task": "regression", "metric": "mae"}),
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some weights: what matters here is that they stay the same."""
    torch.manual_seed(3)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pt"
    model = create_model(ModelConfig(arch="smp.Unet", encoder="squeezenet1_1"))
    torch.save({k: v for k, v in model.state_dict().items() if k.startswith("encoder.")}, path)
    return path


@pytest.fixture
def data_of(tmp_path: Path) -> Callable[[str], FoldData]:
    def make(kind: str) -> FoldData:
        write_colours(tmp_path)
        data, rest = KINDS[kind]
        tree = {"name": "colours", "folds": {"k": 3}, **rest}
        tree["data"] = {"train_images": "train/*.png", "train_csv": "train.csv", "id_column": "id", **data}
        competition = Competition.from_tree(tree)
        prepared = make_ready(competition, tmp_path, None)
        metric = get_metric(competition.metric, parts=competition.parts)
        return FoldData(competition, prepared.stores, prepared.folds, metric, prepared.samples)

    return make


def recipe_of(weights: Path, kind: str, *changes: str) -> Recipe:
    loss = {"labels": "ce", "planes": "bce", "values": "huber", "each": "ce"}[kind]
    settings = [f"loss.terms={{{loss}=1}}"]
    settings += [
        f"model.weights={weights}",
        "model.arch=features",
        "model.encoder=squeezenet1_1",
        "train.precision=fp32",
    ]
    return Recipe().with_overrides([*settings, "model.learner_seeds=2", *changes])


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images features were computed of, call by call."""
    calls: list[int] = []
    original = FrozenFeatures.features

    def counted(self: FrozenFeatures, images: torch.Tensor) -> torch.Tensor:
        calls.append(len(images))
        return original(self, images)

    monkeypatch.setattr(FrozenFeatures, "features", counted)
    return calls


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
@pytest.mark.parametrize("kind", KINDS)
def test_learns_and_predicts_from_its_checkpoint_as_out_of_fold(
    kind: str, learner: str, data_of: Callable[[str], FoldData], weights: Path, tmp_path: Path
) -> None:
    pytest.importorskip("lightgbm")
    data, recipe = data_of(kind), recipe_of(weights, kind, f"model.learner={learner}")
    run = run_fold(data, recipe, 0, 0, tmp_path / "attempt")
    if learner == "linear":  # 24 samples are too few for trees of 20 a leaf: these guess
        assert run.score < 0.08 if kind == "values" else run.score > 0.9
    task = create_task(data.competition, data.metric, recipe)
    state = checkpoint.load(run.folder / "best.pt")
    task.load_state(state["task"])
    task.channels = data.channels
    model = task.create_model(load=False)
    checkpoint.load_weights(run.folder / "best.pt", model)
    predictor = Predictor(create_fabric("fp32"), [model], task)
    kept = pl.read_parquet(next((run.folder / "oof").glob("*.parquet")))
    rows = [data.stores.images.row[id] for id in kept["id"]]
    found = np.stack([values for _, values in predictor.stream(data.images(recipe), rows, 4)])
    np.testing.assert_allclose(found, kept.drop("id").to_numpy(), atol=5e-3)


@pytest.mark.parametrize("learner", ["linear", "lightgbm"])
def test_several_targets_are_learnt_one_by_one(learner: str) -> None:
    """As each alone: the logits of a target belong under its own softmax."""
    rng, outputs = np.random.default_rng(0), [slice(0, 3), slice(3, 5)]
    targets = np.concatenate([np.eye(n, dtype=np.float32)[rng.integers(0, n, 200)] for n in (3, 2)], axis=1)
    features = (targets @ rng.normal(0, 1, (5, 6)) + rng.normal(0, 1, (200, 6))).astype(np.float32)

    def logits(y: np.ndarray, parts: list[slice]) -> np.ndarray:
        kind = LinearLearner if learner == "linear" else BoostedTrees
        model: Any = SimpleNamespace(learner=kind(6, y.shape[1]), config=ModelConfig(learner_seeds=2))
        fit(model, Rows(features, y, np.arange(200)), "labels", 0, parts)
        return np.asarray(model.learner(torch.from_numpy(features)).detach())

    found = logits(targets, outputs)
    for of in outputs:
        np.testing.assert_array_equal(found[:, of], logits(targets[:, of], []))


def test_the_loss_of_several_targets_is_the_mean_of_theirs(
    data_of: Callable[[str], FoldData], weights: Path, tmp_path: Path
) -> None:
    data = data_of("each")
    run = run_fold(data, recipe_of(weights, "each"), 0, 0, tmp_path / "attempt")
    assert run.score > 0.9
    assert 0 < pl.read_csv(run.folder / "history.csv")["loss"][0] < 0.2  # one softmax over all is never below log(2)


def test_features_are_computed_once_for_all_folds_and_learners(
    data_of: Callable[[str], FoldData], weights: Path, tmp_path: Path, computed: list[int]
) -> None:
    data = data_of("labels")
    for fold, changes in ((0, []), (1, []), (2, ["model.learner=lightgbm"])):
        run_fold(data, recipe_of(weights, "labels", *changes), fold, 0, tmp_path / f"attempt{fold}")
    assert sum(computed) == 36
    run_fold(data, recipe_of(weights, "labels", "model.stages=2"), 0, 0, tmp_path / "other")
    assert sum(computed) == 72


def test_only_new_images_are_computed(
    data_of: Callable[[str], FoldData], weights: Path, tmp_path: Path, computed: list[int]
) -> None:
    run_fold(data_of("values"), recipe_of(weights, "values"), 0, 0, tmp_path / "a")
    path = tmp_path / "data/train/s05.png"
    Image.open(path).rotate(180).save(path)
    data = data_of("values")  # the same pictures, and one of them changed
    Image.open(path).rotate(180).save(path)
    data = FoldData(
        data.competition, make_ready(data.competition, tmp_path, None).stores, data.folds, data.metric, data.samples
    )
    computed.clear()
    run_fold(data, recipe_of(weights, "values"), 0, 0, tmp_path / "b")
    assert sum(computed) == 1


def test_variants_are_more_rows_and_depend_on_the_augmentation(
    data_of: Callable[[str], FoldData], weights: Path, tmp_path: Path, computed: list[int]
) -> None:
    data = data_of("labels")
    run_fold(data, recipe_of(weights, "labels", "model.variants=3"), 0, 0, tmp_path / "a")
    assert sum(computed) == 3 * 36
    assert "72 rows" in (tmp_path / "a/fold0-seed0/log.txt").read_text()  # 24 samples, three times
    run_fold(data, recipe_of(weights, "labels", "model.variants=3", "augment.hflip=0"), 0, 0, tmp_path / "b")
    assert sum(computed) == 6 * 36
    run_fold(data, recipe_of(weights, "labels", "augment.hflip=0.25"), 0, 0, tmp_path / "c")
    run_fold(data, recipe_of(weights, "labels", "augment.hflip=0.75"), 0, 0, tmp_path / "d")
    assert sum(computed) == 7 * 36  # without variants it changes nothing


def test_a_random_encoder_is_refused(data_of: Callable[[str], FoldData], tmp_path: Path) -> None:
    recipe = Recipe().with_overrides(["model.arch=features", "model.encoder=squeezenet1_1", "loss.terms={huber=1}"])
    with pytest.raises(ModelError, match="random encoder"):
        run_fold(data_of("values"), recipe, 0, 0, tmp_path / "a")


# ---------------------------------------------------------------------- parts


def test_power_mean_by_hand() -> None:
    values = torch.tensor([[1.0, -2.0, 0.0], [3.0, -2.0, 0.0]])
    assert power_mean(values, 3)[0].item() == pytest.approx(14 ** (1 / 3))
    assert power_mean(values, 3)[1:].tolist() == pytest.approx([-2, 0])
    torch.testing.assert_close(power_mean(values, 1), values.mean(0))


@pytest.mark.parametrize("n", [1, 4, 20, 100])
@pytest.mark.parametrize("base", [2, 3])
def test_spread_covers_the_line(n: int, base: int) -> None:
    numbers = spread(n, base)
    assert len(set(numbers)) == n
    assert numbers.min() > 0
    assert numbers.max() < 1
    assert np.diff([0, *sorted(numbers), 1]).max() <= 2 * base / n


def test_crops_are_pooled_by_the_power_mean() -> None:
    torch.manual_seed(0)
    config = ModelConfig(arch="features", encoder="squeezenet1_1", crop=32, crops=3, power=3.0)
    model = create_model(config, 3, 2, dense=False).eval()
    assert isinstance(model, FrozenFeatures)
    images = torch.randn(2, 3, 48, 64)
    parts = model._cut(images)
    assert [tuple(p.shape[-2:]) for p in parts] == 3 * [(32, 32)]
    whole = torch.stack([model._places(p) for p in parts])
    torch.testing.assert_close(model.features(images), (whole**3).mean(0) ** (1 / 3))
    assert model.features(images).shape == (2, 256 + 512 + 512)
    assert not model.train().encoder.training


@pytest.mark.parametrize("kind", ["labels", "planes", "values"])
def test_the_linear_learner_is_scikit_learns(kind: str) -> None:
    from sklearn.linear_model import LogisticRegression, Ridge

    rng = np.random.default_rng(zlib.crc32(kind.encode()))
    x = rng.normal(3, 2, (90, 5)).astype(np.float32)
    scores = x[:, :3] @ rng.normal(size=(3, 3))
    y = {
        "labels": np.eye(3)[(scores - scores.mean(0)).argmax(1)],
        "planes": (scores > scores.mean(0)).astype(float),
        "values": scores,
    }[kind].astype(np.float32)
    model = create_model(ModelConfig(arch="features", encoder="squeezenet1_1", stages=1), 3, 3, dense=False)
    model.learner = type(model.learner)(5, 3)
    fit(model, Rows(x, y, np.ones(90, np.int64)), kind, 0)  # one group: nothing to choose by
    found = model.learner(torch.from_numpy(x)).detach().numpy()
    scaled = (x - x.mean(0)) / x.std(0)
    if kind == "values":
        expected = Ridge(alpha=100).fit(scaled, y).predict(scaled)
    elif kind == "labels":
        expected = LogisticRegression(C=0.01, max_iter=500).fit(scaled, y.argmax(1)).decision_function(scaled)
        found, expected = found - found.mean(1, keepdims=True), expected - expected.mean(1, keepdims=True)
    else:
        each = [LogisticRegression(C=0.01, max_iter=500).fit(scaled, y[:, k]) for k in range(3)]
        expected = np.stack([m.decision_function(scaled) for m in each], axis=1)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("present", [[0], [0, 2], [0, 1, 2]])
def test_classes_that_are_not_there_are_never_said(present: list[int]) -> None:
    rng = np.random.default_rng(0)
    labels = np.resize(present, 60)
    x = (rng.normal(size=(60, 4)) + 3 * np.eye(4)[labels]).astype(np.float32)
    model = create_model(ModelConfig(arch="features", encoder="squeezenet1_1", stages=1), 3, 3, dense=False)
    model.learner = type(model.learner)(4, 3)
    fit(model, Rows(x, np.eye(3, dtype=np.float32)[labels], np.arange(60)), "labels", 0)
    probs = model.learner(torch.from_numpy(x)).softmax(1).detach().numpy()
    assert (probs.argmax(1) == labels).mean() > 0.95
    absent = [k for k in range(3) if k not in present]
    assert probs[:, absent].max(initial=0) < 1e-3


@pytest.mark.parametrize(("before", "after"), [("[]", '["hflip", "rot90"]'), ('["vflip"]', "[]")])
def test_other_views_are_predicted_with_the_learner_that_was_fitted(
    before: str, after: str, data_of: Callable[[str], FoldData], weights: Path, tmp_path: Path
) -> None:
    data, base = data_of("values"), recipe_of(weights, "values", f"predict.tta={before}")
    write_atomic(tmp_path / "0000-baseline/recipe.toml", base.to_toml())
    source = run_fold(data, base, 0, 0, tmp_path / "0000-baseline")
    recipe = base.with_overrides([f"predict.tta={after}"])
    anew = run_fold(data, recipe, 0, 0, tmp_path / "anew")
    again = repredict_fold(data, recipe, source, tmp_path / "0001-views")
    assert again.scores().equals(anew.scores())
    assert not again.scores().equals(source.scores())
