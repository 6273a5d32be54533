"""One attempt: parent + change + why, in a folder that is written before anything is trained."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field

from podium.config import Config, read_toml, write_toml
from podium.data.several_targets import parts_of_facts
from podium.errors import LedgerError
from podium.files import is_complete
from podium.ledger.changes import Change, change_text, settings_of
from podium.ledger.fold_runs import FoldRun, finished_runs, pooled_score
from podium.ledger.verdict import CAREFUL, RULE, Rule, Verdict
from podium.metrics import get_metric
from podium.progress import counted, duration
from podium.recipe import Recipe

FOLDER = re.compile(r"(\d{4,9})-([a-z0-9][a-z0-9_-]*)")
"""`0007-vgg11-encoder`."""
CROWN = "champion.toml"
CODE = "code"
"""In an attempt's folder, its copies of the user's Python files."""


class RaceConfig(Config):
    """How an attempt is raced; `[race]` of its `change.toml`."""

    careful: bool = Field(False, description="stop later: for when ideas are scarcer than hours")
    seeds: int = Field(RULE.seeds, ge=1, le=20, description="most trainings of one fold")
    folds: list[int] = Field([], description="the only folds to train; empty: as many as the verdict needs")

    @classmethod
    def of(cls, careful: bool, folds: Sequence[int] = (), seeds: int | None = None) -> Self:
        """As a command says it; ``seeds`` by default those of the rule."""
        given: dict[str, Any] = {"careful": careful, "folds": list(folds)}
        return cls.from_tree(given | ({} if seeds is None else {"seeds": seeds}), where="the race")

    @property
    def rule(self) -> Rule:
        """The rule that its verdict is reached by."""
        return replace(CAREFUL if self.careful else RULE, seeds=self.seeds)


class Crown(Config):
    """`champion.toml`: when and why an attempt became the champion."""

    at: str = Field(description="When, UTC.")
    why: str = Field(description="The verdict, or a person's reason.")
    by: Literal["verdict", "person"] = Field(description="Who decided.")


@dataclass(frozen=True)
class Attempt:
    """A parent recipe, a change, and why; with the fold runs it has so far.

    Attributes:
        id: Its number in the workspace; 0 is the baseline.
        parent: The parent's id; None for a baseline.
        change: {dotted key: (parent's value, new value)}.
        folds: Digest of the folds it is trained on; scores on other folds cannot be compared.
        link: Where the idea is from.
        code: {file: hash} of the Python files that its recipe names; copies lie in `code/`.
        crown: Since when it is, or was, the champion; None: never.
    """

    folder: Path
    id: int
    name: str
    recipe: Recipe
    parent: int | None
    change: Change
    why: str
    created: str
    folds: str
    verdict: Verdict | None = None
    link: str = ""
    race: RaceConfig = field(default_factory=RaceConfig)
    code: dict[str, str] = field(default_factory=dict)
    crown: Crown | None = None

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an attempt's folder.

        Raises:
            LedgerError: if it is unfinished or a file in it is damaged.
        """
        match = FOLDER.fullmatch(folder.name)
        if not match or not is_complete(folder):
            raise LedgerError(
                "not an attempt's folder, or one that was not written to the end",
                where=folder,
                expected="a folder such as attempts/0003-name, with the file COMPLETE in it",
                remedy="move it out of attempts/, or restore it",
            )
        head = read_toml(folder / "change.toml")
        try:
            change = {k: (v.get("from"), v.get("to")) for k, v in head.get("change", {}).items()}
            parent = int(head["parent"]) if "parent" in head else None
            if parent is not None and not 0 <= parent < int(match[1]):
                raise ValueError(f"its parent cannot be attempt {parent}")
            created, folds, link = str(head["created"]), str(head["folds"]), str(head.get("link", ""))
            code = {str(k): str(v) for k, v in head.get("code", {}).items()}
            race = RaceConfig.from_tree(head.get("race", {}), where=f"{folder / 'change.toml'}: race")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerError(f"damaged ({error})", where=folder / "change.toml", remedy="restore the file") from None
        _check_code(folder, code)
        try:
            why = (folder / "why.md").read_text(encoding="utf-8").strip() if (folder / "why.md").exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise LedgerError(f"damaged ({error})", where=folder / "why.md", remedy="mend or remove the file") from None
        recipe = Recipe.load(folder / "recipe.toml")
        _check_change(folder, change, recipe)
        verdict, crown = folder / "verdict.toml", folder / CROWN
        return cls(
            folder,
            int(match[1]),
            match[2],
            recipe,
            parent,
            change,
            why,
            created,
            folds,
            Verdict.load(verdict) if verdict.exists() else None,
            link,
            race,
            code,
            Crown.load(crown) if crown.exists() else None,
        )

    @cached_property
    def runs(self) -> list[FoldRun]:
        """Its finished fold runs."""
        return finished_runs(self.folder)

    @property
    def own_runs(self) -> list[FoldRun]:
        """Those that it trained itself, not only predicted anew with another's weights."""
        return [run for run in self.runs if run.trained_in == f"{self.folder.name}/{run.folder.name}"]

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
        return self._out_of_fold(runs)

    def _out_of_fold(self, runs: Sequence[FoldRun]) -> pl.DataFrame:
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
        return self.cv_over(self.trained_folds())

    def cv_over(self, folds: Collection[int]) -> float | None:
        """The metric over the out-of-fold samples of those folds that are trained; None if none is."""
        runs = [run for run in self.runs if run.seed == 0 and run.fold in folds]
        if not runs:
            return None
        name = str(runs[0].facts.get("metric", ""))  # a mean of scores needs none
        where, parts = f"{runs[0].folder}/run.toml", parts_of_facts(runs[0].facts.get("targets", []))
        metric = get_metric(name, where, self.folder.parents[1], parts) if name else None
        if (metric is None or metric.mean_over_samples) and all(run.samples for run in runs):
            return sum(run.score * run.samples for run in runs) / sum(run.samples for run in runs)
        return pooled_score(self._out_of_fold(runs), metric)

    def told(self, metric: str, parent: Attempt | None) -> str:
        """What it scores over the folds it has, beside its parent on the same, and how long that took."""
        folds = self.trained_folds()
        beside = parent.cv_over(folds) if parent and folds <= parent.trained_folds() else None
        score = "-" if self.cv is None else f"{self.cv:.5f}"
        told = f"CV {metric}: {score} over {counted(len(folds), 'fold')}"
        several = any(run.seed for side in (self, parent) if side for run in side.runs if run.fold in folds)
        first = "; first seeds alone: the verdict counts all" if several else ""
        told += "" if beside is None else f" (its parent on the same: {beside:.5f}{first})"
        done = "trained" if self.own_runs or not self.runs else "nothing trained; predicted anew in"
        return f"{told}, {done} {duration(self.seconds)}"

    @property
    def seconds(self) -> float:
        """Training time so far."""
        return sum(run.seconds for run in self.runs)

    def change_text(self) -> str:
        """The change in words: `model.width 1.0 -> 2.0`."""
        return change_text(self.change, self.parent)

    def finished(self, k: int) -> bool:
        """Whether nothing is left to train: a verdict that stands, and of ``k`` folds all where it asks for them."""
        if self.parent is None:
            seeds = range(self.race.seeds)
            return all(len(self.trained_folds(seed)) >= k for seed in seeds)
        if self.verdict is None or not self.verdict.final:
            return False
        return self.verdict.verdict != "YES" or len(self.trained_folds()) >= k

    def decided(self, verdict: Verdict) -> Attempt:
        """Store its verdict."""
        write_toml(self.folder / "verdict.toml", verdict.tree())
        return replace(self, verdict=verdict)

    def raced_by(self, race: RaceConfig) -> Attempt:
        """Store other settings of the race; a verdict that they reopen is asked again."""
        head = read_toml(self.folder / "change.toml")
        head["race"] = race.tree()
        write_toml(self.folder / "change.toml", head)
        raced = replace(self, race=race)
        if self.verdict is None or self.verdict.verdict == "YES":
            return raced
        return raced.decided(self.verdict.with_overrides({"final": False}))

    def crowned(self, why: str, by: Literal["verdict", "person"]) -> Attempt:
        """Store that it is the champion from now on."""
        crown = Crown(at=datetime.now(UTC).isoformat(), why=why, by=by)
        write_toml(self.folder / CROWN, crown.tree())
        return replace(self, crown=crown)


def _check_change(folder: Path, change: Change, recipe: Recipe) -> None:
    """Refuse an attempt whose recipe is not the one that its change led to: somebody's hand was in one of the files.

    Raises:
        LedgerError: naming the key.
    """
    values = settings_of(recipe)
    for key, (_, after) in change.items():
        if key in values and _as_kept(values[key]) != _as_kept(after):
            raise LedgerError(
                f"{key} is {values[key]!r} here, and {after!r} in the change that change.toml tells of",
                where=folder / "recipe.toml",
                expected="the recipe that was trained",
                remedy="restore the file; other settings are another attempt",
            )


def _as_kept(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _check_code(folder: Path, code: Mapping[str, str]) -> None:
    """Refuse an attempt whose copies of the user's files are not those that it was trained with.

    Raises:
        LedgerError: naming the file.
    """
    for file, digest in code.items():
        copy = folder / CODE / Path(file).name
        try:
            same = hashlib.sha256(copy.read_bytes()).hexdigest() == digest
        except OSError as error:
            told = f"the attempt's copy of {file} cannot be read ({error.strerror})"
            raise LedgerError(told, where=copy, remedy="restore the file") from None
        if not same:
            raise LedgerError(
                f"this is not the {file} that the attempt was written with",
                where=copy,
                expected=f"the hash that change.toml has of it ({digest[:8]})",
                remedy="restore it; a changed one is an attempt of its own: podium try, with the file in the workspace",
            )
