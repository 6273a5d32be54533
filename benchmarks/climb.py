"""`podium climb` beside what people do, with the same catalogue and the same number of fold runs, on real data.

    python -m benchmarks.climb --data DIR --work FOLDER [SET …] [--methods climb mean optuna] [--seeds 0]

Each set is split into a part to train on, in folds, and a private part, which no method ever sees. Every method begins
with the baseline's trainings of all folds; podium's has a second seed of each as well, and its last check, and these
count: all methods have the same number of fold runs in all. At the end what each proposes predicts the private part,
and each step that it accepted is trained once more with a new seed, beside what it was made to.

What is finished is kept in FOLDER, and the same command goes on there.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.climb_rivals import Candidate, Search, by_mean, by_optuna
from benchmarks.harness import machine
from podium.climb.catalog import Catalog, load_catalog
from podium.climb.guards import fit
from podium.climb.here import open_climb, place_of
from podium.config import write_toml
from podium.files import write_atomic
from podium.ledger.attempts import Attempt
from podium.ledger.fold_runs import FoldRun
from podium.workspace import Workspace

QUICK = (
    *("input.pad_to=8", "predict.tta=[]", "train.precision=fp32", "train.val_every=100"),
    *("optim.lr=0.015", "loss.terms={bce=1.0}", "model.depth=2"),
)
SETS: dict[str, dict[str, Any]] = {
    "tgs_salt": {"hold_out": 0.4, "recipe": ["input.size=[24,24]", "train.batch_size=24", "train.epochs=12", *QUICK]},
    "cvc_clinicdb": {
        "hold_out": 0.4,
        "recipe": ["input.size=[24,32]", "train.batch_size=8", "train.epochs=30", *QUICK],
    },
}
"""Share that is private, and the settings that make the recipe `smoke` learn within some seconds a fold."""

AGAIN = 5000
"""Seed of the trainings that tell a true step from a false one."""


class Real:
    """`Arena` of a workspace: each candidate is an attempt in it, so that it can be predicted with."""

    def __init__(self, space: Workspace, catalog: Catalog) -> None:
        self.space, self.catalog, self.place, self.k = space, catalog, place_of(space), space.competition.folds.k
        self.first = next(a for a in space.attempts.all() if a.parent is None)
        self.baseline = Candidate((), self.first.recipe)
        self._data: dict[str, Any] = {}

    def score(self, candidate: Candidate, fold: int) -> float:
        run = self.train(self.attempt(candidate), fold, 0)
        return run.score if self.space.metric.greater_is_better else -run.score

    def attempt(self, candidate: Candidate) -> Attempt:
        """The attempt with a candidate's recipe; made if there is none."""
        folds = self.first.folds
        found = self.space.attempts.same(candidate.recipe, folds, {})
        if found:
            return found[0]
        name, why = f"c{len(self.space.attempts.names()):03d}", " ".join(candidate.changes)
        return self.space.attempts.create(name, candidate.recipe, self.first, why, folds)

    def train(self, attempt: Attempt, fold: int, seed: int) -> FoldRun:
        """One fold run; one that is there is not trained again."""
        from podium.training.fold_run import FoldData, run_fold

        p = self.space.prepare(attempt.recipe)
        data = FoldData(self.space.competition, p.stores, p.folds, self.space.metric, p.samples, p.opened)
        return run_fold(data, attempt.recipe, fold, seed, attempt.folder)


