"""Gradients cut to size before a step, also where half precision has scaled them up."""

from __future__ import annotations

from typing import Any

from torch import nn

from podium.recipe import Recipe, TrainConfig
from podium.training.fabric import Fabric, FabricModule, FabricOptimizer


def clip(fabric: Fabric, network: FabricModule, optimizer: FabricOptimizer, config: TrainConfig) -> None:
    """Scale all gradients down to the norm `train.grad_clip`, then cut each to `train.clip_value`, where they are set.

    What is not finite stays so: a scaler skips the step and lowers its scale, and without one the loss tells.
    """
    if config.grad_clip:
        fabric.clip_gradients(network, optimizer, max_norm=config.grad_clip, error_if_nonfinite=False)
    if config.grad_clip and config.clip_value:  # Fabric would take the scale out of them again
        nn.utils.clip_grad_value_(network.parameters(), config.clip_value)
    elif config.clip_value:
        fabric.clip_gradients(network, optimizer, clip_val=config.clip_value)


def clips_scaled(fabric: Fabric, recipe: Recipe) -> bool:
    """Whether scaled gradients (fp16) are clipped in any phase: the optimiser then must not undo the scale itself."""
    stages = [stage.train for _, stage in recipe.stages()]
    return str(fabric._precision.precision) == "16-mixed" and any(t.grad_clip or t.clip_value for t in stages)


class Scale:
    """What gradients are multiplied by in fp16, which is saved; nothing in other precisions."""

    def __init__(self, fabric: Fabric) -> None:
        self._precision = fabric._precision

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on from."""
        return self._precision.state_dict()

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `state` gave; a training may go on in another precision."""
        if state:
            self._precision.load_state_dict(state)
