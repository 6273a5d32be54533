"""Optimisers by name; weight decay only where it belongs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn, optim

from podium.errors import ConfigError, TrainingError, nearest
from podium.recipe import OptimConfig

Groups = list[dict[str, Any]]
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {}


def register_optimizer(name: str) -> Callable[[Callable[..., optim.Optimizer]], Callable[..., optim.Optimizer]]:
    """Decorate a builder ``(groups, lr, fused) -> Optimizer`` to add it to `OPTIMIZERS`.

    Each group carries its own weight decay. `fused` says that the device has torch's fused kernels for Adam, AdamW and
    SGD: one pass over memory a step instead of ten.
    """

    def register(build: Callable[..., optim.Optimizer]) -> Callable[..., optim.Optimizer]:
        OPTIMIZERS[name] = build
        return build

    return register


@register_optimizer("adam")
def _adam(groups: Groups, lr: float, fused: bool) -> optim.Optimizer:
    return optim.Adam(groups, lr=lr, fused=fused)  # weight decay as L2, in the gradient


@register_optimizer("adamw")
def _adamw(groups: Groups, lr: float, fused: bool) -> optim.Optimizer:
    return optim.AdamW(groups, lr=lr, fused=fused)


@register_optimizer("sgd")
def _sgd(groups: Groups, lr: float, fused: bool) -> optim.Optimizer:
    return optim.SGD(groups, lr=lr, momentum=0.9, nesterov=True, fused=fused)


@register_optimizer("rmsprop")
def _rmsprop(groups: Groups, lr: float, fused: bool) -> optim.Optimizer:
    return optim.RMSprop(groups, lr=lr)


@register_optimizer("radam")
def _radam(groups: Groups, lr: float, fused: bool) -> optim.Optimizer:
    return optim.RAdam(groups, lr=lr, decoupled_weight_decay=True, foreach=True)


def create_optimizer(config: OptimConfig, model: nn.Module) -> optim.Optimizer:
    """The optimiser of a recipe over the trainable parameters of `model`, which is on its device already.

    Weight decay is decoupled for adamw and radam, and an L2 term of the gradient for adam, sgd and rmsprop.

    Raises:
        ConfigError: for a name that `OPTIMIZERS` lacks.
        TrainingError: for a model without trainable parameters.
    """
    build = OPTIMIZERS.get(config.name)
    if build is None:
        raise ConfigError(
            f"unknown optimiser '{config.name}'",
            where="optim.name",
            expected="one of: " + ", ".join(OPTIMIZERS),
            remedy=nearest(config.name, list(OPTIMIZERS)),
        )
    groups = parameter_groups(model, config.weight_decay)
    if not groups:
        raise TrainingError("the model has no trainable parameters", remedy="unfreeze a part of it")
    fused = all(p.device.type in ("cpu", "cuda", "mps") for group in groups for p in group["params"])
    return build(groups, lr=config.lr, fused=fused)


def parameter_groups(model: nn.Module, weight_decay: float) -> Groups:
    """Up to two groups: weights of two or more dimensions, decayed; biases and norm parameters, not.

    Frozen parameters are left out. A shared parameter appears once.
    """
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in trainable if parameter.ndim >= 2]
    others = [parameter for parameter in trainable if parameter.ndim < 2]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]
