"""Pre-training of one's own: a classifier of one competition, its encoder in the segmentation of another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from drawing import draw, save_mask
from podium.errors import ModelError
from podium.training.tasks import create_task
from podium.workspace import Workspace

TINY = ["input.normalize=unit", "train.epochs=1", "train.batch_size=4", "train.precision=fp32", "model.width=1.0"]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A classification workspace with a trained baseline: is there an ellipse?"""
    root = tmp_path_factory.mktemp("own")
    rng, rows = np.random.default_rng(0), ["id,there"]
    (root / "cells-data/train").mkdir(parents=True)
    for i in range(16):
        image, _ = draw(rng, (32, 32))
        if i % 2:
            image = rng.integers(0, 60, (32, 32, 3)).astype(np.uint8)
        Image.fromarray(image).save(root / f"cells-data/train/c{i:02d}.png")
        rows.append(f"c{i:02d},{1 - i % 2}")
    (root / "cells-data/train.csv").write_text("\n".join(rows) + "\n")
    workspace = Workspace.new(root / "cells", root / "cells-data", ["folds.k=2"])
    changes = ["model.arch=smp.Classifier", "model.encoder=squeezenet1_1", *TINY]
    workspace.baseline(changes=changes)
    return workspace


@pytest.fixture
def blobs(cells: Workspace, tmp_path: Path) -> Workspace:
    """A segmentation workspace beside it."""
    rng = np.random.default_rng(1)
    (tmp_path / "train").mkdir()
    for i in range(8):
        image, mask = draw(rng, (32, 32))
        Image.fromarray(image).save(tmp_path / f"train/b{i}.png")
        save_mask(tmp_path / f"train_masks/b{i}.png", mask)
    root = cells.root.parent / f"blobs-{tmp_path.name}"
    return Workspace.new(root, tmp_path, ["folds.k=2"])


def test_the_encoder_of_a_classifier_begins_a_segmentation(cells: Workspace, blobs: Workspace) -> None:
    changes = ["model.arch=smp.Unet", "model.encoder=squeezenet1_1", "model.weights=attempt:../cells/0000", *TINY]
    attempt = blobs.baseline(changes=changes)
    log = (attempt.folder / "fold0-seed0/log.txt").read_text()
    assert "26 of" not in log
    assert "tensors loaded, by name" in log
    assert "in the file, not used: head.weight, head.bias" in log

    task = create_task(blobs.competition, blobs.metric, attempt.recipe)
    with torch.random.fork_rng():
        path = next((cells.root / "attempts").glob("0000-*")) / "fold0-seed0/best.pt"
        recipe = attempt.recipe.with_overrides([f"model.weights={path}"])
        model = create_task(blobs.competition, blobs.metric, recipe).create_model()
    theirs = torch.load(path, weights_only=True)["model"]
    encoder = {name: t for name, t in model.state_dict().items() if name.startswith("encoder.")}
    assert len(encoder) == 50
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in encoder.items())
    assert task.dense


def test_an_attempt_that_is_not_there_is_told_before_anything_is_trained(blobs: Workspace) -> None:
    changes = ["model.arch=smp.Unet", "model.encoder=squeezenet1_1", *TINY]
    with pytest.raises(ModelError, match=r"no attempt '0009'"):
        blobs.baseline(changes=[*changes, "model.weights=attempt:cells/0009"])
    assert not list((blobs.root / "attempts").glob("*"))
