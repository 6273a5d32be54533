"""Learning curves as a picture: the score and the loss, each fold run thin, their mean thick, the parent's grey."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from podium.ledger.views.curves import Curve, Points, limits, mean_curve

WIDTH, HEIGHT, TOP, BOTTOM, LEFT, RIGHT = 470, 360, 64, 46, 64, 14
"""Of a panel, in pixels."""
TICKS = 5
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600}.grid{stroke:#ddd}"
    ".back{fill:#fff}polyline{fill:none}.one{stroke:#1f5fa8;stroke-opacity:.3}.mean{stroke:#1f5fa8;stroke-width:2.5}"
    ".parent.one{stroke:#888;stroke-opacity:.35}.parent.mean{stroke:#888}.val{stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#444}.back{fill:#181818}"
    ".one,.mean{stroke:#8cc0ff}.parent.one,.parent.mean{stroke:#999}}"
)


def to_svg(title: str, score: str, attempt: Sequence[Curve], parent: Sequence[Curve], *, up: bool) -> str:
    """Two panels beside one another; follows the page's light or dark.

    Args:
        score: What the score is called.
        up: Whether a higher one is better.
    """
    panels = [
        _panel(0, f"{score}, validation fold", ("score",), attempt, parent, up=up),
        _panel(WIDTH, "loss (dashed: validation fold)", ("loss", "val_loss"), attempt, parent, up=False),
    ]
    legend, width = _legend(bool(parent)), 2 * WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">'
        f'<style>{STYLE}</style><rect class="back" width="100%" height="100%"/>'
        f'<text class="title" x="{LEFT}" y="24">{escape(title)}</text>{legend}{"".join(panels)}</svg>\n'
    )


def _legend(parent: bool) -> str:
    entries = [("mean", "this attempt"), *([("parent mean", "its parent, same folds")] if parent else [])]
    parts = []
    for n, (kind, told) in enumerate(entries):
        x = WIDTH + LEFT + n * 150
        parts.append(f'<polyline class="{kind}" points="{x},20 {x + 24},20"/><text x="{x + 30}" y="24">{told}</text>')
    return "".join(parts)


def _panel(
    left: int, title: str, names: Sequence[str], attempt: Sequence[Curve], parent: Sequence[Curve], *, up: bool
) -> str:
    sides = [("parent ", parent), ("", attempt)]
    means = [(side + "mean" + _dash(n), mean_curve(curves, n)) for side, curves in sides for n in names]
    ones = [(side + "one" + _dash(n), c.values[n]) for side, curves in sides for n in names for c in curves]
    lines = [line for _, line in means if line]
    head = f'<text x="{left + LEFT}" y="{TOP - 12}">{escape(title)}</text>'
    if not lines:
        return head + f'<text x="{left + LEFT}" y="{HEIGHT // 2}">not measured</text>'
    low, high = limits(lines, up=up)
    first, last = min(line[0][0] for line in lines), max(line[-1][0] for line in lines)

    def x(epoch: float) -> float:
        return left + LEFT + (epoch - first) / max(1, last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (1 - (min(max(value, low), high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    parts = [head]
    for n in range(TICKS):
        value, at = low + (high - low) * n / (TICKS - 1), f"{y(low + (high - low) * n / (TICKS - 1)):.1f}"
        parts.append(f'<line class="grid" x1="{left + LEFT}" y1="{at}" x2="{left + WIDTH - RIGHT}" y2="{at}"/>')
        parts.append(f'<text x="{left + LEFT - 8}" y="{float(at) + 4:.1f}" text-anchor="end">{value:.4g}</text>')
    below = [(x(epoch), HEIGHT - BOTTOM + 20, str(epoch)) for epoch in sorted({first, (first + last) // 2, last})]
    below.append((x((first + last) / 2), HEIGHT - 8, "epoch"))
    parts += [f'<text x="{at:.1f}" y="{y_}" text-anchor="middle">{text}</text>' for at, y_, text in below]
    parts += [_polyline(kind, [(x(epoch), y(value)) for epoch, value in line]) for kind, line in (*ones, *means)]
    return "".join(parts)


def _dash(name: str) -> str:
    return " val" if name == "val_loss" else ""


def _polyline(kind: str, points: Points | list[tuple[float, float]]) -> str:
    if len(points) == 1:  # one epoch: a dash, or nothing would be seen
        points = [(points[0][0] - 3, points[0][1]), (points[0][0] + 3, points[0][1])]
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{told}"/>' if points else ""
