"""The registry of architectures and the one way to build them.

An architecture is one file: a module and a builder under `@register_model`. A user's file adds to it the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from podium.errors import ModelError, nearest
from podium.models.base import SegmentationModel
from podium.recipe import ModelConfig

Builder = Callable[[ModelConfig, int, int], SegmentationModel]


@dataclass(frozen=True)
class ModelSpec:
    """One architecture: how it is built, and which keys of `[model]` that reads."""

    name: str
    summary: str
    reads: tuple[str, ...]
    build: Builder


MODELS: dict[str, ModelSpec] = {}


def register_model(name: str, *, reads: tuple[str, ...], summary: str) -> Callable[[Builder], Builder]:
    """Decorate a builder ``(config, in_channels, classes) -> SegmentationModel`` to add it to `MODELS`.

    Args:
        name: What `model.arch` calls it.
        reads: The keys of `ModelConfig`, besides `arch`, that the builder uses; any other must keep its default.
        summary: One line for `podium models`.

    Raises:
        ModelError: if another builder has the name (running the same cell or file again is fine).
    """

    def register(build: Builder) -> Builder:
        taken = MODELS.get(name)
        if taken and (taken.build.__module__, taken.build.__qualname__) != (build.__module__, build.__qualname__):
            raise ModelError(f"the architecture '{name}' is registered already", remedy="choose another name")
        MODELS[name] = ModelSpec(name, summary, reads, build)
        return build

    return register


def create_model(config: ModelConfig, in_channels: int = 3, classes: int = 1) -> SegmentationModel:
    """The network of a recipe, freshly initialised from torch's global seed.

    Args:
        config: `[model]` of a recipe.
        in_channels: Channels of the images.
        classes: Channels of the logits: 1 for a binary mask, no channel for the background.

    Raises:
        ModelError: for an unknown `arch`, or a key set away from its default that the architecture does not read.
    """
    spec = MODELS.get(config.arch)
    if spec is None:
        names = ", ".join(MODELS)
        raise ModelError(
            f"unknown architecture '{config.arch}'",
            where="model.arch",
            expected=f"one of: {names}",
            remedy=nearest(config.arch, list(MODELS)),
        )
    _check_reads(spec, config)
    return spec.build(config, in_channels, classes)


def _check_reads(spec: ModelSpec, config: ModelConfig) -> None:
    """Refuse a setting that would change nothing: an attempt made of it would be judged on noise alone."""
    for key, field in ModelConfig.model_fields.items():
        value = getattr(config, key)
        if key != "arch" and key not in spec.reads and value != field.default:
            others = [other.name for other in MODELS.values() if key in other.reads]
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
            model = spec.build(ModelConfig.from_tree({"arch": spec.name}), 3, 1)
        rows.append(
            {
                "name": spec.name,
                "parameters": count_parameters(model),
                "stride": model.stride,
                "reads": list(spec.reads),
                "summary": spec.summary,
            }
        )
    return rows
