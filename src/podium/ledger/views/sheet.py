"""The samples that gained and lost most as a sheet of pictures: image, truth, what the parent and the attempt say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.prepare import decode_sample
from podium.data.samples import Sample
from podium.data.store import Store
from podium.data.targets import IGNORED, class_order, read_overlapping
from podium.data.tiles import TILE, one_picture, tile, write_tiles
from podium.errors import LedgerError
from podium.ledger.attempt import Attempt
from podium.ledger.fitted import settled
from podium.ledger.views.gains import Gain, Gains
from podium.recipe import Recipe

Pixels = NDArray[np.uint8]

Decide = Callable[[Recipe, str, Pixels, tuple[int, int]], NDArray[Any]]
"""What probabilities (H, W, outputs) at the input size say at an original (height, width); see `MaskTask.decided`."""

BESIDE = 4
"""Pictures of a sample, beside one another."""


@dataclass(frozen=True)
class Sides:
    """An attempt and its parent, and the data that they were trained on.

    Attributes:
        samples: The training samples, with their fixes.
        decide: Not needed where targets are values.
    """

    attempt: Attempt
    parent: Attempt
    competition: Competition
    samples: Sequence[Sample]
    decide: Decide | None = None

    def write(self, path: Path, gains: Gains) -> None:
        """Write the sheet.

        Raises:
            LedgerError: if out-of-fold predictions are gone.
            DataError: if an image cannot be read.
        """
        known = {sample.id: sample for sample in self.samples}
        gained, lost = ([s for s in some if s.id in known] for some in (gains.gained, gains.lost))
        if not gained and not lost:
            raise LedgerError("no sample gained or lost anything")
        pixels = self.competition.task in ("segmentation", "instances")
        write_tiles(path, self._masks(gained, lost, known) if pixels else self._values(gained, lost, known))

    # ------------------------------------------------------------------ masks

    def _masks(self, gained: list[Gain], lost: list[Gain], known: dict[str, Sample]) -> list[list[Pixels]]:
        """A line of four pictures a sample: those that gained on the left, those that lost on the right."""
        blocks = [[self._mask_line(gain, known[gain.id]) for gain in some] for some in (gained, lost) if some]
        nothing = [np.full((1, TILE + 4, 3), 255, np.uint8)] * BESIDE
        longest = max(map(len, blocks))
        padded = [block + [nothing] * (longest - len(block)) for block in blocks]
        return [[*chain.from_iterable(parts)] for parts in zip(*padded, strict=True)]

    def _mask_line(self, gain: Gain, sample: Sample) -> list[Pixels]:
        image, shape = decode_sample(sample, None)
        truth = np.asarray(read_overlapping(self.competition, sample, shape)[0])
        if truth.ndim == 2 and self.competition.task == "segmentation":
            truth = np.where(truth == IGNORED, 0, truth)
        before, after = (self._decided(side, gain, shape) for side in (self.parent, self.attempt))
        return [
            tile(image, None, f"{_word(gain)} {gain.gain:+.4f} {gain.id}"),
            tile(image, one_picture(truth), "truth"),
            tile(image, one_picture(before), f"parent ({self.parent.id}): {gain.before:.4f}"),
            tile(image, one_picture(after), f"this ({self.attempt.id}): {gain.after:.4f}"),
        ]

    def _decided(self, side: Attempt, gain: Gain, shape: tuple[int, int]) -> NDArray[Any]:
        """The mean out-of-fold prediction of a side's seeds, as it stands in a submission."""
        assert self.decide is not None
        runs = [run for run in side.runs if run.fold == gain.fold]
        probs = [_stored(run.folder / "oof", gain.id) for run in runs]
        if any(p.shape != probs[0].shape for p in probs):
            probs = probs[:1]
        mean = np.asarray(np.mean(probs, axis=0).round(), np.uint8) if len(probs) > 1 else probs[0]
        return self.decide(settled(side.recipe, runs[0].folder), gain.id, mean, shape)

    # ------------------------------------------------------------------ values

    def _values(self, gained: list[Gain], lost: list[Gain], known: dict[str, Sample]) -> list[list[Pixels]]:
        """A picture a sample, with what is true and what each side says below; those that lost in the second line."""
        return [[self._value_tile(gain, known[gain.id]) for gain in some] for some in (gained, lost) if some]

    def _value_tile(self, gain: Gain, sample: Sample) -> Pixels:
        truth, before = self._said(self.parent, gain)
        _, after = self._said(self.attempt, gain)
        image = decode_sample(sample, None)[0]
        return tile(
            image,
            None,
            f"{_word(gain)} {gain.gain:+.4f} {gain.id}",
            f"true: {self._named(truth, truth)}",
            f"parent ({self.parent.id}): {self._named(before, truth)}",
            f"this ({self.attempt.id}): {self._named(after, truth)}",
        )

    def _said(self, side: Attempt, gain: Gain) -> tuple[NDArray[Any], NDArray[Any]]:
        """(truth, mean prediction over seeds) of a sample, from the scores of the runs of its fold."""
        tables = [run.scores() for run in side.runs if run.fold == gain.fold]
        rows = [table.row(by_predicate=pl.col("id") == gain.id, named=True) for table in tables]
        predicted = np.mean([np.asarray(row["predicted"], np.float64) for row in rows], axis=0)
        return np.asarray(rows[0]["truth"]), predicted

    def _named(self, values: NDArray[Any], truth: NDArray[Any]) -> str:
        """Values as people read them: names of classes with their probability, or numbers."""
        names = class_order(self.competition) if self.competition.task == "classification" else []
        if not names or values.size not in (1, len(names)):
            return " ".join(f"{float(v):.4g}" for v in values.ravel()[:5])
        if values.ndim == 0:  # the number of a class, or the probability of the only one
            return names[int(values)] if len(names) > 1 else f"{float(values):.3g}"
        if truth.ndim == 1:  # several at once
            there = [f"{name} {value:.2f}" for name, value in zip(names, values, strict=True) if value > 0.5]
            return ", ".join(there) or "none"
        best, right = int(values.argmax()), int(truth)
        told = f"{names[best]} {values[best]:.2f}"
        return told if best == right else f"{told}, {names[right]} {values[right]:.2f}"


def _word(gain: Gain) -> str:
    return "gained" if gain.gain > 0 else "lost"


def _stored(folder: Path, id: str) -> Pixels:
    """A sample's stored out-of-fold probabilities, uint8 (H, W, outputs)."""
    if not folder.is_dir():
        raise LedgerError("the out-of-fold predictions are not there any more", where=folder)
    store = Store(folder, touch=False)
    if id not in store.row:
        raise LedgerError(f"no out-of-fold prediction of '{id}'", where=folder)
    return np.asarray(store.image(store.row[id]))
