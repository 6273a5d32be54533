"""What lies in a data folder: images, masks and tables, and how their names fit together. Nothing is decoded whole."""

from __future__ import annotations

import glob
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

import polars as pl

from podium.data.patterns import IMAGE_SUFFIXES
from podium.errors import DataError
from podium.formats import masks, tables

MASK_WORDS = re.compile(
    r"mask|(?<!un)(?<!un_)label(?!l?ed([^a-z]|$))|annot|truth|(^|[^a-z])(gts?|segs?|anns?|lbls?)([^a-z]|$)|segm|target|semantic|"
    r"(^|[^a-z])(manual|anno)|(?-i:[a-z](GT|Seg|Lbl|Ann)s?(?![a-z]))",
    re.IGNORECASE,
)
TEST_WORDS = re.compile(r"(^|[^a-z])test|(^|/)(images|labels)ts(/|$)", re.IGNORECASE)
VAL_WORDS = re.compile(r"(^|[^a-z])val(id|idation)?([^a-z]|$|annot|mask|label|image|gt)", re.IGNORECASE)
_TRAIN_WORDS = re.compile(r"(^|[^a-z])train|(^|/)(images|labels)tr(/|$)", re.IGNORECASE)
_LITTER = re.compile(r"^(\..*|__macosx|thumbs?|thumbnails?|\$recycle\.bin|@eadir)$", re.IGNORECASE)
OTHER_DRAWINGS = re.compile(
    r"(^|_)(objects?|inst(ance)?s?|colou?rs?|rgb|vis(ual\w*)?|overlays?|previews?|edges?|bound\w*|soft|png|raw|2nd|"
    r"second|manual_?[2-9]|masks?_human)(_|$)"
)
_FIELD_OF_VIEW = re.compile(r"masks?|fov(_masks?)?|roi")
_DRAWN = re.compile(r"[_-](mask|labels?|lbl|gt|seg(mentation)?|anno\w*|manual1?|ground_?truth|1sthos?)$", re.IGNORECASE)
"""What the name of a mask beside its image ends with."""
_SECOND = re.compile(r"[_-](2ndho|manual2)$", re.IGNORECASE)
"""What a second reader drew."""
_READER = re.compile(r"(.*(?:expert|annotat\w*|annot|reader|observer|rater|grader|doctor|radiologist|manual))[_ -]?\d+")
_MANY_FOLDERS = 20


@dataclass(frozen=True)
class ImageFolder:
    """The images of one folder, by stem; or of all folders below it, if it is ``deep``.

    Attributes:
        own_pattern: A glob of them, where their ids are made of several names of a path; ``files`` has these ids.
    """

    path: str
    files: dict[str, Path]
    deep: bool = False
    own_pattern: str = ""

    @property
    def suffixes(self) -> list[str]:
        """File name endings, the commonest first."""
        return [s for s, _ in Counter(p.suffix for p in self.files.values()).most_common()]

    def pattern(self, root: str = "", stem: str = "*") -> str:
        """A glob of these files relative to the data folder."""
        if self.own_pattern:
            return (Path(root) / self.own_pattern).as_posix()
        suffix = self.suffixes[0] if len(self.suffixes) == 1 else ".*"
        return (Path(root) / glob.escape(self.path) / ("*" if self.deep else "") / f"{stem}{suffix}").as_posix()


@dataclass(frozen=True)
class Pairing:
    """An image folder, its mask folder, and how a mask's stem is made of the id: before + id + after.

    Attributes:
        image_affix: What stands around the id in an image's stem, where names differ on both sides (img_1, gt_1).
        further: Whether some images have further masks, parts of the first: a_mask_1 beside a_mask.
    """

    images: ImageFolder
    masks: ImageFolder
    before: str
    after: str
    image_affix: tuple[str, str] = ("", "")
    further: bool = False

    def mask_of(self, stem: str) -> Path | None:
        """The mask file of an image's stem."""
        return self.masks.files.get(f"{self.before}{self.id_of(stem)}{self.after}")

    def id_of(self, stem: str) -> str:
        """The id in an image's stem."""
        return stem.removeprefix(self.image_affix[0]).removesuffix(self.image_affix[1])

    @property
    def ids(self) -> list[str]:
        """Stems of the images that have a mask."""
        return [stem for stem in self.images.files if self.mask_of(stem)]

    @property
    def images_pattern(self) -> str:
        """A glob of the images, with {id} where it is not their whole name."""
        before, after = self.image_affix
        return self.images.pattern(stem=f"{glob.escape(before)}{{id}}{glob.escape(after)}" if before or after else "*")

    @property
    def masks_pattern(self) -> str:
        """A glob of the masks with {id} in it."""
        more = "*" if self.further else ""
        return self.masks.pattern(stem=f"{glob.escape(self.before)}{{id}}{glob.escape(self.after)}{more}")


