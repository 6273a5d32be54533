"""The streamed pass: threads read images, the device predicts them, threads turn predictions into answers, in order.

Each stage runs a few batches ahead of the next and no further, so that the device waits for nobody and memory does not
grow with the number of images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podium.cores import usable_cores
from podium.data.geometry import Canvas
from podium.data.loader import neighbours, single_thread_cv2
from podium.data.store import ordered_map
from podium.inference.on_device import OnDevice
from podium.inference.sources import TestSet
from podium.training.evaluate import Predictor

Array = NDArray[Any]
Chunk = tuple[Canvas, list[int]]
T = TypeVar("T")

MOST_THREADS = 8
AHEAD = 2
"""Batches for each thread."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is predicted of an image.

    Attributes:
        values: Of pixels probabilities, uint8 (H, W, outputs), of the input size; of a table float32 (outputs,), or
            (members, outputs) where members are ranked. None where only ``packed`` was asked for.
        packed: Masks decided on the device, as `OnDevice` gives them.
    """

    values: Array | None
    packed: Array | None = None


Answer = Callable[[int, Found], T]
"""From a row and what is predicted of it; called in threads."""


class Pipeline:
    """Predictions of test images, each made into an answer.

    Args:
        decide: Decides on the device; None: probabilities come to the host.
        keep: Whether probabilities are wanted beside decisions.
    """

    def __init__(
        self, predictor: Predictor, test: TestSet, *, decide: OnDevice | None = None, keep: bool = False
    ) -> None:
        self.predictor, self.test, self.decide, self.keep = predictor, test, decide, keep
        self.device = predictor.fabric.device
        self.threads = max(1, min(MOST_THREADS, usable_cores()))

    def chunks(self, rows: Sequence[int], batch_size: int) -> list[Chunk]:
        """The batches of some images: neighbours of one frame."""
        return neighbours(self.test.images, rows, self.predictor.preprocess.canvas, batch_size)

    def run(self, chunks: Iterable[Chunk], answer: Answer[T]) -> Iterator[list[T]]:
        """The answers of each batch, in order."""
        single_thread_cv2()
        read = ordered_map(self._read, chunks, workers=min(4, self.threads), ahead=AHEAD)
        on_the_way = map(self._predicted, read)

        def answers(batch: _Batch) -> list[T]:
            return [answer(row, found) for row, found in zip(batch.rows, batch.wait(), strict=True)]

        return ordered_map(answers, on_the_way, workers=self.threads, ahead=AHEAD)

    def _read(self, chunk: Chunk) -> tuple[Chunk, Tensor]:
        frame, rows = chunk
        pixels = torch.from_numpy(np.stack([frame.place(self.test.images.image(row)) for row in rows]))
        return chunk, pixels.pin_memory() if self.device.type == "cuda" else pixels

    @torch.inference_mode()
    def _predicted(self, read: tuple[Chunk, Tensor]) -> _Batch:
        """Have the device predict a batch; it is not waited for."""
        (frame, rows), pixels = read
        inputs = [self.test.inputs[row] for row in rows] if self.test.inputs else []
        predictor = self.predictor
        if not predictor.task.dense:
            return _Batch.of(rows, list(predictor.on_device(pixels, inputs)), [])
        probs = predictor.on_device(pixels, inputs)
        whole = [p[frame.inside(self.test.images.shape(row))] for row, p in zip(rows, probs, strict=True)]
        if self.decide is None:
            return _Batch.of(rows, whole, [])
        decided = [self.decide(p, self.test.images.original(row)) for row, p in zip(rows, whole, strict=True)]
        return _Batch.of(rows, whole if self.keep else [], decided)


@dataclass(frozen=True, slots=True)
class _Batch:
    """A batch on its way from the device to the host."""

    rows: list[int]
    values: list[Tensor]
    packed: list[Tensor]
    arrived: Any

    @classmethod
    def of(cls, rows: list[int], values: list[Tensor], packed: list[Tensor]) -> _Batch:
        """Set it on its way."""
        values, packed = [_to_host(t) for t in values], [_to_host(t) for t in packed]
        cuda = any(t.is_pinned() for t in (*values, *packed)) if torch.cuda.is_available() else False
        return cls(rows, values, packed, torch.cuda.current_stream().record_event() if cuda else None)

    def wait(self) -> list[Found]:
        """What is predicted of each image, once it is there."""
        if self.arrived is not None:
            self.arrived.synchronize()
        none: list[None] = [None] * len(self.rows)
        each = zip(self.values or none, self.packed or none, strict=True)
        return [Found(None if v is None else v.numpy(), None if p is None else p.numpy()) for v, p in each]


def _to_host(found: Tensor) -> Tensor:
    if found.device.type != "cuda":
        return found.contiguous()
    there = torch.empty(found.shape, dtype=found.dtype, pin_memory=True)
    return there.copy_(found, non_blocking=True)
