"""The range test as a picture: SVG for the reports, characters for the terminal."""

from __future__ import annotations

import math

import numpy as np

from podium.training.lr_find import RangeTest

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 860, 440, 64, 20, 44, 52


def to_svg(test: RangeTest, title: str) -> str:
    """The losses over the rates, smoothed and not, with the suggestions marked; follows the page's light or dark."""
    low, high = _loss_range(test)
    x0, x1 = math.log10(test.rates[0]), math.log10(test.rates[-1])

    def x(rate: float) -> float:
        return LEFT + (math.log10(rate) - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT)

    def y(loss: float) -> float:
        return TOP + (1 - (min(loss, high) - low) / (high - low)) * (HEIGHT - TOP - BOTTOM)

    parts = []
    for decade in range(math.ceil(x0 - 1e-9), math.floor(x1 + 1e-9) + 1):
        at = x(10.0**decade)
        parts.append(f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">1e{decade}</text>')
    for loss in np.linspace(low, high, 5):
        at = y(loss)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{loss:.3g}</text>')
    dots = (f'<circle cx="{x(r):.1f}" cy="{y(v):.1f}" r="2"/>' for r, v in zip(test.rates, test.losses, strict=True))
    parts.append(f'<g class="dots">{"".join(dots)}</g>')
    line = " ".join(f"{x(r):.1f},{y(v):.1f}" for r, v in zip(test.rates, test.smooth, strict=True))
    parts.append(f'<polyline class="line" points="{line}"/>')
    for name, rate, height in (("steepest", test.steepest, 14), ("minimum / 10", test.tenth, 30)):
        at = x(min(max(rate, test.rates[0]), test.rates[-1]))
        parts.append(f'<line class="mark" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="name" x="{at + 5:.1f}" y="{TOP + height}">{name} {rate:.1e}</text>')
    style = (
        "text{font:13px system-ui,sans-serif;fill:#444}.title{font-size:15px;font-weight:600}.grid{stroke:#ccc}"
        ".dots{fill:#7aa6d8}.line{fill:none;stroke:#1f5fa8;stroke-width:2.5}.name{fill:#a33}"
        ".mark{stroke:#a33;stroke-dasharray:5 4}.back{fill:#fff}"
        "@media(prefers-color-scheme:dark){text{fill:#ccc}.grid{stroke:#444}.back{fill:#181818}"
        ".line{stroke:#8cc0ff}.name{fill:#ff9a8a}.mark{stroke:#ff9a8a}}"
    )
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}">'
        f'<style>{style}</style><rect class="back" width="100%" height="100%"/>'
        f'<text class="title" x="{LEFT}" y="26">{_escaped(title)}</text>{"".join(parts)}'
        f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">learning rate</text></svg>\n'
    )


def to_text(test: RangeTest, width: int = 64, height: int = 12) -> str:
    """The smoothed losses as lines of text: ``*`` the curve, ``|`` the suggestion."""
    low, high = _loss_range(test)
    columns = np.linspace(math.log10(test.rates[0]), math.log10(test.rates[-1]), width)
    values = np.interp(columns, np.log10(test.rates), test.smooth)
    rows = np.rint((1 - (np.minimum(values, high) - low) / (high - low)) * (height - 1)).astype(int)
    mark = int(np.abs(columns - math.log10(test.suggestion)).argmin())
    lines = []
    for row in range(height):
        cells = ["*" if rows[c] == row else "|" if c == mark else " " for c in range(width)]
        label = f"{high - (high - low) * row / (height - 1):8.3g}" if row in (0, height - 1) else " " * 8
        lines.append(f"{label} {''.join(cells)}".rstrip())
    first, last = f"{test.rates[0]:.0e}", f"{test.rates[-1]:.0e}"
    return "\n".join([*lines, " " * 9 + first + last.rjust(width - len(first))])


def _loss_range(test: RangeTest) -> tuple[float, float]:
    """What is shown: from the lowest loss to somewhat above where it began; what exploded is cut off."""
    low = float(min(test.losses.min(), test.smooth.min()))
    begin = float(test.smooth[: max(3, len(test.smooth) // 10)].max())
    return low, max(begin + 0.35 * (begin - low), low + 1e-9)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
