"""Seeing to it that what competitors get holds no label of the hidden part: in files, tables, texts, names, order or
times."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from podium.data.betrayal import betrayals
from podium.data.clues import image_clues
from podium.data.competition import Competition
from podium.data.facts import TRAIN_SCHEMA, Facts
from podium.data.layout import scan
from podium.data.patterns import stem_of
from podium.data.samples import list_samples
from podium.errors import DataError
from podium.formats import rle
from podium.host.server.text_leaks import require_silent_files
from podium.host.solution import Solution

ENDINGS = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")


def require_no_labels(spec: Competition, data: Path, hidden: Solution, solution: Path) -> list[str]:
    """What may betray hidden labels all the same, for the organiser to judge.

    Raises:
        DataError: for a label of the hidden part in a file, in a table, in a text, in a name, in the order of the
            names, in times or in EXIF.
    """
    _require_no_copy(data, solution)
    _require_no_masks(spec, data, hidden)
    spelt, layout = _spelt(spec, hidden), scan(data)
    found = list_samples(spec, data)
    _require_no_rows(spec, layout.tables, spelt, {s.id for s in found.train})
    _require_silent_names(spec, hidden)
    seen = {p.resolve() for s in (*found.train, *found.test) for p in s.views or (s.image,)}
    rest = [p for p in sorted(data.rglob("*")) if p.is_file() and p.suffix.lower() not in ENDINGS]
    rest = [p for p in rest if p.resolve() not in seen and p.relative_to(data).as_posix() not in layout.tables]
    return [*require_silent_files(rest, data, spelt), *_betrayals(spec, data, hidden)]


def _spelt(spec: Competition, hidden: Solution) -> dict[str, set[str]]:
    """Of each hidden id how it, or its rows, may be written."""
    form = spec.submission
    classes = form.classes if "{class}" in form.id else [""]
    return {id: {id, *(form.row_id(id, c) if c else form.row_id(id) for c in classes)} for id in hidden.ids}


def _require_no_copy(data: Path, solution: Path) -> None:
    size, digest = solution.stat().st_size, hashlib.sha256(solution.read_bytes()).digest()
    for path in data.rglob("*"):
        if path.is_file() and path.stat().st_size == size and hashlib.sha256(path.read_bytes()).digest() == digest:
            raise DataError(
                "the solution itself is among the data for competitors",
                where=path.relative_to(data),
                remedy="remove it",
            )


def _require_no_masks(spec: Competition, data: Path, hidden: Solution) -> None:
    """No second image of a hidden sample: the first is the sample itself."""
    found = list_samples(spec, data)
    own = {p.resolve() for s in found.test for p in s.views or (s.image,)}
    trained = {s.id for s in found.train}
    known = set(hidden.ids)
    if both := sorted(known & trained):
        raise DataError(f"the hidden sample '{both[0]}' is among the training data too ({len(both)} such)")
    for path in data.rglob("*"):
        if path.suffix.lower() not in ENDINGS or path.resolve() in own:
            continue
        parts = (path.stem, path.stem.removesuffix("_mask"), *path.relative_to(data).parts[:-1])
        if told := next((p for p in parts if p in known), None):
            raise DataError(
                f"an image beside that of the hidden sample '{told}': it may be its mask",
                where=path,
                remedy="remove it",
            )


def _require_no_rows(
    spec: Competition, found: dict[str, pl.DataFrame], spelt: dict[str, set[str]], trained: set[str]
) -> None:
    """No table has rows about hidden samples, but the sample submission, which says one thing about all."""
    form, every = spec.submission, set().union(*spelt.values())
    allowed = {spec.data.sample_submission, *([spec.data.inputs_csv] if isinstance(spec.data.inputs_csv, str) else [])}
    for name, table in found.items():
        column = _names_hidden(table, every, trained)
        if column is None:
            continue
        rows = table.filter(pl.col(column).is_in(list(every)))
        if name == spec.data.sample_submission:
            told = [c for c in form.value_columns if c in rows.columns and rows[c].n_unique() > 1]
            if told:
                raise DataError(
                    f"the sample submission has different values in '{told[0]}'", where=name,
                    remedy="it may be the labels: fill it with one value",
                )  # fmt: skip
        elif name not in allowed:
            raise DataError(
                f"a table with {len(rows)} rows about hidden samples, by '{column}'", where=name,
                remedy="remove those rows, or the table",
            )  # fmt: skip


def _names_hidden(table: pl.DataFrame, hidden: set[str], trained: set[str]) -> str | None:
    """The column of a table by which it is about hidden samples; small numbers that happen to be ids are none.

    That is the column with most ids of any samples, if hidden ones are among them; or one that is made of hidden ids.
    """
    values = {c: {form for v in set(table[c].to_list()) if v for form in (v, stem_of(v))} for c in table.columns}
    told = {c: len(of & hidden) for c, of in values.items()}
    best = max(values, key=lambda c: len(values[c] & (hidden | trained)), default=None)
    if best is not None and told[best]:
        return best
    made = (c for c, of in values.items() if told[c] * 2 >= len(of) and told[c] * 5 >= len(hidden))
    return next(made, None)


def _require_silent_names(spec: Competition, hidden: Solution) -> None:
    """No id names its own class: told by classes that occur in ids more often where they are right."""
    if spec.submission.format not in ("probs", "names", "values") or spec.task != "classification":
        return
    names = [name for name in spec.classes if len(name) > 2]
    for name in names:
        within = np.array([name.lower() in id.lower() for id in hidden.ids])
        if within.any() and not within.all():
            raise DataError(
                f"the names of {int(within.sum())} hidden samples have the class '{name}' in them",
                remedy="give the hidden samples neutral names: --neutral-names",
            )


def _betrayals(spec: Competition, data: Path, hidden: Solution) -> Iterator[str]:
    """Clues of the hidden samples' files beside their labels, by the same statistics as `podium look`."""
    facts = _facts(spec, data, hidden)
    if facts is None:
        return
    for finding in betrayals(facts):
        if finding.severity == "warning":
            raise DataError(
                f"{finding.name}: {finding.what}",
                where="the data for competitors",
                remedy="give the hidden samples neutral names: --neutral-names",
            )
        yield f"{finding.name}: {finding.what}"


