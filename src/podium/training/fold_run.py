"""One training of one recipe on one fold with one seed: all that the ledger knows of training."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.folds import Folds
from podium.data.loader import TrainLoader
from podium.data.prepare import TrainStores
from podium.data.preprocess import Preprocess
from podium.data.samples import Sample
from podium.data.several_targets import facts_of
from podium.data.sources import Opened
from podium.data.store import Store
from podium.data.views import Images, Montages
from podium.errors import DataError, storage_error
from podium.files import is_complete, mark_complete, remove_leftovers, size_text
from podium.ledger.fitted import settled
from podium.ledger.fold_runs import FoldRun, fold_run_name
from podium.metrics import Measured, Metric
from podium.models.content import check_same_weights
from podium.models.features import FrozenFeatures
from podium.models.origin import with_own_weights
from podium.progress import listening, say
from podium.recipe import Recipe
from podium.training import checkpoint
from podium.training.check import check_shares
from podium.training.choice import chosen, chosen_epoch
from podium.training.device import count_devices, create_fabric, device_name, expect_unused, to_device
from podium.training.estimate import outlook
from podium.training.evaluate import Predictor, evaluate, joined, seconds_to_evaluate, share_of
from podium.training.fabric import Fabric
from podium.training.facts import Phases, facts
from podium.training.failures import MemoryRanOut
from podium.training.features import train_features
from podium.training.feed import Feed
from podium.training.launch import launch
from podium.training.loop import train
from podium.training.memory import auto_batch, free_bytes, probe
from podium.training.out_of_fold import predict_out_of_fold, write_scores
from podium.training.pictures import write_extremes, write_first_batch
from podium.training.presence import with_presence
from podium.training.pseudo import Labelling
from podium.training.ranks import Ranks
from podium.training.resident import loaders, shared
from podium.training.setting import Setting
from podium.training.state import as_begun
from podium.training.sync_norm import with_sync_norm
from podium.training.tasks import TableTask, Task, Values, create_task
from podium.training.unused import unused_parameters
from podium.training.val_loss import ValidationLoss


@dataclass(frozen=True)
class FoldData:
    """What every fold run of a workspace reads.

    Attributes:
        samples: The training samples; only looked at where targets are values.
        opened: Where the images are read from; None: through the memory map.
    """

    competition: Competition
    stores: TrainStores
    folds: Folds
    metric: Metric
    samples: Sequence[Sample] = ()
    opened: Opened | None = None

    @property
    def truth(self) -> Store | Values:
        """What is to be predicted of each item of the stores: masks at original size, or values."""
        if self.competition.task in ("segmentation", "instances"):
            return self.stores.truth
        return Values.of(self.samples, self.stores.images.ids)

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return int(self.stores.images.shapes[:, 2].max(initial=1))

    def images(self, recipe: Recipe) -> Images:
        """Whole images for validation; several of one sample are one picture."""
        if not self.stores.views:
            return self.opened.images if self.opened else self.stores.images
        return Montages(list(self.stores.views.values()), Preprocess.of(recipe.input).canvas)


def run_fold(
    data: FoldData, recipe: Recipe, fold: int, seed: int, attempt: Path, *, spent: float = 0.0, runs: int = 1
) -> FoldRun:
    """Train, validate out of fold, and leave a finished folder; a finished one is returned as it is.

    A folder that a killed run left is resumed from its last epoch.

    Args:
        attempt: The attempt's folder; the run goes to `fold<fold>-seed<seed>` in it.
        spent: Seconds of `train.time` that preparing the data took.
        runs: Fold runs of the attempt that are left, this one included: how long they take is told.
    """
    folder, begun = attempt / fold_run_name(fold, seed), time.monotonic() - spent
    if is_complete(folder):
        return FoldRun.load(folder)
    devices = 1 if recipe.model.arch == "features" else count_devices(recipe.train.devices)
    recipe = recipe.with_overrides({"train": {"devices": devices}})
    check_shares(recipe, devices, len(data.folds.training(fold)))
    check_same_weights(recipe, attempt)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        while True:
            try:
                launch(devices, _in_process, data, recipe, fold, seed, folder, begun, runs)
                break
            except MemoryRanOut as error:
                recipe = recipe.with_overrides({"train": {"accumulate": 2 * error.pieces}})
                with _logging(folder):
                    say(f"  out of memory on one of {devices} devices; all go on from the last save,")
                    say(f"  each computing its share of a step in {recipe.train.accumulate} parts")
    except OSError as error:
        raise storage_error(error, folder) or error from error
    return FoldRun.load(folder)


def _in_process(
    ranks: Ranks, data: FoldData, recipe: Recipe, fold: int, seed: int, folder: Path, begun: float, runs: int
) -> None:
    """`_train_fold` in one of the training's processes, whose first keeps the log."""
    threads = torch.get_num_threads()
    try:
        with _logging(folder) if ranks.first else nullcontext():
            _train_fold(ranks, data, recipe, fold, seed, folder, time.monotonic() - begun, runs)
    finally:
        torch.set_num_threads(threads)  # a training by the clock chooses its own


