"""Whether files that are neither images nor tables tell of hidden samples: their names, and their text."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Set
from pathlib import Path

from podium.errors import DataError

FEW = 3
"""Hidden samples that a text may name in passing, as a page of explanations does."""

NESTED = (".json", ".yaml", ".yml", ".xml")
"""Texts in which what belongs together stands on several lines."""

_TOKEN = re.compile(r"\n|[^\s,;:|\"'\[\]{}()<>=]+")
_PIECE = 1 << 22


def require_silent_files(files: Iterable[Path], root: Path, hidden: Mapping[str, Set[str]]) -> list[str]:
    """Remarks about files that cannot be looked into.

    Args:
        files: What is neither an image of a sample, nor an image, nor a table that was looked at.
        root: The data for competitors.
        hidden: Of each hidden id how it may be spelt.

    Raises:
        DataError: for a file named after a hidden sample, or a text that says something of more than `FEW` of them.
    """
    few = min(FEW, len(hidden) // 2)
    of = {form: id for id, forms in hidden.items() for form in forms}
    closed = Counter[str]()
    for path in files:
        if told := next((p for p in (path.stem, path.name.split(".")[0], path.parent.name) if p in hidden), None):
            raise DataError(
                f"a file named after the hidden sample '{told}': it may be its label",
                where=path.relative_to(root),
                remedy="remove it",
            )
        if not _is_text(path):
            closed[path.suffix.lower() or path.name] += 1
        elif len(found := told_of(path, of, few)) > few:
            raise DataError(
                f"a text that says something of hidden samples, of '{min(found)}' for one",
                where=path.relative_to(root),
                remedy="remove those lines, or the file",
            )
    if not closed:
        return []
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(closed.items()))
    return [f"not looked into: {kinds}; see that there are no labels of the hidden samples in them"]


def told_of(path: Path, of: Mapping[str, str], few: int) -> set[str]:
    """The hidden samples that a text says something of; it is not read on once there are more than ``few``.

    A list of names says nothing; something else on the line of a name does, or in `NESTED` texts what comes behind it.
    A name with white space or punctuation in it is not found.
    """
    found: set[str] = set()
    says = _behind if path.suffix.lower() in NESTED else _beside
    for ids in says(_tokens(path), of):
        found |= ids
        if len(found) > few:
            break
    return found


def _beside(tokens: Iterator[str], of: Mapping[str, str]) -> Iterator[set[str]]:
    """The ids of each line that has as much else as names on it."""
    here, names, others = set[str](), 0, 0
    for token in tokens:
        if token != "\n":
            id = _named(token, of)
            here |= {id} if id else set()
            names, others = names + bool(id), others + (not id)
            continue
        if here and others >= names:
            yield here
        here, names, others = set(), 0, 0
    if here and others >= names:
        yield here


def _behind(tokens: Iterator[str], of: Mapping[str, str]) -> Iterator[set[str]]:
    """The ids that anything but a name follows, on whatever line."""
    last = ""
    for token in tokens:
        if token == "\n":
            continue
        id = _named(token, of)
        if last and not id:
            yield {last}
        last = id


def _named(token: str, of: Mapping[str, str]) -> str:
    """The hidden sample that a word names, as an id, a file or a path; "" if none."""
    last = token.strip(".`*").replace("\\", "/").rpartition("/")[2]
    return of.get(token) or of.get(last) or of.get(last.rpartition(".")[0]) or ""


def _tokens(path: Path) -> Iterator[str]:
    """Words, and line ends."""
    rest = ""
    with open(path, encoding=_encoding(path), errors="replace") as f:
        while piece := f.read(_PIECE):
            text = rest + piece
            cut = max(text.rfind(c) for c in "\n ,") + 1
            rest = text[cut:]
            yield from _TOKEN.findall(text[:cut])
    yield from _TOKEN.findall(rest)


def _start(path: Path) -> bytes:
    with open(path, "rb") as f:
        return f.read(4096)


def _encoding(path: Path) -> str:
    return "utf-16" if _start(path).startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"


def _is_text(path: Path) -> bool:
    start = _start(path)
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    printable = sum(byte >= 32 or byte in b"\t\n\r\f" for byte in start)
    return b"\0" not in start and printable >= 0.95 * len(start) and not start.startswith((b"PK", b"\x1f\x8b", b"%PDF"))
