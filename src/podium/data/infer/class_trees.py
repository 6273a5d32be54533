"""Folders of images called like classes, wherever they lie: train/cat/*.jpg, berlin/cat/*.jpg, cat/patient7/*.jpg."""

from __future__ import annotations

import glob
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from statistics import median

import numpy as np

from podium.data.infer.tree_ids import Spelled, spelled_ids
from podium.data.layout import MASK_WORDS, TEST_WORDS, ImageFolder, Layout, split_of, spread
from podium.errors import DataError, PodiumError
from podium.formats import masks
from podium.formats.images import read_image

COVERED = 0.9
"""The share of the images that classes must be told of; else something else lies there."""
FEW_GREYS = 32
"""More values than this make a picture."""
SHOWN = 5
MANY_COLOURS = 0.1
"""Of the pixels."""

_SPLIT = re.compile(
    r"(train(ing)?|val(id|idation)?|dev|test(ing)?|eval(uation)?)([ _-]?(set|data|images?|imgs?|\d+|[a-z]))?", re.I
)
_NO_CLASSES = re.compile(r"(images?|imgs?|masks?|labels?|data|test(ing)?|val(id|idation)?)", re.IGNORECASE)
_BESIDE = re.compile(
    r"(un_?label\w*|unsup\w*|(\w+_)?pred(ict\w*)?|docs?|readme|assets?|figures?|demo|examples?|previews?|outputs?|results?)",
    re.I,
)
_VIEWS = re.compile(
    r"(\d+x|\d+p|\d+x\d+|rgb|nir|colou?r(ed)?|gr[ae]y(scale)?|depth|left|right|images?|imgs?|jpe?g|png|frames?|"
    r"crop(ped|s)?|segmented|originals?|raw|edges?)",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"(rgb|colou?r(ed)?|images?|imgs?|originals?|raw|jpe?g)", re.IGNORECASE)
_JUDGED = re.compile(
    r"(good|bad|ok|ng|defect\w*|(ab)?normal|pos(itive)?|neg(ative)?|benign|malignant|healthy|sick|diseased?|real|fake|"
    r"yes|no|true|false|live|spoof|with(out)?_\w+|non?_\w+)",
    re.IGNORECASE,
)
"""Words that say a class wherever they stand."""
_CASE = re.compile(r"(\D*)\d+\D?")

Names = tuple[str, ...]


@dataclass(frozen=True)
class ClassFolders:
    """One folder of images a class.

    Attributes:
        patterns: One, or one for each official split that has labels.
        val, test: Those of the validation and test images.
        group: A pattern of what belongs together, as `data.group` has it, and why.
        n_groups: How many such groups there are.
        image_id: As `data.image_id` says it.
        passed_over: What else lies there.
    """

    patterns: list[str]
    classes: dict[str, int]
    files: int
    val: str | None = None
    test: str | None = None
    group: tuple[str, str] | None = None
    n_groups: int = 0
    image_id: str | None = None
    passed_over: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Leaf:
    """A folder of images: the names of its path, and the official split that they tell."""

    names: Names
    folder: ImageFolder
    split: str = ""

    @property
    def n(self) -> int:
        return len(self.folder.files)


def class_folders(layout: Layout) -> ClassFolders | None:
    """Folders of images that are called like classes, in each official split; None if there are none.

    A folder above or below the classes that is none of them, a patient or a site, makes the groups.

    Raises:
        DataError: if much lies beside them, or one of them draws what is on the others' images.
    """
    depths: dict[int, list[_Leaf]] = defaultdict(list)
    for folder in layout.folders:
        if folder.path != ".":
            names = tuple(folder.path.split("/"))
            depths[len(names)].append(_Leaf(names, folder))
    sizes = {d: sum(leaf.n for leaf in of if not TEST_WORDS.search(leaf.folder.path)) for d, of in depths.items()}
    for depth in sorted(depths, key=lambda d: (-sizes[d], d)):
        found = _tree(layout, depths[depth])
        if found is not None:
            return found
    return None


