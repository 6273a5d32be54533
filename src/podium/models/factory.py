"""The registry of architectures and the one way to build them.

An architecture is one file: a module and a builder under `@register_model`. A user's file needs no registration:
``model.arch = "mynet.py:MyNet"``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from podium.errors import ModelError, nearest
from podium.models.classifier import Classifier
from podium.recipe import ModelConfig

Builder = Callable[..., nn.Module]
"""``(config, in_channels, classes)``, and ``inputs`` behind these where the model is not dense."""

ALWAYS_READ = ("arch", "weights", "weights_map")
"""The keys of `[model]` that are for every architecture."""


@dataclass(frozen=True)
class ModelSpec:
    """One architecture: how it is built, and which keys of `[model]` that reads.

    Attributes:
        dense: Logits for every pixel (N, classes, H, W); else (N, classes).
        imagenet: The network of torchvision whose ImageNet weights the encoder takes; "" without.
    """

    name: str
    summary: str
    reads: tuple[str, ...]
    build: Builder
    dense: bool = True
    imagenet: str = ""


MODELS: dict[str, ModelSpec] = {}


def register_model(
    name: str, *, reads: tuple[str, ...], summary: str, dense: bool = True, imagenet: str = ""
) -> Callable[[Builder], Builder]:
    """Decorate a builder to add it to `MODELS`.

    Args:
        name: What `model.arch` calls it.
        reads: The keys of `ModelConfig` that the builder uses; any other, but `ALWAYS_READ`, must keep its default.
        summary: One line for `podium models`.
        dense: Whether the builder is ``(config, in_channels, classes)`` of a model with logits for every pixel, or
            ``(config, in_channels, classes, inputs)`` of a classifier or regressor.
        imagenet: The network of torchvision whose weights fit the encoder; `model.pretrained` loads them.

    Raises:
        ModelError: if another builder has the name (running the same cell or file again is fine).
    """

    def register(build: Builder) -> Builder:
        taken = MODELS.get(name)
        if taken and (taken.build.__module__, taken.build.__qualname__) != (build.__module__, build.__qualname__):
            raise ModelError(f"the architecture '{name}' is registered already", remedy="choose another name")
        MODELS[name] = ModelSpec(name, summary, reads, build, dense, imagenet)
        return build

    return register


def create_model(
    config: ModelConfig,
    in_channels: int = 3,
    classes: int = 1,
    *,
    dense: bool = True,
    inputs: int = 0,
    parts: Mapping[str, int] | None = None,
    load: bool = True,
    normalize: str = "imagenet",
) -> nn.Module:
    """The network of a recipe, freshly initialised from torch's global seed, then with the weights the recipe names.

    Args:
        config: `[model]` of a recipe.
        in_channels: Channels of the images.
        classes: Channels of the logits: 1 for a binary mask, no channel for the background; or values of a regression.
        dense: Logits for every pixel, (N, classes, H, W); else one row an image, (N, classes).
        inputs: Numbers of metadata beside each image; for models that are not dense.
        parts: Several targets, {name: classes}, each with a head of its own; for models that are not dense.
        load: Read `model.weights` and `model.pretrained`; False where a checkpoint follows.
        normalize: `input.normalize` of the images to come: weights that know others are adapted.

    Raises:
        ModelError: for an unknown `arch`, one that does not suit the task, a key set away from its default that the
            architecture does not read, or weights that are missing or do not fit.
    """
    spec = find_model(config.arch, dense=dense)
    _check_reads(spec, config)
    model: nn.Module = spec.build(config, in_channels, classes, *(() if dense else (inputs,)))
    if parts and isinstance(model, Classifier):
        model.divide(parts)
    if load:
        from podium.models.pretrained import begin_with

        begin_with(model, config, spec.imagenet, normalize=normalize)
    return model


def find_model(arch: str, *, dense: bool = True) -> ModelSpec:
    """The architecture of a name, or of a user's file ("mynet.py:MyNet").

    Raises:
        ModelError: if there is none, or it is for another task.
    """
    if ":" in arch or arch.endswith(".py"):
        from podium.models.own import own_model

        return own_model(arch, dense=dense)
    spec = MODELS.get(arch)
    fitting = [other.name for other in MODELS.values() if other.dense == dense]
    if spec is None:
        raise ModelError(
            f"unknown architecture '{arch}'",
            where="model.arch",
            expected=f"one of: {', '.join(fitting)}; or a file of your own: mynet.py:MyNet",
            remedy=nearest(arch, fitting),
        )
    if spec.dense != dense:
        kinds = ("masks", "classes and numbers") if spec.dense else ("classes and numbers", "masks")
        raise ModelError(
            f"{arch} predicts {kinds[0]}, and this competition wants {kinds[1]}",
            where="model.arch",
            expected=f"one of: {', '.join(fitting)}",
        )
    return spec


def _check_reads(spec: ModelSpec, config: ModelConfig) -> None:
    """Refuse a setting that would change nothing: an attempt made of it would be judged on noise alone."""
    for key, field in ModelConfig.model_fields.items():
        value = getattr(config, key)
        if key not in ALWAYS_READ and key not in spec.reads and value != field.default:
            others = [other.name for other in MODELS.values() if key in other.reads and other.dense == spec.dense]
            choice = f", or choose an architecture that reads it: {', '.join(others)}" if others else ""
            raise ModelError(
                f"{spec.name} does not read '{key}' (set to {value!r}), so it would change nothing",
                where=f"model.{key}",
                expected=f"{spec.name} reads: {', '.join(spec.reads) or 'no other key'}",
                remedy=f"set model.{key} to its default, {field.default!r}{choice}",
            )


def count_parameters(model: nn.Module) -> int:
    """How many trainable numbers the model has."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def describe() -> list[dict[str, Any]]:
    """One row per architecture at its default settings: name, parameters, stride, reads (keys), summary."""
    rows = []
    for spec in MODELS.values():
        with torch.device("meta"):  # shapes only: no memory, no random numbers used up
            model = create_model(ModelConfig(arch=spec.name), dense=spec.dense, load=False)
        rows.append(
            {
                "name": spec.name,
                "parameters": count_parameters(model),
                "stride": getattr(model, "stride", 1),
                "reads": list(spec.reads),
                "summary": spec.summary,
            }
        )
    return rows
