"""Batch norm over the samples of all devices: one batch, whatever the number of devices."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
import torch.distributed._functional_collectives as functional
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class _Sum(torch.autograd.Function):
    """The sum over all processes, as a step of the graph that they share."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # type: ignore[override]
        return _summed(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _summed(gradient)


def _summed(values: Tensor) -> Tensor:
    if torch.compiler.is_dynamo_compiling():
        everybody: Any = dist.group.WORLD
        return functional.all_reduce(values.contiguous(), "sum", everybody)
    total = values.contiguous().clone()
    dist.all_reduce(total)
    return total


class GpuNorm(nn.SyncBatchNorm):
    """torch's, with what timm's norms do behind the norm.

    torch's breaks what is compiled into pieces, so there it is written out, and fused with what is around it.
    """

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        whole = self.training and dist.is_initialized() and torch.compiler.is_dynamo_compiling()
        normed: Tensor = self.act(self.drop(_over_all(self, input) if whole else super().forward(input)))
        return normed


class CpuNorm(_BatchNorm):
    """The same for the CPU, where torch has none: mean and variance of all devices' samples, each by its own count."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        whole = self.training and dist.is_initialized()
        normed: Tensor = self.act(self.drop(_over_all(self, input) if whole else super().forward(input)))
        return normed

    def _check_input_dim(self, input: Tensor) -> None:
        """Any number of dimensions."""


def _over_all(norm: _BatchNorm, x: Tensor) -> Tensor:
    axes, shape = [0, *range(2, x.ndim)], (1, -1, *[1] * (x.ndim - 2))
    own, n = x.float(), torch.full((1,), x.numel() / x.shape[1], device=x.device)
    sums = _Sum.apply(torch.cat([own.sum(axes), n]))
    count = sums[-1].detach()
    mean = sums[:-1] / count
    centred = own - mean.view(shape)
    variance = _Sum.apply(centred.square().sum(axes)) / count
    _remember(norm, mean.detach(), (variance * count / (count - 1).clamp(min=1)).detach())
    normed = centred * (variance + norm.eps).rsqrt().view(shape)
    if norm.affine:
        normed = normed * norm.weight.view(shape) + norm.bias.view(shape)
    return normed.to(x.dtype).contiguous(memory_format=_format(x))


@torch.no_grad()
def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
    if not norm.track_running_stats or norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked.add_(1)
    share = 1 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    norm.running_mean.lerp_(mean, share)
    norm.running_var.lerp_(variance, share)


def _format(x: Tensor) -> torch.memory_format:
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def with_sync_norm(model: nn.Module) -> nn.Module:
    """The model with every batch norm over all devices; parameters and statistics stay the same tensors."""
    if isinstance(model, _BatchNorm):
        return _synced(model)
    for name, child in model.named_children():
        setattr(model, name, with_sync_norm(child))
    return model


def _synced(norm: _BatchNorm) -> _BatchNorm:
    kind = GpuNorm if norm.running_mean is not None and norm.running_mean.is_cuda else CpuNorm
    found = kind(norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats)
    found.weight, found.bias = norm.weight, norm.bias
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        setattr(found, name, getattr(norm, name))
    found.drop, found.act = getattr(norm, "drop", nn.Identity()), getattr(norm, "act", nn.Identity())
    return found.train(norm.training)
