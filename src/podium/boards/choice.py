"""The board that a competition names, and addresses such as `kaggle:SLUG`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from podium.boards.base import Board, in_utc, valid_slug
from podium.boards.host import HostBoard
from podium.boards.kaggle import KaggleBoard
from podium.boards.local import Local
from podium.data.competition import Competition
from podium.errors import BoardError, ConfigError
from podium.host.board import LocalBoard
from podium.host.grading import Classes
from podium.metrics import Metric


def open_board(competition: Competition, root: Path, metric: Metric) -> Board:
    """The board of a workspace.

    Args:
        root: The workspace's folder; a local board is in its `board/`.

    Raises:
        BoardError: if the competition names none.
    """
    given = competition.board
    if given.kind == "kaggle":
        return KaggleBoard(given.slug, given.team)
    if given.kind == "host":
        return HostBoard(given.url, given.slug, given.team)
    if given.kind == "none":
        raise BoardError(
            "this competition has no board",
            where=root / "competition.toml",
            remedy='hand in the file in submissions/ yourself; or name it: board.kind = "kaggle" and board.slug; '
            "or make the workspace with --hold-out or --solution",
        )
    local = LocalBoard(
        root / "board", competition.submission, metric, given.daily_limit, classes=Classes.of(competition)
    )
    return Local(local, closing(competition))


def closing(competition: Competition) -> datetime | None:
    """When the competition says it closes, in UTC."""
    return in_utc(competition.board.deadline) if competition.board.deadline else None


def board_at(address: str) -> tuple[Board, dict[str, str]] | None:
    """The board of `kaggle:SLUG` or `host:URL/SLUG`, with the keys of [board] that name it; None for a path.

    Raises:
        ConfigError: if it is such an address, misspelt.
    """
    kind, _, rest = address.partition(":")
    if kind == "kaggle":
        slug = valid_slug(rest.rstrip("/").rpartition("/")[2] if "//" in rest else rest, "--from kaggle:SLUG")
        return KaggleBoard(slug), {"kind": "kaggle", "slug": slug}
    if kind == "host":
        url, _, slug = rest.rstrip("/").rpartition("/")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise ConfigError(
                f"'{address}' is no address", where="--from", expected="host:https://board.example.org/SLUG"
            )
        valid_slug(slug, "--from host:URL/SLUG")
        return HostBoard(url, slug), {"kind": "host", "url": url, "slug": slug}
    return None
