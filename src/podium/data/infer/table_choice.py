"""Which table has the targets, and whether folders say more; and tables that cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from podium.data.infer.class_trees import class_folders
from podium.data.infer.draft import Draft
from podium.data.infer.labels import LabelTable, label_table
from podium.data.infer.rle_tables import SAMPLE
from podium.data.layout import MASK_WORDS, Layout, split_of
from podium.data.patterns import stem_of
from podium.progress import say


def table_of_targets(layout: Layout, targets: Sequence[str], each: bool) -> LabelTable | None:
    """The table of targets; None if folders say the same of more images: real and fake in train, valid and test."""
    table = label_table(layout, targets, each=each)
    folders = class_folders(layout) if table is not None and table.labels == "one" and len(table.targets) == 1 else None
    if table is None or folders is None or targets or not (folders.val or folders.test):
        return table
    columns = table.id_column, table.targets[0]
    rows = [row for p in (table.path, *table.validation) for row in layout.tables[p].select(columns).rows()]
    said = {stem_of(id): value for id, value in rows}
    above = {id: PurePath(f.path).name for f in layout.folders for id in f.files if id in said}
    pairs = {(said[id], name) for id, name in above.items()}
    one_each = len(pairs) == len(set(said.values())) == len({name for _, name in pairs}) == len(folders.classes)
    asked = any(SAMPLE.search(path) for path in layout.tables)
    return None if one_each and {name for _, name in pairs} == folders.classes.keys() and not asked else table


def pass_over(draft: Draft, layout: Layout) -> None:
    """Say which tables cannot be read; one that a submission or, without masks, the targets may need is an error."""
    masks = "train_masks" in draft.tree["data"]
    for path, error in layout.unread.items():
        name = PurePath(path).name
        if SAMPLE.search(name) or (not masks and (split_of(name) == "train" or MASK_WORDS.search(name))):
            raise error
        say(f"  {path} is passed over: {error.found}")
