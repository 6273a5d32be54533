"""Masks in colour: which colours are classes, which are noise, and what a text file calls them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from podium.data.infer.class_names import named_classes, named_colours
from podium.data.infer.kinds import MaskKind, voids
from podium.errors import DataError, PodiumError
from podium.formats.colours import TOLERANCE, Colour, codes, colour_of, flat, is_between
from podium.formats.images import read_image

MOST_CLASSES = 255
MANY = 4096
"""More colours in one mask are those of a JPEG."""
SAME = 8
"""Channels this near may be of one colour, by the noise of a JPEG or at an edge."""
MORE = 200
"""How many further masks are searched for rare classes."""


@dataclass
class _Seen:
    """Colours of some masks, as numbers of `codes`: their pixels, those in flat areas, and how many masks have them."""

    pixels: Counter[int] = field(default_factory=Counter)
    flat: Counter[int] = field(default_factory=Counter)
    masks: Counter[int] = field(default_factory=Counter)
    looked: int = 0
    lossy: bool = False

    def look(self, path: Path) -> None:
        """Count one mask's colours."""
        pixels = read_image(path)
        every, counts = np.unique(codes(pixels), return_counts=True)
        inside, areas = np.unique(codes(pixels)[flat(pixels)], return_counts=True)
        self.lossy |= len(every) > MANY or path.suffix.lower() in (".jpg", ".jpeg")
        keep = counts >= (16 if len(every) > MANY else 1)
        self.pixels.update(dict(zip(every[keep].tolist(), counts[keep].tolist(), strict=True)))
        self.flat.update(dict(zip(inside.tolist(), areas.tolist(), strict=True)))
        self.masks.update(every[keep].tolist())
        self.looked += 1


def colour_kind(files: Sequence[Path], more: Sequence[Path], folders: Sequence[Path]) -> MaskKind:
    """What masks in colour hold: one foreground, or classes.

    Args:
        files: Masks, all looked at.
        more: More of them, where rare classes are looked for if no file names the colours.
        folders: Where a text file may name the colours.

    Raises:
        DataError: if the colours are those of objects or of photographs.
    """
    seen = _look(files)
    palette = _palette(seen)
    file, named = _named(palette, folders)
    if not named:
        seen = _look([p for p in more if p not in set(files)][:MORE], seen)
        palette = _palette(seen)
    n = f"{seen.looked} masks looked at"
    noise = ", with noise at edges: each pixel gets the colour of its side" if _noisy(seen, palette) else ""
    if seen.lossy and not named:
        noise += "; a class that is thin everywhere is not seen in such noise: add its colour to [colours]"
    if len(palette) == 1:
        return MaskKind("0/1", f"{n} hold one colour{noise}")
    if len(palette) == 2 and not noise and (0, 0, 0) in palette and not named:
        return MaskKind("0/1", f"{n} hold one colour and black")
    _require_classes(palette, seen, files[0])
    why = f"{n} hold {len(palette)} colours{noise}"
    if len(palette) == 2 and not named:
        return _one_class(palette, why)
    return _classes(palette, why, file, named, folders)


def _look(files: Sequence[Path], seen: _Seen | None = None) -> _Seen:
    seen = seen or _Seen()
    for path in files:
        try:
            seen.look(path)
        except PodiumError:  # prepare's to report
            continue
    return seen


