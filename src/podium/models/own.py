"""Architectures of the user's own: ``model.arch = "mynet.py:MyNet"``."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from podium.errors import ModelError
from podium.models.base import Logits, SegmentationModel, first_logits
from podium.models.factory import ModelSpec
from podium.plugins import load_plugin
from podium.recipe import ModelConfig

STRIDE = 32
"""What sides are padded to a multiple of, where the network has no attribute ``stride``."""


class OwnModel(SegmentationModel):
    """A user's network behind podium's padding: its sides divide by its `stride`, or by 32 if it names none."""

    encoder_names = ("network.encoder",)

    def __init__(self, network: nn.Module) -> None:
        stride = getattr(network, "stride", STRIDE)
        super().__init__(stride if isinstance(stride, int) and stride > 0 else STRIDE)
        self.network = network
        self.auxiliary_weights = tuple(getattr(network, "auxiliary_weights", ()))

    def forward_features(self, images: Tensor) -> Logits:
        return self.network(images)


def own_model(arch: str, *, dense: bool) -> ModelSpec:
    """The architecture in a user's file: a class or a function that takes ``in_channels`` and ``classes``.

    Other arguments whose names are keys of `[model]` (width, depth, dropout, …) get these; a classifier may take
    ``inputs``.

    Raises:
        ConfigError: if there is no such file or name, or the file fails.
        ModelError: if what it names does not take these arguments.
    """
    build = load_plugin(arch, "model.arch")
    names = _arguments(build, arch)
    reads = tuple(key for key in ModelConfig.model_fields if key in names)

    def make(config: ModelConfig, in_channels: int, classes: int, inputs: int = 0) -> nn.Module:
        asked: dict[str, Any] = {"in_channels": in_channels, "classes": classes, "inputs": inputs}
        asked = {key: value for key, value in asked.items() if key in names}
        network = _run(lambda: build(**asked, **{key: getattr(config, key) for key in reads}), arch, "while it is made")
        if not isinstance(network, nn.Module):
            raise ModelError(f"'{arch}' makes a {type(network).__name__}, not a torch.nn.Module", where="model.arch")
        if not dense:
            return network
        model = network if isinstance(network, SegmentationModel) else OwnModel(network)
        _check_output(model, arch, in_channels, classes)
        return model

    summary = ((getattr(build, "__doc__", None) or "").strip().splitlines() or ["your own"])[0]
    return ModelSpec(arch, summary, reads, make, dense)


def _arguments(build: Any, arch: str) -> set[str]:
    if not callable(build):
        raise ModelError(
            f"'{arch}' is of type {type(build).__name__}",
            where="model.arch",
            expected="a class or a function that takes in_channels and classes",
        )
    parameters = inspect.signature(build).parameters
    missing = [name for name in ("in_channels", "classes") if name not in parameters]
    free = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if missing and not free:
        raise ModelError(
            f"'{arch}' does not take {' and '.join(missing)}; it takes: {', '.join(parameters) or 'nothing'}",
            where="model.arch",
            expected="def __init__(self, in_channels, classes, …), and any of the keys of [model] by name",
        )
    return {"in_channels", "classes", *parameters}


@torch.no_grad()
def _check_output(model: SegmentationModel, arch: str, in_channels: int, classes: int) -> None:
    """Whether the network maps an image to logits of its size; costs one small image."""
    side = math.lcm(64, model.stride) if model.stride <= 64 else model.stride
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    model.eval()
    images = torch.zeros(1, in_channels, side, side, device=device)
    logits = _run(lambda: first_logits(model(images)), arch, f"on an image of {in_channels}x{side}x{side}")
    model.train()
    shape, wanted = tuple(getattr(logits, "shape", ())), (1, classes, side, side)
    if shape != wanted:
        raise ModelError(
            f"'{arch}' gives {type(logits).__name__} of shape {shape} for an image of {in_channels}x{side}x{side}",
            where="model.arch",
            expected=f"logits of shape {wanted}: (N, classes, H, W)",
        )


def _run(call: Callable[[], Any], arch: str, when: str) -> Any:
    try:
        return call()
    except ModelError:
        raise
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0][:300]
        raise ModelError(f"'{arch}' fails {when}: {type(error).__name__}: {reason}", where="model.arch") from error
