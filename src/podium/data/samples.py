"""From `competition.toml` and the files beside it to samples: one id, its image, its target, its group."""

from __future__ import annotations

import csv
import io
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from podium.data.competition import Competition, DataConfig
from podium.errors import DataError
from podium.files import write_atomic
from podium.formats import tables

IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".gif", ".tif", ".tiff", ".bmp", ".webp"}


@dataclass(frozen=True, slots=True)
class Sample:
    """One id. A training sample has a mask file or a run-length mask; a test sample has neither."""

    id: str
    image: Path
    mask: Path | None = None
    rle: str | None = None
    group: str = ""


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
    images = images_by_id(data, spec.train_images)
    if not images:
        raise DataError(
            "no training image found",
            where=data / spec.train_images,
            remedy="correct data.train_images in competition.toml",
        )
    targets = _rle_targets(competition, data) if spec.train_rle else _mask_targets(spec, data)
    of_masks = {t for t in targets.values() if isinstance(t, Path)}
    images = {id: p for id, p in images.items() if p not in of_masks}  # side by side the pattern matches masks too
    groups = group_of(spec, data, images)
    samples, problems = [], []
    for id, image in images.items():
        target = targets.get(id)
        if target is None:
            problems.append(Problem(id, str(image), "has no mask"))
        elif isinstance(target, Path):
            samples.append(Sample(id, image, mask=target, group=groups[id]))
        else:
            samples.append(Sample(id, image, rle=target, group=groups[id]))
    problems += [Problem(id, str(t), "is a mask without an image") for id, t in targets.items() if id not in images]
    test = images_by_id(data, spec.test_images) if spec.test_images else {}
    return Samples(samples, [Sample(id, image) for id, image in test.items()], problems)


def images_by_id(data: Path, pattern: str) -> dict[str, Path]:
    """{id: file} for the images that ``pattern`` matches, sorted by id; the id is the file's stem.

    Raises:
        DataError: if two files have one id (a.jpg and a.png, or the same name in two folders).
    """
    found: dict[str, Path] = {}
    for path in sorted(data.glob(pattern)):
        if path.suffix.lower() not in IMAGE_SUFFIXES or path.name.startswith(".") or path.is_dir():
            continue
        if not path.name.isprintable() and "\udc80" <= max(path.name) <= "\udcff":
            raise DataError(
                f"a file name is not UTF-8: {os.fsencode(path.name)!r}",
                where=path.parent,
                remedy="rename it, for instance: convmv -f latin1 -t utf8 --notest FOLDER",
            )
        if path.stem in found:
            raise DataError(
                f"two files have the id '{path.stem}'",
                where=path,
                expected=f"one file an id; the other is {found[path.stem]}",
                remedy="move one of them away, or narrow the pattern in competition.toml",
            )
        found[path.stem] = path
    return dict(sorted(found.items()))


def _mask_targets(spec: DataConfig, data: Path) -> dict[str, Path | str]:
    assert spec.train_masks is not None
    before, after = Path(spec.train_masks).name.split("{id}")
    tail = re.compile(re.escape(before) + "(?P<id>.+)" + re.escape(after).replace(r"\*", ".*"))
    found: dict[str, Path | str] = {}
    for path in sorted(data.glob(spec.train_masks.replace("{id}", "*"))):
        match = tail.fullmatch(path.name)
        if match is None or path.suffix.lower() not in IMAGE_SUFFIXES or path.is_dir():
            continue
        if match["id"] in found:
            raise DataError(
                f"two masks for the id '{match['id']}'", where=path, remedy=f"move it or {found[match['id']]} away"
            )
        found[match["id"]] = path
    if not found:
        raise DataError(
            "no mask found", where=data / spec.train_masks, remedy="correct data.train_masks in competition.toml"
        )
    return found


def _rle_targets(competition: Competition, data: Path) -> dict[str, Path | str]:
    form = competition.submission
    path = data / str(competition.data.train_rle)
    table = tables.read_csv(path)
    ids = tables.unique_ids(table, form.id_column, path)
    values = tables.column(table, form.value_column, path).to_list()
    spelled = [form.sample_id(row) for row in ids]
    if any(s is None for s in spelled):
        odd = next(row for row, s in zip(ids, spelled, strict=True) if s is None)
        raise DataError(f"'{odd}' is not spelled like '{form.id}'", where=path, remedy="correct submission.id")
    return {str(s): v or "" for s, v in zip(spelled, values, strict=True)}


def wanted_ids(competition: Competition, data: Path, test: Sequence[Sample]) -> list[str]:
    """Test ids in the order of the sample submission, if there is one.

    Raises:
        DataError: if it has a row without a test image, or a double one.
    """
    have = [s.id for s in test]
    if competition.data.sample_submission is None:
        return have
    path, form, known = data / competition.data.sample_submission, competition.submission, set(have)
    rows = tables.unique_ids(tables.read_csv(path), form.id_column, path)
    ids = [form.sample_id(row) for row in rows]
    odd = [row for row, id in zip(rows, ids, strict=True) if id is None or id not in known]
    if odd:
        raise DataError(f"no test image for '{odd[0]}' ({len(odd)} such)", where=path, remedy="check data.test_images")
    return [str(id) for id in ids]


def group_of(spec: DataConfig, data: Path, ids: Iterable[str]) -> dict[str, str]:
    """{id: group}. Without groups in competition.toml each sample is its own group.

    Raises:
        DataError: if the pattern does not match an id, or the CSV file does not have it.
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
        known = {
            Path(k).stem if Path(k).suffix.lower() in IMAGE_SUFFIXES else k: v
            for k, v in zip(keys, values, strict=True)
        }
        missing = [id for id in ids if id not in known]
        if missing:
            raise DataError(f"no group for the id '{missing[0]}' ({len(missing)} such)", where=path)
        return {id: str(known[id]) for id in ids}
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
