"""How samples are split: the strategies of `folds.strategy`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from podium.data.competition import FoldsConfig
from podium.data.folds.assignment import FoldInput, Folds, too_few
from podium.data.folds.balance import balanced, by_rank, contiguous
from podium.data.folds.choice import SPEC, Choice, choose, official_parts, words
from podium.data.folds.leaks import check_leaks
from podium.data.folds.traits import numbers, to_even_out
from podium.errors import DataError

Ints = NDArray[np.int64]


def make_folds(input: FoldInput, config: FoldsConfig) -> Folds:
    """Assign samples to folds; what belongs together is never torn.

    The same samples, settings and seed give the same folds, whatever the order of the samples. Unless the assignment
    is given ("official", "file"), fold sizes differ by no more than the largest group.

    Raises:
        DataError: if there are fewer groups than folds, or the data lacks what the strategy needs.
    """
    if not input.ids:
        raise DataError("there is no training sample to split", remedy="run: podium look")
    input = input.sorted()
    choice = choose(input, config)
    units = input.units()
    names = sorted(set(units.values()))
    if choice.strategy == "file":
        return _given(input, units, config)
    if choice.strategy == "official":
        return _official(input, units, config)
    if len(names) < config.k:
        raise too_few(len(names), config.k)
    code = {name: i for i, name in enumerate(names)}
    unit = np.array([code[u] for u in units.values()])
    if choice.strategy == "time":
        return _in_time(input, units, unit, config)
    part = _by_rank(input, unit, choice, config) if choice.strategy == "rank" else _evened(input, unit, choice, config)
    return Folds(dict(zip(input.ids, part[unit].tolist(), strict=True)), units, config.k)


def _evened(input: FoldInput, unit: Ints, choice: Choice, config: FoldsConfig) -> Ints:
    """Random, grouped, stratified and binned: they differ in what is evened out."""
    sizes = np.bincount(unit)
    if not choice.by:
        nothing = np.zeros((len(sizes), 0))
        return balanced(sizes, nothing, nothing, config.k, config.seed)
    columns, keys = to_even_out(input, choice.by, config.bins)
    return balanced(sizes, _sums(columns, unit), _sums(keys, unit) / sizes[:, None], config.k, config.seed)


def _sums(columns: NDArray[np.float64], unit: Ints) -> NDArray[np.float64]:
    sums = np.zeros((int(unit.max()) + 1, columns.shape[1]))
    np.add.at(sums, unit, columns)
    return sums


def _by_rank(input: FoldInput, unit: Ints, choice: Choice, config: FoldsConfig) -> Ints:
    sizes = np.bincount(unit)
    values = numbers(input, choice.by)[:, :1]
    known = np.isfinite(values)
    means = _sums(np.where(known, values, 0), unit) / np.maximum(_sums(known.astype(float), unit), 1)
    return by_rank(sizes, np.argsort(means[:, 0], kind="stable"), config.k)


def _in_time(input: FoldInput, units: dict[str, str], unit: Ints, config: FoldsConfig) -> Folds:
    when = _places(input.order if config.by not in (None, "id") else input.ids)
    start = np.full(int(unit.max()) + 1, len(when))
    np.minimum.at(start, unit, when)
    order = np.argsort(start, kind="stable")
    block = np.empty(len(order), np.int64)
    block[order] = contiguous(np.bincount(unit)[order], config.k)
    part = block[unit]
    line = np.lexsort([when, start[unit], part])  # the samples in order, groups whole
    apart: dict[str, tuple[int, ...]] = {}
    if config.gap:
        ends = np.concatenate([[0], np.cumsum(np.bincount(part))])
        for place, i in enumerate(line.tolist()):
            near = (np.searchsorted(ends, [place - config.gap, place + config.gap], "right") - 1).clip(0, config.k - 1)
            if too_near := tuple(f for f in range(near[0], near[1] + 1) if f != part[i]):
                apart[input.ids[i]] = too_near
    fold = dict(zip(input.ids, part.tolist(), strict=True))
    folds = Folds(fold, units, config.k, {id: apart[id] for id in sorted(apart)})
    if not all(folds.training(f) for f in range(config.k)):
        raise DataError(f"folds.gap = {config.gap} leaves nothing to train on", where=SPEC, remedy="make it smaller")
    return folds


def _places(values: Sequence[float | str]) -> Ints:
    """The rank of each value; numbers within texts count as numbers, equal values have one place."""
    keys: list[tuple[float, list[tuple[bool, int, str]]]]
    try:
        keys = [(float(str(v).replace("_", "?")), []) for v in values]  # 12_01 is a number to Python
    except ValueError:
        keys = [(0.0, words(str(v))) for v in values]
    rank = {repr(key): place for place, key in enumerate(sorted(keys))}
    return np.array([rank[repr(key)] for key in keys])


def _given(input: FoldInput, units: dict[str, str], config: FoldsConfig) -> Folds:
    where = config.file or "folds.file"
    missing = [id for id in input.ids if id not in input.given]
    if missing:
        raise DataError(
            f"no fold for '{missing[0]}' ({len(missing)} such)", where=where, expected="a row for each training sample"
        )
    fold = {id: input.given[id] for id in input.ids}
    check_leaks(fold, units, where)
    return _filled(Folds(fold, units, config.k), where)


def _filled(folds: Folds, where: str) -> Folds:
    if 0 in folds.sizes():
        raise DataError(
            f"fold {folds.sizes().index(0)} has no sample", where=where, expected=f"samples in each of {folds.k} folds"
        )
    return folds


def _official(input: FoldInput, units: dict[str, str], config: FoldsConfig) -> Folds:
    """One fold an official part; or fold 0 is the official validation part, and the rest is split evenly."""
    parts, where = official_parts(input, config.k), f"{SPEC}: folds.strategy = 'official'"
    if not parts:
        counts = ", ".join(f"{part or 'none'}: {n}" for part, n in sorted(Counter(input.split).items()))
        raise DataError(
            f"the official split ({counts}) has neither a validation part nor {config.k} parts",
            where=where,
            remedy="set folds.k to the number of parts, or another folds.strategy",
        )
    official = {id: parts.index(p) if p in parts else len(parts) for id, p in zip(input.ids, input.split, strict=True)}
    check_leaks(official, units, where, remedy='set folds.strategy = "auto"; or correct data.group')
    if len(parts) == config.k:
        return Folds(official, units, config.k)
    rest = {id: unit for id, unit in units.items() if official[id]}
    names = sorted(set(rest.values()))
    if len(names) < config.k - 1:
        raise too_few(len(names), config.k, fewer=1)
    if config.k == 2:
        return Folds(official, units, config.k)
    left = replace(input.only([i for i, id in enumerate(input.ids) if id in rest]), split=())
    others = make_folds(left, config.model_copy(update={"strategy": "auto", "k": config.k - 1}))
    return Folds(official | {id: f + 1 for id, f in others.fold.items()}, units, config.k)
