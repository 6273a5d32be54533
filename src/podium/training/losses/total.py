"""The weighted sum of losses that a recipe asks for, of the network's output and its auxiliary outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from podium.errors import ConfigError, TrainingError, nearest
from podium.recipe import DEFAULT_TERMS, LossConfig
from podium.training.losses.case import IN_WORDS, Kind, make_case
from podium.training.losses.own import own_loss
from podium.training.losses.registry import LOSSES, LossFunction, fitting

PER_CLASS = ("class_weights", "pos_weight")
"""Options with one number for each output."""


@dataclass(frozen=True)
class Term:
    """One loss of a sum, with its weight and its options."""

    name: str
    share: float
    function: LossFunction
    options: dict[str, Any]


class Loss:
    """A weighted sum of losses over one kind of target.

    Attributes:
        terms: What is summed.
        auxiliary: Weights of the auxiliary outputs, in the network's order.
        each: Loss of each sample of the batch before, (N,), detached: what is hard (terms that pool count alike).
    """

    def __init__(self, terms: Sequence[Term], kind: Kind, auxiliary: Sequence[float] = ()) -> None:
        self.terms, self.kind, self.auxiliary = tuple(terms), kind, tuple(auxiliary)
        self.each: Tensor | None = None

    def __call__(
        self,
        logits: Tensor | Sequence[Tensor],
        target: Tensor,
        weight: Tensor | None = None,
        *,
        samples: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch.

        Args:
            logits: (N, C, *S), any float type; or those and the auxiliary logits, which may be smaller.
            target: planes: (N, C, *S) in [0, 1]; labels: class ids (N, *S), 255 and negative ones left out, or soft
                labels (N, C, *S); values: (N, C), NaN left out.
            weight: How much each element of the target counts, 0 = not at all: (N, C, *S), for labels (N, *S), or what
                expands to that; None = all alike.
            samples: How much each sample counts, (N,); None = all alike. It is not divided out again.

        Returns:
            The scalar to differentiate, and the unweighted mean of each term (and of the auxiliary outputs' losses
            together): scalars on the same device, detached, left there so that reading them is the caller's choice of
            when to wait.
        """
        outputs = (logits,) if isinstance(logits, Tensor) else tuple(logits)
        if len(outputs) - 1 != len(self.auxiliary):
            raise TrainingError(
                f"the network has {len(outputs) - 1} auxiliary outputs",
                where="loss.auxiliary",
                expected=f"{len(self.auxiliary)} of them, one for each weight",
            )
        with torch.autocast(outputs[0].device.type, enabled=False):
            total, parts = self._sum(outputs[0], target, weight, samples)
            each = self.each
            if self.auxiliary:
                extra = [
                    share * self._sum(o, *resized(o, self.kind, target, weight), samples)[0]
                    for share, o in zip(self.auxiliary, outputs[1:], strict=True)
                ]
                added = torch.stack(extra).sum()
                total, parts = total + added, parts | {"auxiliary": added.detach()}
            self.each = each
        return total, parts

    def of_outputs(self, outputs: slice, of: int) -> Loss:
        """The loss of some of the outputs, those of one target of several, with their share of the classes' weights.

        Args:
            of: How many outputs there are in all.

        Raises:
            TrainingError: for weights that are not one for all or one for each output.
        """
        if outputs == slice(0, of):
            return self
        terms = [replace(t, options={k: _share(k, v, outputs, of) for k, v in t.options.items()}) for t in self.terms]
        return Loss(terms, self.kind, self.auxiliary)

    def _sum(
        self, logits: Tensor, target: Tensor, weight: Tensor | None, samples: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        case = make_case(self.kind, logits, target, weight, samples)
        found = {term.name: term.function(case, **term.options) for term in self.terms}
        weighted = found if samples is None else {name: v * samples.float() for name, v in found.items()}
        means = {name: values.mean() for name, values in weighted.items()}
        total = torch.stack([term.share * means[term.name] for term in self.terms]).sum()
        self.each = torch.stack([term.share * found[term.name].detach() for term in self.terms]).sum(0)
        return total, {name: mean.detach() for name, mean in means.items()}


def _share(name: str, value: Any, outputs: slice, of: int) -> Any:
    """Of an option, what some of the outputs read."""
    if name not in PER_CLASS or value is None or len(value) == 1:
        return value
    if len(value) != of:
        raise TrainingError(
            f"{len(value)} weights in '{name}' for {of} classes of all targets",
            where="loss.options",
            expected="one for each class of each target, in order",
        )
    return value[outputs]


def resized(logits: Tensor, kind: Kind, target: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Target and weight at the size of auxiliary logits, by nearest neighbour."""
    size = logits.shape[2:]
    lead = 1 if kind == "labels" and target.ndim == logits.ndim - 1 else 2
    if not size or target.shape[lead:] == size:
        return target, weight
    if weight is not None:
        full = weight.expand(target.shape if kind != "labels" else (target.shape[0], *target.shape[lead:]))
        weight = _nearest(full, size, 1 if kind == "labels" else 2)
    return _nearest(target, size, lead), weight


def _nearest(planes: Tensor, size: torch.Size, lead: int) -> Tensor:
    shaped = planes.unsqueeze(1) if lead == 1 else planes
    found = F.interpolate(shaped.float(), size, mode="nearest-exact").to(planes.dtype)
    return found.squeeze(1) if lead == 1 else found


def create_loss(config: LossConfig, kind: Kind = "planes", auxiliary: Sequence[float] = ()) -> Loss:
    """The loss of a recipe.

    Args:
        kind: What the targets are.
        auxiliary: The network's own weights of its auxiliary outputs (``model.auxiliary_weights``), where the recipe
            does not set ``loss.auxiliary``.

    Raises:
        ConfigError: for a name that `LOSSES` lacks or that does not fit the targets, a weight that is not above 0, an
            option that the loss does not have, options of a loss that is not in the sum, or a wrong number of
            auxiliary weights.
    """
    terms = []
    for name, share in config.terms.items():
        where = f"loss.terms.{name}"
        if name not in LOSSES and ".py" not in name:
            names = fitting(kind)
            raise ConfigError(
                f"unknown loss '{name}'",
                where=where,
                expected=f"a file of your own (file.py:name), or one of: {', '.join(names)}",
                remedy=nearest(name, names),
            )
        spec = LOSSES[name] if name in LOSSES else own_loss(name)
        if kind not in spec.kinds:
            default = ", ".join(f"{k}={v}" for k, v in DEFAULT_TERMS[kind].items())
            raise ConfigError(
                f"'{name}' is for {' and '.join(IN_WORDS[k] for k in spec.kinds)}; "
                f"what is learnt here is {IN_WORDS[kind]}",
                where=where,
                expected="one of: " + ", ".join(fitting(kind)),
                remedy=f"for instance loss.terms={{{default}}}",
            )
        if share <= 0:
            raise ConfigError(f"the weight is {share}", where=where, expected="above 0", remedy="leave the loss out")
        terms.append(Term(name, share, spec.function, spec.read(config.options.get(name, {}), kind)))
    for name in config.options:
        if name not in config.terms:
            raise ConfigError(
                f"options of '{name}', which is not in loss.terms, so they would change nothing",
                where=f"loss.options.{name}",
                expected="options of: " + ", ".join(config.terms),
                remedy=f"leave them out, or add loss.terms.{name}=1.0",
            )
    return Loss(terms, kind, _auxiliary(config, auxiliary))


def _auxiliary(config: LossConfig, of_model: Sequence[float]) -> Sequence[float]:
    if config.auxiliary is None:
        return of_model
    if len(config.auxiliary) != len(of_model):
        raise ConfigError(
            f"{len(config.auxiliary)} weights, and the network has {len(of_model)} auxiliary outputs",
            where="loss.auxiliary",
            expected="one weight for each of them",
            remedy="leave it out" if not of_model else f"for instance loss.auxiliary={[*of_model]}",
        )
    return tuple(config.auxiliary)
