"""Tiles: they cover an image of any size, and what looks at single pixels does not see them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from podium.data.competition import Competition
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training import evaluate, tiles
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.tasks import create_task
from podium.training.tiles import fitting_tile, most_pixels, starts, tiled

SIDES = st.integers(1, 90)


@given(SIDES, SIDES, SIDES, SIDES, st.floats(0, 0.75), st.integers(0, 2**31))
def test_the_identity_gives_the_image(height, width, h, w, overlap, seed):
    pixels = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (1, 2, height, width), np.uint8))
    found = tiled(lambda part: part, pixels.float(), (h, w), overlap)
    assert torch.equal(found.round().to(torch.uint8), pixels)


@given(st.integers(1, 500), st.integers(1, 200), st.floats(0, 0.75))
def test_tiles_cover_a_side_and_overlap_as_they_should(length, tile, overlap):
    found = starts(length, tile, overlap)
    assert found[0] == 0
    assert found == sorted(set(found))
    if tile >= length:
        assert found == [0]
        return
    assert found[-1] == length - tile
    steps = np.diff(found)
    assert steps.max(initial=0) <= max(1, int(tile * (1 - overlap)) + 1)
    assert steps.max(initial=0) <= tile


def test_seams_are_blended_from_one_tile_to_the_next():
    """Each tile says its own number: across the overlap it changes in small steps, never in one."""
    said = iter(range(10))
    found = tiled(lambda part: torch.full_like(part[:, :1], float(next(said))), torch.zeros(1, 3, 8, 72), (8, 40), 0.2)
    line = found[0, 0, 4].numpy()
    assert line[0] == 0
    assert line[-1] == 1
    assert np.diff(line).min() >= 0
    assert np.diff(line).max() < 0.2


def predictor(model: nn.Module, *changes: str) -> Predictor:
    recipe = Recipe().with_overrides(["input.normalize=unit", "input.pad_to=16", *changes])
    data = {"train_images": "*.png", "train_masks": "{id}.png"}
    task = create_task(Competition.from_tree({"name": "x", "data": data}), get_metric("dice"), recipe)
    return Predictor(create_fabric("fp32"), [model], task)


class Seen(nn.Module):
    """A convolution that remembers what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.shapes = nn.Conv2d(3, 1, 3, padding=1), []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return 4 * self.layer(x)


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 96, 128, 3), np.uint8)


def test_tiles_are_as_large_as_asked_for_and_the_whole_is_one():
    model = Seen()
    whole = predictor(model, "predict.tile=whole")(IMAGES)
    assert model.shapes == [(3, 3, 96, 128)]
    model.shapes.clear()
    found = predictor(model, "predict.tile=64", "predict.overlap=0.5")(IMAGES)
    assert set(model.shapes) == {(3, 3, 64, 64)}
    assert len(model.shapes) == 2 * 3
    gap = np.abs(found.astype(int) - whole)
    assert (gap > 1).mean() < 0.1, "only pixels at a tile's edge see less"
    model.shapes.clear()
    assert (predictor(model, "predict.tile=128")(IMAGES) == whole).all()


@pytest.mark.parametrize(("room", "expected"), [(40_000, 3), (13_000, 1), (5_000, 0)])
def test_memory_decides_what_is_predicted_at_once(room, expected, monkeypatch):
    monkeypatch.setattr(evaluate, "SMALL", 100)
    monkeypatch.setattr(evaluate, "most_pixels", lambda model, images: room)
    model = Seen()
    found = predictor(model)(IMAGES)
    if expected:
        assert set(model.shapes) == {(expected, 3, 96, 128)}
    else:
        assert set(model.shapes) == {(1, 3, 64, 64)}
    whole = predictor(Seen(), "predict.tile=whole")(IMAGES)
    assert (np.abs(found.astype(int) - whole) > 1).mean() < (0.1 if not expected else 1e-9)


def test_room_is_counted_by_what_the_layers_give(monkeypatch):
    monkeypatch.setattr(tiles, "free_bytes", lambda device: 2 * 1024 * 1000)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 1, 1))
    assert most_pixels(model, torch.zeros(2, 3, 64, 64)) == 1024 * 1000 // ((4 + 4 + 1) * 4)
    assert fitting_tile(70 * 70, 32) == 64
    assert fitting_tile(5, 32) == 64
    assert fitting_tile(300 * 300, 32) == 288
