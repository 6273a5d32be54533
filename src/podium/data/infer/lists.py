"""Official splits that text files tell, an id a line: ImageSets/Segmentation/train.txt, train_val_list.txt."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from podium.data.id_lists import read_list
from podium.data.infer.draft import Draft
from podium.data.layout import Layout
from podium.errors import DataError

_NAMES = {
    "trainval": re.compile(r"(train_?val)(_?(list|ids|split|images?))?", re.IGNORECASE),
    "train": re.compile(r"train(ing)?(_?(list|ids|split|images?))?", re.IGNORECASE),
    "val": re.compile(r"val(id|idation)?(_?(list|ids|split|images?))?", re.IGNORECASE),
    "test": re.compile(r"test(ing)?(_?(list|ids|split|images?))?", re.IGNORECASE),
}
MOST = 200
"""Text files looked at."""
LARGEST = 5_000_000


def infer_lists(draft: Draft, layout: Layout, ids: Collection[str]) -> None:
    """Which images are to be trained on and which are official validation images, where lists tell.

    Args:
        ids: All ids that the images of training could have.
    """
    data, known = draft.tree["data"], set(ids)
    found = _lists(layout, known)
    if not found or data.get("val_images") or data.get("views"):
        return
    folder = min(found, key=lambda f: (draft.tree["task"] != "segmentation" or "seg" not in f.lower(), f))
    lists = found[folder]
    train = [lists["trainval"]] if "trainval" in lists else [lists[k] for k in ("train", "val") if k in lists]
    chosen = {id for name in train for id in read_list(layout.root / name)} & known
    others = known - chosen
    if train and others and "test_list" not in data:
        what = f"list{'s' if len(train) == 1 else ''} {len(chosen)} of the {len(known)} images"
        draft.put("data.train_list", train[0] if len(train) == 1 else train, f"{what}; the others are left out")
    if "val" in lists:
        n = len(known & set(read_list(layout.root / lists["val"])))
        draft.put("data.val_list", lists["val"], f"lists {n} of them, and its name says validation")
    if "test" in lists and "train_list" in data and not data.get("test_images"):
        n = len(others & set(read_list(layout.root / lists["test"])))
        if n == len(others):
            draft.put("data.test_images", data["train_images"], f"the {n} that {lists['test']} lists")


def _lists(layout: Layout, known: set[str]) -> dict[str, dict[str, str]]:
    """{folder: {train, val, trainval or test: file}} of the text files whose lines are ids of images."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    looked = 0
    for folder, subfolders, names in os.walk(layout.root):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        for name in sorted(n for n in names if n.endswith(".txt")):
            kind = next((k for k, rule in _NAMES.items() if rule.fullmatch(Path(name).stem)), None)
            path = Path(folder) / name
            if kind is None or looked >= MOST:
                continue
            looked += 1
            relative = path.relative_to(layout.root).as_posix()
            if _holds_ids(path, known):
                found[Path(relative).parent.as_posix()][kind] = relative
    return {folder: lists for folder, lists in found.items() if len(lists) > 1}


def _holds_ids(path: Path, known: set[str]) -> bool:
    """Whether nine of ten lines name an image."""
    try:
        ids = set(read_list(path)) if path.stat().st_size <= LARGEST else set()
    except (DataError, OSError):
        return False
    return len(ids & known) * 10 >= 9 * len(ids) > 0
