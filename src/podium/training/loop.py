"""The training loop, top to bottom: batches, steps, validation, checkpoints; resumed exactly where it was killed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from lightning_fabric import Fabric
from torch import nn

from podium.data.loader import TrainLoader
from podium.errors import TrainingError
from podium.files import write_atomic
from podium.metrics import Metric
from podium.progress import duration, say
from podium.recipe import Recipe
from podium.training import checkpoint
from podium.training.device import Normalize
from podium.training.losses import create_loss
from podium.training.optim import create_optimizer
from podium.training.schedule import create_schedule


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of history.csv.

    Attributes:
        epoch: From 1.
        lr: Of the last step.
        loss: Mean over the epoch's training batches.
        score: The competition's metric over the validation fold, original resolution.
        images_per_s: Training images a second, waiting included.
        data_wait: Share of the training time spent waiting for batches.
        seconds: Training and validation.
    """

    epoch: int
    lr: float
    loss: float
    score: float
    images_per_s: float
    data_wait: float
    seconds: float


@dataclass
class Trained:
    """What a training leaves behind, beside best.pt and last.pt."""

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = math.nan
    loss_parts: dict[str, float] = field(default_factory=dict)


def train(
    fabric: Fabric,
    model: nn.Module,
    loader: TrainLoader,
    validate: Callable[[], float],
    recipe: Recipe,
    folder: Path,
    *,
    seed: int,
    metric: Metric,
    label: str = "",
) -> Trained:
    """Train to the recipe's number of epochs, from `last.pt` if there is one.

    Args:
        model: On the device already.
        validate: The current model's score on the validation fold, by ``metric``.
        folder: Gets best.pt, last.pt and history.csv, each epoch.
        seed: Seeds batches and augmentation (weights were seeded by who made the model).

    Raises:
        TrainingError: if the loss stops being finite.
    """
    optimizer = create_optimizer(recipe.optim, model)
    wrapped, optimizer = fabric.setup(model, optimizer)
    criterion = create_loss(recipe.loss)
    schedule = create_schedule(recipe.schedule, recipe.train.epochs * len(loader))
    normalize = Normalize(recipe.input.normalize, fabric.device)
    done = _resume(folder, model, optimizer)

    for epoch in range(len(done.history) + 1, recipe.train.epochs + 1):
        started, waited = time.monotonic(), 0.0
        total, images, lr = torch.zeros((), device=fabric.device), 0, 0.0
        wrapped.train()
        step = (epoch - 1) * len(loader)
        asked = time.monotonic()
        for batch in loader.epoch(seed, epoch):
            waited += time.monotonic() - asked
            lr = recipe.optim.lr * schedule(step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            assert batch.masks is not None
            labels = torch.from_numpy(batch.masks).to(fabric.device, non_blocking=True).unsqueeze(1)
            counted = (labels != recipe.augment.ignore_label).float() if recipe.augment.border == "ignore" else None
            logits = wrapped(normalize(batch.images))
            loss, parts = criterion(logits, (labels == 1).float(), counted)
            fabric.backward(loss)
            if recipe.train.grad_clip:
                fabric.clip_gradients(wrapped, optimizer, max_norm=recipe.train.grad_clip)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            total += loss.detach()
            images += len(batch.rows)
            step += 1
            asked = time.monotonic()

        mean_loss = float(total) / len(loader)
        trained_for = time.monotonic() - started
        if not math.isfinite(mean_loss):
            raise _diverged(mean_loss, epoch, recipe)
        score = validate()
        done.history.append(
            Epoch(epoch, lr, mean_loss, score, images / trained_for, waited / trained_for, time.monotonic() - started)
        )
        done.loss_parts = {name: float(value) for name, value in parts.items()}
        better = done.best_epoch == 0 or metric.better(score, done.best_score)
        if better:
            done.best_epoch, done.best_score = epoch, score
            checkpoint.save(folder / "best.pt", {"model": model.state_dict(), "epoch": epoch, "score": score})
        _save_last(folder, model, optimizer, done)
        _tell(f"{label} epoch {epoch}/{recipe.train.epochs}", metric.name, done, recipe.train.epochs, better)
    return done


def _save_last(folder: Path, model: nn.Module, optimizer: Any, done: Trained) -> None:
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": [asdict(e) for e in done.history],
        "best_epoch": done.best_epoch,
        "best_score": done.best_score,
        "torch_rng": torch.get_rng_state(),
    }
    checkpoint.save(folder / "last.pt", state)
    write_atomic(folder / "history.csv", pl.DataFrame([asdict(e) for e in done.history]).write_csv())


def _resume(folder: Path, model: nn.Module, optimizer: Any) -> Trained:
    """Take up what a killed training left in `last.pt`; nothing there means a fresh start."""
    if not (folder / "last.pt").exists():
        return Trained()
    state = checkpoint.load(folder / "last.pt")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["torch_rng"])
    history = [Epoch(**row) for row in state["history"]]
    say(f"  going on after epoch {len(history)}")
    return Trained(history, state["best_epoch"], state["best_score"])


def _tell(label: str, metric: str, done: Trained, epochs: int, better: bool) -> None:
    e = done.history[-1]
    left = (epochs - e.epoch) * float(np.mean([h.seconds for h in done.history]))
    say(
        f"  {label}: loss {e.loss:.4f}, {metric} {e.score:.4f}{'*' if better else ' '} "
        f"{e.images_per_s:.0f} images/s, {e.data_wait:.0%} waiting for data, {duration(left)} left"
    )


def _diverged(loss: float, epoch: int, recipe: Recipe) -> TrainingError:
    return TrainingError(
        f"the loss became {loss} in epoch {epoch}",
        expected="a finite number",
        remedy=f"lower the learning rate (optim.lr={recipe.optim.lr / 3:.1g}), "
        "set train.grad_clip=1, or train.precision=fp32",
    )
