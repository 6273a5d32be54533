"""Images with mask files: folders beside each other, or a folder for each sample."""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

from podium.data.infer.draft import Draft
from podium.data.infer.mask_kinds import mask_kind, require_masks
from podium.data.layout import (
    MASK_WORDS,
    TEST_WORDS,
    VAL_WORDS,
    ImageFolder,
    Layout,
    Pairing,
    beginning,
    other_drawings,
)
from podium.data.mask_files import further_masks, require_all_masks
from podium.data.sample_folders import SampleFolders


def own_folders(draft: Draft, layout: Layout, own: Sequence[SampleFolders]) -> list[str]:
    """A folder a sample, with a mask in it, or a mask file an object or a class."""
    masked = [f for f in own if f.masks]
    parts = [f for f in masked if not TEST_WORDS.search(f.parent)] or masked
    parts = [f for f in parts if bool(f.classes) == bool(parts[0].classes) and f.merged == parts[0].merged]
    tests = [f for f in masked if TEST_WORDS.search(f.parent) and f not in parts]
    ids = [id for f in parts for id in f.images]
    files = {mask: f.images.get(id) for f in parts for id, of in f.masks.items() for mask in of}
    names, objects = sorted({c for f in parts for c in f.classes}), any(f.by_object for f in parts)
    beside, merged = parts[0].beside, parts[0].merged
    draft.put("data.train_images", one([f.images_pattern for f in parts]), " and ".join(f.told for f in parts))
    told = f"{len(files)} masks " + ("whose names begin with those of the images" if beside else "in the same folders")
    told += ", some of them further parts of one" if merged else ""
    draft.put("data.train_masks", one([f.masks_pattern for f in parts]), told)
    if names:
        why = f"the files beside each image are called {', '.join(names[:8])}{', …' if len(names) > 8 else ''}"
        _put_kind(draft, layout, files, names, why)
    elif objects:
        draft.put("task", "instances", "several masks an image: one an object; where two overlap, the first has it")
        kind = mask_kind(list(files), layout.root, whole=True)
        draft.put("data.mask_values", kind.values, kind.why)
        draft.tree["classes"] = {"object": 1}
    else:
        _put_kind(draft, layout, files, [], whole=merged)
    val = [f for f in parts if VAL_WORDS.search(f.parent)]
    _put_splits(
        draft,
        [f.images_pattern for f in val] if len(parts) > len(val) else [],
        [f.masks_pattern for f in tests],
    )
    if tests:
        draft.put("data.test_images", one([f.images_pattern for f in tests]), " and ".join(f.told for f in tests))
    return ids


def mask_folders(
    draft: Draft, layout: Layout, pairs: Sequence[Pairing], other_images: Sequence[ImageFolder] = ()
) -> list[str]:
    """Images with mask files: one pair of folders, official splits, or a mask folder a class.

    Args:
        other_images: Folders whose images the masks would fit too.
    """
    labelled = [p for p in pairs if not TEST_WORDS.search(p.images.path)] or list(pairs)
    tests = [p for p in pairs if p not in labelled]
    splits = _splits(labelled)
    passed_over = [p for of in splits for p in other_drawings(of)]
    splits = [[p for p in of if p not in passed_over] for of in splits]
    kept = {PurePath(p.masks.path).name for of in splits for p in of}
    others = {PurePath(p.masks.path).name for p in passed_over} - kept
    tests = [p for p in tests if PurePath(p.masks.path).name not in others]
    folders = sorted({PurePath(p.masks.path).name for of in splits if len(of) > 1 for p in of})
    around = _around(folders) if folders else None
    names = [n[len(around[0]) : len(n) - len(around[1])] for n in folders if around]
    if names:
        splits = [of for of in splits if len(of) > 1]
    for pair in [p for of in splits for p in of]:
        require_all_masks(pair)
    splits = [[replace(p, further=bool(further_masks(p))) for p in of] for of in splits]
    labelled = [of[0] for of in splits]
    files = {m: p.images.files[id] for of in splits for p in of for id in p.ids if (m := p.mask_of(id))}
    more = {m: p.images.files[stem] for of in splits for p in of for m, stem in further_masks(p).items()}
    files |= more
    ids = [p.id_of(stem) for p in labelled for stem in p.images.files]
    with_mask = sum(len(p.ids) for p in labelled)
    images = [p.images_pattern for p in labelled]
    beside = f"; also there, passed over: {', '.join(f.path for f in other_images)}" if other_images else ""
    draft.put("data.train_images", one(images), f"{len(ids)} images, {with_mask} with a mask{beside}")
    told = ", ".join(dict.fromkeys(p.masks.path for p in passed_over))
    parts = f", {len(more)} of them further parts of one" if more else ""
    also = f"; also there, passed over: {told}" if told else ""
    draft.put(
        "data.train_masks",
        one(_patterns(splits, around)),
        f"{len(files)} masks whose names match{parts}{also}",
    )
    why = f"{len(names)} folders of masks beside each other"
    _put_kind(draft, layout, files, names, why, whole=bool(more))
    val = [p.images_pattern for p in labelled if VAL_WORDS.search(p.images.path)]
    of_tests = [[p for p in of if not names or PurePath(p.masks.path).name in folders] for of in _splits(tests)]
    _put_splits(
        draft,
        val if len(labelled) > len(val) else [],
        _patterns([of for of in of_tests if of], around),
    )
    return ids


