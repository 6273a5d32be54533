"""Images with several mask files each: masks/<id>/*.png, or masks/<id>_<name>.png, beside a folder of images."""

from __future__ import annotations

import glob
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from podium.data.layout import (
    MASK_WORDS,
    OTHER_DRAWINGS,
    ImageFolder,
    Layout,
    Pairing,
    beginning,
    split_of,
    split_words,
)
from podium.data.sample_folders import Files, SampleFolders, mask_template
from podium.errors import DataError

MOST_CLASSES, MOST_FOLDERS = 100, 20
_SEPARATOR = re.compile(r"[_\-. ]")
_FURTHER = re.compile(r"(.+?)[_\-. (]+\d+\)?")
_NUMBERED = re.compile(r"[_\-. ]*([^\W\d_]*)[_\-. (]*\d+\)?")


def several_masks(layout: Layout) -> list[SampleFolders]:
    """Folders of images of which some have several masks, by their folders' names or their own; none if none has."""
    return _in_folders(layout) or _in_names(layout)


def _in_folders(layout: Layout) -> list[SampleFolders]:
    """A folder of masks for each image, called like it."""
    families: dict[str, Files] = defaultdict(dict)
    for folder in layout.folders:
        parent, _, own = folder.path.rpartition("/")
        if MASK_WORDS.search(parent.rpartition("/")[2]):
            families[parent].setdefault(own, []).extend(folder.files.values())
    out = []
    for parent, files in families.items():
        images = _images_of(layout, files.keys(), parent)
        if images is not None and len(files) > 2:
            template, classes = mask_template(files)
            pattern = f"{glob.escape(parent)}/{{id}}/{template}"
            out.append(SampleFolders(images.path, images.pattern(), images.files, pattern, files, classes, beside=True))
    return out


def _images_of(layout: Layout, ids: Collection[str], parent: str) -> ImageFolder | None:
    """The folder of images that holds nearly all of these, and whose split is theirs."""
    wanted = set(ids)
    fitting = [
        f for f in layout.folders
        if not MASK_WORDS.search(f.path.rpartition("/")[2]) and not f.path.startswith(f"{parent}/")
        and _one_split(f.path, parent) and len(wanted & f.files.keys()) * 10 >= 9 * len(wanted)
    ]  # fmt: skip
    return max(fitting, key=lambda f: (not OTHER_DRAWINGS.search(split_words(f.path)), len(f.files)), default=None)


def _in_names(layout: Layout) -> list[SampleFolders]:
    """A folder of masks whose names begin with those of the images, of which some have several."""
    out = []
    images = [f for f in layout.folders if not MASK_WORDS.search(f.path.rpartition("/")[2])]
    for masks in [f for f in layout.folders if MASK_WORDS.search(f.path.rpartition("/")[2])][:MOST_FOLDERS]:
        beside = [f for f in images if _one_split(f.path, masks.path)][:MOST_FOLDERS]
        found = [(sum(map(len, files.values())), of, files) for of in beside if (files := masks_by_image(of, masks))]
        held, of, files = max(found, key=lambda f: (f[0], f[1].path), default=(0, masks, Files()))
        if held * 10 >= 9 * len(masks.files) and any(len(paths) > 1 for paths in files.values()):
            out += [told for told in [_named(of, masks, files)] if told is not None]
    return out


def _one_split(images: str, masks: str) -> bool:
    return len({split_of(images), split_of(masks)} - {""}) < 2


def masks_by_image(images: ImageFolder, masks: ImageFolder) -> Files:
    """{image: its masks}: those whose names are its own and something behind a separator."""
    found: Files = defaultdict(list)
    for stem, path in masks.files.items():
        ends = [len(stem), *(m.start() for m in reversed(list(_SEPARATOR.finditer(stem))))]
        id = next((stem[:end] for end in ends if stem[:end] in images.files), None)
        if id is not None:
            found[id].append(path)
    return dict(found)


def _named(images: ImageFolder, masks: ImageFolder, files: Files) -> SampleFolders | None:
    """What the names say: a mask, or further parts of it; a class each; or an object each. None if nothing."""
    tails = Counter(path.stem[len(id) :] for id, paths in files.items() for path in paths)
    drawn = {t for t in tails if not OTHER_DRAWINGS.search(split_words(t).strip("_-. "))} or set(tails)
    files = {id: kept for id, paths in files.items() if (kept := [p for p in paths if p.stem[len(id) :] in drawn])}
    tails = Counter({t: n for t, n in tails.items() if t in drawn})
    place = f"{glob.escape(masks.path)}/{{id}}"
    ending = masks.suffixes[0] if len(masks.suffixes) == 1 else ".*"

    def found(rest: str, classes: Sequence[str] = (), *, merged: bool = False) -> SampleFolders:
        return SampleFolders(
            images.path, images.pattern(), images.files, f"{place}{rest}{ending}", files, tuple(classes),
            beside=True, merged=merged,
        )  # fmt: skip

    common = re.sub(r"[^_\-. ]*$", "", beginning(list(tails))) if len(tails) > 1 else next(iter(tails), "")
    base, n = tails.most_common(1)[0]
    if len(tails) == 1:
        return found(glob.escape(base))
    further = re.compile(rf"{re.escape(base)}[_\-. (]*\d+\)?")
    if n * 10 >= 9 * len(files) and all(t == base or further.fullmatch(t) for t in tails):
        return found(f"{glob.escape(base)}*", merged=True)
    words = {m[1] for t in tails if (m := _NUMBERED.fullmatch(t))}
    if len(words) == 1 and all(_NUMBERED.fullmatch(t) for t in tails):
        return found(f"{glob.escape(common)}*")
    classes = sorted(t[len(common) :] for t in tails)
    words_all = len(classes) <= MOST_CLASSES and all(re.search(r"[^\W\d]", c) for c in classes)
    if words_all and all(n > 1 and n * 20 >= len(files) for n in tails.values()):
        return found(f"{glob.escape(common)}{{class}}", classes)
    once = sum(n == 1 for n in tails.values())
    return found(f"{glob.escape(common)}*") if once * 10 >= 9 * len(tails) else None


def further_masks(pair: Pairing) -> dict[Path, str]:
    """{mask: its image} of further masks of images that have one: a_mask_1 beside a_mask."""
    first = {mask.stem: stem for stem in pair.ids if (mask := pair.mask_of(stem))}
    found = {stem: _FURTHER.fullmatch(stem) for stem in pair.masks.files.keys() - first.keys()}
    return {pair.masks.files[s]: first[m[1]] for s, m in sorted(found.items()) if m and m[1] in first}


def require_all_masks(pair: Pairing) -> None:
    """Refuse a folder of masks in which images have more than the one that is read.

    Raises:
        DataError: if more than a tenth of its files were lost.
    """
    read = {mask for stem in pair.ids if (mask := pair.mask_of(stem))} | further_masks(pair).keys()
    own = {p for of in masks_by_image(pair.images, pair.masks).values() for p in of}
    lost = sorted(own - read)
    if len(lost) * 10 > len(pair.masks.files):
        raise DataError(
            f"{len(lost)} of {len(pair.masks.files)} masks belong to images that have another: {lost[0].name}",
            where=lost[0].parent,
            expected="a mask an image; or several whose names end with a number, one an object, or with a class",
            remedy=f"keep those like {next(iter(sorted(read))).name}, or write competition.toml by hand",
        )
