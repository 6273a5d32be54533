"""Tables of run-length masks: which columns, how ids are spelled, and how the pixels are counted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import PurePath

import cv2
import numpy as np
import polars as pl

from podium.data.infer.spelling import MOST_CLASSES, combined_ids, in_order
from podium.data.layout import ImageFolder, Layout, Pairing, split_of
from podium.data.patterns import IMAGE_SUFFIXES
from podium.data.target_tables import CLASSES, OBJECTS
from podium.errors import DataError, PodiumError
from podium.formats import images, masks, rle
from podium.formats.submission import NO_MASK

MOST_JOINED = 8
"""Columns of a table of which two may make an id together."""
_PARTS = re.compile("[" + re.escape(OBJECTS + CLASSES) + "]")
SAMPLE = re.compile(r"sample.*sub|submission", re.IGNORECASE)


@dataclass(frozen=True)
class RleTable:
    """A CSV file of run-length masks.

    Attributes:
        rows: {id: runs}; several objects of an image are joined, and several classes.
        spelling: How the table writes an id, for instance {id}.jpg, or {id}.jpg_{class}.
        objects: Whether an image may have several rows, one an object.
        class_column: The column that names a row's class.
        classes: As the table spells them, where a row is of one class.
        joined: Two columns that make an id together, if ``id_column`` does not alone; no competition can say so.
        left_out: Columns that are neither.
        value_columns: Those of masks, where each class has one; then ``value_column`` is the first.
        empty: What stands for no mask; "" is the usual.
    """

    path: str
    id_column: str
    value_column: str
    rows: dict[str, str]
    spelling: str
    objects: bool = False
    class_column: str | None = None
    classes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    value_columns: tuple[str, ...] = ()
    empty: str = ""


_OF_MASKS = re.compile(r"(class|label|category|defect)(_?(id|name|type))?", re.IGNORECASE)
"""A column of the class of a mask even where each image has but one; an organ may be what the image is of."""
_CLASS_WORDS = re.compile(r"class|label|categor|(^|_)(type|organ|structure|tissue|defect)s?($|_)", re.I)


def rle_tables(layout: Layout, *, sample: bool, needed: bool = True) -> list[RleTable]:
    """The tables of run-length masks: the sample submissions, or the others.

    Args:
        needed: Nothing else has the masks, so that a table with a slip in it is an error; else it is passed over.
    """
    known = {stem for f in layout.folders for stem in f.files}
    found = []
    for path in [p for p in layout.tables if bool(SAMPLE.search(p)) == sample]:
        try:
            table = None if sample or needed else _of_two_columns(path, layout.tables[path], known)
            table = table or _rle_table(layout, path, known, sample)
        except DataError:
            if needed:
                raise
            continue
        if table is not None:
            found.append(table)
    return found


def _rle_table(layout: Layout, path: str, known: set[str], sample: bool) -> RleTable | None:
    """A table with image ids and run-length masks, or None."""
    table = layout.tables[path]
    found = id_column(table, known)
    if found is None:
        return _of_joined_ids(path, table, known, sample)
    column, spelling = found
    before, after = spelling.split("{id}")
    ids = [v[len(before) : len(v) - len(after)] for v in table[column].to_list()]
    once = len(set(ids)) == len(ids)
    if once and (wide := _a_column_a_class(layout, table, column, sample)):
        return _wide(path, table, column, spelling, dict(zip(ids, table.select(wide).rows(), strict=True)), wide)
    for name in _run_columns(table, column, sample):
        texts, left = (
            list(map(_text, table[name].to_list())),
            tuple(c for c in table.columns if c not in (column, name)),
        )
        empty = _empty(table, [name])
        by_class = next((c for c in left if _names_classes(table, column, c, name)), None)
        if once and by_class is not None and not _of_each_mask(layout, by_class, sample):
            by_class = None
        if by_class is not None and (once or not _of_images(ids, table[by_class].to_list())):
            labels = table[by_class].to_list()
            classes = tuple(in_order(set(labels) - {""}))
            left = tuple(c for c in left if c != by_class)
            rows = _by_class(zip(ids, labels, texts, strict=True), classes)
            return RleTable(path, column, name, rows, spelling, False, by_class, classes, left, empty=empty)
        if once:
            texts_of = dict(zip(ids, texts, strict=True))
            return RleTable(path, column, name, texts_of, spelling, left_out=left, empty=empty)
        if (sample and not any(texts)) or (not sample and _object_rows(ids, texts)):
            joined = _joined(ids, texts)
            return RleTable(path, column, name, joined, spelling, objects=True, left_out=left, empty=empty)
        first = next(i for i, n in Counter(ids).items() if n > 1)
        one, other, *_ = (line for line, id in enumerate(ids, 2) if id == first)
        raise DataError(
            f"the id '{first}' is there twice, on lines {one} and {other}",
            where=layout.root / path,
            expected="one row an image",
            remedy="remove the extra rows, or join their masks",
        )
    return None


def _wide(
    path: str, table: pl.DataFrame, ids: str, spelling: str, rows: Mapping[str, tuple[str, ...]], wide: tuple[str, ...]
) -> RleTable:
    """A table with a column of masks for each class."""
    left = tuple(c for c in table.columns if c not in (ids, *wide))
    return RleTable(
        path, ids, wide[0], {id: CLASSES.join(map(_text, row)) for id, row in rows.items()}, spelling,
        classes=wide, left_out=left, value_columns=wide, empty=_empty(table, wide),
    )  # fmt: skip


def _of_joined_ids(path: str, table: pl.DataFrame, known: set[str], sample: bool) -> RleTable | None:
    """A table whose ids name a class too: a.jpg_Fish."""
    for column in table.columns:
        found = combined_ids(table[column].to_list(), known)
        name = next(iter(_run_columns(table, column, sample)), None) if found else None
        if found is None or name is None:
            continue
        kept = [(p, _text(t)) for p, t in zip(found.parts, table[name].to_list(), strict=True) if p is not None]
        rows = _by_class(((id, label, text) for (id, label), text in kept), found.classes)
        left = tuple(c for c in table.columns if c not in (column, name))
        empty = _empty(table, [name])
        return RleTable(path, column, name, rows, found.spelling, classes=found.classes, left_out=left, empty=empty)
    return None


def _of_two_columns(path: str, table: pl.DataFrame, known: set[str]) -> RleTable | None:
    """A table whose ids are in two columns: subject 1 and img 2 of 1_2.tif."""
    repeated = [c for c in table.columns if table[c].n_unique() * 10 < 9 * len(table)]
    if not 2 <= len(repeated) <= MOST_JOINED:
        return None
    for (a, b), join in product(permutations(repeated, 2), "_-"):
        name = next((c for c in _run_columns(table, a, False) if c != b), None)
        ids = [f"{x}{join}{y}" for x, y in table.head(300).select(a, b).rows()]
        if name is None or sum(id in known for id in ids) * 2 <= len(ids):
            continue
        every = [f"{x}{join}{y}" for x, y in table.select(a, b).rows()]
        left = tuple(c for c in table.columns if c not in (a, b, name))
        return RleTable(path, a, name, _joined(every, table[name].to_list()), "{id}", left_out=left, joined=(a, b))
    return None


def _run_columns(table: pl.DataFrame, ids: str, sample: bool) -> Iterator[str]:
    """The columns that hold run-length masks."""
    for name in table.columns:
        values = [text for v in table[name].to_list() if (text := _text(v))]
        if name == ids or not (values or sample) or not all(_is_runs(v, sample) for v in values[:50]):
            continue
        if not re.search(r"width|height|area|count|index", name, re.I) or (sample and len(table.columns) == 2):
            yield name


def _text(field: str) -> str:
    """A field's runs; "" for what says that there is no mask."""
    return "" if field.strip().lower() in NO_MASK else field


