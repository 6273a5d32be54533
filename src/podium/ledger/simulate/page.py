"""`docs/verdict-calibration.md`, and the same tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from podium.ledger.simulate.report import BUDGET, LADDERS, Measured
from podium.ledger.simulate.scenarios import SCENARIOS

Table = tuple[list[str], list[list[str]]]

_HEADS = ["scenario", "attempts", "YES", "95 %", "UNSURE", "fold runs", "bound", "paired t", "mean CV", "corrected t"]
_CLIMB_HEADS = ["ladder", "ladders", "true gain", "attempts", "accepted", "of them false", "bound"]

_INTRO = """# How often the verdict is right, in simulation

<!-- made by `{command}` -->

[What YES, NO and UNSURE mean](explanation/verdicts.md) says how verdicts are reached. This page holds the rule to its
promises in competitions that never were, where the truth is known. It is made by

```console
$ {command}
```

Each attempt has a competition of its own: 5 folds of 64 groups of 16 images, unless the scenario says otherwise. A
training adds a hidden shift to all scores of its fold (standard deviation 1: the unit of every gain here, a *run-sd*),
a shift to each group (2) and noise to each image (8); a recipe suits some groups better than others (3). The noise
floor comes from one more seed of the baseline on every fold. *Fold runs* are the trainings until the verdict; those
that complete the folds after a YES are not among them. The 95 % interval is that of the share of YES.

The last three columns are the share of YES that the same attempts get from what people do instead, each with one
training a fold and at a nominal 5 %: a paired t test over the images of one fold; whether the mean CV score over all
folds is higher; the corrected resampled t test of Nadeau and Bengio over all folds (5 fold runs each).
"""
_LADDERS = """## Ladders: one attempt after another

A ladder has {budget} fold runs, and an accepted attempt becomes the parent of the next. Of the ideas 35 % do exactly
nothing, 35 % harm by 0.5 to 5 run-sds, 20 % gain a little and 10 % are good. *True gain* is that of the champion at the
end, in run-sds; an attempt that the end of the budget leaves unfinished is not accepted. An accepted attempt is *false*
if it truly gains nothing. The paired t test climbs well, since it costs one fold run and takes every small gain; but a
quarter of what it calls a gain is none, and what it tells of an idea cannot be relied on or published.
"""


def tables(rows: Sequence[Measured]) -> list[tuple[str, Table]]:
    """(title, (heads, lines)) of what was measured; tables without a line are left out."""
    races = [r for r in rows if r.name in SCENARIOS]
    main = [r for r in races if SCENARIOS[r.name].main]
    other = [r for r in races if not SCENARIOS[r.name].main]
    ladders = [r for r in rows if r.name.partition(":")[0] in LADDERS]
    found = [
        ("The promises", (_HEADS, [_race(r) for r in main])),
        ("Other competitions", (_HEADS, [_race(r) for r in other])),
        ("Ladders", (_CLIMB_HEADS, [_climb(r) for r in ladders])),
    ]
    return [(title, table) for title, table in found if table[1]]


def text(rows: Sequence[Measured]) -> str:
    """For a terminal."""
    return "\n\n".join(plain_table(title, heads, lines) for title, (heads, lines) in tables(rows))


def page(rows: Sequence[Measured], command: str) -> str:
    """The page, in Markdown."""
    parts = [_INTRO.format(command=command)]
    for title, (heads, lines) in tables(rows):
        lead = _LADDERS.format(budget=BUDGET) if title == "Ladders" else f"## {title}\n"
        parts.append(f"{lead}\n{markdown_table(heads, lines)}")
    broken = [r.name for r in rows if not r.holds]
    bounds = sum(len(r.bounds) for r in rows)
    parts.append(f"Bounds that do not hold: {', '.join(broken)}.\n" if broken else f"All {bounds} bounds hold.\n")
    return "\n".join(parts)


def plain_table(title: str, heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table for a terminal, its columns aligned."""
    widths = [max(len(line[i]) for line in [heads, *lines]) for i in range(len(heads))]
    padded = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in [heads, *lines]]
    return "\n".join([title, *padded])


def markdown_table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    return "".join("| " + " | ".join(line) + " |\n" for line in [heads, ["---"] * len(heads), *lines])


def _race(r: Measured) -> list[str]:
    v = r.values
    rivals = [as_share(v[name]) for name in ("paired t", "mean CV", "corrected t")]
    runs = f"{v['fold_runs']:.2f}"
    shares = [as_share(v["yes"]), as_interval(r), as_share(v["unsure"])]
    return [f"{r.name}: {r.says}", str(r.attempts), *shares, runs, as_bounds(r), *rivals]


def _climb(r: Measured) -> list[str]:
    v = r.values
    numbers = [f"{v['gained']:.1f}", f"{v['attempts']:.0f}", f"{v['accepted']:.1f}", as_share(v["false"])]
    return [f"{r.name} ({r.says})", str(r.attempts), *numbers, as_bounds(r)]


def as_interval(r: Measured) -> str:
    """`1.4 to 6.4`, in per cent."""
    return f"{100 * r.low:.1f} to {100 * r.high:.1f}"


def as_bounds(r: Measured) -> str:
    """The bounds, and which do not hold."""
    return ", ".join(b if holds else f"{b} BROKEN" for b, holds in r.bounds) or "-"


def as_share(value: float | None) -> str:
    """`3.2 %`; a dash where it makes no sense."""
    return "-" if value is None else f"{100 * value:.1f} %"
