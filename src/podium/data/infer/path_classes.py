"""Classes that folders are called after far above the images: patient00005/study1_positive/image1.png."""

from __future__ import annotations

import glob
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePath

from podium.data.infer.class_trees import ClassFolders
from podium.data.infer.id_parts import Names, families, telling, varying
from podium.data.layout import Layout
from podium.data.patterns import id_in, path_rule

MOST_CLASSES = 20
FEWEST = 3
"""Images a class."""
_NAMED = re.compile(r"(.*\d)([_-])([^\W\d_]+)")
"""A numbered name and its class; without the number it may be all of a class: Apple_healthy, Corn_healthy."""


def path_classes(layout: Layout) -> tuple[ClassFolders, dict[str, Names]] | None:
    """Folders whose names end with a class, with other folders above or below; and {id: the names of its folders}."""
    split = families(layout)
    first = next(iter(split.values()), [])
    for place in varying(first) if len(varying(first)) > 1 else ():
        matches = [m for names in first if (m := _NAMED.fullmatch(names[place]))]
        counts = Counter(m[3] for m in matches)
        if len(matches) < len(first) or not 2 <= len(counts) <= MOST_CLASSES or min(counts.values()) < FEWEST:
            continue
        if len({m[2] for m in matches}) > 1 or len({m[1] for m in matches}) == len(matches):
            continue
        patterns = {key[1]: _pattern(paths, first, place, matches[0][2]) for key, paths in split.items()}
        above = {id: names for key, paths in split.items() for id, names in _ids(paths, patterns[key[1]]).items()}
        if len(above) < sum(map(len, split.values())):
            continue
        trained = [p for name, p in patterns.items() if name != "test"]
        val = patterns.get("val") if len(trained) > 1 else None
        classes = {name: i for i, name in enumerate(sorted(counts))}
        return ClassFolders(trained, classes, len(above), val, patterns.get("test")), above
    return None


def _pattern(paths: Sequence[Names], first: Sequence[Names], place: int, join: str) -> str:
    """A glob of paths, {class} at the end of one folder's name, and a part of the id in every other that differs."""
    parts, several, told = [], varying(first), {*telling(first), place}
    for i, name in enumerate(paths[0][:-1]):
        part = f"{{id{len([p for p in told if p <= i])}}}" if i in told else "*"
        end = f"{join}{{class}}" if i == place else ""
        parts.append(part + end if i in several else glob.escape(name))
    suffixes = {PurePath(names[-1]).suffix for names in paths}
    return "/".join([*parts, f"{{id{len(told) + 1}}}" + (suffixes.pop() if len(suffixes) == 1 else ".*")])


def _ids(paths: Sequence[Names], pattern: str) -> dict[str, Names]:
    rule = path_rule(pattern)
    return {str(id_in(m)): names[:-1] for names in paths if (m := rule.fullmatch("/".join(names)))}
