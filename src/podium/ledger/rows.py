"""What the index keeps of an attempt: a row, read from its folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from podium.errors import PodiumError
from podium.files import MARKER
from podium.ledger.attempt import Attempt
from podium.ledger.index import FACTS, Row
from podium.ledger.stamps import head_stamp, is_run, parts_of, runs_stamp
from podium.recipe import Recipe

ANY_NUMBER = 10**6
"""Of folds, where none is left to train however many there are."""

_OF_VERDICT = ("verdict", "reason", "gain", "raw_gain", "se", "noise_floor", "evidence", "final")


def read_row(folder: Path) -> Row:
    """An attempt as a row of the index; `damage` says why if it cannot be read.

    The stamps are taken first: what changes meanwhile is seen the next time.
    """
    stamps: dict[str, Any] = dict.fromkeys(("parts", "head_stamp", "runs_stamp"), "")
    try:
        parts = parts_of(str(folder))
        stamps = {"parts": "/".join(parts), "head_stamp": head_stamp(str(folder), parts)}
        stamps["runs_stamp"] = runs_stamp(str(folder), parts)
        unfinished = any(not (folder / part / MARKER).exists() for part in parts if is_run(part))
        attempt = Attempt.load(folder)
        return Row(*_for_us(attempt), None, unfinished, **stamps, facts=_facts(attempt))
    except (PodiumError, OSError) as error:
        nothing = (None, folder.name, *(None for _ in FACTS[2:]))
        return Row(0, "", None, False, "", str(error).splitlines()[0], True, **stamps, facts=nothing)


def sameness(recipe: Recipe, folds: str, code: Mapping[str, str]) -> str:
    """Equal for attempts that would train the very same: recipe, digest of the folds, hashes of the user's files."""
    whole = json.dumps([recipe.digest(), folds, sorted(code.items())])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _for_us(attempt: Attempt) -> tuple[int, str, str | None, bool, str]:
    """`enough`, `same`, `noise`, `replicated` and `metric` of a row."""
    terms = attempt.verdict.noise_terms() if attempt.verdict else None
    folds = [run.fold for run in attempt.runs]
    same = sameness(attempt.recipe, attempt.folds, attempt.code)
    metric = str(attempt.runs[0].facts.get("metric", "")) if attempt.runs else ""
    return _enough(attempt), same, json.dumps(terms) if terms else None, len(folds) > len(set(folds)), metric


def _facts(attempt: Attempt) -> tuple[Any, ...]:
    """The values of `FACTS`."""
    verdict, crown, runs = attempt.verdict, attempt.crown, attempt.runs
    facts = {
        "id": attempt.id,
        "folder": attempt.folder.name,
        "name": attempt.name,
        "parent": attempt.parent,
        "created": attempt.created,
        "change": attempt.change_text(),
        "why": attempt.why,
        "link": attempt.link,
        "cv": attempt.cv,
        "folds": len(attempt.trained_folds()),
        "fold_runs": len(runs),
        "trained": len(attempt.own_runs),
        "runs": json.dumps([[run.fold, run.seed, run.score] for run in runs]),
        "seconds": attempt.seconds,
        **{name: getattr(verdict, name) if verdict else None for name in _OF_VERDICT},
        "crowned": crown.at if crown else None,
        "crowned_by": crown.by if crown else None,
    }
    return tuple(facts[name] for name in FACTS)


def _enough(attempt: Attempt) -> int:
    """The most folds of a competition with which nothing would be left to train."""
    if attempt.finished(ANY_NUMBER):
        return ANY_NUMBER
    trained = len(attempt.trained_folds())
    return next((k for k in range(trained, 0, -1) if attempt.finished(k)), 0)
