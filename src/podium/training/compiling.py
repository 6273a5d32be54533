"""Whether `torch.compile` pays: what it saves in the steps that are left, against the time it takes itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from podium.training.fabric import Fabric

COMPILE_SECONDS = 60.0
"""What compiling a segmentation network for one shape takes, forward and backward, on a current machine."""

GAIN = {"cuda": 0.2}
"""Share of a step that compiling was seen to save, by device. On CPUs none at the sizes that are trained there:
oneDNN runs the convolutions either way."""


def pays(how: str, device: str, step_seconds: float, seconds_left: float) -> tuple[bool, str]:
    """Whether to compile, and the sentence that says why.

    Args:
        how: `train.compile`.
        device: "cpu", "cuda" or "mps".
        step_seconds: What a step was measured to take.
        seconds_left: Of training, at that pace.
    """
    if how == "never":
        return False, ""
    if how == "always":
        return True, "compiled: train.compile = always"
    gain = GAIN.get(device, 0.0)
    saved = gain * seconds_left
    if not gain:
        return False, f"not compiled: it saves nothing on a {device} at this size"
    if saved <= COMPILE_SECONDS:
        return False, f"not compiled: it would save about {saved:.0f} s and take about {COMPILE_SECONDS:.0f} s"
    return True, f"compiled: saves about {saved:.0f} s of {seconds_left:.0f} s ({step_seconds * 1000:.0f} ms a step)"


def compiled_if_it_pays(
    model: nn.Module, how: str, fabric: Fabric, step_seconds: float, seconds_left: float, network: Any = None
) -> tuple[Callable[..., Any] | None, str]:
    """The compiled forward pass for training, or None, and the sentence that says why; validation is not compiled.

    Args:
        network: The model as Fabric has wrapped it; needed with several devices, whose gradients the wrapper averages.
    """
    yes, why = pays(how, fabric.device.type, step_seconds, seconds_left)
    if not yes:
        return None, why
    compiled = torch.compile(model)
    if fabric.world_size > 1:
        network._forward_module.module = compiled
        return network, why

    def forward(*inputs: Tensor) -> Any:
        with fabric.autocast():
            return compiled(*inputs)

    return forward, why
