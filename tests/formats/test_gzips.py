"""Gzip files made by threads are what gzip reads, whatever the blocks."""

from __future__ import annotations

import gzip
import io
import zlib

import numpy as np
import pytest

from podium.errors import DataError
from podium.formats import gzips
from podium.formats.bits import pack
from podium.formats.gzips import GzipWriter
from podium.formats.rle import encode
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter

FMT = SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg")


@pytest.mark.parametrize(
    "sizes", [[], [0], [1], [10, 0, 5], [gzips.BLOCK], [gzips.BLOCK - 1, 2], [3 * gzips.BLOCK + 7, 9]]
)
@pytest.mark.parametrize("workers", [1, 3])
def test_one_member_that_gzip_reads(sizes, workers):
    pieces = [np.random.default_rng(i).integers(48, 58, n, np.uint8).tobytes() for i, n in enumerate(sizes)]
    out = io.BytesIO()
    writer = GzipWriter(out, workers)
    for piece in pieces:
        writer.write(piece)
    writer.close()
    assert gzip.decompress(out.getvalue()) == b"".join(pieces)
    reader = zlib.decompressobj(31)
    assert reader.decompress(out.getvalue()) == b"".join(pieces)
    assert reader.eof
    assert not reader.unused_data


@pytest.mark.parametrize("parts", [[0], [5], [0, 7, 0], [gzips.BLOCK + 3, 1, 2 * gzips.BLOCK]])
def test_files_are_appended_as_they_are(parts, tmp_path):
    pieces = [np.random.default_rng(i).integers(48, 58, n, np.uint8).tobytes() for i, n in enumerate(parts)]
    for n, piece in enumerate(pieces):
        with open(tmp_path / f"{n}.gz", "wb") as file:
            part = GzipWriter(file)
            part.write(piece)
            part.close()
    out = io.BytesIO()
    writer = GzipWriter(out)
    writer.write(b"head\n")
    for n in range(len(parts)):
        writer.append(tmp_path / f"{n}.gz")
    writer.write(b"tail")
    writer.close()
    reader = zlib.decompressobj(31)
    assert reader.decompress(out.getvalue()) == b"head\n" + b"".join(pieces) + b"tail"
    assert reader.eof


@pytest.mark.parametrize("damage", [lambda b: b[:-3], lambda b: b[:7], lambda b: gzip.compress(b"x")])
def test_what_was_not_written_so_is_not_appended(damage, tmp_path):
    out = io.BytesIO()
    part = GzipWriter(out)
    part.write(b"abc" * 99)
    part.close()
    (tmp_path / "x.gz").write_bytes(damage(out.getvalue()))
    writer = GzipWriter(io.BytesIO())
    with pytest.raises(DataError):
        writer.append(tmp_path / "x.gz")
    writer.abandon()


def masks(count):
    rng = np.random.default_rng(0)
    return [rng.random((19, 37)) < rng.random() for _ in range(count)]


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
@pytest.mark.parametrize("order", ["row", "column"])
@pytest.mark.parametrize("count", [0, 1, 16, 100])
def test_packed_masks_keep_their_place_among_rows(tmp_path, name, order, count):
    fmt = FMT.model_copy(update={"order": order})
    lines = ["img,rle_mask"]
    with SubmissionWriter(tmp_path / name, fmt) as writer:
        for n, mask in enumerate(masks(count)):
            lines.append(f"m,{n}.jpg" if n % 7 == 3 else f"m{n}.jpg")
            lines[-1] = f'"{lines[-1]}"' if "," in lines[-1] else lines[-1]
            lines[-1] += f",{encode(mask, order)}"
            writer.write_packed(f"m,{n}" if n % 7 == 3 else f"m{n}", pack(mask), 37)
            if n % 10 == 5:
                writer.write(f"t{n}", "1 2")
                lines.append(f"t{n}.jpg,1 2")
    data = (tmp_path / name).read_bytes()
    assert (gzip.decompress(data) if name.endswith("gz") else data).decode().splitlines() == lines


@pytest.mark.parametrize("name", ["s.csv", "s.csv.gz"])
def test_a_mask_that_cannot_be_written_leaves_the_old_file(tmp_path, name):
    (tmp_path / name).write_bytes(b"old")

    def broken():
        with SubmissionWriter(tmp_path / name, FMT) as writer:
            for n, mask in enumerate(masks(60)):
                writer.write_packed(f"{n}", pack(mask), 37 if n != 31 else 80)

    with pytest.raises(ValueError, match="bytes a row"):
        broken()
    assert (tmp_path / name).read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == [name]
