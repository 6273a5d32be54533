"""From `competition.toml` and the files beside it to samples: one id, its image, its target, its group."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from podium.data.competition import Competition, DataConfig, listed
from podium.data.id_lists import listed_ids, only_listed
from podium.data.input_columns import Inputs, read_inputs
from podium.data.patterns import files_like, id_in, path_rule
from podium.data.splits import read_split
from podium.data.targets import Target, find_targets, id_reader, mask_targets, target_word
from podium.errors import DataError
from podium.files import write_atomic
from podium.formats import tables


@dataclass(frozen=True, slots=True)
class Sample:
    """One id and what is known of it. A test sample has no target.

    Attributes:
        image: The image; the first, where a sample has several.
        views: All images of a sample that has several, in the order of `data.views`.
        mask: The mask file, or
        class_masks: the mask file of each class that has one, or
        rle: the run-length masks, {class: runs}; several objects of a class are joined by ";".
        values: The targets of a table or a class folder: the class's number, a 0 or 1 a class, or the numbers.
        inputs: What a model may use beside the image, as the table has it; "" for what no table has.
        group: Samples of one group stay together.
        split: "train", or "val" for the official validation images.
    """

    id: str
    image: Path
    mask: Path | None = None
    rle: str | None = None
    group: str = ""
    views: tuple[Path, ...] = ()
    class_masks: tuple[tuple[str, Path], ...] = ()
    values: tuple[float, ...] = ()
    inputs: tuple[str, ...] = ()
    split: str = "train"


@dataclass(frozen=True, slots=True)
class Problem:
    """A sample that cannot be used, and why."""

    id: str
    file: str
    reason: str


@dataclass(frozen=True)
class Samples:
    """Everything a competition's data folder holds, in id order, and what is wrong with it."""

    train: list[Sample]
    test: list[Sample]
    problems: list[Problem] = field(default_factory=list)


def list_samples(competition: Competition, data: Path) -> Samples:
    """Find every sample below ``data``; nothing is decoded.

    Raises:
        DataError: if no training image is found, or an id stands for two files or two rows.
    """
    spec = competition.data
    if not data.exists():
        raise DataError(
            "the data folder is not there",
            where=data,
            remedy="if it was moved, point the link 'data' in the workspace to where it is now",
        )
    before = id_prefixes(data, spec)
    images = find_images(data, spec.train_images, spec.views, before, spec.image_id)
    images = {id: f for id, f in images.items() if f.folder_class not in spec.exclude_classes}
    if not images:
        raise DataError(
            "no training image found",
            where=f"{data}/{', '.join(listed(spec.train_images))}",
            remedy="correct data.train_images in competition.toml",
        )
    every, images = images, only_listed(spec, data, images, before)
    parts = read_split(spec, data, before)
    images = {id: f for id, f in images.items() if parts.get(id) != "test"}
    targets = find_targets(competition, data, images, before)
    of_masks = {p for t in targets.values() for p in (t.mask, *(m for _, m in t.class_masks)) if p}
    images = {id: f for id, f in images.items() if f.path not in of_masks}  # side by side the pattern matches both
    every_one = bool(spec.train_rle) and spec.no_row == "empty"  # has a target, and so a group
    groups = group_of(spec, data, [id for id in images if every_one or id in targets])
    val, val_ids = _paths(data, spec.val_images, spec.views), set[str]()
    val_ids |= listed_ids(spec, data, spec.val_list, before) or set()
    val_ids |= {id for id, part in parts.items() if part == "val"}
    both = _paths(data, spec.test_images, spec.views)  # one folder may hold both, and the targets tell which is which
    samples, problems = [], []
    extra, none = read_inputs(spec, data, id_reader(spec)), ("",) * len(spec.inputs)
    for id, found in images.items():
        target = targets.get(id)
        if found.path in both and (target is None or (spec.class_folders and target.problem)):
            targets.pop(id, None)  # a folder of test images beside those of the classes
            continue
        if target is None and spec.train_rle and spec.no_row == "empty":
            target = Target(str(data / spec.train_rle), rle="")
        if target is None or target.problem:
            problems.append(Problem(id, str(found.path), target.problem if target else f"has no {target_word(spec)}"))
        else:
            views, missing = _views(spec.views, found)
            if missing:
                problems.append(Problem(id, str(found.path), f"has no view {', '.join(missing)}"))
                continue
            known = {name: getattr(target, name) for name in ("mask", "class_masks", "rle", "values", "inputs")}
            known["inputs"] = extra.get(id, target.inputs or none)
            split = "val" if found.path in val or id in val_ids else "train"
            samples.append(
                Sample(id, views[0] if views else found.path, group=groups[id], views=views, split=split, **known)
            )
    for id, target in targets.items():
        if id not in images and id not in every:
            problems.append(Problem(id, target.where, f"is a {target_word(spec)} without an image"))
    known_paths = {images[id].path for id in images.keys() & targets.keys()}
    return Samples(samples, _test_samples(spec, data, known_paths, extra), problems)


