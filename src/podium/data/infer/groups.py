"""Groups that belong together: a telling column of a table, or ids that share a beginning."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

import polars as pl

from podium.data.competition import listed
from podium.data.infer.draft import Draft
from podium.data.infer.rle_tables import id_column
from podium.data.layout import Layout, split_of

GROUP_WORDS = re.compile(
    r"^(group|car|patient|subject|person|case|video|sequence|seq|scene|scan|volume|clip|series|study|slide|lesion|house|"
    r"site)([_ -]?(id|no|nr|number))?$",
    re.IGNORECASE,
)


_WIDE = re.compile(r"site|group", re.IGNORECASE)
"""Groups that hold others: beside patients, a site is where they were seen."""
_ANSWERS = {"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "y", "n", ""}


def infer_groups(
    draft: Draft, layout: Layout, ids: Iterable[str], class_of: Mapping[str, str | None] | None = None
) -> None:
    """Groups that belong together: a telling column of a table, or ids that share a beginning.

    Args:
        class_of: {id: class}, where folders or names tell it; what ids begin with may be no more than that.
    """
    ids = list(ids)
    if len(set(ids)) < len(ids):  # two splits use the same names; or cases do: 001.png in each
        _by_folder(draft)
        return
    by_table, short = _group_column(layout, set(ids))
    by_name = _case_folders(layout.above, ids) or _group_pattern(ids)
    if by_name and class_of and _are_classes(by_name[1], class_of):
        by_name = None
    if by_table is None and short:
        draft.why["data.train_images"] += f"; unsure: {short}"
    if by_table and by_name and _same_partition(by_table[3], by_name[1]):
        draft.put(
            "data.group",
            by_name[0],
            f"{_count(by_name[1])} groups by the beginning of the id, as column '{by_table[2]}' of {by_table[0]} has",
        )
    elif by_table:
        path, column, group, groups = by_table
        alone = len(set(ids) - groups.keys())
        also = f"; {alone} that it has not are each their own" if alone else ""
        draft.put(
            "data.group_csv", path, f"column '{group}' puts {len(ids)} samples into {_count(groups)} groups{also}"
        )
        draft.put("data.group_id_column", column, "holds the image ids")
        draft.put("data.group_column", group, "samples that must stay together")
    if not (by_table or by_name):
        return
    sizes = Counter((by_table[3] if by_table else by_name[1] if by_name else {}).values())
    if len(sizes) < 5:
        draft.put("folds.k", max(2, len(sizes)), f"there are {len(sizes)} groups to split")
    if not by_table and by_name:
        draft.put(
            "data.group",
            by_name[0],
            f"{_count(by_name[1])} groups by the beginning of the id; remove it if they are unrelated",
        )


def _by_folder(draft: Draft) -> None:
    """A folder of slices or frames for each case; its name stands before the ids."""
    patterns = [PurePath(p).parts for p in listed(draft.tree["data"]["train_images"])]
    names = [parts[-2] if len(parts) > 1 else "" for parts in patterns]
    if len(set(names)) < len(names):  # case1/frames, case2/frames: as ids of the same names begin
        names = next(([str(n) for n in c] for c in zip(*patterns, strict=False) if len(set(c)) > 1), names)
        names = [re.sub(r"[^\w-]", "", name) for name in names]
    if len(set(names)) == len(names) > 2 and not any(split_of(name) for name in names):
        pattern = f"^(?P<group>{'|'.join(map(re.escape, names))})_"
        draft.put("data.group", pattern, f"{len(names)} folders use the same names; remove it if they are unrelated")
        if len(names) < 5:
            draft.put("folds.k", len(names), f"there are {len(names)} groups to split")


def _count(groups: dict[str, str]) -> int:
    return len(set(groups.values()))


def _same_partition(a: dict[str, str], b: dict[str, str]) -> bool:
    """Whether the groups hold the same ids, whatever they are called."""
    return a.keys() == b.keys() and _count(a) == _count(b) == len({(a[id], b[id]) for id in a})


def _group_column(layout: Layout, ids: set[str]) -> tuple[tuple[str, str, str, dict[str, str]] | None, str]:
    """A table, its id column, its group column, and {id: group} of nine of ten ids; and a word on a shorter one."""
    short = ""
    for path, table in layout.tables.items():
        found = id_column(table, ids)
        if found is None:
            continue
        column, spelling = found
        before, after = spelling.split("{id}")
        spelled = {f"{before}{id}{after}": id for id in ids}
        rows = table.filter(pl.col(column).is_in(list(spelled)))
        names = [n for n in table.columns if n != column and GROUP_WORDS.match(n) and _parts(rows[n])]
        if not names:
            continue
        name = next((n for n in names if not _WIDE.match(n)), names[0])
        known = rows[column].n_unique()
        if known * 10 >= len(ids) * 9:
            return (path, column, name, {spelled[k]: v for k, v in rows.select(column, name).rows()}), ""
        short = short or f"column {name} of {path} lacks {len(ids) - known} images, so it makes no groups"
    return None, short


def _are_classes(groups: Mapping[str, str], class_of: Mapping[str, str | None]) -> bool:
    """Whether half of the classes are one group each, so that names say the class: n02085620_10074.jpg."""
    pairs = {(group, class_of.get(id)) for id, group in groups.items()}
    of_class, of_group = Counter(c for _, c in pairs), Counter(g for g, _ in pairs)
    alone = sum(of_class[c] == of_group[g] == 1 for g, c in pairs)
    return alone * 2 >= len(of_class)


def _parts(column: pl.Series) -> bool:
    """Whether a column could name groups: some samples share a value; but 'Group' with 0 and 1 is an answer."""
    values = {v.lower() for v in column.to_list()}
    return 1 < len(values) < len(column) and not values <= _ANSWERS


def _case_folders(above: Mapping[str, Sequence[str]], ids: Sequence[str]) -> tuple[str, dict[str, str]] | None:
    """A pattern and {id: group} by the folders of cases or patients that are part of ids, or the outermost ones."""
    paths = [above[id] for id in ids if id in above]
    if not paths or len(paths) < len(ids):
        return None
    varying = [i for i, names in enumerate(zip(*paths, strict=True)) if len(set(names)) > 1]
    cases = [i for i in varying if all(_CASES.match(path[i]) for path in paths)]
    for i in (cases or varying)[:1]:
        groups = {id: path[i] for id, path in zip(ids, paths, strict=True)}
        words = {m[0] for g in groups.values() if (m := re.match(r"[a-zA-Z]+(?=\d+$)", g))}
        numbered = [f"(?P<group>{words.pop()}\\d+)"] if len(words) == 1 else []
        for pattern in (*numbered, "^(?P<group>[^_]+)_"):
            found = {id: m["group"] if (m := re.search(pattern, id)) else "" for id in ids}
            if _same_partition(found, groups) and _count(found) < len(found):
                return pattern, found
    return None


_CASES = re.compile(r"(patient|subject|person|case|pid|id|p|s)[_-]?\d+", re.IGNORECASE)


_NUMBERED = re.compile(r"(.+?)[_-]((frame|slice|view|crop|patch|tile|[a-z])?[0-9]{1,8}|[a-z]+)")


def _group_pattern(ids: list[str]) -> tuple[str, dict[str, str]] | None:
    """A pattern for ids like <group>_<number> and {id: group}, if it makes at least 3 groups of at least 2."""
    parts = {id: _NUMBERED.fullmatch(id) for id in ids}
    if not ids or not all(parts.values()):
        return None
    groups = {id: m[1] for id, m in parts.items() if m}
    sizes = Counter(groups.values())
    if len(sizes) < 3 or min(sizes.values()) < 2:
        return None
    return r"^(?P<group>.+?)[_-][0-9a-z]+$", groups