def _palette(seen: _Seen) -> list[Colour]:
    """The colours that stand for something, the commonest first: those of areas, and thin ones that are no edge."""
    total, found = sum(seen.flat.values()), list[Colour]()
    least = max(16, total // 10_000) if seen.lossy else 1
    for code, n in seen.flat.most_common():
        colour = colour_of(code)
        near = seen.lossy and any(_apart(colour, c) <= TOLERANCE for c in found)
        if n < least or near or len(found) > MOST_CLASSES:
            continue
        if n < 0.2 * seen.pixels[code] and _soft(colour, found):  # the plateau of a soft edge
            continue
        found.append(colour)
    if seen.lossy or len(found) > MOST_CLASSES:
        return found
    thin = [colour_of(c) for c, n in seen.pixels.most_common(4 * MOST_CLASSES) if n >= 5 and colour_of(c) not in found]
    edges = {c for c in thin if _soft(c, found)}
    return found + [c for c in thin if c not in edges or len(edges) <= 2]


def _apart(a: Colour, b: Colour) -> int:
    return max(abs(x - y) for x, y in zip(a, b, strict=True))


def _soft(colour: Colour, found: Sequence[Colour]) -> bool:
    """Whether it may be that of an edge between two others."""
    return any(_apart(colour, c) <= SAME for c in found) or is_between(colour, found)


def _noisy(seen: _Seen, palette: Sequence[Colour]) -> bool:
    return sum(seen.pixels[c] for c in seen.pixels if colour_of(c) not in set(palette)) > 0


def _named(palette: Sequence[Colour], folders: Sequence[Path]) -> tuple[str, dict[str, Colour]]:
    """The text file that names most of the colours, at least half of them, and the colours as it has them."""

    def known(colours: dict[str, Colour]) -> int:
        given = list(colours.values())
        return sum(any(_apart(c, g) <= SAME for g in given) for c in palette)

    best = max(named_colours(folders), key=lambda f: known(f[1]), default=("", {}))
    return best if known(best[1]) * 2 >= len(palette) > 0 else ("", {})


def _require_classes(palette: Sequence[Colour], seen: _Seen, where: Path) -> None:
    own = sum(seen.masks[(r << 16) | (g << 8) | b] == 1 for r, g, b in palette)
    objects = seen.looked >= 4 and len(palette) > 8 and own * 10 >= 7 * len(palette)
    if not objects and 0 < len(palette) <= MOST_CLASSES:
        return
    many = "more than " if len(palette) > MOST_CLASSES else ""
    what = f"the masks hold {many}{min(len(palette), MOST_CLASSES)} colours" if palette else "no mask has a flat colour"
    raise DataError(
        what + (", most of them in one mask only: those of objects, it seems" if objects else ""),
        where=where,
        expected="a colour for each class, the same in all masks",
        remedy="for objects, label images of one channel that number them; for classes, masks without noise",
    )


def _one_class(palette: Sequence[Colour], why: str) -> MaskKind:
    background = (0, 0, 0) if (0, 0, 0) in palette else palette[0]
    colours = {"background": background, "foreground": next(c for c in palette if c != background)}
    told = "black is the background" if background == (0, 0, 0) else "the commoner colour is the background"
    return MaskKind("colours", why, {"foreground": 1}, "nothing names it", colours=colours, colours_why=told)


def _classes(
    palette: Sequence[Colour], why: str, file: str, named: dict[str, Colour], folders: Sequence[Path]
) -> MaskKind:
    if named:
        lacking = sorted(c for c in palette if all(_apart(c, g) > SAME for g in named.values()))
        colours = named | {f"rgb_{r}_{g}_{b}": (r, g, b) for r, g, b in lacking}
        told = f"as {file} has them" + (f", and {len(lacking)} that it lacks" if lacking else "")
        void = voids(colours)
        numbers = {name: i for i, name in enumerate(n for n in colours if n not in void)}
        names_why = f"names and order as in {file}"
    else:
        by_voc = _voc_numbers(palette, folders)
        by_number = named_classes(folders)
        order = by_voc or {c: i for i, c in enumerate(sorted(palette, key=lambda c: (c != (0, 0, 0), c)))}
        names = {i: by_number.get(i) or ("background" if c == (0, 0, 0) else f"class{i}") for c, i in order.items()}
        names |= {255: "void"} if by_voc else {}
        void = voids(names.values())
        colours = {names[i]: c for c, i in sorted(order.items(), key=lambda item: item[1])}
        numbers = {names[i]: i for i in sorted(order.values()) if names[i] not in void}
        told = "as the masks hold them"
        names_why = "nothing names the colours" if not by_number else "names as a text file has them"
        names_why = f"numbered as Pascal VOC's colours are; {names_why}" if by_voc else names_why
    ignore: list[int | str] = [name for name in colours if name not in numbers]
    ignore_why = ("Pascal VOC's colour of borders" if not named else f"{file} calls it that") if ignore else ""
    return MaskKind("colours", why, numbers, names_why, ignore, ignore_why, colours, told)


def voc_colour(number: int) -> Colour:
    """Pascal VOC's colour of a class number: three bits of the number at a time, from the top of each channel down.

    Source: VOClabelcolormap.m of the VOC 2012 development kit, as labelme and CVAT have it too.
    """
    channels = [0, 0, 0]
    for bit in range(8):
        for channel in range(3):
            channels[channel] |= (number >> (3 * bit + channel) & 1) << (7 - bit)
    return channels[0], channels[1], channels[2]


def _voc_numbers(palette: Sequence[Colour], folders: Sequence[Path]) -> dict[Colour, int]:
    """{colour: number} if the colours are the first of Pascal VOC's, or those that a text file names by number."""
    every = [voc_colour(n) for n in range(256)]
    nearest = {c: min(range(256), key=lambda n: _apart(c, every[n])) for c in palette}
    if len(set(nearest.values())) < len(palette) or any(_apart(c, every[n]) > SAME for c, n in nearest.items()):
        return {}
    numbers = {every[n]: n for n in nearest.values()}
    classes = [n for n in numbers.values() if n != 255]
    known = named_classes(folders)
    return numbers if max(classes) < 2 * len(classes) or all(n in known for n in classes) else {}
