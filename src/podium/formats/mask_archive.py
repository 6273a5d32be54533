"""Submissions that are a zip of PNG masks, one a sample: written, and found fault with before a board does."""

from __future__ import annotations

import contextlib
import io
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from podium.errors import nearest
from podium.files import open_atomic
from podium.formats.preflight import Problem, Shapes
from podium.formats.submission import SubmissionFormat

Pixels = NDArray[np.uint8]

ALWAYS = (1980, 1, 1, 0, 0, 0)
"""When every member was written: the same masks give the same bytes."""

ROOM = 1 << 16
"""Bytes that a PNG may have beyond four a pixel."""


class MaskArchive:
    """Writes masks one by one; the file is there whole when the block ends well, and not at all otherwise."""

    def __init__(self, path: Path, fmt: SubmissionFormat) -> None:
        self._path, self._fmt = path, fmt
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        file = self._stack.enter_context(open_atomic(self._path))
        self._zip = self._stack.enter_context(zipfile.ZipFile(file, "w", zipfile.ZIP_STORED))
        return self

    def write(self, sample_id: str, labels: Pixels) -> None:
        """Add a sample's mask, uint8 (H, W)."""
        png = io.BytesIO()
        Image.fromarray(labels).save(png, "PNG", compress_level=3)
        self._zip.writestr(zipfile.ZipInfo(f"{self._fmt.row_id(sample_id)}.png", ALWAYS), png.getvalue())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)


def inspect_archive(
    path: Path,
    fmt: SubmissionFormat,
    expected_ids: Sequence[str],
    shapes: Shapes,
    values: Sequence[int],
    seen: Callable[[str, Pixels], None] | None = None,
) -> list[Problem]:
    """Every problem of an archive of masks, in its order; ids without a mask last. One mask is in memory at a time.

    Args:
        values: What pixels may be.
        seen: Called with the id and the mask, uint8 (H, W), of each sample that is in order.
    """
    problems: list[Problem] = []

    def add(kind: str, name: str, found: str, remedy: str) -> None:
        problems.append(Problem(kind, 0, name, name, found, remedy))

    expected, there = set(expected_ids), set[str]()
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        add("unreadable", "", f"not a zip archive ({error})", "zip the PNG masks of the test images")
        return problems
    with archive:
        for member in archive.infolist():
            name = PurePosixPath(member.filename)
            if member.is_dir() or name.name.startswith(".") or "__MACOSX" in name.parts:
                continue
            sample = fmt.sample_id(name.stem) if name.suffix.lower() == ".png" else None
            if sample not in expected:
                add("extra id", name.name, "is not asked for", nearest(name.stem, list(expected)) or "remove it")
            elif sample in there:
                add("double id", name.name, "is there twice", "remove one of the two")
            else:
                there.add(sample)
                mask, why = _read(archive, member, shapes[sample], values)
                if mask is None:
                    add("mask", name.name, why, "write the PNG of class numbers anew, at the image's original size")
                elif seen:
                    seen(sample, mask)
    for sample in expected_ids:
        if sample not in there:
            row = f"{fmt.row_id(sample)}.png"
            add("missing id", row, "is not there", "add it")
    return problems


def _read(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, shape: tuple[int, int], values: Sequence[int]
) -> tuple[Pixels | None, str]:
    """The mask of a member, or None and what is wrong with it."""
    if member.file_size > 4 * shape[0] * shape[1] + ROOM:
        return None, f"has {member.file_size:,} bytes, more than a mask of {shape[1]}x{shape[0]}"
    try:
        with Image.open(io.BytesIO(archive.read(member)), formats=["PNG"]) as image:
            if image.size != shape[::-1]:
                return None, f"is {image.size[0]}x{image.size[1]}, its image {shape[1]}x{shape[0]}"
            pixels: NDArray[Any] = np.asarray(image)
    except (OSError, ValueError, SyntaxError, RuntimeError, zipfile.BadZipFile) as error:
        return None, f"cannot be decoded ({(str(error) or type(error).__name__).splitlines()[0][:100]})"
    if pixels.ndim != 2:
        return None, "has colours, not one number a pixel"
    odd = np.setdiff1d(pixels, values)
    if odd.size:
        known = ", ".join(map(str, values[:12]))
        return None, f"holds {int(odd[0])}, which is none of {known}"
    return pixels.astype(np.uint8), ""
