"""A process of its own that keeps writing into a ledger, until it is killed; see test_killed."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from test_fold_runs import fold_run

from podium.files import remove_leftovers
from podium.ledger.attempts import Attempts, changed_recipe
from podium.ledger.fold_runs import fold_run_name
from podium.ledger.verdict import Verdict
from podium.recipe import Recipe


def write_on(folder: Path, out: Connection) -> None:
    """Go on with the attempt that is not ended, then one more, without end; say each thing that is on disk."""
    attempts = Attempts(folder / "attempts")
    if not attempts.names():
        attempts.index.put(attempts.create("baseline", Recipe(), None, "first", "folds"))
        out.send("attempt 0")
    while True:
        base, last = attempts.get(0), attempts.all()[-1]
        if last.id == 0 or last.crown:
            recipe = changed_recipe(base.recipe, [f"optim.lr={0.001 + (last.id + 1) * 1e-6!r}"])
            last = attempts.create(f"try{last.id + 1}", recipe, base, "why", "folds")
            attempts.index.put(last)
            out.send(f"attempt {last.id}")
        for fold in range(2):
            run = last.folder / fold_run_name(fold, 0)
            if not (run / "COMPLETE").exists():
                if run.exists():  # what a killed one left: trained again
                    remove_leftovers(run)
                    for file in run.iterdir():
                        file.unlink()
                    run.rmdir()
                fold_run(last.folder, fold, scores=(0.1, 0.2, 0.3, 0.4))
                attempts.index.put(last)
            out.send(f"run {last.id} {fold}")
        told = {"verdict": "YES", "gain": 0.1, "folds": 2, "sentence": "YES", "reason": "better"}
        last = attempts.get(last.id).decided(Verdict(**told))
        out.send(f"verdict {last.id}")
        last = last.crowned("YES", "verdict")
        attempts.index.put(last)
        out.send(f"crown {last.id}")
