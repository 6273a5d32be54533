"""Climbs in a simulated ledger, with a part of podium's catalogue so that they take a blink."""

from __future__ import annotations

from podium.climb.catalog import Catalog, load_catalog
from podium.climb.driver import Climb
from podium.climb.journal import Journal
from podium.climb.simulate import ANYWHERE, Simulated

NAMES = (
    *("vflip", "elastic", "holes", "jaccard-loss", "boundary-loss", "lovasz", "focal-dice", "smaller-batch", "ema"),
    *("higher-rate", "longer", "longer-still", "clip", "tta"),
)


def part_of(names=NAMES):
    ours = load_catalog()
    return Catalog.from_tree({"kinds": ours.tree()["kinds"], "changes": {n: ours.changes[n].tree() for n in names}})


def begun(ledger, folder, **facts):
    """A climb, or the one that was begun in the folder."""
    journal = Journal.find(folder)
    if journal is None:
        facts = {"seed": 0, "runs_before": ledger.fold_runs(), "first": len(ledger.tried), "stood": ledger.best} | facts
        journal = Journal.begin(**facts).noted(folder)
    return Climb(ledger, ledger.catalog, ANYWHERE, folder, journal)


def climbed(effects, folder, seed=0, catalog=None, **facts):
    """A ledger after a climb, and the climb."""
    ledger = Simulated(catalog or part_of(), effects, seed)
    climb = begun(ledger, folder, seed=seed, **facts)
    climb.run()
    return ledger, climb


def told(ledger):
    """What was tried, and what came of it."""
    return [(a.name, a.parent, a.settings, a.verdict.verdict, len(ledger.runs[a.id])) for a in ledger.tried[1:]]


def killed_at_each_training(effects, folder, seed, fold_runs):
    """A ledger after a climb whose process ended at every second training, its journal, and how often that was."""

    class Killed(BaseException):
        pass

    ledger, kills = Simulated(part_of(), effects, seed), 0
    while not (journal := Journal.find(folder)) or not journal.done:
        ledger.before = die_after_one(Killed)
        try:
            begun(ledger, folder, seed=seed, fold_runs=fold_runs).run()
        except Killed:
            kills += 1
    return ledger, journal, kills


def die_after_one(how):
    """Lets one training pass, then ends the process."""
    passed = []

    def die():
        if passed:
            raise how
        passed.append(True)

    return die
