"""JSON files beside the data that name classes by number: label_num_to_disease_map.json, cat_to_name.json."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

LARGEST = 1_000_000
_LIST = re.compile(r"class|label|categor|names", re.IGNORECASE)


def json_names(folders: Sequence[Path]) -> Iterator[tuple[Path, dict[int, str]]]:
    """(file, {number: name}) for each JSON file in these folders that gives numbers different names.

    Read are {"0": "cat"}, {"cat": 0}, {"0": ["n02", "cat"]}, {"categories": [{"id": 0, "name": "cat"}]} and, in a file
    that is called so, ["cat", …]. A file of another kind, or one that is not JSON, is passed over.
    """
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.glob("*.json")):
            try:
                given = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST else None
            except (OSError, ValueError, RecursionError):
                continue
            names = dict(_names(given, bool(_LIST.search(path.stem))))
            if len(names) > 1 and len(set(names.values())) == len(names):
                yield path, names


def names_of_numbers(values: Collection[str], folders: Sequence[Path]) -> tuple[str, dict[str, int]]:
    """(file, {name: number}) of a JSON file that names every one of these numbers; ("", {}) if none does."""
    if not values or not all(re.fullmatch(r"\d{1,9}", v) for v in values):
        return "", {}
    numbers = sorted({int(v) for v in values})
    for path, names in json_names(folders):
        if all(n in names for n in numbers):
            return path.name, {names[n]: n for n in numbers}
    return "", {}


def _names(given: Any, called: bool) -> Iterator[tuple[int, str]]:
    if isinstance(given, Mapping) and isinstance(given.get("categories"), list):
        for item in given["categories"]:
            if isinstance(item, Mapping):
                yield from _pair(item.get("id"), item.get("name"))
    elif isinstance(given, Mapping):
        for key, value in given.items():
            name = value[-1] if isinstance(value, list) and value else value
            yield from _pair(key, name) if _number(key) is not None else _pair(name, key)
    elif isinstance(given, list) and called:
        for number, name in enumerate(given):
            yield from _pair(number, name)


def _pair(number: Any, name: Any) -> Iterator[tuple[int, str]]:
    n = _number(number)
    if n is not None and isinstance(name, str) and name.strip():
        yield n, name.strip()


def _number(value: Any) -> int | None:
    text = "" if isinstance(value, bool) else str(value)
    return int(text) if re.fullmatch(r"\d{1,9}", text) else None
