"""Images a second of whole trainings on a GPU: `podium try` without its ledger, on the pictures of `gpu_feed`.

    python -m benchmarks.gpu_train [--arch unet] [--crop 512] [--batch 16] [--devices 1] [key=value ...]
    python -m benchmarks.gpu_train --tiny

One fold run as the commands make it: default recipe, augmentation and average of the weights, compiled, its own choice
of where images lie and who warps them. What is told is the median of the epochs after the first two, in which it warms
up and compiles; validation is not in it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import cv2
import numpy as np
import polars as pl

from benchmarks.harness import machine
from benchmarks.scenes import car_mask, photo
from podium.data.competition import Competition
from podium.data.ready import make_ready
from podium.metrics import get_metric
from podium.recipe import Recipe
from podium.training.fold_run import FoldData, run_fold

FOLDS = 4


def drawn(root: Path, n: int, tiny: bool) -> FoldData:
    """Photographs and masks as files, as a competition has them, and made ready."""
    for name in ("train", "masks"):
        (root / "data" / name).mkdir(parents=True)
    for k in range(n):
        picture, mask = (np.roll(make(tiny, k % 4), 37 * k, 1) for make in (photo, car_mask))
        cv2.imwrite(str(root / "data" / "train" / f"{k:04d}.jpg"), picture[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 84])
        cv2.imwrite(str(root / "data" / "masks" / f"{k:04d}.png"), mask * 255)
    data = {"train_images": "train/*.jpg", "train_masks": "masks/{id}.png", "mask_values": "0/max"}
    competition = Competition.from_tree({"name": "drawn", "metric": "dice", "data": data, "folds": {"k": FOLDS}})
    prepared = make_ready(competition, root, None)
    return FoldData(competition, prepared.stores, prepared.folds, get_metric("dice"), opened=prepared.opened)


def main() -> None:
    """Train and tell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("changes", nargs="*", help="further settings of the recipe, key=value")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--arch", default="unet")
    parser.add_argument("--crop", type=int, default=512)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", type=Path)
    o = parser.parse_args()
    changes = ["train.compile=always", f"train.devices={o.devices}"]
    if o.tiny:
        o.images, o.crop, o.batch, o.steps, o.epochs = 16, 64, 4, 2, 4
        changes = ["train.compile=never", "model.width=0.25", changes[1]]
    changes += [f"model.arch={o.arch}", f"input.train_crop={o.crop}", f"train.batch_size={o.batch}"]
    changes += [f"sampling.per_epoch={o.steps * o.batch}", f"train.epochs={o.epochs}", f"train.val_every={o.epochs}"]
    with tempfile.TemporaryDirectory(prefix="podium-gpu-") as name:
        data = drawn(Path(name), o.images, o.tiny)
        run = run_fold(data, Recipe().with_overrides(changes).with_overrides(o.changes), 0, 0, Path(name) / "attempt")
        history = pl.read_csv(run.folder / "history.csv")
        device = next(line for line in (run.folder / "run.toml").read_text().splitlines() if line.startswith("device"))
    rates = history["images_per_s"].to_list()
    settled = float(np.median(rates[2:]))
    waited = float(np.median(history["data_wait"].to_list()[2:]))
    print(f"{device}; {o.arch}, crops of {o.crop}, steps of {o.batch}, epochs: {[round(rate) for rate in rates]}")
    print(f"{settled:.1f} images/s, {waited:.1%} of the time waiting for batches")
    if o.json:
        told = {"machine": machine(), "options": {k: str(v) for k, v in vars(o).items()}, "images_per_s": rates}
        o.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
