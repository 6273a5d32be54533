"""What the values of mask files mean: one foreground, classes, or numbered objects."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from podium.data.layout import spread
from podium.errors import DataError, PodiumError
from podium.formats import masks
from podium.formats.images import decode, read_bytes

LOOKED = 60
MOST_LOOKED = 600
VOID = re.compile(r"unlabel|void|ignore|don.?t.?care", re.IGNORECASE)


@dataclass(frozen=True)
class MaskKind:
    """What masks hold.

    Attributes:
        values: As `data.mask_values` says it.
        why: What was seen.
        classes: {name: value} of a class map; else empty.
        classes_why: Where their names come from.
        ignore: Values that are no class.
        ignore_why: What told so.
    """

    values: str
    why: str
    classes: dict[str, int] = field(default_factory=dict)
    classes_why: str = ""
    ignore: list[int] = field(default_factory=list)
    ignore_why: str = ""


def mask_kind(files: Sequence[Path], root: Path, *, whole: bool = False) -> MaskKind:
    """Tell what masks hold from some of them, and from a text file that names the classes.

    Args:
        files: Mask files.
        root: The data folder, whose text files may name classes.
        whole: Each file is of one class, so that there is just one foreground to tell.

    Raises:
        DataError: if they hold colours.
    """
    looked = _looked_at(spread(list(files), LOOKED))
    if any(v is None for v in looked.values()):
        return _colours([p for p, v in looked.items() if v is None])
    per_file = [v for v in looked.values() if v is not None]
    kind = _kind(per_file, root, whole)
    if kind.values == "classes" and len(files) > LOOKED:  # a rare class is in few masks
        more = _looked_at(spread(list(files), MOST_LOOKED))
        kind = _kind([v for v in (more | looked).values() if v is not None], root, whole)
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
            values, top = masks.mask_values(path)
            out[path] = None if len(values) > 1 and _coloured(path) else _Values(values, top)
        except PodiumError:
            continue
    return out


def _coloured(path: Path) -> bool:
    """Whether a mask's channels differ by more than a JPEG's noise."""

    def read(image: Image.Image) -> bool:
        if image.mode in ("1", "L", "P", "LA", "F") or image.mode.startswith("I"):
            return False
        pixels = np.asarray(image.convert("RGB")).astype(np.int16)
        return bool((np.ptp(pixels, axis=2) > 48).mean() > 0.001)

    return decode(read_bytes(path), path, read)


def _colours(files: Sequence[Path]) -> MaskKind:
    """Masks in colour: fine if there is just one beside black."""
    colours = set[tuple[int, ...]]()
    for path in files[:20]:
        pixels = decode(read_bytes(path), path, lambda image: np.asarray(image.convert("RGB"))).reshape(-1, 3)
        colours |= {tuple(map(int, c)) for c in np.unique(pixels, axis=0)[:40]}
    if len(colours) == 2 and (0, 0, 0) in colours:
        return MaskKind("0/1", f"{len(files)} masks looked at hold one colour and black")
    raise DataError(
        f"the masks hold {'more than ' if len(colours) >= 40 else ''}{len(colours)} colours",
        where=files[0],
        expected="masks of one channel: 0 and 255, or class numbers",
        remedy="write each colour as the number of its class, into label images of one channel",
    )


def _kind(per_file: Sequence[_Values], root: Path, whole: bool) -> MaskKind:
    found = sorted({v for values in per_file for v in values.seen})
    tops = {values.top for values in per_file}
    n = f"{len(per_file)} masks looked at"
    mixed = f", {len(tops)} bit depths" if len(tops) > 1 else ""
    if not whole:
        if _numbered(per_file):
            most = max(len(v.seen) for v in per_file) - 1
            return MaskKind("instances", f"{n} number their objects from 1, up to {most} in one image")
        if _are_classes(found, per_file):
            return _class_map(found, n, _named_classes(root))
    if not found or max(found) <= 1:
        return MaskKind("0/1", f"{n} hold only {found}{mixed}")
    highest = {v.seen[-1] for v in per_file if v.seen[-1]}
    if 1 in highest and len(highest) > 1:
        return MaskKind("0/1", f"of the {n} some are 0 and 1, some reach {max(found)}{mixed}")
    if len(found) == 2 and found[0] == 0 and found[1] <= min(tops) // 2:
        return MaskKind("0/1", f"{n} hold only {found}{mixed}")
    edges = len(found) > 1 + 2 * len(tops)
    return MaskKind("0/max", f"{n} reach {max(found)}{mixed}{', with grey edges: cut at half' if edges else ''}")


def _numbered(per_file: Sequence[_Values]) -> bool:
    """Whether masks number objects: values run from 0 (or 1) nearly without a gap, and their number varies widely."""
    several = [v.seen for v in per_file if len(v.seen) > 2]
    run = [v for v in several if v[0] <= 1 and len(v) >= 0.8 * (v[-1] + 1 - v[0])]
    whole = [v for v in run if len(v) == v[-1] + 1 - v[0]]
    counts = {len(v) for v in run}
    if not run or len(run) * 10 < 9 * len(several) or len(whole) * 2 < len(run):
        return False
    return max(counts) > 64 or (len(counts) > 3 and len(counts) * 4 > len(run))


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


def _class_map(found: list[int], n: str, named: dict[int, str]) -> MaskKind:
    told = [v for v in found if v in named]
    known = named if len(told) * 2 >= len([v for v in found if v != 255]) else {}
    ignore = [v for v in found if VOID.search(known.get(v, ""))]
    why = "a text file calls it that" if ignore else ""
    if not ignore and 255 in found and not (_steps(found) or set(found) in ({0, 127, 255}, {0, 128, 255})):
        ignore, why = [255], "255 commonly marks what is not labelled"
    within = [v for v in known if v <= 255 and not VOID.search(known[v])]  # a rare class may not have been seen
    values = sorted({*found, *within} - set(ignore))
    names = {known.get(v, "" if v else "background") or f"class{v}": v for v in values}
    source = "names as a text file has them" if known else "nothing names them"
    named_why = f"{source}; values as the masks hold them"
    return MaskKind("classes", f"{n} hold {len(found)} values: {_short(found)}", names, named_why, ignore, why)


def _short(values: Sequence[int]) -> str:
    text = ", ".join(map(str, values[:14]))
    return text + (", …" if len(values) > 14 else "")


_NAME = r"[^\W\d][\w /()-]*"
_RANGE = re.compile(rf"\b(\d+)\s*(?:\.\.+|-|–|to)\s*(\d+)\s*[=:]\s*({_NAME}(?:,\s*{_NAME})*)")
_PAIR = re.compile(rf"(?:^|[;,(])[\s>*•-]*(\d{{1,3}})\s*[=:]\s*({_NAME}?)\s*(?=$|[;,.)])", re.MULTILINE)
_LINE = re.compile(rf"^\W*(\d{{1,3}})(?:\s*[=:,.)\t|-]\s*|\s+)({_NAME}?)\s*\W?$", re.MULTILINE)
_LIST = re.compile(r"class|label|categor|names", re.IGNORECASE)


def _named_classes(root: Path) -> dict[int, str]:
    """{value: name} that a text file beside the data gives, if one does with several different names.

    Read are `0..10 = sky, building, …` with `11 = unlabelled`, a line `3: car` or `3 car` a class, and, in a file
    that is called so, a name a line or a row with number and name.
    """
    best: dict[int, str] = {}
    endings = (".txt", ".md", ".names", ".csv")
    for path in sorted(p for p in root.iterdir() if p.suffix.lower() in endings and p.is_file()):
        called = bool(_LIST.search(path.stem)) or path.suffix.lower() == ".names"
        if path.suffix.lower() == ".csv" and not called:
            continue
        try:
            text = path.read_bytes()[:100_000].decode("utf-8-sig", errors="ignore")
        except OSError:
            continue
        names = _names_in(text, called)
        if len(names) > max(1, len(best)) and len(set(names.values())) == len(names):
            best = names
    return best


def _names_in(text: str, called: bool) -> dict[int, str]:
    names: dict[int, str] = {}
    for first, last, listed in _RANGE.findall(text):
        words = [w.strip() for w in listed.split(",") if w.strip()]
        if len(words) == int(last) - int(first) + 1:
            names |= {int(first) + i: word for i, word in enumerate(words)}
    for value, word in (*_PAIR.findall(text), *_LINE.findall(text)):
        names.setdefault(int(value), word.strip())
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if called and not names and all(re.fullmatch(_NAME, line) for line in lines):
        names = dict(enumerate(lines))
    elif called and not names:  # name,number: car,3
        rows = [re.fullmatch(rf"({_NAME}?)\s*[,;\t:=]\s*(\d{{1,3}})\b.*", line) for line in lines]
        names = {int(m[2]): m[1].strip() for m in rows if m}
    return {v: name for v, name in names.items() if name and v <= 255}


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
