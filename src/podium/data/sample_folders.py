"""Layouts with a folder for each sample, and how the files in them are called."""

from __future__ import annotations

import glob
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from podium.data.layout import (
    MASK_WORDS,
    OTHER_DRAWINGS,
    TEST_WORDS,
    ImageFolder,
    Layout,
    beginning,
    look_like_masks,
    split_words,
    spread,
)

_IMAGE_WORDS = re.compile(r"(^|[^a-z])(images?|imgs?|im|photos?|pictures?|rgb|inputs?|originals?|raw)([^a-z]|$)", re.I)
_MOST_IMAGES = 4
"""Images a sample beside its masks; folders with more are classes or splits, not samples."""
FEWEST = 3
"""Folders of samples."""

Files = dict[str, list[Path]]


@dataclass(frozen=True)
class SampleFolders:
    """A folder a sample below one parent.

    Either train/<id>/image.png beside train/<id>/mask.png, or stage1_train/<id>/images/<id>.png beside
    stage1_train/<id>/masks/*.png, one file an object or a class.

    Attributes:
        images_pattern: A glob of the images with {id} in it.
        masks_pattern: The same of the masks, with {class} where a file is a class; empty if there are none.
        images: {id: image}.
        masks: {id: mask files}.
        classes: What {class} stands for.
        beside: Whether images lie in one folder, and only the masks are several files each.
        merged: Whether several masks of an image are parts of one.
    """

    parent: str
    images_pattern: str
    images: dict[str, Path]
    masks_pattern: str = ""
    masks: Files = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    beside: bool = False
    merged: bool = False

    @property
    def told(self) -> str:
        """How the images lie, in words."""
        n = len(self.images)
        return f"{n} images" if self.beside else f"{n} folder{'s' if n > 1 else ''} with one image each"

    @property
    def by_object(self) -> bool:
        """Whether a sample has several masks, one an object."""
        return not self.merged and not self.classes and any(len(files) > 1 for files in self.masks.values())


def sample_folders(layout: Layout) -> list[SampleFolders]:
    """Folders of one sample each, where there are some: those with masks first, the largest first."""
    found = _nested(layout) or _flat(layout) or _named_in_tables(layout)
    return sorted(found, key=lambda f: (not f.masks, bool(TEST_WORDS.search(f.parent)), -len(f.images)))


def _nested(layout: Layout) -> list[SampleFolders]:
    """Folders of samples with a folder of images and one of masks in each."""
    families: dict[tuple[str, str], Files] = defaultdict(dict)
    for folder in layout.folders:
        above, _, own = folder.path.rpartition("/")
        parent, _, sample = above.rpartition("/")
        if sample:
            families[parent or ".", own.replace(sample, "{id}")].setdefault(sample, []).extend(folder.files.values())
    out = []
    for (parent, own), of_sample in families.items():
        beside = [
            (sum(len(f) for f in files.values()), name, files)
            for (other, name), files in families.items()
            if other == parent and name != own and len(files.keys() & of_sample.keys()) * 2 > len(of_sample)
        ]
        named = [b for b in beside if MASK_WORDS.search(b[1])]
        single = sum(
            len(files) == 1 and (bool(named) or files[0].stem == sample) for sample, files in of_sample.items()
        )
        if single * 10 < 9 * len(of_sample) or MASK_WORDS.search(own):
            continue
        name, files = max(named or beside, default=(0, "", Files()), key=_one_each)[1:]
        if len(of_sample) < FEWEST and (
            files or not any(n == own and len(f) >= FEWEST for (_, n), f in families.items())
        ):
            continue  # but the test images that are shown may be few
        below = _below(parent)
        images = {sample: files[0] for sample, files in of_sample.items() if len(files) == 1}
        template, classes = mask_template(files) if files else ("", ())
        masks_pattern = f"{below}{_escaped(name)}/{template}" if files else ""
        out.append(SampleFolders(parent, f"{below}{_escaped(own)}/*.*", images, masks_pattern, files, classes))
    return out