def _empty(table: pl.DataFrame, columns: Sequence[str]) -> str:
    """What columns write for no mask, "" or -1: what is there more often."""
    fields = Counter(v.strip() for name in columns for v in table[name].to_list())
    return "-1" if fields["-1"] > fields[""] else ""


def _a_column_a_class(layout: Layout, table: pl.DataFrame, ids: str, sample: bool) -> tuple[str, ...]:
    """Several columns of masks: id, liver, kidney; () if a sample submission asks for something else."""
    found = tuple(_run_columns(table, ids, sample))
    asked = [t for p, t in layout.tables.items() if SAMPLE.search(p)]
    alike = all(set(found) <= set(t.columns) for t in asked)
    return found if len(found) > 1 and alike and (not sample or not asked or set(found) <= _truths(layout)) else ()


def _truths(layout: Layout) -> set[str]:
    """The columns of all tables but sample submissions."""
    return {c for p, t in layout.tables.items() if not SAMPLE.search(p) for c in t.columns}


def _of_each_mask(layout: Layout, column: str, sample: bool) -> bool:
    """Whether a column is of the masks, and not of the images, where an image has one row: a submission has it too."""
    samples = [t for p, t in layout.tables.items() if SAMPLE.search(p)]
    tests = [t for p, t in layout.tables.items() if split_of(PurePath(p).name) == "test"]
    if sample or any(column in t.columns for t in tests):
        return False
    return any(column in t.columns for t in samples) or (not samples and bool(_OF_MASKS.fullmatch(column)))


def _names_classes(table: pl.DataFrame, ids: str, column: str, runs: str) -> bool:
    """Whether a column says which class a row is of: so its name says, and there are few, again and again."""
    values = table.filter(pl.col(runs) != "")[column] if (table[runs] != "").any() else table[column]
    few = 2 <= values.n_unique() <= min(MOST_CLASSES, max(2, len(table) // 2))
    return bool(_CLASS_WORDS.search(column)) and few and column != ids


def _of_images(ids: Sequence[str], labels: Sequence[str]) -> bool:
    """Whether labels say what kind of image it is: the several rows of an image, one an object, all have one."""
    rows, kinds = Counter(ids), Counter(id for id, _ in set(zip(ids, labels, strict=True)))
    several = [id for id, n in rows.items() if n > 1]
    return len(several) * 2 > len(rows) and all(kinds[id] == 1 for id in several)


def _by_class(rows: Iterable[tuple[str, str, str]], classes: Sequence[str]) -> dict[str, str]:
    """{id: runs} with a part for each class."""
    place = {c: i for i, c in enumerate(classes)}
    found: dict[str, list[list[str]]] = {}
    for id, label, text in rows:
        of = found.setdefault(id, [[] for _ in classes])
        if text and label in place:
            of[place[label]].append(text)
    return {id: CLASSES.join(OBJECTS.join(part) for part in of) for id, of in found.items()}


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
                for runs in re.split(_PARTS, table.rows[id]):
                    decoded |= rle.decode(runs, (truth.shape[0], truth.shape[1]), order)
                agree[order] += bool((decoded == truth).all())
        except PodiumError:
            continue
        looked += 1
    if not looked:
        return "row", f"a guess: no run-length mask of {table.path} belongs to a mask file; correct it if wrong"
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
        first = next(filter(None, re.split(_PARTS, table.rows[id])), "")
        for order in ("row", "column"):
            try:
                mask = rle.decode(first, gray.shape, order).astype(np.uint8)
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