def _tree(layout: Layout, leaves: Sequence[_Leaf]) -> ClassFolders | None:
    """The classes of folders that lie equally deep."""
    split_at = _split_places([leaf.names for leaf in leaves])
    leaves = [replace(leaf, split=_split(leaf, split_at)) for leaf in leaves if _is_told(leaf, split_at)]
    for i in _test_places(leaves, split_at):
        leaves = [replace(leaf, split="test" if TEST_WORDS.search(leaf.names[i]) else leaf.split) for leaf in leaves]
        split_at = [*split_at, i]
    leaves, copies = _one_view(leaves, split_at)
    train = [leaf for leaf in leaves if leaf.split != "test"]
    several = [i for i in _varying(train) if i not in split_at]
    if not several or (not split_at and all(TEST_WORDS.search("/".join(leaf.names[: several[0]])) for leaf in train)):
        return None
    at, groups_at = _place_of_classes(train, several)
    names = _class_names(train, at)
    if len(names) < 2 or _draw_the_rest(layout, train, at):
        return None
    train = [leaf for leaf in train if leaf.names[at] in names]
    main = next((s for s in ("train", "") if any(leaf.split == s for leaf in train)), train[0].split)
    names = {leaf.names[at] for leaf in train if leaf.split == main}
    if len(names) < 2:
        return None
    train = [leaf for leaf in train if leaf.split == main or names >= _classes_of(train, leaf.split, at)]
    tests = [leaf for leaf in leaves if leaf.split == "test" and names >= _classes_of(leaves, "test", at)]
    _require_photos(train, at)
    passed = _passed_over(layout, [*train, *tests, *copies])
    passed += [f"{leaf.folder.path} ({leaf.n})" for leaf in copies]
    group_at = _place_of_groups(train, at, groups_at)
    return _as_found(layout, train, tests, at, group_at, passed)


def _as_found(
    layout: Layout, train: Sequence[_Leaf], tests: Sequence[_Leaf], at: int, group_at: int | None, passed: list[str]
) -> ClassFolders:
    flat_test = not tests and any(TEST_WORDS.search(f.path) for f in layout.folders)
    images = [(leaf.names, leaf.split, stem) for leaf in train for stem in leaf.folder.files]
    spelled = spelled_ids(images, at, group_at, own_spelling=not flat_test)
    splits = sorted({leaf.split for leaf in train})
    patterns = {s: _pattern([leaf for leaf in train if leaf.split == s], at, spelled) for s in splits}
    such = "" if group_at is None else f"such as {min(leaf.names[group_at] for leaf in train)}; "
    why = f"{spelled.n_groups} folders that are no classes, {such}remove it if they are unrelated"
    return ClassFolders(
        patterns=list(patterns.values()),
        classes={n: i for i, n in enumerate(sorted({leaf.names[at] for leaf in train}))},
        files=len(images),
        val=patterns.get("val") if len(patterns) > 1 else None,
        test=_pattern(tests, at, spelled) if tests else None,
        group=(spelled.group, why) if spelled.group else None,
        n_groups=spelled.n_groups,
        image_id=spelled.spelling,
        passed_over=passed,
    )


def are_forms_of_one(a: ImageFolder, b: ImageFolder) -> bool:
    """Whether two folders of a class have photographs of the same in two forms: color/rose, segmented/rose."""
    names, others = a.path.split("/"), b.path.split("/")
    differ = [i for i, (x, y) in enumerate(zip(names, others, strict=False)) if x != y]
    if len(names) != len(others) or len(differ) != 1 or differ[0] == len(names) - 1:
        return False
    forms = _VIEWS.fullmatch(names[differ[0]]) and _VIEWS.fullmatch(others[differ[0]])
    return bool(forms) and all(_is_photo(p) for f in (a, b) for p in spread(list(f.files.values()), 3))


def _is_photo(path: Path) -> bool:
    """Whether a picture has more colours than a drawing with soft edges has."""
    try:
        pixels = read_image(path).reshape(-1, 3)
    except PodiumError:
        return False
    return len(np.unique(pixels, axis=0)) > MANY_COLOURS * len(pixels)


def _varying(leaves: Sequence[_Leaf]) -> list[int]:
    return [i for i, names in enumerate(zip(*(leaf.names for leaf in leaves), strict=True)) if len(set(names)) > 1]


def _split_places(paths: Sequence[Names]) -> list[int]:
    """Which names are official splits: all of them, or two at least by their very words."""
    out = []
    for i, column in enumerate(zip(*paths, strict=True)):
        values = set(column)
        all_are = len({split_of(v) for v in values}) > 1 and all(split_of(v) for v in values)
        if all_are or len({split_of(v) or "val" for v in values if _SPLIT.fullmatch(v)}) > 1:
            out.append(i)
    return out


def _test_places(leaves: Sequence[_Leaf], split_at: Sequence[int]) -> list[int]:
    """Names of which some say test, and the others nothing, while the same lies below both: rps/, rps-test-set/."""
    out = []
    for i in [i for i in _varying(leaves) if i not in split_at and i + 1 < len(leaves[0].names)]:
        below: dict[bool, set[str]] = {True: set(), False: set()}
        for leaf in leaves:
            below[bool(TEST_WORDS.search(leaf.names[i]))].add(leaf.names[-1])
        if below[True] and below[True] <= below[False]:
            out.append(i)
    return out


