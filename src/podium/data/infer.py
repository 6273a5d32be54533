"""From a data folder to `competition.toml`: what is inferred, and from what, so that a person can correct it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl

from podium.config import flatten
from podium.data.competition import Competition
from podium.data.layout import ImageFolder, Layout, Pairing, pair_masks, scan, spread, test_folder
from podium.data.samples import IMAGE_SUFFIXES
from podium.errors import DataError, PodiumError
from podium.formats import images, masks, rle

_GROUP_WORDS = re.compile(
    r"^(group|car|patient|subject|case|video|sequence|seq|clip|series|study|slide|house|site)(_?id)?$", re.I
)
_SAMPLE = re.compile(r"sample.*sub|submission", re.IGNORECASE)


@dataclass
class Inference:
    """A competition and, for each key, what told it so."""

    competition: Competition
    why: dict[str, str] = field(default_factory=dict)

    def told(self) -> list[str]:
        """The inferences as lines for the user."""
        tree = self.competition.tree()
        lines = []
        for key, reason in self.why.items():
            section, _, name = key.rpartition(".")
            value = tree.get(section, {}).get(name) if section else tree.get(name)
            lines.append(f"{key} = {value!r}: {reason}")
        return lines

    def with_value(self, key: str, value: Any, reason: str) -> Inference:
        """A copy with one key set by somebody who knows."""
        section, _, name = key.rpartition(".")
        change = {section: {name: value}} if section else {name: value}
        return Inference(self.competition.with_overrides(change), self.why | {key: reason})

    def with_settings(self, settings: Sequence[str]) -> Inference:
        """A copy with ``key=value`` settings of somebody who knows."""
        changed = self.competition.with_overrides(settings)
        return Inference(
            changed, self.why | dict.fromkeys((s.partition("=")[0].strip() for s in settings), "as asked for")
        )

    def with_competition(self, competition: Competition) -> Inference:
        """A copy about a changed competition; reasons are kept for the values that stand."""
        old, new = (dict(flatten(c.tree())) for c in (self.competition, competition))
        return Inference(competition, {k: why for k, why in self.why.items() if old.get(k) == new.get(k)})

    def toml(self) -> str:
        """The commented `competition.toml`."""
        return self.competition.to_toml(self.why)


@dataclass
class _Draft:
    tree: dict[str, Any]
    why: dict[str, str] = field(default_factory=dict)

    def put(self, key: str, value: Any, reason: str) -> None:
        section, _, name = key.rpartition(".")
        (self.tree.setdefault(section, {}) if section else self.tree)[name] = value
        self.why[key] = reason


@dataclass(frozen=True)
class _RleTable:
    path: str
    id_column: str
    value_column: str
    rows: dict[str, str]
    spelling: str


def infer(root: Path, name: str) -> Inference:
    """Read a folder of competition data and say what it is.

    Raises:
        DataError: if there are no images, or no targets that podium can read for them.
    """
    layout = scan(root)
    pairings = pair_masks(layout)
    pairing = pairings[0] if pairings else None
    known = {stem for f in layout.folders for stem in f.files}
    samples = [t for path in layout.tables if _SAMPLE.search(path) if (t := _rle_table(layout, path, known, True))]
    targets = [t for path in layout.tables if not _SAMPLE.search(path) if (t := _rle_table(layout, path, known, False))]
    if pairing is None and not targets:
        raise _no_targets(layout)
    draft = _Draft({"name": name, "task": "segmentation"})
    draft.put("task", "segmentation", "there is a mask for each training image")
    ids = _infer_targets(draft, layout, pairing, targets)
    _infer_test(draft, layout, pairing, samples)
    _infer_submission(draft, layout, pairing, samples, targets)
    _infer_groups(draft, layout, ids)
    _infer_metric(draft, layout, ids)
    return Inference(Competition.from_tree(draft.tree, where="inferred competition.toml"), draft.why)


def _infer_targets(
    draft: _Draft, layout: Layout, pairing: Pairing | None, targets: Sequence[_RleTable]
) -> dict[str, Path]:
    """Training images and masks; returns {id: image}."""
    if pairing is not None:
        draft.put(
            "data.train_images",
            pairing.images.pattern(),
            f"{len(pairing.images.files)} images, {len(pairing.ids)} with a mask",
        )
        mask_pattern = pairing.masks.pattern(stem=f"{pairing.before}{{id}}{pairing.after}")
        draft.put("data.train_masks", mask_pattern, f"{len(pairing.masks.files)} masks whose names match")
        values, reason = _mask_values(pairing)
        draft.put("data.mask_values", values, reason)
        return pairing.images.files
    table = targets[0]
    holder = max(layout.folders, key=lambda f: len(f.files.keys() & table.rows.keys()))
    found = len(holder.files.keys() & table.rows.keys())
    draft.put("data.train_images", holder.pattern(), f"holds {found} of the {len(table.rows)} ids of {table.path}")
    draft.put("data.train_rle", table.path, f"column '{table.value_column}' holds run-length masks")
    return {id: p for id, p in holder.files.items() if id in table.rows}


def _mask_values(pairing: Pairing) -> tuple[str, str]:
    seen: Counter[int] = Counter()
    depths: set[int] = set()
    kinds: set[bool] = set()
    looked = spread([p for id in pairing.ids if (p := pairing.mask_of(id))], 40)
    for path in looked:
        try:
            values, top = masks.mask_values(path)
        except PodiumError:
            continue  # an unreadable mask is prepare's to report
        seen.update(values)
        depths.add(top)
        if values[-1]:
            kinds.add(values[-1] == 1)
        numbered = len(values) > 2 and values == tuple(range(len(values)))
        if numbered and (top > 255 or 64 <= values[-1] < top):  # 8 bits with fewer values: classes, see below
            raise DataError(
                f"the mask numbers {len(values) - 1} objects, one value each",
                where=path,
                expected="one foreground class (masks of 0/1, 0/255 or 0/65535)",
                remedy="podium segments one class so far, not instances; set every object to 255 to train on that",
            )
    found = sorted(seen)
    classes = [v for v in found if v != 255]  # which commonly marks what is to be ignored
    if len(classes) > 2 and max(classes) < 64:
        raise DataError(
            f"the masks hold {len(found)} values ({', '.join(map(str, found[:12]))}…), so several classes",
            where=pairing.masks.path,
            expected="one foreground class (masks of 0/1, 0/255 or 0/65535)",
            remedy="podium segments one class so far; make masks of the class you want",
        )
    mixed = f", {len(depths)} bit depths" if len(depths) > 1 else ""
    if not found or max(found) <= 1:
        return "0/1", f"{len(looked)} masks looked at hold only {found}{mixed}"
    if len(kinds) > 1:
        return "0/1", f"of the {len(looked)} masks looked at some are 0 and 1, some reach {max(found)}{mixed}"
    edge = ", with grey edges: cut at half" if len(found) > 1 + 2 * len(depths) else ""
    return "0/max", f"{len(looked)} masks looked at reach {max(found)}{mixed}{edge}"


def _infer_test(draft: _Draft, layout: Layout, pairing: Pairing | None, samples: Sequence[_RleTable]) -> None:
    wanted = set(samples[0].rows) if samples else set()
    folder = test_folder(layout, pairing, wanted)
    if folder is not None:
        reason = f"{len(folder.files)} images" + (", the ids of the sample submission" if wanted else "")
        draft.put("data.test_images", folder.pattern(), reason)
    if samples:
        draft.put("data.sample_submission", samples[0].path, f"{len(samples[0].rows)} rows")


def _infer_submission(
    draft: _Draft,
    layout: Layout,
    pairing: Pairing | None,
    samples: Sequence[_RleTable],
    targets: Sequence[_RleTable],
) -> None:
    table = samples[0] if samples else targets[0] if targets else None
    draft.put("submission.format", "rle", "one run-length mask an image")
    if table is not None:
        source = f"as in {table.path}"
        draft.put("submission.id_column", table.id_column, source)
        draft.put("submission.value_column", table.value_column, source)
        if table.spelling != "{id}":
            draft.put("submission.id", table.spelling, source)
    truth = targets[0] if targets else None
    order, reason = (
        _order(layout, pairing, truth) if truth else ("row", "no run-length mask to tell; correct it if wrong")
    )
    draft.put("submission.order", order, reason)


def _rle_table(layout: Layout, path: str, known: set[str], sample: bool) -> _RleTable | None:
    """A table with image ids and run-length masks, or None."""
    table = layout.tables[path]
    found = id_column(table, known)
    if found is None:
        return None
    column, spelling = found
    for name in table.columns:
        values = [v for v in table[name].to_list() if v]
        if name == column or not (values or sample) or not all(_is_runs(v, sample) for v in values[:50]):
            continue
        if not sample and re.search(r"width|height|area|count|index", name, re.I):
            continue
        before, after = spelling.split("{id}")
        ids = [v[len(before) : len(v) - len(after)] for v in table[column].to_list()]
        if len(set(ids)) < len(ids):
            first = next(i for i, n in Counter(ids).items() if n > 1)
            one, other, *_ = (line for line, id in enumerate(ids, 2) if id == first)
            raise DataError(
                f"the id '{first}' is there twice, on lines {one} and {other}",
                where=layout.root / path,
                expected="one row an image",
                remedy="remove the extra rows, or join their masks",
            )
        return _RleTable(path, column, name, dict(zip(ids, table[name].to_list(), strict=True)), spelling)
    return None


def _is_runs(text: str, sample: bool) -> bool:
    numbers = text.split()
    return all(n.isdecimal() for n in numbers) and len(numbers) % 2 == 0 and (sample or len(numbers) > 0)


def id_column(table: pl.DataFrame, known: set[str]) -> tuple[str, str] | None:
    """The column whose values are image ids, and how it spells them ({id}.jpg); None if there is none."""
    for name in table.columns:
        values = [v for v in table[name].head(300).to_list() if v]
        if not values:
            continue
        if sum(v in known for v in values) * 2 > len(values):
            return name, "{id}"
        suffixes = {Path(v).suffix for v in values}
        suffix = suffixes.pop() if len(suffixes) == 1 else ""
        if suffix.lower() in IMAGE_SUFFIXES and sum(v.removesuffix(suffix) in known for v in values) * 2 > len(values):
            return name, f"{{id}}{suffix}"
    return None


def _order(layout: Layout, pairing: Pairing | None, table: _RleTable) -> tuple[str, str]:
    """Whether runs go along rows or down columns: by the masks if there are some, else by the images."""
    if pairing is not None:
        return _order_by_masks(pairing, table)
    holder = max(layout.folders, key=lambda f: len(f.files.keys() & table.rows.keys()))
    return _order_by_edges(holder, table)


def _order_by_masks(pairing: Pairing, table: _RleTable) -> tuple[str, str]:
    agree: Counter[str] = Counter()
    looked = 0
    for id in [i for i in pairing.ids if table.rows.get(i)][:60]:
        path = pairing.mask_of(id)
        assert path is not None
        try:
            truth = masks.read_mask(path, "0/max") | masks.read_mask(path, "0/1")
            for order in ("row", "column"):
                agree[order] += bool(
                    (rle.decode(table.rows[id], (truth.shape[0], truth.shape[1]), order) == truth).all()
                )
        except PodiumError:
            continue
        looked += 1
    best = "column" if agree["column"] > agree["row"] else "row"
    note = f"{table.path} decoded by {best}s equals the mask file on {agree[best]}/{looked} looked at"
    return best, note if agree[best] * 2 > looked else f"unsure: {note}"


def _order_by_edges(holder: ImageFolder, table: _RleTable) -> tuple[str, str]:
    """The order whose masks have their borders where the images have edges."""
    score: Counter[str] = Counter()
    for id in [i for i in holder.files if table.rows.get(i)][:40]:
        try:
            image = images.read_image(holder.files[id])
        except PodiumError:
            continue
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
        edges = np.abs(cv2.Sobel(gray, cv2.CV_32F, 1, 0)) + np.abs(cv2.Sobel(gray, cv2.CV_32F, 0, 1))
        edges /= float(edges.mean()) + 1e-6
        marks = {}
        for order in ("row", "column"):
            try:
                mask = rle.decode(table.rows[id], gray.shape, order).astype(np.uint8)
            except PodiumError:
                continue
            border = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
            # a scrambled mask is all border: reward edges under it, punish its length
            marks[order] = float(edges[border].mean()) / (1 + float(border.sum()) ** 0.5) if border.any() else 0.0
        if len(marks) == 2:
            score[max(marks, key=lambda o: marks[o])] += 1
    best = "column" if score["column"] > score["row"] else "row"
    return (
        best,
        f"borders of masks decoded by {best}s lie on image edges more often ({score[best]}/{sum(score.values())})",
    )


def _infer_groups(draft: _Draft, layout: Layout, ids: dict[str, Path]) -> None:
    """Groups that belong together: a telling column of a table, or ids that share a beginning."""
    by_table = _group_column(layout, set(ids))
    by_name = _group_pattern(list(ids))
    if by_table and by_name and _same_partition(by_table[3], by_name[1]):
        draft.put(
            "data.group",
            by_name[0],
            f"{_count(by_name[1])} groups by the beginning of the id, as column '{by_table[2]}' of {by_table[0]} has",
        )
    elif by_table:
        path, column, group, groups = by_table
        draft.put("data.group_csv", path, f"column '{group}' puts {len(ids)} samples into {_count(groups)} groups")
        draft.put("data.group_id_column", column, "holds the image ids")
        draft.put("data.group_column", group, "samples that must stay together")
    elif by_name:
        draft.put(
            "data.group",
            by_name[0],
            f"{_count(by_name[1])} groups by the beginning of the id; remove it if they are unrelated",
        )


def _count(groups: dict[str, str]) -> int:
    return len(set(groups.values()))


def _same_partition(a: dict[str, str], b: dict[str, str]) -> bool:
    """Whether the groups hold the same ids, whatever they are called."""
    return _count(a) == _count(b) == len({(a[id], b[id]) for id in a})


def _group_column(layout: Layout, ids: set[str]) -> tuple[str, str, str, dict[str, str]] | None:
    """A table, its id column, its group column, and {id: group}."""
    for path, table in layout.tables.items():
        found = id_column(table, ids)
        if found is None:
            continue
        column, spelling = found
        before, after = spelling.split("{id}")
        spelled = {f"{before}{id}{after}": id for id in ids}
        rows = table.filter(pl.col(column).is_in(list(spelled)))
        if rows[column].n_unique() < len(ids):
            continue
        for name in table.columns:
            if name != column and _GROUP_WORDS.match(name) and 1 < rows[name].n_unique() < len(rows):
                return path, column, name, {spelled[k]: v for k, v in rows.select(column, name).rows()}
    return None


def _group_pattern(ids: list[str]) -> tuple[str, dict[str, str]] | None:
    """A pattern for ids like <group>_<number> and {id: group}, if it makes at least 3 groups of at least 2."""
    parts = {id: re.fullmatch(r"(.+?)[_-]([0-9]{1,4}|[a-z]+)", id) for id in ids}
    if not ids or not all(parts.values()):
        return None
    groups = {id: m[1] for id, m in parts.items() if m}
    sizes = Counter(groups.values())
    if len(sizes) < 3 or min(sizes.values()) < 2:
        return None
    return r"^(?P<group>.+?)[_-][0-9a-z]+$", groups


def _infer_metric(draft: _Draft, layout: Layout, ids: dict[str, Path]) -> None:
    columns = {tuple(t.columns) for t in layout.tables.values()}
    if ("id", "rle_mask") in columns and ("id", "z") in columns:
        draft.put("metric", "tgs_iou", "tables id,rle_mask and id,z are those of TGS Salt Identification")
    elif ids and all(re.fullmatch(r"[0-9a-f]{12}_\d\d", id) for id in ids):
        draft.put("metric", "dice", "ids are those of Carvana Image Masking, scored by mean Dice")
    else:
        draft.put("metric", "dice", "nothing in the data tells; the commonest for one class")


def _no_targets(layout: Layout) -> DataError:
    folders = ", ".join(f"{f.path} ({len(f.files)} images)" for f in layout.folders[:6])
    tables_found = ", ".join(f"{p} ({', '.join(t.columns[:6])})" for p, t in layout.tables.items()) or "no table"
    return DataError(
        "no masks found for the images",
        where=layout.root,
        expected="a folder of masks whose names match the images', or a CSV file with ids and run-length masks",
        remedy=f"seen: {folders}; {tables_found}. Rename a folder to 'masks', or write competition.toml by hand",
    )
