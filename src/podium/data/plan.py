"""First recipes for a competition, fitted to its images and to this machine, each choice with its reason."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from podium.data.geometry import round_up
from podium.recipe import AugmentConfig, InputConfig, ModelConfig, OptimConfig, Recipe, TrainConfig

Shape = tuple[int, int]


@dataclass(frozen=True)
class Plan:
    """A recipe and, for some of its keys, why."""

    recipe: Recipe
    why: dict[str, str]

    def toml(self) -> str:
        """The commented recipe file."""
        return self.recipe.to_toml(self.why)


def has_gpu() -> bool:
    """Whether an NVIDIA driver is here; asked without torch, so that `podium new` stays quick."""
    return shutil.which("nvidia-smi") is not None and os.path.exists("/dev/nvidiactl")


def plan(shapes: Sequence[Shape], n_train: int, *, gpu: bool, grey: bool = False) -> dict[str, Plan]:
    """{recipe name: plan}: `baseline` for a first honest score, `smoke` for a look whether everything works.

    Args:
        shapes: (height, width) of some training images.
        n_train: Number of training images.
        grey: Whether the images have no colour to change.
    """
    return {"baseline": _baseline(shapes, n_train, gpu, grey), "smoke": _smoke(shapes)}


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


def _baseline(shapes: Sequence[Shape], n_train: int, gpu: bool, grey: bool) -> Plan:
    pixels = 512 * 512 if gpu else 128 * 160
    size = fitted_size(shapes, pixels)
    area = (size[0] * size[1]) if size else round_up(shapes[0][0], 32) * round_up(shapes[0][1], 32)
    budget = 6e9 if gpu else 2.2e8  # pixels to train on a fold: minutes, on either
    epochs = int(min(60 if gpu else 40, max(8, budget / (area * n_train))))
    machine = "a GPU" if gpu else f"{os.cpu_count()} CPU cores"
    recipe = Recipe(
        model=ModelConfig(width=1.0 if gpu else 0.5),
        input=InputConfig(size=size),
        augment=AugmentConfig(colour=0.5, saturation=0.0 if grey else 0.1),
        optim=OptimConfig(lr=2e-3),
        train=TrainConfig(epochs=epochs, batch_size=16 if gpu else 8),
    )
    sizes = f"{len(set(shapes))} sizes" if len(set(shapes)) > 1 else f"{shapes[0][1]}x{shapes[0][0]}"
    return Plan(
        recipe,
        {
            "model.width": f"for {machine}",
            "input.size": f"the images are {sizes}; about {pixels} pixels suit {machine}",
            "train.epochs": f"{n_train} images on {machine}: a baseline in minutes",
        },
    )


def _smoke(shapes: Sequence[Shape]) -> Plan:
    recipe = Recipe(
        model=ModelConfig(width=0.25, depth=3),
        input=InputConfig(size=fitted_size(shapes, 64 * 64)),
        optim=OptimConfig(lr=5e-3),
        train=TrainConfig(epochs=2, batch_size=16),
    )
    return Plan(recipe, {"train.epochs": "only to see that everything works"})
