"""`podium look`: the findings as text, as JSON, and as one self-contained page with pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
import simplejpeg

from podium.data.audit import audit, histogram, sizes
from podium.data.competition import Competition
from podium.data.facts import Facts, gather
from podium.data.finding import SEVERITIES, Finding, percent
from podium.data.prepare import TrainStores
from podium.data.preprocess import Input
from podium.data.store import Pixels
from podium.files import write_atomic

PICTURE = 240
"""Longer side of a picture in the page, in pixels."""
SPREAD, ENDS = 16, 4
"""Pictures of the contact sheet: evenly spread ones, and of the smallest and the largest masks."""
LINE, SHADE = (180, 255, 0), (0, 0, 0)
AREA_HINT = "Number of masks by the per cent of the image that they cover; the figure below a bar is its upper end."
SPECK = 12
"""A mask smaller than this many pixels of the picture gets a ring around it."""


@dataclass(frozen=True)
class Report:
    """What an audit found; displays itself in a notebook.

    Attributes:
        name: The competition's name.
        numbers: {what: how many}.
        findings: The gravest first.
        path: The page.
    """

    name: str
    numbers: dict[str, Any]
    findings: list[Finding]
    path: Path = field(compare=False)

    def text(self) -> str:
        """The findings for a terminal."""
        lines = [f"{self.name}: " + ", ".join(f"{k} {v}" for k, v in self.numbers.items())]
        for f in self.findings:
            lines += ["", f"{f.severity.upper()}  {f.name}: {f.count}", f"  {f.what}"]
            lines += [f"  ids: {f.named()}"] if f.ids else []
            lines += [f"    {line}".rstrip() for line in f.detail]
            lines += [f"  {f.action}: {f.remedy}"]
        lines += ["", f"{tally(self.findings)}; with pictures: {self.path}"]
        return "\n".join(_printable(line) for line in lines)

    def tree(self) -> dict[str, Any]:
        """The same for a program."""
        findings = [f.tree() for f in self.findings]
        return {"name": self.name, "numbers": self.numbers, "findings": findings, "page": str(self.path)}

    def _repr_html_(self) -> str:
        page = escape(self.path.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" sandbox="" style="width:100%;height:800px;border:0"></iframe>'


def make_report(competition: Competition, root: Path, given: Input) -> Report:
    """Audit a workspace's data and write `reports/data.html`; stores that are there already are reused.

    Args:
        root: The workspace's folder.
        given: The recipe's `[input]`.

    Raises:
        DataError: if the files do not fit `competition.toml` at all; bad samples are findings.
    """
    facts, stores = gather(competition, root, given)
    report = Report(competition.name, _numbers(facts), audit(facts), root / "reports" / "data.html")
    write_atomic(report.path, render(report, facts, Pictures(facts, stores)).encode("utf-8", "backslashreplace"))
    return report


def tally(findings: Sequence[Finding]) -> str:
    """ "1 error, 2 warnings, 5 notes"."""
    counts = {s: sum(f.severity == s for f in findings) for s in SEVERITIES}
    return ", ".join(f"{n} {s}{'s' * (n != 1)}" for s, n in counts.items())


def _numbers(facts: Facts) -> dict[str, Any]:
    seen = sizes(facts.train)
    (h, w), _ = seen.most_common(1)[0] if seen else ((0, 0), 0)
    return {
        "train": len(facts.train),
        "test": len(facts.test),
        "groups": facts.usable["group"].n_unique(),
        "folds": facts.competition.folds.k,
        "size": f"{w}x{h}" if len(seen) < 2 else f"{len(seen)} sizes",
        "metric": facts.competition.metric,
    }


def _printable(line: str) -> str:
    """Without what could steer a terminal; a file name may hold anything."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)


# ---------------------------------------------------------------------- pictures


class Pictures:
    """Pictures of training samples with the edge of the mask, as data URIs; from the stores, so nothing is decoded."""

    def __init__(self, facts: Facts, stores: TrainStores) -> None:
        self.images, self.masks = stores.images, stores.masks
        self.shapes = {id: (h, w) for id, h, w in facts.train.select("id", "height", "width").rows() if h}

    def get(self, id: str) -> str | None:
        """The picture of a sample, or None if its image could not be read."""
        if id not in self.shapes:
            return None
        i, shape = self.images.row[id], _fitted(self.shapes[id])
        mask = self._edges(i) if self.masks.shape(i) != (0, 0) else None
        jpeg = simplejpeg.encode_jpeg(outlined(_scaled(self.images.image(i), shape), mask), quality=80)
        return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()

    def _edges(self, i: int) -> Pixels:
        """The mask; of several classes or objects, where two of them meet."""
        kind = self.masks.kinds[i]
        if kind == "mask":
            return np.asarray(self.masks.mask(i), np.uint8)
        if kind == "masks":
            return np.asarray(np.asarray(self.masks.mask(i)).any(0), np.uint8)
        labels = self.masks.image(i)[:, :, 0]
        gradient = np.asarray(cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)))
        return np.asarray(gradient > 0, np.uint8)


