"""What lies in a data folder: images, masks and tables, and how their names fit together. Nothing is decoded whole."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from podium.data.samples import IMAGE_SUFFIXES
from podium.errors import DataError
from podium.formats import masks, tables

_MASK_WORDS = re.compile(r"mask|label|annot|truth|(^|[^a-z])gt([^a-z]|$)|segm|target", re.IGNORECASE)
_TEST_WORDS = re.compile(r"(^|[^a-z])test", re.IGNORECASE)
_TABLES = {".csv"}


@dataclass(frozen=True)
class ImageFolder:
    """The images of one folder, by stem."""

    path: str
    files: dict[str, Path]

    @property
    def suffixes(self) -> list[str]:
        """File name endings, the commonest first."""
        return [s for s, _ in Counter(p.suffix for p in self.files.values()).most_common()]

    def pattern(self, root: str = "", stem: str = "*") -> str:
        """A glob of these files relative to the data folder."""
        suffix = self.suffixes[0] if len(self.suffixes) == 1 else ".*"
        return (Path(root) / glob.escape(self.path) / f"{stem}{suffix}").as_posix()


@dataclass(frozen=True)
class Pairing:
    """An image folder, its mask folder, and how a mask's stem is made of the id: before + id + after."""

    images: ImageFolder
    masks: ImageFolder
    before: str
    after: str

    def mask_of(self, id: str) -> Path | None:
        """The mask file of an id."""
        return self.masks.files.get(f"{self.before}{id}{self.after}")

    @property
    def ids(self) -> list[str]:
        """Ids that have a mask."""
        return [id for id in self.images.files if self.mask_of(id)]


@dataclass
class Layout:
    """Everything found below a data folder."""

    root: Path
    folders: list[ImageFolder] = field(default_factory=list)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)


def scan(root: Path) -> Layout:
    """List a data folder: image folders by path, CSV tables by path. Hidden files and folders are passed over.

    Raises:
        DataError: if the folder is missing or holds no image, or a table cannot be read.
    """
    if not root.is_dir():
        kind = "a file, not a folder" if root.exists() else "not there"
        raise DataError(
            f"the data folder is {kind}", where=root, remedy="give the folder that the data was unpacked into"
        )
    found: dict[str, list[Path]] = defaultdict(list)
    layout = Layout(root)
    for folder, subfolders, names in os.walk(root, followlinks=True):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        relative = Path(folder).relative_to(root).as_posix()
        for name in sorted(n for n in names if not n.startswith(".")):
            path = Path(folder) / name
            if path.suffix.lower() in IMAGE_SUFFIXES:
                found[relative].append(path)
            elif path.suffix.lower() in _TABLES:
                layout.tables[path.relative_to(root).as_posix()] = tables.read_csv(path)
    if not found:
        raise DataError(
            "no image found",
            where=root,
            expected="images (" + ", ".join(sorted(IMAGE_SUFFIXES)) + ") in the folder or below it",
            remedy="give the folder that the data was unpacked into",
        )
    layout.folders = [ImageFolder(path, files) for path, paths in found.items() for files in _by_stem(paths)]
    return layout


def _by_stem(paths: Sequence[Path]) -> list[dict[str, Path]]:
    """{stem: file} of a folder's images; one for each ending where most are there twice, a.jpg beside a.png."""
    together = {p.stem: p for p in paths}
    if (len(paths) - len(together)) * 2 < len(together):
        return [together]
    endings = sorted({p.suffix.lower() for p in paths})
    return [{p.stem: p for p in paths if p.suffix.lower() == ending} for ending in endings]


def pair_masks(layout: Layout) -> list[Pairing]:
    """Image folders with their mask folders, the likeliest first.

    A mask folder is one whose name says so, or whose files look like masks while another folder's names match them.
    """
    pairs = []
    for masks_folder in layout.folders:
        named = bool(_MASK_WORDS.search(masks_folder.path.rpartition("/")[2]))
        for images in layout.folders:
            if images is masks_folder or (_MASK_WORDS.search(images.path.rpartition("/")[2]) and not named):
                continue
            affix = _affix(images.files, masks_folder.files)
            if affix is None:
                continue
            pair = Pairing(images, masks_folder, *affix)
            if len(pair.ids) >= max(1, len(images.files) // 2) and (named or _look_like_masks(masks_folder)):
                pairs.append(pair)
    pairs += [within for folder in layout.folders if (within := _pair_within(folder)) is not None]
    pairs = [p for p in pairs if not any(o.masks is p.images for o in pairs if o is not p)]
    return sorted(pairs, key=lambda p: (bool(_TEST_WORDS.search(p.images.path)), -len(p.ids), p.images.path))


def _affix(images: Iterable[str], masks_stems: Iterable[str]) -> tuple[str, str] | None:
    """(before, after) such that before + image stem + after is a mask's stem, for most; None if there is none."""
    stems = set(masks_stems)
    votes: Counter[tuple[str, str]] = Counter()
    some = list(images)[:200]
    same = sum(s in stems for s in some)
    if same * 2 > len(some):
        return "", ""
    ordered = sorted(stems)
    for image in some:
        for stem in ordered if len(ordered) <= 500 else [s for s in ordered if image in s][:3]:
            at = stem.find(image)
            if at >= 0:
                votes[(stem[:at], stem[at + len(image) :])] += 1
    if not votes:
        return None
    affix, n = votes.most_common(1)[0]
    return affix if n * 2 > len(some) else None


def _pair_within(folder: ImageFolder) -> Pairing | None:
    """Images and masks side by side in one folder: a.jpg and a_mask.png."""
    endings = Counter(
        m[0] for s in folder.files if (m := re.search(r"[_-](mask|label|gt|seg|annot\w*)$", s, re.IGNORECASE))
    )
    if not endings:
        return None
    after = endings.most_common(1)[0][0]
    mask_files = {s: p for s, p in folder.files.items() if s.endswith(after)}
    image_files = {s: p for s, p in folder.files.items() if not s.endswith(after)}
    pair = Pairing(ImageFolder(folder.path, image_files), ImageFolder(folder.path, mask_files), "", after)
    return pair if len(pair.ids) * 2 >= len(image_files) > 0 else None


def _look_like_masks(folder: ImageFolder) -> bool:
    try:
        return all(len(masks.mask_values(p)[0]) <= 2 for p in spread(list(folder.files.values()), 6))
    except DataError:
        return False


def spread(items: Sequence[Path], n: int) -> list[Path]:
    """``n`` items evenly from the whole list."""
    step = max(1, len(items) / n)
    return [items[int(i * step)] for i in range(min(n, len(items)))]


def test_folder(layout: Layout, pairing: Pairing | None, wanted: set[str]) -> ImageFolder | None:
    """The folder of test images: the one that holds the sample submission's ids, or that is called test."""
    taken = {id(f) for f in (pairing.images, pairing.masks)} if pairing else set()
    free = [f for f in layout.folders if id(f) not in taken]
    if wanted:
        held = [f for f in free if wanted <= f.files.keys() | {p.name for p in f.files.values()}]
        if held:
            return held[0]
    named = [f for f in free if _TEST_WORDS.search(f.path) and not _MASK_WORDS.search(f.path.rpartition("/")[2])]
    return named[0] if named else None
