"""What is inferred, each value with what told it so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from podium.config import emit_toml, flatten
from podium.data.competition import Competition, FoldsConfig

TOLD, SHOWN = 40, 8
"""Of more classes than this the first ones are told; competition.toml has them all."""


@dataclass
class Inference:
    """A competition and, for each key, what told it so."""

    competition: Competition
    why: dict[str, str] = field(default_factory=dict)

    def told(self) -> list[str]:
        """The inferences as lines for the user."""
        tree = self.competition.tree()
        lines = []
        for key, reason in self.why.items():
            section, _, name = key.rpartition(".")
            value = tree.get(section, {}).get(name) if section else tree.get(name)
            lines.append(f"{key} = {_shortened(value)}: {reason}")
        return lines

    def with_value(self, key: str, value: Any, reason: str) -> Inference:
        """A copy with one key set by somebody who knows."""
        section, _, name = key.rpartition(".")
        change = {section: {name: value}} if section else {name: value}
        return Inference(self.competition.with_overrides(change), self.why | {key: reason})

    def with_settings(self, settings: Sequence[str]) -> Inference:
        """A copy with ``key=value`` settings of somebody who knows."""
        changed, why = self.competition.with_overrides(settings), dict(self.why)
        asked = dict.fromkeys((s.partition("=")[0].strip() for s in settings), "as asked for")
        if not (changed.data.group or changed.data.group_csv) and "folds.k" in why and "folds.k" not in asked:
            changed = changed.with_overrides({"folds": {"k": FoldsConfig().k}})  # fewer were for so few groups
            del why["folds.k"]
        return Inference(changed, why | asked)

    def with_competition(self, competition: Competition) -> Inference:
        """A copy about a changed competition; reasons are kept for the values that stand."""
        old, new = (dict(flatten(c.tree())) for c in (self.competition, competition))
        return Inference(competition, {k: why for k, why in self.why.items() if old.get(k) == new.get(k)})

    def toml(self) -> str:
        """The commented `competition.toml`."""
        tree = self.competition.tree()
        for section in [v for v in tree.values() if isinstance(v, dict)]:
            for key in [k for k, v in section.items() if v in ([], {})]:
                del section[key]
        return emit_toml(tree, self.why)


def _shortened(value: Any) -> str:
    """A value as text; of thousands of classes the first ones."""
    if not isinstance(value, (dict, list)) or len(value) <= TOLD:
        return repr(value)
    first = repr(dict(list(value.items())[:SHOWN]) if isinstance(value, dict) else value[:SHOWN])
    return f"{first[:-1]}, … {len(value) - SHOWN:,} more{first[-1]}"


@dataclass
class Draft:
    """A competition.toml in the making.

    Attributes:
        numbered: The data writes classes as the numbers that [classes] gives them.
    """

    tree: dict[str, Any]
    why: dict[str, str] = field(default_factory=dict)
    numbered: bool = False

    def put(self, key: str, value: Any, reason: str) -> None:
        """Set a dotted key, and say what told so."""
        section, _, name = key.rpartition(".")
        (self.tree.setdefault(section, {}) if section else self.tree)[name] = value
        self.why[key] = reason
