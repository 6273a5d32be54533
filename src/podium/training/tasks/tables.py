"""Tasks whose targets are values of a table or class folders: one class, several labels, numbers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podium.data.adjust import rated, shifted, tempered
from podium.data.competition import Competition
from podium.data.loader import Batch, Table
from podium.data.metadata import Metadata
from podium.data.samples import Sample
from podium.data.targets import class_order
from podium.errors import ConfigError
from podium.metrics import Metric
from podium.recipe import TUNED, Recipe
from podium.training.feed import Fed
from podium.training.losses import Kind
from podium.training.tasks.base import Array, Task

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """What the table says of some samples, in their order.

    Attributes:
        targets: (N, T), as `Sample.values` has them.
        inputs: The columns of `data.inputs`, as text.
    """

    targets: Floats
    inputs: list[tuple[str, ...]] = field(default_factory=list)

    @classmethod
    def of(cls, samples: Sequence[Sample], ids: Sequence[str]) -> Values:
        """Of the samples with these ids."""
        by_id = {s.id: s for s in samples}
        found = [by_id[id] for id in ids]
        return cls(np.array([s.values for s in found], np.float64), [s.inputs for s in found])

    def take(self, rows: Sequence[int]) -> Values:
        """Some of them."""
        return Values(self.targets[np.asarray(rows)], [self.inputs[row] for row in rows])


class TableTask(Task):
    """A task with logits for each sample.

    Predictions of N samples are float32 (N, outputs), as the submission has them.
    """

    dense = False

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe, names: list[str]) -> None:
        super().__init__(competition, metric, recipe, names)
        self.metadata = Metadata([])

    @property
    def width(self) -> int:  # type: ignore[override]
        """Metadata numbers that the network gets beside the image."""
        return self.metadata.width

    def fit(self, values: Values) -> None:
        """Learn from the training samples alone: the categories and scales of the inputs, and of numbers.

        Raises:
            ConfigError: for logarithms of values that have none.
        """
        self.metadata = Metadata.fit(self.competition.data.inputs, values.inputs)

    def state(self) -> dict[str, Any]:
        return super().state() | {"metadata": self.metadata.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.metadata = Metadata.of_state(state["metadata"])

    def inputs(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, ...]:
        return () if batch.inputs is None else (torch.as_tensor(batch.inputs).to(device, non_blocking=True),)

    def table(self, values: Values) -> Table:
        """What the loader puts into batches: a row for each of ``values``."""
        return Table(self.encode(values.targets), self.metadata.encode(values.inputs) if self.width else None)

    @abstractmethod
    def encode(self, targets: Floats) -> NDArray[np.float32]:
        """Targets (N, T) as the loss wants them, (N, outputs); mixtures of samples are means of these."""

    @abstractmethod
    def truth(self, targets: Floats) -> Array:
        """Targets (N, T) as metrics want them: (N,) of one number or class index, else (N, columns)."""

    def adjusted(self, probs: Array) -> Array:
        """Predictions (N, outputs) as [predict] wants them, same shape; of classes and labels, probabilities."""
        config = self.recipe.predict.settled
        assert isinstance(config.temperature, float)
        probs = tempered(probs, config.temperature, exclusive=self.kind == "labels")
        if "threshold" not in self.reads:
            return probs
        assert config.threshold != TUNED
        return shifted(probs, config.threshold)

    def predicted(self, probs: Array) -> Array:
        """Predictions (N, outputs), `adjusted`, as metrics want them."""
        return probs[:, 0] if self.outputs == 1 else probs


class ClassesTask(TableTask):
    """One class of several a sample; with one class named, whether it is that one."""

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe) -> None:
        super().__init__(competition, metric, recipe, class_order(competition))
        self.kind: Kind = "planes" if self.outputs == 1 else "labels"
        self.reads = ("temperature", "threshold") if self.outputs == 1 else ("temperature",)
        self.numbers = np.array([competition.classes[name] for name in self.names], np.float64)

    def encode(self, targets: Floats) -> NDArray[np.float32]:
        if self.outputs == 1:
            return targets.astype(np.float32)
        return np.asarray(targets[:, :1] == self.numbers, np.float32)

    def target(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, Tensor | None]:
        target = _targets(batch, device)
        if self.kind == "labels" and batch.unmixed:
            return target.argmax(1), None
        return target, None

    def probs(self, logits: Tensor) -> Tensor:
        return logits.sigmoid() if self.outputs == 1 else logits.softmax(1)

    def truth(self, targets: Floats) -> Array:
        if self.outputs == 1:
            return targets[:, 0].astype(np.int64)
        return np.searchsorted(self.numbers, targets[:, 0])


class LabelsTask(TableTask):
    """Several labels a sample, each there or not."""

    kind: Kind = "planes"
    reads: tuple[str, ...] = ("temperature", "threshold")

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe) -> None:
        super().__init__(competition, metric, recipe, class_order(competition))

    def encode(self, targets: Floats) -> NDArray[np.float32]:
        return targets.astype(np.float32)

    def target(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, Tensor | None]:
        return _targets(batch, device), None

    def probs(self, logits: Tensor) -> Tensor:
        return logits.sigmoid()

    def truth(self, targets: Floats) -> Array:
        return targets.astype(np.int64)

    def predicted(self, probs: Array) -> Array:
        return probs


class EachTask(LabelsTask):
    """One class for each of several targets: the classes of each are some of the outputs, and sum to 1 there."""

    kind: Kind = "labels"
    reads = ("temperature",)

    def loss(self, logits: Tensor | tuple[Tensor, ...], batch: Batch | Fed) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted mean of the losses of the targets."""
        self._criterion = criterion = self._criterion or self.create_loss()
        outputs = logits if isinstance(logits, Tensor) else logits[0]
        target = _targets(batch, outputs.device)
        total, each = outputs.new_zeros(()), outputs.new_zeros(len(outputs))
        terms: dict[str, Tensor] = {}
        for part in self.competition.parts:
            its = criterion.of_outputs(part.outputs, self.outputs)
            found, of = its(outputs[:, part.outputs], target[:, part.outputs])
            assert its.each is not None
            total, each = total + part.weight * found, each + part.weight * its.each
            terms = {name: terms.get(name, 0) + part.weight * value for name, value in of.items()}
        criterion.each = each
        return total, terms

    def probs(self, logits: Tensor) -> Tensor:
        return torch.cat([logits[:, part.outputs].softmax(1) for part in self.competition.parts], 1)

    def adjusted(self, probs: Array) -> Array:
        temperature = self.recipe.predict.settled.temperature
        assert isinstance(temperature, float)
        parts = [probs[:, part.outputs] for part in self.competition.parts]
        return np.concatenate([tempered(p, temperature, exclusive=True) for p in parts], axis=1)


