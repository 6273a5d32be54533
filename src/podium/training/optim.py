"""Optimisers by name; weight decay only where it belongs; the encoder at a rate of its own; frozen parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn, optim

from podium.errors import ConfigError, TrainingError, nearest
from podium.models.base import split_parameters
from podium.recipe import OptimConfig
from podium.training.lion import Lion

Groups = list[dict[str, Any]]
Builder = Callable[[Groups, OptimConfig, bool], optim.Optimizer]

EVERYWHERE = ("name", "lr", "weight_decay", "encoder_lr", "freeze", "reset")
"""Keys of [optim] that every optimiser reads."""


@dataclass(frozen=True)
class OptimizerSpec:
    """One optimiser: how it is built, what it is, and the further keys of [optim] that it reads."""

    build: Builder
    reads: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """First line of the builder's docstring."""
        return (self.build.__doc__ or "").strip().splitlines()[0]


OPTIMIZERS: dict[str, OptimizerSpec] = {}

_FROZEN: WeakKeyDictionary[nn.Module, set[int]] = WeakKeyDictionary()
"""{model: ids of the parameters that `freeze` froze}."""


def register_optimizer(name: str, *, reads: tuple[str, ...] = ()) -> Callable[[Builder], Builder]:
    """Decorate a builder ``(groups, config, fused) -> Optimizer`` to add it to `OPTIMIZERS`.

    Each group carries its own learning rate and weight decay. `fused` says that the device has torch's fused kernels
    for Adam and AdamW: one pass over memory a step instead of ten. A key that is not in `reads` (and not read by
    all) must keep its default.
    """

    def register(build: Builder) -> Builder:
        OPTIMIZERS[name] = OptimizerSpec(build, reads)
        return build

    return register


def _betas(config: OptimConfig, default: tuple[float, float] = (0.9, 0.999)) -> tuple[float, float]:
    return (config.betas[0], config.betas[1]) if config.betas else default


