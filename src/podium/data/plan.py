"""First recipes for a competition, fitted to its images and to this machine, each choice with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from podium.cores import usable_cores
from podium.data.competition import Competition
from podium.data.geometry import round_up
from podium.progress import counted
from podium.recipe import (
    DEFAULT_TERMS,
    AugmentConfig,
    InputConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    PredictConfig,
    Recipe,
    ScheduleConfig,
    TrainConfig,
)

Shape = tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """A recipe and, for some of its keys, why.

    Attributes:
        head: What it is for, in a line or two.
    """

    recipe: Recipe
    why: dict[str, str]
    head: str = ""

    def toml(self) -> str:
        """The commented recipe file."""
        return "".join(f"# {line}\n" for line in self.head.splitlines()) + self.recipe.to_toml(self.why)


@dataclass(frozen=True)
class Aim:
    """What is to be learnt, as far as recipes depend on it.

    Attributes:
        kind: What the targets are to a loss: "planes" (yes or no), "labels" (one of several), "values" (numbers).
        dense: Whether there is a target for each pixel.
        views: Images a sample.
        objects: Whether objects are told apart: small ones are lost, and near ones join, where images are shrunk.
        classes: How many there are.
        empty: Share of the masks in which there is nothing; 0 if it is not known.
        least: Pixels that nine of ten masks with something in them have; 0 if it is not known.
    """

    kind: str = "planes"
    dense: bool = True
    views: int = 1
    objects: bool = False
    classes: int = 1
    empty: float = 0.0
    least: int = 0

    @classmethod
    def of(cls, competition: Competition, areas: Sequence[int] = ()) -> Aim:
        """Of a competition.

        Args:
            areas: Pixels of some of its masks, where it has one class.
        """
        dense = competition.task in ("segmentation", "instances")
        one_of_several = competition.labels != "many" and len(competition.classes) > 1
        kind = "labels" if one_of_several and competition.task != "instances" else "planes"
        kind = "values" if competition.task == "regression" else kind
        views, objects = len(competition.data.views) or 1, competition.task == "instances"
        filled = sorted(area for area in areas if area)
        empty = 1 - len(filled) / len(areas) if areas else 0.0
        least = filled[len(filled) // 10] if len(filled) >= 10 else 0
        return cls(kind, dense, views, objects, max(1, len(competition.classes)), empty, least)

    @property
    def often_nothing(self) -> bool:
        """Whether there is nothing in many masks: finding something there costs the whole image."""
        return self.dense and not self.objects and self.kind == "planes" and self.empty >= OFTEN

    @property
    def loss(self) -> LossConfig:
        """The sum of losses to begin with."""
        terms = {"bce": 1.0, "lovasz": 1.0} if self.often_nothing else DEFAULT_TERMS[self.kind]
        return LossConfig(terms=terms if self.dense else dict(list(terms.items())[:1]))


OFTEN = 0.1
"""Share of empty masks from which on they decide on the loss, and on what is too small to be kept."""


@dataclass(frozen=True)
class Scale:
    """How much a preset asks of a kind of machine.

    Attributes:
        pixels: Of an image, about.
        crop: Side of the squares that objects are trained on.
        width: Of the network.
        budget: Pixels that a fold run is trained on; on CPUs with each core.
        epochs: (least, most).
        time: `train.time`, where even the fewest epochs would take much more than the budget.
        arch: The network, where there is a target for each pixel.
    """

    pixels: int
    crop: int
    width: float
    budget: float
    epochs: tuple[int, int]
    time: str
    arch: str = "unet"


SCALES = {
    ("fast", "cpu"): Scale(96 * 128, 128, 1.0, 3e8, (8, 100), "20m", arch="unet_small"),
    ("fast", "gpu"): Scale(512 * 512, 256, 1.0, 6e9, (8, 60), "20m"),
    ("full", "cpu"): Scale(256 * 256, 256, 1.0, 3e9, (30, 150), "8h"),
    ("full", "gpu"): Scale(1024 * 1024, 512, 2.0, 1.2e11, (30, 150), "8h"),
}
"""CPUs: measured on two cores, in minutes a small input (96 to 128 pixels a side) and a small plain network beat all
else, for they see each image more often. With squares of 2x2 pixels as channels, twice the filters and a level less a
step takes 0.4 of the time that it took, with as many parameters: few channels keep no core busy."""

SCALES_OF_VALUES = {
    ("fast", "cpu"): Scale(128 * 128, 0, 1.0, 2.5e8, (8, 60), "20m"),
    ("fast", "gpu"): Scale(256 * 256, 0, 1.0, 6e9, (8, 60), "20m"),
    ("full", "cpu"): Scale(224 * 224, 0, 1.0, 3e9, (30, 150), "8h"),
    ("full", "gpu"): Scale(384 * 384, 0, 2.0, 1e11, (30, 150), "8h"),
}
"""For a target an image, not a pixel."""

MANY_CLASSES = 4
"""From so many on, some are thin or small: the images are shrunk less."""

FULL_BEYOND = 4.0
"""Budgets that the fewest epochs may take before `train.time` bounds them."""


def plan(
    shapes: Sequence[Shape],
    n_train: int,
    *,
    gpu: bool,
    grey: bool = False,
    deep: bool = False,
    aim: Aim | None = None,
    cores: int | None = None,
) -> dict[str, Plan]:
    """{recipe name: plan}: `baseline`, the fast preset; `full`, the thorough one; `smoke`, to see that all works.

    Args:
        shapes: (height, width) of some training images.
        n_train: Number of training images.
        grey: Whether the images have no colour to change.
        deep: Whether the images have more than 8 bits a pixel and channel.
        aim: What is to be learnt; masks of one class, if not given.
        cores: Of the CPU; those that may be used here, if not given.
    """
    aim, cores = aim or Aim(), cores or usable_cores()
    plans = {
        "baseline": _preset("fast", shapes, n_train, gpu, grey, aim, cores),
        "full": _preset("full", shapes, n_train, gpu, grey, aim, cores),
        "smoke": _smoke(shapes, aim),
    }
    return {name: _with_all_bits(planned) for name, planned in plans.items()} if deep else plans


def _with_all_bits(planned: Plan) -> Plan:
    why = planned.why | {"input.channels": "the images have 16 bits: as 8 their finest steps would be lost"}
    return Plan(planned.recipe.with_overrides({"input": {"channels": "file"}}), why, planned.head)


def fitted_size(shapes: Sequence[Shape], pixels: int, multiple: int = 32) -> list[int] | None:
    """[height, width] of about ``pixels`` in the commonest aspect; None if all images are one size and that small."""
    height, width = max(set(shapes), key=lambda s: (list(shapes).count(s), s))
    if len(set(shapes)) == 1 and height * width <= pixels * 1.1:
        return None
    scale = min(1.0, (pixels / (height * width)) ** 0.5)

    def around(side: int) -> list[int]:
        steps = side * scale / multiple
        return [max(1, int(steps)) * multiple, max(1, math.ceil(steps)) * multiple]

    def distortion(size: tuple[int, int]) -> float:  # of the aspect, and, less important, of the area
        aspect = abs(math.log(size[0] / size[1] * width / height))
        return aspect + 0.25 * abs(math.log(size[0] * size[1] / (height * width * scale**2)))

    sizes = [(h, w) for h in around(height) for w in around(width)]
    return [*min(sizes, key=distortion)]


def without_padding(shape: Shape, multiple: int = 32) -> list[int] | None:
    """[height, width] a little below ``shape`` that needs none, where padding would cost a third more pixels."""
    padded = [round_up(side, multiple) for side in shape]
    below = [side // multiple * multiple for side in shape]
    costs = padded[0] * padded[1] / (shape[0] * shape[1])
    loses = 1 - min(b / side for b, side in zip(below, shape, strict=True))
    return below if costs > 4 / 3 and loses < 0.15 else None


# ---------------------------------------------------------------------- presets


def _preset(name: str, shapes: Sequence[Shape], n: int, gpu: bool, grey: bool, aim: Aim, cores: int) -> Plan:
    scale = (SCALES if aim.dense else SCALES_OF_VALUES)[name, "gpu" if gpu else "cpu"]
    machine = "a GPU" if gpu else counted(cores, "CPU core")
    hurried = name == "fast" and not gpu
    given, area, why = _input(scale, shapes, hurried, aim, machine)
    budget = scale.budget * (1 if gpu else cores)
    least, most = scale.epochs
    epochs = int(min(most, max(least, budget / (area * n))))
    time = scale.time if epochs * area * n > FULL_BEYOND * budget else None
    batch_size = _batch_size(name, n, gpu, aim)
    steps = epochs * n / (16 if batch_size == "auto" else batch_size)
    recipe = Recipe(
        model=ModelConfig(arch=scale.arch if aim.dense else "resnet_small", width=scale.width),
        input=given,
        augment=AugmentConfig(colour=0.5, saturation=0.0 if grey else 0.1),
        loss=aim.loss,
        optim=OptimConfig(lr=2e-3) if aim.dense else OptimConfig(lr=2e-3, weight_decay=1e-2),
        schedule=ScheduleConfig(warmup=0.1),
        train=TrainConfig(
            epochs=epochs, time=time, batch_size=batch_size, ema=ema_decay(steps), val_every=4 if aim.objects else 1
        ),
        predict=PredictConfig(tta=["hflip"], min_area=aim.least if aim.often_nothing and aim.least > 1 else None),
    )
    why |= _why_of_training(n, aim, machine, time, hurried=hurried, length="minutes" if name == "fast" else "hours")
    if batch_size == "auto":
        why["train.batch_size"] = "what the GPU's memory holds, found by a probe"
    return Plan(recipe, why, HEADS[name].format(machine=machine))


HEADS = {
    "fast": "The fast preset: minutes a fold on {machine}. It is what podium baseline trains, and yours to change.\n"
    "How long it takes here: podium doctor. Larger and longer: full.toml; to bound it: train.time=8m.",
    "full": "The full preset: hours a fold on {machine}, for when the fast one (baseline.toml) has shown what works.\n"
    "How long it takes here: podium doctor recipe=full. To train it: podium baseline recipe=full.",
}


def _input(
    scale: Scale, shapes: Sequence[Shape], hurried: bool, aim: Aim, machine: str
) -> tuple[InputConfig, int, dict[str, str]]:
    """What the network sees, the pixels of a training sample, and why."""
    sizes = f"{len(set(shapes))} sizes" if len(set(shapes)) > 1 else f"{shapes[0][1]}x{shapes[0][0]}"
    if aim.objects:
        why = {"input.train_crop": "not shrunk: small objects would be lost, near ones join"}
        return InputConfig(train_crop=scale.crop), scale.crop**2, why
    detailed = aim.dense and aim.kind == "labels" and aim.classes >= MANY_CLASSES
    pixels = scale.pixels * (2 if detailed else 1) // aim.views
    size, each = fitted_size(shapes, pixels), f" each of {aim.views} views side by side" if aim.views > 1 else ""
    told = f"the images are {sizes}; about {pixels} pixels{each} suit {machine}"
    told += f", with {aim.classes} classes, some of them small" if detailed else ""
    if size is None and hurried and (size := without_padding(shapes[0])):
        told = f"the images are {sizes}, which would be padded to a multiple of 32: a little smaller they need none"
    elif size is None:
        told = f"size unset: the images, {sizes}, are small enough for {machine}"
    crop = scale.crop if aim.dense and size and min(size) >= 1.5 * scale.crop else None
    why = {"input.size" if size else "input": told}
    if crop:
        why["input.train_crop"] = "more, and more varied, squares a second; whole images are predicted"
    frame = (crop, crop) if crop else size or shapes[0]
    area = aim.views * round_up(frame[0], 32) * round_up(frame[1], 32)
    return InputConfig(size=size, train_crop=crop), area, why


def _batch_size(name: str, n: int, gpu: bool, aim: Aim) -> int | Literal["auto"]:
    if aim.dense:
        return ("auto" if name == "full" else 16) if gpu else 8
    return 64 if n >= 2000 else 16 if n >= 300 else 8


def ema_decay(steps: float) -> float:
    """Of a running average over about a twentieth of the training."""
    return max((d for d in (0.99, 0.995, 0.998, 0.999) if 1 / (1 - d) <= steps / 20 + 1e-6), default=0.99)


def _why_of_training(n: int, aim: Aim, machine: str, time: str | None, *, hurried: bool, length: str) -> dict[str, str]:
    quick = ", twice as quick as unet" if hurried and aim.dense else ""
    larger = f"{'smp.Unet' if aim.dense else 'timm'}, with model.encoder and model.pretrained"
    why = {
        "model.arch": f"learns from scratch{quick}; with weights at hand: {larger}",
        "model.width": f"for {machine}",
        "schedule.warmup": "short: most of the time goes into high and falling rates",
        "train.epochs": f"{n} images on {machine}: {length} a fold at most",
        "train.ema": "the running mean of the weights predicts: steadier than the last ones",
        "predict.tta": "flipped images are predicted too, at the end: a little better for no training time",
    }
    if aim.often_nothing:
        why["loss.terms"] = f"{aim.empty:.0%} of the masks are empty: soft Dice says next to nothing of these"
        why["predict.min_area"] = "of the masks that are not empty nine of ten have more: less is more often a mistake"
    if hurried and aim.dense:
        why["model.width"] = f"for {machine}: in minutes, more steps of a plain small network beat a larger one"
    if aim.objects:
        why["train.val_every"] = "whole images are predicted and their objects parted: as slow as training on crops"
    if not aim.dense:
        why["loss.terms"] = _WHY_LOSS[aim.kind]
    if time:
        why["train.time"] = f"{n} images are many for {machine}: the schedule ends with the time, not with the epochs"
        why["train.epochs"] = "with train.time: only what phases and cycles count in"
    return why


_WHY_LOSS = {
    "planes": "each class is there or not",
    "labels": "one class of several",
    "values": "numbers, standardised; a far-off one does not rule",
}


def _smoke(shapes: Sequence[Shape], aim: Aim) -> Plan:
    model = ModelConfig(width=0.25, depth=3) if aim.dense else ModelConfig(arch="resnet_small", width=0.25)
    recipe = Recipe(
        model=model,
        input=InputConfig(train_crop=64) if aim.objects else InputConfig(size=fitted_size(shapes, 64 * 64)),
        loss=aim.loss,
        optim=OptimConfig(lr=5e-3),
        train=TrainConfig(epochs=2, batch_size=16),
    )
    return Plan(recipe, {"train.epochs": "only to see that everything works"}, "Seconds a fold: to see that it works.")
