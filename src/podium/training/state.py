"""Where a training stands: its history and counters, saved with weights and optimiser, taken up again after a kill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol

import polars as pl
import torch
from torch import Tensor, nn

from podium.files import write_atomic
from podium.recipe import OptimConfig, Recipe
from podium.training import checkpoint


@dataclass(frozen=True, slots=True)
class Epoch:
    """One row of history.csv.

    Attributes:
        epoch: From 1.
        lr: Of the last step.
        loss: Mean over the epoch's training batches.
        score: The competition's metric over the validation fold, original resolution; None if it was not validated.
        val_loss: The loss over the validation fold, where the choice of checkpoint asks for it.
        images_per_s: Training images a second, waiting included.
        data_wait: Share of the training time in which the device had nothing to do, as a batch was not there yet.
        seconds: Training and validation.
    """

    epoch: int
    lr: float
    loss: float
    score: float | None
    val_loss: float | None
    images_per_s: float
    data_wait: float
    seconds: float


@dataclass
class Trained:
    """Where a training stands, beside weights and optimiser.

    Attributes:
        best_epoch, best_score: Of the best validation by the metric; 0 before the first.
        step: Batches of the running epoch that are done.
        total: Sum of the running epoch's losses.
        lr: Of the last step.
        batch_size: Samples of a step.
        pieces: Parts that a batch is computed in, since memory ran out.
        elapsed: Seconds of the fold run so far.
        before: Of them, those that went before it was taken up again.
        begun: {epoch at which a schedule was to begin: epochs that were over when it did}; by the clock they differ.
        candidates: {epoch: value} of the checkpoints that are kept for the choice.
    """

    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = math.nan
    step: int = 0
    total: float = 0.0
    lr: float = 0.0
    batch_size: int | Literal["auto"] = "auto"
    pieces: int = 1
    elapsed: float = 0.0
    before: float = 0.0
    begun: dict[int, int] = field(default_factory=dict)
    candidates: dict[int, float] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        """The running epoch, from 1."""
        return len(self.history) + 1

    def scores(self, *, greater_is_better: bool) -> list[float | None]:
        """Of each epoch, such that greater is better; None where it was not validated."""
        sign = 1 if greater_is_better else -1
        return [None if e.score is None else sign * e.score for e in self.history]

    def position(self, steps: int) -> float:
        """Epochs that are over, with their fraction."""
        return len(self.history) + self.step / steps


def save(
    folder: Path,
    done: Trained,
    model: nn.Module,
    optimizer: Any,
    extra: dict[str, Any],
    rngs: Sequence[dict[str, Tensor]] = (),
) -> None:
    """Write `last.pt` and history.csv, each whole or not at all.

    Args:
        rngs: `rng` of each process of the training, if there are several.
        extra: What else is to be taken up again, and "model" if other weights than ``model``'s are to predict.
    """
    state = {"model": model.state_dict(), **extra}
    state |= {"raw": model.state_dict()} if "model" in extra else {}
    state |= {"optimizer": optimizer.state_dict(), "done": asdict(done), "rng": list(rngs) or [rng()]}
    checkpoint.save(folder / "last.pt", state)
    schema = {f.name: pl.Int64 if f.name == "epoch" else pl.Float64 for f in fields(Epoch)}
    write_atomic(folder / "history.csv", pl.DataFrame([asdict(e) for e in done.history], schema=schema).write_csv())


def resume(folder: Path, model: nn.Module, optimizer: Any, rank: int = 0) -> tuple[Trained, dict[str, Any]]:
    """Take up what a killed training left in `last.pt`; nothing there means a fresh start.

    Args:
        rank: Of this process among those of the training: each goes on with the random numbers it had.
    """
    if not (folder / "last.pt").exists():
        return Trained(), {}
    state = checkpoint.load(folder / "last.pt")
    model.load_state_dict(state.get("raw", state["model"]))
    optimizer.load_state_dict(state["optimizer"])
    if rank < len(state["rng"]):  # else it was trained on fewer devices
        _set_rng(state["rng"][rank])
    kept = dict(state["done"])
    kept["before"] = kept["elapsed"]
    kept["history"] = [Epoch(**row) for row in kept["history"]]
    return Trained(**kept), state


class Part(Protocol):
    """What goes on where it was: an average, a memory of losses."""

    def state(self) -> dict[str, Any]: ...
    def load_state(self, state: dict[str, Any], /) -> None: ...


def taken_up(kept: dict[str, Any], **parts: Part | None) -> dict[str, Part]:
    """The parts that there are, each with what a killed training had ``kept`` of it."""
    there = {name: part for name, part in parts.items() if part is not None}
    for name, part in there.items():
        if name in kept:
            part.load_state(kept[name])
    return there


def optim_of(folder: Path, begun: OptimConfig) -> OptimConfig:
    """The settings of the optimiser whose state is in `last.pt`; ``begun`` where there is none."""
    if not (folder / "last.pt").exists():
        return begun
    return OptimConfig.from_tree(checkpoint.load(folder / "last.pt")["optim"])


def as_begun(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe with as many samples a step as a killed training had found that memory holds, if it left that open."""
    if recipe.train.batch_size != "auto" or not (folder / "last.pt").exists():
        return recipe
    found = checkpoint.load(folder / "last.pt")["done"].get("batch_size", "auto")
    return recipe.with_overrides({"train": {"batch_size": found}})


def rng() -> dict[str, Tensor]:
    """The state of torch's generators: of dropout, and whatever a user's model draws."""
    found = {"cpu": torch.get_rng_state()}
    return found | ({"cuda": torch.cuda.get_rng_state()} if torch.cuda.is_available() else {})


def _set_rng(state: dict[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"].cpu())
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())
