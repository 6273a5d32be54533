"""The compiled loops against plain ones and pycocotools, where their blocks and words could go wrong."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.formats import bits, rle


def plain_runs(mask, order="row"):
    """Start and length of each run, pixel by pixel."""
    flat = (mask if order == "row" else mask.T).ravel() != 0
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]]).astype(np.int8)))
    return np.stack([edges[::2], edges[1::2] - edges[::2]], axis=1)


@st.composite
def long_masks(draw):
    """Masks of many blocks of 64, with long runs, short ones, and any foreground value."""
    shape = draw(st.integers(1, 9)), draw(st.integers(1, 400))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size, kind = shape[0] * shape[1], draw(st.sampled_from(["long", "short", "noise", "mixed"]))
    mean = {"long": 150, "short": 3, "noise": 1, "mixed": 30}[kind]
    lengths = rng.geometric(1 / mean, size + 1)
    flat = np.repeat(np.arange(size + 1) % 2, lengths)[:size]
    value = draw(st.sampled_from(["one", "full", "any"]))
    values = {"one": 1, "full": 255, "any": rng.integers(1, 256, size)}[value]
    return (flat * values).astype(np.uint8).reshape(shape)


@given(long_masks(), st.sampled_from(["row", "column"]))
def test_runs_of_pixels_and_bits(mask, order):
    expected = plain_runs(mask, order)
    packed, width = bits.pack(mask), mask.shape[1]
    np.testing.assert_array_equal(rle.runs_of(mask, order), expected)
    np.testing.assert_array_equal(rle.runs_of(mask.astype(np.int32), order), expected)
    np.testing.assert_array_equal(rle.runs_from_packed(packed, width, order), expected)
    text = " ".join(f"{start + 1} {length}" for start, length in expected)
    assert rle.encode(mask, order) == rle.format_runs(expected) == text
    assert rle.encode_packed(packed, width, order).decode() == text
    np.testing.assert_array_equal(rle.decode(text, mask.shape, order), mask != 0)
    filled = packed | np.packbits(np.arange(packed.shape[1] * 8) >= width)  # bits past the width are no pixels
    np.testing.assert_array_equal(rle.runs_from_packed(filled, width, order), expected)


@given(long_masks(), st.integers(0, 2**32 - 1))
def test_overlap_is_that_of_the_pixels(a, seed):
    b = np.roll(a, np.random.default_rng(seed).integers(-9, 10, 2), (0, 1))
    a, b = a != 0, b != 0
    found = rle.overlap(rle.runs_of(a), rle.runs_of(b))
    assert found == ((a & b).sum(), a.sum(), b.sum())
    assert rle.intersection(rle.runs_of(b), rle.runs_of(a)) == found[0]


def test_views_that_do_not_lie_in_a_row():
    big = np.random.default_rng(0).random((40, 301)) < 0.5
    for mask in (big[3:, 5:200], big[::2, ::3], big[:, ::-1], big.T, np.asfortranarray(big)):
        np.testing.assert_array_equal(rle.runs_of(mask), plain_runs(mask))
    packed = bits.pack(big)[5:, :]
    np.testing.assert_array_equal(rle.runs_from_packed(packed, 301), plain_runs(big[5:]))
    np.testing.assert_array_equal(rle.runs_from_packed(packed[::2], 301), plain_runs(big[5::2]))


def test_more_runs_than_there_is_room_for_at_first():
    mask = np.indices((300, 200)).sum(axis=0) % 2
    text = rle.encode(mask)
    assert len(text.split()) == 59_700
    many = [(b"a,", bits.pack(mask), 200), (b"b,", bits.pack(mask * 0), 200), (b"c,", bits.pack(mask), 200)]
    assert rle.encode_lines(many * 3).decode() == f"a,{text}\nb,\nc,{text}\n" * 3
    assert (
        rle.encode_lines(many, "column").decode()
        == f"a,{rle.encode(mask, 'column')}\nb,\nc,{rle.encode(mask, 'column')}\n"
    )


@pytest.mark.parametrize("number", [0, 9, 10, 99, 100, 2**32 - 2, 2**32 - 1, 2**32, 10**17, 10**18 - 2])
def test_numbers_of_any_length(number):
    assert rle.format_runs(np.array([[number, number + 1]])) == f"{number + 1} {number + 1}"


@given(st.text("0123456789 \t\n-x", max_size=24), st.integers(1, 50))
def test_what_is_parsed_is_what_python_reads(text, size):
    words = text.split()
    numbers = [int(w) for w in words] if all(w.isdigit() for w in words) else None
    legal = numbers is not None and len(numbers) % 2 == 0 and all(n > 0 for n in numbers)
    end = 0
    for start, length in zip((numbers or [])[::2], (numbers or [])[1::2], strict=False):
        legal = legal and start > end and start + length - 1 <= size
        end = start + length - 1
    if legal:
        np.testing.assert_array_equal(rle.parse(text, size).ravel()[1::2], numbers[1::2])
        np.testing.assert_array_equal(rle.parse(text, size).ravel()[::2] + 1, numbers[::2])
    else:
        with pytest.raises(rle.RleError):
            rle.parse(text, size)


def test_runs_that_are_no_mask_write_nowhere():
    for runs in ([[5, 10]], [[-3, 2]], [[4, 3], [5, 2]], [[2, -1]], [[10**17, 10**18]]):
        with pytest.raises(rle.RleError, match="of this shape"):
            rle.mask_of(np.array(runs), (3, 4))


def test_a_width_that_the_bytes_are_not():
    with pytest.raises(ValueError, match="2 bytes a row are not 17 pixels"):
        rle.runs_from_packed(np.zeros((3, 2), np.uint8), 17)


def test_against_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(1)
    masks = [(rng.random((37, 53)) < p).astype(np.uint8) for p in (0, 0.02, 0.5, 0.98, 1)]
    theirs = [coco.encode(np.asfortranarray(m)) for m in masks]
    runs = [rle.runs_of(m, "column") for m in masks]
    for mask, their, own in zip(masks, theirs, runs, strict=True):
        assert coco.area(their) == rle.area(own) == mask.sum()
        np.testing.assert_array_equal(coco.decode(their), rle.mask_of(own, mask.shape, "column"))
    for i, a in enumerate(runs):
        for j, b in enumerate(runs):
            both, one, other = rle.overlap(a, b)
            if one + other:
                assert coco.iou([theirs[i]], [theirs[j]], [0])[0, 0] == pytest.approx(both / (one + other - both))


WHERE = """
import numba, sys, tempfile
real = numba.njit
def njit(*functions, **options):
    if options.get("cache") and not (sys.argv[1] == "temporary" and numba.config.CACHE_DIR):
        raise RuntimeError("cannot cache function: no locator available for file")
    return real(*functions, **options)
numba.njit = njit
if sys.argv[1] == "nowhere":
    tempfile.gettempdir = lambda: "/proc/nothing"
from podium.formats import rle
import numpy as np
assert rle.encode(np.eye(3)) == "1 1 5 1 9 1"
"""


@pytest.mark.parametrize("place", ["temporary", "nowhere"])
def test_compiled_code_is_kept_where_it_can_be(tmp_path, place):
    env = {k: v for k, v in os.environ.items() if k != "NUMBA_CACHE_DIR"} | {"TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", WHERE, place], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    folders = list(tmp_path.glob("podium-numba-*"))
    assert len(folders) == (place == "temporary")
    assert all(f.stat().st_mode & 0o777 == 0o700 for f in folders)
