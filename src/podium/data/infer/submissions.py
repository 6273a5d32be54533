"""What a submission looks like: from the sample submission, or else like the table of targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from podium.data.infer.draft import Draft
from podium.data.infer.rle_tables import SAMPLE, RleTable, pixel_order
from podium.data.infer.spelling import class_names, columns_of, is_number
from podium.data.infer.value_samples import ValueTable
from podium.data.layout import Layout, Pairing
from podium.data.several_targets import parts_of


def rle_submission(
    draft: Draft, layout: Layout, pairing: Pairing | None, samples: Sequence[RleTable], targets: Sequence[RleTable]
) -> None:
    """Rows of run-length masks: one an image, one an object, or one a class.

    Args:
        draft: With the task and the classes; told what of `train_rle` is written otherwise than a submission.
        pairing: Images with mask files, if there are such.
        samples, targets: The tables of run-length masks that are sample submissions, and the others.
    """
    truth = targets[0] if targets else None
    table = samples[0] if samples else _of_header(layout, truth) or truth
    objects, classes = draft.tree["task"] == "instances", _foreground(draft)
    what = "object" if objects else "image and class" if len(classes) > 1 else "image"
    draft.put("submission.format", "rle_objects" if objects else "rle", f"one run-length mask an {what}")
    source = f"as in {table.path}" if table else ""
    if table is not None:
        draft.put("submission.id_column", table.id_column, source)
        if len(table.value_columns) > 1:
            draft.put("submission.value_columns", list(table.value_columns), f"{source}, a column a class")
        else:
            draft.put("submission.value_column", table.value_column, source)
        if table.empty:
            draft.put("submission.empty", table.empty, f"{source}, for no mask")
        if table.spelling != "{id}":
            draft.put("submission.id", table.spelling, source)
    if len(classes) > 1 and not objects and not (table and table.value_columns):
        _mask_a_class(draft, table, truth, classes)
    if "train_rle" in draft.tree["data"] and truth is not None:
        _written_otherwise(draft, truth)
    if truth:
        order, reason = pixel_order(layout, pairing, truth)
    elif objects:
        order, reason = "column", "as in the Data Science Bowl 2018, whose labels are like these; nothing here tells"
    else:
        order, reason = "row", "no run-length mask to tell; correct it if wrong"
    draft.put("submission.order", order, reason)


def _of_header(layout: Layout, truth: RleTable | None) -> RleTable | None:
    """What a sample submission without a row says, that of a hidden test set: it names the columns alone."""
    for path, table in layout.tables.items():
        if truth is None or not SAMPLE.search(path) or not table.is_empty():
            continue
        named = [c for c in (truth.id_column, truth.class_column) if c in table.columns]
        values = [c for c in table.columns if c not in named]
        if len(values) == 1 and len(named) == 1 + bool(truth.class_column):
            return replace(truth, path=path, value_column=values[0], rows={})
    return None


def _foreground(draft: Draft) -> list[str]:
    """The classes that a submission has masks of: all but a background."""
    classes, left_out = draft.tree.get("classes", {}), draft.tree["data"].get("exclude_classes", [])
    names = sorted(classes, key=lambda c: classes[c])
    return [n for n in names if n not in left_out and not (n == names[0] and n.lower() in _BACKGROUNDS)]


_BACKGROUNDS = ("background", "bg", "none", "void", "_background_")


def _mask_a_class(draft: Draft, table: RleTable | None, truth: RleTable | None, classes: Sequence[str]) -> None:
    """Which column, or part of the id, names the class of a row."""
    like = table if table is not None and table.classes else truth if truth is not None and truth.classes else None
    if like is None:
        draft.put("submission.class_column", "class", "nothing in the data tells; a row for each image and class")
        draft.put("submission.classes", list(classes), "the names in [classes]")
        return
    source = f"as in {like.path}"
    if like.class_column:
        beside = table is None or like is table or like.class_column in table.left_out
        why = source if beside else f"{source}; unsure: the sample submission has no such column"
        draft.put("submission.class_column", like.class_column, why)
    elif like is not table and table is not None:
        draft.put("submission.id", like.spelling, source)
    spelt = list(like.classes)
    found = columns_of(classes, spelt) or columns_of(classes, class_names(spelt)) or spelt
    found = spelt if set(found) != set(spelt) else found
    note = "" if len(found) == len(classes) else f"; unsure: there are {len(classes)} classes"
    draft.put("submission.classes", found, f"{source}, in the order of [classes]{note}")


def _written_otherwise(draft: Draft, truth: RleTable) -> None:
    """What the table of training masks has that a submission has not."""
    form, source = draft.tree["submission"], f"so {truth.path} has it, and the sample submission has not"
    known = form.get("id", "{id}"), form.get("class_column")
    if truth.id_column != form.get("id_column", "id"):
        draft.put("data.id_column", truth.id_column, source)
    if not truth.value_columns and truth.value_column != form.get("value_column", "rle_mask"):
        draft.put("data.rle_column", truth.value_column, source)
    if (truth.spelling, truth.class_column) != known:
        draft.put("data.id", truth.spelling, source)
        if truth.class_column:
            draft.put("data.class_column", truth.class_column, source)


def value_submission(draft: Draft, given: ValueTable | None) -> None:
    """Rows of values: numbers, probabilities or names of classes.

    Args:
        draft: With task, labels, classes and targets; a sample submission whose columns have another order reorders
            classes and targets that have none of their own.
        given: The sample submission, if there is one.
    """
    if given is None:
        _without_sample(draft)
        return
    source = f"as in {given.path}"
    if draft.tree.get("labels") == "each" and _each(draft, given, source):
        return
    spelling = given.combined.spelling if given.combined else given.spelling
    if given.combined or given.class_column:
        _class_rows(draft, given, source)
    elif draft.tree["task"] == "regression":
        _numbers(draft, given, source)
    elif len(given.value_columns) > 1:
        _a_column_a_class(draft, given, source)
    else:
        _one_column(draft, given, source)
    draft.put("submission.id_column", given.id_column, source)
    if spelling != "{id}":
        draft.put("submission.id", spelling, source)


def _each(draft: Draft, given: ValueTable, source: str) -> bool:
    """A column, or a row, for each of several targets; False if the sample submission has neither."""
    targets = draft.tree["data"]["targets"]
    rows = list(given.classes)
    columns = columns_of(targets, rows or given.value_columns)
    if columns is None:
        return False
    draft.put("submission.format", "names", f"the class of each target, a {'row' if rows else 'column'} each")
    draft.put("submission.id_column", given.id_column, source)
    spelling = given.combined.spelling if given.combined else given.spelling
    if spelling != "{id}":
        draft.put("submission.id", spelling, source)
    if rows:
        if given.class_column:
            draft.put("submission.class_column", given.class_column, source)
        draft.put("submission.classes", columns, source)
        draft.put("submission.value_column", given.value_columns[0], source)
    else:
        draft.put("submission.value_columns", columns, source)
    _choices(draft, targets)
    return True


def _choices(draft: Draft, targets: Sequence[str]) -> None:
    parts = parts_of(targets, draft.tree["classes"], {})
    draft.put("submission.choices", [list(part.classes) for part in parts], "the classes of each target")


def _without_sample(draft: Draft) -> None:
    tree = draft.tree
    targets, names = tree["data"].get("targets", []), _names(draft)
    source = "as in the table of targets" if targets else "nothing in the data tells"
    draft.put("submission.id_column", tree["data"].get("id_column", "id"), source)
    why = "one row a sample; correct it if the competition asks for something else"
    if tree.get("labels") == "each":
        draft.put("submission.format", "names", f"the class of each target, {why}")
        draft.put("submission.value_columns", list(targets), source)
        _choices(draft, targets)
    elif tree["task"] == "regression":
        draft.put("submission.format", "values", why)
        _columns(draft, targets, source)
    elif tree["data"].get("separator"):
        draft.put("submission.format", "names", why)
        draft.put("submission.classes", names, "the names that may be written")
        draft.put("submission.separator", tree["data"]["separator"], source)
        _columns(draft, targets, source)
    elif len(names) > 2 or tree.get("labels") == "many":
        draft.put("submission.format", "probs", why)
        _columns(draft, names, "a column of probabilities a class; no sample submission tells")
    else:
        draft.put("submission.format", "probs", why)
        _columns(draft, targets[:1] or ["label"], source + _of_which(names))


def _numbers(draft: Draft, given: ValueTable, source: str) -> None:
    draft.put("submission.format", "values", "numbers, one row a sample")
    targets = draft.tree["data"].get("targets", [])
    if sorted(targets) == sorted(given.value_columns):
        draft.tree["data"]["targets"] = list(given.value_columns)
        _columns(draft, given.value_columns, source)
    elif len(targets) == len(given.value_columns):
        found = columns_of(targets, given.value_columns)
        note = "" if found or len(targets) == 1 else f"; unsure: taken for {', '.join(targets)}, in this order"
        _columns(draft, found or given.value_columns, source + note)
    else:
        found = columns_of(targets, given.value_columns)
        _columns(draft, found or given.value_columns[:1], f"{source}; unsure: it has {_listed(given.value_columns)}")


def _a_column_a_class(draft: Draft, given: ValueTable, source: str) -> None:
    names, columns = _names(draft), given.value_columns
    draft.put("submission.format", "probs", "a probability a class, one row a sample")
    found = columns_of(names, columns)
    if found is None:
        note = f"unsure: none of its columns is called like a class; {_listed(names)} are taken in this order"
        if len(columns) != len(names):
            note = f"unsure: it has {len(columns)} columns, and there are {len(names)} classes"
        _columns(draft, columns, f"{source}; {note}")
        return
    if not draft.tree.get("ordinal") and not draft.numbered and len(found) == len(columns):
        names = [names[found.index(c)] for c in columns]  # the file's order is as good as any
        found = columns
        draft.tree["classes"] = {n: i for i, n in enumerate(names)}
        targets = draft.tree["data"].get("targets", [])
        if len(targets) > 1:
            draft.tree["data"]["targets"] = [t for n in names for t in targets if t == n]
    extra = [c for c in columns if c not in found]
    _columns(draft, found, source + (f"; also there, left out: {_listed(extra)}" if extra else ""))


def _one_column(draft: Draft, given: ValueTable, source: str) -> None:
    names, column = _names(draft), given.value_columns
    separator = draft.tree["data"].get("separator")
    values = {v for v in given.rows.values() if v}
    plain = {"true": "1", "false": "0"}
    if len(names) == 1 and values and {v.lower() for v in values} <= plain.keys():
        draft.put("submission.format", "names", f"{source}: false or true, one row a sample")
        words = ["False", "True"] if any(v[0].isupper() for v in values) else ["false", "true"]
        draft.put("submission.classes", words, source)
    elif separator or len(names) > 2 or any(not is_number(v) for v in values):
        draft.put("submission.format", "names", f"names of classes, {source}")
        numbered = bool(values) and all(v.isdecimal() for v in values) and not values <= set(names)
        spelt = [str(draft.tree["classes"][name]) for name in names] if numbered else names
        draft.put(
            "submission.classes", spelt, "numbers of the classes, in order" if numbered else "what may be written"
        )
        if separator:
            draft.put("submission.separator", separator, "as in the table of targets")
        elif (most := max((len(v.split()) for v in values if set(v.split()) <= set(names)), default=0)) > 1:
            draft.put("submission.guesses", most, f"{given.path} has up to {most} names of classes a row")
    else:
        draft.put("submission.format", "probs", "a probability, one row a sample")
        source += _of_which(names)
    _columns(draft, column, source)


def _class_rows(draft: Draft, given: ValueTable, source: str) -> None:
    """A row for each sample and class, a_cat,0.5; or, of numbers, for each sample and target."""
    spelt, numbers = list(given.classes), draft.tree["task"] == "regression"
    names = draft.tree["data"]["targets"] if numbers else _names(draft)
    found = columns_of(names, spelt) or columns_of(names, class_names(spelt))
    note = "" if found else f"; unsure: they are taken for {_listed(names)}, in this order"
    what = "target" if numbers else "class"
    draft.put("submission.format", "values" if numbers else "probs", f"a row for each sample and {what}")
    if given.class_column:
        draft.put("submission.class_column", given.class_column, source)
    if found and set(found) <= set(spelt):
        spelt = found
    draft.put("submission.classes", spelt, f"{source}, in the order of {'targets' if numbers else '[classes]'}{note}")
    _columns(draft, given.value_columns[:1], source)


def _names(draft: Draft) -> list[str]:
    classes: dict[str, int] = draft.tree.get("classes", {})
    return sorted(classes, key=lambda c: classes[c])


def _columns(draft: Draft, columns: Sequence[str], why: str) -> None:
    if len(columns) > 1:
        draft.put("submission.value_columns", list(columns), why)
    else:
        draft.put("submission.value_column", columns[0], why)


def _of_which(names: Sequence[str]) -> str:
    return f"; the probability of {names[-1]}" if len(names) == 2 else ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (" …" if len(names) > 6 else "")
