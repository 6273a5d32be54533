"""Images and masks in folders of a split's cities or cases: left/train/aachen/a_left.png, gt/train/aachen/a_gt.png."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from podium.data.layout import MASK_WORDS, OTHER_DRAWINGS, ImageFolder, Layout, Pairing, split_of, split_words

_TAIL = re.compile(r"(?<=\d)[^\W\d]*([_-][^\d_-][^_-]*)+$")
"""What stands after the last number of a name: _gtFine_labelIds of aachen_000000_000019_gtFine_labelIds."""


def nested_pairs(layout: Layout) -> list[Pairing]:
    """Images with their masks, each one level below the folder of a split, the largest first.

    Of several drawings of the same images the one with the shortest name that is none in colour or by objects.
    """
    families = _families(layout)
    masks = [f for f in families if MASK_WORDS.search(_words(f)) and not OTHER_DRAWINGS.search(_words(f))]
    images = [f for f in families if not MASK_WORDS.search(_words(f)) and not OTHER_DRAWINGS.search(_words(f))]
    found = []
    for of in images:
        fitting = [pair for drawn in masks if (pair := _pair(of, drawn)) is not None]
        found += sorted(fitting, key=lambda p: (len(p.after), p.after))[:1]
    return sorted(found, key=lambda p: (split_of(p.images.path) == "test", -len(p.ids), p.images.path))


def _families(layout: Layout) -> list[ImageFolder]:
    """The files of all folders below one, by what their names end with; those whose names are all different."""
    found: dict[tuple[str, str], list[tuple[str, Path]]] = defaultdict(list)
    for folder in layout.folders:
        parent, _, own = folder.path.rpartition("/")
        if parent and own:
            for stem, path in folder.files.items():
                found[parent, _tail(stem)].append((stem, path))
    return [
        ImageFolder(parent, dict(files), deep=True)
        for (parent, _), files in sorted(found.items())
        if len(files) >= 3 and len(dict(files)) == len(files)
    ]


def _tail(stem: str) -> str:
    match = _TAIL.search(stem)
    return match[0] if match else ""


def _tail_of(folder: ImageFolder) -> str:
    return _tail(next(iter(folder.files)))


def _words(folder: ImageFolder) -> str:
    """What tells a folder's files: how their names end, or else the name of a folder above."""
    return split_words(_tail_of(folder) or folder.path)


def _pair(images: ImageFolder, masks: ImageFolder) -> Pairing | None:
    if images.path.count("/") != masks.path.count("/") or split_of(images.path) != split_of(masks.path):
        return None
    pair = Pairing(images, masks, "", _tail_of(masks), image_affix=("", _tail_of(images)))
    return pair if len(pair.ids) * 2 > len(images.files) else None
