"""Submission files: what a board asks for, and writing and reading it."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Literal, NamedTuple, Self

from pydantic import Field, field_validator

from podium.config import Config
from podium.errors import SubmissionError, nearest
from podium.files import open_atomic
from podium.formats import rle
from podium.formats.bits import Packed
from podium.formats.tables import ragged, records

if TYPE_CHECKING:
    from podium.formats.gzips import GzipWriter

PackedMask = tuple[str, Packed, int]
"""A sample's id, its mask of one bit a pixel, and the width of that mask."""

TOGETHER = 16
"""Masks that a thread turns into text at a time."""

_THREADS = max(1, min(8, os.cpu_count() or 1))


class SubmissionFormat(Config):
    """How a board wants predictions written."""

    format: Literal["rle", "rle_objects", "probs", "values"] = Field(
        "rle", description="run-length masks, one row an image or an object; or a row of probabilities or values"
    )
    id_column: str = Field("id", min_length=1, description="name of the id column")
    value_column: str = Field("rle_mask", min_length=1, description="name of the mask column")
    order: Literal["row", "column"] = Field("row", description="pixels counted along rows or down columns, from 1")
    id: str = Field("{id}", description="how an id is written, for instance {id}.jpg")

    @field_validator("id")
    @classmethod
    def _has_id(cls, value: str) -> str:
        if value.count("{id}") != 1:
            raise ValueError("text with {id} in it once, for instance {id}.jpg")
        return value

    def row_id(self, sample_id: str) -> str:
        """The id as the board spells it."""
        return self.id.replace("{id}", sample_id)

    def sample_id(self, row_id: str) -> str | None:
        """The sample's id behind a board's spelling of it, or None if it is not spelled that way."""
        before, after = self.id.split("{id}")
        fits = row_id.startswith(before) and row_id.endswith(after) and len(row_id) > len(before) + len(after)
        return row_id[len(before) : len(row_id) - len(after)] if fits else None


class Row(NamedTuple):
    """One row of a submission.

    Attributes:
        line: The line of the file it starts on, from 1.
        row_id: The id as the board spells it.
        value: The value as text.
    """

    line: int
    row_id: str
    value: str


class SubmissionWriter:
    """Writes a submission row by row; the file is there whole when the block ends well, and not at all otherwise.

    A name that ends in .gz is compressed, lightly, and the same rows give the same bytes. Masks that come packed are
    turned into text by threads.

    Args:
        path: The CSV file.
        fmt: What the board asks for.
    """

    def __init__(self, path: Path, fmt: SubmissionFormat) -> None:
        self._path, self._fmt = path, fmt
        self._stack = contextlib.ExitStack()
        self._out: IO[bytes] | GzipWriter
        self._gzip: GzipWriter | None = None
        self._masks: list[PackedMask] = []
        self._pending: deque[Future[bytes]] = deque()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        self._out = file = self._stack.enter_context(open_atomic(self._path))
        if self._path.suffix == ".gz":
            from podium.formats.gzips import GzipWriter

            self._out = self._gzip = GzipWriter(file)
            self._stack.callback(self._gzip.abandon)
        self._out.write(_line(self._fmt.id_column, self._fmt.value_column))
        return self

    def write(self, sample_id: str, value: str) -> None:
        """Add the row of a sample: its id as podium knows it and its value, for instance run-length text."""
        self._drain()
        self._out.write(_line(self._fmt.row_id(sample_id), value))

    def write_packed(self, sample_id: str, packed: Packed, width: int) -> None:
        """Add the row of a sample from its mask of one bit a pixel.

        Args:
            sample_id: Its id as podium knows it.
            packed: As `bits.pack` gives it; not to be changed before the block ends.
            width: Pixels in a row.
        """
        self._masks.append((sample_id, packed, width))
        if len(self._masks) == TOGETHER:
            self._start()
            while len(self._pending) > 4 * _THREADS or (self._pending and self._pending[0].done()):
                self._out.write(self._pending.popleft().result())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._drain()
                if self._gzip:
                    self._gzip.close()
        except BaseException as failure:
            self._stack.__exit__(type(failure), failure, failure.__traceback__)
            raise
        finally:
            if self._pool:
                self._pool.shutdown(wait=True, cancel_futures=True)
        self._stack.__exit__(kind, error, trace)

    def _start(self) -> None:
        from podium.formats import kernels  # noqa: F401 - once, here, and not in every thread at the same time

        self._pool = self._pool or ThreadPoolExecutor(_THREADS, thread_name_prefix="rows")
        self._pending.append(self._pool.submit(_rows, self._masks, self._fmt))
        self._masks = []

    def _drain(self) -> None:
        """Write out all masks so far: rows keep their order."""
        if self._masks:
            self._start()
        while self._pending:
            self._out.write(self._pending.popleft().result())


def _rows(masks: list[PackedMask], fmt: SubmissionFormat) -> bytes:
    lines = [(f"{quoted(fmt.row_id(sample))},".encode(), packed, width) for sample, packed, width in masks]
    return rle.encode_lines(lines, fmt.order)


def _line(*fields: str) -> bytes:
    return (",".join(map(quoted, fields)) + "\n").encode()


def quoted(field: str) -> str:
    """A CSV field, in quotes where it needs them."""
    if any(c in field for c in ',"\r\n'):
        return '"' + field.replace('"', '""') + '"'
    return field


def read_submission(path: Path, fmt: SubmissionFormat) -> Iterator[Row]:
    """The rows of a submission in their order, streamed; `preflight.inspect` judges them.

    Raises:
        DataError: naming file and line, if it is no CSV file.
        SubmissionError: if a column is missing.
    """
    rows = records(path)
    line, names = next(rows)
    for name in (fmt.id_column, fmt.value_column):
        if name not in names:
            raise SubmissionError(
                f"no column is called '{name}'",
                where=f"{path} line {line}",
                expected=f"{fmt.id_column},{fmt.value_column}",
                remedy=nearest(name, names),
            )
    of_id, of_value = names.index(fmt.id_column), names.index(fmt.value_column)
    for line, fields in rows:
        if len(fields) != len(names):
            raise ragged(path, line, len(fields), len(names))
        yield Row(line, fields[of_id], fields[of_value])