def _one_each(beside: tuple[int, str, Files]) -> tuple[bool, int]:
    """Of folders beside the image that nothing calls masks those first that have one file each."""
    n, name, files = beside
    return not MASK_WORDS.search(name) and n == len(files), n


def _flat(layout: Layout) -> list[SampleFolders]:
    """Folders of samples with images and masks side by side in each, called the same in all."""
    families: dict[str, Files] = defaultdict(dict)
    for folder in layout.folders:
        parent, _, sample = folder.path.rpartition("/")
        if sample != ".":
            families[parent or "."].setdefault(sample, []).extend(folder.files.values())
    with_masks = dict[str, tuple[str, SampleFolders]]()
    for parent, of_sample in families.items():
        by_name = _by_name(of_sample)
        usual = [n for n, files in by_name.items() if len(files) * 10 >= 9 * len(of_sample)]
        images = [n for n in usual if not MASK_WORDS.search(n)]
        if len(of_sample) < FEWEST or not 0 < len(images) <= _MOST_IMAGES:
            continue
        masks = [n for n in by_name if MASK_WORDS.search(n)]
        if not masks and len(images) > 1:
            masks = [n for n in images if not _is_image(n) and look_like_masks(spread(_all(by_name[n]), 6))]
        image = _likeliest([n for n in images if n not in masks])
        if masks and image is not None and (found := _with_masks(parent, by_name, image, masks)) is not None:
            with_masks[parent] = image, found
    out = [f for _, f in with_masks.values()]
    for parent, of_sample in families.items():  # as the images beside masks are called: test images
        by_name = _by_name(of_sample) if parent not in with_masks else {}
        for image in {i for i, _ in with_masks.values() if i in by_name}:
            files = {s: paths[0] for s, paths in by_name[image].items()}
            out.append(SampleFolders(parent, _below(parent) + _glob(image, files), files))
    return out


def _named_in_tables(layout: Layout) -> list[SampleFolders]:
    """Folders of one image each, called the same in all, whose names a table has as ids."""
    families: dict[str, Files] = defaultdict(dict)
    for folder in layout.folders:
        parent, _, sample = folder.path.rpartition("/")
        if len(folder.files) == 1 and sample != ".":
            families[parent or "."].setdefault(sample, []).extend(folder.files.values())
    columns = [set(table[c].to_list()) for table in layout.tables.values() for c in table.columns]
    out = []
    for parent, of_sample in families.items():
        by_name = _by_name(of_sample)
        known = any(len(values & of_sample.keys()) * 2 > len(of_sample) for values in columns)
        if known and len(by_name) == 1 and "{id}" not in next(iter(by_name)) and not MASK_WORDS.search(parent):
            images = {s: paths[0] for s, paths in of_sample.items()}
            out.append(SampleFolders(parent, _below(parent) + _glob(next(iter(by_name)), images), images))
    return out if any(len(f.images) >= FEWEST for f in out) else []


def with_samples_by_name(layout: Layout, own: Sequence[SampleFolders]) -> Layout:
    """The layout in which the images in folders of samples have the names of these, as tables know them."""
    taken = {path for f in own if not f.beside for path in f.images.values()}
    if not taken:
        return layout
    folders = [ImageFolder(f.parent, f.images, own_pattern=f.images_pattern) for f in own if not f.beside]
    return replace(layout, folders=folders + [f for f in layout.folders if not taken & set(f.files.values())])


def _with_masks(parent: str, by_name: Mapping[str, Files], image: str, masks: Sequence[str]) -> SampleFolders | None:
    drawn = [n for n in masks if not OTHER_DRAWINGS.search(split_words(n.replace("{id}", "")))] or masks
    images = {s: paths[0] for s, paths in by_name[image].items()}
    files: Files = defaultdict(list)
    for name in drawn:
        for sample, paths in by_name[name].items():
            files[sample] += paths
    template, classes = mask_template(files)
    if any(fnmatch(path.name, re.sub(r"\{\w+\}", "*", template)) for path in images.values()):
        return None  # nothing in the names tells the masks from the image
    pattern = _below(parent) + template
    return SampleFolders(parent, _below(parent) + _glob(image, images), images, pattern, dict(files), classes)


