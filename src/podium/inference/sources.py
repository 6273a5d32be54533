"""Where test images come from: the store where it is worth keeping them, else decoded as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.loader import Images
from podium.data.prepare import Preparer, decode_sample
from podium.data.preprocess import Input, Preprocess
from podium.data.ready import exclude, store_problems
from podium.data.samples import Sample, read_exclusions
from podium.data.store import Store
from podium.formats import images

Pixels = NDArray[np.uint8]


class TestImages(Images, Protocol):
    """Images whose original size is known too."""

    def original(self, i: int) -> tuple[int, int]:
        """(height, width) of the file."""


class DecodedImages:
    """Images decoded when they are needed: for test sets too large for the store."""

    def __init__(self, samples: Sequence[Sample], preprocess: Preprocess) -> None:
        self.samples, self.preprocess = samples, preprocess

    def __len__(self) -> int:
        return len(self.samples)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) at the input size."""
        return self.preprocess.spatial.shape(self.original(i))

    def image(self, i: int) -> Pixels:
        """Image ``i``, uint8 (H, W, 3)."""
        return decode_sample(self.samples[i], self.preprocess)[0]

    def original(self, i: int) -> tuple[int, int]:
        """(height, width) of the file."""
        return images.image_size(self.samples[i].image)


class StoredImages:
    """Images from the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._original = store.index.select("source_height", "source_width").rows()

    def __len__(self) -> int:
        return len(self.store)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) at the input size."""
        return self.store.shape(i)

    def image(self, i: int) -> Pixels:
        """Image ``i``, uint8 (H, W, 3)."""
        return self.store.image(i)

    def original(self, i: int) -> tuple[int, int]:
        """(height, width) of the file."""
        return self._original[i]


def open_test_images(
    competition: Competition, root: Path, test: Sequence[Sample], given: Input
) -> tuple[TestImages, dict[str, int]]:
    """The test images of a workspace, pre-processed, and {id: row}; images in `exclude.csv` have no row.

    Raises:
        DataError: naming the images that cannot be read, unless they are excluded.
    """
    preparer = Preparer(competition, root / ".podium" / "cache")
    if preparer.fits(test, given):
        _, store = preparer.images("test images", test, given)
        exclude(root / "exclude.csv", store_problems(store))
        return StoredImages(store), {id: i for id, i in store.row.items() if id not in store.errors}
    excluded = read_exclusions(root / "exclude.csv")
    usable = preparer.fixes.apply([s for s in test if s.id not in excluded])
    return DecodedImages(usable, preparer.preprocess(given)), {s.id: i for i, s in enumerate(usable)}