def outlined(image: Pixels, mask: Pixels | None) -> Pixels:
    """The image, uint8 (H, W, 3), with the edge of a mask of any size drawn over it."""
    out = np.ascontiguousarray(image).copy()
    if mask is not None and mask.any():
        share = _scaled(mask * np.uint8(255), (out.shape[0], out.shape[1]))
        level = min(127, int(share.max()) - 1)  # a mask too small for the picture is shown all the same
        edges, _ = cv2.findContours((share > level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        x, y, w, h = cv2.boundingRect(np.concatenate(edges))
        for colour, width in ((SHADE, 4), (LINE, 2)):
            cv2.drawContours(out, edges, -1, colour, width)
            if max(w, h) < SPECK:
                cv2.circle(out, (x + w // 2, y + h // 2), SPECK, colour, width)
    return out


def _fitted(shape: tuple[int, int]) -> tuple[int, int]:
    scale = PICTURE / max(shape)
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def _scaled(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    shrinks = shape[0] <= pixels.shape[0]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, shape[::-1], interpolation=kind), np.uint8)


# ---------------------------------------------------------------------- the page


def render(report: Report, facts: Facts, pictures: Pictures) -> str:
    """The page; everything that comes from the data is escaped."""
    tiles = (f"<div><dt>{escape(k)}</dt><dd>{escape(str(v))}</dd></div>" for k, v in report.numbers.items())
    counts = tally(report.findings).split(", ")
    told = ", ".join(f'<b class="{s}">{text}</b>' for s, text in zip(SEVERITIES, counts, strict=True))
    return Template(_part("look.html")).substitute(
        name=escape(report.name),
        css=_part("look.css"),
        tiles="\n".join(tiles),
        tally=told,
        findings="\n".join(_card(f, pictures) for f in report.findings),
        sheets=_sheets(facts, pictures),
        histogram=_svg(histogram(facts)),
        histogram_title="Mask areas" if facts.pixel_targets else "Targets",
        histogram_hint=AREA_HINT if facts.pixel_targets else "Number of samples of each class, or by the first target.",
        sizes=_sizes_table(facts),
    )


def _part(name: str) -> str:
    return (resources.files("podium.data") / "templates" / name).read_text(encoding="utf-8")


def _card(f: Finding, pictures: Pictures) -> str:
    detail, opened = "\n".join(f.detail), " open" if f.severity == "error" else ""
    ids = f'<p class="ids">{escape(f.named())}</p>' if f.ids else ""
    return f"""<section class="card {f.severity}">
<div class="top"><span class="badge">{f.severity}</span><h3>{escape(f.name)}</h3>
<span class="count">{f.count}</span></div>
<p>{escape(f.what)}</p>
<p>{f.action.capitalize()}: <code>{escape(f.remedy)}</code></p>
{_grid(f.examples, pictures) if f.part == "train" else ""}
{ids}
{f"<details{opened}><summary>details</summary><pre>{escape(detail)}</pre></details>" if detail else ""}
</section>"""


def _grid(captions: Mapping[str, str], pictures: Pictures) -> str:
    figures = []
    for id, caption in captions.items():
        if source := pictures.get(id):
            told = f"<strong>{escape(id)}</strong> {escape(caption)}"
            figures.append(f'<figure><img src="{source}" alt=""><figcaption>{told}</figcaption></figure>')
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _sheets(facts: Facts, pictures: Pictures) -> str:
    good = facts.usable
    filled = good.filter((good["area"] > 0) & facts.competition.binary).sort("share", "id")
    rows = np.unique(np.linspace(0, len(good) - 1, min(SPREAD, len(good))).round().astype(int))
    parts = {"evenly spread": good[rows.tolist()]}
    if len(filled) > 2 * ENDS:
        parts |= {"smallest masks": filled.head(ENDS), "largest masks": filled.tail(ENDS)}
    out = []
    for title, frame in parts.items():
        captions = {id: _caption(facts, id, share) for id, share in frame.select("id", "share").rows()}
        out.append(f'<div class="sheet"><h3>{title}</h3>{_grid(captions, pictures)}</div>')
    return f'{out[0]}<div class="columns">{"".join(out[1:])}</div>'


def _caption(facts: Facts, id: str, share: float | None) -> str:
    if not facts.pixel_targets:
        return ", ".join(f"{v:g}" for v in facts.values.get(id, ()))
    return percent(100 * share) if share else "empty"


def _svg(bars: Sequence[tuple[str, int]]) -> str:
    """A bar chart, readable at 360 pixels' width."""
    width, height, most = 360 / len(bars), 120, max(1, *(n for _, n in bars))
    parts = []
    for i, (label, n) in enumerate(bars):
        tall, x, middle = height * n / most, i * width, (i + 0.5) * width
        top, below = 16 + height - tall, label.partition("–")[2] or label
        kind = ' class="empty"' if label == "empty" else ""
        parts.append(f'<rect{kind} x="{x + 2:.1f}" y="{top:.1f}" width="{width - 4:.1f}" height="{tall:.1f}"/>')
        parts.append(f'<text x="{middle:.1f}" y="{top - 4:.1f}">{n}</text>')
        parts.append(f'<text x="{middle:.1f}" y="{height + 28}">{below}</text>')
    line = f'<line x1="0" x2="360" y1="{height + 16}" y2="{height + 16}"/>'
    return f'<svg viewBox="0 0 360 {height + 34}" role="img" aria-label="mask areas">{"".join(parts)}{line}</svg>'


def _sizes_table(facts: Facts) -> str:
    train, test = sizes(facts.train), sizes(facts.test)
    rows = [(f"{w} × {h}", train[h, w], test[h, w]) for (h, w), _ in (train + test).most_common(12)]
    body = "".join(f"<tr><td>{size}</td><td>{a}</td><td>{b}</td></tr>" for size, a, b in rows)
    more = len(train + test) - len(rows)
    tail = f'<p class="hint">and {more} more sizes</p>' if more else ""
    return f"<table><tr><th>width × height</th><th>train</th><th>test</th></tr>{body}</table>{tail}"