def _below(parent: str) -> str:
    return f"{glob.escape(parent)}/{{id}}/".removeprefix("./")


def _by_name(of_sample: Mapping[str, Sequence[Path]]) -> dict[str, Files]:
    """{how a file is called: {sample: files}}, {id} for the sample; with its ending where stems are there twice."""
    twice = sum(len({p.stem for p in files}) < len(files) for files in of_sample.values()) * 2 > len(of_sample)
    out: dict[str, Files] = defaultdict(dict)
    for sample, files in of_sample.items():
        for path in files:
            out[(path.name if twice else path.stem).replace(sample, "{id}")].setdefault(sample, []).append(path)
    return out


def _all(files: Files) -> list[Path]:
    return [p for paths in files.values() for p in paths]


def _is_image(name: str) -> bool:
    return bool(_IMAGE_WORDS.search(name.replace("{id}", ""))) or name.partition(".")[0] == "{id}"


def _likeliest(names: Sequence[str]) -> str | None:
    """The one image of several, by its name; None if nothing tells."""
    named = [n for n in names if _is_image(n)]
    return names[0] if len(names) == 1 else named[0] if len(named) == 1 else None


def _glob(name: str, files: Mapping[str, Path]) -> str:
    """A glob of files of one name, {id} in it kept."""
    suffixes = {p.suffix for p in files.values()}
    if any(name.endswith(s) for s in suffixes if s):
        return _escaped(name)
    return _escaped(name) + (suffixes.pop() if len(suffixes) == 1 else ".*")


def mask_template(files: Files) -> tuple[str, tuple[str, ...]]:
    """How mask files are called, as a glob with {id} or {class} in it; and what the classes are.

    A name for all; or several that come again from sample to sample, which are classes; or else one an object.
    """
    names = Counter(p.stem.replace(sample, "{id}") for sample, paths in files.items() for p in paths)
    suffixes = Counter(p.suffix for paths in files.values() for p in paths)
    ending = next(iter(suffixes)) if len(suffixes) == 1 else ".*"
    if len(names) == 1:
        return _escaped(next(iter(names))) + ending, ()
    before, after = (re.sub(r"[^_\-. ]*$", "", part) for part in _around(list(names)))
    after = after[::-1]
    classes = [n[len(before) : len(n) - len(after)] for n in names]
    words = all(re.search(r"[^\W\d]", c) and "{id}" not in c for c in classes) and not _numbered(names, files)
    if words and len(names) <= 100 and all(n > 1 and n * 10 >= len(files) for n in names.values()):
        return f"{_escaped(before)}{{class}}{_escaped(after)}{ending}", tuple(sorted(classes))
    before = re.sub(r"\d+$", "", _around(list(names))[0])
    return "*".join(map(glob.escape, before.split("{id}"))).rstrip("*") + "*" + ending, ()


def _numbered(names: Mapping[str, int], files: Files) -> bool:
    """Whether names are one word and a number, of which some samples have more than others: objects, m0, m1, m2."""
    numbered = [re.fullmatch(r"(.*?)\d+", name) for name in names]
    alike = all(numbered) and len({m[1] for m in numbered if m}) == 1
    return alike and len({len(paths) for paths in files.values()}) > 1


def _escaped(text: str) -> str:
    return "{id}".join(map(glob.escape, text.split("{id}")))


def _around(names: Sequence[str]) -> tuple[str, str]:
    """What all names begin with, and what they end with, from the end; the two do not overlap."""
    before = beginning(names)
    return before, beginning([name[len(before) :][::-1] for name in names])
