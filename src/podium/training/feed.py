"""From the loader to the device: batches as normalised tensors, the next one under way while one is trained on.

On a GPU the loader fills pinned memory, copies run beside the training on a stream of their own, and where the recipe
allows it the images are warped and coloured there: from the parts that the loader sends, or from the whole store, if
that lies on the device.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podium.data.augment.orders import unordered
from podium.data.loader import Batch, TrainLoader
from podium.data.windows import WindowLoader, Windows
from podium.training import gather
from podium.training.device import Normalize

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Fed:
    """A batch on the device.

    Attributes:
        rows: Of the samples in the store, (N,), on the host.
        images: (N, C, H, W), normalised, channels last.
        masks, targets, inputs, second, shares: As `Batch` has them.
        unmixed: See `Batch`; known here without waiting for the device.
    """

    rows: NDArray[np.int64]
    images: Tensor
    masks: Tensor
    targets: Tensor | None = None
    inputs: Tensor | None = None
    second: Tensor | None = None
    shares: Tensor | None = None
    unmixed: bool = field(default=False, kw_only=True)

    def tensors(self) -> list[Tensor]:
        """All that lies on the device."""
        found = (self.images, self.masks, self.targets, self.inputs, self.second, self.shares)
        return [tensor for tensor in found if tensor is not None]

    def part(self, which: slice) -> Fed:
        """Some of its samples, sharing memory."""
        rest = (None if a is None else a[which] for a in (self.targets, self.inputs, self.second, self.shares))
        return Fed(self.rows[which], self.images[which], self.masks[which], *rest, unmixed=self.unmixed)


class Feed:
    """The batches of a loader on a device.

    Args:
        loader: On a GPU its memory becomes pinned. A `WindowLoader` can be warped on the device.
        how: `input.normalize`.
        warp: Whether to warp and colour there from the beginning.
        bring: Whether then also to bring all images there, if they fit.
    """

    def __init__(
        self,
        loader: TrainLoader,
        device: torch.device,
        how: str,
        *,
        warp: bool = False,
        bring: bool = True,
    ) -> None:
        self.loader, self.device = loader, device
        self.normalize = Normalize(how, device)
        self.stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        if self.stream is not None:
            loader.pin(_pinned, self._fence)
        self.warper: WindowLoader | None = None
        self.pixels: Tensor | None = None
        if warp:
            self.relieve(bring=bring)

    def relieve(self, *, bring: bool = True) -> bool:
        """Warp and colour on the device from the next epoch on; says whether that is something new.

        Args:
            bring: Whether also to bring all images there, if they fit.
        """
        loader, before = self.loader, (self.warper, self.pixels)
        rgb = loader.channels == 3 and loader.dtype == np.uint8
        if not rgb or not isinstance(loader, WindowLoader):
            return False
        if bring:
            loader.resident = loader.resident or loader.bring()
        self.warper, self.pixels = loader, loader.resident.pixels if loader.resident else None
        return before[0] is None or (before[1] is None and self.pixels is not None)

    def __len__(self) -> int:
        return len(self.loader)

    def told(self) -> str:
        """What is done where, for the log."""
        if self.warper is None:
            return "images are augmented on the CPU"
        left = unordered(self.loader.recipe.augment)
        where = "lie on the device" if self.pixels is not None else "are sent as they are stored"
        told = f"images {where}, the device warps and colours them"
        return told + (f"; on the CPU where a sample gets: {', '.join(left)}" if left else "")

    def epoch(self, seed: int, epoch: int, skip: int = 0) -> Iterator[Fed]:
        """The batches of `TrainLoader.epoch`, the same on every device."""
        if self.warper is not None:
            yield from self._ahead(self.warper.windows(seed, epoch, skip), self._warped)
        else:
            yield from self._ahead(self.loader.epoch(seed, epoch, skip), self._copied)

    def _ahead(self, batches: Iterator[Any], bring: Callable[[Any], Fed]) -> Iterator[Fed]:
        """Each batch on the device; on a GPU the next one is brought before one is handed over."""
        if self.stream is None:
            yield from map(bring, batches)
            return
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        waiting: tuple[Fed, Any] | None = None
        for batch in batches:
            with torch.cuda.stream(self.stream):
                coming = (bring(batch), self.stream.record_event())
            if waiting is not None:
                yield self._arrived(*waiting)
            waiting = coming
        if waiting is not None:
            yield self._arrived(*waiting)

    def _arrived(self, fed: Fed, event: Any) -> Fed:
        current = torch.cuda.current_stream(self.device)
        current.wait_event(event)
        for tensor in fed.tensors():
            tensor.record_stream(current)
        return fed

    def _fence(self) -> Callable[[], None]:
        assert self.stream is not None
        done: Callable[[], None] = self.stream.record_event().synchronize
        return done

    def _copied(self, batch: Batch) -> Fed:
        assert batch.masks is not None
        images, masks = self.normalize(batch.images), self._there(batch.masks)
        return Fed(batch.rows, images, masks, *self._values(batch), unmixed=batch.unmixed)

    def _there(self, array: Any) -> Tensor:
        return torch.from_numpy(array).to(self.device, non_blocking=True)

    def _values(self, batch: Batch) -> list[Tensor | None]:
        values = (batch.targets, batch.inputs, batch.second, batch.shares)
        return [None if value is None else self._there(value) for value in values]

    def _warped(self, windows: Windows) -> Fed:
        flat, keys = self._there(windows.flat), ("shapes", "starts", "steps", "colours", "coloured")
        known = {key: self._there(getattr(windows, key)) for key in keys}
        borders, at, mask_at = (self._there(v) for v in (windows.borders, windows.at, windows.mask_at))
        images = torch.empty((len(at), *windows.size, 3), dtype=torch.uint8, device=self.device)
        masks = torch.zeros((len(at), *windows.size), dtype=torch.uint8, device=self.device)
        for source, which in ((flat, windows.sent), (self.pixels, ~windows.sent)):
            if source is None or not which.any():
                continue
            n = slice(None) if which.all() else self._there(np.flatnonzero(which))
            shapes, starts, steps = (known[key][n] for key in ("shapes", "starts", "steps"))
            places = gather.Places(at[n], shapes, starts, steps, borders[n, 0])
            images[n] = gather.images(source, places, known["colours"][n], known["coloured"][n], windows.size)
            if self.loader.table is None:
                places = gather.Places(mask_at[n], shapes, starts, steps, borders[n, 1])
                masks[n] = gather.masks(source, places, windows.outside, windows.size)
        batch = windows.batch
        return Fed(batch.rows, self.normalize.of(images), masks, *self._values(batch), unmixed=batch.unmixed)


class Waits:
    """Seconds in which the device had nothing to do because a batch was not there yet.

    A GPU works off what it was told while the host makes the next batch: that it took the host some time is no wait.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, 0.0
        self.ask()

    def ask(self) -> None:
        """All work so far is told to the device, and the next batch is asked for."""
        self._last = torch.cuda.current_stream(self.device).record_event() if self.device.type == "cuda" else None
        self._asked = time.monotonic()

    def got(self) -> None:
        """The batch is there."""
        if self._last is None or self._last.query():
            self.seconds += time.monotonic() - self._asked


def feed_of(loader: TrainLoader, device: torch.device, how: str, *, relieved: bool = False) -> Feed:
    """The batches of a training: the device warps and colours from the beginning where one kernel does it.

    Measured on an H200: UNet on crops of 512 at 0.97 of the bare step, at 0.74 when 16 cores warp.

    Args:
        relieved: It waited for batches: it also holds all images, if they fit.
    """
    return Feed(loader, device, how, warp=relieved or gather.fused(device) is not None, bring=relieved)


def _pinned(shape: tuple[int, ...]) -> Pixels:
    return torch.empty(shape, dtype=torch.uint8, pin_memory=True).numpy()
