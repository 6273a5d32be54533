"""The score that a budget of time buys, from scratch: podium beside the scripts that people write.

    python -m benchmarks.peers --data DIR [--time 8m] [--fold 0] [--peers podium,smp,fastai] [--cpu SECONDS] [SET …]

Each trains on the same samples for the same wall-clock time, its own preparation and prediction included, and predicts
the same held-out fold (whole groups); all masks are scored at original size by the same code. smp is a plain
smp.Unet(resnet34) + Lightning + albumentations + DataLoader script, fastai its unet_learner(resnet34); no weights are
pretrained. A peer that is not installed is left out, and that is said. On a machine that others use, look at the CPU
seconds that each got; with --cpu, smp trains until it has used so many, its workers' included, however long that takes.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import machine
from podium.data.samples import Sample
from podium.data.store import Store
from podium.metrics import Measured
from podium.training.fold_run import FoldData, run_fold
from podium.training.tasks import create_task
from podium.workspace import Workspace

SETS = ("tgs_salt", "cvc_clinicdb")
SIDE, BATCH = 256, 8

Mask = NDArray[np.uint8]
Predict = Callable[[Path], Mask]


def seconds_of(text: str) -> float:
    """8m -> 480."""
    return float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1]]


def podium(workspace: Workspace, data: FoldData, fold: int, began: float, budget: str, folder: Path) -> Any:
    """The recipe that `podium new` writes, with the budget alone set; its out-of-fold score is the result."""
    recipe = workspace.recipe().with_overrides([f"train.time={budget}"])
    run = run_fold(data, recipe, fold, 0, folder / "attempt", spent=time.monotonic() - began)
    return run.score, run.facts["images_per_s"]


def smp(
    train: list[Sample], budget: float, began: float, after: float, cpu: float | None = None
) -> tuple[Predict, float]:
    """segmentation_models_pytorch's own example: Lightning, albumentations, DataLoader, Adam, Dice loss."""
    import albumentations as A
    import pytorch_lightning as lightning
    import segmentation_models_pytorch as smp
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Photos(Dataset[Any]):
        def __init__(self, samples: list[Sample]) -> None:
            self.samples = samples
            steps = [A.HorizontalFlip(p=0.5), A.ShiftScaleRotate(p=0.5), A.RandomBrightnessContrast(p=0.3)]
            self.transform = A.Compose([A.Resize(SIDE, SIDE), *steps, A.Normalize(), A.ToTensorV2()])

        def __len__(self) -> int:
            return len(self.samples)

        def __getitem__(self, i: int) -> Any:
            image, mask = read(self.samples[i])
            out = self.transform(image=image, mask=mask.astype(np.float32))
            return out["image"], out["mask"].unsqueeze(0)

    class Net(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = smp.Unet("resnet34", encoder_weights=None, in_channels=3, classes=1)
            self.loss = smp.losses.DiceLoss(smp.losses.BINARY_MODE, from_logits=True)
            self.seen, self.begun = 0, time.monotonic()

        def training_step(self, batch: Any, index: int) -> Any:
            self.seen += len(batch[0])
            self.trainer.should_stop = cpu is not None and cpu_seconds(living=True) - used > cpu
            return self.loss(self.model(batch[0]), batch[1])

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=2e-4)

    loader = DataLoader(Photos(train), BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True)
    net, used = Net(), cpu_seconds()
    left = 86_400 if cpu else max(1, budget - after - (time.monotonic() - began))
    trainer = lightning.Trainer(
        max_epochs=-1,
        max_time={"seconds": int(left)},
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    begun = time.monotonic()
    trainer.fit(net, loader)
    rate = net.seen / (time.monotonic() - begun)
    net.eval()
    transform = A.Compose([A.Resize(SIDE, SIDE), A.Normalize(), A.ToTensorV2()])

    def predict(path: Path) -> Mask:
        image = read_image(path)
        with torch.no_grad():
            probs = net.model(transform(image=image)["image"][None]).sigmoid()[0, 0].numpy()
        return (cv2.resize(probs, image.shape[1::-1]) > 0.5).astype(np.uint8)

    return predict, rate


def fastai(train: list[Sample], budget: float, began: float, after: float) -> tuple[Predict, float]:
    """fastai's tutorial of segmentation: SegmentationDataLoaders, unet_learner, fit_one_cycle."""
    import torch
    from fastai.vision import all as fa

    folder = Path(tempfile.mkdtemp(prefix="podium-peer-"))
    files = []
    for sample in train:
        image, mask = read(sample)
        cv2.imwrite(str(folder / f"{sample.id}.png"), image[:, :, ::-1])
        cv2.imwrite(str(folder / f"{sample.id}_mask.png"), mask)
        files.append(folder / f"{sample.id}.png")
    loaders = fa.SegmentationDataLoaders.from_label_func(
        folder,
        bs=BATCH,
        fnames=files,
        label_func=lambda f: f.with_name(f"{f.stem}_mask.png"),
        codes=["background", "object"],
        item_tfms=fa.Resize(SIDE, method="squish"),
        batch_tfms=fa.aug_transforms(),
        valid_pct=0.05,
        num_workers=0,
        seed=0,
    )
    learner = fa.unet_learner(loaders, fa.resnet34, pretrained=False)
    steps = 4

    class Seen(fa.Callback):
        def __init__(self) -> None:
            self.n, self.times = 0, [time.monotonic()]

        def after_batch(self) -> None:
            if self.training:
                self.n += 1
                self.times.append(time.monotonic())
                if self.probing and self.n >= steps:
                    raise fa.CancelFitException
                if time.monotonic() - began > budget - after:
                    raise fa.CancelFitException

    seen = Seen()
    seen.probing = True
    with learner.no_bar(), learner.no_logging():
        learner.fit(1, cbs=seen)  # how long a step takes, so that the cycle fits the time
        step = (seen.times[-1] - seen.times[1]) / (steps - 1)
        seen.probing, left = False, budget - after - (time.monotonic() - began)
        seen.n, seen.times = 0, [time.monotonic()]
        epochs = max(1, int(left / (step * len(loaders.train) * 1.05)))
        learner.fit_one_cycle(epochs, 1e-3, cbs=seen)
    rate = BATCH * seen.n / (time.monotonic() - seen.times[0])
    learner.model.eval()
    mean, sd = (torch.tensor(v).view(1, 3, 1, 1) for v in fa.imagenet_stats)

    def predict(path: Path) -> Mask:
        image = read_image(path)
        x = torch.from_numpy(cv2.resize(image, (SIDE, SIDE))).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            probs = learner.model((x - mean) / sd).softmax(1)[0, 1].numpy()
        return (cv2.resize(probs, image.shape[1::-1]) > 0.5).astype(np.uint8)

    return predict, rate


def cpu_seconds(*, living: bool = False) -> float:
    """Of the processor, that this process and those it has ended used so far; with ``living`` its children's too."""
    if living:
        ticks = os.sysconf("SC_CLK_TCK")
        stats = [Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2] for child in active_children()]
        return time.process_time() + sum(sum(map(int, s.split()[11:13])) / ticks for s in stats)
    gc.collect()  # a loader that nobody refers to ends its workers
    each = [resource.getrusage(whose) for whose in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in each)


