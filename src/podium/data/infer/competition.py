"""The whole inference: targets first, then test images, submission, groups and metric."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from podium.config import parse_overrides
from podium.data.competition import Competition, DataConfig, listed
from podium.data.image_choice import one_for_each_mask
from podium.data.infer.class_trees import ClassFolders, are_forms_of_one, class_folders
from podium.data.infer.draft import Draft, Inference
from podium.data.infer.groups import infer_groups
from podium.data.infer.id_parts import with_deep_folders_together, with_joined_ids
from podium.data.infer.inputs import infer_inputs
from podium.data.infer.json_names import names_of_numbers
from podium.data.infer.labels import LabelTable, label_table
from podium.data.infer.lists import infer_lists
from podium.data.infer.mask_layouts import mask_folders, one, own_folders
from podium.data.infer.named_files import named_files
from podium.data.infer.path_classes import path_classes
from podium.data.infer.refusals import no_targets
from podium.data.infer.rle_tables import SAMPLE, RleTable, id_column, rle_tables
from podium.data.infer.spelling import class_names
from podium.data.infer.splits import infer_splits
from podium.data.infer.submissions import rle_submission, value_submission
from podium.data.infer.table_choice import pass_over, table_of_targets
from podium.data.infer.value_samples import ValueTable, value_sample
from podium.data.layout import (
    TEST_WORDS,
    ImageFolder,
    Layout,
    Pairing,
    other_drawings,
    pair_masks,
    pattern_of,
    scan,
    split_of,
    test_folder,
)
from podium.data.mask_files import several_masks
from podium.data.nested_masks import nested_pairs
from podium.data.patterns import path_rule
from podium.data.sample_folders import SampleFolders, sample_folders, with_samples_by_name
from podium.data.samples import find_images, id_prefixes

MANY_PAIRS = 6
"""Folders of images with masks; more are not official splits, but cases, cities or days."""
SHOWN = 6
"""What lies beside is told of so many folders."""


def infer(root: Path, name: str, targets: Sequence[str] = (), *, each: bool = False) -> Inference:
    """Read a folder of competition data and say what it is.

    Args:
        root: The folder.
        name: What the competition is called.
        targets: The target columns of its table, where they are known.
        each: Whether it is known that each of them has one class (labels = each).

    Raises:
        DataError: if there are no images, or no targets that podium can read for them, or a table cannot be read that
            may be needed.
    """
    plain = scan(root)
    layout = with_joined_ids(plain)
    own = several_masks(layout) or sample_folders(layout)
    pairs = [p for p in pair_masks(layout) if not are_forms_of_one(p.images, p.masks)]
    if not pairs or len({p.images.path for p in pairs}) > MANY_PAIRS:
        pairs = nested_pairs(layout) or pairs
    pairs, passed = one_for_each_mask(pairs)
    layout = replace(layout, folders=[f for f in layout.folders if not any(f is p for p in passed)])
    layout = with_samples_by_name(layout, own)
    masks = bool(pairs) or any(f.masks for f in own)
    samples, truths = rle_tables(layout, sample=True), rle_tables(layout, sample=False, needed=not masks)
    draft, class_of = Draft({"name": name, "task": "segmentation", "data": {}}), dict[str, str | None]()
    if own and own[0].masks:
        ids = own_folders(draft, layout, own)
    elif pairs and (asked := _asked(layout, targets, each, samples + truths)) is None:
        ids = mask_folders(draft, layout, pairs, passed)
    elif truths and not pairs:
        layout = with_deep_folders_together(layout, truths[0].rows)
        ids = _runs(draft, layout, truths[0])
    elif (table := asked if pairs else table_of_targets(layout, targets, each)) is not None:
        layout = layout if table.views else with_deep_folders_together(layout, table.ids)
        pairs = []
        ids = _table(draft, layout, table)
    elif (deep := path_classes(layout := plain)) is not None:
        layout = replace(plain, above=deep[1])
        what = "folders above the images end with classes", "folders", "what these names end with"
        class_of = _class_folders(draft, layout, deep[0], *what)
        ids = list(deep[1])
    elif (folders := class_folders(layout)) is not None:
        what = "folders of images beside each other, called like classes", "folders", "the names of the folders"
        ids = list(class_of := _class_folders(draft, layout, folders, *what))
    elif (files := named_files(layout)) is not None:
        what = "image names are a class and a number", "names", "what the image names begin with"
        ids = list(class_of := _class_folders(draft, layout, files, *what))
    else:
        raise next(iter(layout.unread.values()), None) or no_targets(layout)
    pass_over(draft, layout)
    train = [p for p in pairs if not TEST_WORDS.search(p.images.path)] or pairs
    if layout.image_id:
        draft.put("data.image_id", layout.image_id, "so the tables make ids of the names of folders and files")
    views = draft.tree["data"].get("views", [])
    given = value_sample(layout, views) if draft.tree["task"] in ("classification", "regression") else None
    _test(draft, layout, pairs, given or (samples[0] if samples else None), ids, own)
    if draft.tree["task"] in ("segmentation", "instances"):
        if "train_rle" in draft.tree["data"]:
            ids = _unlisted(draft, layout, truths[0], ids)
        rle_submission(draft, layout, train[0] if train else None, samples, truths)
    else:
        value_submission(draft, given)
    infer_lists(draft, layout, ids)
    infer_splits(draft, layout, ids)
    if "group" not in draft.tree["data"]:
        infer_groups(draft, layout, ids, class_of)
    infer_inputs(draft, layout, ids)
    _metric(draft, layout, ids)
    return Inference(Competition.from_tree(draft.tree, where="inferred competition.toml"), draft.why)


def infer_with(root: Path, name: str, settings: Sequence[str]) -> Inference:
    """`infer`, with ``key=value`` settings of somebody who knows; the targets they name are read as such.

    Raises:
        ConfigError: if a setting cannot be read.
    """
    known = parse_overrides(settings)
    data = known.get("data", {})
    targets = data.get("targets", ()) if isinstance(data, dict) else ()
    named = [targets] if isinstance(targets, str) else [t for t in targets if isinstance(t, str)]
    return infer(root, name, named, each=known.get("labels") == "each").with_settings(settings)


def _asked(layout: Layout, targets: Sequence[str], each: bool, runs: Sequence[RleTable]) -> LabelTable | None:
    """The table that has what the sample submission asks for, where this is no mask: masks beside it only help."""
    samples = {c for p, t in layout.tables.items() if SAMPLE.search(p) for c in t.columns}
    table = label_table(layout, targets, each=each) if samples and not runs else None
    return table if table is not None and set(table.targets) <= samples - {table.id_column} else None


def _runs(draft: Draft, layout: Layout, table: RleTable) -> list[str]:
    holders = _holders(layout, table.rows.keys())
    listed_ids = [id for holder in holders for id in holder.files if id in table.rows]
    what = "several rows an image: one an object" if table.objects else "one row an image"
    if table.classes:
        of = f"column '{table.class_column}'" if table.class_column else f"'{table.id_column}', as {table.spelling},"
        what = f"one row an image and class, which {of} names; taken for masks that may overlap, not for objects"
        if table.value_columns:
            what = "a column a class; taken for masks that may overlap"
    draft.put("task", "instances" if table.objects else "segmentation", f"{table.path} has run-length masks, {what}")
    if table.objects:
        draft.tree["classes"] = {"object": 1}
    elif table.classes:
        draft.put("labels", "many", "each class has a mask of its own")
        draft.tree["classes"] = {name: i for i, name in enumerate(class_names(table.classes), 1)}
        draft.why["classes"] = f"the classes that {table.path} names"
    images = one([h.pattern() for h in holders])
    draft.put("data.train_images", images, f"holds {len(listed_ids)} of the {len(table.rows)} ids of {table.path}")
    also = f"; also there: {', '.join(table.left_out)}" if table.left_out else ""
    columns = ", ".join(f"'{c}'" for c in table.value_columns or (table.value_column,))
    draft.put("data.train_rle", table.path, f"column {columns} holds run-length masks{also}")
    return listed_ids


def _unlisted(draft: Draft, layout: Layout, table: RleTable, ids: list[str]) -> list[str]:
    """Images of the training folders without a row, where test images lie elsewhere: nothing is on them."""
    data = draft.tree["data"]
    if not (table.class_column or table.objects) or set(listed(data.get("test_images"))) & set(
        listed(data["train_images"])
    ):
        return ids
    alone = [id for holder in _holders(layout, table.rows.keys()) for id in holder.files if id not in table.rows]
    if alone:
        why = f"{len(alone)} images have no row in {table.path}: taken for images with nothing on them"
        draft.put("data.no_row", "empty", why)
    return ids + alone


def _holders(layout: Layout, ids: Iterable[str]) -> list[ImageFolder]:
    """The image folders that hold the ids, one if it will do; one that is not called test, among equals."""
    left, out = set(ids), list[ImageFolder]()
    while True:
        best = max(layout.folders, key=lambda f: (len(f.files.keys() & left), not TEST_WORDS.search(f.path)))
        held = best.files.keys() & left
        if out and len(held) * 50 < len(best.files):
            return out
        out.append(best)
        left -= held
        if not left or not held:
            return out


def _table(draft: Draft, layout: Layout, table: LabelTable) -> list[str]:
    several = table.class_column or table.spelling or (table.labels == "many" and table.targets[0] not in table.classes)
    csvs = [table.path, *table.validation]
    rows = "a row a label" if several and not table.separator else "a row a sample"
    draft.put("task", table.task, f"{table.path} has {rows} with {', '.join(table.targets)}")
    if table.views:
        names = {f"{id}_{view}" for id in table.ids for view in table.views}
        (holder, *_) = _holders(layout, names)
        draft.put("data.train_images", holder.pattern(stem="{id}_{view}"), f"{len(table.views)} images a sample")
        draft.put("data.views", table.views, "what the image names end with")
        ids = sorted(table.ids)
    else:
        holders = _holders(layout, table.ids)
        ids = [id for holder in holders for id in holder.files if id in table.ids]
        images = one([h.pattern() for h in holders])
        draft.put("data.train_images", images, f"holds {len(ids)} of the {len(table.ids)} ids of {' and '.join(csvs)}")
    draft.put("data.train_csv", one(csvs), f"its column '{table.id_column}' holds the image names")
    if table.validation:
        draft.put("data.val_list", one(table.validation), "its name says validation, and it has other images")
    draft.put("data.id_column", table.id_column, "its values are the image names")
    draft.put("data.targets", table.targets, table.why)
    if table.class_column:
        draft.put("data.class_column", table.class_column, "names the class that a row is about")
    if table.spelling:
        draft.put("data.id", table.spelling, "an id names a sample and a class")
    if table.flags:
        draft.put("data.flags", table.flags, "a guess; write 1 for a yes, or remove one, and such samples are left out")
    if table.separator:
        draft.put("data.separator", table.separator, "between several labels of one sample")
    if table.inputs:
        draft.put("data.inputs", table.inputs, "the other columns that tell samples apart")
    if table.classes:
        _put_classes(draft, layout, table, PurePath(table.path).parent.as_posix())
    told = {"one": "one target a sample", "many": "several hold at once", "each": "one class for each of the targets"}
    draft.put("labels", table.labels, told[table.labels])
    draft.tree["ordinal"] = table.ordinal
    return ids


def _put_classes(draft: Draft, layout: Layout, found: LabelTable | ClassFolders, place: str) -> None:
    """[classes], with the names of a JSON file in the data folder or in ``place`` where the data has but numbers."""
    by_value, why = False, "the names of the folders"
    if isinstance(found, LabelTable):
        by_value = bool(found.class_column or found.spelling) or len(found.targets) > 1
        why = f"the values of {', '.join(found.targets[:3])}"
    draft.tree["classes"], draft.why["classes"] = found.classes, why
    file, named = names_of_numbers(found.classes, [layout.root, layout.root / place])
    if named and not by_value and len(named) > 1:
        draft.tree["classes"], draft.numbered = named, True
        draft.why["classes"] = f"{why} are numbers, whose names {file} has"


def _class_folders(
    draft: Draft, layout: Layout, folders: ClassFolders, why: str, where: str, source: str
) -> dict[str, str | None]:
    """Put folders of classes into the draft, and say {id: class}."""
    draft.put("task", "classification", why)
    n = len(folders.classes)
    passed = ", ".join(folders.passed_over[:SHOWN]) + (", …" if len(folders.passed_over) > SHOWN else "")
    also = f"; also there, passed over: {passed}" if passed else ""
    draft.put("data.train_images", one(folders.patterns), f"{folders.files} images in {where} of {n} classes{also}")
    if folders.image_id:
        draft.put("data.image_id", folders.image_id, "the group at the end, where a pattern can tell it")
    if folders.group:
        draft.put("data.group", *folders.group)
        if folders.n_groups < 5:
            draft.put("folds.k", max(2, folders.n_groups), f"there are {folders.n_groups} groups to split")
    _put_classes(draft, layout, folders, ".")
    if not draft.numbered:
        draft.why["classes"] = source
    if folders.val:
        draft.put("data.val_images", folders.val, "the folder's name says validation")
    if folders.test:
        draft.put("data.test_images", folders.test, "the folder's name says test")
    spec = DataConfig(train_images=draft.tree["data"]["train_images"])
    found = find_images(layout.root, folders.patterns, prefixes=id_prefixes(layout.root, spec))
    return {id: image.folder_class for id, image in found.items()}


def _test(
    draft: Draft,
    layout: Layout,
    pairs: Sequence[Pairing],
    sample: RleTable | ValueTable | None,
    ids: Sequence[str],
    own: Sequence[SampleFolders],
) -> None:
    if sample is not None:
        draft.put("data.sample_submission", sample.path, f"{len(sample.rows)} rows")
    if draft.tree["data"].get("test_images"):
        return
    wanted, listing = (set(sample.rows), "the sample submission") if sample else _ids_of_test(draft, layout, ids)
    alone = [f for f in own if not f.masks and (wanted <= f.images.keys() if wanted else TEST_WORDS.search(f.parent))]
    views = draft.tree["data"].get("views", [])
    train = [p for p in pairs if not TEST_WORDS.search(p.images.path)] or pairs
    folder = test_folder(layout, train, wanted, views)
    masked = _drawn_once([p for p in pairs if p not in train])
    tested = {p.id_of(stem) for p in masked for stem in p.images.files}
    if masked and "test_masks" in draft.tree["data"] and wanted <= tested:
        patterns = list(dict.fromkeys(p.images_pattern for p in masked))
        n = sum(len(p.images.files) for p in masked)
        draft.put("data.test_images", one(patterns), f"{n} images, called test, with masks")
    elif alone:
        draft.put("data.test_images", alone[0].images_pattern, alone[0].told)
    elif folder is not None and not _is_trained_on(draft, layout, folder, ids):
        of_both = folder.pattern() in listed(draft.tree["data"]["train_images"])
        every = [folder] if wanted else _like_it(layout, folder)
        found = [f"{f.path}/{stem}" for f in every for stem in (f.files.keys() - ids if of_both else f.files)]
        patterns = [pattern_of(f, pairs, views) for f in every]
        draft.put("data.test_images", one(patterns), _test_reason(found, wanted, listing))
    else:
        for key in ("test_masks", "sample_submission"):
            draft.tree["data"].pop(key, None)
            draft.why.pop(f"data.{key}", None)


def _like_it(layout: Layout, folder: ImageFolder) -> list[ImageFolder]:
    """A folder of test images, and those of other places that are called the same: test/a/images, test/b/images."""
    names = folder.path.split("/")
    alike = [f for f in layout.folders if f.path.split("/")[-1] == names[-1] and TEST_WORDS.search(f.path)]
    return [f for f in alike if f.path.count("/") == len(names) - 1] if len(names) > 1 else [folder]


def _test_reason(found: Collection[str], wanted: set[str], listing: str) -> str:
    if not wanted:
        return f"{len(found)} images"
    if len(found) > len(wanted):
        return f"{len(found)} images, {len(wanted)} of them the ids of {listing}"
    return f"{len(found)} images, the ids of {listing}"


def _ids_of_test(draft: Draft, layout: Layout, ids: Sequence[str]) -> tuple[set[str], str]:
    """The ids of a table called test, where there is no sample submission, and the table; none of training images."""
    stems = {stem for f in layout.folders for stem in f.files}
    for path, table in layout.tables.items():
        if split_of(PurePath(path).name) == "test" and path != draft.tree["data"].get("train_csv"):
            found = id_column(table, stems)
            if found is None:
                continue
            before, after = found[1].split("{id}")
            wanted = {v[len(before) : len(v) - len(after)] for v in table[found[0]].to_list()}
            if wanted <= stems and not wanted & set(ids):
                return wanted, path
    return set(), ""


def _is_trained_on(draft: Draft, layout: Layout, folder: ImageFolder, ids: Sequence[str]) -> bool:
    """Whether a folder that could be one of test images is of training images: all of it, or a class of them."""
    patterns = listed(draft.tree["data"]["train_images"])
    if folder.pattern() in patterns and set(folder.files) <= set(ids):
        return True
    first = next(iter(folder.files.values())).relative_to(layout.root).as_posix()
    matches = [path_rule(p).fullmatch(first) for p in patterns if "{class}" in p]
    return any(m is not None and m["class"] in draft.tree["classes"] for m in matches)


def _drawn_once(pairs: Sequence[Pairing]) -> list[Pairing]:
    """One pair for each folder of images."""
    first: dict[int, Pairing] = {}
    for pair in [p for p in pairs if p not in other_drawings([o for o in pairs if o.images is p.images])]:
        first.setdefault(id(pair.images), pair)
    return list(first.values())


def _metric(draft: Draft, layout: Layout, ids: Sequence[str]) -> None:
    tree, columns = draft.tree, {tuple(t.columns) for t in layout.tables.values()}
    task, ordinal = tree["task"], tree.pop("ordinal", False)
    targets = " ".join(tree["data"].get("targets", []))
    if task == "instances":
        draft.put("metric", "dsb2018", "objects are told apart: as in the Data Science Bowl 2018")
    elif task == "regression":
        if "price" in targets:
            draft.put("metric", "rmsle", "a price: relative errors count; nothing in the data tells")
        else:
            draft.put("metric", "mae", "nothing in the data tells; in the unit of the target")
    elif task == "classification":
        if ordinal:
            draft.put("metric", "quadratic_kappa", "the classes have an order; nothing in the data tells")
        elif (most := tree.get("submission", {}).get("guesses", 1)) > 1:
            k = min((k for k in (3, 5, 10) if k >= most), default=10)
            draft.put("metric", f"map{k}", f"the sample submission has {most} guesses a row")
        elif tree.get("labels") == "many":
            draft.put("metric", "auc", "nothing in the data tells; the commonest for several labels")
        elif tree.get("labels") == "each":
            draft.put("metric", "accuracy", "nothing in the data tells; the mean over the targets")
        else:
            n = len(tree.get("classes", {}))
            draft.put("metric", "auc" if n == 1 else "accuracy", "nothing in the data tells; common for classes")
    elif tree.get("labels") == "many":
        draft.put("metric", "dice", "nothing in the data tells; common for masks of classes that may overlap")
    elif len(tree.get("classes", {})) > 1:
        draft.put("metric", "mean_iou", "nothing in the data tells; the commonest for several classes")
    elif ("id", "rle_mask") in columns and ("id", "z") in columns:
        draft.put("metric", "tgs_iou", "tables id,rle_mask and id,z are those of TGS Salt Identification")
    elif ids and all(re.fullmatch(r"[0-9a-f]{12}_\d\d", id) for id in ids):
        draft.put("metric", "dice", "ids are those of Carvana Image Masking, scored by mean Dice")
    else:
        draft.put("metric", "dice", "nothing in the data tells; the commonest for one class")