class NumbersTask(TableTask):
    """One number a sample, or several: learnt standardised, or as logarithms, and predicted within what was seen."""

    kind: Kind = "values"

    def __init__(self, competition: Competition, metric: Metric, recipe: Recipe) -> None:
        super().__init__(competition, metric, recipe, list(competition.data.targets))
        self.reads = ("clip", "cuts", "lowest") if metric.whole_numbers and self.outputs == 1 else ("clip",)
        self.log = False
        self.mean = self.low = self.high = np.zeros(self.outputs)
        self.sd = np.ones(self.outputs)

    def fit(self, values: Values) -> None:
        super().fit(values)
        targets, asked = values.targets, self.recipe.train.target
        if asked == "log" and not (targets > -1).all():
            raise ConfigError(
                f"'train.target' is 'log', and the targets of the training samples go down to {targets.min():g}",
                where="train.target",
                expected="values above -1: log(1 + value) is learnt",
                remedy="train.target=linear",
            )
        self.log = asked == "log" or (asked == "auto" and self.metric.relative and bool((targets > -1).all()))
        scaled = self._scaled(targets)
        self.low, self.high = targets.min(0), targets.max(0)
        self.mean, sd = scaled.mean(0), scaled.std(0)
        self.sd = np.where(sd > 0, sd, 1.0)

    def state(self) -> dict[str, Any]:
        numbers = {name: getattr(self, name).tolist() for name in ("mean", "sd", "low", "high")}
        return super().state() | numbers | {"log": self.log}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.mean, self.sd, self.low, self.high = (np.array(state[name]) for name in ("mean", "sd", "low", "high"))
        self.log = bool(state["log"])

    def encode(self, targets: Floats) -> NDArray[np.float32]:
        return np.asarray((self._scaled(targets) - self.mean) / self.sd, np.float32)

    def target(self, batch: Batch | Fed, device: torch.device) -> tuple[Tensor, Tensor | None]:
        return _targets(batch, device), None

    def probs(self, logits: Tensor) -> Tensor:
        mean, sd, low, high = (
            torch.as_tensor(a, dtype=torch.float32, device=logits.device)
            for a in (self.mean, self.sd, self.low, self.high)
        )
        numbers = logits * sd + mean
        return (torch.expm1(numbers) if self.log else numbers).clamp(low, high)

    def adjusted(self, probs: Array) -> Array:
        config, values = self.recipe.predict.settled, np.asarray(probs)
        if config.clip is not None and config.clip != TUNED:
            low, high = config.clip
            values = np.minimum(np.maximum(values, low), high)
        if config.cuts is not None and config.cuts != TUNED:
            values = rated(values, config.cuts, config.lowest)
        return values

    def truth(self, targets: Floats) -> Array:
        return targets[:, 0] if self.outputs == 1 else targets

    def predicted(self, probs: Array) -> Array:
        numbers = super().predicted(probs).astype(np.float64)
        return np.rint(numbers) if self.metric.whole_numbers else numbers

    def _scaled(self, targets: Floats) -> Floats:
        return np.log1p(targets) if self.log else targets


def _targets(batch: Batch | Fed, device: torch.device) -> Tensor:
    """The batch's targets on the device, float32 (N, outputs)."""
    assert batch.targets is not None
    return torch.as_tensor(batch.targets).to(device, non_blocking=True)
