"""Targets in a table or in folder names: which columns they are, and what they mean."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

import polars as pl

from podium.data.infer.columns import (
    SEPARATORS,
    first_few,
    is_list,
    kind_of,
    known_values,
    other_flags,
    tells,
    uncertain,
)
from podium.data.infer.each import classes_of_each, target_rows
from podium.data.infer.groups import GROUP_WORDS
from podium.data.infer.label_rows import LabelRows, label_rows, repeats
from podium.data.infer.rle_tables import SAMPLE, id_column
from podium.data.infer.spelling import columns_of, is_number
from podium.data.infer.splits import is_bookkeeping, validation_tables
from podium.data.layout import Layout, split_of
from podium.data.patterns import stem_of
from podium.data.several_targets import joined_classes
from podium.errors import DataError

_TARGET_WORDS = tuple(
    re.compile(rf"^(y|({words})(_?(id|ids|name|names|value|\d+))?)$", re.IGNORECASE)
    for words in (
        r"targets?|(\w+[_ ])?labels?|ground_?truth|gt",
        "class|classes|category|categories|tags?|attribute_ids",
        "diagnosis|dx|breed|species|disease|benign_malignant",
        "price|.*_price|price_.*|.*_usd|boneage|bone_age",
        "grade|level|severity|stage|.*_grade|score|rating|quality|counts?|.*_count",
        "age",
    )
)
"""What targets are called, the surest first."""
_INPUT_WORDS = re.compile(
    r"^(sex|gender|male|female|is_?(fe)?male|age.*|weight|height|width|depth|z|angle|view|site|location|localization|"
    r"anatom.*|body_?part|modality|scanner|camera|year|month|date|time|zip_?code|latitude|longitude|lat|lon|size|mode|area|"
    r"channels?)$",
    re.IGNORECASE,
)
_ORDINAL = re.compile(r"grade|level|severity|stage|diagnosis|quality", re.IGNORECASE)
_CLASS_WORDS = re.compile(
    r"class|label|categ|species|breed|_id$|(^|_)type$|emotion|expression|cultivar|variety|disease|genre|brand|identity",
    re.IGNORECASE,
)
_MAYBE_CLASS = re.compile(r"targets?|y|kind|group", re.IGNORECASE)
"""Whole numbers so called are classes if they are the first few ones, each again and again."""


@dataclass(frozen=True)
class LabelTable:
    """A table with a row a sample.

    Attributes:
        ids: Those it has; with views, what the images' names begin with.
        task, labels, classes, separator, class_column: As competition.toml has them.
        why: What told so, and what else was considered.
        ordinal: Whether the classes have an order.
        spelling: How ids name a class, where they do.
        flags: What else than 0 and 1 is read as such.
        validation: Tables of other images with the same columns, called validation.
    """

    path: str
    id_column: str
    targets: list[str]
    inputs: list[str]
    task: str
    labels: str
    classes: dict[str, int]
    why: str
    ids: set[str]
    views: list[str] = field(default_factory=list)
    separator: str | None = None
    ordinal: bool = False
    class_column: str | None = None
    spelling: str | None = None
    flags: dict[str, int] = field(default_factory=dict)
    validation: list[str] = field(default_factory=list)


def label_table(layout: Layout, targets: Sequence[str] = (), *, each: bool = False) -> LabelTable | None:
    """The table that gives most images a target, or has these columns; None if there is none.

    Args:
        each: Whether each target is known to have one class.
    """
    stems = {stem for f in layout.folders for stem in f.files}
    samples = {c for p, t in layout.tables.items() if SAMPLE.search(p) for c in t.columns}
    found: list[tuple[tuple[int, int], LabelTable]] = []
    for path, table in layout.tables.items():
        if SAMPLE.search(path) or table.is_empty() or split_of(PurePath(path).name) == "test":
            continue
        views: list[str] = []
        by_id = _id_column(table, stems)
        if by_id is None and (split := _views(table, stems)) is not None:
            by_id, views = split
        if (by_id is None or repeats(table, by_id)) and not views:
            rows = label_rows(table, by_id, stems, {*targets, *samples})
            if rows is not None:
                found.append(((0, len(rows.ids)), _of_rows(path, rows)))
            continue
        if by_id is not None and (meaning := _meaning(layout, table, by_id, targets, each)) is not None:
            more = [] if views else validation_tables(layout, path, [by_id, *meaning[1].targets], stems)
            ids = {stem_of(v) for p in (path, *more) for v in layout.tables[p][by_id].to_list()}
            label = LabelTable(path=path, id_column=by_id, ids=ids, views=views, validation=more, **vars(meaning[1]))
            found.append(((-meaning[0], len(ids)), label))
    return max(found, key=lambda f: f[0], default=(None, None))[1]


def _of_rows(path: str, rows: LabelRows) -> LabelTable:
    return LabelTable(
        path=path,
        id_column=rows.id_column,
        targets=[rows.target],
        inputs=[],
        task="classification",
        labels="many",
        classes={name: i for i, name in enumerate(rows.classes)},
        why=rows.why,
        ids=set(rows.ids),
        class_column=rows.class_column,
        spelling=rows.spelling,
    )


def _id_column(table: pl.DataFrame, stems: set[str]) -> str | None:
    """The id column of a table of targets: file names with or without ending, or paths; each once."""
    found = id_column(table, stems)
    best, most = (found[0], table[found[0]].head(300).n_unique()) if found is not None else (None, 0)
    for name in table.columns:  # paths through several folders; with more ids than numbers that happen to be some
        values = [v for v in table[name].head(300).to_list() if v]
        if len(set(values)) > most and sum(stem_of(v) in stems for v in values) * 2 > len(values):
            best, most = name, len(set(values))
    return best


def _views(table: pl.DataFrame, stems: set[str]) -> tuple[str, list[str]] | None:
    """(id column, view names) where image names are <id>_<view> with few views: 12_kitchen.jpg, 12_bathroom.jpg."""
    parts = [s.rpartition("_") for s in stems]
    views = Counter(tail for _, sep, tail in parts if sep)
    heads = {head for head, sep, _ in parts if sep}
    if not 2 <= len(views) <= 12 or max(views.values()) > 2 * min(views.values()):
        return None
    for name in table.columns:
        values = set(table[name].to_list())
        if len(values) == len(table) and len(values & heads) * 2 > len(values):
            return name, sorted(views)
    return None


@dataclass(frozen=True)
class _Meaning:
    """What the columns of a table mean; see LabelTable."""

    targets: list[str]
    inputs: list[str]
    task: str
    why: str
    labels: str = "one"
    classes: dict[str, int] = field(default_factory=dict)
    separator: str | None = None
    ordinal: bool = False
    flags: dict[str, int] = field(default_factory=dict)


def _meaning(
    layout: Layout, table: pl.DataFrame, ids: str, given: Sequence[str], each: bool
) -> tuple[int, _Meaning] | None:
    """How sure it is (0 = surest), and what the columns mean."""
    samples = {c for p, t in layout.tables.items() if SAMPLE.search(p) for c in t.columns} - {ids}
    tests = [t.columns for p, t in layout.tables.items() if split_of(PurePath(p).name) == "test" and ids in t.columns]
    aside = [c for c in table.columns if GROUP_WORDS.match(c) or is_bookkeeping(c, table[c].to_list())]
    columns = [c for c in table.columns if c != ids and (c in given or (c not in aside and tells(table[c])))]
    kinds = {c: kind_of(table[c]) for c in columns} | dict.fromkeys(uncertain(table, columns), "flag")
    plain = [c for c in columns if not _INPUT_WORDS.match(c) and kinds[c] != "text"]
    flags, numbers = ([c for c in plain if kinds[c] == kind] for kind in ("flag", "number"))
    unknown = [c for c in plain if c not in tests[0]] if tests else []
    choices = (
        (list(given), "as given"),
        ([c for c in columns if c in samples], "the sample submission has it"),
        (_answers(layout, table, columns), "the sample submission has values of it"),
        (rows_of := target_rows(layout, table, columns), "the sample submission has a row for each"),
        (unknown, f"the test table, {', '.join(tests[0][:6])}, has it not" if tests else ""),
        *(([c for c in columns if words.match(c)], "its name says so") for words in _TARGET_WORDS),
        (flags if len(flags) >= len(numbers) else [], "holds 0 and 1"),
        (plain if len(plain) == 1 else [], "the only column that could be one"),
        (numbers + flags if numbers else [], "all numbers of the table"),
        ([c for c in plain if kinds[c] == "class"][:1], "the first column with few names in it"),
        (columns if len(columns) == 1 else [], "the only column that tells samples apart"),
    )
    for sure, (found, why) in enumerate(choices):
        joint = len(found) > 1 and (each or sure < 4)
        classes = classes_of_each(table, found, kinds, sure=each or found == rows_of) if joint else {}
        targets = list(classes) or _without_doubles(table, [c for c in table.columns if c in found], kinds)
        if targets and set(targets) <= kinds.keys():
            if sure == 1 and (other := _of_another_kind(table, found, targets)):
                raise DataError(
                    f"the sample submission asks for {targets[0]} and {other}, and one has names, the other numbers",
                    where=layout.root,
                    expected="targets of one kind",
                    remedy=f"a workspace for each: podium new … data.targets={targets[0]}, and … data.targets={other}",
                )
            known = (*targets, *samples)
            inputs = [c for c in columns if c not in known and kinds[c] != "text" and not _same(table, c, targets)]
            others = [c for c in table.columns if c not in (*targets, ids)]
            why += f"; also there: {', '.join(c or 'a column without a name' for c in others)}" if others else ""
            if classes:
                return sure, _Meaning(targets, inputs, "classification", why, "each", joined_classes(classes))
            return sure, _task(table, targets, inputs, kinds, why, _asked_of(layout, ids))
    return None


def _answers(layout: Layout, table: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """The column of names whose values a sample submission writes, called otherwise: predictions for individual_id."""
    for path, sample in layout.tables.items():
        texts = sample[sample.columns[-1]].to_list() if SAMPLE.search(path) and len(sample.columns) == 2 else []
        words = {word for text in texts for word in (text, *text.split())} - {""}
        words = {word for word in words if not is_number(word)}
        found = [c for c in columns if words and len(words & set(table[c].to_list())) * 2 > len(words)]
        if found:
            return found[:1]
    return []


def _without_doubles(table: pl.DataFrame, targets: list[str], kinds: dict[str, str]) -> list[str]:
    """Targets without those that say the same in other words, class_id beside class_name: names are kept."""
    if len(targets) < 2 or all(kinds.get(c) in ("flag", "number") for c in targets):
        return targets
    first = next(c for c in targets if kinds.get(c) not in ("flag", "number"))
    return [first]


def _of_another_kind(table: pl.DataFrame, found: Sequence[str], targets: Sequence[str]) -> str:
    """A column that is asked for beside the targets, and does not say the same in other words; "" if there is none."""
    return next((c for c in found if c not in targets and not _same(table, c, targets)), "")


def _same(table: pl.DataFrame, column: str, targets: Sequence[str]) -> bool:
    """Whether a column tells the target in other words, so that it can be no input."""
    for target in targets:
        pairs = table.select(column, target).n_unique()
        if pairs == table[column].n_unique() == table[target].n_unique() and pairs * 2 < len(table):
            return True
    return False


def _task(
    table: pl.DataFrame, targets: list[str], inputs: list[str], kinds: dict[str, str], why: str, asked: Sequence[str]
) -> _Meaning:
    """What kind of targets they are.

    Args:
        asked: The columns of the sample submission but its ids.
    """
    first, values = targets[0], known_values([v for v in table[targets[0]].to_list() if v])
    if len(targets) > 1:
        if all(kinds[c] == "flag" for c in targets):
            classes = {c: i for i, c in enumerate(targets)}
            if _one_of_them(table, targets):
                why = f"a column a class, in each row one of them is 1; {why}"
                return _Meaning(targets, inputs, "classification", why, "one", classes)
            flags = other_flags(table, targets)
            if flags:
                told = " and ".join(f"'{text}'" if text else "an empty field" for text in flags)
                why = f"beside 1 and 0, {told} stand for 0, as data.flags says; {why}"
            return _Meaning(targets, inputs, "classification", why, "many", classes, flags=flags)
        return _Meaning(targets, inputs, "regression", why)
    if all(re.fullmatch(r"-?\d+\.0+", v) for v in values):  # whole numbers beside a gap, as pandas writes them
        values = [v.partition(".")[0] for v in values]
    names = sorted(set(values), key=lambda v: (not is_number(v), float(v) if is_number(v) else 0, v))
    few_whole = len(names) <= 20 and all(re.fullmatch(r"-?\d+", v) for v in names)
    if len(asked) == len(names) > 1 and columns_of(names, asked):
        why = f"the sample submission has a column for each of its values; {why}"
        classes, graded = {c: i for i, c in enumerate(names)}, bool(_ORDINAL.search(first) and len(names) > 2)
        return _Meaning(targets, inputs, "classification", why, classes=classes, ordinal=graded and few_whole)
    if kinds[first] == "flag":
        return _Meaning(targets, inputs, "classification", why, classes={first: 1})
    separator = next((s for s in SEPARATORS if is_list(values, s)), None)
    if separator is not None:
        labels = sorted({part.strip() for v in values for part in v.split(separator) if part.strip()})
        classes = {c: i for i, c in enumerate(labels)}
        return _Meaning(targets, inputs, "classification", why, "many", classes, separator)
    ordinal = bool(_ORDINAL.search(first)) and few_whole
    named_class = few_whole or (len(names) * 4 <= len(values) and all(re.fullmatch(r"\d+", v) for v in names))
    maybe = kinds[first] == "number" and bool(_MAYBE_CLASS.fullmatch(first)) and first_few(values)
    if kinds[first] in ("class", "text") or ordinal or (named_class and _CLASS_WORDS.search(first)) or maybe:
        if maybe:
            why = f"unsure whether classes or amounts: {len(names)} whole numbers, each again and again; {why}"
        classes = {c: i for i, c in enumerate(names)}
        return _Meaning(targets, inputs, "classification", why, classes=classes, ordinal=ordinal)
    return _Meaning(targets, inputs, "regression", why)


def _asked_of(layout: Layout, ids: str) -> list[str]:
    """The columns of the sample submission but its ids, if there is one and its ids are called alike."""
    samples = [t.columns for p, t in layout.tables.items() if SAMPLE.search(p) and ids in t.columns]
    return [c for c in samples[0] if c != ids] if len(samples) == 1 else []


def _one_of_them(table: pl.DataFrame, flags: Sequence[str]) -> bool:
    """Whether each row has a 1 in one column: classes that exclude each other."""
    ones = [sum(v.lower() in ("1", "1.0", "true") for v in row) for row in table.select(flags).iter_rows()]
    return set(ones) == {1}
