"""Findings about what betrays the target without being in the pixels: times, EXIF, compression, names, order, size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from podium.data.association import FEWEST, Codes, Floats, Strength, neighbours, strength
from podium.data.clues import NUMBERS, TEXTS
from podium.data.facts import Facts
from podium.data.finding import EXAMPLES, Finding, Severity, number, percent
from podium.data.targets import class_order

WEAK, GRAVE = 0.2, 0.35
"""Rank correlations (AUCs of 0.6 and 0.68 are like them) that are told, and that are a warning."""
SURE = 0.1
"""What the interval must leave of them."""
MOST_QUESTIONS, MOST_VALUES = 12, 12
ORDERS = ("file_time", "taken", "order", "row")
"""Clues in whose order neighbours may belong together."""

LAW = {
    "file_time": "the time of the image files",
    "taken": "the time of EXIF",
    "latitude": "the place of EXIF",
    "longitude": "the place of EXIF",
    "camera": "the camera of EXIF",
    "software": "the software that wrote the image",
    "exif": "whether there is EXIF",
    "gps": "whether EXIF has a place",
    "quality": "the JPEG quality",
    "encoding": "the kind of file",
    "order": "the order of the ids",
    "row": "the order of the table's rows",
    "prefix": "the beginning of the id",
    "name_length": "the length of the id",
    "file_size": "the size of the image files",
    "height": "the height of the images",
    "width": "the width of the images",
}


@dataclass(frozen=True)
class Kind:
    """Clues that one finding tells of together.

    Attributes:
        content: What an image shows may well explain it: never more than a note.
    """

    name: str
    clues: tuple[str, ...]
    remedy: str
    content: bool = False


GROUP = "a day, a place or a source may be behind it: data.group in competition.toml keeps such samples together"
NEIGHBOURS = 'folds.strategy = "time" and folds.by = "id" in competition.toml keep neighbours together; or data.group'
KINDS = (
    Kind("timestamps betray the target", ("file_time",), GROUP),
    Kind("exif betrays the target", ("taken", "latitude", "longitude", "camera", "software", "exif", "gps"), GROUP),
    Kind(
        "compression betrays the target",
        ("quality", "encoding"),
        "a model sees it: augment.jpeg = 0.5 and augment.blur = 0.2 in recipes/baseline.toml blur such traces",
    ),
    Kind("order of the ids betrays the target", ("order", "prefix", "name_length"), GROUP),
    Kind("order of the rows betrays the target", ("row",), GROUP),
    Kind(
        "size of the image files betrays the target",
        ("file_size", "height", "width"),
        "nothing to set: what the images show may explain it; leave it out of the inputs",
        content=True,
    ),
)


@dataclass(frozen=True)
class Look:
    """One clue beside one target.

    Attributes:
        clue: A column of `image_clues`; ``value`` what of it, where it holds texts.
        target: What is told apart: "empty masks", "class cat", "price".
        strength: How far they go together.
    """

    clue: str
    value: str
    target: str
    strength: Strength

    def __str__(self) -> str:
        what = LAW[self.clue].removeprefix("the ") + (f" '{self.value}'" if self.value else "")
        return f"{what}, {self.target}: {self.strength}"


def betrayals(facts: Facts) -> Iterable[Finding]:
    """What goes with the target further than chance has it, whatever the number of things looked at."""
    clues = facts.clues.filter(pl.col("part") == "train") if len(facts.clues) else facts.clues
    group = dict(facts.train.select("id", "group").rows())
    clues = clues.filter(pl.col("id").is_in(list(group))) if len(clues) else clues
    if len(clues) < 5 * FEWEST:
        return
    _, codes = np.unique([group[id] for id in clues["id"]], return_inverse=True)
    asked = questions(facts)
    columns = dict(_columns(clues))
    looks = max(1, 2 * len(columns) * len(asked))
    found = [look for name, y in asked.items() for look in _looks(clues, columns, codes, name, y, looks)]
    for kind in KINDS:
        telling = [look for look in found if look.clue in kind.clues]
        if telling:
            yield _finding(facts, kind, sorted(telling, key=lambda k: -k.strength.least), clues, columns, asked, looks)


def questions(facts: Facts) -> dict[str, dict[str, float]]:
    """{what is told apart: {id: 0 or 1, or a number}}."""
    spec, known = facts.competition, set(facts.train["id"])
    values = {id: v for id, v in facts.values.items() if id in known}
    if facts.pixel_targets:
        return _mask_questions(facts)
    if spec.task == "regression":
        return {name: {id: v[n] for id, v in values.items()} for n, name in enumerate(spec.data.targets)}
    names = class_order(spec)
    if spec.labels != "one":
        asked = {f"label {name}": {id: float(v[n] > 0) for id, v in values.items()} for n, name in enumerate(names)}
        return dict(sorted(asked.items(), key=lambda q: -sum(q[1].values()))[:MOST_QUESTIONS])
    counts = Counter(v[0] for v in values.values())
    classes = {number: name for name, number in spec.classes.items()}
    chosen = [number for number, _ in counts.most_common(MOST_QUESTIONS) if number in classes and number in counts]
    if len(counts) == 2:
        chosen = [max(number for number in counts)]
    return {f"class {classes[int(c)]}": {id: float(v[0] == c) for id, v in values.items()} for c in chosen}


def _mask_questions(facts: Facts) -> dict[str, dict[str, float]]:
    if facts.present:
        counts = Counter(name for names in facts.present.values() for name in names)
        some = [name for name, n in counts.most_common() if n < len(facts.present)][:MOST_QUESTIONS]
        return {f"class {name}": {id: float(name in names) for id, names in facts.present.items()} for name in some}
    rows: list[tuple[str, float]] = facts.usable.filter(pl.col("share").is_not_null()).select("id", "share").rows()
    empty, area = {id: float(share == 0) for id, share in rows}, {id: share for id, share in rows if share}
    return {"empty masks": empty, "mask area": area}


def _columns(clues: pl.DataFrame) -> Iterator[tuple[tuple[str, str], Floats]]:
    """((clue, value), figures): the numbers, and for each common value of the texts whether an image has it."""
    for name in NUMBERS:
        x = clues[name].cast(pl.Float64).to_numpy()
        if np.isfinite(x).sum() >= 5 * FEWEST and np.nanstd(x) > 0 and not _repeats(clues, name):
            yield (name, ""), x
    for name in TEXTS:
        counts = Counter(clues[name].drop_nulls().to_list())
        common = [v for v, n in counts.most_common(MOST_VALUES) if FEWEST <= n <= len(clues) - FEWEST]
        if sum(counts[v] for v in common) < len(clues) / 2:
            continue  # every image has its own
        for value in common[: 1 if len(counts) == 2 else None]:  # of two, the one is the other turned round
            yield (name, value), (clues[name] == value).fill_null(False).to_numpy().astype(np.float64)


def _repeats(clues: pl.DataFrame, name: str) -> bool:
    """Whether the rows of the table stand in the order of the ids."""
    return name == "row" and bool(clues.sort("order")["row"].drop_nulls().is_sorted())


def _looks(
    clues: pl.DataFrame,
    columns: Mapping[tuple[str, str], Floats],
    codes: Codes,
    target: str,
    y_of: Mapping[str, float],
    looks: int,
) -> Iterator[Look]:
    y = np.array([y_of.get(id, np.nan) for id in clues["id"]], np.float64)
    for (clue, value), x in columns.items():
        known = np.isfinite(x) & np.isfinite(y)
        given = x[known], y[known], codes[known]
        if known.sum() < 5 * FEWEST:
            continue
        one = _telling(strength(*given, looks))
        other = _telling(neighbours(*given, looks)) if clue in ORDERS else None
        if other and (not one or other.least > one.least + WEAK):  # the target comes in blocks
            one = other
        if one:
            yield Look(clue, value, target, one)


def _telling(found: Strength | None) -> Strength | None:
    return found if found and found.size >= WEAK and found.least >= SURE else None


def _finding(
    facts: Facts,
    kind: Kind,
    found: list[Look],
    clues: pl.DataFrame,
    columns: Mapping[tuple[str, str], Floats],
    asked: Mapping[str, Mapping[str, float]],
    looks: int,
) -> Finding:
    first = found[0]
    remedy, told = kind.remedy, f"{_upper(LAW[first.clue])}{f' ({first.value})' if first.value else ''}"
    if first.strength.kind.endswith("neighbours"):
        alike = "a like target" if first.strength.value > 0 else "targets that take turns"
        what = f"In {LAW[first.clue]} neighbours have {alike} ({first.target}: {first.strength})"
        what += ": a random split puts one of them in training and the other in validation."
        remedy = NEIGHBOURS if first.clue == "order" else kind.remedy
    else:
        what = f"{told} goes with the target ({first.target}: {first.strength}, over {first.strength.n} samples)"
        what += ": what the images show may be the cause." if kind.content else ": a model or a split may live on it."
    grave = not kind.content and first.strength.size >= GRAVE
    severity: Severity = "warning" if grave else "note"
    chance = f"intervals: 95 % over all {looks} figures looked at; groups count, not samples"
    shown = _examples(clues, first, columns[first.clue, first.value], asked[first.target])
    detail = (*(str(look) for look in found[:10]), *_in_test(facts, first, clues), chance)
    return Finding(kind.name, severity, first.strength.n, what, remedy, (), shown, detail)


def _examples(clues: pl.DataFrame, look: Look, x: Floats, y_of: Mapping[str, float]) -> dict[str, str]:
    """The first and the last samples by the clue, or some that follow one another, with both figures."""
    ids = clues["id"].to_list()
    known = [i for i in np.argsort(x, kind="stable").tolist() if np.isfinite(x[i]) and ids[i] in y_of]
    if look.strength.kind.endswith("neighbours"):
        middle = max(0, len(known) // 2 - EXAMPLES // 2)
        known = known[middle : middle + EXAMPLES]
    half = EXAMPLES // 2
    texts = clues[look.clue].to_list()
    return {
        ids[i]: f"{shown(look.clue, texts[i])}; {_answer(look.target, y_of[ids[i]])}"
        for i in (*known[:half], *known[-half:])
    }


def shown(clue: str, value: float | str | None) -> str:
    """A clue's value as one reads it."""
    if value is None or isinstance(value, str):
        return value or "none"
    if clue in ("file_time", "taken"):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%S")
    units = {"order": "place ", "row": "row "}
    return f"{units.get(clue, clue.replace('_', ' ') + ' ')}{number(value)}"


def _answer(target: str, y: float) -> str:
    if target == "mask area":
        return f"mask {percent(100 * y)}"
    if target.startswith(("class ", "label ")) or target == "empty masks":
        name = target.removeprefix("class ").removeprefix("label ").replace("empty masks", "empty")
        return name if y else f"not {name}"
    return f"{target} {number(y)}"


def _in_test(facts: Facts, look: Look, clues: pl.DataFrame) -> tuple[str, ...]:
    """Whether the test images have the same values."""
    test = facts.clues.filter(pl.col("part") == "test")[look.clue].drop_nulls()
    if look.clue in ("order", "row") or not len(facts.test):
        return ()
    if not len(test):
        return ("the test images have no such thing: what is learnt from it fails there",)
    if look.value:
        return (f"{int((test == look.value).sum())} of {len(test)} test images looked at have it",)
    train = clues[look.clue].drop_nulls()
    low, high = train.min(), train.max()
    inside = int(test.is_between(low, high).sum())
    return (f"{inside} of {len(test)} test images looked at lie within the range of train",)


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
