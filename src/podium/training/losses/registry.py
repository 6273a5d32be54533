"""The registry of losses; their options are the keyword arguments of their functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from pydantic import create_model
from torch import Tensor

from podium.config import Config, emit_toml
from podium.errors import ConfigError
from podium.training.losses.case import IN_WORDS, KINDS, Kind

LossFunction = Callable[..., Tensor]


@dataclass(frozen=True)
class LossSpec:
    """One loss.

    Attributes:
        function: `Case` and options -> one value a sample, (N,); 0 for a sample of which nothing counts.
        kinds: Targets that it is for.
        options: Its keyword arguments as a schema: names, types, ranges, defaults.
        only: {option: the one kind of target that it is for}.
    """

    name: str
    function: LossFunction
    kinds: tuple[Kind, ...]
    options: type[Config]
    only: Mapping[str, Kind] = field(default_factory=dict)

    def read(self, given: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
        """The options, checked and complete.

        Raises:
            ConfigError: for an option that the loss lacks, a wrong value, or one that another kind of target reads.
        """
        where = f"loss.options.{self.name}"
        try:
            read = self.options.from_tree(dict(given), where=where)
        except ConfigError as error:
            names = "it reads: " + (", ".join(self.options.model_fields) or "no options")
            raise ConfigError(error.found, where=where, expected=error.expected or names, remedy=error.remedy) from None
        for name, only in self.only.items():
            if only != kind and getattr(read, name) != self.options.model_fields[name].default:
                raise ConfigError(
                    f"'{name}' is for {IN_WORDS[only]}; what is learnt here is {IN_WORDS[kind]}",
                    where=where,
                    remedy="leave it out",
                )
        return {name: getattr(read, name) for name in self.options.model_fields}

    def options_text(self) -> str:
        """``smooth = 1.0, log = false``: the options with their defaults, for the reference pages."""
        return ", ".join(
            f"{name} = " + ("unset" if f.default is None else emit_toml({name: f.default}, {}).strip()[len(name) + 3 :])
            for name, f in self.options.model_fields.items()
        )


LOSSES: dict[str, LossSpec] = {}


def register_loss(
    name: str, *, kinds: tuple[Kind, ...] = ("planes",), only: Mapping[str, Kind] | None = None
) -> Callable[[LossFunction], LossFunction]:
    """Decorate ``(case: Case, *, option: float = 1.0, …) -> Tensor of shape (N,)`` to add it to `LOSSES`.

    The mean of what it returns is the loss of the batch; one that pools over the batch returns that value N times.
    Its keyword arguments are the keys of ``[loss.options.<name>]``; ``Annotated[float, Field(gt=0)]`` gives a range.

    Args:
        kinds: Targets it is for: planes (sigmoid), labels (softmax), values (regression).
        only: {option: the one of ``kinds`` that reads it}.
    """

    def register(function: LossFunction) -> LossFunction:
        LOSSES[name] = spec_of(name, function, kinds, only)
        return function

    return register


def spec_of(
    name: str, function: LossFunction, kinds: tuple[Kind, ...], only: Mapping[str, Kind] | None = None
) -> LossSpec:
    """A function as a loss, its keyword arguments as its options."""
    hints = get_type_hints(function, include_extras=True)
    keywords = [p for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    fields: dict[str, Any] = {p.name: (hints[p.name], p.default) for p in keywords}
    return LossSpec(name, function, kinds, create_model("options", __base__=Config, **fields), only or {})


def fitting(kind: Kind) -> list[str]:
    """Names of the losses for a kind of target."""
    assert kind in KINDS
    return [name for name, spec in LOSSES.items() if kind in spec.kinds]
