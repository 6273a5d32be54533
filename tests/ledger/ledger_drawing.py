"""Hand-made ledgers: as entries for the views, and as folders for what reads files."""

from __future__ import annotations

import json

from podium.ledger.views import Entry, Ledger

ROW = {
    "id": 0, "folder": "", "name": "", "parent": 0, "created": "2026-01-01T00:00:00+00:00", "change": "", "why": "",
    "link": "", "cv": None, "folds": 0, "fold_runs": 0, "trained": 0, "runs": "[]", "seconds": 0.0, "verdict": None,
    "reason": None, "gain": None, "raw_gain": None, "se": None, "noise_floor": None, "evidence": None, "final": None,
    "crowned": None, "crowned_by": None, "finished": True,
}  # fmt: skip


def row(id, name, parent=0, verdict=None, gain=None, *, folds=1, seeds=1, se=0.0004, **more):
    """The values of an `Entry`: an attempt with so many folds trained, ten seconds each."""
    scores = [(fold, seed, 0.5 + fold / 100 + seed / 1000) for fold in range(folds) for seed in range(seeds)]
    known = {"id": id, "folder": f"{id:04d}-{name}", "name": name, "parent": parent, "verdict": verdict, "gain": gain}
    known |= {"change": f"optim.lr 0.001 -> {id / 1000:g}" if parent is not None else "-", "why": f"because {id}"}
    known |= {
        "folds": folds,
        "fold_runs": folds * seeds,
        "trained": folds * seeds,
        "runs": json.dumps(scores),
        "seconds": 10.0 * folds * seeds,
    }
    known |= {"cv": 0.51} if folds else {}
    if verdict:
        known |= {"final": True, "se": se, "raw_gain": gain, "noise_floor": 0.0004, "evidence": 1.0}
    return ROW | known | more


def ledger(*rows, metric="dice", up=True, k=3, public=None):
    """The ledger of some rows."""
    public = public or {}
    return Ledger(tuple(Entry(**r, public=public.get(r["folder"])) for r in rows), metric, up, k)


CARVANA = (
    row(0, "baseline", None, folds=3, seeds=2),
    row(1, "sgd", 0, "NO", -0.0031),
    row(2, "more-augmentations", 0, "YES", 0.0011, folds=3, crowned="2026-01-02"),
    row(3, "pspnet", 2, "NO", -0.0102),
    row(4, "vgg11", 2, "YES", 0.0021, folds=3, crowned="2026-01-03", why="pre-trained | on <ImageNet>"),
    row(5, "vgg11-wide", 4, "UNSURE", 0.0003, folds=3, seeds=2, reason="too close to call"),
    row(6, "x1", 1, "NO", 0.0001, folds=2),
    row(7, "longer", 4, None, None, folds=0, finished=False),
)
"""A small ladder: two accepted, one that nobody can tell, one that has not begun."""
