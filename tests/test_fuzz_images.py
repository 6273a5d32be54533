"""Hostile and damaged images: only PodiumError comes out, nothing hangs, memory stays bounded."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzzing import bounded, damaged, encoded
from podium.data.clues import header_clues
from podium.data.targets import read_labels
from podium.formats import images, masks

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

READERS = (
    images.read_image, images.image_facts, masks.read_mask, masks.mask_values, read_labels,
    lambda p: masks.read_mask(p, "0/1"),
    lambda p: images.read_header(p, header_clues),
)  # fmt: skip


@settings(max_examples=250)
@given(damaged() | st.binary(max_size=200))
def test_images_and_masks(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "fuzzed.png"
    path.write_bytes(data)
    for read in READERS:
        bounded(read, path)


# ---------------------------------------------------------------------- bombs: in a process of little memory


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, rows=0, bits=8, colour=2):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    body = zlib.compress(bytes(rows * (1 + width * (3 if colour == 2 else 1))), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def gif(width, height):
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + (
        b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\2\2\x4c\1\0;"
    )  # fmt: skip


def bmp(width, height):
    return (
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    )


def jpeg(width, height):
    data = bytearray(encoded("JPEG"))
    at = data.find(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def tiff(width, height):
    return encoded("TIFF").replace(struct.pack("<HHII", 256, 3, 1, 17), struct.pack("<HHII", 256, 4, 1, width)).replace(
        struct.pack("<HHII", 257, 3, 1, 13), struct.pack("<HHII", 257, 4, 1, height))  # fmt: skip


def text_bomb():
    """A PNG whose compressed text is large."""
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(200 << 20), 9))
    good = encoded("PNG")
    return good[:33] + text + good[33:]


BOMBS = {
    "png": png(60_000, 60_000),
    "png, rows": png(60_000, 60_000, rows=300),
    "png, wide": png(2**31 - 1, 1),
    "png, tall": png(1, 2**31 - 1),
    "png, grey 16": png(60_000, 60_000, bits=16, colour=0),
    "gif": gif(65_535, 65_535),
    "bmp": bmp(60_000, 60_000),
    "bmp, negative": bmp(60_000, -60_000),
    "jpeg": jpeg(65_000, 65_000),
    "tiff": tiff(60_000, 60_000),
    "tiff, enormous": tiff(2**31, 2**31),
    "text": text_bomb(),
}

CHILD = """
import sys, resource
from pathlib import Path
from podium.data.targets import read_labels
from podium.errors import PodiumError
from podium.formats import images, masks
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (600 << 20), used + (600 << 20)))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
for path in sorted(Path(sys.argv[1]).iterdir()):
    for read in (images.read_image, images.image_facts, masks.read_mask, masks.mask_values, read_labels):
        try:
            read(path)
        except PodiumError as error:
            assert str(path) in str(error)
        except BaseException as error:
            print(path.name, read.__name__, repr(error))
print("survived")
"""


def test_image_bombs_are_refused_in_little_memory(tmp_path):
    for name, data in BOMBS.items():
        (tmp_path / f"{name}.png").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=120,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.stdout == "survived\n", done.stdout + done.stderr
