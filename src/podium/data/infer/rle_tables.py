"""Tables of run-length masks: which columns, how ids are spelled, and how the pixels are counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

import cv2
import numpy as np
import polars as pl

from podium.data.layout import ImageFolder, Layout, Pairing
from podium.data.targets import IMAGE_SUFFIXES, OBJECTS
from podium.errors import DataError, PodiumError
from podium.formats import images, masks, rle

SAMPLE = re.compile(r"sample.*sub|submission", re.IGNORECASE)


@dataclass(frozen=True)
class RleTable:
    """A CSV file of run-length masks.

    Attributes:
        rows: {id: runs}; several objects of an image are joined.
        spelling: How the table writes an id, for instance {id}.jpg.
        objects: Whether an image may have several rows.
    """

    path: str
    id_column: str
    value_column: str
    rows: dict[str, str]
    spelling: str
    objects: bool = False


def rle_tables(layout: Layout, *, sample: bool) -> list[RleTable]:
    """The tables of run-length masks: the sample submissions, or the others."""
    known = {stem for f in layout.folders for stem in f.files}
    paths = [p for p in layout.tables if bool(SAMPLE.search(p)) == sample]
    return [t for p in paths if (t := _rle_table(layout, p, known, sample))]


def _rle_table(layout: Layout, path: str, known: set[str], sample: bool) -> RleTable | None:
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
        texts = table[name].to_list()
        if len(set(ids)) < len(ids):
            if not sample and _object_rows(ids, texts):
                return RleTable(path, column, name, _joined(ids, texts), spelling, objects=True)
            first = next(i for i, n in Counter(ids).items() if n > 1)
            one, other, *_ = (line for line, id in enumerate(ids, 2) if id == first)
            raise DataError(
                f"the id '{first}' is there twice, on lines {one} and {other}",
                where=layout.root / path,
                expected="one row an image",
                remedy="remove the extra rows, or join their masks",
            )
        return RleTable(path, column, name, dict(zip(ids, texts, strict=True)), spelling)
    return None


def _object_rows(ids: Sequence[str], texts: Sequence[str]) -> bool:
    """Whether repeated ids are objects of one image: there are many, and no two rows of an id are the same."""
    repeated = sum(n - 1 for n in Counter(ids).values())
    return repeated >= max(3, 0.05 * len(set(ids))) and len(set(zip(ids, texts, strict=True))) == len(ids)


def _joined(ids: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    rows: dict[str, str] = {}
    for id, text in zip(ids, texts, strict=True):
        rows[id] = f"{rows[id]}{OBJECTS}{text}" if id in rows else text
    return rows


def _is_runs(text: str, sample: bool) -> bool:
    numbers = text.split()
    return all(n.isdecimal() for n in numbers) and len(numbers) % 2 == 0 and (sample or len(numbers) > 0)


def id_column(table: pl.DataFrame, known: set[str]) -> tuple[str, str] | None:
    """The column whose values are image ids, and how it spells them ({id}.jpg); None if there is none.

    Where several could be (a running number, an age beside images called 1.png), it is the one with most ids in it.
    """
    best, most = None, 0
    for name in table.columns:
        values = [v for v in table[name].head(300).to_list() if v]
        spelling = _spelling(values, known) if values else None
        if spelling is None:
            continue
        n = len(set(values))
        if n > most:
            best, most = (name, spelling), n
    return best


def _spelling(values: Sequence[str], known: set[str]) -> str | None:
    if sum(v in known for v in values) * 2 > len(values):
        return "{id}"
    paths = [PurePath(v) for v in values]
    suffixes, folders = {p.suffix for p in paths}, {v[: -len(p.name)] for v, p in zip(values, paths, strict=True)}
    if len(suffixes) != 1 or len(folders) != 1:
        return None
    before, after = folders.pop(), suffixes.pop()
    if after.lower() not in IMAGE_SUFFIXES:
        after = ""
    spelling = f"{before}{{id}}{after}"
    ids = [v[len(before) : len(v) - len(after)] for v in values]
    return spelling if spelling != "{id}" and sum(i in known for i in ids) * 2 > len(values) else None


def pixel_order(layout: Layout, pairing: Pairing | None, table: RleTable) -> tuple[str, str]:
    """Whether runs go along rows or down columns: by the masks if there are some, else by the images."""
    if pairing is not None:
        return _order_by_masks(pairing, table)
    holder = max(layout.folders, key=lambda f: len(f.files.keys() & table.rows.keys()))
    return _order_by_edges(holder, table)


def _order_by_masks(pairing: Pairing, table: RleTable) -> tuple[str, str]:
    agree: Counter[str] = Counter()
    looked = 0
    for id in [i for i in pairing.ids if table.rows.get(i)][:60]:
        path = pairing.mask_of(id)
        assert path is not None
        try:
            truth = masks.read_mask(path, "0/max") | masks.read_mask(path, "0/1")
            for order in ("row", "column"):
                decoded = np.zeros(truth.shape, np.bool_)
                for runs in table.rows[id].split(OBJECTS):
                    decoded |= rle.decode(runs, (truth.shape[0], truth.shape[1]), order)
                agree[order] += bool((decoded == truth).all())
        except PodiumError:
            continue
        looked += 1
    best = "column" if agree["column"] > agree["row"] else "row"
    note = f"{table.path} decoded by {best}s equals the mask file on {agree[best]}/{looked} looked at"
    return best, note if agree[best] * 2 > looked else f"unsure: {note}"


def _order_by_edges(holder: ImageFolder, table: RleTable) -> tuple[str, str]:
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
                mask = rle.decode(table.rows[id].split(OBJECTS)[0], gray.shape, order).astype(np.uint8)
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
