"""What is in the data and what is wrong with it: findings, from what the stores saw while they decoded it once.

A check is a function from `Facts` to findings; `CHECKS` lists them, and `audit` runs them all. Nothing here opens a
file, so another check costs a few lines and a table in a test.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import numpy as np
import polars as pl

from podium.data.betrayal import betrayals
from podium.data.facts import Facts
from podium.data.finding import (
    BAD,
    EXAMPLES,
    NAMED,
    SEVERITIES,
    Finding,
    Severity,
    by_hand,
    counted,
    exclude_line,
    percent,
    share_of,
    shown_ids,
    spread,
    told,
)
from podium.data.leaks import input_shift, near_duplicates, torn_splits
from podium.data.target_checks import mask_values, overlaps, runs_disagree, target_histogram, targets
from podium.errors import PodiumError

TINY_FOREGROUND = 0.02
FULL = 0.999


def audit(facts: Facts) -> list[Finding]:
    """Every finding, the gravest first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def histogram(facts: Facts) -> list[tuple[str, int]]:
    """(label, number of masks) of the mask areas in per cent of the image: the empty ones, then equal steps.

    Where targets are values of a table, these instead: classes, or equal steps.
    """
    if not facts.pixel_targets:
        return target_histogram(facts)
    shares = facts.usable["share"].drop_nulls().to_numpy() * 100
    top = float(shares.max(initial=0))
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5) if top <= 10 * s), 10)
    edges = [round(step * i, 1) for i in range(int(np.ceil(top / step)) + 1)]
    inner = Counter(np.ceil(shares[shares > 0] / step - 1e-9).astype(int).tolist())
    bars = [(f"{a:g}–{b:g}", inner[i]) for i, (a, b) in enumerate(itertools.pairwise(edges), 1)]
    return [("empty", int((shares == 0).sum())), *bars]


def sizes(frame: pl.DataFrame) -> Counter[tuple[int, int]]:
    """How many images have each (height, width)."""
    return Counter(frame.filter(pl.col("error").is_null()).select("height", "width").rows())


# ---------------------------------------------------------------------- the checks


def _files(facts: Facts) -> Iterable[Finding]:
    """Samples that cannot be used as they are."""
    train, mismatch = facts.train, pl.col("mask_height") != pl.col("height")
    mismatch |= pl.col("mask_width") != pl.col("width")
    wrong = train.filter(pl.col("mask_error").is_not_null())
    unpaired = pl.DataFrame(
        [(p.id, p.reason) for p in facts.problems if p.id not in facts.excluded],
        schema={"id": pl.String, "error": pl.String},
        orient="row",
    )
    without = pl.col("error") == "has no mask"
    yield from _bad("unreadable images", train, "whose image cannot be decoded: damaged, cut off or no image at all")
    yield from _bad("unreadable test images", facts.test, "of the test set whose image cannot be decoded", part="test")
    wrong = wrong.with_columns(error=pl.col("mask_error"))
    yield from _bad("mask of another size", wrong.filter(mismatch), "whose mask is not of the image's size")
    yield from _bad("unreadable masks", wrong.filter(~mismatch.fill_null(False)), "whose mask cannot be decoded")
    yield from _bad("images without a mask", unpaired.filter(without), "with an image but no mask of that id")
    yield from _bad("masks without an image", unpaired.filter(~without), "with a mask but no image of that id")


def _bad(name: str, frame: pl.DataFrame, means: str, part: Literal["train", "test"] = "train") -> Iterable[Finding]:
    rows = frame.filter(pl.col("error").is_not_null()).select("id", "error").rows()
    if rows:
        ids = tuple(id for id, _ in rows)
        detail = tuple(f"{id}: {error}" for id, error in rows[:10])
        what = f"{counted(len(rows), 'sample')} {means}."
        yield Finding(name, "error", len(rows), what, BAD, ids, dict(rows[:EXAMPLES]), detail, part, exclude=dict(rows))


def _unseen(facts: Facts) -> Iterable[Finding]:
    if facts.unseen:
        n, what = len(facts.test_groups), f"The test images were not looked at. {facts.unseen}."
        yield Finding(
            "test images not looked at", "warning", n, what, "free some disk space, and run podium look again"
        )


def _excluded(facts: Facts) -> Iterable[Finding]:
    if facts.excluded:
        ids, detail = tuple(facts.excluded), tuple(f"{id}: {why}" for id, why in list(facts.excluded.items())[:10])
        what = f"{counted(len(ids), 'sample')} in exclude.csv: left out of training and folds."
        remedy = "to take one back, delete its line in exclude.csv"
        yield Finding("excluded", "note", len(ids), what, remedy, ids, {}, detail)


