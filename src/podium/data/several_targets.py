"""Several targets of which each has one class (labels = each): which outputs are whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

BETWEEN = ":"
"""In the names of [classes], between a target and a class of it."""


@dataclass(frozen=True)
class Part:
    """One target of several: the outputs ``start`` to ``end`` are its classes.

    Attributes:
        name: The target's.
        classes: As the table spells them, in the order of the outputs.
        weight: How much it counts in the metric and the loss; all sum to 1.
    """

    name: str
    classes: tuple[str, ...]
    start: int
    weight: float

    @property
    def end(self) -> int:
        """One past its last output."""
        return self.start + len(self.classes)

    @property
    def outputs(self) -> slice:
        """Its columns."""
        return slice(self.start, self.end)


def parts_of(targets: Sequence[str], classes: Mapping[str, int], weights: Mapping[str, float]) -> tuple[Part, ...]:
    """The parts that ``target:class`` names of [classes] make, in the order of the targets.

    Raises:
        ValueError: if a class names no target, the targets are mixed up, one has fewer than two classes, or a weight is
            of no target or not above 0.
    """
    named: dict[str, list[str]] = {target: [] for target in targets}
    last = -1
    for name in sorted(classes, key=lambda c: classes[c]):
        at = next((n for n, t in enumerate(targets) if name.startswith(t + BETWEEN) and len(name) > len(t) + 1), None)
        if at is None:
            raise ValueError(f"a target before each class, such as '{targets[0]}{BETWEEN}{name}', in [classes]")
        if at < last:
            what = "the classes of a target together in [classes], in the order of data.targets"
            raise ValueError(f"{what}, not '{name}'")
        last = at
        named[targets[at]].append(name[len(targets[at]) + 1 :])
    if few := [target for target, of in named.items() if len(of) < 2]:
        raise ValueError(f"two classes or more of '{few[0]}' in [classes]")
    if odd := [name for name, weight in weights.items() if name not in named or not weight > 0]:
        raise ValueError(f"weights above 0 of data.targets in target_weights, not '{odd[0]}'")
    whole = sum(weights.get(target, 1.0) for target in named)
    parts, start = [], 0
    for target, of in named.items():
        parts.append(Part(target, tuple(of), start, weights.get(target, 1.0) / whole))
        start += len(of)
    return tuple(parts)


def facts_of(parts: Sequence[Part]) -> list[dict[str, str | int | float]]:
    """Parts as plain data, without the names of their classes."""
    return [{"name": p.name, "outputs": len(p.classes), "weight": p.weight} for p in parts]


def parts_of_facts(facts: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """The inverse of `facts_of`; classes are called by their numbers."""
    parts, start = [], 0
    for fact in facts:
        names = tuple(map(str, range(int(fact["outputs"]))))
        parts.append(Part(str(fact["name"]), names, start, float(fact["weight"])))
        start += len(names)
    return tuple(parts)


def joined_classes(classes: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """[classes] of {target: its classes}."""
    names = [f"{target}{BETWEEN}{name}" for target, of in classes.items() for name in of]
    return {name: number for number, name in enumerate(names)}
