"""Masks decided on the device are those that the host decides, and as `bits.pack` packs them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import predictor_of

from podium.data.geometry import resize
from podium.formats import bits
from podium.inference.on_device import OnDevice, packed, resized


def smooth(rng: np.random.Generator, h: int, w: int, outputs: int) -> np.ndarray:
    """Probabilities as networks give them: most of them sure, with edges between."""
    coarse = rng.random((max(2, h // 6), max(2, w // 6), outputs)).astype(np.float32)
    fine = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC).reshape(h, w, outputs)
    return (255 / (1 + np.exp(-12 * (fine - 0.5)))).round().astype(np.uint8)


@given(st.integers(1, 40), st.integers(1, 70), st.integers(0, 2**31))
def test_packed_as_the_host_packs(h, w, seed):
    masks = np.random.default_rng(seed).random((2, h, w)) < 0.4
    found = packed(torch.from_numpy(masks)).numpy()
    assert (found == np.stack([bits.pack(m) for m in masks])).all()


@given(st.tuples(*[st.integers(1, 60)] * 4), st.integers(0, 2**31))
def test_resized_as_the_host_resizes(sides, seed):
    """Growing to the last bit; shrinking but for sums that a float rounds."""
    h, w, height, width = sides
    probs = np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)
    ours = resized(torch.from_numpy(probs).permute(2, 0, 1).int(), (height, width)).permute(1, 2, 0).numpy()
    gap = np.abs(ours - resize(probs, (height, width)).astype(int))
    if height > h or width > w:
        assert gap.max() == 0
    else:
        assert gap.max() <= 1
        assert (gap > 0).mean() <= 0.05 or gap.size < 60


CASES = [
    ("plain", (), (40, 61)),
    ("plain", ("predict.threshold=0.3", "input.size=[24, 40]"), (50, 77)),
    ("plain", ("input.size=[64, 96]",), (40, 61)),
    ("plain", ('input.crop="centre 32"',), (40, 61)),
    ("overlapping", ("predict.threshold=[0.3, 0.7]", "input.size=[24, 40]"), (50, 77)),
    ("class map", ("input.size=[24, 40]",), (50, 77)),
    ("class map", (), (30, 41)),
]


@pytest.mark.parametrize(("name", "changes", "shape"), CASES)
def test_decides_as_the_host(name, changes, shape):
    predictor = predictor_of(name, *changes)
    task, preprocess = predictor.task, predictor.preprocess
    decide = OnDevice.of(task, preprocess)
    h, w = preprocess.spatial.shape(shape)
    probs = smooth(np.random.default_rng(1), h, w, task.outputs)
    host = task.decided(probs, shape, preprocess)
    if host.ndim == 2:
        host = host == np.arange(task.outputs)[:, None, None]
    found = np.stack([bits.unpack(m, shape[1]) for m in decide(torch.from_numpy(probs), shape).numpy()])
    assert found.shape == host.shape
    assert (found != host).mean() <= (0.001 if preprocess.spatial.shape(shape) > shape else 0)
    assert 0.1 < host.mean() < 0.9


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("plain", ["predict.min_area=9"]),
        ("plain", ["predict.fill_holes=true"]),
        ("class map", ["predict.min_area=5"]),
        ("objects", []),
    ],
)
def test_what_looks_at_more_than_a_pixel_is_left_to_the_host(name, changes):
    predictor = predictor_of(name, *changes)
    assert OnDevice.of(predictor.task, predictor.preprocess) is None
