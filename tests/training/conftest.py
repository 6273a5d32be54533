"""A small competition whose masks can be learnt in seconds: bright blobs on dark noise, odd sizes, groups of four."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from podium.data.competition import Competition
from podium.data.ready import make_ready
from podium.metrics import get_metric
from podium.training.fold_run import FoldData


def write_blobs(root: Path, n: int = 24, size: tuple[int, int] = (40, 37), seed: int = 0) -> Competition:
    """Images `g<group>_<k>.png` and masks of 0/255 below ``root``/data; a quarter of the masks are empty."""
    rng = np.random.default_rng(seed)
    (root / "data/train").mkdir(parents=True)
    (root / "data/masks").mkdir()
    y, x = np.mgrid[: size[0], : size[1]]
    for i in range(n):
        mask = np.zeros(size, bool)
        if i % 4:
            cy, cx, r = rng.uniform(10, 28), rng.uniform(10, 28), rng.uniform(5, 9)
            mask = (y - cy) ** 2 + (x - cx) ** 2 < r**2
        image = rng.integers(0, 80, (*size, 3)) + mask[..., None] * 120
        name = f"g{i // 4}_{i % 4}.png"
        Image.fromarray(image.astype(np.uint8)).save(root / "data/train" / name)
        Image.fromarray(mask.astype(np.uint8) * 255).save(root / "data/masks" / name)
    tree = {
        "name": "blobs",
        "data": {"train_images": "train/*.png", "train_masks": "masks/{id}.png", "group": "^(?P<group>g[0-9]+)_"},
        "folds": {"k": 3},
    }
    return Competition.from_tree(tree)


@pytest.fixture(scope="session")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Competition]:
    root = tmp_path_factory.mktemp("blobs")
    return root, write_blobs(root)


@pytest.fixture(scope="session")
def fold_data(blobs: tuple[Path, Competition]) -> FoldData:
    root, competition = blobs
    prepared = make_ready(competition, root, None)
    return FoldData(competition, prepared.stores, prepared.folds, get_metric("dice"))
