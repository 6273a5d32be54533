"""Findings about targets: classes that are rare, numbers that are off, values that are no classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from podium.data.facts import Facts
from podium.data.finding import EXAMPLES, Finding, Severity, counted, exclude_line, number, percent

FAR = 6.0
"""Robust standard deviations from the median that make a number an outlier."""


def targets(facts: Facts) -> Iterable[Finding]:
    """Class balance, or the distribution of numbers with their outliers."""
    if not facts.values:
        return
    if facts.competition.task == "classification":
        yield from _classes(facts)
    else:
        for n, name in enumerate(facts.competition.data.targets):
            yield from _numbers(facts, name, {id: v[n] for id, v in facts.values.items()})


def class_counts(facts: Facts) -> Counter[str]:
    """How many training samples each class has; with one class alone, also those without it."""
    names = {number: name for name, number in facts.competition.classes.items()}
    values = facts.values.values()
    if facts.competition.labels != "one":
        return Counter({names[n]: int(sum(v[i] for v in values)) for i, n in enumerate(sorted(names))})
    if len(names) == 1:
        only = next(iter(names.values()))
        return Counter(only if v[0] else f"not {only}" for v in values)
    return Counter(names[int(v[0])] for v in values)


def _classes(facts: Facts) -> Iterable[Finding]:
    counts, n, k = class_counts(facts), len(facts.values), facts.competition.folds.k
    rare = [name for name, count in counts.items() if count < 2 * k]
    shares = {name: count / n for name, count in counts.most_common()}
    detail = tuple(f"{name}: {counts[name]} ({percent(100 * share)})" for name, share in list(shares.items())[:30])
    most, least = max(shares.values()), min(shares.values())
    what = f"{len(counts)} classes"
    what += f" of {percent(100 * least)} to {percent(100 * most)} of the {n} samples"
    what += f"; {_some(rare)} with too few for {k} folds." if rare else "."
    single = sum(count == 1 for count in counts.values())
    if single > 1 and facts.competition.labels == "one":
        what += f" {single} of them have one sample each, which is trained on or validated on, never both:"
        what += " no score here tells whether a model knows them."
    severity: Severity = "warning" if rare or most > 20 * least else "note"
    remedy = (
        "loss.terms and class weights must suit the rare ones; folds.k in competition.toml how many folds there are"
    )
    shown: dict[str, str] = {}
    for name, code in list(facts.competition.classes.items())[:EXAMPLES]:
        first = next((id for id, v in facts.values.items() if _has(facts, v, code)), None)
        shown |= {first: name} if first else {}
        other = next((id for id, v in facts.values.items() if not _has(facts, v, code)), None)
        shown |= {other: f"not {name}"} if other and len(facts.competition.classes) == 1 else {}
    yield Finding("class balance", severity, n, what, remedy, (), shown, detail)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _has(facts: Facts, value: tuple[float, ...], number: int) -> bool:
    if facts.competition.labels != "one":
        return bool(value[sorted(facts.competition.classes.values()).index(number)])
    return value[0] == number


def answer(facts: Facts, id: str) -> str:
    """A sample's target as one reads it: its class, its labels, or its numbers."""
    value, spec = facts.values.get(id, ()), facts.competition
    if spec.task != "classification" or not value:
        return ", ".join(map(number, value))
    names = {n: name for name, n in spec.classes.items()}
    if spec.labels != "one":
        return ", ".join(names[n] for v, n in zip(value, sorted(names), strict=False) if v) or "none"
    only = next(iter(names.values())) if len(names) == 1 else ""
    return names.get(int(value[0])) or (f"not {only}" if only else number(value[0]))


