"""Classes that file names begin with: cat.0.jpg, american_bulldog_12.jpg."""

from __future__ import annotations

import glob
import re
from collections import Counter

from podium.data.infer.class_trees import ClassFolders
from podium.data.infer.spelling import MOST_CLASSES
from podium.data.layout import MASK_WORDS, TEST_WORDS, ImageFolder, Layout

_NAMED = re.compile(r"([^\W\d_][^\d]*?)([._-])(\d+)")
FEWEST = 5
"""Images a class, on average."""
_NO_CLASSES = {"img", "image", "im", "photo", "pic", "picture", "frame", "scan", "slice", "dsc", "train", "val", "test"}


def named_files(layout: Layout) -> ClassFolders | None:
    """The largest folder whose file names are all a class and a number; None if there is none."""
    found = [c for f in layout.folders if not TEST_WORDS.search(f.path) and (c := _classes_of(f)) is not None]
    return max(found, key=lambda c: c.files, default=None)


def _classes_of(folder: ImageFolder) -> ClassFolders | None:
    matches = [m for stem in folder.files if (m := _NAMED.fullmatch(stem))]
    if MASK_WORDS.search(folder.path) or len(matches) < len(folder.files):
        return None
    counts, joins = Counter(m[1] for m in matches), {m[2] for m in matches}
    few = 2 <= len(counts) <= MOST_CLASSES and len(counts) * FEWEST <= len(matches) and min(counts.values()) > 1
    if not few or len(joins) > 1 or {c.lower() for c in counts} & _NO_CLASSES:
        return None
    pattern = folder.pattern(stem=f"{{class}}{glob.escape(joins.pop())}*")
    return ClassFolders([pattern], {name: i for i, name in enumerate(sorted(counts))}, len(matches))
