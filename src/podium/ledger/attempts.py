"""Attempts as folders: parent + change + why, written before anything is trained. The folders are the record."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import polars as pl

from podium.config import difference, parse_value, read_toml, write_toml
from podium.errors import LedgerError, PodiumError, nearest
from podium.files import building, is_complete, write_atomic
from podium.ledger.fold_runs import FoldRun, finished_runs, pooled_score
from podium.ledger.verdict import Verdict
from podium.metrics import get_metric
from podium.recipe import Recipe

_FOLDER = re.compile(r"(\d{4,})-([a-z0-9][a-z0-9_-]*)")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True)
class Attempt:
    """A parent recipe, a change, and why; with the fold runs it has so far.

    Attributes:
        id: Its number in the workspace; 0 is the baseline.
        parent: The parent's id; None for a baseline.
        change: {dotted key: (parent's value, new value)}.
        folds: Digest of the folds it is trained on; scores on other folds cannot be compared.
    """

    folder: Path
    id: int
    name: str
    recipe: Recipe
    parent: int | None
    change: dict[str, tuple[Any, Any]]
    why: str
    created: str
    folds: str
    verdict: Verdict | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an attempt's folder.

        Raises:
            LedgerError: if it is unfinished or a file in it is damaged.
        """
        match = _FOLDER.fullmatch(folder.name)
        if not match or not is_complete(folder):
            raise LedgerError("not an attempt's folder, or one that was not written to the end", where=folder)
        head = read_toml(folder / "change.toml")
        try:
            change = {k: (v.get("from"), v.get("to")) for k, v in head.get("change", {}).items()}
            parent = int(head["parent"]) if "parent" in head else None
            created, folds = str(head["created"]), str(head["folds"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerError(f"damaged ({error})", where=folder / "change.toml", remedy="restore the file") from None
        try:
            why = (folder / "why.md").read_text(encoding="utf-8").strip() if (folder / "why.md").exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"damaged ({error})", where=folder / "why.md", remedy="mend or remove the file") from None
        verdict = folder / "verdict.toml"
        return cls(
            folder,
            int(match[1]),
            match[2],
            Recipe.load(folder / "recipe.toml"),
            parent,
            change,
            why,
            created,
            folds,
            Verdict.load(verdict) if verdict.exists() else None,
        )

    @cached_property
    def runs(self) -> list[FoldRun]:
        """Its finished fold runs."""
        return finished_runs(self.folder)

    def trained_folds(self, seed: int = 0) -> set[int]:
        """Folds that have a finished run of ``seed``."""
        return {run.fold for run in self.runs if run.seed == seed}

    def out_of_fold(self, seed: int = 0) -> pl.DataFrame:
        """Scores of the finished folds, one row a sample.

        Raises:
            LedgerError: if there is none, or a sample appears in two folds: then the scores are not out of fold.
        """
        runs = [run for run in self.runs if run.seed == seed]
        if not runs:
            raise LedgerError("no fold of it is trained", where=self.folder, remedy=f"run: podium resume {self.id}")
        table = pl.concat([run.scores() for run in runs])
        if table["id"].is_duplicated().any():
            twice = table.filter(table["id"].is_duplicated())["id"][0]
            raise LedgerError(f"'{twice}' is scored in two folds", where=self.folder)
        return table

    def fold_scores(self, seed: int = 0) -> dict[int, float]:
        """{fold: score} of the finished folds."""
        return {run.fold: run.score for run in self.runs if run.seed == seed}

    @property
    def cv(self) -> float | None:
        """The metric over the out-of-fold samples so far, all folds together; None before the first fold."""
        if not self.trained_folds():
            return None
        name = str(self.runs[0].facts.get("metric", ""))  # a mean of scores needs none
        metric = get_metric(name, f"{self.runs[0].folder}/run.toml", self.folder.parents[1]) if name else None
        return pooled_score(self.out_of_fold(), metric)

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return float(sum(run.facts.get("seconds", 0) for run in self.runs))

    def change_text(self) -> str:
        """The change in words: `model.width 1.0 -> 2.0`."""
        return change_text(self.change, self.parent)

    def decided(self, verdict: Verdict) -> Attempt:
        """Store its verdict."""
        write_toml(self.folder / "verdict.toml", verdict.tree())
        return replace(self, verdict=verdict)


def change_text(change: dict[str, tuple[Any, Any]], parent: int | None) -> str:
    """A change in words: `model.width 1.0 -> 2.0`."""
    if not change:
        return "-" if parent is None else "nothing"
    return ", ".join(f"{k} {_show(a)} -> {_show(b)}" for k, (a, b) in change.items())


def _show(value: Any) -> str:
    """As a recipe spells it, but text without quotes and tables without what is empty."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k} = {_show(v)}" for k, v in value.items() if v != {}) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_show, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "unset" if value is None else str(value)


class Attempts:
    """The `attempts/` folder of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def scan(self) -> tuple[list[Attempt], list[str]]:
        """Every attempt by number, and a line for each folder that had to be left out."""
        found, damaged = [], []
        if self.folder.exists():
            for folder in sorted(self.folder.iterdir()):
                if not folder.is_dir() or folder.name.startswith("."):
                    continue
                try:
                    found.append(Attempt.load(folder))
                except PodiumError as error:
                    damaged.append(str(error).splitlines()[0])
        found.sort(key=lambda a: a.id)
        for first, second in pairwise(found):
            if first.id == second.id:
                damaged.append(f"{second.folder}: its number is that of {first.folder.name} too; rename one of them")
        return [a for i, a in enumerate(found) if not i or a.id != found[i - 1].id], damaged

    def all(self) -> list[Attempt]:
        """Every readable attempt, by number."""
        return self.scan()[0]

    def get(self, reference: str | int) -> Attempt:
        """An attempt by number (`7`, `0007`), name or folder name; of several with one name the newest.

        Raises:
            LedgerError: listing what there is.
        """
        attempts = self.all()
        text = str(reference)
        for attempt in reversed(attempts):
            if text in (attempt.name, attempt.folder.name) or (text.isdecimal() and int(text) == attempt.id):
                return attempt
        if not attempts:
            raise LedgerError("there is no attempt yet", remedy="run: podium baseline")
        raise LedgerError(
            f"no attempt '{text}'", where=self.folder, remedy=nearest(text, [a.folder.name for a in attempts])
        )

    def _next_number(self) -> int:
        """One more than any folder's number, damaged ones included: what they hold is not written over."""
        folders = self.folder.iterdir() if self.folder.exists() else ()
        return 1 + max((int(m[1]) for f in folders if (m := _FOLDER.fullmatch(f.name))), default=-1)

    def create(self, name: str, recipe: Recipe, parent: Attempt | None, why: str, folds: str) -> Attempt:
        """Write a new attempt's folder, whole, before anything is trained.

        Raises:
            LedgerError: if the name is not one, or the recipe is that of an earlier attempt.
        """
        if not _NAME.fullmatch(name):
            raise LedgerError(f"'{name}' cannot name an attempt", expected="lower-case letters, digits, - and _")
        existing = self.all()
        for other in existing:
            if other.recipe == recipe and other.folds == folds:
                raise LedgerError(
                    f"that is attempt {other.id} ({other.name}): its recipe is the same in every setting",
                    remedy=f"look at it: podium show {other.id}; if it was stopped: podium resume {other.id}",
                )
        number = self._next_number()
        change = difference(recipe, parent.recipe) if parent else {}
        created = datetime.now(UTC).isoformat(timespec="seconds")
        head: dict[str, Any] = {"created": created, "folds": folds}
        if parent:
            head["parent"] = parent.id
        head["change"] = {
            k: {n: v for n, v in (("from", a), ("to", b)) if v is not None} for k, (a, b) in change.items()
        }
        with building(self.folder / f"{number:04d}-{name}") as folder:
            write_atomic(folder / "recipe.toml", recipe.to_toml())
            write_toml(folder / "change.toml", head)
            write_atomic(folder / "why.md", why.strip() + "\n")
        return Attempt.load(self.folder / f"{number:04d}-{name}")


def changed_recipe(parent: Recipe, changes: list[str]) -> Recipe:
    """The parent's recipe with ``key=value`` changes.

    Raises:
        LedgerError: if nothing changes.
        ConfigError: for an unknown key or a wrong value.
    """
    recipe = parent.with_overrides(changes)
    if recipe == parent:
        shown = ", ".join(f"{k} is {parse_value(v)!r} already" for k, _, v in (c.partition("=") for c in changes))
        raise LedgerError(
            f"this changes nothing{': ' + shown if shown else ''}",
            expected="at least one key=value that differs from the parent",
            remedy="for instance: podium try wider model.width=2 --why '…'",
        )
    return recipe
