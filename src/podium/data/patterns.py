"""Patterns of files: globs with {id}, {class} and {view} in them, or {id1}, {id2} … of an id in parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePath

from podium.errors import DataError

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp"}


PART = re.compile(r"\{(id[1-9])\}")
"""A part of an id that is made of several pieces of a path."""
_IDS = re.compile(r"(\{id[1-9]?\})")


def path_rule(pattern: str, views: Sequence[str] = ()) -> re.Pattern[str]:
    """A glob with {id}, {class} and {view} in it as a regular expression over relative paths.

    A second {id} stands for the same text as the first; {id1}, {id2} … are parts of one id.

    Raises:
        DataError: if it has {class} or {view} twice.
    """
    rules = {"{class}": r"(?P<class>[^/]+)", "*": "[^/]*", "**/": "(?:.*/)?", "?": "[^/]"}
    rules["{view}"] = "(?P<view>" + "|".join(map(re.escape, views)) + ")"
    parts = re.split(r"(\{id[1-9]?\}|\{class\}|\{view\}|\*\*/|\*|\?|\[[^/]+?\])", pattern)
    sets = {p: f"[{re.escape(p[1:-1])}]" for p in parts if len(p) > 2 and p[0] == "[" and p[-1] == "]"}
    for name in set(_IDS.findall(pattern)):
        rules[name] = f"(?P<{name[1:-1]}>[^/]+?)"
    again = {i: f"(?P={p[1:-1]})" for i, p in enumerate(parts) if _IDS.fullmatch(p) and p in parts[:i]}
    rule = (again.get(i) or rules.get(p) or sets.get(p) or re.escape(p) for i, p in enumerate(parts))
    try:
        return re.compile("".join(rule))
    except re.error:
        raise _no_pattern(pattern, "it has {class} or {view} twice") from None


def id_in(match: re.Match[str], spelling: str | None = None) -> str | None:
    """The id in a match of `path_rule`, of its parts if it has such; None if the pattern has no id.

    Args:
        spelling: How parts make an id, for instance {id1}_slice_{id2}; joined by _ if it is not said.
    """
    found = match.groupdict()
    parts = {name: text for name, text in found.items() if re.fullmatch(r"id[1-9]", name)}
    if not parts:
        return found.get("id")
    return PART.sub(lambda m: parts[m[1]], spelling or "_".join(f"{{{name}}}" for name in sorted(parts)))


def mask_name(
    pattern: str, spelling: str | None, known: Collection[str]
) -> Callable[[str], tuple[str, str | None] | None]:
    """The function from a mask's relative path to its id and class; None for a path that the pattern does not match.

    Args:
        spelling: As for `id_in`.
        known: The images' ids; where something follows an id, a_1 or a_liver, it ends where the longest of them does.
    """
    rule = path_rule(pattern)
    _, _, name = pattern.rpartition("/")
    start, _, rest = name.partition("{id}")
    open_end = pattern.count("{id}") == 1 and name != start and ("*" in rest.removesuffix(".*") or "{class}" in rest)
    after = path_rule(rest)

    def read(path: str) -> tuple[str, str | None] | None:
        match = rule.fullmatch(path)
        if match is None:
            return None
        told = match.groupdict().get("class")
        if open_end:
            begin = match.start("id")
            for end in range(len(path), begin, -1):
                if path[begin:end] in known and (tail := after.fullmatch(path[end:])):
                    return path[begin:end], tail.groupdict().get("class") or told
        return str(id_in(match, spelling)), told

    return read


def row_id(patterns: Sequence[str], spelling: str | None = None) -> Callable[[str], str]:
    """The function from what a table writes to an id: a file's name without its ending is, and an id itself.

    A path is read as ``patterns`` of images read it, where these make an id of its parts; what lies above the data
    folder, or is not written, does not matter.

    Args:
        spelling: As for `id_in`.
    """
    rules = [_endings(pattern) for pattern in patterns if PART.search(pattern)]

    def read(text: str) -> str:
        names = text.split("/")
        for endings in rules if len(names) > 1 else ():
            n = min(len(names), max(endings))
            match = endings[n].fullmatch("/".join(names[-n:])) if n in endings else None
            if match is not None:
                return str(id_in(match, spelling))
        return stem_of(text)

    return read


def _endings(pattern: str) -> dict[int, re.Pattern[str]]:
    """{n: rule of the last n names of a pattern}, for as many as hold all parts of the id."""
    names = pattern.split("/")
    counts = [n for n in range(2, len(names) + 1) if not PART.search("/".join(names[:-n]))]
    return {n: path_rule("/".join(names[-n:])) for n in counts}


def stem_of(text: str) -> str:
    """An id as a table spells it, without an image's ending."""
    path = PurePath(text)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else text


def files_like(data: Path, pattern: str) -> list[Path]:
    """The image files that a glob with {id}, {class} and {view} in it could mean, sorted; none that is hidden.

    Raises:
        DataError: if it is no pattern, or leads out of the data folder.
    """
    if ".." in PurePath(pattern).parts:
        raise _no_pattern(pattern, "it leads out of the data folder")
    try:
        found = sorted(data.glob(re.sub(r"\{(id[1-9]?|class|view)\}", "*", pattern)))
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
    """Whether a pattern means several files an id, an object or a part each: s/{id}/masks/*.png, not s/{id}/mask.*."""
    return "*" in PurePath(pattern).name.removesuffix(".*")
