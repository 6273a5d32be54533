"""Submission files: what a board asks for, and writing and reading it."""

from __future__ import annotations

import contextlib
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, Literal, NamedTuple, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from podium.config import Config
from podium.cores import usable_cores
from podium.errors import SubmissionError, nearest
from podium.files import open_atomic
from podium.formats import rle
from podium.formats.bits import Packed
from podium.formats.tables import ragged, records

if TYPE_CHECKING:
    from podium.formats.gzips import GzipWriter

PackedMask = tuple[bytes, Packed, int]
"""What a row begins with, its mask of one bit a pixel, and the width of that mask."""

TOGETHER = 16
"""Masks that a thread turns into text at a time."""

NO_MASK = frozenset({"-1", "nan"})
"""What tables write for no mask, but for nothing."""

_THREADS = max(1, min(8, usable_cores()))


class SubmissionFormat(Config):
    """How a board wants predictions written.

    A sample has a row, with a value in each of the value columns; or, where the file names a class in a column or in
    the id, a row for each class; or, in rle_objects, a row for each object. Values of classes are in their order.
    """

    format: Literal["rle", "rle_objects", "probs", "values", "names", "png"] = Field(
        "rle",
        description="run-length masks, or a row an object; probabilities; numbers; names of classes; or png: "
        "no table, but a zip of masks, {id}.png, with the numbers of [classes]",
    )
    id_column: str = Field("id", min_length=1, description="name of the id column")
    value_column: str = Field("rle_mask", min_length=1, description="name of the column of masks or values")
    value_columns: tuple[str, ...] = Field(
        (), description="instead of value_column: one a class, in the order of [classes], or one a target"
    )
    empty: str = Field("", description='masks: what is written for no mask, such as "-1"; by default nothing')
    order: Literal["row", "column"] = Field("row", description="pixels counted along rows or down columns, from 1")
    id: str = Field("{id}", description="how an id is written, for instance {id}.jpg, or {id}.jpg_{class}")
    class_column: str | None = Field(None, min_length=1, description="the column of the class, where each has a row")
    classes: tuple[str, ...] = Field(
        (), description="how the file spells classes, in the order of [classes], where it does: rows a class, or names"
    )
    separator: str | None = Field(None, min_length=1, description="names: what separates several of one sample")
    choices: tuple[tuple[str, ...], ...] = Field(
        (),
        description="names, of several targets (labels = each): what may be written for each of value_columns, or "
        "of classes where each target has a row",
    )
    guesses: int = Field(
        1, ge=1, le=100, description="names, of samples of one class: how many guesses a row has, the likeliest first"
    )

    @field_validator("empty")
    @classmethod
    def _is_no_mask(cls, value: str) -> str:
        if value and value not in NO_MASK:
            raise ValueError(f"nothing, or one of {', '.join(sorted(NO_MASK))}")
        return value

    @field_validator("id")
    @classmethod
    def _has_id(cls, value: str) -> str:
        if value.count("{id}") != 1 or value.count("{class}") > 1:
            raise ValueError("text with {id} in it once, for instance {id}.jpg, or {id}_{class} for a row a class")
        return value

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        """Both spellings of the value columns are there in the end, whichever was given."""
        if not isinstance(given, dict):
            return given
        several = given.get("value_columns", [])
        if not isinstance(several, (list, tuple)):
            return given  # refused as what it is
        asked = [key for key in given if key in ("value_column", "value_columns")][-1:]  # an override comes last
        if several and asked == ["value_columns"]:
            return given | {"value_column": several[0]}
        return given | {"value_columns": (given.get("value_column", cls.model_fields["value_column"].default),)}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [self.id_column, *self.value_columns, *([self.class_column] if self.class_column else [])]
        double = next((n for n in names if names.count(n) > 1), None)
        if double is not None or not all(names):
            raise ValueError(f"columns that differ; '{double}' is there twice" if double else "columns with names")
        if self.class_column and "{class}" in self.id:
            raise ValueError("one of submission.class_column and {class} in submission.id")
        if self.row_a_class:
            if not self.classes or len(set(self.classes)) < len(self.classes):
                raise ValueError("submission.classes, each once, since each class has a row")
            known = ("rle", "probs", "values", *(["names"] if self.choices else []))
            if len(self.value_columns) > 1 or self.format not in known:
                raise ValueError("one value column of rle, probs or values, since each class has a row")
        if self.choices and (self.format != "names" or self.separator or self.guesses > 1):
            raise ValueError('submission.choices with submission.format = "names" only, of one name each')
        if self.choices and len(self.choices) != self.width:
            raise ValueError(f"submission.choices for each of {self.width} targets, not {len(self.choices)}")
        if self.guesses > 1 and self.format != "names":
            raise ValueError('submission.guesses with submission.format = "names" only')
        single = self.format == "rle_objects" or (self.format == "names" and not self.choices)
        if not self.row_a_class and single and len(self.value_columns) > 1:
            raise ValueError(f"one value column, since the format is {self.format}")
        return self

    @model_serializer(mode="wrap")
    def _one_spelling(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A file says value_column, or value_columns where there are several, and nothing of what it has not."""
        tree: dict[str, Any] = handler(self)
        tree.pop("value_column" if len(self.value_columns) > 1 else "value_columns", None)
        for name in ("guesses", "empty"):
            if getattr(self, name) == type(self).model_fields[name].default:
                tree.pop(name, None)
        return {key: value for key, value in tree.items() if value is not None and value not in ((), [])}

    @property
    def row_a_class(self) -> bool:
        """Whether a sample has a row for each of `classes`."""
        return self.class_column is not None or "{class}" in self.id

    @property
    def targets(self) -> tuple[str, ...]:
        """What the values of a sample are of: the classes that have a row each, else the value columns."""
        return self.classes if self.row_a_class else self.value_columns

    def known_names(self, target: str) -> tuple[str, ...]:
        """What may be written, in names; of one target where there are several. Nothing if that is not told."""
        return self.choices[self.targets.index(target)] if self.choices else self.classes

    def names_in(self, text: str) -> list[str]:
        """The names of classes in a field, of which it may have several."""
        by = self.separator or (" " if self.guesses > 1 else None)
        return [t.strip() for t in text.split(by if by.strip() else None)] if by else [text]

    @property
    def width(self) -> int:
        """How many values a sample has; of rle_objects, any number."""
        return len(self.classes) if self.row_a_class else len(self.value_columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The header of the file."""
        return (self.id_column, *([self.class_column] if self.class_column else []), *self.value_columns)

    def row_id(self, sample_id: str, label: str = "") -> str:
        """The id as the board spells it.

        Args:
            sample_id: As podium knows it.
            label: One of `classes`, where the id names it.
        """
        before, after = self.id.split("{id}")
        if label:
            before, after = before.replace("{class}", label), after.replace("{class}", label)
        return before + sample_id + after

    def sample_id(self, row_id: str) -> str | None:
        """The sample's id behind a board's spelling of it, or None if it is not spelled that way."""
        found = self.split_id(row_id)
        return found[0] if found else None

    def split_id(self, row_id: str) -> tuple[str, str] | None:
        """The sample's id and the class ("" if ids name none) in a board's spelling, or None if it is not like it."""
        if "{class}" in self.id:
            match = _id_rule(self.id, self.classes).fullmatch(row_id)
            return (match["id"], match["class"]) if match else None
        before, after = self.id.split("{id}")
        fits = row_id.startswith(before) and row_id.endswith(after) and len(row_id) > len(before) + len(after)
        return (row_id[len(before) : len(row_id) - len(after)], "") if fits else None


@lru_cache(maxsize=16)
def _id_rule(spelling: str, classes: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(classes, key=len, reverse=True)))
    rules = {"{id}": "(?P<id>.+?)", "{class}": f"(?P<class>{names})"}
    return re.compile("".join(rules.get(p) or re.escape(p) for p in re.split(r"(\{id\}|\{class\})", spelling)), re.S)


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
