"""Real trainings for `podium verdict --collect`, one ledger after another or several at the same time."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from pathlib import Path
from typing import Any, NamedTuple

from podium.config import overrides_with_recipe
from podium.cores import usable_cores
from podium.ledger.simulate.collect import TrainFold, collect, part_of, take_in
from podium.recipe import Recipe
from podium.workspace import Workspace


class Collection(NamedTuple):
    """What is collected, as a process of its own can be told it."""

    root: Path
    file: Path
    settings: Sequence[str]
    ledgers: int
    attempts: int


def collect_trainings(file: Path, settings: Sequence[str], ledgers: int, attempts: int, jobs: int = 1) -> None:
    """Train in the workspace around the current folder; what FILE holds already is not trained again.

    Args:
        settings: ``recipe=NAME`` and changes to it.
        ledgers: Baselines.
        attempts: A/A attempts against each of them.
        jobs: Processes; each collects whole ledgers into a file beside ``file``, which takes it in at the end.

    Raises:
        LedgerError: if the file was begun with another recipe, metric, or number of attempts.
        ConfigError: if the metric has no score a sample, or a setting is wrong.
    """
    space = Workspace.open()
    what = Collection(space.root, file.resolve(), settings, ledgers, attempts)
    with space.lock():
        recipe, about = described(space, settings)
        space.prepare(recipe)
        if jobs == 1:
            collect(what.file, about, recipe, _trainer(space, recipe), ledgers, attempts)
            return
        pool = ProcessPoolExecutor(min(jobs, ledgers), get_context("spawn"), _be_one_of, (jobs,))
        try:
            for done in as_completed([pool.submit(one_ledger, what, ledger) for ledger in range(ledgers)]):
                done.result()
        except BaseException:  # Ctrl-C too: what was trained is kept, what is being trained is begun again
            for process in active_children():
                process.terminate()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            take_in(what.file, ledgers)


def one_ledger(what: Collection, ledger: int) -> None:
    """Collect one ledger into a file of its own, which begins with what is known of it."""
    space, part = Workspace.open(what.root), part_of(what.file, ledger)
    recipe, about = described(space, what.settings)
    if what.file.exists() and not part.exists():
        part.write_bytes(what.file.read_bytes())
    collect(part, about, recipe, _trainer(space, recipe), what.ledgers, what.attempts, only=ledger)


def described(space: Workspace, settings: Sequence[str]) -> tuple[Recipe, dict[str, Any]]:
    """The recipe, and what a file of trainings says of itself."""
    name, changes = overrides_with_recipe(settings)
    return space.recipe(name).with_overrides(changes), {
        "data": space.competition.name,
        "metric": space.metric.name,
        "greater_is_better": space.metric.greater_is_better,
        "folds": space.competition.folds.k,
        "recipe_name": name,
        "changes": changes,
    }


def _trainer(space: Workspace, recipe: Recipe) -> TrainFold:
    from podium.training.collect import scores_only
    from podium.training.fold_run import FoldData

    p = space.prepare(recipe)
    data = FoldData(space.competition, p.stores, p.folds, space.metric, p.samples, p.opened)
    return scores_only(data, space.root / ".podium" / "collect")


def _be_one_of(jobs: int) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of the terminal's processes; the first ends us
    torch.set_num_threads(max(1, usable_cores() // jobs))
