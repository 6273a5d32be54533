"""Prediction: evaluation mode, flips, padding and original size, each exact."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from podium.data.competition import Competition
from podium.data.geometry import mask_at
from podium.data.ready import make_ready
from podium.metrics import Counts, get_metric
from podium.models import create_model
from podium.recipe import ModelConfig, Recipe
from podium.training.device import create_fabric, to_device
from podium.training.evaluate import Predictor, evaluating
from podium.training.evaluate import evaluate as evaluate_measured
from podium.training.fold_run import FoldData
from podium.training.tasks import MaskTask, create_task


class Bright(nn.Module):
    """Logit +9 where the normalised image is bright, -9 where it is dark: the identity, as far as masks go."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.mean(dim=1, keepdim=True) > 0.45).float() * 18 - 9


def masks(recipe: Recipe) -> MaskTask:
    """The task of masks of one class."""
    data = {"train_images": "*.png", "train_masks": "{id}.png"}
    task = create_task(Competition.from_tree({"name": "masks", "data": data}), get_metric("dice"), recipe)
    assert isinstance(task, MaskTask)
    return task


def evaluate(predictor, images, truth, rows):  # type: ignore[no-untyped-def]
    """The counts of pixels that the metric reads."""
    return Counts(*evaluate_measured(predictor, images, truth, rows).arrays.values())


@pytest.fixture
def unit() -> Recipe:
    return Recipe().with_overrides(["input.normalize=unit", "train.precision=fp32", "train.batch_size=3"])


@pytest.mark.parametrize("tta", ["[]", '["hflip"]', '["hflip", "vflip"]'])
def test_the_identity_model_gives_the_masks_back_whatever_the_padding_and_flips(
    tta: str, fold_data: FoldData, unit: Recipe
) -> None:
    recipe = unit.with_overrides([f"predict.tta={tta}", "input.pad_to=32"])
    predictor = Predictor(create_fabric("fp32"), [Bright()], masks(recipe))
    images, truth = fold_data.stores.images, fold_data.stores.truth
    rows = list(range(len(images)))
    seen = []
    for row, probs in predictor.stream(images, rows, 5):
        seen.append(row)
        assert probs.shape == (*images.shape(row), 1)
        assert (mask_at(probs[:, :, 0], truth.shape(row), 0.5) == truth.mask(row)).all()
    assert seen == rows
    counts = evaluate(predictor, images, truth, rows)
    assert (counts.intersection == counts.truth).all()
    assert (counts.predicted == counts.truth).all()


@pytest.mark.parametrize("side", ["both", "end"])
@pytest.mark.parametrize("pad", ["reflect", "edge", "zero"])
@pytest.mark.parametrize("crop", [None, "[3, 2, 33, 30]", "centre 26", "centre 35 300"])
def test_the_identity_model_gives_the_masks_back_through_every_crop_and_padding(
    crop: str | None, pad: str, side: str, blobs: tuple[Path, Competition], unit: Recipe
) -> None:
    recipe = unit.with_overrides([f"input.pad={pad}", f"input.pad_side={side}", 'predict.tta=["hflip", "vflip"]'])
    recipe = recipe.with_overrides([f"input.crop={crop}"] if crop else [])
    root, competition = blobs
    stores = make_ready(competition, root, recipe.input).stores
    predictor = Predictor(create_fabric("fp32"), [Bright()], masks(recipe))
    rows = list(range(len(stores.images)))
    counts = evaluate(predictor, stores.images, stores.truth, rows)
    spatial = predictor.preprocess.spatial
    for row, probs in predictor.stream(stores.images, rows, 5):
        true = stores.truth.mask(row) > 0
        top, left, h, w = spatial.box(true.shape)
        assert probs.shape == (h, w, 1) == (*stores.images.shape(row), 1)
        seen = np.zeros_like(true)
        seen[top : top + h, left : left + w] = true[top : top + h, left : left + w]
        assert (predictor.preprocess.mask_at(probs[:, :, 0], true.shape, 0.5) == seen).all()
        assert (stores.masks.mask(row) == seen[top : top + h, left : left + w]).all()
        assert counts.intersection[row] == counts.predicted[row] == seen.sum()
        assert counts.truth[row] == true.sum(), "what the crop leaves out still counts"


@pytest.mark.parametrize("size", [[64, 64], [48, 80], [24, 20]])
def test_masks_come_back_from_a_frame_of_another_aspect(
    size: list[int], blobs: tuple[Path, Competition], unit: Recipe
) -> None:
    recipe = unit.with_overrides({"input": {"size": size, "keep_aspect": True, "pad": "zero", "pad_to": 16}})
    root, competition = blobs
    stores = make_ready(competition, root, recipe.input).stores
    predictor = Predictor(create_fabric("fp32"), [Bright()], masks(recipe))
    counts = evaluate(predictor, stores.images, stores.truth, range(len(stores.images)))
    dice = (2 * counts.intersection + 1) / (counts.predicted + counts.truth + 1)
    assert dice.mean() > (0.97 if size[0] > 40 else 0.9)


def test_predicts_in_evaluation_mode_and_gives_each_model_its_mode_back() -> None:
    torch.manual_seed(0)
    fabric = create_fabric("fp32")
    model = to_device(create_model(ModelConfig(width=0.125, depth=2)), fabric)
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    predictor = Predictor(fabric, [model], masks(Recipe()))
    model.train()
    before = [b.clone() for b in model.buffers()]
    a, b = predictor(images), predictor(images[:1])
    assert model.training
    assert all(torch.equal(x, y) for x, y in zip(before, model.buffers(), strict=True)), "batch norm kept learning"
    assert np.abs(a[0].astype(int) - b[0].astype(int)).max() <= 1, "an image's prediction depends on its batch"


def test_modes_come_back_after_an_error() -> None:
    model = nn.Dropout()

    def fail() -> None:
        with evaluating([model]):
            assert not model.training
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert model.training


def test_models_are_averaged(unit: Recipe) -> None:
    class Constant(nn.Module):
        def __init__(self, logit: float) -> None:
            super().__init__()
            self.logit = logit

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.full_like(x[:, :1], self.logit)

    predictor = Predictor(create_fabric("fp32"), [Constant(-20), Constant(20), Constant(20)], masks(unit))
    assert (predictor(np.zeros((1, 8, 8, 3), np.uint8)) == 170).all()


def test_memory_does_not_grow_with_the_number_of_samples(unit: Recipe) -> None:
    """A few numbers a sample are kept, no prediction."""
    picture, mask = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 8), np.uint8)

    class Same:
        """As many copies of one image, and of one mask, as are asked for."""

        ids = range(640)

        def shape(self, i: int) -> tuple[int, int]:
            return 64, 64

        def image(self, i: int) -> np.ndarray:
            return picture

        def raw(self, i: int) -> np.ndarray:
            return mask

    def peak(n: int) -> int:
        predictor = Predictor(create_fabric("fp32"), [Bright()], masks(unit))
        tracemalloc.start()
        evaluate_measured(predictor, Same(), Same(), range(n))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(64)
    grown = peak(640) - peak(128)
    assert grown < 512 * 512, f"{grown / 512:.0f} bytes a sample; a prediction has {64 * 64}"
