"""How many samples a step can hold: `train.batch_size = "auto"`, and what to do when memory runs out after all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from podium.data.memory import free_memory
from podium.training.device import forked_random

STEPS_AN_EPOCH = 20
"""A batch is chosen so that an epoch has at least so many steps, if there are samples enough."""

MOST = {"cpu": 16, "mps": 32, "cuda": 64}
"""Larger batches than these rarely learn faster; on a CPU they do not even compute faster."""

SHARE = 0.8
"""Of the free memory that a step may fill."""


@dataclass(frozen=True, slots=True)
class Probe:
    """What one training step was found to need: bytes by sample, and bytes whatever their number."""

    per_sample: int
    fixed: int


def probe(
    model: nn.Module,
    sample: Callable[[int], tuple[Tensor, ...]],
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> Probe:
    """Count the bytes that a forward pass keeps for its backward pass, at two samples.

    Counted as the network runs, in whatever precision it computes: no table of layers, no guess. Running statistics
    are put back afterwards.

    Args:
        sample: From a number of samples to the arguments of the model, on its device.
    """
    n = 2
    kept: dict[int, int] = {}
    parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in parameters:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    was_training = model.training
    model.train()
    try:
        with forked_random(), torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t), autocast():
            outputs = model(*sample(n))
        del outputs
    finally:
        model.train(was_training)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    # the backward pass holds the gradients of two layers' outputs beside what was kept: a quarter more, in practice
    return Probe(per_sample=max(1, round(1.25 * sum(kept.values()) / n)), fixed=4 * weights)


def free_bytes(device: torch.device) -> int:
    """Memory that a training may still take on the device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return free_memory()


def auto_batch(found: Probe, samples: int, device: str, free: int, devices: int = 1) -> int:
    """The largest power of two that fits the memory, leaves an epoch its steps, and is worth while on the device.

    Args:
        found: What `probe` found.
        samples: Training samples.
        free: Bytes of free memory, of each device.
        devices: That share a batch.

    Returns:
        At least 2 for each device where there are so many samples: batch normalisation needs them.
    """
    fits = (SHARE * free - found.fixed) / found.per_sample
    most = min(fits * devices, max(2, samples / STEPS_AN_EPOCH), MOST.get(device, 16) * devices, samples)
    batch = 1
    while batch * 2 <= most:
        batch *= 2
    return max(batch, min(2 * devices, samples))


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's or the machine's memory is full."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("can't allocate memory" in text or "out of memory" in text)


def parts(size: int, pieces: int) -> Iterator[slice]:
    """A batch of ``size`` cut into at most ``pieces`` parts, as even as can be, in order."""
    pieces = max(1, min(pieces, size))
    edges = [size * i // pieces for i in range(pieces + 1)]
    return (slice(a, b) for a, b in pairwise(edges))
