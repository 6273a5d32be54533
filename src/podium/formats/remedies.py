"""What to do about what is wrong in a submission: the slips that people make, by what is left of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from podium.errors import nearest

_OF_RUNS = {
    "not a number": "write runs as whole numbers, 'start length start length …'",
    "odd count": "write each run as a start and a length",
    "start": "count pixels from 1",
    "length": "leave out runs without pixels",
    "out of range": "encode at the original image size, in the order the board wants",
    "overlapping": "encode the mask again; runs may touch but not overlap",
    "unsorted": "sort the runs by their start",
}
_EMPTY = re.compile(r"\s*(nan|none|null|na|n/a|-1|-|0|\[\])\s*", re.IGNORECASE)
"""What people write for an empty mask, beside nothing."""
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or an Excel file", "unpack it, or save the sheet as CSV"),
    (b"<!DOCTYPE", "a web page", "download the file itself, when logged in"),
    (b"<html", "a web page", "download the file itself, when logged in"),
    (b"PAR1", "a Parquet file", "write it as CSV: frame.write_csv(…), frame.to_csv(…, index=False)"),
    (b"\x93NUMPY", "a NumPy array", "write a CSV with a row for each id"),
    (b"\x80\x04", "a pickle", "write a CSV with a row for each id"),
    (b"\x80\x05", "a pickle", "write a CSV with a row for each id"),
    (b"\x1f\x9d", "a compressed file that is not gzip", "compress it with gzip, or not at all"),
    (b"BZh", "a bzip2 file", "compress it with gzip, or not at all"),
    (b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (b"{", "JSON", "write a CSV with a row for each id"),
)


def other_kind(start: bytes) -> tuple[str, str] | None:
    """(what it is, what to do) of a file that is no CSV, from its first bytes; None if it may be one."""
    for signature, what, remedy in _SIGNATURES:
        if start.lower().lstrip().startswith(signature.lower()):
            return what, remedy
    return None


def of_runs(kind: str, text: str) -> str:
    """About a value that is no run-length mask, by `RleError.kind`."""
    if _EMPTY.fullmatch(text):
        return "an empty mask is an empty field: write nothing there"
    if kind == "not a number":
        if "[" in text or "]" in text:
            return "write the numbers with spaces between, without brackets: ' '.join(map(str, runs))"
        if "," in text or ";" in text:
            return "separate the numbers with spaces"
        if re.fullmatch(r"[\d.\s]+", text):
            return "write whole numbers: runs were turned to floats on the way (astype(int))"
    return _OF_RUNS[kind]


def of_column(missing: str, names: Sequence[str], wanted: Sequence[str]) -> str:
    """About a column that is not there, of the ``wanted`` ones."""
    if len(names) == 1:
        for mark, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if mark in names[0]:
                return f"the fields are separated by {called}: write commas (sep=',')"
    close = next((n for n in names if n.strip().lower() == missing.lower()), None)
    if close is not None:
        return f"call '{close}' exactly '{missing}'"
    spare = nearest(missing, [n for n in names if n not in wanted])
    if spare.startswith("did you mean"):
        return f"{spare} Call it '{missing}'"
    whole = ",".join(wanted)
    return f"the first line must be {whole}" if not set(names) & set(wanted) else f"add it: the columns are {whole}"


def of_extra_column(name: str) -> str:
    """About a column that is not asked for."""
    if name.strip() in ("", "Unnamed: 0", "index", "Unnamed: 0.1"):
        return "remove it; it is pandas' index: to_csv(…, index=False)"
    return "remove it"


def of_number(text: str) -> str:
    """About a value that is no number."""
    word = text.strip()
    if word == "" or word.lower() in ("nan", "none", "null", "na"):
        return "every sample needs a number: find out why there is none"
    if word.lower().lstrip("+-") in ("inf", "infinity"):
        return "write a finite number: something overflowed, as exp of a large logit does"
    if word.endswith("%"):
        return f"write it as a share: {_share(word)}"
    if re.fullmatch(r"\[.*\]|\(.*\)", word):
        return "write the number alone, without brackets: value.item()"
    if re.fullmatch(r"tensor\(.*\)", word):
        return "write the number alone: tensor.item()"
    return "write a number, for instance 0.5"


def _share(text: str) -> str:
    try:
        return f"{float(text.rstrip('%')) / 100:g}"
    except ValueError:
        return "0.5"


def of_probability(value: float) -> str:
    """About a number outside of 0 to 1."""
    if 1 < value <= 100:
        return "write a number from 0 to 1; is it in per cent?"
    return "write a number from 0 to 1; is it a logit, before the sigmoid?"


class Spelling:
    """Finds the id that is meant by one that is not asked for.

    Args:
        rows: The ids as the file should spell them.
    """

    def __init__(self, rows: Iterable[str]) -> None:
        self._rows, self._known = rows, dict[str, str]()

    def meant(self, row_id: str) -> str | None:
        """The id that differs from it in case, blanks, path, ending or decimals alone; None if there is no such."""
        if not self._known:
            for rule in _RULES:
                for row in self._rows:
                    self._known.setdefault(rule(row), row)
        return next((self._known[key] for rule in _RULES if (key := rule(row_id)) in self._known), None)


_RULES: tuple[Callable[[str], str], ...] = (
    lambda t: t.strip(),
    lambda t: t.strip().lower(),
    lambda t: t.strip().replace("\\", "/").rpartition("/")[2].lower(),
    lambda t: re.sub(r"\.\w{1,4}$", "", t.strip().replace("\\", "/").rpartition("/")[2].lower()),
    lambda t: t.strip().lstrip("0") or t,
)