def _facts(spec: Competition, data: Path, hidden: Solution) -> Facts | None:
    """The hidden samples as if they were training ones, with their labels."""
    found = list_samples(spec, data)
    of = {id: n for n, id in enumerate(hidden.ids)}
    samples = [s for s in found.test if s.id in of]
    if not samples:
        return None
    clues = image_clues(replace(found, train=samples, test=[]), spec, data)
    rows = []
    for sample in samples:
        row: dict[str, object] = dict.fromkeys(TRAIN_SCHEMA)
        row |= {"id": sample.id, "group": sample.group}
        truth = hidden.truth[of[sample.id]]
        if sample.id in hidden.shapes and spec.submission.format.startswith(("rle", "png")):
            height, width = hidden.shapes[sample.id]
            area = sum(rle.area(np.asarray(runs)) for runs in truth)
            row |= {"height": height, "width": width, "mask_height": height, "mask_width": width, "area": area}
        rows.append(row)
    return Facts(
        spec, pl.DataFrame(rows, schema=TRAIN_SCHEMA), pl.DataFrame(), clues=clues, values=_values(spec, hidden)
    )


def _values(spec: Competition, hidden: Solution) -> dict[str, tuple[float, ...]]:
    """Labels as the training samples have them, of tasks whose targets are values."""
    if spec.submission.format.startswith(("rle", "png")):
        return {}
    names = list(spec.submission.classes or spec.classes)
    found = {}
    if spec.parts and spec.submission.choices:
        for id, truth in zip(hidden.ids, hidden.truth, strict=True):
            given = zip(truth, spec.submission.choices, strict=True)
            found[id] = tuple(float(name == said) for said, known in given for name in known)
        return found
    for id, truth in zip(hidden.ids, hidden.truth, strict=True):
        if spec.submission.format == "names":
            words = str(truth[0]).split(spec.submission.separator or None) if spec.labels == "many" else [str(truth[0])]
            values = tuple(float(n in words) for n in names)
        else:
            values = tuple(float(v) for v in truth)
        if spec.task == "classification" and spec.labels == "one" and len(values) > 1:
            values = (float(list(spec.classes.values())[int(np.argmax(values))]),)
        found[id] = values
    return found
