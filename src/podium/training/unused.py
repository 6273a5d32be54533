"""Parameters that no output depends on: whoever waits for their gradients has to know."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from podium.training.device import forked_random


def unused_parameters(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> list[str]:
    """The names of the trainable parameters that the outputs of a training step do not depend on.

    Args:
        inputs: The arguments of the model, on its device. Running statistics are put back afterwards.
    """
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    was_training = model.training
    model.train()
    try:
        with forked_random(), autocast():
            outputs = model(*inputs)
    finally:
        model.train(was_training)
        with torch.no_grad():
            for name, buffer in model.named_buffers():
                buffer.copy_(buffers[name])
    found = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    reached = _leaves([output.grad_fn for output in found])
    return [name for name, p in model.named_parameters() if p.requires_grad and id(p) not in reached]


def _leaves(nodes: list[Any]) -> set[int]:
    """Ids of the tensors at the ends of a graph."""
    seen, found, waiting = set[Any](), set[int](), [node for node in nodes if node is not None]
    while waiting:
        node = waiting.pop()
        if node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.add(id(node.variable))
        waiting += [before for before, _ in node.next_functions if before is not None]
    return found
