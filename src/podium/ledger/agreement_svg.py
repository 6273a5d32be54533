"""ΔCV against ΔLB as a picture, with the band that noise explains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from podium.ledger.agreement import Agreement

Axis = Callable[[float], float]

SIZE, TOP, BOTTOM, LEFT, RIGHT = 540, 92, 56, 92, 24
LETTER, LINE = 7.6, 14
"""Width and height of a letter of a label, in pixels."""
BESIDE = ((8, -7, 0), (8, 16, 0), (-8, -7, 1), (-8, 16, 1), (12, 5, 0), (-12, 5, 1), (0, -12, 0.5), (0, 22, 0.5))
"""Where a label may begin, end or be centred, right and below of its point: (x, y, share of it to the left)."""
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600}.grid{stroke:#ddd}"
    ".back{fill:#fff}.band{fill:#1f5fa8;fill-opacity:.12}.same{stroke:#888;stroke-dasharray:5 4}.zero{stroke:#aaa}"
    ".one{fill:#1f5fa8}.out{fill:#c0392b}.pick{fill:none;stroke:#1f8a4c;stroke-width:2.5}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#444}.back{fill:#181818}.one{fill:#8cc0ff}"
    ".out{fill:#ff8a7a}.band{fill:#8cc0ff}.pick{stroke:#5fd18b}}"
)


def to_svg(found: Agreement, ids: Sequence[int], picked: Sequence[int], metric: str) -> str:
    """A point a submission; inside the band the two gains differ by no more than chance; rings are the final picks.

    Args:
        ids: Of the submissions, in the order of ``found``.
        picked: Ids of the final picks.
    """
    values: list[float] = [*found.cv.tolist(), *found.lb.tolist(), 0.0]
    band = 1.96 * found.expected.sd if found.expected else 0.0
    offset = float((found.lb - found.cv).mean())
    low, high = float(min(values)), float(max(values))
    room = 0.12 * (high - low) or 1e-3
    low, high = low - room, high + room

    def x(v: float) -> float:
        return LEFT + (v - low) / (high - low) * (SIZE - LEFT - RIGHT)

    def y(v: float) -> float:
        return TOP + (high - v) / (high - low) * (SIZE - TOP - BOTTOM)

    parts = [_frame(low, high, x, y, metric, str(found.correlation))]
    if band:
        edges = [(low, low + offset + band), (high, high + offset + band)]
        edges += [(high, high + offset - band), (low, low + offset - band)]
        points = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in edges)
        parts.append(f'<clipPath id="inside"><rect x="{LEFT}" y="{TOP}" width="{SIZE - LEFT - RIGHT}" '
                     f'height="{SIZE - TOP - BOTTOM}"/></clipPath>'
                     f'<polygon class="band" clip-path="url(#inside)" points="{points}"/>')  # fmt: skip
    parts.append(f'<line class="same" x1="{x(low):.1f}" y1="{y(low):.1f}" x2="{x(high):.1f}" y2="{y(high):.1f}"/>')
    for id, dx, dy in zip(ids, found.cv.tolist(), found.lb.tolist(), strict=True):
        out = band and abs(dy - dx - offset) > band
        kind = "out" if out else "one"
        told = f"submission {id}: CV {dx:+.4g}, board {dy:+.4g}"
        parts.append(f'<circle class="{kind}" cx="{x(dx):.1f}" cy="{y(dy):.1f}" r="4.5"><title>{told}</title></circle>')
        if id in picked:
            parts.append(f'<circle class="pick" cx="{x(dx):.1f}" cy="{y(dy):.1f}" r="8.5"/>')
    places = [(x(dx), y(dy)) for dx, dy in zip(found.cv.tolist(), found.lb.tolist(), strict=True)]
    parts += _labels(places, [str(id) if id < 10_000 else f"…{id % 10_000:04d}" for id in ids])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}" '
        f'style="max-width:100%;height:auto">'
        f'<style>{STYLE}</style><rect class="back" width="100%" height="100%"/>{"".join(parts)}</svg>\n'
    )


def _labels(points: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[str]:
    """A label beside each point, where it hides no other label and no point; none where there is no room.

    What has none is told when one points at it.
    """
    taken = [(px - 7, py - 7, px + 7, py + 7) for px, py in points]
    found = []
    for (px, py), text in zip(points, texts, strict=True):
        wide = LETTER * len(text)
        for right, below, share in BESIDE:
            left, base = px + right - share * wide, py + below
            box = (left, base - LINE + 3, left + wide, base + 3)
            inside = box[0] > LEFT and box[2] < SIZE and box[1] > TOP - LINE and box[3] < SIZE - BOTTOM + 4
            if inside and not any(_overlap(box, other) for other in taken):
                taken.append(box)
                found.append(f'<text x="{left:.1f}" y="{base:.1f}">{text}</text>')
                break
    return found


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _frame(low: float, high: float, x: Axis, y: Axis, metric: str, told: str) -> str:
    parts = [
        f'<text class="title" x="{LEFT}" y="26">{escape(metric)}: gain in CV and on the board</text>',
        f'<text x="{LEFT}" y="46">{escape(told)}</text>',
        f'<text x="{LEFT}" y="64">shaded: what noise explains; red: what lies beyond</text>',
        f'<text x="{LEFT}" y="82">dashed: equal gains; ring: a final pick</text>',
    ]
    for value in ticks(low, high):
        label = f"{value:+g}" if value else "0"
        at_x, at_y = x(value), y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{SIZE - RIGHT}" y1="{at_y:.1f}" y2="{at_y:.1f}"/>')
        parts.append(f'<line class="grid" x1="{at_x:.1f}" x2="{at_x:.1f}" y1="{TOP}" y2="{SIZE - BOTTOM}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at_y + 4:.1f}" text-anchor="end">{label}</text>')
        parts.append(f'<text x="{at_x:.1f}" y="{SIZE - BOTTOM + 20}" text-anchor="middle">{label}</text>')
    middle = (SIZE - RIGHT + LEFT) / 2
    parts.append(f'<text x="{middle}" y="{SIZE - 12}" text-anchor="middle">ΔCV against the first submission</text>')
    at = (SIZE - BOTTOM + TOP) / 2
    parts.append(f'<text transform="translate(16 {at}) rotate(-90)" text-anchor="middle">ΔLB, public</text>')
    return "".join(parts)


def ticks(low: float, high: float) -> list[float]:
    """Round numbers between two, three to eight of them, 0 among them if it lies there."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 12) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]