@dataclass
class Layout:
    """Everything found below a data folder.

    Attributes:
        image_id: How parts of paths make ids, as `data.image_id` says it.
        above: {id: the names of the folders above}, where they do.
        unread: Tables that cannot be read, and why.
    """

    root: Path
    folders: list[ImageFolder] = field(default_factory=list)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)
    image_id: str | None = None
    above: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unread: dict[str, DataError] = field(default_factory=dict)


def scan(root: Path) -> Layout:
    """List a data folder: image folders by path, CSV tables by path.

    Hidden files and folders, thumbnails and what file managers leave are passed over.

    Raises:
        DataError: if the folder is missing or holds no image.
    """
    if not root.is_dir():
        kind = "a file, not a folder" if root.exists() else "not there"
        raise DataError(
            f"the data folder is {kind}", where=root, remedy="give the folder that the data was unpacked into"
        )
    found: dict[str, list[Path]] = defaultdict(list)
    layout, seen = Layout(root), set[str]()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        if real in seen:  # a link to a folder above: it would go round for ever
            subfolders.clear()
            continue
        seen.add(real)
        subfolders[:] = sorted(s for s in subfolders if not _LITTER.match(s))
        relative = Path(folder).relative_to(root).as_posix()
        for name in sorted(n for n in names if not n.startswith(".")):
            path = Path(folder) / name
            if path.suffix.lower() in IMAGE_SUFFIXES and is_plain(path):
                found[relative].append(path)
            elif name.lower().endswith((".csv", ".csv.gz", ".tsv", ".tsv.gz")) and is_plain(path):
                _read_table(layout, path)
    if not found:
        raise DataError(
            "no image found",
            where=root,
            expected="images (" + ", ".join(sorted(IMAGE_SUFFIXES)) + ") in the folder or below it",
            remedy="give the folder that the data was unpacked into",
        )
    layout.folders = [ImageFolder(path, files) for path, paths in found.items() for files in _by_stem(paths)]
    return layout


def _read_table(layout: Layout, path: Path) -> None:
    name = path.relative_to(layout.root).as_posix()
    try:
        layout.tables[name] = tables.read_csv(path)
    except DataError as error:
        layout.unread[name] = error


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
    pairs = [
        pair
        for masks_folder in layout.folders
        for images in layout.folders
        if images is not masks_folder and (pair := _pair(images, masks_folder, len(layout.folders))) is not None
    ]
    pairs += [within for folder in layout.folders if (within := _pair_within(folder)) is not None]
    pairs = [p for p in pairs if not any(o.masks is p.images for o in pairs if o is not p)]
    pairs = _nearest(pairs)
    own = {id(p.images) for p in pairs if _name(p.images) == _name(p.masks)}  # images/p01 beside masks/p01, masks/p02
    pairs = [p for p in pairs if id(p.images) not in own or _name(p.images) == _name(p.masks)]
    return sorted(pairs, key=lambda p: (bool(TEST_WORDS.search(p.images.path)), -len(p.ids), p.images.path))


def _nearest(pairs: Sequence[Pairing]) -> list[Pairing]:
    """Where names come again in every case, an image's masks are those of its own: p1/images, p1/masks, p2/masks."""
    near = {id(p): _nearness(p.images.path.split("/"), p.masks.path.split("/")) for p in pairs}
    best: dict[int, float] = defaultdict(float)
    for p in pairs:
        for folder in (p.images, p.masks):
            best[id(folder)] = max(best[id(folder)], near[id(p)])
    return [p for p in pairs if near[id(p)] == best[id(p.images)] == best[id(p.masks)]]


