"""What a prediction's file is made of: answers of single samples, parts of the file, and the whole of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from podium.data.competition import Competition
from podium.data.preprocess import Preprocess
from podium.errors import DataError
from podium.files import open_atomic, write_atomic
from podium.formats import rle
from podium.formats.gzips import GzipWriter
from podium.formats.mask_archive import ALWAYS
from podium.formats.submission_file import SubmissionWriter, header_of, rows_of
from podium.inference.answers import answers_of_masks, answers_of_values, numbers_of_masks
from podium.inference.pipeline import Found
from podium.inference.sources import TestSet
from podium.ledger.submissions import ARCHIVE, TABLE
from podium.training.means import ranked
from podium.training.tasks import ClassMapTask, MaskTask, TableTask

Array = NDArray[Any]
Answered = tuple[bytes, bool]
"""What a sample has in a part, and whether it is predicted empty."""


class Content(Protocol):
    """One kind of file."""

    empties: bool
    """Whether a sample may be predicted empty."""

    def answer(self, id: str, shape: tuple[int, int], found: Found) -> Answered:
        """What the file says of a sample; called in threads.

        Args:
            shape: Original (height, width); (0, 0) where nobody asks.
        """

    def nothing(self, id: str) -> Answered:
        """What it says of a sample whose image is excluded."""

    def write_part(self, folder: Path, answers: Iterator[tuple[str, bytes]]) -> None:
        """Write a part of the file, of (id, answer)."""

    def finish(self, parts: Sequence[Path], ids: Sequence[str], folder: Path) -> Path:
        """Write the whole file, of samples ``ids`` in this order."""


def content_of(task: MaskTask | TableTask, competition: Competition, preprocess: Preprocess, test: TestSet) -> Content:
    """What fits a task and the format of the submission.

    Raises:
        ConfigError: if the format has no room for the predictions.
    """
    if isinstance(task, TableTask):
        return Table(task, competition, test.rows)
    if competition.submission.format == "png":
        return Pngs(task, competition, preprocess)
    return Rows(task, competition, preprocess)


class Rows:
    """Run-length masks in a compressed CSV file."""

    def __init__(self, task: MaskTask, competition: Competition, preprocess: Preprocess) -> None:
        self.task, self.fmt = task, competition.submission
        self._answer = answers_of_masks(task, competition.submission, preprocess)
        self.empties = not isinstance(task, ClassMapTask)

    def answer(self, id: str, shape: tuple[int, int], found: Found) -> Answered:
        """Its rows."""
        if found.packed is not None:
            layers = found.packed[len(found.packed) - self.fmt.width :]
            texts = tuple(rle.encode_packed(m, shape[1], self.fmt.order).decode("ascii") for m in layers)
        else:
            assert found.values is not None
            texts = self._answer(self.task.seen(id, found.values), shape)  # type: ignore[assignment]
        return rows_of(self.fmt, id, *texts), not any(texts)

    def nothing(self, id: str) -> Answered:
        """Empty masks."""
        return rows_of(self.fmt, id, *(() if self.fmt.format == "rle_objects" else ("",) * self.fmt.width)), True

    def write_part(self, folder: Path, answers: Iterator[tuple[str, bytes]]) -> None:
        """Rows without a header, compressed by threads."""
        with open_atomic(folder / "rows.gz") as file, _gzip(file) as out:
            for _, rows in answers:
                out.write(rows)

    def finish(self, parts: Sequence[Path], ids: Sequence[str], folder: Path) -> Path:
        """One gzip file of the header and what the parts hold, which is not compressed again."""
        with open_atomic(folder / TABLE) as file, _gzip(file) as out:
            out.write(header_of(self.fmt))
            for part in parts:
                out.append(part / "rows.gz")
        return folder / TABLE


class Pngs:
    """A zip of PNG masks."""

    def __init__(self, task: MaskTask, competition: Competition, preprocess: Preprocess) -> None:
        self.task, self.fmt = task, competition.submission
        self._numbers = numbers_of_masks(task, preprocess)
        self.empties = not isinstance(task, ClassMapTask)

    def answer(self, id: str, shape: tuple[int, int], found: Found) -> Answered:
        """Its PNG file."""
        assert found.values is not None
        labels, png = self._numbers(self.task.seen(id, found.values), shape), io.BytesIO()
        Image.fromarray(labels).save(png, "PNG", compress_level=3)
        return png.getvalue(), not labels.any()

    def nothing(self, id: str) -> Answered:
        """There is no mask without a size."""
        raise DataError(
            f"the test image '{id}' is excluded, and a PNG mask needs its size",
            where="exclude.csv",
            remedy="mend the image and take it out of exclude.csv",
        )

    def write_part(self, folder: Path, answers: Iterator[tuple[str, bytes]]) -> None:
        """A zip of its own."""
        with open_atomic(folder / ARCHIVE) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for id, png in answers:
                archive.writestr(zipfile.ZipInfo(f"{self.fmt.row_id(id)}.png", ALWAYS), png)

    def finish(self, parts: Sequence[Path], ids: Sequence[str], folder: Path) -> Path:
        """One zip of all members."""
        with open_atomic(folder / ARCHIVE) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for part in parts:
                with zipfile.ZipFile(part / ARCHIVE) as own:
                    for member in own.infolist():
                        archive.writestr(zipfile.ZipInfo(member.filename, ALWAYS), own.read(member))
        return folder / ARCHIVE


class Table:
    """Values of a table's samples; what is asked of an excluded image is the mean of the others."""

    empties = False

    def __init__(self, task: TableTask, competition: Competition, rows: Mapping[str, int]) -> None:
        self.task, self.fmt, self._rows = task, competition.submission, rows
        self._answer = answers_of_values(task, competition.submission)

    def answer(self, id: str, shape: tuple[int, int], found: Found) -> Answered:
        """Its predictions as numbers."""
        return np.asarray(found.values, np.float32).tobytes(), False

    def nothing(self, id: str) -> Answered:
        """To be known when all others are."""
        return b"", False

    def write_part(self, folder: Path, answers: Iterator[tuple[str, bytes]]) -> None:
        """The numbers of those that have some."""
        write_atomic(folder / "values.f32", b"".join(values for _, values in answers))

    def values(self, parts: Sequence[Path], ids: Sequence[str]) -> dict[str, Array]:
        """The final prediction of each of ``ids`` that has an image, float32 (outputs,)."""
        flat = np.frombuffer(b"".join((part / "values.f32").read_bytes() for part in parts), np.float32)
        known = [id for id in ids if id in self._rows]
        if self.task.recipe.predict.mean == "rank":
            members = flat.size // max(1, len(known) * self.task.outputs)
            return dict(zip(known, ranked(flat.reshape(len(known), members, self.task.outputs)), strict=True))
        return dict(zip(known, flat.reshape(len(known), self.task.outputs), strict=True))

    def finish(self, parts: Sequence[Path], ids: Sequence[str], folder: Path) -> Path:
        """A compressed CSV file."""
        found = self.values(parts, ids)
        mean = np.mean(list(found.values()), axis=0) if found else np.zeros(self.task.outputs)
        with SubmissionWriter(folder / TABLE, self.fmt) as writer:
            for id in ids:
                writer.write(id, *self._answer(found.get(id, mean)))
        return folder / TABLE


@contextmanager
def _gzip(file: Any) -> Iterator[GzipWriter]:
    """A writer that ends the file when the block ends well."""
    out = GzipWriter(file)
    try:
        yield out
        out.close()
    finally:
        out.abandon()
