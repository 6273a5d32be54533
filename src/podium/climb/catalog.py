"""The catalogue: kinds of changes with how often they help, and the changes, each with a reason and a source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from podium.climb.relative import LENGTH, OWNERS, is_relative
from podium.config import Config, all_keys, merge
from podium.data.competition import Task
from podium.errors import ConfigError, nearest
from podium.recipe import Recipe

OURS = Path(__file__).with_name("catalog.toml")
JOIN = "--"
"""Between the names of changes in the name of an attempt that makes several: so no change has it in its own."""
COMBINE, CAREFUL = "combine", "careful"
"""The kinds of attempts that are made of earlier ones."""

Target = Literal["planes", "labels", "values"]


class KindConfig(Config):
    """`[kinds.NAME]`: what is known of a kind of changes beforehand, as a Beta(yes, no) distribution."""

    says: str = Field(min_length=1, description="what changes of this kind do")
    yes: float = Field(gt=0, description="as if so many had got a YES before")
    no: float = Field(gt=0, description="and so many a NO")


class ChangeConfig(Config):
    """`[changes.NAME]`: one change, why it may help, and when it is out of the question."""

    kind: str = Field(description="its kind, one of [kinds]")
    set: dict[str, Any] = Field(min_length=1, description='what it sets: {"optim.lr" = "x2"}')
    why: str = Field(min_length=1, description="why it may help, a sentence")
    source: str = Field(min_length=1, description="where the idea is from")
    tasks: list[Task] = Field([], description="tasks that it is for; empty: all")
    targets: list[Target] = Field(
        [], description="planes: masks or labels that may overlap; labels: one class of several; values: numbers"
    )
    when: dict[str, str] = Field({}, description='what the parent must have: {"model.arch" = "smp.*"}, with * and |')
    after: str | None = Field(None, description="another change, which must have been accepted first")
    gpu: bool = Field(False, description="takes too long without a GPU")
    colour: bool = Field(False, description="does nothing to grey images")
    time: float = Field(1.0, gt=0, description="of a fold run, as a multiple of the parent's, about")

    @field_validator("set")
    @classmethod
    def _keys_are_known(cls, given: dict[str, Any]) -> dict[str, Any]:
        known = [*all_keys(Recipe), LENGTH]
        for key, value in given.items():
            if not any(key == k or key.startswith(f"{k}.") for k in known):
                raise ValueError(f"keys of a recipe: there is no '{key}'; {nearest(key, known)}")
            if value == "same" and not any(key.startswith(f"{owner.partition('.')[0]}.") for owner in OWNERS):
                raise ValueError(
                    f'"same" for keys of {", ".join(o.partition(".")[0] for o in OWNERS)} alone, not {key}'
                )
            if key == LENGTH and not (is_relative(value) and str(value).startswith("x")):
                raise ValueError(f'{LENGTH} = "x2", a multiple')
        return given


class Catalog(Config):
    """A catalogue as it is in its file."""

    with_ours: bool = Field(False, description="podium's own changes too, where the names are not the same")
    kinds: dict[str, KindConfig] = Field({}, description="kinds of changes")
    changes: dict[str, ChangeConfig] = Field({}, description="changes by name")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name, change in self.changes.items():
            if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,19}", name) or JOIN in name:
                raise ValueError(f"names of at most 20 small letters, digits, - and _, without {JOIN}: not '{name}'")
            if change.kind not in self.kinds and not self.with_ours:
                raise ValueError(f"a kind of [kinds] for changes.{name}; {nearest(change.kind, list(self.kinds))}")
            if change.after is not None and change.after not in self.changes and not self.with_ours:
                raise ValueError(f"changes.{name}.after = another change, not '{change.after}'")
        return self


def load_catalog(path: Path | None = None) -> Catalog:
    """podium's catalogue, or one's own.

    Raises:
        ConfigError: naming the key of the file that is wrong.
    """
    ours = Catalog.load(OURS)
    if path is None:
        return ours
    given = Catalog.load(path)
    base: Mapping[str, Any] = ours.tree() if given.with_ours else {"kinds": _kinds_of_retries(ours)}
    tree = merge(dict(base), given.tree()) | {"with_ours": False}
    for name, change in given.changes.items():
        tree["changes"][name] = change.tree()
    if not given.changes:
        raise ConfigError("no change is in it", where=path, expected="[changes.NAME] with kind, set, why and source")
    return Catalog.from_tree(tree, where=str(path))


def _kinds_of_retries(ours: Catalog) -> dict[str, Any]:
    return {name: ours.kinds[name].tree() for name in (COMBINE, CAREFUL)}
