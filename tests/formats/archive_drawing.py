"""What the tests of archives share: small competitions and ways to pack them."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image


def make(path, members, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **kwargs) as z:
        for name, content in members.items():
            z.writestr(name, content)
    return path


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        for name, content in members.items():
            z.writestr(name, content)
    return buffer.getvalue()


def files_below(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def picture(n, mask=False):
    rng, buffer = np.random.default_rng(n), io.BytesIO()
    pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    Image.fromarray((pixels[:, :, 0] > 127) * np.uint8(255) if mask else pixels).save(buffer, "PNG")
    return buffer.getvalue()


def content():
    """Files by folder: a small competition with masks and test images."""
    ids = [f"{'abc'[i % 3]}{i}" for i in range(12)]
    return {
        "train": {f"{id}.png": picture(i) for i, id in enumerate(ids)},
        "train_masks": {f"{id}_mask.png": picture(i, mask=True) for i, id in enumerate(ids)},
        "test": {f"t{i}.png": picture(100 + i) for i in range(3)},
    }