def _is_told(leaf: _Leaf, split_at: Sequence[int]) -> bool:
    """Whether a folder lies in a split, where there are splits, and is none of what commonly lies beside."""
    in_split = all(split_of(leaf.names[i]) or _SPLIT.fullmatch(leaf.names[i]) for i in split_at)
    return in_split and not any(_BESIDE.fullmatch(name) for name in leaf.names)


def _split(leaf: _Leaf, split_at: Sequence[int]) -> str:
    splits = [split_of(leaf.names[i]) or "val" for i in split_at]
    return next((s for s in ("test", "val", "train") if s in splits), "")


def _one_view(leaves: Sequence[_Leaf], split_at: Sequence[int]) -> tuple[list[_Leaf], list[_Leaf]]:
    """Folders without those that have the same images in another form: color/ or grayscale/; and the others."""
    for i in [i for i in _varying(leaves) if i not in split_at] if len(_varying(leaves)) > 1 else ():
        views: dict[str, set[tuple[Names, str]]] = defaultdict(set)
        for leaf in leaves:
            views[leaf.names[i]] |= {(leaf.names[:i] + leaf.names[i + 1 :], stem) for stem in leaf.folder.files}
        if not all(map(_VIEWS.fullmatch, views)):
            continue
        first = max(views, key=lambda v: (bool(_PLAIN.fullmatch(v)), len(views[v]), v))
        if all(len(views[v] & views[first]) * 10 >= 9 * len(views[v]) for v in views):
            kept = [leaf for leaf in leaves if leaf.names[i] == first]
            return kept, [leaf for leaf in leaves if leaf.names[i] != first]
    return list(leaves), []


def _place_of_classes(leaves: Sequence[_Leaf], several: Sequence[int]) -> tuple[int, list[int]]:
    """Which name of a path is the class, and which others tell what belongs together.

    Names that come again below several outer folders are classes, and the outer folders groups; but numbered ones are
    groups, as are those that lie below one outer folder each: then the outer folders are the classes.
    """
    columns = {i: {leaf.names[i] for leaf in leaves} for i in several}
    left = [i for i in several if not all(map(_VIEWS.fullmatch, columns[i]))] or list(several)
    below: list[int] = []
    while len(left) > 1:
        outer, inner = left[-2:]
        over: dict[str, set[str]] = defaultdict(set)
        for leaf in leaves:
            over[leaf.names[inner]].add(leaf.names[outer])
        crossed = sum(len(o) > 1 for o in over.values()) * 2 >= len(over)
        grid = all(len(o) == len(columns[outer]) for o in over.values()) and all(n.isdecimal() for n in over)
        numbered = _numbered(columns[inner]) and not _numbered(columns[outer]) and not grid
        judged = all(map(_JUDGED.fullmatch, columns[outer])) and not all(map(_JUDGED.fullmatch, columns[inner]))
        if crossed and not numbered and not judged:
            return inner, left[:-1]
        below.insert(0, left.pop())
    return left[0], below


def _numbered(names: Iterable[str]) -> bool:
    """Whether names are one word, or none, and a number: patient07, fold3, 10253."""
    matches = [_CASE.fullmatch(name) for name in names]
    return all(matches) and len({m[1] for m in matches if m}) == 1


def _class_names(leaves: Sequence[_Leaf], at: int) -> set[str]:
    """The names that are classes; `train` is one too, a vehicle, if it is about as large as the others."""
    sizes: Counter[str] = Counter()
    for leaf in leaves:
        sizes[leaf.names[at]] += leaf.n
    plain = {n for n in sizes if not _SPLIT.fullmatch(n) and not _NO_CLASSES.fullmatch(n)}
    usual = median(sizes[n] for n in plain) if plain else 0
    trains = {n for n in sizes if re.fullmatch("train", n, re.IGNORECASE) and sizes[n] <= 4 * usual}
    return plain | trains if len(plain) > 1 else plain


def _classes_of(leaves: Sequence[_Leaf], split: str, at: int) -> set[str]:
    return {leaf.names[at] for leaf in leaves if leaf.split == split}


def _draw_the_rest(layout: Layout, leaves: Sequence[_Leaf], at: int) -> bool:
    """Whether the folders lie in one of masks, and the images elsewhere."""
    above = [name for leaf in leaves for i, name in enumerate(leaf.names) if i != at]
    return any(map(MASK_WORDS.search, above)) and any(not MASK_WORDS.search(f.path) for f in layout.folders)