@contextmanager
def _logging(folder: Path) -> Iterator[None]:
    with open(folder / "log.txt", "a", encoding="utf-8") as log:
        with listening(lambda line: print(line, file=log, flush=True)):
            yield


def derived_seed(*parts: int) -> int:
    """One seed of several numbers, well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def _train_fold(
    ranks: Ranks, data: FoldData, recipe: Recipe, fold: int, seed: int, folder: Path, spent: float, runs: int
) -> None:
    begun = time.monotonic()
    store, images, truth, phases = data.stores.images, data.images(recipe), data.truth, Phases()
    train_rows = [store.row[id] for id in data.folds.training(fold)]
    val_rows = [store.row[id] for id in data.folds.validation(fold)]
    if not train_rows or not val_rows:
        raise DataError(f"fold {fold} has {len(val_rows)} validation and {len(train_rows)} training samples")

    with phases.timed("begin"):
        task = create_task(data.competition, data.metric, with_own_weights(recipe, folder.parent, fold))
        task.channels, table = data.channels, None
        if isinstance(task, TableTask):
            assert isinstance(truth, Values)
            task.fit(truth.take(train_rows))
            table = task.table(truth)
        mixed = derived_seed(recipe.train.seed, seed, fold)
        torch.manual_seed(mixed)
        fabric = create_fabric(recipe.train.precision, ranks.size)
        resumed = recipe.model.arch != "features" and (folder / "last.pt").exists()
        model: Any = to_device(task.create_model(load=not resumed), fabric)
        if ranks.size > 1 and recipe.train.sync_bn:
            model = with_sync_norm(model)
        if not ranks.first:  # dropout differs, as it does within a batch
            torch.manual_seed(derived_seed(mixed, ranks.rank))
        task = with_presence(task.with_predict(settled(recipe, folder).predict), recipe, folder, data.folds)
        quick, final = (Predictor(fabric, [model], task, while_training=early) for early in (True, False))
        views = list(data.stores.views.values())
        label = f"fold {fold}" + (f" seed {seed}" if seed else "")
        own_rows = share_of(quick, images, val_rows, ranks)

    def score_of(predictor: Predictor) -> float:
        with phases.timed("validate"):
            ranks.equal_buffers(model)
            measured = joined(evaluate(predictor, images, truth, own_rows), ranks)
            return ranks.agree(measured.score(data.metric) if measured else math.nan)

    def tell_outlook(images_per_s: float) -> None:
        if line := outlook(recipe, images_per_s, len(train_rows), len(val_rows), runs):
            say(f"  {label}: {line}")

    make_loader = loaders(data.stores, data.opened, train_rows, table, fabric.device)
    if recipe.pseudo.attempts:
        labelling = Labelling(data.competition, data.metric, recipe, task, data.folds, fold, folder)
        ranks.by_first(lambda: labelling.write(fabric))
        stores, train_rows, table = labelling.read().beside(data.stores, train_rows, table, task)
        make_loader = loaders(stores, None, train_rows, table, fabric.device)
    started = time.monotonic()
    if isinstance(model, FrozenFeatures) and isinstance(task, TableTask) and table is not None:
        groups = [data.folds.group.get(id, id) for id in store.ids]
        sources = views or [store]
        trained, final = train_features(
            fabric, model, task, table, sources, images, train_rows, groups, score_of, folder, mixed
        )
    else:
        recipe = as_begun(folder, recipe)
        recipe = with_batch(recipe, fabric, model, task, partial(make_loader, train_rows), label, ranks)
        if ranks.size > 1:
            check_shares(recipe, ranks.size)
            sample, _ = two_samples(recipe, fabric, task, partial(make_loader, train_rows))
            if unused_parameters(model, sample(2), fabric.autocast):
                expect_unused(fabric)
        by_loss = recipe.train.checkpoint == "loss"
        val_loss = ValidationLoss(fabric, model, task, make_loader, val_rows, recipe) if by_loss else None
        if not resumed and ranks.first:
            write_first_batch(folder / "first_batch.jpg", make_loader(train_rows, recipe), mixed)
        timed = recipe.train.seconds is not None
        cost = seconds_to_evaluate(quick, images, truth, own_rows or val_rows) if timed and not resumed else None
        setting = Setting(
            fabric=fabric,
            model=model,
            task=task,
            loader=lambda stage: shared(make_loader(train_rows, stage), ranks),
            validate=lambda: (score_of(quick), ranks.agree(val_loss()) if val_loss else None),
            folder=folder,
            seed=mixed,
            metric=data.metric,
            spent=spent + time.monotonic() - begun,
            validation=cost,
            label=label,
            paced=tell_outlook,
            ranks=ranks,
        )
        trained = train(setting, recipe)
        files = chosen(folder, recipe.train.checkpoint)
        if len(files) > 1:
            final = Predictor(fabric, [_loaded(copy.deepcopy(model), file, fabric) for file in files], task)
    phases.seconds["train"] = trained.before + time.monotonic() - started - phases.seconds.get("validate", 0.0)
    with phases.timed("predict"):
        measured = predict_out_of_fold(final, store.ids, images, truth, own_rows, folder, ranks)
        if measured is None:
            return
    score = write_judged(data, task, images, fold, val_rows, measured, folder)
    head = run_head(data, fold, seed, score, len(val_rows)) | {"batch_size": recipe.train.batch_size}
    best = chosen_epoch(trained, recipe.train.checkpoint)
    write_toml(folder / "run.toml", head | facts(trained, best, phases, device_name(fabric), folder))
    say(f"  {label}: {data.metric.name} {score:.5f} out of fold" + (f", best epoch {best}" if best else ""))
    mark_complete(folder)


def write_judged(
    data: FoldData, task: Task, images: Images, fold: int, rows: Sequence[int], measured: Measured, folder: Path
) -> float:
    """Write `scores.parquet`, and of masks `extremes.jpg`, beside the out-of-fold predictions; give the fold's score.

    Args:
        rows: The fold's samples.
        measured: Of each of them.
        folder: The fold run's, or where it is being made.
    """
    store, better = data.stores.images, data.metric.greater_is_better
    write_scores(folder, data.folds, data.metric, fold, [store.ids[row] for row in rows], measured)
    scores = measured.per_sample(data.metric)
    if scores is not None and task.dense:
        masks, oof = data.stores.masks, Store(folder / "oof", touch=False)
        extremes = folder / "extremes.jpg"
        write_extremes(extremes, task, images, store.ids, rows, scores, masks, oof, greater_is_better=better)
    return measured.score(data.metric)


def run_head(data: FoldData, fold: int, seed: int, score: float, samples: int) -> dict[str, Any]:
    """What `run.toml` begins with."""
    facts = {"fold": fold, "seed": seed, "metric": data.competition.metric, "score": score, "samples": samples}
    parts = data.competition.parts
    return facts | {"targets": facts_of(parts)} if parts else facts


def _loaded(model: Any, file: Path, fabric: Fabric) -> Any:
    checkpoint.load_weights(file, model, fabric.device)
    return model


def with_batch(
    recipe: Recipe,
    fabric: Fabric,
    model: Any,
    task: Task,
    loader: Callable[[Recipe], TrainLoader],
    label: str,
    ranks: Ranks | None = None,
) -> Recipe:
    """The recipe with a number of samples a step, found by a probe where it leaves that to us."""
    if recipe.train.batch_size != "auto":
        return recipe
    ranks, (sample, samples) = ranks or Ranks(), two_samples(recipe, fabric, task, loader)
    found, free = probe(model, sample, fabric.autocast), free_bytes(fabric.device)
    free //= ranks.size if fabric.device.type == "cpu" else 1
    size = int(ranks.agree(auto_batch(found, samples, fabric.device.type, free, ranks.size)))
    say(f"  {label}: batches of {size}: a sample takes {size_text(found.per_sample)}, {size_text(free)} are free")
    return recipe.with_overrides({"train": {"batch_size": size}})


def two_samples(
    recipe: Recipe, fabric: Fabric, task: Task, loader: Callable[[Recipe], TrainLoader]
) -> tuple[Callable[[int], tuple[Any, ...]], int]:
    """What gives the arguments of the network for one or two training samples, and how many there are in all."""
    two = loader(recipe.with_overrides({"train": {"batch_size": 2}}))
    batch = next(iter(Feed(two, fabric.device, recipe.input.normalize).epoch(0, 1)))

    def sample(n: int) -> tuple[Any, ...]:
        return batch.images[:n], *(extra[:n] for extra in task.inputs(batch, fabric.device))

    return sample, len(two.rows)
