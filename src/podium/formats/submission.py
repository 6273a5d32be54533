"""Submission files: what a board asks for, and writing and reading it."""

from __future__ import annotations

import contextlib
import gzip
import io
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, NamedTuple, Self, cast

from pydantic import Field, field_validator

from podium.config import Config
from podium.errors import SubmissionError, nearest
from podium.files import open_atomic
from podium.formats.tables import ragged, records


class SubmissionFormat(Config):
    """How a board wants predictions written."""

    format: Literal["rle"] = Field("rle", description="run-length masks, one row an image")
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

    A name that ends in .gz is compressed, lightly, and the same rows give the same bytes.

    Args:
        path: The CSV file.
        fmt: What the board asks for.
    """

    def __init__(self, path: Path, fmt: SubmissionFormat) -> None:
        self._path, self._fmt = path, fmt
        self._stack = contextlib.ExitStack()
        self._out: IO[bytes]

    def __enter__(self) -> Self:
        self._out = self._stack.enter_context(open_atomic(self._path))
        if self._path.suffix == ".gz":
            packed = gzip.GzipFile("", "wb", 1, self._out, mtime=0)
            buffer = io.BufferedWriter(cast(io.RawIOBase, packed), 1 << 20)
            self._out = self._stack.enter_context(buffer)
        self._line(self._fmt.id_column, self._fmt.value_column)
        return self

    def write(self, sample_id: str, value: str) -> None:
        """Add the row of a sample: its id as podium knows it and its value, for instance run-length text."""
        self._line(self._fmt.row_id(sample_id), value)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _line(self, *fields: str) -> None:
        self._out.write((",".join(map(quoted, fields)) + "\n").encode())


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