def read_image(path: Path) -> NDArray[np.uint8]:
    """RGB."""
    return np.ascontiguousarray(cv2.imread(str(path))[:, :, ::-1])


def read(sample: Sample) -> tuple[NDArray[np.uint8], Mask]:
    """Image and mask (0/1) of a sample."""
    mask = cv2.imread(str(sample.mask), cv2.IMREAD_UNCHANGED)
    mask = mask if mask.ndim == 2 else mask.max(2)
    return read_image(sample.image), (mask > 0).astype(np.uint8)


def run(name: str, source: Path, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One peer on one set: its score, its pace, and how long it all took."""
    budget = seconds_of(options.time)
    split = Workspace.new(folder / "split", source)  # what is held out is asked of it, outside everybody's time
    prepared = split.prepare(exclude_bad=True)
    validation = prepared.folds.validation(options.fold)
    by_id = {s.id: s for s in prepared.samples}
    train = [by_id[id] for id in prepared.folds.training(options.fold)]
    used, began = cpu_seconds(), time.monotonic()
    if name == "podium":
        mine = Workspace.new(folder / "mine", source)
        ready = mine.prepare(exclude_bad=True)
        assert ready.folds.validation(options.fold) == validation
        data = FoldData(mine.competition, ready.stores, ready.folds, mine.metric, ready.samples, ready.opened)
        score, rate = podium(mine, data, options.fold, began, options.time, folder)
    else:
        after = 0.25 * len(validation)  # seconds that it gets for predictions; what it does not need is its loss
        more = {"cpu": options.cpu} if options.cpu and name == "smp" else {}
        predict, rate = {"smp": smp, "fastai": fastai}[name](train, budget, began, min(after, 0.1 * budget), **more)
        masks = [predict(by_id[id].image) for id in validation]
        task = create_task(split.competition, split.metric, split.recipe())
        truth: Store = prepared.stores.truth
        pairs = zip(masks, validation, strict=True)
        counts = np.stack([task.compare(m[None] > 0, task.truth(truth, truth.row[id])) for m, id in pairs])
        score = Measured.of_counts(task.metric.kind, counts).score(split.metric)
    took = time.monotonic() - began
    facts = {"score": score, "metric": split.metric.name, "seconds": round(took, 1), "images_per_s": round(rate, 1)}
    facts |= {"cpu_seconds": round(cpu_seconds() - used), "load": os.getloadavg()[1]}
    return facts | {"trained": len(train), "validated": len(validation), "budget": options.time}


def main() -> None:
    """Run the peers one after the other; print and save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--time", default="8m")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--cpu", type=float, help="seconds of the processor for smp, in the place of the time")
    parser.add_argument("--peers", default="podium,smp,fastai")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/peers.json"))
    options = parser.parse_args()
    results = json.loads(options.json.read_text())["results"] if options.json.exists() else []
    for name in options.names or SETS:
        for peer in options.peers.split(","):
            needs = {"smp": "pytorch_lightning", "fastai": "fastai"}.get(peer)
            if needs and importlib.util.find_spec(needs) is None:
                print(f"{peer}: left out, {needs} is not installed")
                continue
            with tempfile.TemporaryDirectory(prefix="podium-peers-") as folder:
                found = {"set": name, "peer": peer, **run(peer, options.data / name, options, Path(folder))}
            results.append(found)
            print(json.dumps(found), flush=True)
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