def test_samples(competition: Competition, data: Path) -> list[Sample]:
    """The test samples of a data folder that need not hold training images."""
    spec = competition.data
    if not any(_paths(data, spec.train_images, spec.views)):
        return _test_samples(spec, data, set(), read_inputs(spec, data, id_reader(spec)))
    return list_samples(competition, data).test


def _paths(data: Path, patterns: str | list[str] | None, views: Sequence[str]) -> set[Path]:
    """Every image that the patterns match."""
    return {path for pattern in listed(patterns) for path, *_ in _matches(data, pattern, views)}


def _test_samples(spec: DataConfig, data: Path, train: set[Path], inputs: Mapping[str, Inputs]) -> list[Sample]:
    """The test images, without those that are known to be training images."""
    before = id_prefixes(data, spec, listed(spec.test_images))
    images = find_images(data, spec.test_images, spec.views, before, spec.image_id)
    drawn = _masks_of_test(spec, data, images)  # side by side the pattern matches both
    images = {id: found for id, found in images.items() if found.path not in train | drawn}
    try:
        groups = group_of(spec, data, images)
    except DataError:  # a table of groups need not know the test images
        groups = {}
    samples, none = [], ("",) * len(spec.inputs)
    for id, found in images.items():
        views, _ = _views(spec.views, found)
        samples.append(
            Sample(
                id, views[0] if views else found.path, group=groups.get(id, id), views=views,
                inputs=inputs.get(id, none), split="test",
            )
        )  # fmt: skip
    return samples


def _masks_of_test(spec: DataConfig, data: Path, images: Mapping[str, FoundImage]) -> set[Path]:
    if not spec.test_masks:
        return set()
    try:
        found = mask_targets(listed(spec.test_masks), spec, data, images=images)
    except DataError:  # two test sets may use the same names
        return set()
    return {p for t in found.values() for p in (t.mask, *(m for _, m in t.class_masks)) if p}


