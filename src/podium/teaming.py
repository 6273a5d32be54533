"""Teams: attempts go out in one checked file, and a teammate's come in."""

from __future__ import annotations

import getpass
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from podium.config import read_toml, write_toml
from podium.data.competition import Competition
from podium.data.samples import list_samples
from podium.errors import LedgerError
from podium.files import building
from podium.ledger.adopt import MUST_AGREE
from podium.ledger.attempt import CODE, Attempt
from podium.ledger.attempts import Attempts
from podium.ledger.share import Share, data_digest, pack
from podium.ledger.share_record import Finding, Tried, finding_of, pooled_changes, read_findings, write_findings
from podium.ledger.submissions import ARCHIVE, TABLE, Submissions
from podium.progress import counted, say
from podium.racing import Racing

NAME = "PODIUM_NAME"
"""The variable that says who one is to teammates."""


@dataclass(frozen=True)
class Adopted:
    """What came of an archive.

    Attributes:
        who: Whose it is.
        attempts: The shared attempts as they are here.
        known: How many of them were here already.
        record: The file that keeps their verdicts.
    """

    who: str
    attempts: tuple[Attempt, ...]
    known: int
    record: Path


@dataclass(frozen=True)
class Teaming:
    """What shares and adopts in one workspace."""

    root: Path
    competition: Competition
    attempts: Attempts
    submissions: Submissions
    racing: Racing

    def share(
        self,
        references: Sequence[str | int],
        target: Path | None,
        *,
        who: str = "",
        oof: bool = False,
        predictions: bool = False,
        code: bool = False,
    ) -> tuple[Path, int, list[Attempt]]:
        """Pack attempts; (archive, files, attempts in it)."""
        heads = list({a.id: a for a in map(self.attempts.get, references)}.values())
        chain = {a.id: a for head in heads for a in self._chain(head)}
        untrained = [a for a in heads if not a.runs]
        if untrained:
            one = untrained[0]
            raise LedgerError(f"attempt {one.id} ({one.name}) has no trained fold", remedy=f"podium resume {one.id}")
        name = f"{self.competition.name}-{'-'.join(str(a.id) for a in heads)}-{_plain(me(who))}.zip"
        path = target or self.root / name
        beside = {"competition.toml": self.root / "competition.toml", "folds.csv": self.root / "folds.csv"}
        beside |= self._predictions(heads) if predictions else {}
        c = self.competition
        data = data_digest(list_samples(c, self.root / "data").train)
        facts = {"competition": c.name, "task": c.task, "metric": c.metric, "data": data}
        made_of = sorted(chain.values(), key=lambda a: a.id)
        count = pack(path, heads, made_of, who=me(who), facts=facts, beside=beside, oof=oof, code=code)
        return path, count, made_of

    def _chain(self, attempt: Attempt) -> list[Attempt]:
        """An attempt and what it stands on."""
        chain = [attempt]
        while chain[-1].parent is not None:
            chain.append(self.attempts.get(chain[-1].parent))
        return chain

    def _predictions(self, heads: Sequence[Attempt]) -> dict[str, Path]:
        """The newest prediction of each attempt that has one."""
        found: dict[str, Path] = {}
        for folder in self.submissions.all():
            facts = read_toml(folder / "prediction.toml") if (folder / "prediction.toml").is_file() else {}
            for head in heads:
                if facts.get("attempt") == head.id and facts.get("name") == head.name:
                    files = [folder / n for n in ("prediction.toml", TABLE, ARCHIVE) if (folder / n).is_file()]
                    found |= {f"predictions/{head.folder.name}/{f.name}": f for f in files}
        return found

    def adopt(self, archive: Path) -> Adopted:
        """Check a teammate's archive, copy its attempts, judge them here, and keep their verdicts for pooling.

        Raises:
            LedgerError: if it is damaged, or of another competition, other data or other folds.
        """
        (self.root / ".podium").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="adopting-", dir=self.root / ".podium") as aside:
            share = Share.open(archive, Path(aside) / "share")
            self._require_same(share, archive)
            theirs = [share.attempt(p.name) for p in sorted((share.folder / "attempts").iterdir())]
            findings = [f for f in (finding_of(a, share.who) for a in theirs) if f]
            taken, known = [], 0
            for name in share.heads:
                here, was_here = self._take(share.attempt(name), share)
                known += was_here
                taken.append(here)
            record = write_findings(self.root, share.who, share.made, findings)
        return Adopted(share.who, tuple(taken), known, record)

    def _take(self, theirs: Attempt, share: Share) -> tuple[Attempt, bool]:
        same = self.attempts.same(theirs.recipe, theirs.folds, theirs.code)
        if same:
            say(f"  {theirs.folder.name} of {share.who} is attempt {same[0].id} ({same[0].name}) here")
            return same[0], True
        here = self.racing.adopt(theirs.folder)
        _note(here, share)
        if theirs.code:
            there = (here.folder / CODE).is_dir()
            told = f"read {here.folder / CODE} before you train it" if there else "it was shared without (--code)"
            say(f"  attempt {here.id} uses Python files of {share.who}'s: {told}")
        self._take_predictions(share, theirs, here)
        return here, False

    def _take_predictions(self, share: Share, theirs: Attempt, here: Attempt) -> None:
        given = share.folder / "predictions" / theirs.folder.name
        if not (given / "prediction.toml").is_file():
            return
        with building(self.submissions.next(here.name)) as folder:
            for path in given.iterdir():
                if path.name in (TABLE, ARCHIVE):
                    shutil.copyfile(path, folder / path.name)
            facts = read_toml(given / "prediction.toml")
            write_toml(folder / "prediction.toml", facts | {"attempt": here.id, "name": here.name, "by": share.who})

    def _require_same(self, share: Share, archive: Path) -> None:
        """The same competition, data and folds, each compared by content."""
        theirs = Competition.load(share.folder / "competition.toml")
        for key in MUST_AGREE:
            if getattr(theirs, key) != getattr(self.competition, key):
                raise LedgerError(
                    f"its {key} is {getattr(theirs, key)}, ours is {getattr(self.competition, key)}",
                    where=archive,
                    expected="attempts at the same competition",
                )
        if share.data != data_digest(list_samples(self.competition, self.root / "data").train):
            raise LedgerError(
                "it was trained on other files than ours: their names, sizes or content differ",
                where=archive,
                expected="the same training data, as downloaded",
                remedy="compare both data folders; podium look lists what is in each",
            )
        moved, of = _moved(share.folder / "folds.csv", self.root / "folds.csv")
        if moved:
            raise LedgerError(
                f"its folds are not ours: {moved} of {counted(of, 'sample')} lie in another fold",
                where=archive,
                expected="the same folds.csv; otherwise scores cannot be compared",
                remedy="agree on one folds.csv before the first training: it is in the archive",
            )

    def team(self, who: str = "") -> list[Tried]:
        """Every change that somebody in the team has a verdict on, with what all say of it."""
        ours = [f for f in (finding_of(a, me(who)) for a in self.attempts.all() if not _is_theirs(a)) if f]
        return pooled_changes([*ours, *self._of_others(me(who))])

    def _of_others(self, name: str) -> list[Finding]:
        return [f for f in read_findings(self.root) if f.opinion.who != name]


def me(who: str = "") -> str:
    """Who one is to teammates: as given, or the variable PODIUM_NAME, or the user's name."""
    return who or os.environ.get(NAME, "") or getpass.getuser()


def _is_theirs(attempt: Attempt) -> bool:
    """Whether it was adopted: its verdict counts where it was reached."""
    return "adopted_from" in read_toml(attempt.folder / "change.toml")


def _note(here: Attempt, share: Share) -> None:
    """Say whose it is, in the place of the folder that it was unpacked to."""
    path = here.folder / "change.toml"
    write_toml(path, read_toml(path) | {"adopted_from": f"{share.who}, {share.made}"})


def _moved(theirs: Path, ours: Path) -> tuple[int, int]:
    """(samples in another fold, samples); samples that one side has not count as moved."""
    if not ours.is_file() or not theirs.is_file():
        return 0, 0
    a, b = (pl.read_csv(p, infer_schema=False).select("id", "fold") for p in (theirs, ours))
    both = a.join(b, on="id", how="full", coalesce=True)
    different = both.filter(pl.col("fold").ne_missing(pl.col("fold_right")))
    return different.height, both.height


def _plain(text: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in text.lower()).strip("-") or "me"
