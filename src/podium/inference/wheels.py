"""The packages that an offline machine needs: names and versions of what is installed here."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterable

EXTRA = "train"


def needed(package: str = "podium", extra: str = EXTRA) -> dict[str, str]:
    """{name: version} of all that a package requires, directly or not, as it is installed here; without itself."""
    from packaging.requirements import Requirement

    found: dict[str, str] = {}
    todo: list[tuple[str, frozenset[str]]] = [(package, frozenset({extra}))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if name != package:
            found[_plain(distribution.metadata["Name"])] = distribution.version
        for text in distribution.requires or []:
            wanted = Requirement(text)
            if any(wanted.marker is None or wanted.marker.evaluate({"extra": e}) for e in extras | {""}):
                todo.append((_plain(wanted.name), frozenset(wanted.extras)))
    return dict(sorted(found.items()))


def as_lines(packages: dict[str, str]) -> Iterable[str]:
    """As pip reads them; a local part of a version (+cu130) is left out, since indexes do not have it."""
    return (f"{name}=={version.partition('+')[0]}" for name, version in packages.items())


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