def main() -> None:
    """Run what is not there yet; print a table and save JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.climb", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--data", type=Path, required=True, help="folder with a folder for each set")
    parser.add_argument("--work", type=Path, required=True, help="where workspaces and results are kept")
    parser.add_argument("--methods", nargs="*", default=["climb", "mean", "optuna"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--fold-runs", type=int, default=60, help="of each method, the baseline's included")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/climb.json"))
    options = parser.parse_args()
    results = []
    for seed in options.seeds:
        for name in options.sets or SETS:
            base, catalog = make_base(name, options.data / name, options.work / name)
            for method in options.methods:
                folder = options.work / name / f"{method}-{seed}"
                done = folder / "result.json"
                if not done.exists():
                    write_atomic(done, json.dumps(one(method, base, catalog, folder, options.fold_runs, seed)) + "\n")
                results.append({"set": name, "seed": seed, **json.loads(done.read_text())})
                print(row(results[-1]), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({"machine": machine(), "results": results}, indent=1) + "\n")


def make_base(name: str, source: Path, folder: Path) -> tuple[Path, Catalog]:
    """A workspace with its baseline and the catalogue that all methods use: what fits it and takes as long."""
    root, path, settings = folder / "base", folder / "catalog.toml", SETS[name]
    if not root.exists():
        Workspace.new(root, source, hold_out=settings["hold_out"], public=0.02)
    space = Workspace(root)
    space.baseline("smoke", settings["recipe"])
    if not path.exists():
        ours, place, recipe = load_catalog(), place_of(space), space.champion().recipe
        changes = {
            n: c.tree()
            for n, c in ours.changes.items()
            if c.time <= 1.5 and c.kind != "prediction" and "model.pretrained" not in c.set
            if c.after is not None or fit(c, recipe, place).recipe is not None
        }
        write_toml(path, {"kinds": ours.tree()["kinds"], "changes": changes})
    return root, load_catalog(path)


def one(method: str, base: Path, catalog: Catalog, folder: Path, budget: int, seed: int) -> dict[str, Any]:
    """One method, from the trained baseline to the private score and its steps trained once more."""
    root = folder / "space"
    if not root.exists():
        shutil.copytree(base, root.with_suffix(".part"), symlinks=True)
        root.with_suffix(".part").rename(root)
    space, began = Workspace(root), time.monotonic()
    arena = Real(space, catalog)
    if method == "climb":
        search, more = climbed(space, budget - 2 * arena.k, base.parent / "catalog.toml", seed)
    else:
        by = {"mean": by_mean, "optuna": by_optuna}[method]
        search, more = by(arena, budget - arena.k, seed), {}
    steps = [again(arena, arena.attempt(a), arena.attempt(b)) for a, b in pairwise(search.kept)]
    found: dict[str, Any] = {"method": method, "verdicts": search.verdicts, "fold_runs": search.fold_runs}
    proposed = search.proposed or search.kept[-1]
    found |= {"kept": search.kept[-1].changes, "steps": steps, "false": sum(s["gain"] <= 0 for s in steps)}
    found |= {"proposed": proposed.changes, "private": private(space, arena.attempt(proposed))}
    found |= {"private_kept": private(space, arena.attempt(search.kept[-1]))}
    found |= {"private_baseline": private(space, arena.first)}
    return found | {"seconds": round(time.monotonic() - began), "tried": search.tried} | more


def climbed(space: Workspace, budget: int, catalog: Path, seed: int) -> tuple[Search, dict[str, Any]]:
    """`podium climb --fold-runs`; once it has ended, what is on record of it."""
    record = space.root / "search.json"
    if not record.exists():
        climb = open_climb(space, fold_runs=budget, catalog=catalog, seed=seed)
        journal = climb.run()
        runs = climb.spent() - 2 * (journal.check_folds or 0)
        claim = None if journal.claim is None else journal.claim.tree()
        more = {"claim": claim, "left_out": journal.left_out, "champion": space.champion().id}
        more |= {"proposed_id": journal.proposed}
        write_atomic(record, json.dumps(more | {"fold_runs": runs}))
    more = json.loads(record.read_text())
    attempts = {a.id: a for a in space.attempts.all()}
    line = [attempts[more["champion"]]]
    while line[-1].parent is not None:
        line.append(attempts[line[-1].parent])
    kept = [Candidate((a.name,), a.recipe) for a in line[::-1]]
    tried = [
        {"name": a.name, "verdict": a.verdict.verdict, "n": sum(run.seed < 1000 for run in a.runs)}
        for a in attempts.values()
        if a.verdict is not None
    ]
    proposed = attempts[more["proposed_id"]]
    return Search(kept, Candidate((proposed.name,), proposed.recipe), len(tried), more.pop("fold_runs"), tried), more


def again(arena: Real, parent: Attempt, child: Attempt) -> dict[str, Any]:
    """A step trained once more on every fold, with a seed that it was not judged by."""
    sides = [np.array([arena.train(a, fold, AGAIN).score for fold in range(arena.k)]) for a in (child, parent)]
    gains = (sides[0] - sides[1]) * (1 if arena.space.metric.greater_is_better else -1)
    return {"name": child.name, "gain": float(gains.mean()), "se": float(gains.std(ddof=1) / np.sqrt(arena.k))}


def private(space: Workspace, attempt: Attempt) -> float:
    """Score on the private part, of the mean of its networks, one a fold."""

    def known() -> list[float]:
        receipts = space.board().submissions(reveal=True)
        return [r.private for r in receipts if r.attempt == attempt.folder.name and r.private is not None]

    if not known():
        space.predict(attempt.id)
        space.submit()
    return known()[0]


def row(r: dict[str, Any]) -> str:
    """One line of the table."""
    each = r["fold_runs"] / max(1, r["verdicts"])
    return (
        f"| {r['set']} | {r['method']} | {r['seed']} | {r['private_baseline']:.4f} | **{r['private']:.4f}** "
        f"| {r['verdicts']} | {r['fold_runs']} | {each:.1f} | {len(r['steps'])} | {r['false']} | {r['seconds']} s |"
    )


if __name__ == "__main__":
    main()
