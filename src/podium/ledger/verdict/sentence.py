"""The one line that a user reads of a verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from podium.ledger.decimals import digits, two_digits

if TYPE_CHECKING:
    from podium.ledger.verdict.decide import Decision

UNKNOWN = (
    "the noise floor is unknown: how far the score moves when nothing but the seed changes has not been measured yet"
)


def sentence(d: Decision) -> str:
    """The verdict, after how much training, the gain, why, and what comes next."""
    if d.reason == "no fold":
        return f"UNSURE: nothing to compare yet.{_next(d)}"
    tell = {"YES": _yes, "NO": _no, "UNSURE": _unsure}[d.verdict]
    direction = "" if d.greater_is_better else " (lower is better; + is a gain)"
    return f"{d.verdict} after {_effort(d)}: {_signed(d.gain, d)}{tell(d, direction)}"


def in_words(d: Decision, needed: float, worth: float) -> str:
    """What the sentence's numbers mean, for somebody who has never heard of e-values; nothing where it says it all.

    Args:
        needed: Evidence at which it is a YES.
        worth: Noise floors that are a gain worth having.
    """
    if not math.isfinite(d.se) or d.se == 0:
        return ""
    moves = "training anew moves this gain" if d.shared else "a new seed alone moves a fold"
    floor = f"{moves} by about {two_digits(d.noise_floor)} (the noise floor)"
    likely = f"the scores are {_times(d.evidence)} as likely if it helps as if it does nothing"
    if d.verdict == "YES":
        return f"in words: {likely}; {floor}; expect {_signed(d.shrunk, d)}: part of the gain it was picked for is luck"
    if d.verdict == "UNSURE":
        return f"in words: {likely}; {needed:.0f} times is a YES"
    if d.reason == "too small to matter":
        less = "; it may help, but probably by less" if d.gain > 0 else ""
        return f"in words: {floor}; a gain worth having is {worth:g} times that{less}"
    return ""


def _times(evidence: float) -> str:
    if evidence >= 1000:
        return "over 1000 times"
    return f"{evidence:.0f} times" if evidence >= 9.95 else f"{evidence:.1f} times"


def _yes(d: Decision, direction: str) -> str:
    floors = f", {d.gain / d.noise_floor:.1f} noise floors" if d.noise_floor > 0 else ""
    odds = f"{d.evidence:.0f}:1" if d.evidence < 1000 else "over 1000:1"
    then = f"Next: {_folds(d.remaining)}, then champion." if d.remaining else "Every fold is trained."
    return f" (shrunk {_signed(d.shrunk, d)}){floors}, evidence {odds}{direction}. {then}"


def _no(d: Decision, direction: str) -> str:
    if d.reason == "worse":
        return f"{direction}; it is worse."
    if d.se == 0 and d.gain == 0:
        return "; it changes nothing."
    if d.reason == "could be luck":
        return f" ± {_plain(d.se, d)}{direction}; every fold is trained and this could be luck."
    return f"{direction}; a gain worth having ({_plain(d.worth, d)} or more) is unlikely."


def _unsure(d: Decision, direction: str) -> str:
    if d.reason == "noise floor unknown":
        return f"{direction}; {UNKNOWN}.{_next(d)}"
    if d.reason == "too few trainings":
        return f"{direction}; so few trainings do not tell how far such a gain differs from one to the next."
    if d.reason == "one group a fold":
        return f"{direction}; with one group a fold, one fold does not tell whether other groups gain too.{_next(d)}"
    more = _next(d) or " Nothing is left to train and it is too close to call: the parent stays."
    return f" ± {_plain(d.se, d)}{direction}.{more}"


def _next(d: Decision) -> str:
    if d.next is None:
        return ""
    return f" Next: fold {d.next.fold}" + (f" again, with seed {d.next.seed}." if d.next.seed else ".")


def _effort(d: Decision) -> str:
    folds = f"{d.folds} fold" + "s" * (d.folds != 1)
    return folds if d.fold_runs == d.folds else f"{folds} ({d.fold_runs} fold runs)"


def _folds(folds: Sequence[int]) -> str:
    names = [str(f) for f in sorted(folds)]
    return "fold " + names[0] if len(names) == 1 else f"folds {', '.join(names[:-1])} and {names[-1]}"


def _signed(value: float, d: Decision) -> str:
    decimals = digits(d.noise_floor, d.gain)
    if value and not round(value, decimals):  # one digit more rather than a bare zero
        decimals += 1
    rounded = round(value, decimals)
    return f"{rounded:+.{decimals}f}" if rounded else f"{0:.{decimals}f}"


def _plain(value: float, d: Decision) -> str:
    return f"{value:.{digits(d.noise_floor, d.gain)}f}"
