"""Attempts of another workspace: checked, copied under a number of our own, with the attempts they stand on."""

from __future__ import annotations

import shutil
from pathlib import Path

from podium.config import read_toml, write_toml
from podium.data.competition import Competition
from podium.errors import LedgerError
from podium.files import building
from podium.ledger.attempt import CROWN, Attempt
from podium.ledger.attempts import Attempts
from podium.ledger.checks import same_metric
from podium.ledger.judge import REPLICATES
from podium.progress import say

MUST_AGREE = ("task", "metric", "classes")
"""What must be the same in both competition.toml for scores to be comparable."""


def find(folder: Path) -> Attempt:
    """The attempt that a path names: its folder.

    Raises:
        LedgerError: if it is none.
    """
    if not folder.is_dir():
        raise LedgerError("no such folder", where=folder, expected="an attempt's folder: OTHER/attempts/0003-name")
    return Attempt.load(folder.resolve())


def adopt(attempt: Attempt, ours: Attempts, competition: Competition, folds: str) -> list[Attempt]:
    """Copy an attempt, and before it the attempts that it stands on and that are not here yet.

    Returns:
        What was copied, parents first; the attempt itself last. Verdicts and crowns are not taken over.

    Raises:
        LedgerError: if it is of another competition or of other folds, is here already, or its parent is not found.
    """
    if attempt.folder.parent.resolve() == ours.folder.resolve():
        raise LedgerError(f"attempt {attempt.id} ({attempt.name}) is of this workspace", where=attempt.folder)
    _same_competition(attempt.folder.parents[1] / "competition.toml", competition)
    chain = [attempt]
    while chain[0].parent is not None and (chain[0] is attempt or _known(chain[0], ours) is None):
        chain.insert(0, _parent(chain[0]))
    for of in chain:
        same_metric(of, competition, attempt.folder.parents[1])
        if of.folds != folds:
            raise LedgerError(
                f"attempt {of.id} ({of.name}) was trained on other folds or samples",
                where=of.folder,
                expected="the folds.csv and exclude.csv of this workspace; otherwise scores cannot be compared",
                remedy="make both workspaces from the same data, or copy folds.csv before the first training",
            )
    twin = _known(attempt, ours)
    if twin is not None:
        raise LedgerError(f"that is attempt {twin.id} ({twin.name}): its recipe is the same in every setting")
    parent, copied = None, []
    for of in chain:
        known = _known(of, ours)
        if known is None:
            known = _copy(of, ours, parent)
            copied.append(known)
            say(f"  {of.folder.name} is attempt {known.id} here")
        parent = known
    return copied


def _same_competition(path: Path, competition: Competition) -> None:
    if not path.is_file():
        return  # a folder by itself: folds and samples are compared below
    theirs = Competition.load(path)
    for key in MUST_AGREE:
        if getattr(theirs, key) != getattr(competition, key):
            raise LedgerError(
                f"its {key} is {getattr(theirs, key)}, ours is {getattr(competition, key)}",
                where=path,
                expected="an attempt at the same competition",
            )


def _known(attempt: Attempt, ours: Attempts) -> Attempt | None:
    """Ours with the same recipe, folds and files."""
    return next(iter(ours.same(attempt.recipe, attempt.folds, attempt.code)), None)


def _parent(attempt: Attempt) -> Attempt:
    beside = [*attempt.folder.parent.glob(f"{attempt.parent:04d}-*")]
    if not beside:
        raise LedgerError(
            f"its parent, attempt {attempt.parent}, is not beside it",
            where=attempt.folder,
            expected="the parent's folder next to it: an attempt is judged against its parent",
        )
    return Attempt.load(beside[0])


def _copy(attempt: Attempt, ours: Attempts, parent: Attempt | None) -> Attempt:
    """Everything but what was concluded there: verdict, crown."""
    left = shutil.ignore_patterns("verdict.toml", CROWN, REPLICATES, "COMPLETE")
    target = ours.free_folder(attempt.name)
    with building(target) as folder:
        for entry in sorted(attempt.folder.iterdir()):
            if entry.is_dir() and not entry.is_symlink():
                shutil.copytree(entry, folder / entry.name, symlinks=False)
            elif entry.name not in left(str(attempt.folder), [entry.name]):
                shutil.copy2(entry, folder / entry.name)
        head = read_toml(folder / "change.toml")
        head.pop("parent", None)
        if parent is not None:
            head = {"parent": parent.id} | head
        head["adopted_from"] = str(attempt.folder)
        write_toml(folder / "change.toml", head)
    return Attempt.load(target)