def _image_sizes(facts: Facts) -> Iterable[Finding]:
    train, test, size = sizes(facts.train), sizes(facts.test), facts.input_size
    if len(train.keys() | test.keys()) < 2:
        return
    (h, w), _ = (train or test).most_common(1)[0]
    odd = facts.train.filter(pl.col("error").is_null() & ((pl.col("height") != h) | (pl.col("width") != w)))
    new = sum(n for s, n in test.items() if s not in train)
    detail = tuple(f"{b}x{a}: {train[a, b]} train, {test[a, b]} test" for (a, b), _ in (train + test).most_common(12))
    what = f"Images come in {len(train + test)} sizes, most are {w}x{h}"
    what += "" if size else "; training needs one size, or crops"
    what += f"; {counted(new, 'test image')} of a size that training never sees." if new else "."
    remedy = f"input.size = {list(size or (h, w))} in recipes/baseline.toml" + (" resizes them all" if size else "")
    shown = {id: f"{b}x{a}" for id, a, b in odd.select("id", "height", "width").rows()[:EXAMPLES]}
    severity: Severity = "note" if size else "warning"
    yield Finding("mixed image sizes", severity, len(odd), what, remedy, tuple(odd["id"]), shown, detail)


def _image_modes(facts: Facts) -> Iterable[Finding]:
    train, test = (Counter(f["mode"].drop_nulls().to_list()) for f in (facts.train, facts.test))
    if len(train.keys() | test.keys()) < 2:
        return
    usual = (train or test).most_common(1)[0][0]
    odd = facts.train.filter(pl.col("mode") != usual)
    new = sorted(test.keys() - train.keys()) if train else []
    detail = tuple(f"{mode}: {train[mode]} train, {test[mode]} test" for mode, _ in (train + test).most_common())
    what = "Images are stored in several modes; all are read as 8-bit RGB (alpha dropped, 16 bits cut to 8)"
    what += f", and {', '.join(new)} is found in the test set only." if new else "."
    remedy = "nothing to set"
    shown = dict(odd.select("id", "mode").rows()[:EXAMPLES])
    severity: Severity = "warning" if new else "note"
    yield Finding("mixed image modes", severity, len(odd), what, remedy, tuple(odd["id"]), shown, detail)


def _mask_kinds(facts: Facts) -> Iterable[Finding]:
    kinds = Counter(facts.train["mask_kind"].drop_nulls().to_list())
    lossy = sum(n for kind, n in kinds.items() if kind.startswith("JPEG"))
    values = facts.competition.data.mask_values
    if len(kinds) > 1:
        odd = facts.train.filter(pl.col("mask_kind") != kinds.most_common(1)[0][0])
        empty = Counter(facts.train.filter(pl.col("area") == 0)["mask_kind"].to_list())
        telling = [kind for kind in kinds if kinds[kind] == empty[kind] == empty.total()]
        what = f"Masks are stored in {len(kinds)} ways; each is read against the range of its own kind"
        what += f", and those stored as {telling[0]} are exactly the empty ones." if telling else "."
        remedy = f'data.mask_values = "{values}" in competition.toml must suit them all'
        shown = dict(odd.select("id", "mask_kind").rows()[:EXAMPLES])
        detail = tuple(f"{kind}: {n}, {empty[kind]} of them empty" for kind, n in kinds.most_common())
        yield Finding("mixed mask encodings", "note", len(odd), what, remedy, tuple(odd["id"]), shown, detail)
    if lossy:
        ids = tuple(facts.train.filter(pl.col("mask_kind").str.starts_with("JPEG"))["id"])
        what = f"{counted(lossy, 'mask')} stored as JPEG, whose edges are noisy; "
        by_colour = values == "colours"
        what += "each pixel there gets the colour of its side." if by_colour else "only values above half count."
        severity: Severity = "note" if values in ("0/max", "colours") else "warning"
        remedy = f'data.mask_values = "{"colours" if by_colour else "0/max"}" in competition.toml'
        yield Finding("JPEG masks", severity, lossy, what, remedy, ids)


