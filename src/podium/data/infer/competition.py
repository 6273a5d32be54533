"""The whole inference: targets first, then test images, submission, groups and metric."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from podium.data.competition import Competition, listed
from podium.data.infer.draft import Draft, Inference
from podium.data.infer.groups import infer_groups
from podium.data.infer.labels import ClassFolders, LabelTable, ValueTable, class_folders, label_table, value_sample
from podium.data.infer.mask_kinds import mask_kind, require_masks
from podium.data.infer.rle_tables import RleTable, pixel_order, rle_tables
from podium.data.layout import (
    TEST_WORDS,
    VAL_WORDS,
    ImageFolder,
    Layout,
    Pairing,
    SampleFolders,
    other_drawings,
    pair_masks,
    sample_folders,
    scan,
    test_folder,
)
from podium.errors import DataError


def infer(root: Path, name: str, targets: Sequence[str] = ()) -> Inference:
    """Read a folder of competition data and say what it is.

    Args:
        root: The folder.
        name: What the competition is called.
        targets: The target columns of its table, where they are known.

    Raises:
        DataError: if there are no images, or no targets that podium can read for them.
    """
    layout = scan(root)
    pairs, samples, truths = pair_masks(layout), rle_tables(layout, sample=True), rle_tables(layout, sample=False)
    own = sample_folders(layout)
    draft = Draft({"name": name, "task": "segmentation", "data": {}})
    if own and own[0].masks:
        ids = _own_folders(draft, layout, own)
    elif pairs:
        ids = _masks(draft, layout, pairs)
    elif truths:
        ids = _runs(draft, layout, truths[0])
    elif (table := label_table(layout, targets)) is not None:
        ids = _table(draft, layout, table)
    elif (folders := class_folders(layout)) is not None:
        ids = _class_folders(draft, folders)
    else:
        raise _no_targets(layout)
    train = [p for p in pairs if not TEST_WORDS.search(p.images.path)] or pairs
    given = value_sample(layout) if draft.tree["task"] in ("classification", "regression") else None
    _test(draft, layout, train, samples[0] if samples else given, ids, own)
    if draft.tree["task"] in ("segmentation", "instances"):
        _submission(draft, layout, train[0] if train else None, samples, truths)
    else:
        _value_submission(draft, given)
    infer_groups(draft, layout, ids)
    _metric(draft, layout, ids)
    return Inference(Competition.from_tree(draft.tree, where="inferred competition.toml"), draft.why)


def _own_folders(draft: Draft, layout: Layout, own: Sequence[SampleFolders]) -> list[str]:
    """A folder a sample, with a mask file an object in it."""
    first = own[0]
    n_masks = sum(map(len, first.files.values()))
    draft.put("data.train_images", first.images_pattern, f"{len(first.files)} folders with one image each")
    draft.put("data.train_masks", first.masks_pattern, f"{n_masks} masks in the same folders")
    kind = mask_kind([p for files in first.files.values() for p in files], layout.root)
    objects = n_masks > len(first.files)
    why = "several masks an image: one an object" if objects else "there is a mask for each training image"
    draft.put("task", "instances" if objects else "segmentation", why)
    draft.put("data.mask_values", kind.values if kind.values == "0/1" else "0/max", kind.why)
    if objects:
        draft.tree["classes"] = {"object": 1}
    return list(first.files)


def _masks(draft: Draft, layout: Layout, pairs: Sequence[Pairing]) -> list[str]:
    """Images with mask files: one pair of folders, official splits, or a mask folder a class."""
    labelled = [p for p in pairs if not TEST_WORDS.search(p.images.path)] or list(pairs)
    tests = [p for p in pairs if p not in labelled]
    splits = _splits(labelled)
    passed_over = [p for of in splits for p in other_drawings(of)]
    splits = [[p for p in of if p not in passed_over] for of in splits]
    names = sorted({PurePath(p.masks.path).name for of in splits if len(of) > 1 for p in of})
    if names:
        splits = [of for of in splits if len(of) > 1]
        patterns = [_class_pattern(of) for of in splits]
    else:
        patterns = [of[0].masks_pattern for of in splits]
    labelled = [of[0] for of in splits]
    files = [m for of in splits for p in of for id in p.ids if (m := p.mask_of(id))]
    ids = [p.id_of(stem) for p in labelled for stem in p.images.files]
    with_mask = sum(len(p.ids) for p in labelled)
    images = [p.images_pattern for p in labelled]
    draft.put("data.train_images", _one(images), f"{len(ids)} images, {with_mask} with a mask")
    others = ", ".join(dict.fromkeys(p.masks.path for p in passed_over))
    also = f"; also there, passed over: {others}" if others else ""
    draft.put("data.train_masks", _one(patterns), f"{len(files)} masks whose names match{also}")
    kind = mask_kind(files, layout.root, whole=bool(names))
    require_masks(kind, layout.root / labelled[0].masks.path)
    task = "instances" if kind.values == "instances" else "segmentation"
    draft.put(
        "task", task, "masks number their objects" if task == "instances" else "there is a mask for each training image"
    )
    draft.put("data.mask_values", kind.values, kind.why)
    if names:
        draft.tree["classes"] = {"background": 0} | {n: i for i, n in enumerate(names, 1)}
        draft.why["classes"] = (
            f"{len(names)} folders of masks beside each other, merged into one map (later ones on top)"
        )
    elif kind.classes:
        draft.tree["classes"] = kind.classes
        draft.why["classes"] = kind.classes_why
    elif task == "instances":
        draft.tree["classes"] = {"object": 1}
    if kind.ignore:
        draft.put("data.ignore", kind.ignore, kind.ignore_why)
    val = [p for p in labelled if VAL_WORDS.search(p.images.path)]
    if val and len(labelled) > len(val):
        draft.put("data.val_images", val[0].images_pattern, "the folder's name says validation")
    test_masks = [of for of in _splits(tests) if not names]
    if test_masks:
        draft.put("data.test_masks", _one([of[0].masks_pattern for of in test_masks]), "the test images have masks too")
    return ids


def _splits(pairs: Sequence[Pairing]) -> list[list[Pairing]]:
    """The pairs of each image folder."""
    out: dict[int, list[Pairing]] = {}
    for pair in pairs:
        out.setdefault(id(pair.images), []).append(pair)
    return list(out.values())


def _class_pattern(pairs: Sequence[Pairing]) -> str:
    """The masks of folders beside each other, with {class} in it."""
    parent = PurePath(pairs[0].masks.path).parent.as_posix()
    suffixes = {s for p in pairs for s in p.masks.suffixes}
    ending = suffixes.pop() if len(suffixes) == 1 else ".*"
    prefix = "" if parent == "." else f"{glob.escape(parent)}/"
    return f"{prefix}{{class}}/{glob.escape(pairs[0].before)}{{id}}{glob.escape(pairs[0].after)}{ending}"


def _one(patterns: list[str]) -> str | list[str]:
    return patterns[0] if len(patterns) == 1 else patterns


def _runs(draft: Draft, layout: Layout, table: RleTable) -> list[str]:
    holders = _holders(layout, table.rows.keys())
    ids = [id for holder in holders for id in holder.files if id in table.rows]
    what = "several rows an image: one an object" if table.objects else "one row an image"
    draft.put("task", "instances" if table.objects else "segmentation", f"{table.path} has run-length masks, {what}")
    if table.objects:
        draft.tree["classes"] = {"object": 1}
    images = _one([h.pattern() for h in holders])
    draft.put("data.train_images", images, f"holds {len(ids)} of the {len(table.rows)} ids of {table.path}")
    draft.put("data.train_rle", table.path, f"column '{table.value_column}' holds run-length masks")
    return ids


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
    draft.put("task", table.task, f"{table.path} has a row a sample with {', '.join(table.targets)}")
    if table.views:
        names = {f"{id}_{view}" for id in table.ids for view in table.views}
        (holder, *_) = _holders(layout, names)
        draft.put("data.train_images", holder.pattern(stem="{id}_{view}"), f"{len(table.views)} images a sample")
        draft.put("data.views", table.views, "what the image names end with")
        ids = sorted(table.ids)
    else:
        holders = _holders(layout, table.ids)
        ids = [id for holder in holders for id in holder.files if id in table.ids]
        images = _one([h.pattern() for h in holders])
        draft.put("data.train_images", images, f"holds {len(ids)} of the {len(table.ids)} ids of {table.path}")
    draft.put("data.train_csv", table.path, f"its column '{table.id_column}' holds the image names")
    draft.put("data.id_column", table.id_column, "its values are the image names")
    draft.put("data.targets", table.targets, table.why)
    if table.separator:
        draft.put("data.separator", table.separator, "between several labels of one sample")
    if table.inputs:
        draft.put("data.inputs", table.inputs, "the other columns that tell samples apart")
    if table.classes:
        draft.tree["classes"] = table.classes
        draft.why["classes"] = f"the values of {', '.join(table.targets[:3])}"
    draft.put("labels", table.labels, "several hold at once" if table.labels == "many" else "one target a sample")
    draft.tree["ordinal"] = table.ordinal
    return ids


def _class_folders(draft: Draft, folders: ClassFolders) -> list[str]:
    draft.put("task", "classification", "folders of images beside each other, called like classes")
    n = len(folders.classes)
    draft.put("data.train_images", _one(folders.patterns), f"{folders.files} images in folders of {n} classes")
    draft.tree["classes"] = folders.classes
    draft.why["classes"] = "the names of the folders"
    if folders.val:
        draft.put("data.val_images", folders.val, "the folder's name says validation")
    if folders.test:
        draft.put("data.test_images", folders.test, "the folder's name says test")
    return []


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
    wanted = set(sample.rows) if sample else set()
    alone = [f for f in own if not f.masks and (wanted <= f.files.keys() if wanted else TEST_WORDS.search(f.parent))]
    folder, known = test_folder(layout, pairs, wanted), listed(draft.tree["data"]["train_images"])
    if alone:
        draft.put("data.test_images", alone[0].images_pattern, f"{len(alone[0].files)} folders with one image each")
    elif folder is not None and not (folder.pattern() in known and set(folder.files) <= set(ids)):
        reason = f"{len(folder.files)} images" + (", the ids of the sample submission" if wanted else "")
        draft.put("data.test_images", folder.pattern(), reason)
    else:
        for key in ("test_masks", "sample_submission"):
            draft.tree["data"].pop(key, None)
            draft.why.pop(f"data.{key}", None)


def _submission(
    draft: Draft, layout: Layout, pairing: Pairing | None, samples: Sequence[RleTable], targets: Sequence[RleTable]
) -> None:
    table = samples[0] if samples else targets[0] if targets else None
    objects = draft.tree["task"] == "instances"
    draft.put(
        "submission.format",
        "rle_objects" if objects else "rle",
        "one run-length mask an object" if objects else "one run-length mask an image",
    )
    if table is not None:
        source = f"as in {table.path}"
        draft.put("submission.id_column", table.id_column, source)
        draft.put("submission.value_column", table.value_column, source)
        if table.spelling != "{id}":
            draft.put("submission.id", table.spelling, source)
    truth = targets[0] if targets else None
    if truth:
        order, reason = pixel_order(layout, pairing, truth)
    elif objects:
        order, reason = "column", "as in the Data Science Bowl 2018, whose labels are like these; nothing here tells"
    else:
        order, reason = "row", "no run-length mask to tell; correct it if wrong"
    draft.put("submission.order", order, reason)


def _value_submission(draft: Draft, given: ValueTable | None) -> None:
    """Rows of values: numbers, or a probability or name for classes."""
    regression = draft.tree["task"] == "regression"
    targets = draft.tree["data"].get("targets", [])
    form = "values" if regression or (given is not None and given.names) else "probs"
    draft.put("submission.format", form, "one row a sample; correct it if the competition asks for something else")
    if given is None:
        source = "as in the table of targets" if targets else "nothing in the data tells"
        draft.put("submission.id_column", draft.tree["data"].get("id_column", "id"), source)
        draft.put("submission.value_column", targets[0] if targets else "label", source)
        return
    source = f"as in {given.path}"
    draft.put("submission.id_column", given.id_column, source)
    draft.put("submission.value_column", given.value_columns[0], source)
    if given.spelling != "{id}":
        draft.put("submission.id", given.spelling, source)


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
        elif tree.get("labels") == "many":
            draft.put("metric", "auc", "nothing in the data tells; the commonest for several labels")
        else:
            n = len(tree.get("classes", {}))
            draft.put("metric", "auc" if n == 1 else "accuracy", "nothing in the data tells; common for classes")
    elif len(tree.get("classes", {})) > 1:
        draft.put("metric", "mean_iou", "nothing in the data tells; the commonest for several classes")
    elif ("id", "rle_mask") in columns and ("id", "z") in columns:
        draft.put("metric", "tgs_iou", "tables id,rle_mask and id,z are those of TGS Salt Identification")
    elif ids and all(re.fullmatch(r"[0-9a-f]{12}_\d\d", id) for id in ids):
        draft.put("metric", "dice", "ids are those of Carvana Image Masking, scored by mean Dice")
    else:
        draft.put("metric", "dice", "nothing in the data tells; the commonest for one class")


def _no_targets(layout: Layout) -> DataError:
    folders = ", ".join(f"{f.path} ({len(f.files)} images)" for f in layout.folders[:6])
    tables_found = ", ".join(f"{p} ({', '.join(t.columns[:6])})" for p, t in layout.tables.items()) or "no table"
    return DataError(
        "no targets found for the images",
        where=layout.root,
        expected="a folder of masks whose names match the images', a CSV file with ids and run-length masks or other "
        "targets, or a folder of images for each class",
        remedy=f"seen: {folders}; {tables_found}. Rename a folder to 'masks', or write competition.toml by hand",
    )