@register_optimizer("adam", reads=("betas", "decoupled"))
def _adam(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Adam (Kingma & Ba 2014, arXiv 1412.6980); weight decay in the gradient."""
    kind = optim.AdamW if config.decoupled else optim.Adam
    return kind(groups, betas=_betas(config), fused=fused)


@register_optimizer("adamw", reads=("betas",))
def _adamw(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2017, arXiv 1711.05101)."""
    return optim.AdamW(groups, betas=_betas(config), fused=fused)


@register_optimizer("sgd", reads=("momentum", "nesterov", "decoupled"))
def _sgd(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Gradient descent with Nesterov's momentum (Sutskever et al. 2013); weight decay in the gradient."""
    momentum = 0.9 if config.momentum is None else config.momentum
    # not fused: torch's fused SGD breaks when weights that were frozen get their first gradient
    made = optim.SGD(groups, momentum=momentum, nesterov=config.nesterov and momentum > 0, foreach=True)
    return _decay_apart(made) if config.decoupled else made


@register_optimizer("rmsprop", reads=("momentum", "decoupled"))
def _rmsprop(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Gradients over their running size (Tieleman & Hinton 2012, lecture 6.5); weight decay in the gradient."""
    made = optim.RMSprop(groups, momentum=config.momentum or 0.0)
    return _decay_apart(made) if config.decoupled else made


@register_optimizer("radam", reads=("betas",))
def _radam(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Adam that waits until it knows the variance (Liu et al. 2019, arXiv 1908.03265); decoupled weight decay."""
    return optim.RAdam(groups, betas=_betas(config), decoupled_weight_decay=True, foreach=True)


@register_optimizer("nadam", reads=("betas",))
def _nadam(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Adam with Nesterov's momentum (Dozat 2016); decoupled weight decay."""
    return optim.NAdam(groups, betas=_betas(config), decoupled_weight_decay=True, foreach=True)


@register_optimizer("lion", reads=("betas",))
def _lion(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Steps of one size, the sign of the momentum (arXiv 2302.06675); lr 3 to 10 times below Adam's."""
    return Lion(groups, betas=_betas(config, (0.9, 0.99)))


@register_optimizer("adafactor")
def _adafactor(groups: Groups, config: OptimConfig, fused: bool) -> optim.Optimizer:
    """Adam with factored squares, in little memory (Shazeer & Stern 2018, arXiv 1804.04235); decoupled weight decay."""
    return optim.Adafactor(groups)


def _decay_apart(optimizer: optim.Optimizer) -> optim.Optimizer:
    """Take the decay out of the gradient: weights shrink by lr * weight_decay before the step (arXiv 1711.05101)."""
    for group in optimizer.param_groups:
        group["decay"], group["weight_decay"] = group["weight_decay"], 0.0

    def shrink(made: optim.Optimizer, *_: Any) -> None:
        for group in made.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.data.mul_(1 - group["lr"] * group["decay"])

    optimizer.register_step_pre_hook(shrink)
    return optimizer


def create_optimizer(config: OptimConfig, model: nn.Module, *, fused: bool = True) -> optim.Optimizer:
    """The optimiser of a recipe over the trainable parameters of `model`, which is on its device already.

    `optim.freeze` is applied to the model first (see `freeze`). Weight decay is decoupled for adamw, radam, nadam, lion
    and adafactor, and an L2 term of the gradient for adam, sgd and rmsprop unless `optim.decoupled` says otherwise.

    Args:
        fused: Whether fused kernels may be used, where the device has them: not with `clipping.clips_scaled`.

    Raises:
        ConfigError: for a name that `OPTIMIZERS` lacks, a key that the optimiser ignores, or an encoder's setting
            where the model has no encoder.
        TrainingError: for a model without trainable parameters.
    """
    spec = OPTIMIZERS.get(config.name)
    if spec is None:
        raise ConfigError(
            f"unknown optimiser '{config.name}'",
            where="optim.name",
            expected="one of: " + ", ".join(OPTIMIZERS),
            remedy=nearest(config.name, list(OPTIMIZERS)),
        )
    _check_reads(spec, config)
    groups = parameter_groups(model, config)
    if not groups:
        raise TrainingError("the model has no trainable parameters", remedy="unfreeze a part of it")
    fused &= all(p.device.type in ("cpu", "cuda", "mps") for group in groups for p in group["params"])
    optimizer = spec.build(groups, config, fused)
    freeze(model, config)
    return optimizer


def parameter_groups(model: nn.Module, config: OptimConfig) -> Groups:
    """Groups of parameters with `lr`, `lr_scale` and `weight_decay`, none of them empty.

    Weights of two or more dimensions decay; biases and norm parameters do not; and if `encoder_lr` is not 1, the
    encoder has groups of its own. Parameters that are frozen for good are left out (those of `optim.freeze` are in: a
    later phase may thaw them, and without a gradient they do not move). A shared parameter appears once.
    """
    inside = {id(p) for p in encoder_parameters(model, "optim.encoder_lr")} if config.encoder_lr != 1 else set[int]()
    thawable = _thawable(model)
    groups: Groups = []
    for scale, of_encoder in ((1.0, False), (config.encoder_lr, True)):
        for decay, matrices in ((config.weight_decay, True), (0.0, False)):
            chosen = [
                p
                for p in model.parameters()
                if (p.requires_grad or id(p) in thawable)
                and (id(p) in inside) == of_encoder
                and (p.ndim >= 2) == matrices
            ]
            if chosen:
                groups.append({"params": chosen, "lr": config.lr * scale, "lr_scale": scale, "weight_decay": decay})
    return groups


def set_lr(optimizer: Any, lr: float) -> None:
    """Set the learning rate, times its own scale for each group."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def forget(optimizer: Any) -> None:
    """Empty the optimiser's running means and step counts, as if it had just been made."""
    optimizer.state.clear()


def is_due(config: OptimConfig, epoch: int) -> bool:
    """Whether the optimiser forgets before this epoch (from 1)."""
    return config.reset is not None and epoch > 1 and (epoch - 1) % config.reset == 0


def same_optimizer(one: OptimConfig, other: OptimConfig) -> bool:
    """Whether a change of settings leaves the optimiser with its state: only lr, freeze and reset differ."""
    return one.model_copy(update={"lr": 1.0, "freeze": "none", "reset": None}) == other.model_copy(
        update={"lr": 1.0, "freeze": "none", "reset": None}
    )


# ---------------------------------------------------------------------- the encoder


def encoder_parameters(model: nn.Module, asked_by: str) -> list[Tensor]:
    """Parameters of the encoder.

    Raises:
        ConfigError: if the model does not tell its encoder from the rest.
    """
    found = split_parameters(model)[0]
    if not found:
        raise ConfigError(
            f"{type(model).__name__} has no encoder apart from the rest",
            where=asked_by,
            expected="a network with an encoder",
            remedy="choose another model.arch, or leave it at its default",
        )
    return list(found)


def freeze(model: nn.Module, config: OptimConfig) -> None:
    """Freeze the parameters that `optim.freeze` names, and thaw those that an earlier call froze.

    Batch norms stay with their statistics only while they are in evaluation mode: call `hold_still` after every
    ``model.train()``.
    """
    held = encoder_parameters(model, "optim.freeze") if config.freeze == "encoder" else []
    chosen = {id(p) for p in held if p.requires_grad} | _thawable(model)
    wanted = {id(p) for p in held}
    for p in model.parameters():
        if id(p) in chosen:
            p.requires_grad_(id(p) not in wanted)
    _FROZEN[model] = chosen & wanted


def hold_still(model: nn.Module) -> None:
    """Put the batch norms of frozen parts into evaluation mode."""
    frozen = _thawable(model)
    if not frozen:
        return
    for module in _batch_norms(model):
        own = [id(p) for p in module.parameters()]
        if own and all(i in frozen for i in own):
            module.eval()


def _thawable(model: nn.Module) -> set[int]:
    """Ids of the parameters that `freeze` froze."""
    return _FROZEN.get(model, set())


def _batch_norms(model: nn.Module) -> Iterator[nn.Module]:
    return (m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm))


def _check_reads(spec: OptimizerSpec, config: OptimConfig) -> None:
    """Refuse a setting that would change nothing: an attempt made of it would be judged on noise alone."""
    for key, field in OptimConfig.model_fields.items():
        value = getattr(config, key)
        if key not in (*EVERYWHERE, *spec.reads) and value != field.default:
            others = ", ".join(name for name, other in OPTIMIZERS.items() if key in other.reads)
            raise ConfigError(
                f"{config.name} does not read '{key}' (set to {value!r}), so it would change nothing",
                where=f"optim.{key}",
                expected=f"{config.name} reads: {', '.join(spec.reads) or 'no such key'}",
                remedy=f"leave it out, or choose one that reads it: {others}",
            )
