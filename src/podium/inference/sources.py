"""Where test images come from: the store where it is worth keeping them, else decoded as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from podium.data.competition import Competition
from podium.data.prepare import Preparer, decode_sample
from podium.data.preprocess import Input, Preprocess
from podium.data.ready import exclude, store_problems
from podium.data.samples import Sample, list_samples, read_exclusions, wanted_ids
from podium.data.store import Store
from podium.data.views import Images, Montages
from podium.errors import DataError
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
        self._size = lru_cache(4096)(lambda i: images.image_size(self.samples[i].image))  # asked for several times each

    def __len__(self) -> int:
        return len(self.samples)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) at the input size."""
        return self.preprocess.spatial.shape(self.original(i))

    def image(self, i: int) -> Pixels:
        """Image ``i``, uint8 (H, W, C)."""
        return decode_sample(self.samples[i], self.preprocess)[0]

    def original(self, i: int) -> tuple[int, int]:
        """(height, width) of the file."""
        return self._size(i)


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
        """Image ``i``, uint8 (H, W, C)."""
        return self.store.image(i)

    def original(self, i: int) -> tuple[int, int]:
        """(height, width) of the file."""
        return self._original[i]


class TestMontages(Montages):
    """Several images of each sample as one; there are no masks to bring back to an original size."""

    def original(self, i: int) -> tuple[int, int]:
        """(height, width) of the whole picture."""
        return self.shape(i)


@dataclass(frozen=True)
class TestSet:
    """The test samples of a workspace, pre-processed.

    Attributes:
        rows: {id: row in ``images``}; images in `exclude.csv` have none.
        inputs: What `data.inputs` are for each row, as text.
        content: Says which images they are: other images, another text.
    """

    images: TestImages
    rows: dict[str, int]
    inputs: list[tuple[str, ...]] = field(default_factory=list)
    content: str = ""


def open_test_set(competition: Competition, root: Path, config: Input) -> tuple[list[str], TestSet]:
    """The test ids of a workspace in the order of the file, and their images as a recipe reads them.

    Raises:
        DataError: if there are none.
    """
    found = list_samples(competition, root / "data").test
    if not found:
        raise DataError(
            "the competition has no test images",
            where=root / "competition.toml",
            remedy="set data.test_images; or make the workspace anew with podium new --hold-out 0.2",
        )
    return wanted_ids(competition, root / "data", found), open_test_images(competition, root, found, config)


def open_test_images(
    competition: Competition,
    root: Path,
    test: Sequence[Sample],
    given: Input,
    *,
    cache: Path | None = None,
    keep: bool = True,
) -> TestSet:
    """The test images of a workspace, pre-processed.

    Args:
        cache: Where they are kept decoded; the workspace's own, if not given.
        keep: Whether to keep them, where that is worth it.

    Raises:
        DataError: naming the images that cannot be read, unless they are excluded.
    """
    preparer = Preparer(competition, cache or root / ".podium" / "cache", root)
    preprocess = Preprocess.of(given, root)
    views = [(f" {view}" * (n > 0), n) for n, view in enumerate(competition.data.views)]
    shown = [(name, [replace(s, image=s.views[n]) for s in test]) for name, n in views] or [("", list(test))]
    if keep and preparer.fits(test, given):
        stores = [preparer.images(f"test images{name}", samples, given)[1] for name, samples in shown]
        exclude(root / "exclude.csv", [p for store in stores for p in store_problems(store)])
        bad = {id for store in stores for id in store.errors}
        rows = {id: i for id, i in stores[0].row.items() if id not in bad}
        sources: list[TestImages] = [StoredImages(store) for store in stores]
        used, content = list(test), " ".join(store.folder.name for store in stores)
    else:
        excluded = read_exclusions(root / "exclude.csv")
        used = [s for s in test if s.id not in excluded]
        rows = {s.id: i for i, s in enumerate(used)}
        kept = [preparer.fixes.apply([s for s in samples if s.id in rows]) for _, samples in shown]
        sources = [DecodedImages(samples, preparer.preprocess(given)) for samples in kept]
        content = files_digest([s.image for samples in kept for s in samples])
    source = sources[0] if len(sources) == 1 else TestMontages(sources, preprocess.canvas)
    return TestSet(source, rows, [s.inputs for s in used], content)


def files_digest(files: Sequence[Path]) -> str:
    """Of the names, sizes and times of files: their bytes are not read."""
    digest = blake3()
    for file in files:
        about = file.stat()
        digest.update(f"{file} {about.st_size} {about.st_mtime_ns}\n".encode())
    return digest.hexdigest(length=8)