def _empty_and_full(facts: Facts) -> Iterable[Finding]:
    good, metric, data = facts.usable, facts.competition.metric, facts.competition.data
    if not facts.pixel_targets or data.mask_values in ("classes", "colours"):
        return
    empty, full = good.filter(pl.col("area") == 0), good.filter(pl.col("share") >= FULL)
    for name, frame in (("all masks empty", empty), ("all masks full", full)):
        if len(frame) == len(good) > 0 and data.train_masks:
            what = "Not one mask has both foreground and background, so they are probably read the wrong way."
            remedy = f'data.mask_values = "{"0/max" if data.mask_values == "0/1" else "0/1"}" in competition.toml'
            yield Finding(name, "error", len(frame), what, remedy, tuple(frame["id"]), shown_ids(frame))
            return
    if len(empty):
        what = f"{share_of(empty, good)} of the masks are empty: "
        what += f"there one stray pixel costs the whole {metric} of an image."
        remedy = f'metric = "{metric}" in competition.toml: make sure that the board scores empty masks like it'
        yield Finding("empty masks", "note", len(empty), what, remedy, tuple(empty["id"]), shown_ids(empty))
    if len(full):
        what = (
            f"{share_of(full, good)} of the masks cover 99.9% of the image or more: right in some data, a slip in most."
        )
        remedy = by_hand(full, "full mask")
        yield Finding("full masks", "warning", len(full), what, remedy, tuple(full["id"]), shown_ids(full))


def _clusters(facts: Facts) -> list[tuple[list[str], list[str | None]]]:
    """(ids, digests of their masks) of the training images that are the same pixel for pixel; the largest first."""
    seen = facts.train.filter(pl.col("pixels").is_not_null())
    grouped = seen.group_by("pixels", maintain_order=True).agg("id", "mask_pixels").select("id", "mask_pixels").rows()
    return sorted((row for row in grouped if len(row[0]) > 1), key=lambda row: -len(row[0]))


def _identical(facts: Facts) -> Iterable[Finding]:
    clusters = [ids for ids, _ in _clusters(facts)]
    if not clusters:
        return
    members, (first, second, *_) = tuple(id for c in clusters for id in c), clusters[0]
    what = f"{len(members)} training images are pixel for pixel the same as another, "
    what += f"in {counted(len(clusters), 'cluster')}"
    what += f" (the largest has {len(clusters[0])})."
    shown = {c[0]: f"{len(c)} times" for c in clusters[:EXAMPLES]}
    remedy = (
        f"podium prepare keeps them in one fold; to train on fewer, a {exclude_line(second, f'same image as {first}')}"
    )
    yield Finding("identical images", "warning", len(members), what, remedy, members, shown, told(clusters))


def _contradictory(facts: Facts) -> Iterable[Finding]:
    torn = [
        ids
        for ids, digests in _clusters(facts)
        if len({d for d in digests if d}) > 1 or len({facts.values.get(id) for id in ids}) > 1
    ]
    if torn:
        members = tuple(id for cluster in torn for id in cluster)
        what = f"{counted(len(torn), 'cluster')} of identical images with different targets: at most one is right."
        shown = {id: f"cluster {n}" for n, cluster in enumerate(torn[:3], 1) for id in cluster[:2]}
        remedy = f"keep the better one: a {exclude_line(torn[0][1], 'wrong target')}"
        why = dict.fromkeys(members, "same image, different targets")
        name = "same image, different targets"
        yield Finding(name, "warning", len(members), what, remedy, members, shown, told(torn), exclude=why)


def _in_test(facts: Facts) -> Iterable[Finding]:
    tested = facts.test.group_by("pixels").agg(pl.col("id").sort().alias("there"))
    shared = facts.train.join(tested, on="pixels", maintain_order="left")  # a null joins nothing
    if len(shared):
        n = len({id for ids in shared["there"] for id in ids})
        what = (
            f"{counted(len(shared), 'training image')} also in the test set ({n} there), so the board rewards memory."
        )
        remedy = f"to be judged on new images only, a {exclude_line(shared['id'][0], 'in the test set')}"
        pairs: list[tuple[str, list[str]]] = shared.select("id", "there").rows()
        detail = tuple(f"{id} = test {', '.join(ids[:4])}{' …' if len(ids) > 4 else ''}" for id, ids in pairs[:10])
        first = shared.unique("pixels", keep="first", maintain_order=True).select("id", "there").rows()
        shown = {id: f"{len(ids)} in test" for id, ids in first[:EXAMPLES]}
        yield Finding("train images in test", "warning", len(shared), what, remedy, tuple(shared["id"]), shown, detail)


def _blank(facts: Facts) -> Iterable[Finding]:
    blank = facts.train.filter(pl.col("flat"))
    if len(blank):
        marked = len(blank.filter((pl.col("area") > 0) & pl.col("mask_error").is_null()))
        what = f"{counted(len(blank), 'image')} of one single colour, with nothing to see"
        what += f", and {marked} of them with a mask that is not empty." if marked else "; their masks are empty."
        severity: Severity = "warning" if marked else "note"
        remedy = f"to leave them out, for each a {exclude_line(blank['id'][0], 'blank')}"
        wrong = blank.filter(pl.col("area") > 0)["id"].to_list()
        why = dict.fromkeys(wrong, "blank image with a mask")
        ids = tuple(blank["id"])
        yield Finding("blank images", severity, len(blank), what, remedy, ids, shown_ids(blank), exclude=why)


