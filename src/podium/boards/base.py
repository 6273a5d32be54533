"""What a board is to podium: data comes from it, submissions go to it, and it ranks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Protocol

from podium.errors import ConfigError

Status = Literal["complete", "pending", "error"]

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,98}[a-z0-9])?", re.IGNORECASE)
"""How a competition is spelled in an address."""


@dataclass(frozen=True)
class Receipt:
    """What a board says of a submission.

    Attributes:
        id: The board's number of it.
        at: When it was submitted, in UTC.
        sha256: Of the file's bytes; "" where the board does not tell.
        message: The submitter's note.
        attempt: The attempt behind it, or "".
        file: The name of the file.
        public: Public score; None while there is none.
        private: Private score; None while it is hidden.
        used_today: Submissions of that UTC day so far, this one included; 0 where the board does not tell.
        daily_limit: Submissions a day; 0 where the board does not tell.
        status: Whether it is scored.
        error: Why it could not be scored.
    """

    id: int
    at: datetime
    sha256: str
    message: str
    attempt: str
    file: str
    public: float | None
    private: float | None
    used_today: int
    daily_limit: int
    status: Status = "complete"
    error: str = ""


Known = Callable[[Receipt], None]


def unheard(receipt: Receipt) -> None:
    """Keeps nothing of a receipt."""


@dataclass(frozen=True)
class Limits:
    """How often one may still submit.

    Attributes:
        today: Submissions of this UTC day.
        left: How many are left of it.
        total: Of all days.
    """

    today: int
    left: int
    total: int


@dataclass(frozen=True)
class Standing:
    """One team's line of a leaderboard.

    Attributes:
        rank: From 1; None for what has a score and no place, as an organiser's baseline.
        score: What the board shows of it.
        mine: Whether it is ours, as far as can be told.
    """

    rank: int | None
    team: str
    score: float | None
    at: str = ""
    mine: bool = False


class Board(Protocol):
    """Where submissions go."""

    @property
    def name(self) -> str:
        """`local`, `kaggle:SLUG`, or `host:URL/SLUG`."""

    def fetch(self, folder: Path) -> list[Path]:
        """Download the competition's files into ``folder``; what is there already is not downloaded again."""

    def submit(
        self, file: Path, message: str, attempt: str = "", *, again: bool = False, known: Known = unheard
    ) -> Receipt:
        """Hand in a file and wait for its public score.

        Args:
            known: Told what the board says as soon as the submission has a number, before the wait for its score:
                whatever ends the wait, that it was handed in is not forgotten. Told again if it cannot be scored.

        Raises:
            BoardError: if the board does not take it, or cannot score it.
        """

    def submissions(self, *, reveal: bool = False) -> list[Receipt]:
        """All that this team has handed in, the oldest first.

        Args:
            reveal: With private scores, where the board shows them.
        """

    def limits(self) -> Limits:
        """How often one may still submit."""

    def standings(self) -> list[Standing]:
        """The leaderboard, the best first."""

    def deadline(self) -> datetime | None:
        """When it closes, in UTC; None where that is not told."""


def valid_slug(text: str, where: str) -> str:
    """The competition of an address, checked.

    Raises:
        ConfigError: if it cannot be one.
    """
    if not SLUG.fullmatch(text):
        raise ConfigError(
            f"'{text}' cannot name a competition",
            where=where,
            expected="its name in the address of its page: letters, digits and -, such as carvana-image-masking",
        )
    return text


def in_utc(text: str) -> datetime | None:
    """A board's time, with or without fraction and zone (then it is UTC); None if it is none."""
    try:
        at = datetime.fromisoformat(text.strip().replace(" ", "T", 1))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def number(text: object) -> float | None:
    """A score as boards write it, a string; None where there is none."""
    try:
        return float(str(text))
    except ValueError:
        return None


def status_of(text: str) -> Status:
    """`SubmissionStatus.COMPLETE`, `complete` and their like."""
    word = text.rpartition(".")[2].lower()
    return "complete" if word == "complete" else "error" if word == "error" else "pending"
