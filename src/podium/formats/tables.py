"""CSV files read strictly: wrong encodings, ragged rows, missing columns and double ids are named by line."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import re
import shlex
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from podium.errors import DataError, nearest

if TYPE_CHECKING:
    import polars as pl

csv.field_size_limit(2**31 - 1)  # a run-length mask may be longer than the default of 128 KB

Record = tuple[int, list[str]]
"""The line a row starts on, from 1, and its fields."""


class TableError(DataError):
    """A CSV file that cannot be read.

    Attributes:
        line: The line it is about, from 1; 0 for the file as a whole.
    """

    def __init__(
        self, found: str, *, path: str | Path = "", line: int = 0, expected: str = "", remedy: str = ""
    ) -> None:
        self.line = line
        super().__init__(found, where=f"{path} line {line}" if line else path, expected=expected, remedy=remedy)


def read_csv(path: Path) -> pl.DataFrame:
    """A CSV file (gzipped or not) with every column as strings; an empty field is "".

    Fields may be separated by semicolons or tabs, where the header has no comma: then 20,5 is read as 20.5 in a column
    of numbers. Spaces after separators are left out, if the header or every field of a column has them.

    Raises:
        DataError: naming the file and the line, if it is missing, empty, not UTF-8, or a row has more or fewer
            fields than the header.
    """
    import polars as pl

    separator = _separator(path)
    rows = records(path, separator)
    line, names = next(rows)
    spaced = any(name != name.strip() for name in names)
    names = [name.strip() for name in names]
    if names.count("") > 1:  # what a spreadsheet leaves at the right: no one means them
        names = [name or f"column {i}" for i, name in enumerate(names, 1)]
    if len(set(names)) < len(names):
        double = next(n for n in names if names.count(n) > 1)
        raise TableError(f"two columns are called '{double}'", path=path, line=line, remedy="rename one")
    columns: list[list[str]] = [[] for _ in names]
    for line, fields in rows:
        if len(fields) != len(names):
            raise ragged(path, line, len(fields), len(names))
        for column_values, field in zip(columns, fields, strict=True):
            column_values.append(field)
    columns = [_bare(values) if spaced or _all_spaced(values) else values for values in columns]
    if separator != ",":
        columns = [_with_points(values) for values in columns]
    return pl.DataFrame(dict(zip(names, columns, strict=True)), schema=dict.fromkeys(names, pl.String))


def _separator(path: Path) -> str:
    """What separates the fields of the first line: commas; or, where it has none, semicolons or tabs."""
    with contextlib.suppress(OSError, EOFError, zlib.error, UnicodeDecodeError), _open(path) as f:  # `records` tells
        header = next((line for line in iter(lambda: f.readline(1 << 20), b"") if line.strip()), b"").decode()
        return "," if "," in header else next((c for c in ";\t" if c in header), ",")
    return ","


def _all_spaced(values: list[str]) -> bool:
    """Whether each field begins with a space, as after ", "."""
    return any(values) and all(v[:1] == " " for v in values if v)


def _bare(values: list[str]) -> list[str]:
    return [v.strip() for v in values]


def _with_points(values: list[str]) -> list[str]:
    """A column of numbers with decimal commas, with points instead; any other as it is."""
    if any("," in v for v in values) and all(_DECIMAL.fullmatch(v) for v in values if v):
        return [v.replace(",", ".") for v in values]
    return values


_DECIMAL = re.compile(r"\s*[-+]?\d*(,\d+)?([eE][-+]?\d+)?\s*")


def records(path: Path, separator: str = ",") -> Iterator[Record]:
    """The rows of a CSV file one by one, the header first, streamed; the end of the file may have blank lines.

    Raises:
        DataError: as `read_csv`, but for ragged rows, which are the caller's to judge.
    """
    with _open(path) as f:
        try:
            numbered = _Lines(f, path)
            header, blank = False, 0
            for raw in numbered:
                if not raw.strip():
                    blank = blank or numbered.line
                    continue
                if blank and header:
                    yield from ((n, []) for n in range(blank, numbered.line))
                header, blank = True, 0
                yield _record(raw, numbered, path, separator)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise TableError(
                f"the gzip file is damaged ({error})", path=path, remedy="make or download it again"
            ) from None
        except OSError as error:
            raise TableError(f"cannot be read ({error.strerror})", path=path) from None
        if not header:
            raise TableError("the file is empty", path=path, expected="a line with the column names first")


def column(df: pl.DataFrame, name: str, path: Path) -> pl.Series:
    """A column by name.

    Raises:
        DataError: naming the nearest column, if there is none of that name.
    """
    if name not in df.columns:
        raise TableError(
            f"no column is called '{name}'",
            path=path,
            expected="columns " + ", ".join(df.columns),
            remedy=nearest(name, df.columns),
        )
    return df[name]


def unique_ids(df: pl.DataFrame, name: str, path: Path) -> list[str]:
    """The values of an id column, which may not repeat.

    Raises:
        DataError: naming the id and the lines of both rows, or the line of a row without one.
    """
    first: dict[str, int] = {}
    values: list[str] = column(df, name, path).to_list()
    for row, value in enumerate(values):
        if not value:
            raise TableError(f"'{name}' is empty", path=path, line=_line_of(path, row))
        if first.setdefault(value, row) != row:
            one, other = _line_of(path, first[value]), _line_of(path, row)
            raise TableError(
                f"'{value}' is there twice, on lines {one} and {other}", path=path, remedy="remove one of the two rows"
            )
    return values


def ragged(path: Path, line: int, found: int, expected: int) -> TableError:
    """The error about a row with more or fewer fields than the header."""
    return TableError(
        "the line is blank" if not found else f"the row has {found} field{'s' * (found != 1)}",
        path=path,
        line=line,
        expected=f"{expected}, as the header has",
        remedy="mend that line; a value with a comma in it needs quotes",
    )


class _Lines:
    """The lines of a file, counted, with the byte-order mark taken off."""

    def __init__(self, f: IO[bytes], path: Path) -> None:
        self.f, self.path, self.line = f, path, 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raw = self.f.readline()
        if not raw:
            raise StopIteration
        self.line += 1
        if self.line == 1 and raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise TableError("the file is UTF-16, not UTF-8", path=self.path, remedy=_iconv(self.path, "UTF-16"))
        return raw.removeprefix(b"\xef\xbb\xbf") if self.line == 1 else raw


def _record(raw: bytes, lines: _Lines, path: Path, separator: str) -> Record:
    line = lines.line
    if b'"' not in raw:  # nearly always, and many times faster than the csv module
        return line, _text(raw, line, path).rstrip("\r\n").split(separator)
    texts = (_text(r, lines.line, path) for r in itertools.chain([raw], lines))
    try:
        return line, next(csv.reader(texts, strict=True, delimiter=separator))
    except csv.Error as error:
        raise TableError(f"the row is not CSV ({error})", path=path, line=line, remedy="mend its quotes") from None


def _text(raw: bytes, line: int, path: Path) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise TableError(
            f"not UTF-8: byte {raw[error.start]:#04x} at position {error.start + 1} of the line",
            path=path,
            line=line,
            remedy=(
                "it is no text: is it the right file?"
                if re.search(rb"[\x00-\x08\x0e-\x1f]", raw)
                else f"it looks like Latin-1; convert it: {_iconv(path, 'LATIN1')}"
            ),
        ) from None


def _iconv(path: Path, encoding: str) -> str:
    old, new = shlex.quote(path.name), shlex.quote(f"{path.name}.utf8")
    return f"iconv -f {encoding} -t UTF-8 {old} > {new} && mv {new} {old}"


def _open(path: Path) -> IO[bytes]:
    try:
        f = io.BufferedReader(io.FileIO(path), 1 << 20)
    except FileNotFoundError:
        raise TableError("no such file", path=path) from None
    except OSError as error:
        raise TableError(f"cannot be read ({error.strerror})", path=path) from None
    return _Gunzip(f) if f.peek(2)[:2] == b"\x1f\x8b" else f


class _Gunzip(io.BufferedReader):
    """A gzip stream that closes the file below it too."""

    def __init__(self, f: IO[bytes]) -> None:
        self._below = f
        super().__init__(gzip.GzipFile(fileobj=f), 1 << 20)

    def close(self) -> None:
        super().close()
        self._below.close()


def _line_of(path: Path, row: int) -> int:
    """The line of the file that data row ``row`` (from 0) starts on."""
    return next(itertools.islice(records(path), row + 1, None))[0]