def _mask_area(facts: Facts) -> Iterable[Finding]:
    filled = facts.usable.filter(pl.col("area") > 0).sort("share", "id")
    if not len(filled) or len(facts.competition.classes) > 1:
        return
    points = (0, 5, 25, 50, 75, 95, 100)
    values = np.quantile(filled["share"].to_numpy() * 100, np.array(points) / 100)
    quantiles = ("quantile " + "".join(f"{p:>6}%" for p in points), "area     " + "".join(map(_percent7, values)), "")
    ends = [*filled.head(3).rows(named=True), *filled.tail(3).rows(named=True)]
    shown = {row["id"]: f"{row['area']} px, {percent(row['share'] * 100)}" for row in ends}
    what = f"Masks that are not empty cover {percent(values[0])} to {percent(values[-1])} of their image, "
    what += f"half of them less than {percent(values[3])}."
    size = list(facts.input_size) if facts.input_size else "unset: as they are"
    remedy = f"input.size in recipes/baseline.toml ({size}): the smallest must survive the resizing"
    detail = (*quantiles, *_bars(histogram(facts)), "", *_extremes(filled))
    yield Finding("mask areas", "note", len(filled), what, remedy, (), shown, detail)


def _extremes(filled: pl.DataFrame) -> list[str]:
    rows = filled.select("id", "area").rows()
    named = {"smallest": rows[:NAMED], "largest": rows[: -NAMED - 1 : -1]}
    return [f"{what}: " + ", ".join(f"{id} ({area} px)" for id, area in some) for what, some in named.items()]


def _percent7(value: float) -> str:
    return f"{percent(value):>7}"


def _bars(bars: Sequence[tuple[str, int]]) -> list[str]:
    """A histogram as lines of text."""
    most, wide = max(n for _, n in bars), max(len(label) for label, _ in bars)
    return [f"{b:>{wide}} {' ' if b == 'empty' else '%'} {'█' * -(-30 * n // most)} {n}" for b, n in bars]


def _balance(facts: Facts) -> Iterable[Finding]:
    good = facts.usable
    if len(facts.competition.classes) != 1 or not facts.pixel_targets:
        return
    pixels = int((good["height"] * good["width"]).sum())
    if pixels:
        share = int(good["area"].sum()) / pixels
        rare = 0 < share < TINY_FOREGROUND
        what = f"{percent(share * 100)} of all pixels are {next(iter(facts.competition.classes))}"
        what += ": so rare that a model may learn to predict none." if rare else "."
        remedy = "loss.terms = { bce = 1.0, dice = 1.0 } in recipes/baseline.toml: the dice term minds a rare class"
        yield Finding("class balance", "warning" if rare else "note", len(good), what, remedy)


def _groups(facts: Facts) -> Iterable[Finding]:
    counts, spec = Counter(facts.usable["group"].to_list()), facts.competition.data
    if not counts or not facts.folds:
        return
    detail = tuple(f"{g}: {n}" for g, n in counts.most_common(8) if n > 1)
    if isinstance(facts.folds, PodiumError):
        what = f"The folds cannot be made: {facts.folds.found}."
        yield Finding("no folds", "error", len(counts), what, facts.folds.remedy, (), {}, detail)
        return
    torn = max(counts.values()) > sum(counts.values()) / len(facts.folds)
    if spec.group or spec.group_csv:  # told apart by the user's rule
        key = f"data.group = '{spec.group}'" if spec.group else f'data.group_csv = "{spec.group_csv}"'
        remedy = f"{key} in competition.toml"
        what = f"{counted(len(counts), 'group')} of {spread([*counts.values()])} samples"
    else:
        remedy = "data.group = '^(?P<group>…)_' in competition.toml, if some belong together (one patient, one car)"
        what = "Each sample is a group of its own, but for identical images"
    what += f"; {len(facts.folds)} folds of {spread(facts.folds)} samples keep groups together"
    what += ", unequal because one group is larger than a fold." if torn else "."
    yield Finding("groups and folds", "warning" if torn else "note", len(counts), what, remedy, (), {}, detail)


CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _files,
    _unseen,
    _identical,
    _contradictory,
    _in_test,
    _blank,
    _empty_and_full,
    _image_sizes,
    _image_modes,
    _mask_kinds,
    _mask_area,
    _balance,
    targets,
    overlaps,
    runs_disagree,
    mask_values,
    _groups,
    torn_splits,
    near_duplicates,
    betrayals,
    input_shift,
    _excluded,
)
