"""What climbing needs of a ledger: small enough for a test to stand in for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from podium.climb.claim import Claim


class Ledger(Protocol):
    """A ledger with a baseline; attempts have what `podium.ledger.attempts.Attempt` has: id, name, recipe, verdict."""

    @property
    def k(self) -> int:
        """Number of folds."""

    def champion(self) -> Any:
        """The attempt that stands."""

    def attempts(self) -> Sequence[Any]:
        """Every attempt, by number."""

    def attempt(self, name: str, settings: Sequence[str], *, why: str, link: str, careful: bool, seeds: int) -> Any:
        """Race a change of the champion to its verdict; on YES every fold is trained, and it is the champion.

        Args:
            seeds: Most trainings of one fold: it may take so many times K fold runs.
        """

    def resume(self, id: int, *, careful: bool, seeds: int) -> Any:
        """Go on with an attempt that was stopped, or, ``careful``, with one that has got a NO or an UNSURE."""

    def missing(self, id: int) -> int:
        """Folds that an attempt is not trained on; none if it only predicts in another way."""

    def complete(self, id: int) -> Any:
        """Train an attempt that got a NO or an UNSURE on the folds it lacks, and judge it again, in careful mode."""

    def fold_runs(self, id: int | None = None) -> int:
        """Trainings so far, of one attempt or of all; what only predicts in another way trains nothing."""

    def seconds(self, id: int | None = None) -> float:
        """The time of these."""

    def fresh(self, first: int, second: int, folds: int, seed: int) -> Claim:
        """Train two attempts anew on some folds with a seed that neither has been judged by, and compare them.

        Runs that are there already are not trained again.
        """
