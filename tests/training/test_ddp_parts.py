"""What several devices are refused, shares, synced norms, and other small parts of training on several of them."""

from __future__ import annotations

import copy
import pickle
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ddp_runs import run, same
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch._dynamo.backends.debugging import aot_eager

from podium.errors import ConfigError
from podium.training.device import count_devices, forked_random
from podium.training.fold_run import FoldData
from podium.training.launch import launch
from podium.training.memory import Probe, auto_batch
from podium.training.ranks import Ranks, SharedHardness
from podium.training.sync_norm import CpuNorm, GpuNorm, with_sync_norm
from podium.training.unused import unused_parameters


def test_what_cannot_be_shared_is_refused_before_anything_is_made(fold_data: FoldData, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'train\.batch_size' is 1, and 'train\.devices' 2"):
        run(fold_data, tmp_path, 2, "train.batch_size=1")
    with pytest.raises(ConfigError, match=r"an epoch has 1 sample, and 'train\.devices' is 2"):
        run(fold_data, tmp_path, 2, "sampling.per_epoch=1")
    with pytest.raises(ConfigError, match=r"'train\.devices' is 64, and there are"):
        run(fold_data, tmp_path, 64)
    assert not list(tmp_path.iterdir())


def test_auto_is_one_device_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert count_devices("auto") == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert count_devices("auto") == 4
    with pytest.raises(ConfigError, match="is 5, and there are 4 GPUs"):
        count_devices(5)


@given(st.integers(1, 60), st.integers(1, 8))
def test_shares_are_even_and_leave_nothing_out(size: int, ranks: int) -> None:
    shares = []
    for rank in range(ranks):
        one = Ranks()
        one.rank, one.size = rank, ranks
        shares.append(list(range(size))[one.share(size)])
    assert list(chain(*shares)) == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize(("per_sample", "devices", "batch"), [(2**30 // 100, 4, 256), (2**30, 2, 16), (2**36, 2, 4)])
def test_the_batch_that_fits_is_of_all_devices(per_sample: int, devices: int, batch: int) -> None:
    assert auto_batch(Probe(per_sample, 0), 10_000, "cuda", 2**34, devices) == batch


def test_a_synced_norm_alone_is_the_plain_one() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Sequential(nn.BatchNorm2d(4)))
    synced = with_sync_norm(copy.deepcopy(plain))
    assert plain.state_dict().keys() == synced.state_dict().keys()
    x = torch.randn(2, 3, 5, 5)
    for _ in range(2):
        assert torch.equal(plain(x), synced(x))
        plain.eval(), synced.eval()
    assert sum(isinstance(m, CpuNorm) for m in synced.modules()) == 2
    assert not any(type(m) is nn.BatchNorm2d for m in synced.modules())


def test_a_synced_norm_does_what_timm_does_behind_it() -> None:
    norm_act = pytest.importorskip("timm.layers").BatchNormAct2d(4)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(with_sync_norm(copy.deepcopy(norm_act))(x), norm_act(x))


def synced(ranks: Ranks, folder: Path, momentum: float | None) -> None:
    """Uneven shares through a norm: output, gradients and statistics, put together."""
    norm, x = with_sync_norm(nn.BatchNorm2d(3, momentum=momentum)), samples()[ranks.share(5)].requires_grad_()
    out = norm(x)
    (out * samples()[ranks.share(5)].cos()).sum().backward()
    found = {
        "out": out.detach(),
        "input": x.grad,
        "weight": norm.weight.grad,
        "mean": norm.running_mean,
        "var": norm.running_var,
    }
    parts = ranks.gather(found)
    if ranks.first:
        whole = {k: torch.cat([p[k] for p in parts]) for k in ("out", "input")}
        torch.save(found | whole | {"weight": sum(p["weight"] for p in parts)}, folder / "found.pt")


def synced_and_compiled(ranks: Ranks, folder: Path) -> None:
    """As `synced`, of the norm of GPUs as it is where it is compiled."""
    net, x = GpuNorm(3), samples()[ranks.share(5)].requires_grad_()
    net.drop, net.act = nn.Identity(), nn.Identity()
    broken: list[Any] = []
    compiled = torch.compile(net, backend=lambda graph, given: broken.append(graph) or aot_eager(graph, given))
    out = compiled(x)
    (out * samples()[ranks.share(5)].cos()).sum().backward()
    found = {"out": out.detach(), "input": x.grad, "weight": net.weight.grad}
    parts = ranks.gather(found | {"graphs": len(broken)})
    if ranks.first:
        whole = {k: torch.cat([p[k] for p in parts]) for k in ("out", "input")}
        told = {"mean": net.running_mean, "var": net.running_var, "graphs": max(p["graphs"] for p in parts)}
        torch.save(whole | told | {"weight": sum(p["weight"] for p in parts)}, folder / "found.pt")


@pytest.mark.slow
def test_the_norm_of_gpus_is_that_of_the_whole_batch_when_compiled_and_in_one_piece(tmp_path: Path) -> None:
    launch(2, synced_and_compiled, tmp_path)
    found, norm, x = torch.load(tmp_path / "found.pt"), nn.BatchNorm2d(3), samples().requires_grad_()
    out = norm(x)
    (out * samples().cos()).sum().backward()
    assert found["graphs"] == 1
    for name, value in {"out": out, "input": x.grad, "weight": norm.weight.grad}.items():
        assert value is not None
        assert torch.allclose(found[name], value, atol=1e-5), name
    assert torch.allclose(found["mean"], norm.running_mean)
    assert torch.allclose(found["var"], norm.running_var)


def samples() -> torch.Tensor:
    return torch.randn(5, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * 3 + 50


@pytest.mark.slow
@pytest.mark.parametrize("momentum", [0.1, None])
def test_a_synced_norm_is_the_norm_of_the_whole_batch(momentum: float | None, tmp_path: Path) -> None:
    launch(2, synced, tmp_path, momentum)
    found, norm, x = torch.load(tmp_path / "found.pt"), nn.BatchNorm2d(3, momentum=momentum), samples().requires_grad_()
    out = norm(x)
    (out * samples().cos()).sum().backward()
    wanted = {
        "out": out,
        "input": x.grad,
        "weight": norm.weight.grad,
        "mean": norm.running_mean,
        "var": norm.running_var,
    }
    for name, value in wanted.items():
        assert torch.allclose(found[name], value, atol=1e-4), name


def test_parameters_that_no_output_depends_on_are_found() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))
    model.spare, model.frozen = nn.Linear(2, 2), nn.Linear(2, 2).requires_grad_(False)
    model.forward = lambda x: model[2](model[1](model[0](x)))  # type: ignore[method-assign]
    before = copy.deepcopy(model.state_dict())
    assert unused_parameters(model, (torch.randn(2, 3, 4, 4),)) == ["spare.weight", "spare.bias"]
    assert same(before, model.state_dict())


def test_hardness_is_put_together_in_the_order_of_the_steps() -> None:
    class Two(Ranks):
        def gather(self, value: Any) -> list[Any]:
            return [value, [{5: 0.5}, {1: 0.1}]]

    hardness = SharedHardness(Two())
    hardness.update([1], [0.9])
    hardness.update([2], [0.2])
    hardness.begin_epoch()
    assert hardness.losses == {1: 0.1, 5: 0.5, 2: 0.2}


def test_stores_travel_by_their_folder(fold_data: FoldData) -> None:
    sent = pickle.dumps(fold_data)
    assert len(sent) < 100_000
    there = pickle.loads(sent)
    assert there.stores.images.folder == fold_data.stores.images.folder
    assert np.array_equal(there.stores.truth.mask(3), fold_data.stores.truth.mask(3))
    assert there.folds.fold == fold_data.folds.fold


def test_drawing_on_the_side_leaves_the_gpus_of_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with forked_random():
        drawn = torch.rand(3)
    assert torch.equal(torch.rand(3), drawn)
    asked: list[Any] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: asked.append(devices))
    forked_random()
    assert asked == [[1]]
