"""What is in the data and what is wrong with it: findings, from what the stores saw while they decoded it once.

A check is a function from `Facts` to findings; `CHECKS` lists them, and `audit` runs them all. Nothing here opens a
file, so another check costs a few lines and a table in a test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import polars as pl

from podium.data.competition import Competition
from podium.data.samples import Problem

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

TRAIN_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "group": pl.String,  # identical images count as one group, as in the folds
    "height": pl.Int64,  # of the image file; null where it cannot be read
    "width": pl.Int64,
    "mode": pl.String,
    "pixels": pl.String,  # digest
    "flat": pl.Boolean,  # one colour everywhere
    "error": pl.String,
    "mask_height": pl.Int64,
    "mask_width": pl.Int64,
    "mask_kind": pl.String,  # how the file stores it
    "mask_pixels": pl.String,  # digest, only where the image has a twin
    "area": pl.Int64,
    "mask_error": pl.String,
}
TEST_SCHEMA: dict[str, Any] = {c: TRAIN_SCHEMA[c] for c in ("id", "height", "width", "mode", "pixels", "error")}

BAD = "podium prepare --exclude-bad"
EXAMPLES = 6
NAMED = 5
"""Ids named in the text; the page shows as many pictures as `EXAMPLES`."""
TINY_FOREGROUND = 0.02
FULL = 0.999


@dataclass(frozen=True)
class Facts:
    """What is known of every sample.

    Attributes:
        train: One row a training sample that has image and mask, columns `TRAIN_SCHEMA`; the excluded are not in it.
        test: The same for test images, columns `TEST_SCHEMA`.
        problems: Ids with an image or a mask only, and listed files that cannot be paired.
        excluded: {id: reason} of `exclude.csv`.
        input_size: The recipe's [height, width].
        folds: Sizes of the folds, or why there can be none.
    """

    competition: Competition
    train: pl.DataFrame
    test: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    input_size: Sequence[int] | None = None
    folds: list[int] | str = ""

    @property
    def usable(self) -> pl.DataFrame:
        """Training samples with a good image and a good mask, with ``share``: the part that is foreground."""
        good = self.train.filter(pl.col("error").is_null() & pl.col("mask_error").is_null())
        return good.with_columns(share=pl.col("area") / (pl.col("height") * pl.col("width")))


@dataclass(frozen=True)
class Finding:
    """One thing to know about the data.

    Attributes:
        name: A short stable title.
        count: Of samples, unless ``what`` says otherwise.
        what: What it means, as one sentence.
        remedy: The command or the line of configuration that deals with it.
        ids: All the samples it is about.
        examples: {id: caption} of the pictures to show.
        detail: Lines of figures.
        part: Whose ids they are.
    """

    name: str
    severity: Severity
    count: int
    what: str
    remedy: str
    ids: tuple[str, ...] = ()
    examples: Mapping[str, str] = field(default_factory=dict)
    detail: tuple[str, ...] = ()
    part: Literal["train", "test"] = "train"

    def tree(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"ids": list(self.ids), "detail": list(self.detail), "examples": dict(self.examples)}

    def named(self) -> str:
        """The first few ids."""
        more = f" … {len(self.ids) - NAMED} more" if len(self.ids) > NAMED else ""
        return ", ".join(self.ids[:NAMED]) + more


def audit(facts: Facts) -> list[Finding]:
    """Every finding, the gravest first."""
    found = [finding for check in CHECKS for finding in check(facts)]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def histogram(facts: Facts) -> list[tuple[str, int]]:
    """(label, number of masks) of the mask areas in per cent of the image: the empty ones, then equal steps."""
    shares = facts.usable["share"].to_numpy() * 100
    top = float(shares.max(initial=0))
    step = next((s for s in (0.1, 0.2, 0.5, 1, 2, 5) if top <= 10 * s), 10)
    edges = [round(step * i, 1) for i in range(int(np.ceil(top / step)) + 1)]
    inner = Counter(np.ceil(shares[shares > 0] / step - 1e-9).astype(int).tolist())
    bars = [(f"{a:g}–{b:g}", inner[i]) for i, (a, b) in enumerate(zip(edges, edges[1:], strict=False), 1)]
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
    yield from _bad("unreadable images", train, "cannot be decoded: damaged, cut off or not images")
    yield from _bad("unreadable test images", facts.test, "in the test set cannot be decoded", part="test")
    wrong = wrong.with_columns(error=pl.col("mask_error"))
    yield from _bad("mask of another size", wrong.filter(mismatch), "have a mask that does not cover them exactly")
    yield from _bad("unreadable masks", wrong.filter(~mismatch.fill_null(False)), "have a mask that cannot be decoded")
    yield from _bad("images without a mask", unpaired.filter(without), "have nothing to learn from: no mask of that id")
    yield from _bad("masks without an image", unpaired.filter(~without), "are a mask only: no image of that id")


def _bad(name: str, frame: pl.DataFrame, means: str, part: Literal["train", "test"] = "train") -> Iterable[Finding]:
    rows = frame.filter(pl.col("error").is_not_null()).select("id", "error").rows()
    if rows:
        ids = tuple(id for id, _ in rows)
        detail = tuple(f"{id}: {error}" for id, error in rows[:10])
        what = f"{_n(len(rows), 'sample')} {means}."
        yield Finding(name, "error", len(rows), what, BAD, ids, dict(rows[:EXAMPLES]), detail, part)


def _excluded(facts: Facts) -> Iterable[Finding]:
    if facts.excluded:
        ids, detail = tuple(facts.excluded), tuple(f"{id}: {why}" for id, why in list(facts.excluded.items())[:10])
        what = f"{_n(len(ids), 'sample')} in exclude.csv: left out of training and folds."
        yield Finding("excluded", "note", len(ids), what, "to take one back, delete its line in exclude.csv", ids, {}, detail)


def _image_sizes(facts: Facts) -> Iterable[Finding]:
    train, test, size = sizes(facts.train), sizes(facts.test), facts.input_size
    if len(train.keys() | test.keys()) < 2:
        return
    (h, w), _ = (train or test).most_common(1)[0]
    odd = facts.train.filter(pl.col("error").is_null() & ((pl.col("height") != h) | (pl.col("width") != w)))
    new = sum(n for s, n in test.items() if s not in train)
    all_sizes = train + test
    detail = tuple(f"{b}x{a}: {train[a, b]} train, {test[a, b]} test" for (a, b), _ in all_sizes.most_common(12))
    what = f"Images come in {len(all_sizes)} sizes, most are {w}x{h}"
    what += f"; {_n(new, 'test image')} of a size that training never sees." if new else "."
    remedy = f"recipes/baseline.toml resizes them all: input.size = {list(size)}" if size else f"podium prepare 'input.size=[{h}, {w}]'"
    ids = tuple(odd["id"])
    shown = {id: f"{b}x{a}" for id, a, b in odd.select("id", "height", "width").rows()[:EXAMPLES]}
    yield Finding("mixed image sizes", "note" if size else "warning", len(ids), what, remedy, ids, shown, detail)


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
    remedy = "nothing to set; if colour betrays where an image is from, train without it: augment.saturation=1"
    shown = dict(odd.select("id", "mode").rows()[:EXAMPLES])
    severity: Severity = "warning" if new else "note"
    yield Finding("mixed image modes", severity, len(odd), what, remedy, tuple(odd["id"]), shown, detail)


def _mask_kinds(facts: Facts) -> Iterable[Finding]:
    kinds = Counter(facts.train["mask_kind"].drop_nulls().to_list())
    lossy = sum(n for kind, n in kinds.items() if kind.startswith("JPEG"))
    values = facts.competition.data.mask_values
    if len(kinds) > 1:
        odd = facts.train.filter(pl.col("mask_kind") != kinds.most_common(1)[0][0])
        what = f"Masks are stored in {len(kinds)} ways; each is read against the range of its own kind."
        remedy = f"check that data.mask_values = \"{values}\" in competition.toml suits them all"
        shown = dict(odd.select("id", "mask_kind").rows()[:EXAMPLES])
        detail = tuple(f"{kind}: {n}" for kind, n in kinds.most_common())
        yield Finding("mixed mask encodings", "note", len(odd), what, remedy, tuple(odd["id"]), shown, detail)
    if lossy:
        ids = tuple(facts.train.filter(pl.col("mask_kind").str.starts_with("JPEG"))["id"])
        what = f"{_n(lossy, 'mask')} stored as JPEG, whose edges are noisy; only values above half count."
        severity: Severity = "note" if values == "0/max" else "warning"
        yield Finding("JPEG masks", severity, lossy, what, 'data.mask_values = "0/max" in competition.toml', ids)


def _empty_and_full(facts: Facts) -> Iterable[Finding]:
    good, metric = facts.usable, facts.competition.metric
    empty, full = good.filter(pl.col("area") == 0), good.filter(pl.col("share") >= FULL)
    values = facts.competition.data.mask_values
    other = f'data.mask_values = "{"0/max" if values == "0/1" else "0/1"}" in competition.toml'
    for name, frame in (("all masks empty", empty), ("all masks full", full)):
        if len(frame) == len(good) > 0 and facts.competition.data.train_masks:
            what = "Not one mask has both foreground and background, so they are probably read the wrong way."
            yield Finding(name, "error", len(frame), what, other, tuple(frame["id"]), _shown(frame))
            return
    if len(empty):
        what = f"{_share(empty, good)} of the masks are empty: there {metric} is all or nothing, one stray pixel costs it."
        remedy = f"check that the board scores empty masks like metric = \"{metric}\"; keep bce in loss.terms beside dice"
        yield Finding("empty masks", "note", len(empty), what, remedy, tuple(empty["id"]), _shown(empty))
    if len(full):
        what = f"{_share(full, good)} of the masks cover the whole image: right in some data, a slip in most."
        yield Finding("full masks", "warning", len(full), what, _by_hand(full, "full mask"), tuple(full["id"]), _shown(full))


def _identical(facts: Facts) -> Iterable[Finding]:
    """Images that are the same pixel for pixel (at the input size)."""
    seen = facts.train.filter(pl.col("pixels").is_not_null())
    twins = seen.group_by("pixels", maintain_order=True).agg("id", "mask_pixels").filter(pl.col("id").list.len() > 1)
    twins = twins.sort(pl.col("id").list.len(), descending=True, maintain_order=True)
    clusters: list[list[str]] = twins["id"].to_list()
    if clusters:
        members = tuple(id for cluster in clusters for id in cluster)
        what = f"{len(members)} training images are pixel for pixel the same as another, in {_n(len(clusters), 'cluster')} "
        what += f"(the largest has {len(clusters[0])})."
        shown = {c[0]: f"{len(c)} times" for c in clusters[:EXAMPLES]}
        remedy = "podium prepare puts them into one fold; to train on one of each: " + _line(clusters[0][1], f"same image as {clusters[0][0]}")
        yield Finding("identical images", "warning", len(members), what, remedy, members, shown, _cluster_lines(clusters))
    torn = [ids for ids, digests in twins.select("id", "mask_pixels").rows() if len({d for d in digests if d}) > 1]
    if torn:
        members = tuple(id for cluster in torn for id in cluster)
        what = f"{_n(len(torn), 'cluster')} of identical images with different masks: at most one of them is right."
        shown = {id: f"{n}" for n, cluster in enumerate(torn[:3], 1) for id in cluster[:2]}
        remedy = "keep the better one: " + _line(torn[0][1], "wrong mask")
        yield Finding("same image, different masks", "warning", len(members), what, remedy, members, shown, _cluster_lines(torn))
    tested = facts.test.filter(pl.col("pixels").is_not_null()).group_by("pixels").agg(pl.col("id").sort().alias("in_test"))
    shared = seen.join(tested, on="pixels", maintain_order="left")
    if len(shared):
        n = len({id for ids in shared["in_test"] for id in ids})
        what = f"{_n(len(shared), 'training image')} also in the test set ({n} there): the score on them says nothing about new images."
        remedy = "for an honest CV leave them out: " + _line(shared["id"][0], f"same image as test {shared['in_test'][0][0]}")
        pairs = shared.select("id", "in_test").rows()
        detail = tuple(f"{id} = test {', '.join(ids[:4])}{' …' if len(ids) > 4 else ''}" for id, ids in pairs[:10])
        first = shared.unique("pixels", keep="first", maintain_order=True).select("id", "in_test").rows()
        shown = {id: f"= {len(ids)} in test" for id, ids in first[:EXAMPLES]}
        yield Finding("train images in test", "warning", len(shared), what, remedy, tuple(shared["id"]), shown, detail)


def _blank(facts: Facts) -> Iterable[Finding]:
    blank = facts.train.filter(pl.col("flat"))
    if len(blank):
        marked = len(blank.filter((pl.col("area") > 0) & pl.col("mask_error").is_null()))
        what = f"{_n(len(blank), 'image')} of one single colour, with nothing to learn from"
        what += f", and {marked} of them with a mask that is not empty." if marked else "; their masks are empty."
        ids, severity = tuple(blank["id"]), "warning" if marked else "note"
        remedy = _by_hand(blank, "blank image")
        yield Finding("blank images", severity, len(ids), what, remedy, ids, dict.fromkeys(ids[:EXAMPLES], ""))


def _mask_area(facts: Facts) -> Iterable[Finding]:
    filled = facts.usable.filter(pl.col("area") > 0).sort("share", "id")
    if not len(filled):
        return
    points = (0, 5, 25, 50, 75, 95, 100)
    values = np.quantile(filled["share"].to_numpy() * 100, np.array(points) / 100)
    bars = histogram(facts)
    most, wide = max(n for _, n in bars), max(len(label) for label, _ in bars)
    detail = ["quantile  " + " ".join(f"{p:>6d}%" for p in points), "area      " + " ".join(f"{_percent(v):>7}" for v in values), ""]
    detail += [f"{label:>{wide}} % {'█' * round(30 * n / most)} {n}" if label != "empty" else f"{label:>{wide}}   {'█' * round(30 * n / most)} {n}" for label, n in bars]
    ends = [*filled.head(3).rows(named=True), *filled.tail(3).rows(named=True)]
    shown = {row["id"]: f"{row['area']} px, {_percent(row['share'] * 100)}" for row in ends}
    what = f"Masks that are not empty cover {_percent(values[0])} to {_percent(values[-1])} of the image, half of them less than {_percent(values[3])}."
    remedy = f"the smallest must survive the resizing: input.size = {list(facts.input_size)}" if facts.input_size else "nothing to set: input.size is unset, images train as they are"
    yield Finding("mask areas", "note", len(filled), what, remedy, tuple(filled["id"]), shown, tuple(detail))


def _balance(facts: Facts) -> Iterable[Finding]:
    good = facts.usable
    pixels = int((good["height"] * good["width"]).sum())
    if pixels:
        share = int(good["area"].sum()) / pixels
        rare = 0 < share < TINY_FOREGROUND
        what = f"{_percent(share * 100)} of all pixels are {next(iter(facts.competition.classes))}"
        what += ": so rare that a model may learn to predict none." if rare else "."
        remedy = "loss.terms = { bce = 1.0, dice = 1.0 } in recipes/baseline.toml weighs a rare class up"
        yield Finding("class balance", "warning" if rare else "note", len(good), what, remedy)


def _groups(facts: Facts) -> Iterable[Finding]:
    counts, spec = Counter(facts.train["group"].to_list()), facts.competition.data
    if not counts:
        return
    pattern = f"data.group = '{spec.group}'" if spec.group else f'data.group_csv = "{spec.group_csv}"'
    known = bool(spec.group or spec.group_csv)
    middle = sorted(counts.values())[len(counts) // 2]
    detail = tuple(f"{g}: {n}" for g, n in counts.most_common(8) if n > 1)
    remedy = f"{pattern} in competition.toml" if known else "if some belong together (one patient, one car): data.group = '^(?P<group>…)_' in competition.toml"
    if isinstance(facts.folds, str):
        yield Finding("no folds", "error", len(counts), facts.folds, f"folds.k = {max(2, min(len(counts), 5))} in competition.toml", (), {}, detail)
        return
    torn = max(counts.values()) > sum(counts.values()) / len(facts.folds)
    what = f"{_n(len(counts), 'group')} of {min(counts.values())} to {max(counts.values())} samples (median {middle}); " if known else "Each sample is its own group, but for identical images; "
    what += f"podium prepare makes {len(facts.folds)} folds of {_range(facts.folds)} samples"
    what += ", unequal because one group is larger than a fold." if torn else "."
    yield Finding("groups and folds", "warning" if torn else "note", len(counts), what, remedy, (), {}, detail)


CHECKS: tuple[Callable[[Facts], Iterable[Finding]], ...] = (
    _files,
    _identical,
    _blank,
    _empty_and_full,
    _image_sizes,
    _image_modes,
    _mask_kinds,
    _mask_area,
    _balance,
    _groups,
    _excluded,
)


def _n(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _percent(value: float) -> str:
    return f"{value:.0f}%" if value >= 9.95 or value == 0 else f"{value:.1f}%" if value >= 0.095 else f"{value:.2g}%"


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}" if min(values) == max(values) else f"{min(values)} to {max(values)}"


def _share(part: pl.DataFrame, whole: pl.DataFrame) -> str:
    return f"{len(part)} of {len(whole)} ({_percent(100 * len(part) / len(whole))})"


def _shown(frame: pl.DataFrame) -> dict[str, str]:
    return dict.fromkeys(frame["id"].to_list()[:EXAMPLES], "")


def _line(id: str, reason: str) -> str:
    return f"line in exclude.csv (its header is id,reason,by): {id},{reason},me"


def _by_hand(frame: pl.DataFrame, reason: str) -> str:
    return "for each that is wrong, a " + _line(frame["id"][0], reason)


def _cluster_lines(clusters: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{len(c)} times: {', '.join(c[:4])}{' …' if len(c) > 4 else ''}" for c in clusters[:8])
