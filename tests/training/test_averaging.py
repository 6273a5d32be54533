"""Averages of weights: what they are, and that the model's own stay untouched."""

from __future__ import annotations

import contextlib
import copy

import torch
from torch import nn

from podium.recipe import TrainConfig
from podium.training.averaging import Average, create_average


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def moved(net: nn.Module, by: float) -> None:
    with torch.no_grad():
        for p in net.parameters():
            p.add_(by)
        net[1].running_mean.add_(by)  # type: ignore[index,operator,union-attr]
        net[1].num_batches_tracked.add_(1)  # type: ignore[index,operator,union-attr]


def test_swa_is_the_plain_mean_of_the_weights_since_its_moment() -> None:
    net = model()
    average = Average(net, None, since=0.5)
    seen = []
    for step in range(10):
        moved(net, 0.1 * step)
        average.update(step / 10)
        if step >= 5:
            seen.append(copy.deepcopy(net.state_dict()))
    found = average.weights()
    for name, value in found.items():
        if value.is_floating_point():
            assert torch.allclose(value, torch.stack([s[name] for s in seen]).mean(0), atol=1e-6)
    assert found["1.num_batches_tracked"] == net.state_dict()["1.num_batches_tracked"] == 10


def test_ema_follows_its_formula() -> None:
    net = model()
    average, decay = Average(net, 0.3), 0.3
    mean = None
    for step in range(8):
        moved(net, 1.0)
        average.update(0)
        weight, d = net.state_dict()["0.weight"], min(decay, (1 + step) / (10 + step))
        mean = weight if mean is None else mean
        mean = (torch.as_tensor(mean) * d + weight * (1 - d)) if step else None or _first(net, d)
    assert mean is not None
    assert torch.allclose(average.weights()["0.weight"], mean, atol=1e-5)


def _first(net: nn.Module, d: float) -> torch.Tensor:
    """After the first step: the weights before it count d."""
    now = net.state_dict()["0.weight"]
    return (now - 1.0) * d + now * (1 - d)


def test_the_model_has_the_average_within_the_block_alone() -> None:
    net = model()
    average = Average(net, None)
    for _ in range(3):
        moved(net, 1.0)
        average.update(0)
    own = copy.deepcopy(net.state_dict())
    with contextlib.suppress(RuntimeError), average.in_place():
        assert torch.allclose(net.state_dict()["0.weight"], own["0.weight"] - 1.0, atol=1e-6)
        raise RuntimeError
    assert all(torch.equal(own[name], value) for name, value in net.state_dict().items())


def test_before_its_moment_the_weights_are_the_models() -> None:
    net = model()
    average = Average(net, None, since=0.5)
    average.update(0.1)
    moved(net, 1.0)
    assert torch.equal(average.weights()["0.weight"], net.state_dict()["0.weight"])


def test_it_goes_on_from_its_state_as_if_nothing_had_happened() -> None:
    net = model()
    average, twin = Average(net, 0.9), None
    for step in range(6):
        moved(net, 0.5)
        average.update(0)
        if twin is not None:
            twin.update(0)
        if step == 2:
            twin = create_average(TrainConfig(ema=0.9), net)
            assert twin
            twin.load_state(copy.deepcopy(average.state()))
    assert twin is not None
    assert all(torch.equal(a, b) for a, b in zip(average.weights().values(), twin.weights().values(), strict=True))


def test_none_unless_asked_for() -> None:
    assert create_average(TrainConfig(), model()) is None
