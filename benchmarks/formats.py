"""Run lengths and submission files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from benchmarks.harness import Benchmark, Pair
from benchmarks.scenes import car_mask
from podium.formats import bits, rle
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter


def pasted_encode(img):
    """Every other notebook has this, from Rakhlin's kernel on."""
    pixels = img.flatten()
    pixels = np.concatenate([[0], pixels, [0]])
    runs = np.where(pixels[1:] != pixels[:-1])[0] + 1
    runs[1::2] -= runs[::2]
    return " ".join(str(x) for x in runs)


def pasted_decode(mask_rle, shape):
    """Its companion."""
    s = mask_rle.split()
    starts, lengths = (np.asarray(x, dtype=int) for x in (s[0:][::2], s[1:][::2]))
    starts -= 1
    ends = starts + lengths
    img = np.zeros(shape[0] * shape[1], dtype=np.uint8)
    for lo, hi in zip(starts, ends, strict=True):
        img[lo:hi] = 1
    return img.reshape(shape)


def rle_encode(tiny: bool, folder: Path) -> Pair:
    mask = car_mask(tiny)
    text = rle.encode(mask)
    assert text == pasted_encode(mask)
    return Pair(lambda: rle.encode(mask), lambda: pasted_encode(mask), f"{len(text):,} characters")


def rle_decode(tiny: bool, folder: Path) -> Pair:
    mask = car_mask(tiny)
    text = rle.encode(mask)
    np.testing.assert_array_equal(rle.decode(text, mask.shape), pasted_decode(text, mask.shape))
    return Pair(
        lambda: rle.decode(text, mask.shape), lambda: pasted_decode(text, mask.shape), f"{len(text):,} characters"
    )


def _submission(tiny: bool, folder: Path, name: str) -> Pair:
    import pandas as pd

    count = 7 if tiny else 1000
    masks = [car_mask(tiny, seed) for seed in range(min(count, 20))]
    packed = [bits.pack(m) for m in masks]
    width = masks[0].shape[1]
    ids = [f"{n:016x}" for n in range(count)]
    fmt = SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg")

    def ours() -> None:
        with SubmissionWriter(folder / f"ours_{name}", fmt) as writer:
            for n, id in enumerate(ids):
                writer.write_packed(id, packed[n % len(packed)], width)

    def peer() -> None:  # its masks need no unpacking
        rows = [(f"{id}.jpg", pasted_encode(masks[n % len(masks)])) for n, id in enumerate(ids)]
        options = {"compression": {"method": "gzip", "compresslevel": 1}} if name.endswith(".gz") else {}
        pd.DataFrame(rows, columns=["img", "rle_mask"]).to_csv(folder / f"peer_{name}", index=False, **options)

    ours()
    peer()
    content = [(folder / f"{who}_{name}").read_bytes() for who in ("ours", "peer")]
    if name.endswith(".gz"):
        content = [gzip.decompress(c) for c in content]
    assert content[0] == content[1]
    return Pair(ours, peer, f"{count:,} masks, {len(content[0]) / 1e6:.1f} MB")


BENCHMARKS = [
    Benchmark("rle_encode", "uint8 mask to text", "the pasted numpy version", 12, rle_encode),
    Benchmark(
        "submission",
        "packed masks to a CSV file",
        "the pasted numpy version, pandas.to_csv",
        50,
        lambda tiny, folder: _submission(tiny, folder, "submission.csv"),
        clock="wall",
    ),
    Benchmark(
        "submission_gz",
        "packed masks to a CSV file, gzipped",
        "the pasted numpy version, pandas.to_csv with gzip -1",
        None,
        lambda tiny, folder: _submission(tiny, folder, "submission.csv.gz"),
        clock="wall",
    ),
    Benchmark("rle_decode", "text to mask", "split and slices", 6, rle_decode),
]
