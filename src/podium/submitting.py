"""Handing in: a file is found, checked, compared with validation, sent, and its receipt kept."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from podium.boards.base import Board, Receipt
from podium.boards.local import Local
from podium.config import read_toml
from podium.data.competition import Competition
from podium.data.samples import Sample, list_samples, wanted_ids
from podium.data.targets import class_order
from podium.errors import BoardError, LedgerError, PodiumError, SubmissionError
from podium.files import building
from podium.formats.images import image_size
from podium.formats.mask_archive import inspect_archive
from podium.formats.preflight import Problem, inspect, refuse
from podium.host.truth import mask_numbers
from podium.ledger.attempts import Attempts
from podium.ledger.likeness import Tally, Unlike, unlike, validation_figures
from podium.ledger.receipts import Kept, content_hash, receipts, twin
from podium.ledger.submissions import Submissions, file_in
from podium.metrics import Metric
from podium.progress import say

SIZES_LOOKED_AT = 2000
"""Training images whose size is read, for the mean."""


@dataclass(frozen=True)
class Candidate:
    """A file that is to be handed in.

    Attributes:
        folder: Of the prediction; None for a file from elsewhere.
        name: The attempt's folder name, or that of a blend; "" for a file from elsewhere.
        attempts: What it is made of.
    """

    file: Path
    folder: Path | None = None
    name: str = ""
    attempts: tuple[int, ...] = ()
    cv: float | None = None


@dataclass(frozen=True)
class Submitting:
    """What hands in files of one workspace."""

    root: Path
    competition: Competition
    metric: Metric
    attempts: Attempts
    submissions: Submissions
    board: Board

    def submit(self, message: str, file: str | Path | None, *, again: bool) -> Receipt:
        """Check a file, hand it in, keep the receipt; see `Workspace.submit`."""
        found = self.find(file)
        content, known = content_hash(found.file), receipts(self.submissions)
        same = twin(known, content, self.board.name)
        if same and not again:
            raise _submitted_before(same, found.file)
        if isinstance(self.board, Local):
            receipt = self._graded_here(self.board, found, message, again=again)
            self._keep(found, receipt, content)
            return receipt
        self.check(found)
        return self._sent(found, message, content, again=again)

    def _sent(self, found: Candidate, message: str, content: str, *, again: bool) -> Receipt:
        """Hand in far away; what the board says is kept from the moment that it has taken the file."""
        sha256, kept = _sha256(found.file), found

        def keep(said: Receipt) -> Receipt:
            nonlocal kept
            receipt = said if said.sha256 else replace(said, sha256=sha256)
            kept = self._keep(kept, receipt, content)
            return receipt

        def known(said: Receipt) -> None:
            keep(said)

        return keep(self.board.submit(found.file, message, found.name, again=again, known=known))

    def _graded_here(self, board: Local, found: Candidate, message: str, *, again: bool) -> Receipt:
        """The local board reads the file once: to check it, to score it, and to see what is unlike validation."""
        tally = Tally(self.competition.submission, board.board.solution.shapes)
        receipt = board.submit(found.file, message, found.name, again=again, seen=tally)
        self._unlike(tally, found, list_samples(self.competition, self.root / "data").train)
        return receipt

    def find(self, file: str | Path | None) -> Candidate:
        """The file that is meant: any file; or a prediction by number or name; the newest if none is named.

        Raises:
            BoardError: if there is none.
        """
        if file is not None and Path(file).is_file():
            return Candidate(Path(file))
        if file is not None and (Path(file).suffix or len(Path(file).parts) > 1):
            raise BoardError("no such file", where=file, remedy="check the path; or submit a prediction: podium submit")
        folder = self.submissions.get(None if file is None else str(file))
        facts = read_toml(folder / "prediction.toml") if (folder / "prediction.toml").is_file() else {}
        one = facts.get("attempt")
        made_of = [int(a) for a in facts.get("attempts", [] if one is None else [one])]
        own = str(facts.get("name", ""))
        name = f"{made_of[0]:04d}-{own}" if one is not None and len(made_of) == 1 else own
        given = next((p for p in folder.iterdir() if p.name == facts.get("file")), file_in(folder))
        return Candidate(given, folder, name, tuple(made_of), facts.get("cv"))

    def check(self, found: Candidate) -> list[Unlike]:
        """Refuse what a board far away would refuse, and tell what is unlike validation.

        Raises:
            SubmissionError: listing what is not in order.
        """
        samples = list_samples(self.competition, self.root / "data")
        if not samples.test:
            say("  not checked against the test set: this workspace has no test images")
            return []
        ids, fmt = wanted_ids(self.competition, self.root / "data", samples.test), self.competition.submission
        masks = self.competition.task in ("segmentation", "instances")
        shapes = {s.id: image_size(s.image) for s in samples.test} if masks else {}
        tally = Tally(fmt, shapes)
        refuse(found.file, self._problems(found.file, ids, shapes, tally))
        return self._unlike(tally, found, samples.train)

    def _unlike(self, tally: Tally, found: Candidate, train: list[Sample]) -> list[Unlike]:
        """Tell what is unlike validation."""
        unlikes = unlike(dict(tally.figures), self._validation(found, train))
        for one in unlikes:
            say(f"  warning: {one}")
        return unlikes

    def _problems(self, file: Path, ids: list[str], shapes: dict[str, tuple[int, int]], tally: Tally) -> list[Problem]:
        if self.competition.submission.format == "png":
            numbers = mask_numbers(self.competition)
            allowed = (0, *numbers) if len(numbers) == 1 else numbers
            return inspect_archive(file, self.competition.submission, ids, shapes, allowed, lambda id, mask: None)
        return inspect(file, self.competition.submission, ids, shapes, tally)

    def _validation(self, found: Candidate, train: list[Sample]) -> dict[str, list[float]]:
        """Figures of the out-of-fold predictions of the attempt behind a file, or of the champion."""
        try:
            attempt = self.attempts.get(found.attempts[0]) if found.attempts else self.attempts.champion()
            table = attempt.out_of_fold()
            step = max(1, len(train) // SIZES_LOOKED_AT)
            sizes = [image_size(s.image) for s in train[::step]] if self.metric.kind == "overlap" else [(1, 1)]
            pixels = sum(h * w for h, w in sizes) / len(sizes)
            names = class_order(self.competition)
            return validation_figures(table, self.metric, self.competition.submission, pixels, names)
        except LedgerError:
            return {}  # nothing is trained here, or its files are damaged: nothing to compare with
        except PodiumError as error:
            say(f"  not compared with validation: {str(error).splitlines()[0]}")
            return {}

    def _keep(self, found: Candidate, receipt: Receipt, content: str) -> Candidate:
        """Write the receipt; of a file from elsewhere with a copy, in a folder that the returned candidate has."""

        def kept(folder: Path) -> Kept:
            return Kept(receipt, folder, self.board.name, content, found.attempts, found.cv)

        if found.folder is not None:
            kept(found.folder).write()
            return found
        target = self.submissions.next(_plain(found.file))
        with building(target) as folder:
            shutil.copyfile(found.file, folder / found.file.name)
            kept(folder).write()
        return replace(found, folder=target)


def _submitted_before(same: Kept, file: Path) -> BoardError:
    receipt = same.receipt
    note = f' "{receipt.message}"' if receipt.message else ""
    score = "no score yet" if receipt.public is None else f"public score {receipt.public:.5f}"
    when = f"{receipt.at:%Y-%m-%d %H:%M} UTC"
    return BoardError(
        f"this very file was submitted before, as number {receipt.id}{note} on {when}; {score}",
        where=file.name,
        remedy="nothing was used of the quota; to submit it all the same: --again",
    )


def _plain(file: Path) -> str:
    """A folder's name of a file's."""
    stem = file.name.split(".")[0].lower()
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in stem).strip("-") or "file"


def _sha256(file: Path) -> str:
    try:
        with open(file, "rb") as f:
            return hashlib.file_digest(f, "sha256").hexdigest()
    except OSError as error:
        raise SubmissionError(f"cannot be read ({error.strerror})", where=file) from None
