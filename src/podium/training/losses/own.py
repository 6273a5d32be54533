"""A loss from a Python file of the user's: "myloss.py:soft_edges" among `loss.terms`."""

from __future__ import annotations

import inspect
from functools import wraps
from typing import Any, get_type_hints

from torch import Tensor

from podium.errors import ConfigError, TrainingError
from podium.plugins import load_plugin
from podium.training.losses.case import KINDS, Case
from podium.training.losses.registry import LossSpec, spec_of

EXPECTED = "def name(case, *, option: float = 1.0) -> one value a sample, shape (N,); case: podium.training.losses.Case"


def own_loss(spec: str) -> LossSpec:
    """The loss that "file.py:name" names, for targets of every kind; its keyword-only arguments are its options.

    Raises:
        ConfigError: if there is no such file or name, or it does not take a `Case` and options.
    """
    where = f"loss.terms.{spec}"
    function: Any = load_plugin(spec, where)
    try:
        parameters = [*inspect.signature(function).parameters.values()]
        hints = get_type_hints(function)
    except (TypeError, ValueError, NameError) as error:
        raise ConfigError(f"'{spec}' cannot be a loss ({error})", where=where, expected=EXPECTED) from None
    options = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    vague = [p.name for p in options if p.name not in hints or p.default is p.empty]
    if len(parameters) - len(options) != 1 or vague:
        wrong = (
            f"its option '{vague[0]}' has no type or no default" if vague else f"it takes {len(parameters)} arguments"
        )
        raise ConfigError(f"'{spec}' cannot be a loss: {wrong}", where=where, expected=EXPECTED)

    @wraps(function)
    def checked(case: Case, **given: Any) -> Tensor:
        found = function(case, **given)
        if not isinstance(found, Tensor) or found.shape != (len(case.logits),):
            got = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            said = f"one value a sample, shape ({len(case.logits)},); case.mean(values) makes it"
            raise TrainingError(f"'{spec}' gave {got}", where=where, expected=said)
        return found

    return spec_of(spec, checked, KINDS)
