"""Workspaces whose attempts were trained by nobody: fold runs as training leaves them, but for networks."""

from __future__ import annotations

import numpy as np
import polars as pl

from podium.config import write_toml
from podium.files import mark_complete
from podium.ledger.fold_runs import fold_run_name
from podium.ledger.judge import Judge
from podium.workspace import Workspace


def pretend_training(space, attempt, gain, seed=0):
    """Fold runs as training leaves them, but for networks: every sample scores about 0.8 and the gain."""
    folds = space.prepare().folds
    rng = np.random.default_rng(attempt.id + 100 * seed)
    for fold in range(folds.k):
        ids = [id for id, f in folds.fold.items() if f == fold]
        run = attempt.folder / fold_run_name(fold, seed)
        (run / "oof").mkdir(parents=True)
        (run / "oof" / "values.npy").write_bytes(b"predictions")
        (run / "best.pt").write_bytes(b"weights")
        score = 0.8 + gain + rng.normal(0, 0.01, len(ids))
        table = {"id": ids, "group": [folds.group[i] for i in ids], "fold": [fold] * len(ids), "score": score}
        pl.DataFrame(table).write_parquet(run / "scores.parquet")
        facts = {"fold": fold, "seed": seed, "score": float(score.mean()), "seconds": 1.0, "samples": len(ids)}
        write_toml(run / "run.toml", facts | {"metric": "dice"})
        mark_complete(run)


def judged(space, attempt):
    judge = Judge(space.attempts, space.metric, space.competition.folds.k)
    _, verdict = judge.judge(attempt, space.attempts.get(attempt.parent))
    return attempt.decided(verdict)


def fresh(folder, source):
    space = Workspace.new(folder, source, ["folds.k=2"])
    digest = space.prepare().folds.digest()
    base = space.attempts.create("baseline", space.recipe("smoke"), None, "first", digest)
    for seed in (0, 1):
        pretend_training(space, base, 0.0, seed)
    return space, digest


def tried(space, digest, name, change, gain):
    base = space.attempts.get(0)
    attempt = space.attempts.create(name, base.recipe.with_overrides([change]), base, f"why {name}", digest)
    pretend_training(space, attempt, gain)
    return judged(space, attempt)
