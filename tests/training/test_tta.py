"""Views of an image: each another one, each turned back where it was, and their mean as it is said."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from podium.data.competition import Competition
from podium.errors import ConfigError
from podium.metrics import get_metric
from podium.recipe import ITSELF, PredictConfig, Recipe, View, prediction_only
from podium.recipe.predict import views_of
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.tasks import create_task
from podium.training.tta import brought_back, crop_box, shown, turned_back

FLIP = View(flipped=True)
DATA = {"train_images": "*.png", "train_masks": "{id}.png"}
ALL = PredictConfig(tta=["d4"]).views
NUMBERS = torch.arange(2 * 3 * 4 * 6, dtype=torch.float32).reshape(2, 3, 4, 6)


@pytest.mark.parametrize("view", ALL)
def test_what_is_shown_is_turned_back(view: View) -> None:
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
        (["hflip"], [ITSELF, FLIP]),
        (["vflip"], [ITSELF, View(2, True)]),
        (["hflip", "vflip", "hflip"], [ITSELF, FLIP, View(2, True)]),
        (["rot90"], [ITSELF, View(1), View(2), View(3)]),
        (["hflip", "d4"], [ITSELF, FLIP, View(1), View(2), View(3), View(1, True), View(2, True), View(3, True)]),
        (["scale 0.5", "hflip + scale 0.5"], [ITSELF, View(scale=0.5), View(0, True, 0.5)]),
        (["hflip+vflip"], [ITSELF, View(2)]),
        (["hflip+rot90"], [ITSELF, View(1, True), View(2, True), View(3, True)]),
        (["rot90+hflip"], [ITSELF, View(3, True), View(2, True), View(1, True)]),
        (["brightness"], [ITSELF, View(gain=0.9), View(gain=1.1)]),
    ],
)
def test_names_add_views_each_once(tta: list[str], views: list[View]) -> None:
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
    for quarters, flipped, *_ in recipe.predict.views:
        there = np.rot90(images[:, :, ::-1] if flipped else images, quarters, (1, 2)).astype(np.float32) / 255
        probs = torch.sigmoid(Uneven()(torch.from_numpy(there.copy()).permute(0, 3, 1, 2)))[:, 0].numpy()
        back = np.rot90(probs, -quarters, (1, 2))
        each.append(back[:, :, ::-1] if flipped else back)
    assert np.abs(found - np.mean(each, 0) * 255).max() <= 0.51
    alone = Predictor(create_fabric("fp32"), [Uneven()], task, while_training=True)(images)[..., 0]
    assert np.abs(alone - each[0] * 255).max() <= 0.51
    assert not (alone == found).all()


@pytest.mark.parametrize("word", ["flip", "scale", "scale 9", "scale 0.1", "hflip + ", "hflip, vflip"])
def test_unknown_words_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="hflip, vflip, rot90, d4, brightness, contrast, crops, scale"):
        Recipe().with_overrides({"predict": {"tta": [word]}})


@pytest.mark.parametrize("view", [*views_of("crops"), *views_of("crops + rot90"), *views_of("crops + hflip")])
@pytest.mark.parametrize("shape", [(64, 96), (40, 37)])
def test_crops_come_back_where_they_were_cut(view: View, shape: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *shape)
    there = shown(images, view, multiple=8)
    assert there.shape[2:] != shape
    back, box = brought_back(there, view, shape, 8)
    assert torch.equal(back, images[(..., *box)])


def test_the_crops_cover_the_image() -> None:
    covered = np.zeros((64, 96))
    for view in views_of("crops"):
        covered[crop_box((64, 96), view.corner, 32)] += 1
    assert covered.min() >= 1
    assert crop_box((32, 20), "centre", 32) == (slice(0, 32), slice(0, 20)), "too small to be cut"


@pytest.mark.parametrize("words", ["scale 0.5", "scale 1.5", "hflip + scale 2", "rot90 + scale 0.75"])
def test_scaled_predictions_lie_where_the_image_does(words: str) -> None:
    """Even where an interpolation is exact: in the middle of a ramp."""
    ramp = torch.linspace(0, 1, 96).expand(1, 2, 64, 96) + torch.linspace(0, 0.5, 64)[:, None]
    for view in views_of(words):
        there = shown(ramp, view, multiple=16)
        assert abs(max(there.shape[2:]) - 96 * view.scale) <= 8
        back, _ = brought_back(there, view, (64, 96), 16)
        assert (back - ramp)[..., 16:-16, 16:-16].abs().max() < 1e-3


def test_colours_are_of_pixels_not_of_what_is_normalised() -> None:
    mean, sd = torch.tensor([0.4, 0.5, 0.6]).view(1, 3, 1, 1), 0.25
    pixels = torch.rand(2, 3, 8, 8)
    black = -mean / sd
    found = shown((pixels - mean) / sd, View(gain=1.1), black) * sd + mean
    assert (found - pixels * 1.1).abs().max() < 1e-6
    found = shown((pixels - mean) / sd, View(contrast=0.9), black) * sd + mean
    centre = pixels.mean((2, 3), keepdim=True)
    assert (found - (centre + 0.9 * (pixels - centre))).abs().max() < 1e-6


class Identity(nn.Module):
    """Logits whose probabilities are the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.logit(x[:, :1].clamp(1e-4, 1 - 1e-4))


@pytest.mark.parametrize("mean", ["probs", "logits", "geometric", "power"])
@pytest.mark.parametrize("tta", [["d4"], ["crops"], ["hflip", "crops + rot90"], ["vflip", "crops + d4"]])
@pytest.mark.parametrize("tile", ["whole", 64])
def test_the_identity_comes_through_views_and_tiles(tta: list[str], mean: str, tile: object) -> None:
    predict = {"tta": tta, "mean": mean, "tile": tile}
    recipe = Recipe.from_tree({"predict": predict, "input": {"normalize": "unit", "pad_to": 16}})
    task = create_task(Competition.from_tree({"name": "x", "data": DATA}), get_metric("dice"), recipe)
    images = np.random.default_rng(0).integers(1, 255, (2, 96, 144, 3), dtype=np.uint8)
    found = Predictor(create_fabric("fp32"), [Identity(), Identity()], task)(images)
    assert (found[..., 0] == images[..., 0]).all()


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
