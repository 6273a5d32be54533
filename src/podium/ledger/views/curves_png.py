"""Learning curves as a picture for a chat or a document: what the SVG shows, on white, twice as large."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from PIL import Image, ImageDraw, ImageFont

from podium.ledger.views.curves_scene import HEIGHT, WIDTH, Shape, Stroke, Text

SCALE, SMOOTH = 2, 2
"""Pixels of the picture for one of the scene; it is drawn so many times larger and made smaller, for smooth edges."""
_DASH = (5.0, 4.0)
"""Length of a dash and of the gap behind it, in the scene's pixels."""
_ANCHOR = {"start": "ls", "middle": "ms", "end": "rs"}
Colour = tuple[int, int, int]


def to_png(shapes: Sequence[Shape]) -> bytes:
    """PNG of a scene."""
    n = SCALE * SMOOTH
    picture = Image.new("RGB", (2 * WIDTH * n, HEIGHT * n), (255, 255, 255))
    draw = ImageDraw.Draw(picture)
    for shape in shapes:
        if isinstance(shape, Stroke):
            _stroke(draw, shape, n)
    picture = picture.resize((2 * WIDTH * SCALE, HEIGHT * SCALE), Image.Resampling.BOX)
    draw = ImageDraw.Draw(picture)
    for shape in shapes:
        if isinstance(shape, Text):
            font = ImageFont.load_default(size=SCALE * (15 if shape.title else 12))
            at = (shape.x * SCALE, shape.y * SCALE)
            draw.text(at, shape.words, fill=(68, 68, 68), font=font, anchor=_ANCHOR[shape.at])
    out = io.BytesIO()
    picture.save(out, "PNG", optimize=True)
    return out.getvalue()


def _stroke(draw: ImageDraw.ImageDraw, stroke: Stroke, n: int) -> None:
    kinds = stroke.kind.split()
    width = round(n * (2.5 if "mean" in kinds else 1))
    for piece in _dashes(stroke.points) if "val" in kinds else [stroke.points]:
        draw.line([(x * n, y * n) for x, y in piece], fill=_colour(kinds), width=width, joint="curve")


def _colour(kinds: Sequence[str]) -> Colour:
    """As the SVG's on white."""
    if "grid" in kinds:
        return (221, 221, 221)
    if "parent" in kinds:
        return (136, 136, 136) if "mean" in kinds else (213, 213, 213)
    return (31, 95, 168) if "mean" in kinds else (188, 207, 229)


def _dashes(points: Sequence[tuple[float, float]]) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Pieces of a line, as long as a dash at most, that leave gaps."""
    done, whole = 0.0, sum(_DASH)
    for (x0, y0), (x1, y1) in pairwise(points):
        length = math.hypot(x1 - x0, y1 - y0)
        at = 0.0
        while at < length:
            phase = (done + at) % whole
            step = min((_DASH[0] if phase < _DASH[0] else whole) - phase, length - at) or length
            if phase < _DASH[0]:
                a, b = at / length, (at + step) / length
                yield (x0 + a * (x1 - x0), y0 + a * (y1 - y0)), (x0 + b * (x1 - x0), y0 + b * (y1 - y0))
            at += step
        done += length
