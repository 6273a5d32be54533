"""Prediction: evaluation mode, flips, padding and original size, each exact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from podium.data.competition import Competition
from podium.data.geometry import mask_at
from podium.data.ready import make_ready
from podium.models import create_model
from podium.recipe import ModelConfig, Recipe
from podium.training.device import create_fabric, to_device
from podium.training.evaluate import Predictor, evaluate, evaluating
from podium.training.fold_run import FoldData


class Bright(nn.Module):
    """Logit +9 where the normalised image is bright, -9 where it is dark: the identity, as far as masks go."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x.mean(dim=1, keepdim=True) > 0.45).float() * 18 - 9


@pytest.fixture
def unit() -> Recipe:
    return Recipe().with_overrides(["input.normalize=unit", "train.precision=fp32", "train.batch_size=3"])


@pytest.mark.parametrize("tta", ["[]", '["hflip"]', '["hflip", "vflip"]'])
def test_the_identity_model_gives_the_masks_back_whatever_the_padding_and_flips(
    tta: str, fold_data: FoldData, unit: Recipe
) -> None:
    recipe = unit.with_overrides([f"predict.tta={tta}", "input.pad_to=32"])
    predictor = Predictor(create_fabric("fp32"), [Bright()], recipe)
    images, truth = fold_data.stores.images, fold_data.stores.truth
    rows = list(range(len(images)))
    seen = []
    for row, probs in predictor.stream(images, rows, 5):
        seen.append(row)
        assert probs.shape == images.shape(row)
        assert (mask_at(probs, truth.shape(row), 0.5) == truth.mask(row)).all()
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
    predictor = Predictor(create_fabric("fp32"), [Bright()], recipe)
    rows = list(range(len(stores.images)))
    counts = evaluate(predictor, stores.images, stores.truth, rows)
    spatial = predictor.preprocess.spatial
    for row, probs in predictor.stream(stores.images, rows, 5):
        true = stores.truth.mask(row) > 0
        top, left, h, w = spatial.box(true.shape)
        assert probs.shape == (h, w) == stores.images.shape(row)
        seen = np.zeros_like(true)
        seen[top : top + h, left : left + w] = true[top : top + h, left : left + w]
        assert (predictor.preprocess.mask_at(probs, true.shape, 0.5) == seen).all()
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
    predictor = Predictor(create_fabric("fp32"), [Bright()], recipe)
    counts = evaluate(predictor, stores.images, stores.truth, range(len(stores.images)))
    dice = (2 * counts.intersection + 1) / (counts.predicted + counts.truth + 1)
    assert dice.mean() > (0.97 if size[0] > 40 else 0.9)


def test_predicts_in_evaluation_mode_and_gives_each_model_its_mode_back() -> None:
    torch.manual_seed(0)
    fabric = create_fabric("fp32")
    model = to_device(create_model(ModelConfig(width=0.125, depth=2)), fabric)
    images = np.random.default_rng(0).integers(0, 255, (4, 32, 32, 3), dtype=np.uint8)
    predictor = Predictor(fabric, [model], Recipe())
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

    predictor = Predictor(create_fabric("fp32"), [Constant(-20), Constant(20), Constant(20)], unit)
    assert (predictor(np.zeros((1, 8, 8, 3), np.uint8)) == 170).all()