def _views(names: Sequence[str], found: FoundImage) -> tuple[tuple[Path, ...], list[str]]:
    """A sample's images in the order of ``names``, and the names that it has none for."""
    missing = [name for name in names if name not in found.views]
    return tuple(found.views[name] for name in names if name in found.views), missing


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image file, and what its path says of it."""

    path: Path
    folder_class: str | None = None
    views: dict[str, Path] = field(default_factory=dict)


def id_prefixes(data: Path, spec: DataConfig, patterns: Sequence[str] | None = None) -> list[str]:
    """What is put before the ids of each pattern of training images: its split, where two splits use the same names.

    Args:
        patterns: Others than those of the training images.
    """
    patterns = listed(spec.train_images) if patterns is None else patterns
    none = [""] * len(patterns)
    if len(patterns) < 2:
        return none
    hits = [{(id, name, view) for _, id, name, view in _matches(data, p, spec.views, spec.image_id)} for p in patterns]
    parts = [p.split("/") for p in patterns]
    differ = [i for i, names in enumerate(zip(*parts, strict=False)) if len(set(names)) > 1]
    if not differ or sum(map(len, hits)) == len(set().union(*hits)):
        return none
    for places in (differ[:1], differ):  # train/rural and train/city and val/rural need both
        names = ["_".join(dict.fromkeys(re.sub(r"[^\w-]", "", p[i]) for i in places if i < len(p))) for p in parts]
        if len(set(names)) == len(names):
            return [f"{name}_" for name in names]
    return none


def find_images(
    data: Path,
    patterns: str | list[str] | None,
    views: Sequence[str] = (),
    prefixes: Sequence[str] = (),
    spelling: str | None = None,
) -> dict[str, FoundImage]:
    """{id: image} for what the patterns match, sorted by id.

    The id is what {id} stands for, or what its parts make, as ``spelling`` says; else the file's name without its
    ending. With {class} in the pattern and one name in two classes, the class is put before it; and before that the
    prefix of its pattern, as `id_prefixes` gives them.

    Raises:
        DataError: if two files have one id (a.jpg and a.png, or the same name in two folders).
    """
    before = prefixes or [""] * len(listed(patterns))
    hits = [
        (p, *hit)
        for p, pattern in zip(before, listed(patterns), strict=True)
        for hit in _matches(data, pattern, views, spelling)
    ]
    names = Counter((p, id, view) for p, _, id, _, view in hits)
    by_class = any(folder for *_, folder, _ in hits) and any(n > 1 for n in names.values())
    found: dict[str, FoundImage] = {}
    for prefix, path, stem, folder, view in hits:
        id = prefix + (f"{folder}_{stem}" if by_class else stem)
        known = found.get(id)
        if known is not None and (not view or view in known.views):
            raise DataError(
                f"two files have the id '{id}'",
                where=path,
                expected=f"one file an id; the other is {known.path}",
                remedy="move one of them away, or narrow the pattern in competition.toml",
            )
        found.setdefault(id, FoundImage(path, folder)).views.update({view: path} if view else {})
    return dict(sorted(found.items()))


def _matches(
    data: Path, pattern: str, views: Sequence[str], spelling: str | None = None
) -> list[tuple[Path, str, str | None, str]]:
    """(file, id, class, view) of every image that a pattern matches."""
    rule = path_rule(pattern, views) if "{" in pattern else None
    out = []
    for path in files_like(data, pattern):
        if not path.name.isprintable() and "\udc80" <= max(path.name) <= "\udcff":
            raise DataError(
                f"a file name is not UTF-8: {os.fsencode(path.name)!r}",
                where=path.parent,
                remedy="rename it, for instance: convmv -f latin1 -t utf8 --notest FOLDER",
            )
        match = rule.fullmatch(path.relative_to(data).as_posix()) if rule else None
        if rule and not match:
            continue
        named = match.groupdict() if match else {}
        id = id_in(match, spelling) if match else None
        out.append((path, id or path.stem, named.get("class"), named.get("view") or ""))
    return out


def images_by_id(data: Path, patterns: str | list[str]) -> dict[str, Path]:
    """{id: file} for the images that the patterns match, sorted by id; see `find_images`."""
    return {id: found.path for id, found in find_images(data, patterns).items()}


def wanted_ids(competition: Competition, data: Path, test: Sequence[Sample]) -> list[str]:
    """Test ids in the order of the sample submission, if there is one.

    Raises:
        DataError: if it has a row without a test image, or a double one.
    """
    have = [s.id for s in test]
    if competition.data.sample_submission is None:
        return have
    path, form, known = data / competition.data.sample_submission, competition.submission, set(have)
    table = tables.read_csv(path)
    if form.class_column or form.format == "rle_objects":  # an id has several rows
        rows = list(dict.fromkeys(tables.column(table, form.id_column, path).to_list()))
    else:
        rows = tables.unique_ids(table, form.id_column, path)
    ids = [form.sample_id(row) for row in rows]
    odd = [row for row, id in zip(rows, ids, strict=True) if id is None or id not in known]
    if odd:
        raise DataError(f"no test image for '{odd[0]}' ({len(odd)} such)", where=path, remedy="check data.test_images")
    return list(dict.fromkeys(str(id) for id in ids))


def group_of(spec: DataConfig, data: Path, ids: Iterable[str]) -> dict[str, str]:
    """{id: group}. Without groups in competition.toml each sample is its own group.

    So is one that the CSV file does not have, if it has nine of ten.

    Raises:
        DataError: if the pattern does not match an id, or the CSV file does not have more than one of ten.
    """
    if spec.group:
        pattern = re.compile(spec.group)
        groups = {}
        for id in ids:
            match = pattern.search(id)
            if match is None or match["group"] is None:
                raise DataError(
                    f"the id '{id}' does not match data.group", expected=spec.group, where="competition.toml"
                )
            groups[id] = match["group"]
        return groups
    if spec.group_csv:
        path = data / spec.group_csv
        table = tables.read_csv(path)
        keys = tables.column(table, str(spec.group_id_column), path).to_list()
        values = tables.column(table, str(spec.group_column), path).to_list()
        known = dict(zip(map(id_reader(spec), keys), values, strict=True))
        wanted = list(ids)
        missing = [id for id in wanted if id not in known]
        if len(missing) * 10 > len(wanted):
            raise DataError(f"no group for the id '{missing[0]}' ({len(missing)} such)", where=path)
        return {id: str(known.get(id, id)) for id in wanted}
    return {id: id for id in ids}


def merge_groups(groups: Sequence[str], alike: Sequence[str]) -> list[str]:
    """Join groups that share an ``alike`` value (identical pixels): each gets the name of its first group."""
    parent: dict[str, str] = {g: g for g in groups}

    def root(g: str) -> str:
        while parent[g] != g:
            parent[g] = parent[parent[g]]
            g = parent[g]
        return g

    seen: dict[str, str] = {}
    for group, key in zip(groups, alike, strict=True):
        if key in seen:
            a, b = sorted((root(group), root(seen[key])))
            parent[b] = a
        seen[key] = group
    return [root(g) for g in groups]


EXCLUDE_HEADER = ("id", "reason", "by")


def read_exclusions(path: Path) -> dict[str, str]:
    """{id: reason} of `exclude.csv`; empty if there is none."""
    if not path.exists():
        return {}
    table = tables.read_csv(path)
    ids = tables.column(table, "id", path).to_list()
    reasons = table["reason"].to_list() if "reason" in table.columns else [""] * len(ids)
    return {id: reason or "" for id, reason in zip(ids, reasons, strict=True)}


def add_exclusions(path: Path, problems: Sequence[Problem], by: str) -> None:
    """Add samples to `exclude.csv`, keeping what stands there."""
    rows = {id: (reason, "user") for id, reason in read_exclusions(path).items()}
    if path.exists():
        table = tables.read_csv(path)
        if "by" in table.columns:
            rows = {r["id"]: (r.get("reason") or "", r["by"] or "") for r in table.iter_rows(named=True)}
    reasons: dict[str, list[str]] = defaultdict(list)
    for p in problems:
        reasons[p.id].append(p.reason)
    for id, why in reasons.items():
        rows.setdefault(id, ("; ".join(why), by))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(EXCLUDE_HEADER)
    writer.writerows((id, *row) for id, row in sorted(rows.items()))
    write_atomic(path, text.getvalue())
