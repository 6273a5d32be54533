"""Kaggle, through its official client."""

from __future__ import annotations

import contextlib
import csv
import io
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from podium.boards.base import Known, Limits, Receipt, Standing, in_utc, number, status_of, unheard, valid_slug
from podium.boards.client import KaggleClient
from podium.boards.complaints import Passing, explained
from podium.errors import BoardError
from podium.files import require_space, size_text
from podium.progress import counted, duration, say

LARGEST_BOARD = 200 * 2**20
"""Bytes of an unpacked leaderboard; the largest of Kaggle's have some 10 MB."""
WAIT = timedelta(hours=12)
"""For a score: as long as a notebook may run."""


class KaggleBoard:
    """One competition of Kaggle.

    Args:
        slug: Its name in the address of its page.
        team: The name of one's team, to find it on the leaderboard.
        client: What runs the official client.
        sleep: Waits some seconds between looks at a submission.
    """

    def __init__(
        self,
        slug: str,
        team: str = "",
        client: KaggleClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.slug, self.team, self.sleep = valid_slug(slug, "board.slug"), team, sleep
        self._client = client

    @property
    def name(self) -> str:
        """`kaggle:SLUG`."""
        return f"kaggle:{self.slug}"

    @cached_property
    def client(self) -> KaggleClient:
        """The official client, looked for when it is needed."""
        return self._client or KaggleClient()

    # ------------------------------------------------------------------ data

    def files(self) -> list[tuple[str, int]]:
        """(name, bytes) of the competition's files."""
        rows, token = [], ""
        while True:
            paging = ["--page-size=200", *([f"--page-token={token}"] if token else [])]
            said = self.client.run("competitions", "files", self.slug, "--csv", *paging, slug=self.slug)
            lines = said.splitlines(keepends=True)
            notes = [line for line in lines[:3] if line.startswith("Next Page Token = ")]
            rows += list(csv.DictReader(line for line in lines if line not in notes and line.strip()))
            following = notes[0].partition("=")[2].strip() if notes else ""
            if following in ("", token):
                return [(row["name"], int(number(row.get("size")) or 0)) for row in rows if row.get("name")]
            token = following

    def fetch(self, folder: Path) -> list[Path]:
        """Download the bundle of all files into ``folder``; a download that broke off goes on where it was.

        Raises:
            BoardError: if the rules are not accepted, there is no such competition, or what came is no archive.
            StorageError: if it would not fit on the disk.
        """
        total = sum(size for _, size in self.files())
        folder.mkdir(parents=True, exist_ok=True)
        target = folder / f"{self.slug}.zip"
        require_space(folder, max(0, total // 2 - _size(target)))  # packed at most to half, or it is not told
        command = ("competitions", "download", self.slug, f"--path={folder}", "--quiet")
        self.client.run(*command, slug=self.slug, timeout=0, meanwhile=_Watch(target))
        if not target.is_file() or not zipfile.is_zipfile(target):
            odd = sorted(p.name for p in folder.rglob("*") if p.is_file())
            target.unlink(missing_ok=True)
            raise BoardError(
                f"what came is no archive ({', '.join(odd[:3]) or 'nothing'})",
                where=self.name,
                remedy=f"download it from its page, and give the folder: https://www.kaggle.com/competitions/{self.slug}/data",
            )
        say(f"  downloaded {target.name}: {size_text(_size(target))}")
        return [target]

    # ------------------------------------------------------------------ submissions

    def submit(
        self, file: Path, message: str, attempt: str = "", *, again: bool = False, known: Known = unheard
    ) -> Receipt:
        """Hand in a file and wait for its public score.

        What counts is that the submission is on the board afterwards: some versions of the client end well although
        nothing was submitted.
        """
        self._require_one_left()
        names_it = self.client.version >= (2, 2, 5)
        before = set() if names_it else {r.id for r in self.submissions()}
        note = message or attempt or file.name
        said = self.client.run(
            "competitions", "submit", self.slug, f"--file={file}", f"--message={note}", slug=self.slug, timeout=0
        )
        ref = next((int(w) for line in said.splitlines() if (w := _after(line, "Submission ref:")).isdecimal()), None)
        if ref:
            receipt: Receipt | None = Receipt(ref, datetime.now(UTC), "", note, "", "", None, None, 0, 0, "pending")
        else:
            receipt = None if names_it else self._new(before)
        if receipt is None:
            raise explained(said or "Could not submit to competition", self.slug)
        receipt = replace(receipt, attempt=attempt, file=file.name)
        known(receipt)
        say(f"  handed in as number {receipt.id}; waiting for its score")
        receipt = replace(self._scored(receipt, known), attempt=attempt, file=file.name)
        with contextlib.suppress(BoardError):  # the score is there: what is left today can be asked for again
            limits = self.limits()
            return replace(receipt, used_today=limits.today, daily_limit=limits.today + limits.left)
        return receipt

    def _require_one_left(self) -> None:
        """Refuse what would be sent in vain; where the client cannot tell, Kaggle itself will."""
        try:
            limits = self.limits()
        except Passing:
            return
        if limits.left <= 0 and limits.today:
            raise BoardError(
                f"no submission is left: {counted(limits.today, 'submission')} today (UTC)",
                where=self.name,
                remedy="Kaggle's day begins at 00:00 UTC; see its page if the competition is over",
            )

    def _new(self, before: set[int]) -> Receipt | None:
        for _ in range(6):  # a submission is not always listed at once
            found = [r for r in self._listed() if r.id not in before]
            if found:
                return found[-1]
            self.sleep(5)
        return None

    def _listed(self) -> list[Receipt]:
        """All submissions; none while Kaggle does not say."""
        with contextlib.suppress(Passing):
            return self.submissions()
        return []

    def _scored(self, receipt: Receipt, known: Known) -> Receipt:
        first, pause, end = receipt, 2.0, datetime.now(UTC) + WAIT
        while receipt.status == "pending" and datetime.now(UTC) < end:
            self.sleep(pause)
            pause = min(60.0, pause * 1.5)
            receipt = next((r for r in self._listed() if r.id == receipt.id), receipt)
        if receipt.status == "complete":
            return receipt
        if receipt.status == "pending":
            raise BoardError(
                f"submission {receipt.id} has no score after {duration(WAIT.total_seconds())}",
                where=self.name,
                remedy="look later: podium standings",
            )
        known(replace(first, status="error"))
        why = self._why(receipt.id)
        known(replace(first, status="error", error=why))
        raise BoardError(
            f"Kaggle could not score submission {receipt.id}: {why}",
            where=self.name,
            expected="a file like the sample submission",
            remedy="correct it; podium standings shows whether it was counted",
        )

    def _why(self, ref: int) -> str:
        if self.client.version < (2, 2, 5):
            return "its page says why"
        said = self.client.run("competitions", "submission", str(ref), slug=self.slug)
        return next((_after(line, "Error").strip(": ") for line in said.splitlines() if _after(line, "Error")), "?")

    def submissions(self, *, reveal: bool = False) -> list[Receipt]:
        """The newest 200 that this team has handed in, the oldest first."""
        rows = self.client.table("competitions", "submissions", self.slug, "--page-size=200", slug=self.slug)
        found = [_receipt(row, reveal) for row in rows if (row.get("ref") or "").isdecimal()]
        return sorted(found, key=lambda r: r.id)

    def limits(self) -> Limits:
        """How often one may still submit today."""
        said = self.client.run("competitions", "submission-limits", self.slug, slug=self.slug)
        figures = {name.strip().lower(): value for name, _, value in (li.partition(":") for li in said.splitlines())}
        today, total, left = (
            int(number((figures.get(k, "").split() or [""])[0]) or 0)
            for k in ("submissions today", "lifetime submissions", "remaining today")
        )
        return Limits(today, left, total)

    # ------------------------------------------------------------------ the leaderboard

    def standings(self) -> list[Standing]:
        """The whole public leaderboard.

        It comes as SLUG.zip, as the data does: it is kept apart, so that it replaces nothing.
        """
        with tempfile.TemporaryDirectory(prefix="podium-") as apart:
            command = ("competitions", "leaderboard", self.slug, "--download", f"--path={apart}", "--quiet")
            self.client.run(*command, slug=self.slug)
            rows = _rows_in(Path(apart) / f"{self.slug}.zip", self.name)
        me = self.team or self._user()
        found = []
        for n, row in enumerate(rows, 1):
            cells = {key.lower().replace("_", ""): value for key, value in row.items() if key}
            team, members = cells.get("teamname") or cells.get("team") or "", cells.get("teammemberusernames") or ""
            mine = bool(me) and (team == me or me in members.replace(";", ",").split(","))
            at = cells.get("lastsubmissiondate") or cells.get("submissiondate") or ""
            rank = None if cells.get("rank") == "" else int(number(cells.get("rank")) or n)
            found.append(Standing(rank, team, number(cells.get("score")), at, mine))
        return found

    def _user(self) -> str:
        said = self.client.run("config", "view", slug=self.slug)
        name = next((_after(line, "- username:").strip() for line in said.splitlines() if "username" in line), "")
        return "" if name == "None" else name

    def deadline(self) -> datetime | None:
        """When it closes, as the list of competitions says."""
        rows = self.client.table("competitions", "list", f"--search={self.slug}", slug=self.slug)
        for row in rows:
            if (row.get("ref") or "").rstrip("/").rpartition("/")[2] == self.slug:
                return in_utc(row.get("deadline") or "")
        return None


class _Watch:
    """Tells how much is there of a file that grows."""

    def __init__(self, file: Path, every: float = 15.0) -> None:
        self.file, self.every, self.last = file, every, time.monotonic()

    def __call__(self) -> None:
        if time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            say(f"  downloading {self.file.name}: {size_text(_size(self.file))}")


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


def _after(line: str, head: str) -> str:
    return line.removeprefix(head).strip() if line.startswith(head) else ""


def _receipt(row: dict[str, str], reveal: bool) -> Receipt:
    return Receipt(
        id=int(row["ref"]),
        at=in_utc(row.get("date") or "") or datetime.fromtimestamp(0, UTC),
        sha256="",
        message=row.get("description") or "",
        attempt="",
        file=row.get("fileName") or "",
        public=number(row.get("publicScore")),
        private=number(row.get("privateScore")) if reveal else None,
        used_today=0,
        daily_limit=0,
        status=status_of(row.get("status") or ""),
    )


def _rows_in(archive: Path, name: str) -> list[dict[str, str]]:
    """The table in a leaderboard's archive, read without unpacking it."""
    try:
        with zipfile.ZipFile(archive) as z:
            inside = next((i for i in z.infolist() if i.filename.lower().endswith(".csv")), None)
            if inside is None or inside.file_size > LARGEST_BOARD:
                raise BoardError("the leaderboard's archive has no table in it", where=name)
            text = z.read(inside).decode("utf-8-sig", errors="replace")
    except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise BoardError(f"the leaderboard cannot be read ({error})", where=name, remedy="try again later") from None
    return list(csv.DictReader(io.StringIO(text)))
