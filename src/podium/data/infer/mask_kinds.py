"""What the values of mask files mean: one foreground, classes, or numbered objects."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from podium.data.infer.class_names import folders_above, named_classes, named_colours
from podium.data.infer.colour_kinds import colour_kind
from podium.data.infer.kinds import MaskKind, short, voids
from podium.data.infer.objects import Region, regions, told_by_regions
from podium.data.layout import spread
from podium.data.targets import read_labels
from podium.errors import DataError, PodiumError
from podium.formats import masks
from podium.formats.images import decode, image_facts, read_bytes, read_image

LOOKED = 60
MOST_LOOKED = 600
PAIRS = 24
"""How many masks are looked at beside their images."""


def mask_kind(
    files: Sequence[Path], root: Path, *, whole: bool = False, images: Mapping[Path, Path] | None = None
) -> MaskKind:
    """Tell what masks hold from some of them, from their images, and from a text file that names the classes.

    Args:
        files: Mask files.
        root: The data folder, whose text files may name classes.
        whole: Each file is of one class, so that there is just one foreground to tell.
        images: {mask file: its image}, which tell numbered objects from classes.

    Raises:
        DataError: if they hold colours that are neither one foreground nor classes.
    """
    looked = _looked_at(spread(list(files), LOOKED))
    folders = folders_above(files, root)
    if any(v is None for v in looked.values()) or _palettes_differ(list(looked)):
        if whole:
            return MaskKind("0/1", f"{len(looked)} masks looked at hold colours, each file those of one class")
        return colour_kind(list(looked), spread(list(files), MOST_LOOKED), folders)
    per_file = {p: v for p, v in looked.items() if v is not None}
    kind = _kind(per_file, folders, whole, images or {})
    if kind.values == "classes" and len(files) > LOOKED:  # a rare class is in few masks
        more = _looked_at(spread(list(files), MOST_LOOKED))
        every = {p: v for p, v in more.items() if v is not None}
        return _class_map(_found(every), f"{len(every)} masks looked at", folders, kind.why.partition("; ")[2])
    return kind


@dataclass(frozen=True)
class _Values:
    """The different values of one mask file, and the largest that its pixels could hold."""

    seen: tuple[int, ...]
    top: int


def _looked_at(files: Sequence[Path]) -> dict[Path, _Values | None]:
    """The values in mask files; None for one that holds colours. Unreadable ones are prepare's to report."""
    out: dict[Path, _Values | None] = {}
    for path in files:
        try:
            out[path] = None if _coloured(path) else _Values(*masks.mask_values(path))
        except PodiumError:
            continue
    return out


def _coloured(path: Path) -> bool:
    """Whether a mask's channels differ by more than a JPEG's noise."""
    facts = image_facts(path)
    if facts.mode in ("1", "L", "P", "LA", "PA") or facts.bits > 8:
        return False
    pixels = read_image(path).astype(np.int16)
    return bool((np.ptp(pixels, axis=2) > 48).mean() > 0.001)


def _palettes_differ(files: Sequence[Path]) -> bool:
    """Whether one index stands for several colours in several palette images, so that the colour tells the class."""
    colours: dict[int, set[tuple[int, ...]]] = {}

    def read(image: Image.Image) -> None:
        palette = np.array(image.getpalette("RGB") or [], np.int64).reshape(-1, 3)
        for index in np.unique(np.asarray(image)).tolist():
            colours.setdefault(index, set()).add(tuple(palette[index].tolist()) if index < len(palette) else ())

    for path in files:
        try:
            if image_facts(path).mode == "P":
                decode(read_bytes(path), path, read)
        except PodiumError:
            continue
    every = {c for of in colours.values() for c in of}
    return len(every) > 2 and any(len(of) > 1 for of in colours.values())


def _found(per_file: Mapping[Path, _Values]) -> list[int]:
    return sorted({v for values in per_file.values() for v in values.seen})


def _kind(
    looked: Mapping[Path, _Values], folders: Sequence[Path], whole: bool, images: Mapping[Path, Path]
) -> MaskKind:
    per_file, found = list(looked.values()), _found(looked)
    tops = {values.top for values in per_file}
    n = f"{len(per_file)} masks looked at"
    mixed = f", {len(tops)} bit depths" if len(tops) > 1 else ""
    if not whole:
        objects, why = _numbered(looked, folders, images)
        if objects:
            most = max(len(v.seen) for v in per_file) - 1
            return MaskKind("instances", f"{n} number their objects from 1, up to {most} in one image; {why}")
        if _are_classes(found, per_file):
            return _class_map(found, n, folders, why)
    if not found or max(found) <= 1:
        return MaskKind("0/1", f"{n} hold only {found}{mixed}")
    highest = {v.seen[-1] for v in per_file if v.seen[-1]}
    if 1 in highest and len(highest) > 1:
        return MaskKind("0/1", f"of the {n} some are 0 and 1, some reach {max(found)}{mixed}")
    if len(found) == 2 and found[0] == 0 and found[1] <= min(tops) // 2:
        return MaskKind("0/1", f"{n} hold only {found}{mixed}")
    edges = len(found) > 1 + 2 * len(tops)
    return MaskKind("0/max", f"{n} reach {max(found)}{mixed}{', with grey edges: cut at half' if edges else ''}")


