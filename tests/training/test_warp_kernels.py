"""The kernels of a GPU, run by triton's interpreter on the CPU: equal, bit for bit, to `gather`."""

import importlib
import sys

import numpy as np
import pytest
import torch

from podium.training import gather

SIZE = (21, 37)


@pytest.fixture(scope="module")
def kernels():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_INTERPRET", "1")
        before = sys.modules.pop("podium.training.warp_kernels", None)
        yield importlib.import_module("podium.training.warp_kernels")
        del sys.modules["podium.training.warp_kernels"]
        if before is not None:
            sys.modules["podium.training.warp_kernels"] = before


def drawn(seed: int):
    """Five images with every border, their masks behind them, and where the frames come from."""
    rng = np.random.default_rng(seed)
    shapes = np.array([(31, 45), (1, 7), (20, 1), (8, 60), (33, 33)])
    areas = shapes.prod(1)
    ends = np.cumsum(4 * areas)
    starts = (rng.uniform(-60, 80, (5, 2)) * 2**32).round()
    steps = (rng.uniform(-1.5, 1.5, (5, 4)) * 2**32).round()
    steps[4], starts[4] = (2**32, 0, 0, 2**32), (-(2**32), 3 * 2**32)  # copied
    starts[3, 0] = -(2.0**60)  # looks at nothing but the border
    at = ends - 4 * areas
    flat = rng.integers(0, 256, int(ends[-1]), np.uint8)
    borders = [gather.REFLECT, gather.CONSTANT, gather.REFLECT, 1, seed % 3]
    arrays = [at, shapes, starts, steps, np.array(borders)]
    places = [torch.from_numpy(np.asarray(a).astype(np.int64)) for a in arrays]
    mask_places = [torch.from_numpy((at + 3 * areas).astype(np.int64)), *places[1:]]
    colours = np.concatenate([rng.uniform(-0.5, 1.2, (5, 3, 3)) / 128, rng.uniform(-40, 40, (5, 3, 1))], 2)
    coloured = torch.tensor([True, False, True, True, False])
    table = torch.from_numpy(colours.astype(np.float32))
    return torch.from_numpy(flat), gather.Places(*places), gather.Places(*mask_places), table, coloured


@pytest.mark.parametrize("seed", range(3))
def test_the_kernels_warp_and_colour_as_gather_does(kernels, seed):
    flat, places, mask_places, colours, coloured = drawn(seed)
    made = kernels.images(flat, places, colours, coloured, SIZE)
    assert torch.equal(made, gather.images(flat, places, colours, coloured, SIZE))
    for outside in (0, 1, 255):
        made = kernels.masks(flat, mask_places, outside, SIZE)
        assert torch.equal(made, gather.masks(flat, mask_places, outside, SIZE))


def test_they_are_tried_out_before_they_are_used(kernels, monkeypatch):
    kernels.try_out(torch.device("cpu"))
    monkeypatch.setattr(kernels, "masks", lambda *_: torch.zeros(1, 1, 1, dtype=torch.uint8))
    with pytest.raises(RuntimeError, match="compute something else"):
        kernels.try_out(torch.device("cpu"))


@pytest.mark.parametrize("error", [None, ImportError("No module named 'triton'"), RuntimeError("no C compiler\nx")])
def test_where_they_do_not_work_the_gpu_goes_step_by_step_and_says_so(kernels, monkeypatch, capsys, error):
    def try_out(device):
        if error is not None:
            raise error

    gather.fused.cache_clear()
    monkeypatch.setattr(kernels, "try_out", try_out)
    monkeypatch.setattr("podium.training.warp_kernels", kernels, raising=False)
    found = gather.fused(torch.device("cuda"))
    gather.fused.cache_clear()
    assert found is (None if error else kernels)
    assert gather.fused(torch.device("cpu")) is None
    told = capsys.readouterr()
    assert ("triton does not work here" in told.out + told.err) == (error is not None)
