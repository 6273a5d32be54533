"""Patterns of files: globs with {id}, {class} and {view} in them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from podium.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp"}


def path_rule(pattern: str, views: Sequence[str] = ()) -> re.Pattern[str]:
    """A glob with {id}, {class} and {view} in it as a regular expression over relative paths.

    A second {id} stands for the same text as the first.

    Raises:
        DataError: if it has {class} or {view} twice.
    """
    rules = {"{id}": r"(?P<id>[^/]+?)", "{class}": r"(?P<class>[^/]+)", "*": "[^/]*", "**/": "(?:.*/)?", "?": "[^/]"}
    rules["{view}"] = "(?P<view>" + "|".join(map(re.escape, views)) + ")"
    rules["{same}"] = "(?P=id)"
    first, id, rest = pattern.partition("{id}")
    once = first + id + rest.replace("{id}", "{same}")
    parts = re.split(r"(\{id\}|\{same\}|\{class\}|\{view\}|\*\*/|\*|\?|\[[^/]+?\])", once)
    sets = {p: f"[{re.escape(p[1:-1])}]" for p in parts if len(p) > 2 and p[0] == "[" and p[-1] == "]"}
    try:
        return re.compile("".join(rules.get(p) or sets.get(p) or re.escape(p) for p in parts))
    except re.error:
        raise _no_pattern(pattern, "it has {class} or {view} twice") from None


def files_like(data: Path, pattern: str) -> list[Path]:
    """The image files that a glob with {id}, {class} and {view} in it could mean, sorted; none that is hidden.

    Raises:
        DataError: if it is no pattern, or leads out of the data folder.
    """
    if ".." in PurePath(pattern).parts:
        raise _no_pattern(pattern, "it leads out of the data folder")
    try:
        found = sorted(data.glob(re.sub(r"\{(id|class|view)\}", "*", pattern)))
    except (ValueError, NotImplementedError, re.error, OSError) as error:
        raise _no_pattern(pattern, str(error)) from None
    return [
        path
        for path in found
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not path.name.startswith(".")
        and (path.is_file() or not path.exists())  # a link that leads nowhere is reported when it is read
    ]


def _no_pattern(pattern: str, why: str) -> DataError:
    return DataError(
        f"'{pattern}' is no pattern of files ({why})",
        where="competition.toml",
        expected="a path inside data/ with *, {id} or {class} in it",
    )


def file_an_object(pattern: str) -> bool:
    """Whether a pattern means several files an id, and so one an object: s/{id}/masks/*.png, but not s/{id}/mask.*."""
    name = PurePath(pattern).name
    return "{id}" not in name and "*" in name.removesuffix(".*")
