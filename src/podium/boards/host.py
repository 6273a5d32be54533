"""A podium host, or any server that answers the calls of Kaggle's competition service, over HTTP."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from podium.boards.base import Known, Limits, Receipt, Standing, in_utc, number, status_of, unheard, valid_slug
from podium.boards.rpc import Rpc, RpcError
from podium.boards.tokens import token_of
from podium.errors import BoardError
from podium.files import size_text
from podium.progress import say

WAIT = timedelta(hours=2)
MOST_PAGES = 10_000


class HostBoard:
    """One competition of a host.

    Args:
        url: The host's address.
        slug: The competition's name there.
        team: The name of one's team, to find it on the leaderboard.
        sleep: Waits some seconds between looks at a submission.
    """

    def __init__(self, url: str, slug: str, team: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        self.url, self.slug, self.team, self.sleep = url.rstrip("/"), valid_slug(slug, "board.slug"), team, sleep

    @property
    def name(self) -> str:
        """`host:URL/SLUG`."""
        return f"host:{self.url}/{self.slug}"

    @cached_property
    def rpc(self) -> Rpc:
        """The calls, with the token of this host."""
        return Rpc(self.url, token_of(self.url))

    def _call(self, method: str, **body: Any) -> dict[str, Any]:
        return self.rpc.call(method, competitionName=self.slug, **body)

    def _pages(self, method: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        for _ in range(MOST_PAGES):
            answer = self._call(method, pageToken=token, pageSize=200)
            found += [row for row in answer.get(key) or [] if isinstance(row, dict)]
            following = str(answer.get("nextPageToken") or "")
            if following in ("", token):
                break
            token = following
        return found

    def files(self) -> list[tuple[str, int]]:
        """(name, bytes) of the competition's files."""
        rows = self._pages("ListDataFiles", "files")
        return [(str(row["name"]), int(row.get("totalBytes") or 0)) for row in rows if row.get("name")]

    def fetch(self, folder: Path) -> list[Path]:
        """Download the bundle of all files into ``folder``; a download that broke off goes on where it was."""
        target = folder / f"{self.slug}.zip"
        if not target.exists():
            folder.mkdir(parents=True, exist_ok=True)
            self.rpc.download("DownloadDataFiles", {"competitionName": self.slug}, target)
            say(f"  downloaded {target.name}: {size_text(target.stat().st_size)}")
        return [target]

    def submit(
        self, file: Path, message: str, attempt: str = "", *, again: bool = False, known: Known = unheard
    ) -> Receipt:
        """Hand in a file and wait for its public score; what is not allowed now the host refuses before it is sent."""
        facts = file.stat()
        begun = self._call(
            "StartSubmissionUpload",
            contentLength=facts.st_size,
            lastModifiedEpochSeconds=int(facts.st_mtime),
            fileName=file.name,
        )
        try:
            url, token = str(begun["createUrl"]), begun["token"]
        except KeyError as error:
            raise BoardError(f"the host's answer has no {error}", where=self.name) from None
        self.rpc.upload(url, file)
        done = self._call("CreateSubmission", blobFileTokens=token, submissionDescription=message or attempt)
        number_ = int(done.get("ref") or 0) or max((r.id for r in self.submissions()), default=0)
        pending = Receipt(
            number_, datetime.now(UTC), "", message or attempt, attempt, file.name, None, None, 0, 0, "pending"
        )
        known(pending)
        receipt = replace(self._scored(pending, known), attempt=attempt, file=file.name)
        with contextlib.suppress(BoardError):  # the score is there: what is left today can be asked for again
            limits = self.limits()
            return replace(receipt, used_today=limits.today, daily_limit=limits.today + limits.left)
        return receipt

    def _scored(self, pending: Receipt, known: Known) -> Receipt:
        ref, pause, end = pending.id, 0.2, datetime.now(UTC) + WAIT
        while datetime.now(UTC) < end:
            row = self._row(ref)
            status = status_of(str(row.get("status") or ""))
            if status == "complete":
                return _receipt(row, reveal=False)
            if status == "error":
                why = str(row.get("errorDescription") or "it does not say why")
                known(replace(pending, status="error", error=why))
                raise BoardError(
                    f"the host could not score submission {ref}: {why}",
                    where=self.name,
                    remedy="correct the file; what cannot be scored is not counted by a podium host",
                )
            self.sleep(pause)
            pause = min(30.0, pause * 1.5)
        raise BoardError(f"submission {ref} has no score yet", where=self.name, remedy="look later: podium standings")

    def _row(self, ref: int) -> dict[str, Any]:
        try:
            return self.rpc.call("GetSubmission", ref=ref)
        except RpcError as error:
            if error.status not in (0, 404, 429) and error.status < 500:
                raise
            return {}  # not to be read yet, or the host starts anew, or is asked too often

    def submissions(self, *, reveal: bool = False) -> list[Receipt]:
        """All that this team has handed in, the oldest first."""
        rows = [row for row in self._pages("ListSubmissions", "submissions") if row.get("ref")]
        return sorted((_receipt(row, reveal) for row in rows), key=lambda r: r.id)

    def limits(self) -> Limits:
        """How often one may still submit today."""
        told = self._call("GetSubmissionLimits")
        return Limits(*(int(told.get(key) or 0) for key in ("numToday", "numAllowedNow", "numTotal")))

    def standings(self) -> list[Standing]:
        """The whole leaderboard."""
        me = self.team or self.rpc.who()
        return [
            Standing(
                _rank(row, n),
                str(row.get("teamName") or ""),
                number(row.get("score")),
                str(row.get("submissionDate") or ""),
                bool(me) and row.get("teamName") == me,
            )
            for n, row in enumerate(self._pages("GetLeaderboard", "submissions"), 1)
        ]

    def facts(self) -> dict[str, Any]:
        """What the host says of the competition: deadline, daily limit, metric; {} if it does not list it."""
        rows = self.rpc.call("ListCompetitions", search=self.slug, page=1).get("competitions") or []
        named = (r for r in rows if str(r.get("ref") or "").rstrip("/").rpartition("/")[2] == self.slug)
        return next(named, {})

    def spec(self) -> str:
        """`competition.toml` of a podium host: what the files are, metric, submission format; "" of another server."""
        try:
            return self.rpc.get(f"/api/competitions/{self.slug}/spec")
        except RpcError as error:
            if error.status not in (404, 405, 501):
                raise
            return ""

    def deadline(self) -> datetime | None:
        """When it closes, as the list of competitions says."""
        return in_utc(str(self.facts().get("deadline") or ""))


def _rank(row: dict[str, Any], n: int) -> int | None:
    """The place of the n-th line; a podium host tells it, for baselines have none."""
    rank = row.get("rank", n)
    return rank if isinstance(rank, int) else None


def _receipt(row: dict[str, Any], reveal: bool) -> Receipt:
    return Receipt(
        id=int(row["ref"]),
        at=in_utc(str(row.get("date") or "")) or datetime.fromtimestamp(0, UTC),
        sha256="",
        message=str(row.get("description") or ""),
        attempt="",
        file=str(row.get("fileName") or ""),
        public=number(row.get("publicScore")),
        private=number(row.get("privateScore")) if reveal else None,
        used_today=0,
        daily_limit=0,
        status=status_of(str(row.get("status") or "")),
        error=str(row.get("errorDescription") or ""),
    )
