"""Text files beside the data that name classes: by number, or by colour."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from podium.data.infer.json_names import json_names
from podium.formats.colours import Colour

_NAME = r"[^\W\d][\w /()-]*"
_RANGE = re.compile(rf"\b(\d+)\s*(?:\.\.+|-|–|to)\s*(\d+)\s*[=:]\s*({_NAME}(?:,\s*{_NAME})*)")
_PAIR = re.compile(rf"(?:^|[;,(])[\s>*•-]*(\d{{1,3}})\s*[=:]\s*({_NAME}?)\s*(?=$|[;,.)])", re.MULTILINE)
_LINE = re.compile(rf"^\W*(\d{{1,3}})(?:\s*[=:,.)\t|-]\s*|\s+)({_NAME}?)\s*\W?$", re.MULTILINE)
_LIST = re.compile(r"class|label|categor|names", re.IGNORECASE)
_ENDINGS = (".txt", ".md", ".names", ".csv", ".tsv")
_BREAK = r"[\s,;:=|\[\]()]+"
_NAME_FIRST = re.compile(
    rf"^\W*(?:\d+{_BREAK})?({_NAME}?){_BREAK}(\d{{1,3}}){_BREAK}(\d{{1,3}}){_BREAK}(\d{{1,3}})\b(?!\.)"
)
_COLOUR_FIRST = re.compile(rf"^\W*(\d{{1,3}}){_BREAK}(\d{{1,3}}){_BREAK}(\d{{1,3}}){_BREAK}({_NAME}?)\W*$")
_HEX = re.compile(rf"^\W*(?:\d+{_BREAK})?({_NAME}?){_BREAK}#([0-9a-f]{{6}})\b", re.IGNORECASE)


def folders_above(files: Sequence[Path], root: Path) -> list[Path]:
    """The folders from the data folder down to some files, where a text file about them may lie."""
    below = {p for file in files[:1] for p in file.parents if root in p.parents}
    return [root, *sorted(below)]


def named_classes(folders: Sequence[Path]) -> dict[int, str]:
    """{value: name} that a text file beside the data gives, if one does with several different names.

    Read are JSON files, as `json_names` does, `0..10 = sky, building, …` with `11 = unlabelled`, a line `3: car` or
    `3 car` a class, and, in a file that is called so, a name a line or a row with number and name.
    """
    best: dict[int, str] = {}
    for _, by_number in json_names(folders):
        best = by_number if len(by_number) > len(best) and max(by_number) <= 255 else best
    for path, text in _texts(folders):
        called = bool(_LIST.search(path.stem)) or path.suffix.lower() == ".names"
        if path.suffix.lower() in (".csv", ".tsv") and not called:
            continue
        names = _names_in(text, called)
        if len(names) > max(1, len(best)) and len(set(names.values())) == len(names):
            best = names
    return best


def named_colours(folders: Sequence[Path]) -> list[tuple[str, dict[str, Colour]]]:
    """(file, {name: colour}) for each text file beside the data that gives several classes a colour.

    Read are a table with columns name, r, g, b, and lines `128 0 0 car`, `car 128 0 0`, `car: #800000` or CVAT's
    `car:128,0,0::`. A name or colour that comes again counts once.
    """
    found = []
    for path, text in _texts(folders):
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        colours: dict[str, Colour] = {}
        for name, colour in _rows(lines) or [pair for line in lines if (pair := _pair(line))]:
            if name and max(colour) <= 255 and colour not in colours.values():
                colours.setdefault(name, colour)
        if len(colours) > 1:
            found.append((path.name, colours))
    return found


def _texts(folders: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted(p for p in folder.iterdir() if p.suffix.lower() in _ENDINGS and p.is_file()):
            try:
                yield path, path.read_bytes()[:100_000].decode("utf-8-sig", errors="ignore")
            except OSError:
                continue


def _rows(lines: Sequence[str]) -> list[tuple[str, Colour]]:
    """The rows of a table whose header names the columns of a name and of red, green and blue."""
    separator = max(",;\t", key=lines[0].count) if lines else ","
    table = [[v.strip() for v in row] for row in csv.reader(lines, delimiter=separator)]
    header = [v.lower() for v in table[0]] if table else []
    columns = next(([header.index(n) for n in rgb] for rgb in _CHANNELS if set(rgb) <= set(header)), [])
    name = next((header.index(n) for n in _COLUMNS if n in header), None)
    if not columns or name is None:
        return []
    rows = [row for row in table[1:] if len(row) > max(*columns, name) and all(row[c].isdecimal() for c in columns)]
    return [(row[name], (int(row[columns[0]]), int(row[columns[1]]), int(row[columns[2]]))) for row in rows]


_CHANNELS = (("r", "g", "b"), ("red", "green", "blue"))
_COLUMNS = ("name", "class", "class_name", "classname", "label", "label_name", "category")


def _pair(line: str) -> tuple[str, Colour] | None:
    if m := _HEX.match(line):
        red, green, blue = bytes.fromhex(m[2])
        return m[1].strip(), (red, green, blue)
    if m := _COLOUR_FIRST.match(line):
        return m[4].strip(), (int(m[1]), int(m[2]), int(m[3]))
    if m := _NAME_FIRST.match(line):
        return m[1].strip(), (int(m[2]), int(m[3]), int(m[4]))
    return None


def _names_in(text: str, called: bool) -> dict[int, str]:
    names: dict[int, str] = {}
    for first, last, listed in _RANGE.findall(text):
        words = [w.strip() for w in listed.split(",") if w.strip()]
        if len(words) == int(last) - int(first) + 1:
            names |= {int(first) + i: word for i, word in enumerate(words)}
    for value, word in (*_PAIR.findall(text), *_LINE.findall(text)):
        names.setdefault(int(value), word.strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if called and not names and all(re.fullmatch(_NAME, line) for line in lines):
        names = dict(enumerate(lines))
    elif called and not names:  # name,number: car,3
        rows = [re.fullmatch(rf"({_NAME}?)\s*[,;\t:=]\s*(\d{{1,3}})\b.*", line) for line in lines]
        names = {int(m[2]): m[1].strip() for m in rows if m}
    return {v: name for v, name in names.items() if name and v <= 255}
