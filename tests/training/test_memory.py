"""What a step needs, what fits, and how a batch is cut."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from podium.training.memory import Probe, auto_batch, is_out_of_memory, parts, probe

GIB = 2**30


def test_the_probe_counts_what_the_layers_keep() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    found = probe(model, lambda n: (torch.zeros(n, 3, 32, 32),))
    image, inner = (
        3 * 32 * 32 * 4,
        8 * 32 * 32 * 4,
    )  # kept: the input, the output of ReLU (its input is the same or one more)
    assert 1.25 * (image + inner) <= found.per_sample <= 1.25 * (image + 2 * inner) + 64
    assert found.fixed == 4 * 4 * sum(p.numel() for p in model.parameters())


def test_the_probe_grows_with_the_image() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 1, 1))
    small, large = (probe(model, lambda n, s=s: (torch.zeros(n, 3, s, s),)).per_sample for s in (16, 64))
    assert large == pytest.approx(16 * small, rel=0.05)


def test_the_probe_leaves_the_model_as_it_was() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Dropout()).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    probe(model, lambda n: (torch.randn(n, 3, 16, 16),))
    assert not model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("per_sample", "samples", "device", "free", "batch"),
    [
        (GIB // 100, 10_000, "cpu", 16 * GIB, 16),  # plenty: what is worth while on the device
        (GIB // 100, 10_000, "cuda", 80 * GIB, 64),
        (GIB, 10_000, "cuda", 16 * GIB, 8),  # 12.8 fit
        (GIB // 100, 100, "cuda", 80 * GIB, 4),  # 20 steps an epoch
        (GIB // 100, 10, "cuda", 80 * GIB, 2),  # batch normalisation needs two
        (GIB // 100, 1, "cuda", 80 * GIB, 1),
        (64 * GIB, 10_000, "cuda", 16 * GIB, 2),  # nothing fits: the loop will cut the batch
    ],
)
def test_the_batch_that_fits(per_sample: int, samples: int, device: str, free: int, batch: int) -> None:
    assert auto_batch(Probe(per_sample, 0), samples, device, free) == batch


@given(st.integers(1, 300), st.integers(1, 40))
def test_parts_cover_the_batch_once_in_order(size: int, pieces: int) -> None:
    cut = list(parts(size, pieces))
    assert [i for part in cut for i in range(size)[part]] == list(range(size))
    sizes = [len(range(size)[part]) for part in cut]
    assert len(cut) == min(size, pieces)
    assert max(sizes) - min(sizes) <= 1


def test_running_out_of_memory_is_told_from_other_errors() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    assert not is_out_of_memory(ValueError("out of memory"))
