"""The script that people write: Lightning, albumentations and a DataLoader; its images a second on a GPU.

    python -m benchmarks.gpu_peer [--arch ternausnet11] [--crop 1024] [--batch 8] [--workers 16] [--steps 40]

The same drawn photographs and network as `benchmarks.gpu_feed`, decoded from JPEG and PNG files in worker processes,
augmented by albumentations, trained in bf16 by a Lightning Trainer, pinned memory and persistent workers on.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import albumentations as A
import cv2
import numpy as np
import pytorch_lightning as lightning
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from benchmarks.scenes import car_mask, photo
from podium.models import create_model
from podium.recipe import Recipe


class Photos(Dataset[Any]):
    """JPEG photographs and PNG masks, as a tutorial reads them."""

    def __init__(self, folder: Path, names: list[str], crop: int, length: int) -> None:
        self.folder, self.names, self.length = folder, names, length
        self.transform = A.Compose(
            [
                A.RandomCrop(crop, crop),
                A.HorizontalFlip(p=0.5),
                A.ShiftScaleRotate(shift_limit=0.0625, scale_limit=0.1, rotate_limit=5, p=0.75),
                A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=0.1, p=0.5),
                A.Normalize(),
                A.ToTensorV2(),
            ]
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, i: int) -> tuple[torch.Tensor, torch.Tensor]:
        name = self.names[i % len(self.names)]
        image = cv2.cvtColor(cv2.imread(str(self.folder / f"{name}.jpg")), cv2.COLOR_BGR2RGB)
        mask = (cv2.imread(str(self.folder / f"{name}.png"), cv2.IMREAD_GRAYSCALE) > 0).astype(np.float32)
        out = self.transform(image=image, mask=mask)
        return out["image"], out["mask"].unsqueeze(0)


class Net(lightning.LightningModule):
    """The network with BCE and Dice, AdamW."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.model = create_model(Recipe().with_overrides([f"model.arch={arch}"]).model)
        self.times: list[float] = []

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        """One step."""
        images, masks = batch
        logits = self.model(images).float()
        probs = logits.sigmoid()
        overlap, areas = (probs * masks).sum((1, 2, 3)), (probs + masks).sum((1, 2, 3))
        if index % 10 == 0:
            if self.device.type == "cuda":
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())
        return F.binary_cross_entropy_with_logits(logits, masks) + (1 - (2 * overlap + 1) / (areas + 1)).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=1e-4)


def main() -> None:
    """Train some steps and print images a second."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_peer", description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--arch", default="ternausnet11")
    parser.add_argument("--crop", type=int, default=1024)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--json", type=Path)
    o = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, names = Path(temporary), [f"{k:04d}" for k in range(o.images)]
        for k, name in enumerate(names):
            cv2.imwrite(
                str(folder / f"{name}.jpg"), np.roll(photo(o.tiny, k % 4), 37 * k, 1), [cv2.IMWRITE_JPEG_QUALITY, 84]
            )
            cv2.imwrite(
                str(folder / f"{name}.png"), np.roll(car_mask(o.tiny, k % 4) > 0, 37 * k, 1).astype(np.uint8) * 255
            )
        data = Photos(folder, names, o.crop, o.steps * o.batch)
        loader = DataLoader(
            data, o.batch, shuffle=True, num_workers=o.workers, pin_memory=True, persistent_workers=o.workers > 0
        )
        net = Net(o.arch)
        trainer = lightning.Trainer(
            max_epochs=1,
            precision="bf16-mixed",
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(net, loader)
    half = len(net.times) // 2  # the beginning is workers starting and kernels being chosen
    steps = 10 * (len(net.times) - 1 - half)
    rate = steps * o.batch / (net.times[-1] - net.times[half]) if steps else float("nan")
    print(
        f"Lightning + albumentations + DataLoader({o.workers} workers), {o.arch}, crops of {o.crop}: "
        f"{rate:.1f} images/s"
    )
    if o.json:
        o.json.write_text(json.dumps({"images_per_s": rate, **{k: str(v) for k, v in vars(o).items()}}))


if __name__ == "__main__":
    main()
