"""Ids of several names of a path: case1_day2_slice_0001 of case1/case1_day2/scans/slice_0001_266.png; or all of it."""

from __future__ import annotations

import glob
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from pathlib import PurePath

import polars as pl

from podium.data.infer.rle_tables import SAMPLE
from podium.data.layout import ImageFolder, Layout, beginning, split_of
from podium.data.patterns import id_in, path_rule, row_id, stem_of

LOOKED = 300
MANY = 4
"""Folders that are not named one by one."""
MOST_FOLDERS = 4
"""Names of folders that an id is made of."""
_JOINS = ("_", "-", "")
Names = tuple[str, ...]
"""The names in a path."""


@dataclass(frozen=True)
class _Way:
    """How ids are made of a path's names.

    Attributes:
        places: Which folders, from the left.
        join: What stands between the names.
        keep: How many pieces of the file's name, which underscores separate; all if None.
    """

    places: tuple[int, ...]
    join: str = "_"
    keep: int | None = None

    def kept(self, names: Sequence[str]) -> str:
        """The part of the file's name that is in the id."""
        stem = PurePath(names[-1]).stem
        return stem if self.keep is None else "_".join(stem.split("_")[: self.keep])

    def id_of(self, names: Sequence[str]) -> str:
        """The id that a path's names make."""
        return self.join.join([*(names[i] for i in self.places), self.kept(names)])


def with_joined_ids(layout: Layout) -> Layout:
    """The layout with images in deep folders put together, where tables name them by several names of their paths.

    Each split is one folder then, whose files have the ids of the tables; tables of paths get these ids instead.
    Any other layout is returned as it is.
    """
    found = families(layout)
    first = next(iter(found.values()), [])
    columns = [
        set(table[c].head(LOOKED).to_list()) - {""} for p, table in layout.tables.items() if not SAMPLE.search(p)
        for c in table.columns
    ]  # fmt: skip
    if not first or not columns:
        return layout
    stems = [PurePath(names[-1]).stem for names in first]
    repeated = len(set(stems)) * 10 < 9 * len(stems)
    by_path = repeated and any(_are_paths(values, set(stems)) for values in columns)
    if not by_path and any(sum(stem_of(v) in set(stems) for v in values) * 2 > len(values) > 0 for values in columns):
        return layout
    way = _Way(telling(first)) if by_path else _way(layout, first)
    return (_joined(layout, found, way) or layout) if way is not None else layout


def with_deep_folders_together(layout: Layout, ids: Collection[str]) -> Layout:
    """The layout with images of many folders below one put together, a folder a split, where no name comes twice.

    So lie images in folders of patients, or of the first letters of their names. Most must be among the ``ids`` of a
    table: what else lies beside them, previews for instance, is then not taken along.
    """
    split = families(layout)
    first = next(iter(split.values()), [])
    several = varying(first) if first else []
    if not several or several[0] == 0 or len({names[:-1] for names in first}) < MANY:
        return layout
    if sum(PurePath(names[-1]).stem in ids for names in first) * 2 < len(first):
        return layout
    folders = []
    for paths in split.values():
        files = {PurePath(names[-1]).stem: layout.root.joinpath(*names) for names in paths}
        if len(files) < len(paths):
            return layout
        above = ["*" if i in several else glob.escape(name) for i, name in enumerate(paths[0][:-1])]
        pattern = "/".join([*above, f"*{_ending(paths)}"])
        folders.append(ImageFolder("/".join(paths[0][: several[0]]), files, own_pattern=pattern))
    taken = {p for f in folders for p in f.files.values()}
    return replace(layout, folders=folders + [f for f in layout.folders if not taken & set(f.files.values())])


def families(layout: Layout) -> dict[tuple[int, str], list[Names]]:
    """{(names in a path, split): the names of each image's path}, the largest that is no test set first."""
    found: dict[tuple[int, str], list[Names]] = defaultdict(list)
    for folder in layout.folders:
        above = tuple(folder.path.split("/"))
        found[len(above) + 1, split_of(folder.path)] += [(*above, p.name) for p in folder.files.values()]
    deep = {key: names for key, names in found.items() if key[0] > 2 and len({n[:-1] for n in names}) > 1}
    depth = max(deep, key=lambda k: (k[1] != "test", len(deep[k])), default=(0, ""))[0]
    order = sorted(found, key=lambda k: (k[1] == "test", -len(found[k])))
    return {key: found[key] for key in order if key[0] == depth}


def _are_paths(values: set[str], stems: set[str]) -> bool:
    return sum("/" in v and stem_of(v) in stems for v in values) * 2 > len(values) > 0


