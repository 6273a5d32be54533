"""What is done to a recipe to see whether the rule notices: nothing, a gain, and two losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from podium.recipe import Recipe

AA = "aa"


@dataclass(frozen=True)
class Kind:
    """Attempts of one kind.

    Attributes:
        truth: Whether it gains, does nothing or harms.
        share: Attempts of the kind for every ten A/A ones.
        change: What of the recipe is other.
    """

    says: str
    truth: Literal["gain", "nothing", "loss"]
    share: int
    change: Callable[[Recipe], dict[str, Any]]


KINDS: dict[str, Kind] = {
    AA: Kind("the same recipe with new seeds", "nothing", 10, lambda r: {}),
    "epochs": Kind("twice the epochs", "gain", 2, lambda r: {"train": {"epochs": 2 * r.train.epochs}}),
    "rate": Kind("a tenth of the learning rate", "loss", 1, lambda r: {"optim": {"lr": r.optim.lr / 10}}),
    "noise": Kind(
        "training images drowned in noise", "loss", 1, lambda r: {"augment": {"noise": 1.0, "noise_size": 0.5}}
    ),
}


def plan(ledger: int, attempts: int) -> list[str]:
    """The kinds of a ledger's attempts, in random order; the same each time.

    Args:
        attempts: A/A ones; the others come in proportion, each once at least.
    """
    names = [name for name, kind in KINDS.items() for _ in range(max(1, round(attempts * kind.share / 10)))]
    return [names[i] for i in np.random.default_rng((ledger, 5)).permutation(len(names))]
