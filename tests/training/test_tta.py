"""Views of an image: each another one, each turned back where it was, and their mean as it is said."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from podium.data.competition import Competition
from podium.metrics import get_metric
from podium.recipe import ITSELF, PredictConfig, Recipe, prediction_only
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.tasks import create_task
from podium.training.tta import shown, turned_back

ALL = PredictConfig(tta=["d4"]).views
NUMBERS = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 3, 4, 6)


@pytest.mark.parametrize("view", ALL)
def test_what_is_shown_is_turned_back(view: tuple[int, bool]) -> None:
    there = shown(NUMBERS, view)
    assert there.shape == ((2, 3, 6, 4) if view[0] % 2 else NUMBERS.shape)
    assert torch.equal(turned_back(there, view), NUMBERS)
    plain = np.rot90(NUMBERS[0, 0].numpy()[:, ::-1] if view[1] else NUMBERS[0, 0].numpy(), view[0])
    assert (there[0, 0].numpy() == plain).all()


def test_the_eight_views_are_eight() -> None:
    assert len(ALL) == 8
    assert ALL[0] == ITSELF
    square = NUMBERS[:, :, :, :4]
    for a, b in itertools.combinations(ALL, 2):
        assert not torch.equal(shown(square, a), shown(square, b))


@pytest.mark.parametrize(
    ("tta", "views"),
    [
        ([], [ITSELF]),
        (["hflip"], [ITSELF, (0, True)]),
        (["vflip"], [ITSELF, (2, True)]),
        (["hflip", "vflip", "hflip"], [ITSELF, (0, True), (2, True)]),
        (["rot90"], [ITSELF, (1, False), (2, False), (3, False)]),
        (["hflip", "d4"], [ITSELF, (0, True), (1, False), (2, False), (3, False), (1, True), (2, True), (3, True)]),
    ],
)
def test_names_add_views_each_once(tta: list[str], views: list[tuple[int, bool]]) -> None:
    assert Recipe.from_tree({"predict": {"tta": tta}}).predict.views == views


class Uneven(nn.Module):
    """The share of white, brighter towards the upper left: no view gives what another gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h, w = x.shape[2:]
        y, z = torch.arange(h).view(1, 1, h, 1) / 50, torch.arange(w).view(1, 1, 1, w) / 90
        return x.mean(1, keepdim=True) * (2 - y - z)


@pytest.mark.parametrize("tta", [["hflip"], ["vflip"], ["rot90"], ["d4"]])
def test_the_prediction_is_the_mean_over_the_views(tta: list[str]) -> None:
    recipe = Recipe.from_tree({"predict": {"tta": tta}, "input": {"normalize": "unit"}})
    data = {"train_images": "*.png", "train_masks": "{id}.png"}
    task = create_task(Competition.from_tree({"name": "x", "data": data}), get_metric("dice"), recipe)
    images = np.random.default_rng(0).integers(0, 255, (3, 32, 64, 3), dtype=np.uint8)
    found = Predictor(create_fabric("fp32"), [Uneven()], task)(images)[..., 0]
    each = []
    for quarters, flipped in recipe.predict.views:
        there = np.rot90(images[:, :, ::-1] if flipped else images, quarters, (1, 2)).astype(np.float32) / 255
        probs = torch.sigmoid(Uneven()(torch.from_numpy(there.copy()).permute(0, 3, 1, 2)))[:, 0].numpy()
        back = np.rot90(probs, -quarters, (1, 2))
        each.append(back[:, :, ::-1] if flipped else back)
    assert np.abs(found - np.mean(each, 0) * 255).max() <= 0.51
    alone = Predictor(create_fabric("fp32"), [Uneven()], task, while_training=True)(images)[..., 0]
    assert np.abs(alone - each[0] * 255).max() <= 0.51
    assert not (alone == found).all()


@pytest.mark.parametrize(
    ("keys", "answer"),
    [
        (["predict.threshold"], True),
        (["predict.tta", "predict.min_area"], True),
        ([], False),
        (["predict.tta", "train.epochs"], False),
        (["input.size"], False),
        (["train.batch_size"], False),
        (["phases"], False),
        (["data.samples"], False),
        (["predictor"], False),
    ],
)
def test_which_changes_touch_the_prediction_alone(keys: list[str], answer: bool) -> None:
    assert prediction_only(keys) == answer
