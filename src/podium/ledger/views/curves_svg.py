"""Learning curves as a picture that scales: each fold run thin, their mean thick, the parent's grey."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from podium.ledger.views.curves_scene import HEIGHT, WIDTH, Shape, Stroke

STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600}.grid{stroke:#ddd}"
    ".back{fill:#fff}polyline{fill:none}.one{stroke:#1f5fa8;stroke-opacity:.3}.mean{stroke:#1f5fa8;stroke-width:2.5}"
    ".parent.one{stroke:#888;stroke-opacity:.35}.parent.mean{stroke:#888}.val{stroke-dasharray:5 4}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#444}.back{fill:#181818}"
    ".one,.mean{stroke:#8cc0ff}.parent.one,.parent.mean{stroke:#999}}"
)


def to_svg(shapes: Sequence[Shape]) -> str:
    """SVG of a scene; follows the page's light or dark."""
    width = 2 * WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT}" width="{width}" height="{HEIGHT}">'
        f'<style>{STYLE}</style><rect class="back" width="100%" height="100%"/>{"".join(map(_element, shapes))}</svg>\n'
    )


def _element(shape: Shape) -> str:
    if isinstance(shape, Stroke):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in shape.points)
        return f'<polyline class="{shape.kind}" points="{points}"/>'
    kind = ' class="title"' if shape.title else ""
    words = escape(shape.words)
    return f'<text{kind} x="{shape.x:.1f}" y="{shape.y:.1f}" text-anchor="{shape.at}">{words}</text>'
