"""`podium climb` beside what people do in simulated competitions, where every change's true gain is known.

    python -m benchmarks.climb_world [--climbs 300] [--fold-runs 60] [--slots 3]

Two kinds of worlds: gains drawn as in docs/verdict-calibration.md, of which the kinds of changes say nothing; and gains
whose kinds differ as the catalogue's prior says; each with 64 groups a fold, and with 3, where what suits one group and
not another drowns most gains. All methods have the same changes, which train, and the same number of
fold runs in all: podium's A/A trainings and its last check count. Ways of predicting are left out: they cost nothing.
A gain is that of what a method proposes at the end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.climb_rivals import Candidate, Search, by_mean, by_optuna
from podium import progress
from podium.climb.catalog import Catalog, load_catalog
from podium.climb.driver import Climb
from podium.climb.guards import Place
from podium.climb.journal import Journal
from podium.climb.simulate import ANYWHERE, Simulated, drawn_effects, effects_by_kind, height_of
from podium.ledger.simulate.worlds import World
from podium.ledger.verdict.formulas import Floats

FEW = World(sizes=(16,) * 3)
WORLDS: dict[str, tuple[Callable[..., dict[str, float]], World]] = {
    "as calibrated": (drawn_effects, World()),
    "kinds differ": (effects_by_kind, World()),
    "as calibrated, 3 groups a fold": (drawn_effects, FEW),
    "kinds differ, 3 groups a fold": (effects_by_kind, FEW),
}
METHODS = ("climb", "mean", "optuna", "optuna, 3 at most")


@dataclass
class Drawn:
    """`Arena` with trainings drawn from a world; what is scored twice is the same training."""

    catalog: Catalog
    effects: dict[str, float]
    seed: int
    place: Place = ANYWHERE
    world: World = field(default_factory=World)
    baseline: Candidate = field(init=False)
    k: int = field(init=False)

    def __post_init__(self) -> None:
        self.k, self.baseline = self.world.folds, Candidate((), Simulated(self.catalog, {}).recipe)
        self._runs: dict[tuple[frozenset[str], int], float] = {}
        self._levels: dict[frozenset[str], Floats] = {}
        self._rng = np.random.default_rng([self.seed, 77])

    def score(self, candidate: Candidate, fold: int) -> float:
        names = frozenset(candidate.changes)
        if names not in self._levels:
            self._levels[names] = self.world.recipes(self._rng) + self.truth(candidate)
        if (names, fold) not in self._runs:
            self._runs[names, fold] = float(self.world.run(self._rng, self._levels[names][fold]).mean())
        return self._runs[names, fold]

    def truth(self, candidate: Candidate) -> float:
        """True gain over the baseline, in run-sds."""
        return height_of(candidate.changes, self.effects, self.catalog)


def one(method: str, world: str, budget: int, seed: int) -> dict[str, float]:
    """One method in one world: what it truly gained, verdicts, fold runs, steps, and how many of them are false."""
    progress.silence()
    catalog = trained_changes()
    draw, of_runs = WORLDS[world]
    effects = draw(catalog, np.random.default_rng([seed, 5]))
    if method == "climb":
        return _climbed(catalog, effects, of_runs, budget, seed)
    arena = Drawn(catalog, effects, seed, world=of_runs)
    by: dict[str, Callable[..., Search]] = {
        "mean": by_mean,
        "optuna": by_optuna,
        "optuna, 3 at most": partial(by_optuna, slots=3),
    }
    search = by[method](arena, budget - arena.k, seed)
    heights = [arena.truth(c) for c in search.kept]
    return _row(heights, search.verdicts, search.fold_runs)


def trained_changes() -> Catalog:
    """The catalogue without what only predicts in another way, as far as it fits the default recipe of a colour set."""
    ours = load_catalog().tree()
    changes = {n: c for n, c in ours["changes"].items() if c["kind"] != "prediction"}
    return Catalog.from_tree(ours | {"changes": changes})


def _climbed(catalog: Catalog, effects: dict[str, float], world: World, budget: int, seed: int) -> dict[str, float]:
    ledger = Simulated(catalog, effects, seed, world)
    before = ledger.fold_runs()
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # climb.toml is written to the disk's end each time
    with tempfile.TemporaryDirectory(prefix="podium-climb-", dir=memory) as folder:
        journal = Journal.begin(seed=seed, runs_before=before, first=1, stood=0, fold_runs=budget - before)
        climb = Climb(ledger, catalog, ANYWHERE, Path(folder), journal)
        claim = climb.run().claim
    line = [ledger.champion()]
    while line[-1].parent is not None:
        line.append(ledger.tried[line[-1].parent])
    heights = [a.height for a in line[::-1]]
    proposed = ledger.tried[climb.journal.proposed or 0].height
    row = _row(heights, len(ledger.tried) - 1, climb.spent() - 2 * (claim.folds if claim else 0))
    row |= {"gain": proposed, "champion": heights[-1]}
    if claim and claim.low is not None and claim.high is not None:
        row["held"] = float(claim.low <= proposed <= claim.high)
    return row


def _row(heights: list[float], verdicts: int, runs: int) -> dict[str, float]:
    steps = np.diff(heights)
    row = {"gain": heights[-1], "verdicts": verdicts, "fold_runs": runs}
    return row | {"steps": len(steps), "false": int((steps <= 0).sum())}


def main() -> None:
    """Climb again and again; print a table and save JSON."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.climb_world", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--climbs", type=int, default=300)
    parser.add_argument("--fold-runs", type=int, default=60, help="of each method, the baseline's included")
    parser.add_argument("--methods", nargs="*", default=list(METHODS), choices=METHODS)
    parser.add_argument("--worlds", nargs="*", default=list(WORLDS), choices=WORLDS)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/climb_world.json"))
    options = parser.parse_args()
    results = []
    with ProcessPoolExecutor(options.processes) as pool:
        for world in options.worlds:
            for method in options.methods:
                job = partial(one, method, world, options.fold_runs)
                rows = list(pool.map(job, range(options.climbs), chunksize=5))
                results.append({"world": world, "method": method, "fold_runs": options.fold_runs} | summed(rows))
                print(line(results[-1]), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=1) + "\n")


def summed(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Means over the climbs, and the half width of the 95 % interval of the gain's."""
    total = {key: float(sum(row[key] for row in rows)) for key in rows[0] if key != "held"}
    gains, held = np.array([row["gain"] for row in rows]), [row["held"] for row in rows if "held" in row]
    found: dict[str, Any] = {key: value / len(rows) for key, value in total.items()}
    found |= {"climbs": len(rows), "half": float(1.96 * gains.std(ddof=1) / np.sqrt(len(rows)))}
    found |= {"each": total["fold_runs"] / max(1, total["verdicts"]), "share": total["false"] / max(1, total["steps"])}
    return found | ({"held": float(np.mean(held))} if held else {})


def line(r: dict[str, Any]) -> str:
    """One row of the table."""
    held = f"{100 * r['held']:.0f} %" if "held" in r else ""
    return (
        f"| {r['world']} | {r['method']} | {r['gain']:.1f} ± {r['half']:.1f} | {r['verdicts']:.1f} | {r['each']:.1f} "
        f"| {r['steps']:.1f} | {100 * r['share']:.0f} % | {held} |"
    )


if __name__ == "__main__":
    main()
