"""Predictions from elsewhere: folders with a PNG, NPY or NPZ file for each id, and tables of values."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.geometry import resize
from podium.errors import DataError
from podium.formats.tables import column, read_csv, unique_ids

Array = NDArray[Any]
Pixels = NDArray[np.uint8]

FILES = (".png", ".npy", ".npz")
TABLES = (".csv", ".parquet")

MOST = 1 << 30
"""Bytes that one array may have."""


@dataclass(frozen=True)
class FileStack:
    """A folder with a file of probabilities for each id.

    A file is grey levels of 0 to 255 or an array of them, or numbers from 0 to 1; (H, W), or (H, W, outputs). One that
    is not of the image's size is resized to it.
    """

    files: dict[str, Path]
    outputs: int

    @classmethod
    def of(cls, folder: Path, outputs: int) -> Self:
        """Every file of the folder that can be one.

        Raises:
            DataError: if there is none, or two are of one id.
        """
        files: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in FILES:
                if path.stem in files:
                    raise DataError(f"two files for '{path.stem}'", where=path, remedy="keep one of them")
                files[path.stem] = path
        if not files:
            raise DataError("no predictions in it", where=folder, expected=f"files of the kinds {', '.join(FILES)}")
        return cls(files, outputs)

    @property
    def ids(self) -> set[str]:
        """Of the samples."""
        return set(self.files)

    def pixels(self, id: str, shape: tuple[int, int]) -> Pixels:
        """See `Predictions.pixels`.

        Raises:
            DataError: if the file cannot be read or holds something else.
        """
        path = self.files[id]
        found = as_levels(_read(path), path)
        found = found[:, :, None] if found.ndim == 2 else found
        if found.ndim != 3 or found.shape[2] != self.outputs or 0 in found.shape:
            raise DataError(f"an array of shape {found.shape}", where=path, expected=f"(H, W, {self.outputs})")
        return np.asarray(resize(found, shape), np.uint8).reshape(*shape, -1)

    def values(self, id: str) -> Array:
        """There are none."""
        raise TypeError("these are pixels")


def as_levels(found: Array, where: Path) -> Pixels:
    """Probabilities as uint8, 255 = 1, from these or from numbers between 0 and 1.

    Raises:
        DataError: if they are neither.
    """
    if found.dtype == np.uint8:
        return found
    if found.dtype == np.bool_:
        return found.astype(np.uint8) * np.uint8(255)
    if found.dtype.kind != "f" or not np.isfinite(found).all() or found.min(initial=0) < 0 or found.max(initial=0) > 1:
        raise DataError(f"values of type {found.dtype}", where=where, expected="uint8 of 0 to 255, or floats of 0 to 1")
    return np.asarray(np.floor(found * 255 + 0.5), np.uint8)


def _read(path: Path) -> Array:
    try:
        data = path.read_bytes()
        if path.suffix.lower() == ".png":
            image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            if image is None:
                raise ValueError("not a PNG file")
            return np.asarray(image[:, :, ::-1] if image.ndim == 3 and image.shape[2] == 3 else image)
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                first = archive.infolist()[0]
                if first.file_size > MOST:
                    raise ValueError("too large")
                data = archive.read(first)
        return np.asarray(np.load(io.BytesIO(data), allow_pickle=False))
    except (OSError, ValueError, EOFError, IndexError, zipfile.BadZipFile, cv2.error) as error:
        reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        raise DataError(f"cannot be read ({reason})", where=path, expected="a PNG, NPY or NPZ file") from None


def read_values(path: Path, competition: Competition, names: Sequence[str]) -> dict[str, Array]:
    """A table with an id and a column for each output, {id: float32 (outputs,)}.

    The ids are spelt as podium or as a submission spells them; the columns are called as the outputs, or as those of a
    submission, or there are just as many.

    Raises:
        DataError: naming the column or the row that is wrong.
    """
    table = pl.read_parquet(path) if path.suffix == ".parquet" else read_csv(path)
    fmt = competition.submission
    id_column = next((name for name in ("id", fmt.id_column, table.columns[0]) if name in table.columns), "id")
    ids = unique_ids(table, id_column, path)
    rest = [name for name in table.columns if name != id_column]
    wanted = list(names) if set(names) <= set(rest) else rest
    if len(wanted) != len(names):
        raise DataError(
            f"{len(wanted)} columns beside '{id_column}'", where=path, expected=f"one for each of: {', '.join(names)}"
        )
    columns = [column(table, name, path).cast(pl.Float64, strict=False).to_numpy() for name in wanted]
    values = np.stack(columns, axis=1)
    if not np.isfinite(values).all():
        row, which = np.argwhere(~np.isfinite(values))[0]
        raise DataError("no number", where=f"{path}, row {row + 2}, column '{wanted[which]}'", expected="a number")
    return {fmt.sample_id(id) or id: v for id, v in zip(ids, values.astype(np.float32), strict=True)}