def varying(paths: Sequence[Names]) -> list[int]:
    """Which folders differ, the outermost first."""
    return [i for i, names in enumerate(zip(*paths, strict=True)) if len(set(names)) > 1 and i < len(paths[0]) - 1]


def telling(paths: Sequence[Names]) -> tuple[int, ...]:
    """The folders that differ, but for those that a later one repeats, as case1/case1_day2 does."""
    every = varying(paths)
    return tuple(i for i in every if not any(all(p[i] in p[j] for p in paths) for j in every if j > i))


def _way(layout: Layout, paths: Sequence[Names]) -> _Way | None:
    """The way to make ids that most values of a column are, if there is one."""
    some = [paths[i * len(paths) // min(LOOKED, len(paths))] for i in range(min(LOOKED, len(paths)))]
    places = varying(paths)[-MOST_FOLDERS:]
    ways = [
        _Way(of, join, keep)
        for n in range(1, len(places) + 1)
        for of, join, keep in product(combinations(places, n), _JOINS, (None, 1, 2, 3))
    ]
    best, most = None, len(some) // 2
    for path, table in layout.tables.items():
        for column in table.columns if not SAMPLE.search(path) else ():
            values = set(table[column].to_list())
            for way in ways:
                hits = sum(way.id_of(names) in values for names in some)
                if hits > most:
                    best, most = way, hits
    return best


def _joined(layout: Layout, split: dict[tuple[int, str], list[Names]], way: _Way) -> Layout | None:
    folders, above = list[ImageFolder](), dict[str, Names]()
    first = next(iter(split.values()))
    several = set(varying(first)) | set(way.places)
    kept = [way.kept(names) for names in first]
    shared = beginning(kept)
    shared = shared[: max(shared.rfind("_"), shared.rfind("-")) + 1] if glob.escape(shared) == shared else ""
    pieces = {text.removeprefix(shared).count("_") for text in kept} if way.keep is not None else {0}
    n, last = len(way.places), max(pieces) + 1
    if len(pieces) > 1 or n + last > 9:
        return None  # no pattern tells where the id ends
    in_name = shared + "_".join(f"{{id{i}}}" for i in range(n + 1, n + last + 1))
    spelling = way.join.join([*(f"{{id{i}}}" for i in range(1, n + 1)), in_name])
    for paths in split.values():
        pattern = _pattern(paths, way, several, in_name)
        rule = path_rule(pattern)
        ids = [id_in(m, spelling) if (m := rule.fullmatch("/".join(names))) else None for names in paths]
        if len(set(ids)) < len(ids) or None in ids:
            return None
        files = {str(id): layout.root.joinpath(*names) for id, names in zip(ids, paths, strict=True)}
        above |= {str(id): names[:-1] for id, names in zip(ids, paths, strict=True)}
        place = "/".join(paths[0][: min(several)])
        folders.append(ImageFolder(place or ".", files, own_pattern=pattern))
    taken = {p for f in folders for p in f.files.values()}
    others = [f for f in layout.folders if not taken & set(f.files.values())]
    plain = "_".join(f"{{id{i}}}" for i in range(1, n + last + 1))
    out = replace(layout, folders=folders + others, above=above, image_id=None if spelling == plain else spelling)
    return replace(out, tables=dict(_tables(out, spelling)))


def _pattern(paths: Sequence[Names], way: _Way, several: set[int], in_name: str) -> str:
    """A glob of these paths with the parts of the id in it, ``in_name`` those of the file's name."""
    parts = []
    for i, name in enumerate(paths[0][:-1]):
        part = f"{{id{way.places.index(i) + 1}}}" if i in way.places else "*"
        parts.append(part if i in several else glob.escape(name))
    rest = "" if way.keep is None else "_*"
    return "/".join([*parts, f"{in_name}{rest}{_ending(paths)}"])


def _ending(paths: Sequence[Names]) -> str:
    suffixes = {PurePath(names[-1]).suffix for names in paths}
    return suffixes.pop() if len(suffixes) == 1 else ".*"


def _tables(layout: Layout, spelling: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The tables, with ids where they write paths."""
    known = {id for f in layout.folders for id in f.files}
    read = row_id([f.own_pattern for f in layout.folders if f.own_pattern], spelling)
    for path, table in layout.tables.items():
        for column in table.columns:
            ids = [read(v) for v in table[column].to_list()] if "/" in "".join(table[column].head(1).to_list()) else []
            if sum(id in known for id in ids) * 2 > len(ids) > 0:
                table = table.with_columns(pl.Series(column, ids))
        yield path, table
