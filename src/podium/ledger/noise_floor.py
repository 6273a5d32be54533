"""The noise floor in words."""

from __future__ import annotations

from podium.errors import LedgerError
from podium.ledger.attempt import Attempt
from podium.ledger.decimals import digits
from podium.ledger.judge import Replicates
from podium.metrics import Metric


def told(attempt: Attempt, metric: Metric) -> str:
    """How far a score moves when nothing but the seed changes, as the attempt's second seeds show it."""
    try:
        found = Replicates.of(attempt, metric)
    except LedgerError as error:
        return f"noise floor: unknown, so every verdict is UNSURE: {error}"
    if found is None:
        return "noise floor: unknown (one seed a fold); without it every verdict is UNSURE. To measure: podium baseline"
    if found.noise_floor is None:
        return "noise floor: unknown; a fold with a single group does not tell luck from the group"
    floor = f"{found.noise_floor:.{digits(found.noise_floor, 0)}f}"
    return f"noise floor: a change smaller than ±{floor} cannot be told from a new seed on one fold"
