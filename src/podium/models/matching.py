"""Which tensor of a file belongs to which tensor of a network, when names differ; and tensors made to fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import torch
from torch import Tensor

State = Mapping[str, Tensor]


def match(given: State, target: State, encoder: set[str]) -> tuple[str, dict[str, str]]:
    """How names correspond, and {name in the target: name given}, the way that fits most tensors.

    Args:
        encoder: Names of the target whose pairing, in order, is worth something without the rest.
    """
    way, best = "by name", {name: name for name in target if name in given}
    fits = _fitting(best, given, target)
    if fits == len(target):
        return way, best
    ours = _beginnings(target)
    strange = [cut for cut in _beginnings(given) if not cut or cut not in ours]  # a part the model has is that part
    for cut, add in product(strange, ours):
        pairs = {add + name.removeprefix(cut): name for name in given if name.startswith(cut)}
        pairs = {name: source for name, source in pairs.items() if name in target}
        if (found := _fitting(pairs, given, target)) > fits:
            way, best, fits = f"by name, '{cut}…' as '{add}…'", pairs, found
    ordered = _in_order(given, target)
    whole = len(ordered) == len(_without_aliases(given)) or encoder <= ordered.keys()
    if whole and _fitting(ordered, given, target) > fits:
        return "in order", ordered
    return way, best


def adapted(tensor: Tensor, shape: Sequence[int], *, first: bool) -> tuple[Tensor | None, str]:
    """A tensor of that shape, and what was done to it; None where nothing sensible can be done.

    Args:
        first: Whether it is of the first convolution, whose channels may differ.
    """
    if tuple(tensor.shape) == tuple(shape):
        return tensor, ""
    if (
        first
        and tensor.ndim == len(shape) == 4
        and tensor.shape[0] == shape[0]
        and tensor.shape[2:] == tuple(shape[2:])
    ):
        return adapt_channels(tensor, shape[1])
    dense = tensor.ndim == 2 and len(shape) == 4 and tensor.shape[0] == shape[0]
    if dense and tensor.numel() == torch.Size(shape).numel():
        return tensor.reshape(*shape), "a fully connected layer as a convolution"
    return None, ""


def adapt_channels(weight: Tensor, channels: int) -> tuple[Tensor, str]:
    """A first convolution's weights (F, C, k, k) for another number of channels.

    One channel: the sum over C, as if a grey image were fed to all. More or fewer: those of the file over and over,
    times C / channels, so that features keep their size. Source: timm, ``adapt_input_conv``.
    """
    before = weight.shape[1]
    if channels == 1:
        return weight.float().sum(1, keepdim=True), f"the sum over {before} input channels"
    repeated = weight.float()[:, torch.arange(channels) % before] * (before / channels)
    return repeated, f"{before} input channels repeated to {channels}, times {before}/{channels}"


def _fitting(pairs: Mapping[str, str], given: State, target: State) -> int:
    return sum(given[source].shape == target[name].shape for name, source in pairs.items())


def _beginnings(state: State) -> list[str]:
    """ "", and the first one and two components of names with a dot behind."""
    parts = [name.split(".") for name in state]
    return ["", *dict.fromkeys(".".join(p[:n]) + "." for n in (1, 2) for p in parts if len(p) > n)]


def _without_aliases(state: State) -> dict[str, Tensor]:
    """One name for each tensor: modules that are used under two names are stored under both."""
    seen: set[tuple[int, torch.Size]] = set()
    result: dict[str, Tensor] = {}
    for name, tensor in state.items():
        key = (tensor.data_ptr(), tensor.shape)
        if key not in seen or not tensor.numel() or not tensor.data_ptr():
            result[name] = tensor
        seen.add(key)
    return result


def _modules(state: State) -> list[dict[str, str]]:
    """The modules in order, each as {last component: name}: files differ in the order within a batch norm."""
    result: dict[str, dict[str, str]] = {}
    for name in state:
        module, _, leaf = name.rpartition(".")
        result.setdefault(module, {})[leaf] = name
    return list(result.values())


def _in_order(given: State, target: State) -> dict[str, str]:
    """Module by module from the first on, as long as the tensors are alike."""
    pairs: dict[str, str] = {}
    for n, (theirs, ours) in enumerate(zip(_modules(_without_aliases(given)), _modules(target), strict=False)):
        if theirs.keys() != ours.keys():
            break
        here = {ours[leaf]: theirs[leaf] for leaf in ours}
        odd = [name for name in here if adapted(given[here[name]], target[name].shape, first=n == 0)[0] is None]
        if odd:
            break
        pairs |= here
    return pairs