def _nearness(images: Sequence[str], masks: Sequence[str]) -> float:
    """How many folders two paths share, and a half more where the next begins alike: 01, 01_GT."""
    n = sum(accumulate((a == b for a, b in zip(images, masks, strict=False)), min))
    rest = masks[n].removeprefix(images[n]) if n < min(len(images), len(masks)) else ""
    return n + 0.5 * bool(rest and rest != masks[n] and not rest[0].isalnum())


def _name(folder: ImageFolder) -> str:
    return folder.path.rpartition("/")[2]


def _pair(images: ImageFolder, masks_folder: ImageFolder, n_folders: int) -> Pairing | None:
    parent, _, own = masks_folder.path.rpartition("/")
    shared = set(images.path.split("/"))  # what lies above both says nothing of either
    named = any(MASK_WORDS.search(n) for n in (own, *(n for n in parent.split("/")[-2:] if n not in shared)))
    if MASK_WORDS.search(images.path.rpartition("/")[2]) and not named:
        return None
    splits = {split_of(images.path), split_of(masks_folder.path)} - {""}
    if len(splits) > 1:
        return None
    same = len(images.files.keys() & masks_folder.files.keys())
    if not named and same * 2 < len(images.files):
        return None
    if same == 0 and n_folders > _MANY_FOLDERS and len(masks_folder.files) * 2 < len(images.files):
        return None  # each try costs, and there are many
    affix = _affix(images.files, masks_folder.files)
    if affix is not None:
        pair = Pairing(images, masks_folder, *affix)
    elif named and (both := _affixes(images.files, masks_folder.files)) is not None:
        pair = Pairing(images, masks_folder, *both[1], image_affix=both[0])
    else:
        return None
    most = named and len(pair.ids) * 10 >= 9 * len(masks_folder.files) > 0  # many images may have no mask
    enough = most or len(pair.ids) >= max(1, len(images.files) // 2)
    return pair if enough and (named or look_like_masks(spread(list(masks_folder.files.values()), 6))) else None


def split_of(path: str) -> str:
    """Which official split a folder's path names: train, val, test, or none ("")."""
    words = {"test": TEST_WORDS, "val": VAL_WORDS, "train": _TRAIN_WORDS}
    return next((name for name, rule in words.items() if rule.search(path)), "")


def other_drawings(pairs: Sequence[Pairing]) -> list[Pairing]:
    """Of several mask folders of the same images, those that draw the same once more: in colour, by objects, soft.

    Also a second reader's, and, beside what was drawn by hand, the camera's field of view.
    """
    names = {id(p): split_words(p.masks.path.rpartition("/")[2]) for p in pairs}
    by_hand = any("manual" in name for name in names.values())
    numbered = [m for p in pairs if (m := _READER.fullmatch(names[id(p)]))]
    readers = len(numbered) == len(pairs) > 1 and len({m[1] for m in numbered}) == 1
    if readers:  # of several who drew the same, the first
        first = min(pairs, key=lambda p: (len(names[id(p)]), names[id(p)]))
        return [p for p in pairs if p is not first]
    told = [
        p for p in pairs if OTHER_DRAWINGS.search(names[id(p)]) or (by_hand and _FIELD_OF_VIEW.fullmatch(names[id(p)]))
    ]
    return told if len(told) < len(pairs) else []


def split_words(name: str) -> str:
    """'SegmentationObject' -> 'segmentation_object'."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


def _affixes(images: Iterable[str], masks_stems: Iterable[str]) -> tuple[tuple[str, str], tuple[str, str]] | None:
    """What stands around the id in images and in masks (img_1 and gt_1): the parts that all names share."""
    of_images, of_masks = sorted(images), sorted(masks_stems)
    if len(of_images) < 2 or len(of_masks) < 2:
        return None
    around = _shared(of_images), _shared(of_masks)
    (before, after), (m_before, m_after) = around
    ids = {s[len(before) : len(s) - len(after)] for s in of_images}
    of_mask_ids = {s[len(m_before) : len(s) - len(m_after)] for s in of_masks}
    return around if all(ids) and len(ids & of_mask_ids) * 2 > len(ids) else None


def beginning(names: Sequence[str]) -> str:
    """What all names begin with."""
    low, high = min(names), max(names)
    return low[: next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))]


def _shared(stems: Sequence[str]) -> tuple[str, str]:
    """The longest common beginning and end of names, without digits that belong to a number between them."""
    before = re.sub(r"[0-9]+$", "", beginning(stems))
    after = beginning([s[len(before) :][::-1] for s in stems])[::-1]
    return before, re.sub(r"^[0-9]+", "", after)


def _affix(images: Iterable[str], masks_stems: Iterable[str]) -> tuple[str, str] | None:
    """(before, after) such that before + image stem + after is a mask's stem, for most; None if there is none."""
    stems = set(masks_stems)
    votes: Counter[tuple[str, str]] = Counter()
    some = list(images)[:200]
    same = sum(s in stems for s in some)
    known = set(images)
    if same * 2 > len(some) or sum(s in known for s in stems) > 0.9 * len(stems):
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
    endings = Counter(m[0] for s in folder.files if (m := _DRAWN.search(s)))
    if not endings:
        return None
    after = endings.most_common(1)[0][0]
    drawn = re.compile(rf".*{re.escape(after)}([_\-. (]+\d+\)?)?", re.DOTALL)
    mask_files = {s: p for s, p in folder.files.items() if drawn.fullmatch(s)}
    image_files = {s: p for s, p in folder.files.items() if s not in mask_files and not _SECOND.search(s)}
    images, masks_folder = ImageFolder(folder.path, image_files), ImageFolder(folder.path, mask_files)
    ending = _shared(list(image_files))[1] if len(image_files) > 1 else ""  # a_sat.jpg beside a_mask.png
    for affix in (("", ""), ("", ending)):
        pair = Pairing(images, masks_folder, "", after, image_affix=affix)
        if len(pair.ids) * 2 >= len(image_files) > 0:
            return pair
    return None


def look_like_masks(files: Sequence[Path]) -> bool:
    """Whether files hold two values at most."""
    try:
        return all(len(masks.mask_values(p)[0]) <= 2 for p in files)
    except DataError:
        return False


def spread(items: Sequence[Path], n: int) -> list[Path]:
    """``n`` items evenly from the whole list."""
    step = max(1, len(items) / n)
    return [items[int(i * step)] for i in range(min(n, len(items)))]


def is_plain(path: Path) -> bool:
    """Whether it is a file, or a link that leads nowhere; a folder or a pipe with an image's name is neither."""
    return path.is_file() or not path.exists()


def pattern_of(folder: ImageFolder, pairs: Sequence[Pairing], views: Sequence[str] = ()) -> str:
    """A glob of test images, whose ids are read as those of the training images are: a of a_sat.jpg, of a_red.png."""
    if views and all(stem.rpartition("_")[2] in views for stem in folder.files):
        return folder.pattern(stem="{id}_{view}")
    own = next((p for p in pairs if p.images is folder), None)
    if own is not None:
        return own.images_pattern
    before, after = pairs[0].image_affix if pairs else ("", "")
    alike = (before or after) and all(s.startswith(before) and s.endswith(after) for s in folder.files)
    return folder.pattern(stem=f"{glob.escape(before)}{{id}}{glob.escape(after)}" if alike else "*")


def test_folder(layout: Layout, pairs: Sequence[Pairing], wanted: set[str], views: Sequence[str]) -> ImageFolder | None:
    """The folder of test images: the one that holds the sample submission's ids, or that is called test."""
    wanted = {f"{name}_{view}" for name in wanted for view in views} or wanted
    taken = {id(f) for pair in pairs for f in (pair.images, pair.masks)}
    free = [f for f in layout.folders if id(f) not in taken]
    if wanted:
        held = [f for f in (*free, *layout.folders) if wanted <= f.files.keys() | {p.name for p in f.files.values()}]
        if held:
            return held[0]
    named = [f for f in free if TEST_WORDS.search(f.path) and not MASK_WORDS.search(f.path.rpartition("/")[2])]
    alike = [f for f in named if pairs and _name(f) == _name(pairs[0].images)]  # test/rgb beside test/depth
    return next(iter(alike or named), None)
