"""What bounds a training, and what to change: pure functions of the rates that were measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from podium.recipe import Recipe
from podium.training.doctor.rates import Rates
from podium.training.doctor.steps import Speed

ENOUGH = 0.9
"""Of the pace of bare steps: a training that reaches so much of it is not held up by its data."""

PLENTY = 10.0
"""Times as many batches that a loader makes on a CPU: whatever slows its training down, it is not the data."""

FASTER = 1.15
"""Times that another precision must be faster to be worth a line; twice that where other programs disturb."""

SMALL = 96 * 128
"""Pixels below which a CPU's input is small already."""


@dataclass(frozen=True)
class Bound:
    """What a training waits for.

    Attributes:
        by: "compute": the network; "data": making batches; "transfer": bringing them to the device.
        part: Of making batches, the slowest: "reading" or "augmentation".
        why: A sentence with the figures.
    """

    by: Literal["compute", "data", "transfer"]
    part: str
    why: str


def bound(r: Rates) -> Bound:
    """What bounds a training at these rates."""
    part = "reading" if 1 / r.read > 0.5 / r.augment else "augmentation"
    more = r.load / r.step
    if r.train >= ENOUGH * r.step or (more >= PLENTY and r.transfer is None):
        spare = f"the loader alone makes {more:.1f} times as many batches" if more >= 1 else "the loader keeps up"
        return Bound("compute", part, f"the network: it reaches {_share(r)} of the pace of bare steps, and {spare}")
    lost = f"it reaches {_share(r)} of the pace of bare steps ({r.train:.0f} of {r.step:.0f} images/s)"
    if r.transfer is not None and r.transfer < min(r.step, r.load):
        return Bound("transfer", part, f"the way to the device: {lost}, and the bus carries {r.transfer:.0f} images/s")
    if more >= 2:  # it could keep up, had it the cores that the network computes on
        return Bound("data", part, f"the data, of which {part} takes most: {lost}; loader and network share the cores")
    return Bound("data", part, f"the data, of which {part} takes most: {lost}; the loader alone makes {r.load:.0f}")


def _share(r: Rates) -> str:
    return f"{min(1.0, r.train / r.step):.0%}"


def advice(
    found: Bound,
    r: Rates,
    speeds: Sequence[Speed],
    recipe: Recipe,
    size: Sequence[int],
    *,
    gpu: bool,
    quiet: bool = True,
    threads: Mapping[int, float] | None = None,
    now: int = 1,
    source: str = "memmap",
    validating: float = 0.0,
) -> list[str]:
    """What would make a training faster, the largest gain first, each as settings.

    Args:
        size: [height, width] of a training batch.
        quiet: Whether nothing else keeps the machine busy.
        threads: Images a second of bare steps, by threads of torch; ``now``: those that it has.
        source: Where images are read from: "device", "memmap" or "jpeg".
        validating: Share of the time that validation takes.
    """
    lines = [*_threads(threads or {}, now), *_precision(speeds, FASTER if quiet else 2 * FASTER)]
    if found.by == "compute":
        lines += _smaller(recipe, size, gpu)
    elif found.by == "transfer":
        lines.append("send less: input.train_crop or a smaller input.size")
    else:
        lines += _data(found.part, recipe, source)
    if validating > 0.25:
        every = min(10, max(2, round(recipe.train.val_every * validating / 0.1)))
        lines.append(f"validation takes {validating:.0%} of the time: train.val_every={every}")
    return lines


def _threads(threads: Mapping[int, float], now: int) -> list[str]:
    best = max(threads, key=lambda n: threads[n], default=now)
    if best == now or threads[best] < FASTER * threads[now]:
        return []
    gain = threads[best] / threads[now]
    return [
        f"steps on {best} of torch's threads are {gain:.1f} times as fast as on {now}, as busy as this machine is now: "
        f"export OMP_NUM_THREADS={best}"
    ]


def _precision(speeds: Sequence[Speed], least: float) -> list[str]:
    chosen = next((s for s in speeds if s.chosen), None)
    best = max(speeds, key=lambda s: s.images_per_s, default=None)
    if chosen is None or best is None or best.images_per_s < least * chosen.images_per_s:
        return []
    gain = best.images_per_s / chosen.images_per_s
    return [
        f"{best.precision} is {gain:.1f} times as fast here as {chosen.precision}: train.precision={best.precision}"
    ]


def _smaller(recipe: Recipe, size: Sequence[int], gpu: bool) -> list[str]:
    lines = []
    height, width = size
    if not gpu and recipe.input.train_crop is None and height * width > 1.3 * SMALL:
        scale = (SMALL / (height * width)) ** 0.5
        smaller = [max(32, round(side * scale / 32) * 32) for side in (height, width)]
        times = height * width / (smaller[0] * smaller[1])
        if times >= FASTER:
            lines.append(
                f"smaller inputs learn more in the same time on a CPU: input.size={smaller} has {times:.1f} times "
                "fewer pixels than the training images"
            )
    if not gpu and recipe.model.width > 0.5 and recipe.model.arch in ("unet", "resnet_small"):
        lines.append("a narrower network is two to four times as fast: model.width=0.5")
    if not lines:
        better = "a larger train.batch_size, or a smaller input.size" if gpu else "a GPU, or fewer train.epochs"
        lines.append(f"it computes as fast as this recipe allows: what is left is {better}")
    return lines


def _data(part: str, recipe: Recipe, source: str) -> list[str]:
    if part == "reading":
        if source == "jpeg":
            return ["images are decoded each time: a smaller input.size makes them fit into memory decoded"]
        return ["reading takes most of it: a smaller input.size, input.train_crop, or a faster disk"]
    if recipe.augment.extra:
        return [f"your plug-in ({recipe.augment.extra}) runs in Python: do in augment.* what can be done there"]
    if on := recipe.augment.costly:
        settings = " ".join(f"augment.{name}=0" for name in on)
        return [f"the augmentations that cost most can go: {settings}; or come more rarely"]
    return ["a smaller input.size or input.train_crop has fewer pixels to warp; more cores make more batches"]