def _numbers(facts: Facts, name: str, values: dict[str, float]) -> Iterable[Finding]:
    array = np.array(list(values.values()))
    points = np.quantile(array, [0, 0.25, 0.5, 0.75, 1])
    skewed = array.min() > 0 and points[4] - points[2] > 5 * (points[2] - points[0])
    scaled = np.log(array) if skewed else array
    middle = float(np.median(scaled))
    width = float(np.subtract(*np.quantile(scaled, [0.75, 0.25]))) / 1.349 or float(scaled.std()) or 1.0
    far = np.abs(scaled - middle) / width
    ids = [id for id, z in sorted(zip(values, far, strict=True), key=lambda p: -p[1]) if z > FAR]
    what = f"{name} runs from {number(points[0])} to {number(points[4])}, half of it "
    what += f"between {number(points[1])} and {number(points[3])}" if points[1] < points[3] else ""
    what += f"and more is {number(points[2])}" if points[1] == points[3] else ""
    what += ", skewed: its logarithm is easier to learn." if skewed else "."
    detail = tuple(f"{label:>12} {'█' * -(-30 * n // max(1, top))} {n}" for label, n, top in _bins(array))
    low, high = np.argsort(array)[:3], np.argsort(array)[-3:]
    names = list(values)
    shown = {names[i]: f"{name} {number(array[i])}" for i in (*low, *high)}
    remedy = f'metric = "{facts.competition.metric}" in competition.toml is taken on these numbers'
    yield Finding(f"target {name}", "note", len(values), what, remedy, (), shown, detail)
    if ids:
        what = f"{counted(len(ids), 'sample')} with a {name} far from all others: right, or a slip of the pen."
        shown = {id: f"{name} {number(values[id])}" for id in ids[:EXAMPLES]}
        remedy = f"for each that is wrong, a {exclude_line(ids[0], 'wrong ' + name)}"
        yield Finding(f"outliers of {name}", "warning", len(ids), what, remedy, tuple(ids), shown)


def _bins(array: np.ndarray) -> list[tuple[str, int, int]]:
    counts, edges = np.histogram(array, bins=min(10, max(2, len(set(array.tolist())))))
    form = ".0f" if np.ptp(edges) > 100 else ".4g"
    return [
        (f"{a:{form}}–{b:{form}}", int(n), int(counts.max())) for n, a, b in zip(counts, edges, edges[1:], strict=False)
    ]


def target_histogram(facts: Facts) -> list[tuple[str, int]]:
    """(label, number of samples) of the first target."""
    if facts.competition.task == "classification":
        return class_counts(facts).most_common(12) or [("none", 0)]
    array = np.array([v[0] for v in facts.values.values()] or [0.0])
    return [(label, n) for label, n, _ in _bins(array)]


def overlaps(facts: Facts) -> Iterable[Finding]:
    """Masks that claim a pixel twice, or of which a table beside the images says so: a label image cannot hold that."""
    keeps = "the first object keeps the pixel" if facts.competition.task == "instances" else "the last class is on top"
    for path, column, rows in facts.remarks:
        ids = tuple(rows)
        told = f"{column} above 0 in {path}: there objects lay over one another, and a label image keeps one a pixel"
        what = f"{counted(len(ids), 'sample')} with {told if path else f'masks that overlap when merged: {keeps}'}."
        shown = {id: f"{column} {value}" for id, value in list(rows.items())[:EXAMPLES]}
        remedy = "nothing to set: the loss at the seams is small; look at the pictures"
        if facts.competition.task == "segmentation":
            remedy = 'labels = "many" in competition.toml keeps every class; or give the class on top the larger number'
        yield Finding("overlapping masks", "note", len(ids), what, remedy, ids, shown)


def runs_disagree(facts: Facts) -> Iterable[Finding]:
    """A table of run-length masks that says something else than the mask files."""
    path, compared, wrong = facts.runs
    if not wrong:
        return
    ids, told = tuple(wrong), f"{len(wrong)} of {compared} run-length masks of {path} differ from the mask files"
    if len(wrong) * 2 > compared:
        what = f"{told}: most likely read in the wrong order of pixels."
        order = "row" if facts.competition.submission.order == "column" else "column"
        remedy = f'submission.order = "{order}" in competition.toml'
    else:
        what = f"{told}, which are the ones used."
        remedy = "draw the right mask into fixes/masks/ID.png where the table is right"
    detail = tuple(f"{id}: {why}" for id, why in list(wrong.items())[:10])
    shown = dict(list(wrong.items())[:EXAMPLES])
    yield Finding("runs unlike the mask", "warning", len(wrong), what, remedy, ids, shown, detail)


def mask_values(facts: Facts) -> Iterable[Finding]:
    """How the pixels divide among several classes."""
    shares = facts.class_shares
    if not shares:
        return
    detail = tuple(f"{name}: {percent(100 * s)}" for name, s in sorted(shares.items(), key=lambda p: -p[1]))
    rare = [name for name, s in shares.items() if 0 < s < 0.01]
    absent = [name for name, s in shares.items() if not s]
    what = f"{len(shares)} classes; {', '.join(rare) or 'none'} below 1% of the pixels"
    what += f"; {', '.join(absent)} in no mask." if absent else "."
    severity: Severity = "warning" if absent else "note"
    remedy = "classes and data.ignore in competition.toml; loss.terms must suit the rare ones"
    yield Finding("class balance", severity, len(shares), what, remedy, (), {}, detail)
