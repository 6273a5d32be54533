"""A blend in words: its members, what it scores and why that can be believed, how much alike the members are."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.config import difference, inline_toml
from podium.ensemble.blend import Blend
from podium.progress import counted
from podium.recipe import PredictConfig

MOST = 12
"""Members whose likeness is shown."""


def told(blend: Blend, metric: str) -> list[str]:
    """For people, a line each."""
    lines = _members(blend, metric)
    if blend.score is not None:
        lines += ["", *_scores(blend, metric)]
    if blend.correlation is not None and blend.disagreement is not None and len(blend.members) <= MOST:
        lines += ["", "correlation of predictions / decisions that differ, in per cent"]
        lines += _matrix(blend.correlation, blend.disagreement)
    changed = difference(blend.config, PredictConfig())
    if changed:
        lines += ["", "predicts with " + ", ".join(f"{key} = {inline_toml(to)}" for key, (_, to) in changed.items())]
    if blend.file is not None:
        empty = "" if blend.empty is None else f", {blend.empty} empty"
        lines += [
            "",
            f"{blend.file.parent.parent.name}/{blend.file.parent.name}/{blend.file.name}: "
            f"{counted(blend.rows, 'row')}{empty}",
        ]
        lines += [] if blend.pseudo is None else [f"{blend.pseudo.parent.name}/{blend.pseudo.name}: pseudo-labels"]
    elif blend.why:
        lines += ["", f"no submission: {blend.why}"]
    return lines


def _members(blend: Blend, metric: str) -> list[str]:
    weights = blend.weights
    rows = [["", "member", "weight", metric]]
    for n, member in enumerate(blend.members):
        weight = "-" if weights is None else f"{weights[n]:.3f}"
        score = blend.scores[n]
        rows.append([str(n + 1), member.name, weight, "-" if score is None else f"{score:.5f}"])
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    aligned = (str.rjust, str.ljust, str.rjust, str.rjust)
    return ["  ".join(put(c, w) for put, c, w in zip(aligned, row, widths, strict=True)).rstrip() for row in rows]


def _scores(blend: Blend, metric: str) -> list[str]:
    assert blend.score is not None
    gain, se = blend.gain or 0.0, blend.se
    beside = f"{gain:+.5f}" + ("" if se is None or np.isnan(se) else f" ± {se:.5f}")
    lines = [
        f"{metric} {blend.score:.5f} out of fold ({counted(blend.samples, 'sample')}): {beside} over the best member"
    ]
    if blend.how == "equal":
        return lines
    lines.append("  each fold is scored with weights that were fitted on the other folds")
    lines.append(f"  ({blend.naive:.5f} with weights fitted on the very samples that are scored: too good to be true)")
    if blend.plain is not None:
        better = blend.sign * (blend.score - blend.plain)
        lines.append(
            f"  plain mean: {blend.plain:.5f}"
            + ("" if better > 0 else "; no worse, and nothing to overfit: --weights equal")
        )
    return lines


def _matrix(correlation: NDArray[Any], disagreement: NDArray[Any]) -> list[str]:
    """Correlations above the diagonal, disagreement below it."""
    n = len(correlation)
    lines = ["".join(f"{i + 1:>8}" for i in range(n)).rjust(8 * n + 4)]
    for i in range(n):
        cells = [
            "-" if i == j else f"{correlation[i, j]:.3f}" if j > i else f"{100 * disagreement[i, j]:.1f}%"
            for j in range(n)
        ]
        lines.append(f"{i + 1:>4}" + "".join(f"{c:>8}" for c in cells))
    return lines
