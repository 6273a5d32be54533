"""The range test over a competition's own data: the first fold's batches, the recipe's network, loss and optimiser."""

from __future__ import annotations

from functools import partial

import torch

from podium.data.loader import TrainLoader
from podium.errors import ConfigError
from podium.recipe import Recipe
from podium.training.clipping import clip, clips_scaled
from podium.training.device import Normalize, create_fabric, forked_random, to_device
from podium.training.fold_run import FoldData, derived_seed, with_batch
from podium.training.lr_find import RangeTest, endless, range_test
from podium.training.optim import create_optimizer, hold_still, set_lr
from podium.training.tasks import TableTask, Values, create_task


def find_lr(
    data: FoldData, recipe: Recipe, *, fold: int = 0, low: float = 1e-7, high: float = 1.0, steps: int = 100
) -> RangeTest:
    """Train a fresh network for some steps at growing rates; neither it nor anything else of it is kept.

    Augmentation, sampling, precision and clipping are those of the recipe; the encoder has its multiple of the rate.

    Raises:
        ConfigError: for a model that is not trained step by step.
        TrainingError: if the loss fell at none of the rates.
    """
    if recipe.model.arch == "features":
        raise ConfigError("'model.arch' is 'features', which has no learning rate", remedy="choose a network")
    store = data.stores.images
    rows = [store.row[id] for id in data.folds.training(fold)]
    task, table = create_task(data.competition, data.metric, recipe), None
    task.channels = data.channels
    if isinstance(task, TableTask):
        truth = data.truth
        assert isinstance(truth, Values)
        task.fit(truth.take(rows))
        table = task.table(truth)
    seed = derived_seed(recipe.train.seed, 0, fold)
    with forked_random():
        torch.manual_seed(seed)
        fabric = create_fabric(recipe.train.precision)
        model = to_device(task.create_model(), fabric)
        made = create_optimizer(recipe.optim, model, fused=not clips_scaled(fabric, recipe))
        network, optimizer = fabric.setup(model, made)
        normalize = Normalize(recipe.input.normalize, fabric.device)
        make = partial(TrainLoader, store, data.stores.masks, rows, table=table, views=list(data.stores.views.values()))
        loader = make(with_batch(recipe, fabric, model, task, make, "lr-find"))
        batches = endless(lambda epoch: loader.epoch(seed, epoch))
        network.train()
        hold_still(model)

        def step(rate: float) -> float:
            set_lr(optimizer, rate)
            batch = next(batches)
            loss, _ = task.loss(network(normalize(batch.images), *task.inputs(batch, fabric.device)), batch)
            fabric.backward(loss)
            clip(fabric, network, optimizer, recipe.train)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            return float(loss.detach())

        try:
            return range_test(step, low=low, high=high, steps=steps)
        finally:
            batches.close()
