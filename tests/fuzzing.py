"""What the fuzz tests share: files that are good and then damaged, and a call that must end well and soon."""

from __future__ import annotations

import io
import time

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from podium.errors import PodiumError

SECONDS = 10
"""No example may take longer."""


def bounded(call, *args):
    """The result of a call, None if it raised a PodiumError; anything else that it raises comes through."""
    start = time.monotonic()
    try:
        return call(*args)
    except PodiumError as error:
        assert str(error)  # noqa: PT017
        return None
    finally:
        assert time.monotonic() - start < SECONDS


def encoded(form, mode="RGB"):
    rng, buffer = np.random.default_rng(0), io.BytesIO()
    shape = (13, 17, 3) if mode == "RGB" else (13, 17)
    pixels = rng.integers(0, 255, shape).astype(np.uint16 if mode == "I;16" else np.uint8)
    image = Image.fromarray(pixels)
    (image.convert("P") if mode == "P" else image).save(buffer, form)
    return buffer.getvalue()


def with_exif(form):
    """A small picture that tells where, when and with what it was taken."""
    buffer, tags = io.BytesIO(), Image.Exif()
    tags.update({271: "Canon", 272: "5D", 305: "GIMP", 306: "2019:05:01 09:00:00"})
    tags.get_ifd(0x8769).update({36867: "2019:05:01 09:00:00"})
    tags.get_ifd(0x8825).update({1: "N", 2: (47.0, 5.0, 1.0), 3: "W", 4: (8.0, 5.0, 1.0)})
    Image.new("RGB", (4, 4)).save(buffer, form, exif=tags)
    return buffer.getvalue()


SEEDS = [with_exif("JPEG"), with_exif("PNG")] + [encoded(form) for form in ("JPEG", "PNG", "TIFF", "BMP", "WEBP")] + [
    encoded("GIF", "P"), encoded("PNG", "P"), encoded("PNG", "L"), encoded("PNG", "I;16"), encoded("TIFF", "I;16")
]  # fmt: skip


@st.composite
def damaged(draw, seeds=SEEDS):
    """A file with bytes changed, cut off, put in, doubled or taken out."""
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        what = draw(st.sampled_from(["set", "set", "flip", "cut", "insert", "drop", "double", "big"]))
        if what == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif what == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif what == "cut":
            del data[at:]
        elif what == "insert":
            data[at:at] = draw(st.binary(max_size=8))
        elif what == "drop":
            del data[at : at + draw(st.integers(1, 40))]
        elif what == "double":
            data[at:at] = data[at : at + 30]
        else:
            data[at : at + 4] = draw(st.sampled_from([b"\xff" * 4, b"\x7f\xff\xff\xff", b"\0" * 4, b"\x80\0\0\0"]))
    return bytes(data)
