"""`podium look`: the findings as text, as JSON, and as one self-contained page with pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from podium.config import write_toml
from podium.data.audit import audit, histogram, sizes
from podium.data.competition import Competition
from podium.data.facts import Facts, gather
from podium.data.finding import SEVERITIES, Finding, percent
from podium.data.leaks import SHIFT, measure_shift
from podium.data.pictures import Pictures
from podium.data.preprocess import Input
from podium.data.target_checks import answer
from podium.files import write_atomic

SPREAD, ENDS = 16, 4
"""Pictures of the contact sheet: evenly spread ones, and of the smallest and the largest masks."""
AREA_HINT = "Number of masks by the per cent of the image that they cover; the figure below a bar is its upper end."
SHARE_HINT = "Per cent of the labelled pixels of each class."
LONG = 24
"""A longer id is cut in the middle under its picture; pointing at it shows the whole."""
ACROSS = 4
"""With more letters in a label the bars of a chart lie."""


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
    facts, stores, tested = gather(competition, root, given)
    report = Report(competition.name, _numbers(facts), audit(facts), root / "reports" / "data.html")
    shift = measure_shift(facts)  # again, in milliseconds; podium standings reads it
    if shift:
        write_toml(root / "reports" / SHIFT, {"auc": shift.auc, "low": shift.low, "high": shift.high})
    write_atomic(
        report.path, render(report, facts, Pictures(facts, stores, tested)).encode("utf-8", "backslashreplace")
    )
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


# ---------------------------------------------------------------------- the page


def render(report: Report, facts: Facts, pictures: Pictures) -> str:
    """The page; everything that comes from the data is escaped."""
    tiles = (f"<div><dt>{escape(k)}</dt><dd>{escape(str(v))}</dd></div>" for k, v in report.numbers.items())
    counts = tally(report.findings).split(", ")
    told = ", ".join(f'<b class="{s}">{text}</b>' for s, text in zip(SEVERITIES, counts, strict=True))
    bars, title, hint = _chart(facts)
    return Template(_part("look.html")).substitute(
        name=escape(report.name),
        css=_part("look.css"),
        tiles="\n".join(tiles),
        tally=told,
        findings="\n".join(_card(f, pictures) for f in report.findings),
        legend=_legend(facts, pictures),
        sheets=_sheets(facts, pictures),
        histogram=_svg(bars, title),
        histogram_title=title,
        histogram_hint=hint,
        sizes=_sizes_table(facts),
        augment=_augment(report.path),
    )


def _augment(page: Path) -> str:
    """Where one sees what training sees."""
    there = (page.parent / "augment.html").exists()
    where = '<a href="augment.html">augment.html</a>' if there else "<code>podium look --augment</code>"
    told = f"What training makes of them: {where}"
    if (page.parent / "shift.html").exists():
        told += '. Test images beside them, to an encoder: <a href="shift.html">shift.html</a>'
    return told


def _chart(facts: Facts) -> tuple[Sequence[tuple[str, float]], str, str]:
    """(bars, title, hint) of the chart of targets."""
    if facts.class_shares:
        return [(name, round(100 * share, 1)) for name, share in facts.class_shares.items()], "Classes", SHARE_HINT
    if facts.pixel_targets:
        return histogram(facts), "Mask areas", AREA_HINT
    if facts.competition.task == "classification":
        return histogram(facts), "Targets", "Number of samples of each class."
    name = facts.competition.data.targets[0] if facts.competition.data.targets else "the first target"
    return histogram(facts), "Targets", f"Number of samples by {escape(name)}; the figure below a bar is its upper end."


def _legend(facts: Facts, pictures: Pictures) -> str:
    """What the drawings on the pictures mean."""
    if not facts.pixel_targets:
        return ""
    if pictures.legend:
        colours = (
            f'<span><i style="background:rgb{colour}"></i>{escape(name)}</span>' for name, colour in pictures.legend
        )
        return f'<p class="legend">{" ".join(colours)}</p>'
    objects = facts.competition.task == "instances"
    return f'<p class="hint">{"Each object has a colour." if objects else "The line is the edge of the mask."}</p>'


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
            told = f'<strong title="{escape(id)}">{_broken(_short(id))}</strong> {escape(caption)}'
            figures.append(f'<figure><img src="{source}" alt=""><figcaption>{told}</figcaption></figure>')
    return f'<div class="pictures">{"".join(figures)}</div>' if figures else ""


def _short(id: str) -> str:
    return id if len(id) <= LONG else f"{id[:12]}…{id[-6:]}"


def _broken(id: str) -> str:
    """The id, that may be broken after what separates its parts."""
    return re.sub(r"(?<=[_.\-/])(?=\w)", "<wbr>", escape(id))


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
        return answer(facts, id)
    if facts.class_shares:
        return ""  # nearly every pixel has a class
    return percent(100 * share) if share else "empty"


def _svg(bars: Sequence[tuple[str, float]], title: str) -> str:
    """A bar chart, readable at 360 pixels' width; where labels are words, the bars lie."""
    most = max(1e-9, *(n for _, n in bars))
    if any(len(_below(label)) > ACROSS + 3 and not label[:1].isdigit() for label, _ in bars) or len(bars) > 12:
        return _lying(bars, most, title)
    width, height, parts = 360 / len(bars), 120, []
    for i, (label, n) in enumerate(bars):
        tall, x, middle = height * n / most, i * width, (i + 0.5) * width
        top = 16 + height - tall
        kind = ' class="empty"' if label == "empty" else ""
        parts.append(f'<rect{kind} x="{x + 2:.1f}" y="{top:.1f}" width="{width - 4:.1f}" height="{tall:.1f}"/>')
        parts.append(f'<text x="{middle:.1f}" y="{top - 4:.1f}">{n}</text>')
        parts.append(f'<text x="{middle:.1f}" y="{height + 28}">{escape(_below(label))}</text>')
    line = f'<line x1="0" x2="360" y1="{height + 16}" y2="{height + 16}"/>'
    return f'<svg viewBox="0 0 360 {height + 34}" role="img" aria-label="{title}">{"".join(parts)}{line}</svg>'


def _below(label: str) -> str:
    return label.partition("–")[2] or label


def _lying(bars: Sequence[tuple[str, float]], most: float, title: str) -> str:
    parts = []
    for i, (label, n) in enumerate(bars):
        y, wide = 16 * i, 210 * n / most
        name = label if len(label) <= LONG else label[: LONG - 1] + "…"
        parts.append(f'<text class="name" x="110" y="{y + 11}">{escape(name)}</text>')
        parts.append(f'<rect x="116" y="{y + 2}" width="{wide:.1f}" height="12"/>')
        parts.append(f'<text class="value" x="{wide + 120:.1f}" y="{y + 11}">{n:g}</text>')
    return f'<svg viewBox="0 0 360 {16 * len(bars)}" role="img" aria-label="{title}">{"".join(parts)}</svg>'


def _sizes_table(facts: Facts) -> str:
    train, test = sizes(facts.train), sizes(facts.test)
    rows = [(f"{w} × {h}", train[h, w], test[h, w]) for (h, w), _ in (train + test).most_common(12)]
    body = "".join(f"<tr><td>{size}</td><td>{a}</td><td>{b}</td></tr>" for size, a, b in rows)
    more = len(train + test) - len(rows)
    tail = f'<p class="hint">and {more} more sizes</p>' if more else ""
    return f"<table><tr><th>width × height</th><th>train</th><th>test</th></tr>{body}</table>{tail}"