def _require_photos(leaves: Sequence[_Leaf], at: int) -> None:
    """Refuse two folders of which one has masks of what is on the other's images.

    Raises:
        DataError: if names are the same in all, or one is called so, and some have few grey values.
    """
    stems: dict[str, set[str]] = defaultdict(set)
    for leaf in leaves:
        stems[leaf.names[at]] |= leaf.folder.files.keys()
    least, most = sorted(stems.values(), key=len)[:: max(1, len(stems) - 1)][:2]
    alike = len(least & most) * 10 >= 9 * len(most)
    drawn = {leaf.names[at] for leaf in leaves if alike or MASK_WORDS.search(leaf.names[at])} if len(stems) < 5 else ()
    flat = sorted({leaf.names[at] for leaf in leaves if leaf.names[at] in drawn and _has_few_greys(leaf.folder)})
    if 0 < len(flat) < len(stems):
        images = next(name for name in sorted(stems) if name not in flat)
        raise DataError(
            f"'{flat[0]}' has few grey values{f' and the names of {images!r}' if alike else ''}: masks, or a class?",
            where=leaves[0].folder.path,
            expected="masks in a folder called so, or folders of photographs for each class",
            remedy=f"if they are masks, call the folder masks and its files as those of '{images}'; or write "
            "competition.toml by hand",
        )


def _has_few_greys(folder: ImageFolder) -> bool:
    try:
        return all(len(masks.mask_values(p)[0]) <= FEW_GREYS for p in spread(list(folder.files.values()), 5))
    except DataError:
        return False


def _place_of_groups(leaves: Sequence[_Leaf], at: int, places: Sequence[int]) -> int | None:
    """The folder that tells what belongs together: the outermost of five names a class, or that of most names."""
    counts: dict[int, int] = {}
    for i in places:
        of_class: dict[str, set[str]] = defaultdict(set)
        for leaf in leaves:
            of_class[leaf.names[at]].add(leaf.names[i])
        counts[i] = min(map(len, of_class.values()))
    several = [i for i, n in counts.items() if n > 1]
    return next((i for i in several if counts[i] >= 5), max(several, key=lambda i: counts[i], default=None))


def _passed_over(layout: Layout, used: Sequence[_Leaf]) -> list[str]:
    """The folders of images that are in no class; test images, and copies of what is used, are not counted.

    Raises:
        DataError: if these are many.
    """
    paths = {leaf.folder.path: leaf.folder for leaf in used}
    rest = [f for f in layout.folders if f.path not in paths and not TEST_WORDS.search(f.path)]
    known = [(f"/{path}", f.files.keys()) for path, f in paths.items()]
    copies = [f for f in rest if any(_is_copy(f, path, stems) for path, stems in known)]
    lost = [f for f in rest if f not in copies and not any(map(_BESIDE.fullmatch, f.path.split("/")))]
    held, n_lost = sum(leaf.n for leaf in used), sum(len(f.files) for f in lost)
    told = [f"{f.path} ({len(f.files)})" for f in rest]
    if held < COVERED * (held + n_lost):
        names = ", ".join(f"{f.path} ({len(f.files)})" for f in lost[:SHOWN]) + (", …" if len(lost) > SHOWN else "")
        raise DataError(
            f"folders called like classes hold {held} of {held + n_lost} images: {used[0].folder.path} and the like",
            where=layout.root,
            expected="every image in a folder of its class; folders of patients or sites above or below them all",
            remedy=f"also there: {names}. Move away what is not to be trained on, or write competition.toml by hand",
        )
    return told


def _is_copy(folder: ImageFolder, path: str, stems: Iterable[str]) -> bool:
    other = f"/{folder.path}"
    return (other.endswith(path) or path.endswith(other)) and folder.files.keys() == stems


def _pattern(leaves: Sequence[_Leaf], at: int, spelled: Spelled) -> str:
    """A glob of the images of folders."""
    parts = []
    for i, column in enumerate(zip(*(leaf.names for leaf in leaves), strict=True)):
        if i == at:
            parts.append("{class}")
        elif i in spelled.places:
            parts.append(f"{{id{spelled.places.index(i) + 1}}}")
        else:
            parts.append(glob.escape(column[0]) if len(set(column)) == 1 else "*")
    endings = {PurePath(p).suffix for leaf in leaves for p in leaf.folder.files.values()}
    stem = f"{{id{len(spelled.places) + 1}}}" if spelled.places else "*"
    return "/".join([*parts, stem + (endings.pop() if len(endings) == 1 else ".*")])
