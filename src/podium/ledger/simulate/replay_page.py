"""`docs/verdict-real.md`, and the same tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from podium.ledger.simulate.ladder import RIVALS
from podium.ledger.simulate.page import as_bounds, as_interval, as_share, markdown_table, plain_table
from podium.ledger.simulate.replay_report import Replayed
from podium.ledger.simulate.report import Measured

_AA_HEADS = ["A/A attempts", "attempts", "YES", "95 %", "UNSURE", "fold runs", "bound", *RIVALS]
_PLANTED_HEADS = ["planted", "attempts", "true gain", "YES", "NO", "worse", "UNSURE", "fold runs", "bound", "paired t"]

_INTRO = """# How often the verdict is right, on real trainings

<!-- made by `{command}` -->

[What YES, NO and UNSURE mean](explanation/verdicts.md) says how verdicts are reached, and
[the simulation](verdict-calibration.md) holds the rule to its promises where the truth is known by construction. This
page does so where nothing is simulated: small networks, really trained, each with a seed of its own. It is made by

```console
$ {command}
```

from what every fold run scored on every sample of its fold, kept in a small file. Such a file can be made of any
competition whose metric is a mean over samples: `podium verdict --collect FILE` in its workspace. It trains only what
the rule asks for, and goes on where it was stopped.

- **A/A attempts** are the baseline's own recipe, trained with new seeds: they gain nothing, so every YES is false.
- **As raced**: each ledger trains a baseline with two seeds on every fold; its attempts follow in random order, the
  planted ones among them, fold run by fold run to the verdict, and each that is over tells of the run noise, as in
  `podium try`. The parent stays the baseline. The interval heeds that the attempts of a ledger share their baseline.
- **Dealt anew**: all trainings of the unchanged recipe are alike, so they are shuffled and dealt again, two a fold to a
  parent and two to an attempt, in a ledger that has seen nothing else: a young one, where the noise floor is known
  least. This is done in ten parts that share no training; their scatter gives the interval. *Careful* is careful mode.
- **Planted** attempts have a change that truly gains or harms. *True gain* is the mean over all of them of their first
  fold run's gain, with its standard error, in run-sds: the standard deviation that a new seed gives a fold's score.

*Fold runs* are the trainings until the verdict. The last columns are the share of YES that the same attempts get from
what people do instead, at a nominal 5 %: a paired t test over the images of one fold; whether the mean CV score over
all folds is higher; the corrected resampled t test of Nadeau and Bengio over all folds (5 fold runs each).
"""


def facts(r: Replayed) -> list[str]:
    """What was trained, and how far its score moves by luck, in sentences."""
    about = r.about
    recipe = " ".join([f"recipe={about['recipe_name']}", *about["changes"]])
    size = f"--ledgers {r.ledgers} --per-ledger {about['attempts']}"
    better = "" if about["greater_is_better"] else " (lower is better)"
    runs, floor = r.noise.s2**0.5, (r.noise.s2 + r.sampling / 2) ** 0.5
    lines = [
        f"{r.fold_runs} fold runs in {r.ledgers} ledgers of {about['folds']} folds, "
        f"by `podium verdict --collect FILE {size} {recipe}`.",
        f"Mean {about['metric']} of the unchanged recipe {r.score:.4f}{better}; a new seed moves a fold's score by "
        f"{runs:.4f} (the run-sd, known with {r.noise.df:.0f} degrees of freedom); the noise floor is {floor:.4f}.",
    ]
    if r.unfinished:
        lines.append(f"Left out: {r.unfinished} attempts that these trainings do not decide.")
    return lines


def text(found: Sequence[Replayed]) -> str:
    """For a terminal."""
    parts = []
    for r in found:
        parts.append("\n".join([str(r.about["data"]), *facts(r)]))
        parts += [plain_table(title, heads, lines) for title, heads, lines in _tables(r)]
    return "\n\n".join([*parts, _closing(found)])


def page(found: Sequence[Replayed], command: str) -> str:
    """The page, in Markdown."""
    parts = [_INTRO.format(command=command)]
    for r in found:
        parts.append(f"## {r.about['data']}\n\n" + "\n".join(facts(r)) + "\n")
        parts += [markdown_table(heads, lines) for _, heads, lines in _tables(r)]
    return "\n".join([*parts, _closing(found) + "\n"])


def holds(found: Sequence[Replayed]) -> bool:
    """Whether every bound holds, of A/A attempts that there are."""
    return all(r.aa and all(row.holds for row in r.rows) for r in found)


def _closing(found: Sequence[Replayed]) -> str:
    empty = [str(r.about["data"]) for r in found if not r.aa]
    if empty:
        return f"No A/A attempt is decided in: {', '.join(empty)}. Go on: podium verdict --collect FILE"
    broken = [f"{row.name} ({r.about['data']})" for r in found for row in r.rows if not row.holds]
    bounds = sum(len(row.bounds) for r in found for row in r.rows)
    return f"Bounds that do not hold: {', '.join(broken)}." if broken else f"All {bounds} bounds hold."


def _tables(r: Replayed) -> list[tuple[str, list[str], list[list[str]]]]:
    """(title, heads, lines); tables without a line are left out."""
    tables = [
        ("A/A attempts", _AA_HEADS, [_aa(row) for row in r.aa]),
        ("Planted effects", _PLANTED_HEADS, [_planted(row) for row in r.planted]),
    ]
    return [table for table in tables if table[2]]


def _aa(m: Measured) -> list[str]:
    v = m.values
    rivals = [as_share(v.get(name)) for name in RIVALS]
    shares = [as_share(v["yes"]), as_interval(m), as_share(v["unsure"])]
    return [f"{m.name}: {m.says}", str(m.attempts), *shares, f"{v['fold_runs']:.2f}", as_bounds(m), *rivals]


def _planted(m: Measured) -> list[str]:
    v = m.values
    error = "" if v["gain_se"] is None else f" ± {v['gain_se']:.1f}"
    shares = [as_share(v[key]) for key in ("yes", "no", "worse", "unsure")]
    runs = f"{v['fold_runs']:.2f}"
    return [m.says, str(m.attempts), f"{v['gain']:+.1f}{error}", *shares, runs, as_bounds(m), as_share(v["paired t"])]