def _numbered(looked: Mapping[Path, _Values], folders: Sequence[Path], images: Mapping[Path, Path]) -> tuple[bool, str]:
    """Whether masks number objects, and what tells.

    They may where values run from 0 (or 1) nearly without a gap. Then many values, or their regions, or how widely
    their number varies, decide.
    """
    several = [v.seen for v in looked.values() if len(v.seen) > 2]
    run = [v for v in several if v[0] <= 1 and len(v) >= 0.8 * (v[-1] + 1 - v[0])]
    whole = [v for v in run if len(v) == v[-1] + 1 - v[0]]
    if not run or len(run) * 10 < 9 * len(several) or len(whole) * 2 < len(run):
        return False, ""
    counts = Counter(map(len, run))
    if max(counts) > 64:
        return True, "more than classes would be"
    named = named_classes(folders)
    if all(v in named for v in _found(looked)):
        return False, "a text file names them all"
    (_, usual), *_ = counts.most_common(1)
    if usual * 10 >= 9 * len(run):
        return False, "nearly all masks hold the same values"
    objects, why = told_by_regions(_regions(spread([p for p, v in looked.items() if len(v.seen) > 1], PAIRS), images))
    if objects is None:
        objects, why = len(counts) > 3 and len(counts) * 4 > len(run), "by how widely their number varies"
    return objects, why


def _regions(files: Sequence[Path], images: Mapping[Path, Path]) -> list[list[Region]]:
    out = []
    for path in files:
        try:
            image = read_image(images[path]) if path in images else None
            out.append(regions(read_labels(path), image))
        except PodiumError:
            continue
    return out


def _are_classes(found: Sequence[int], per_file: Sequence[_Values]) -> bool:
    """Whether values are those of classes, and not of one foreground with grey edges."""
    rest = [v for v in found if v not in (0, 255)]
    if set(found) <= {0, 1, 255, 65535}:  # of tools that disagree how to write a mask, or one class and what is ignored
        both = sum({1, 255} <= set(v.seen) for v in per_file)
        return both * 2 > sum(len(v.seen) > 1 for v in per_file) > 0
    if len(found) == 2:
        return found[0] > 0 and found[1] < 64
    if len(found) < 3:
        return False
    if _steps(found) or set(found) in ({0, 127, 255}, {0, 128, 255}):
        return True
    dense = max(rest) < 240 and len(rest) >= 0.8 * max(rest)
    wide = max(found) > 255 and max(found) != 65535 and len(found) <= 32
    return max(rest) < 64 or dense or wide


def _steps(found: Sequence[int]) -> bool:
    """Factor-coded classes: 85, 170, 255 and the like, evenly spaced from 0."""
    rest = [v for v in found if v]
    step = math.gcd(*rest)
    return len(rest) >= 2 and step >= 5 and rest[-1] // step <= 2 * len(rest)


def _class_map(found: list[int], n: str, folders: Sequence[Path], why_classes: str = "") -> MaskKind:
    named = named_classes(folders) or _named_greys(found, folders)
    told = [v for v in found if v in named]
    known = named if len(told) * 2 >= len([v for v in found if v != 255]) else {}
    void = voids(known.values())
    ignore: list[int | str] = [v for v in found if known.get(v) in void]
    why = "a text file calls it that" if ignore else ""
    if not ignore and 255 in found and not (_steps(found) or set(found) in ({0, 127, 255}, {0, 128, 255})):
        ignore, why = [255], "255 commonly marks what is not labelled"
    within = [v for v in known if v <= 255 and known[v] not in void]  # a rare class may not have been seen
    values = sorted({*found, *within} - set(ignore))
    names = {known.get(v, "" if v else "background") or f"class{v}": v for v in values}
    source = "names as a text file has them" if known else "nothing names them"
    named_why = f"{source}; values as the masks hold them"
    seen = f"{n} hold {len(found)} values: {short(found)}" + (f"; {why_classes}" if why_classes else "")
    return MaskKind("classes", seen, names, named_why, ignore, why)


def _named_greys(found: Sequence[int], folders: Sequence[Path]) -> dict[int, str]:
    """Names of values that a file of colours gives, where these are greys."""
    for _, given in named_colours(folders):
        greys = {c[0]: name for name, c in given.items() if len(set(c)) == 1}
        if len(greys) == len(given) and sum(v in greys for v in found) * 2 > len(found):
            return greys
    return {}


def require_masks(kind: MaskKind, where: Path) -> None:
    """Refuse a folder of pictures that was taken for masks.

    Raises:
        DataError: if no class was found in it.
    """
    if kind.values == "classes" and len(kind.classes) > 255:
        raise DataError(
            f"the masks hold {len(kind.classes)} values",
            where=where,
            expected="masks of one foreground, of at most 255 classes, or of numbered objects",
            remedy="correct data.train_masks in competition.toml",
        )
