"""Many real trainings in one small file: what each fold run scored on each sample of its fold, and no more."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from podium.errors import LedgerError
from podium.files import write_atomic
from podium.ledger.verdict import FoldSeed, Run

Scores = npt.NDArray[Any]

FORMAT = 1
BASELINE = 0
"""Number of the baseline among the attempts of a ledger."""


class Trained(NamedTuple):
    """Which fold run: the seed counts from 0 in each attempt, though every training had a seed of its own."""

    ledger: int
    attempt: int
    fold: int
    seed: int


@dataclass
class Trainings:
    """Fold runs of independent ledgers, each a baseline and attempts against it. Samples have no names.

    Attributes:
        about: What was trained: data, metric, greater_is_better, folds, recipe_name, changes, recipe, attempts.
        plan: Of each ledger the kinds of its attempts, in order; the first is attempt 1.
        groups: Of each fold the code of each sample's group, shape (N,).
        scores: The score of each sample in the order of ``groups``, shape (N,).
    """

    about: dict[str, Any]
    plan: list[list[str]] = field(default_factory=list)
    groups: dict[int, npt.NDArray[np.int16]] = field(default_factory=dict)
    scores: dict[Trained, Scores] = field(default_factory=dict)

    @property
    def k(self) -> int:
        """Number of folds."""
        return int(self.about["folds"])

    @property
    def greater_is_better(self) -> bool:
        """The metric's direction."""
        return bool(self.about["greater_is_better"])

    def run(self, ledger: int, attempt: int, what: FoldSeed) -> Run | None:
        """A fold run as the verdict sees it; None if it was not trained."""
        scores = self.scores.get(Trained(ledger, attempt, *what))
        return None if scores is None else Run.of_scores(*what, scores, self.groups[what.fold])

    def attempts(self) -> set[tuple[int, int]]:
        """(ledger, attempt) of all that have a fold run, baselines too."""
        return {(t.ledger, t.attempt) for t in self.scores}

    def add(self, trained: Trained, scores: Scores, groups: npt.NDArray[Any]) -> None:
        """Keep a fold run; scores are rounded as the file rounds them.

        Args:
            scores, groups: Of each sample of the fold, in an order that is the same each time.

        Raises:
            LedgerError: if the groups are not those of the fold runs before.
        """
        known = self.groups.setdefault(trained.fold, groups.astype(np.int16))
        if not np.array_equal(known, groups):
            raise LedgerError(
                f"fold {trained.fold} has other samples or groups than before",
                expected="the folds that the file was begun with",
                remedy="restore folds.csv and exclude.csv; or collect into another file",
            )
        self.scores[trained] = _small(scores)

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all; the scores of a sample lie side by side, since that packs best."""
        keys = sorted(self.scores)
        head = {"format": FORMAT, "about": self.about, "plan": self.plan}
        arrays: dict[str, Any] = {"head": np.array(json.dumps(head)), "keys": np.array(keys, np.int16).reshape(-1, 4)}
        for fold, groups in self.groups.items():
            arrays[f"groups{fold}"] = groups
            arrays[f"scores{fold}"] = np.stack([self.scores[t] for t in keys if t.fold == fold], 1)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_atomic(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            LedgerError: if it is missing, damaged, or something else.
        """
        try:
            with np.load(path, allow_pickle=False) as f:
                head = json.loads(str(f["head"]))
                keys = [Trained(*map(int, key)) for key in f["keys"]]
                folds = sorted({t.fold for t in keys})
                columns = {k: iter(f[f"scores{k}"].T) for k in folds}
                groups = {k: f[f"groups{k}"] for k in folds}
            if head["format"] != FORMAT:
                raise ValueError(f"format {head['format']}")
            scores = {t: np.ascontiguousarray(next(columns[t.fold])) for t in keys}
            return cls(head["about"], head["plan"], groups, scores)
        except FileNotFoundError:
            raise LedgerError("no such file", where=path, remedy=f"make it: podium verdict --collect {path}") from None
        except (OSError, ValueError, KeyError, TypeError, EOFError, StopIteration, zipfile.BadZipFile) as error:
            raise LedgerError(
                f"not a file of trainings, or a damaged one ({error})",
                where=path,
                expected="what podium verdict --collect writes",
                remedy="restore it; or collect again into another file",
            ) from None


def _small(scores: Scores) -> Scores:
    """In the smallest type: 0 and 1 as whole numbers, all else with three digits."""
    whole = scores.astype(np.uint8) if np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1 else None
    return whole if whole is not None and np.array_equal(whole, scores) else scores.astype(np.float16)