def _put_kind(
    draft: Draft,
    layout: Layout,
    files: Mapping[Path, Path | None],
    names: Sequence[str],
    why_names: str = "",
    *,
    whole: bool = False,
) -> None:
    """The task, and what mask files hold: ``names`` of classes that have a file each, or what the values tell.

    Args:
        whole: Whether a file holds one foreground, whatever its values.
    """
    images = {mask: image for mask, image in files.items() if image is not None}
    kind = mask_kind(list(files), layout.root, whole=whole or bool(names), images=images)
    require_masks(kind, next(iter(files)).parent)
    instances = kind.values == "instances"
    why = "masks number their objects" if instances else "there is a mask for each training image"
    draft.put("task", "instances" if instances else "segmentation", why)
    draft.put("data.mask_values", kind.values, kind.why)
    if names:
        draft.tree["classes"] = {"background": 0} | {n: i for i, n in enumerate(sorted(names), 1)}
        draft.why["classes"] = f"{why_names}, merged into one map (later ones on top)"
    elif kind.classes:
        draft.tree["classes"] = kind.classes
        draft.why["classes"] = kind.classes_why
    elif instances:
        draft.tree["classes"] = {"object": 1}
    if kind.colours:
        draft.tree["colours"] = {name: list(colour) for name, colour in kind.colours.items()}
        draft.why["colours"] = kind.colours_why
    if kind.ignore:
        draft.put("data.ignore", kind.ignore, kind.ignore_why)


def _put_splits(draft: Draft, val: Sequence[str], test_masks: Sequence[str]) -> None:
    if val:
        draft.put("data.val_images", one(list(val)), "the folder's name says validation")
    if test_masks:
        draft.put("data.test_masks", one(list(test_masks)), "the test images have masks too")


def _splits(pairs: Sequence[Pairing]) -> list[list[Pairing]]:
    """The pairs of each image folder."""
    out: dict[int, list[Pairing]] = {}
    for pair in pairs:
        out.setdefault(id(pair.images), []).append(pair)
    return list(out.values())


def _patterns(splits: Sequence[Sequence[Pairing]], around: tuple[str, str] | None) -> list[str]:
    """The masks of each split; with {class} in a folder's name where there is something ``around`` it."""
    patterns = [of[0].masks_pattern if around is None else _class_pattern(of, around) for of in splits]
    return list(dict.fromkeys(patterns))  # several folders of images may share one of masks


def _around(names: Sequence[str]) -> tuple[str, str]:
    """What says mask in all names of folders of classes: mask_disc, mask_cup; and parts them from the class."""
    if len(names) < 2:
        return "", ""
    before = re.sub(r"[^_\- ]*$", "", beginning(names))
    after = re.sub(r"^[^_\- ]*", "", beginning([n[len(before) :][::-1] for n in names])[::-1])
    return (before if MASK_WORDS.search(before) else ""), (after if MASK_WORDS.search(after) else "")


def _class_pattern(pairs: Sequence[Pairing], around: tuple[str, str]) -> str:
    """The masks of folders beside each other, with {class} in it."""
    parent = PurePath(pairs[0].masks.path).parent.as_posix()
    suffixes = {s for p in pairs for s in p.masks.suffixes}
    ending = suffixes.pop() if len(suffixes) == 1 else ".*"
    prefix = "" if parent == "." else f"{glob.escape(parent)}/"
    folder = f"{glob.escape(around[0])}{{class}}{glob.escape(around[1])}"
    tails = {p.after for p in pairs}
    after = glob.escape(beginning(sorted(tails))) + ("*" if len(tails) > 1 or any(p.further for p in pairs) else "")
    return f"{prefix}{folder}/{glob.escape(pairs[0].before)}{{id}}{after}{ending}"


def one(patterns: list[str]) -> str | list[str]:
    """One pattern, or all of several."""
    return patterns[0] if len(patterns) == 1 else patterns
