"""Small competitions drawn in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from podium.formats import rle


@dataclass(frozen=True)
class Tiny:
    """A small data set as it lies on disk, and the truth about it."""

    folder: Path
    masks: dict[str, np.ndarray]
    test: list[str]


def draw(rng, size, channels=3):
    """A light ellipse on a dark, noisy ground, and its mask."""
    h, w = size
    y, x = np.mgrid[:h, :w]
    cy, cx = rng.uniform(0.35, 0.65) * h, rng.uniform(0.35, 0.65) * w
    ry, rx = rng.uniform(0.15, 0.3) * h, rng.uniform(0.15, 0.3) * w
    mask = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 <= 1
    image = rng.integers(0, 60, (h, w, 3)) + 170 * mask[:, :, None]
    return image.astype(np.uint8), mask


def save_mask(path, mask, value=255):
    """A mask file: a palette GIF of 0 and 1 as Carvana has, or an 8-bit image of 0 and ``value``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gif":
        image = Image.fromarray(mask.astype(np.uint8), "L").convert("P")
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.putdata(mask.astype(np.uint8).ravel().tolist())
        image.save(path)
    else:
        Image.fromarray(mask.astype(np.uint8) * np.uint8(value)).save(path)


def tiny_competition(
    folder,
    n_groups=6,
    views=3,
    size=(24, 32),
    *,
    images="train/{id}.jpg",
    masks="train_masks/{id}_mask.gif",
    table=None,
    order="row",
    test_groups=2,
    sample_submission=True,
    row_id="{id}.jpg",
    seed=0,
):
    """Write a small segmentation data set.

    Args:
        images, masks: Where the files of an id go; ``masks`` None = no mask files.
        table: Name of a CSV file with run-length masks, or None.
        order: How its runs count pixels.
        test_groups: Groups that go to test/ instead, without labels; 0 = no test set.
        row_id: How tables spell an id.

    Returns:
        What was written; ids are ``car<group>_<view>``.
    """
    rng, folder = np.random.default_rng(seed), Path(folder)
    known, test = {}, []
    for group in range(n_groups + test_groups):
        for view in range(1, views + 1):
            id, (image, mask) = f"car{group}_{view:02d}", draw(rng, size)
            path = folder / (images if group < n_groups else "test/{id}" + Path(images).suffix).replace("{id}", id)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(path)
            if group >= n_groups:
                test.append(id)
                continue
            known[id] = mask
            if masks:
                save_mask(folder / masks.replace("{id}", id), mask)
    if table:
        rows = [f"{row_id.replace('{id}', id)},{rle.encode(mask, order)}" for id, mask in known.items()]
        (folder / table).write_text("\n".join(["img,rle_mask", *rows]) + "\n")
    if sample_submission and test:
        rows = [f"{row_id.replace('{id}', id)}," for id in test]
        (folder / "sample_submission.csv").write_text("\n".join(["img,rle_mask", *rows]) + "\n")
    return Tiny(folder, known, test)
