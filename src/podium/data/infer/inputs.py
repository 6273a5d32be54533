"""Metadata beside the images that a model may use: from the table of targets, or another one."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import PurePath

import polars as pl

from podium.data.competition import listed
from podium.data.infer.draft import Draft
from podium.data.infer.groups import GROUP_WORDS
from podium.data.infer.input_names import called_otherwise
from podium.data.infer.rle_tables import SAMPLE, id_column
from podium.data.layout import ImageFolder, Layout, split_of
from podium.data.patterns import stem_of

METADATA = re.compile(
    r"^((patient_?)?(sex|gender|age(_\w+)?|weight|bmi|smoker|ethnicity)|(is_?)?(fe)?male|z|depths?(_\w+)?|angle|view|site|"
    r"(anatom_?\w*_?)?(location|localization|site)(_\w+)?|(body|body_?part|eye|side|laterality)|modality|scanner|camera|"
    r"device|magnification|altitude|lat|lon|latitude|longitude|temperature|humidity|month|season|hour)$",
    re.IGNORECASE,
)
"""Columns that are known of a test image too; others, an area or a count, may have been read off the target."""


def infer_inputs(draft: Draft, layout: Layout, ids: Collection[str]) -> None:
    """Columns of metadata as inputs; and, where test images are, the table that has them for these."""
    data = draft.tree["data"]
    tests = _test_ids(layout, listed(data.get("test_images"))) - set(ids)
    if data.get("inputs"):
        _for_test_images(draft, layout, tests)
    elif ids:
        _beside(draft, layout, set(ids), tests)


def _for_test_images(draft: Draft, layout: Layout, tests: set[str]) -> None:
    """The inputs of the table of targets, looked for in a table of the test images."""
    data = draft.tree["data"]
    every, column, inputs = listed(data["train_csv"]), data["id_column"], data["inputs"]
    own = every[0]
    if not tests:
        _of_hidden_images(draft, layout)
        return
    if _covers(layout.tables[own], column, tests):
        _from(draft, every, column)
        return
    others = {p: t for p, t in layout.tables.items() if p not in every and not SAMPLE.search(p)}
    for path, table in others.items():
        shared = [c for c in inputs if c in table.columns]
        if column not in table.columns or not shared or not _covers(table, column, tests):
            continue
        _keep(draft, path, shared)
        _from(draft, [*every, path], column)
        return
    if _from_other_columns(draft, layout, tests):
        return
    del data["inputs"], draft.why["data.inputs"]
    draft.why["data.targets"] += f"; no input, since no table has it for the test images: {', '.join(inputs)}"


def _keep(draft: Draft, path: str, shared: list[str]) -> None:
    """Only the inputs that a table of test images has."""
    if alone := [c for c in draft.tree["data"]["inputs"] if c not in shared]:
        note = f"; {path} has no {', '.join(alone)}, so left out"
        draft.put("data.inputs", shared, draft.why["data.inputs"] + note)


def _of_hidden_images(draft: Draft, layout: Layout) -> None:
    """A table of test images that are not here tells all the same what is known of them."""
    data = draft.tree["data"]
    for path, table in layout.tables.items():
        if split_of(PurePath(path).name) == "test" and data["id_column"] in table.columns:
            shared = [c for c in data["inputs"] if c in table.columns]
            _keep(draft, path, shared)
            if not shared:
                del data["inputs"], draft.why["data.inputs"]
            return


def _from_other_columns(draft: Draft, layout: Layout, tests: set[str]) -> bool:
    """The table of the test images that calls the inputs otherwise, if there is one."""
    data = draft.tree["data"]
    every = listed(data["train_csv"])
    own = layout.tables[every[0]]
    for path, table in layout.tables.items():
        found = id_column(table, tests) if path not in every and not SAMPLE.search(path) else None
        if found is None or not _covers(table, found[0], tests):
            continue
        told = called_otherwise({c: own[c] for c in data["inputs"]}, table, left_out=(found[0],))
        if told is None:
            continue
        _from(draft, every, data["id_column"], tested=False)
        draft.put("data.test_inputs_csv", path, "holds the inputs of the test images, called otherwise")
        draft.put("data.test_inputs_id_column", found[0], "its values are the image names")
        draft.put("data.test_inputs", told[0], f"taken for {', '.join(data['inputs'])}")
        if told[1]:
            draft.put("data.test_values", told[1], "as the training table writes them")
        return True
    return False


def _from(draft: Draft, paths: list[str], column: str, tested: bool = True) -> None:
    tables = paths[0] if len(paths) == 1 else paths
    draft.put("data.inputs_csv", tables, "holds the inputs" + (" of training and test images" if tested else ""))
    draft.put("data.inputs_id_column", column, "its values are the image names")


def _beside(draft: Draft, layout: Layout, ids: set[str], tests: set[str]) -> None:
    """Metadata in a table that has no targets, such as depths.csv with id,z beside masks."""
    data = draft.tree["data"]
    taken = {data.get("group_column"), *data.get("targets", [])}
    stems = {stem for f in layout.folders for stem in f.files}
    for path, table in layout.tables.items():
        found = id_column(table, stems | ids) if not SAMPLE.search(path) else None
        if found is None or not _covers(table, found[0], ids):
            continue
        inputs = [c for c in table.columns if c not in taken and METADATA.match(c) and _varies(table[c])]
        if not inputs:
            continue
        others = [p for p, t in layout.tables.items() if p != path and {found[0], *inputs} <= set(t.columns)]
        paths = [path]
        if tests and not _covers(table, found[0], tests):
            paths += [p for p in others if _covers(layout.tables[p], found[0], tests)][:1]
            if len(paths) == 1:
                continue  # not known of the test images
        passed = [c for c in table.columns if c not in (*inputs, found[0], *taken) and not GROUP_WORDS.match(c)]
        also = f"; also there, and not taken, since it may come of the target: {', '.join(passed)}" if passed else ""
        draft.put("data.inputs", inputs, f"{path} tells them of every image{also}")
        _from(draft, paths, found[0], bool(tests))
        return


def _covers(table: pl.DataFrame, column: str, ids: Collection[str]) -> bool:
    """Whether nine of ten ids have a row."""
    return len({stem_of(v) for v in table[column].to_list()} & set(ids)) * 10 >= 9 * len(ids)


def _varies(column: pl.Series) -> bool:
    values = [v for v in column.to_list() if v]
    return len(set(values)) > 1 and len(values) * 2 > len(column)


def _test_ids(layout: Layout, patterns: Sequence[str]) -> set[str]:
    """The stems of the images that test patterns match."""

    def matches(folder: ImageFolder) -> bool:
        return folder.pattern() in patterns

    return {stem for f in layout.folders if matches(f) for stem in f.files}
