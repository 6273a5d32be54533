"""Images with mask files: folders beside each other, or a folder for each sample."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from podium.data.infer.draft import Draft
from podium.data.infer.mask_kinds import mask_kind, require_masks
from podium.data.layout import TEST_WORDS, VAL_WORDS, Layout, Pairing, other_drawings
from podium.data.sample_folders import SampleFolders


def own_folders(draft: Draft, layout: Layout, own: Sequence[SampleFolders]) -> list[str]:
    """A folder a sample, with a mask in it, or a mask file an object or a class."""
    masked = [f for f in own if f.masks]
    parts = [f for f in masked if not TEST_WORDS.search(f.parent)] or masked
    parts = [f for f in parts if f.classes == parts[0].classes]
    tests = [f for f in masked if TEST_WORDS.search(f.parent) and f not in parts]
    ids = [id for f in parts for id in f.images]
    files = {mask: f.images.get(id) for f in parts for id, of in f.masks.items() for mask in of}
    names, objects = list(parts[0].classes), any(f.by_object for f in parts)
    draft.put("data.train_images", one([f.images_pattern for f in parts]), f"{len(ids)} folders with one image each")
    told = f"{len(files)} masks in the same folders"
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
        _put_kind(draft, layout, files, [])
    val = [f for f in parts if VAL_WORDS.search(f.parent)]
    _put_splits(
        draft,
        [f.images_pattern for f in val] if len(parts) > len(val) else [],
        [f.masks_pattern for f in tests],
    )
    if tests:
        n = sum(len(f.images) for f in tests)
        draft.put("data.test_images", one([f.images_pattern for f in tests]), f"{n} folders with one image each")
    return ids


def mask_folders(draft: Draft, layout: Layout, pairs: Sequence[Pairing]) -> list[str]:
    """Images with mask files: one pair of folders, official splits, or a mask folder a class."""
    labelled = [p for p in pairs if not TEST_WORDS.search(p.images.path)] or list(pairs)
    tests = [p for p in pairs if p not in labelled]
    splits = _splits(labelled)
    passed_over = [p for of in splits for p in other_drawings(of)]
    splits = [[p for p in of if p not in passed_over] for of in splits]
    names = sorted({PurePath(p.masks.path).name for of in splits if len(of) > 1 for p in of})
    if names:
        splits = [of for of in splits if len(of) > 1]
    labelled = [of[0] for of in splits]
    files = {m: p.images.files[id] for of in splits for p in of for id in p.ids if (m := p.mask_of(id))}
    ids = [p.id_of(stem) for p in labelled for stem in p.images.files]
    with_mask = sum(len(p.ids) for p in labelled)
    images = [p.images_pattern for p in labelled]
    draft.put("data.train_images", one(images), f"{len(ids)} images, {with_mask} with a mask")
    others = ", ".join(dict.fromkeys(p.masks.path for p in passed_over))
    also = f"; also there, passed over: {others}" if others else ""
    draft.put("data.train_masks", one(_patterns(splits, names)), f"{len(files)} masks whose names match{also}")
    why = f"{len(names)} folders of masks beside each other"
    _put_kind(draft, layout, files, names, why)
    val = [p.images_pattern for p in labelled if VAL_WORDS.search(p.images.path)]
    of_tests = [[p for p in of if not names or PurePath(p.masks.path).name in names] for of in _splits(tests)]
    _put_splits(draft, val if len(labelled) > len(val) else [], _patterns([of for of in of_tests if of], names))
    return ids


def _put_kind(
    draft: Draft, layout: Layout, files: Mapping[Path, Path | None], names: Sequence[str], why_names: str = ""
) -> None:
    """The task, and what mask files hold: ``names`` of classes that have a file each, or what the values tell."""
    images = {mask: image for mask, image in files.items() if image is not None}
    kind = mask_kind(list(files), layout.root, whole=bool(names), images=images)
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
        draft.put("data.val_images", val[0], "the folder's name says validation")
    if test_masks:
        draft.put("data.test_masks", one(list(test_masks)), "the test images have masks too")


def _splits(pairs: Sequence[Pairing]) -> list[list[Pairing]]:
    """The pairs of each image folder."""
    out: dict[int, list[Pairing]] = {}
    for pair in pairs:
        out.setdefault(id(pair.images), []).append(pair)
    return list(out.values())


def _patterns(splits: Sequence[Sequence[Pairing]], names: Sequence[str]) -> list[str]:
    return [_class_pattern(of) if names else of[0].masks_pattern for of in splits]


def _class_pattern(pairs: Sequence[Pairing]) -> str:
    """The masks of folders beside each other, with {class} in it."""
    parent = PurePath(pairs[0].masks.path).parent.as_posix()
    suffixes = {s for p in pairs for s in p.masks.suffixes}
    ending = suffixes.pop() if len(suffixes) == 1 else ".*"
    prefix = "" if parent == "." else f"{glob.escape(parent)}/"
    return f"{prefix}{{class}}/{glob.escape(pairs[0].before)}{{id}}{glob.escape(pairs[0].after)}{ending}"


def one(patterns: list[str]) -> str | list[str]:
    """One pattern, or all of several."""
    return patterns[0] if len(patterns) == 1 else patterns
