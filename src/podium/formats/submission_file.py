"""Submission files: written row by row or from packed masks, and read."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, NamedTuple, Self

from podium.cores import usable_cores
from podium.errors import SubmissionError, nearest
from podium.files import open_atomic
from podium.formats import rle
from podium.formats.bits import Packed
from podium.formats.submission import SubmissionFormat
from podium.formats.tables import ragged, records

if TYPE_CHECKING:
    from podium.formats.gzips import GzipWriter

PackedMask = tuple[bytes, Packed, int]
"""What a row begins with, its mask of one bit a pixel, and the width of that mask."""

TOGETHER = 16
"""Masks that a thread turns into text at a time."""

_THREADS = max(1, min(8, usable_cores()))


class Row(NamedTuple):
    """One row of a submission.

    Attributes:
        line: The line of the file it starts on, from 1.
        row_id: The id as the board spells it.
        values: The text of each value column.
        label: The text of the class column; "" if there is none.
    """

    line: int
    row_id: str
    values: tuple[str, ...]
    label: str = ""


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
        self._labels = fmt.classes if fmt.row_a_class else ("",)
        self._takes_masks = fmt.format.startswith("rle") and len(fmt.value_columns) == 1
        self._around = tuple(fmt.id.split("{id}"))

    def __enter__(self) -> Self:
        self._out = file = self._stack.enter_context(open_atomic(self._path))
        if self._path.suffix == ".gz":
            from podium.formats.gzips import GzipWriter

            self._out = self._gzip = GzipWriter(file)
            self._stack.callback(self._gzip.abandon)
        self._out.write(header_of(self._fmt))
        return self

    def write(self, sample_id: str, *values: str | float) -> None:
        """Add the rows of a sample.

        Args:
            sample_id: Its id as podium knows it.
            values: Run-length text, a number or a name, as many as the format has: one a value column, or one a class
                where each class has a row, or one an object in rle_objects (none: a row that says so).

        Raises:
            SubmissionError: if they are more or fewer.
        """
        self._drain()
        try:
            self._out.write(rows_of(self._fmt, sample_id, *values))
        except SubmissionError as error:
            raise SubmissionError(error.found, where=self._path, expected=error.expected) from None

    def write_packed(self, sample_id: str, packed: Packed, width: int) -> None:
        """Add the rows of a sample from its mask of one bit a pixel, or one for each class that has a row.

        Args:
            sample_id: Its id as podium knows it.
            packed: As `bits.pack` gives it, (H, bytes) or (classes, H, bytes); not to be changed before the block ends.
            width: Pixels in a row.

        Raises:
            SubmissionError: if the format is none of masks, or has another number of classes.
        """
        layers = packed if packed.ndim == 3 else packed[None]
        if not self._takes_masks or len(layers) != len(self._labels):
            found = f"{len(layers)} packed mask{'s' * (len(layers) != 1)} for '{sample_id}'"
            raise SubmissionError(found, where=self._path, expected=f"{self._fmt.width} of {self._fmt.format}")
        for label, layer in zip(self._labels, layers, strict=True):
            self._masks.append((self._start_of(sample_id, label), layer, width))
        if len(self._masks) >= TOGETHER:
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

    def _start_of(self, sample_id: str, label: str) -> bytes:
        """`row_start`, without a detour where an image has one row: a row is little more than its mask."""
        if label:
            return row_start(self._fmt, sample_id, label)
        before, after = self._around
        return (quoted(before + sample_id + after) + ",").encode()

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


def rows_of(fmt: SubmissionFormat, sample_id: str, *values: str | float) -> bytes:
    """The lines of a sample in a submission; see `SubmissionWriter.write`.

    Raises:
        SubmissionError: if there are more or fewer values than the format has.
    """
    texts = [v if isinstance(v, str) else number_text(v) for v in values]
    if fmt.empty and fmt.format.startswith("rle"):
        texts = [text or fmt.empty for text in texts]
    if len(texts) == 1 and fmt.width == 1 and not fmt.row_a_class:  # a mask an image: by far the most rows of all
        return _line(fmt.row_id(sample_id), texts[0])
    if fmt.format == "rle_objects":
        return b"".join(_line(fmt.row_id(sample_id), text) for text in texts or [fmt.empty])
    if len(texts) != fmt.width:
        names = ", ".join(fmt.targets)
        found = f"{len(texts)} value{'s' * (len(texts) != 1)} for '{sample_id}'"
        raise SubmissionError(found, expected=f"{fmt.width}: {names}")
    if fmt.row_a_class:
        each = zip(fmt.classes, texts, strict=True)
        return b"".join(b"%s%s" % (row_start(fmt, sample_id, c), _line(t)) for c, t in each)
    return _line(fmt.row_id(sample_id), *texts)


def row_start(fmt: SubmissionFormat, sample_id: str, label: str = "") -> bytes:
    """A row up to its value.

    Args:
        label: The class, where each has a row.
    """
    fields = [fmt.row_id(sample_id, label), *([label] if fmt.class_column else [])]
    return "".join(f"{quoted(field)}," for field in fields).encode()


def header_of(fmt: SubmissionFormat) -> bytes:
    """The first line of the file."""
    return _line(*fmt.columns)


def _rows(masks: list[PackedMask], fmt: SubmissionFormat) -> bytes:
    lines = rle.encode_lines(masks, fmt.order)
    return lines.replace(b",\n", f",{fmt.empty}\n".encode()) if fmt.empty else lines


def _line(*fields: str) -> bytes:
    return (",".join(map(quoted, fields)) + "\n").encode()


def number_text(value: float) -> str:
    """A number as a submission has it: nine digits, which tell apart any two float32."""
    return f"{float(value):.9g}"


def quoted(field: str) -> str:
    """A CSV field, in quotes where it needs them."""
    if "," in field or '"' in field or "\n" in field or "\r" in field:
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
    for name in fmt.columns:
        if name not in names:
            raise SubmissionError(
                f"no column is called '{name}'",
                where=f"{path} line {line}",
                expected=",".join(fmt.columns),
                remedy=nearest(name, names),
            )
    of_id, of_values = names.index(fmt.id_column), [names.index(name) for name in fmt.value_columns]
    of_class = names.index(fmt.class_column) if fmt.class_column else None
    for line, fields in rows:
        if len(fields) != len(names):
            raise ragged(path, line, len(fields), len(names))
        values = tuple(fields[i] for i in of_values)
        yield Row(line, fields[of_id], values, "" if of_class is None else fields[of_class])
