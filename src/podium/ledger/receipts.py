"""`receipt.toml` in `submissions/NNNN-name/`: what was handed in, of which attempts, where, and what it scored."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Self

from podium.boards.base import Receipt
from podium.config import read_toml, write_toml
from podium.errors import LedgerError, SubmissionError
from podium.ledger.submissions import Submissions

RECEIPT = "receipt.toml"


@dataclass(frozen=True)
class Kept:
    """A receipt as it is kept.

    Attributes:
        receipt: What the board said.
        folder: Of the submission.
        board: The board's name.
        content: SHA-256 of the file's content, unpacked if it is gzipped: the same rows are the same file.
        attempts: The attempts it is made of.
        cv: Their CV score, if there is one.
    """

    receipt: Receipt
    folder: Path
    board: str
    content: str
    attempts: tuple[int, ...] = ()
    cv: float | None = None

    def write(self) -> None:
        """Write `receipt.toml`."""
        of_board = {k: v for k, v in asdict(self.receipt).items() if v not in (None, "") or k == "attempt"}
        own: dict[str, Any] = {"board": self.board, "content": self.content, "attempts": list(self.attempts)}
        write_toml(self.folder / RECEIPT, of_board | own | ({} if self.cv is None else {"cv": self.cv}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a submission's receipt.

        Raises:
            LedgerError: if it is damaged.
        """
        tree = read_toml(folder / RECEIPT)
        try:
            known = {f.name: tree[f.name] for f in fields(Receipt) if f.name in tree}
            at = known["at"] if isinstance(known["at"], datetime) else datetime.fromisoformat(str(known["at"]))
            rest = {"public": None, "private": None, "message": "", "attempt": "", "file": "", "sha256": ""}
            receipt = Receipt(**(rest | known | {"at": at if at.tzinfo else at.replace(tzinfo=UTC)}))
            cv = tree.get("cv")
            attempts = tuple(int(a) for a in tree.get("attempts", []))
            board, content = str(tree.get("board", "local")), str(tree.get("content", ""))
            return cls(receipt, folder, board, content, attempts, None if cv is None else float(cv))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"damaged ({error})", where=folder / RECEIPT, remedy="restore or remove the file"
            ) from None

    def scored(self, now: Receipt) -> Kept:
        """With the scores that the board shows now."""
        was = self.receipt
        private = was.private if now.private is None else now.private
        public = was.public if now.public is None else now.public
        receipt = replace(was, public=public, private=private, status=now.status, error=now.error)
        return replace(self, receipt=receipt)


def receipts(submissions: Submissions) -> list[Kept]:
    """All that was handed in from this workspace, in the order of their folders."""
    return [Kept.load(folder) for folder in submissions.all() if (folder / RECEIPT).is_file()]


def twin(kept: Sequence[Kept], content: str, board: str) -> Kept | None:
    """The first submission to that board with the same content, unless the board could not score it."""
    same = (k for k in kept if k.content == content and k.board == board)
    return next((k for k in same if k.receipt.status != "error"), None)


def content_hash(file: Path) -> str:
    """SHA-256 of a file's content, as hexadecimal; of a gzipped one that of what is in it.

    Raises:
        SubmissionError: if it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(file, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            for chunk in _chunks(gzip.GzipFile(fileobj=raw) if packed else raw):
                digest.update(chunk)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise SubmissionError(
            f"the gzip file is damaged ({error})", where=file, remedy="make or download it again"
        ) from None
    except OSError as error:
        raise SubmissionError(f"cannot be read ({error.strerror})", where=file) from None
    return digest.hexdigest()


def _chunks(file: IO[bytes] | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := file.read(1 << 20):
        yield chunk
