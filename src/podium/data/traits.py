"""Cheap figures of images, for telling sets apart: brightness, colour, contrast, sharpness, size, file size."""

from __future__ import annotations

import cv2
import numpy as np
import polars as pl

from podium.data.prepare import TrainStores
from podium.data.samples import Sample, Samples
from podium.data.store import Store, ordered_map

MOST = 3000
"""Images looked at of each part, evenly spread."""

TRAITS = ("red", "green", "blue", "contrast", "sharpness", "saturation", "height", "width", "file_size")


def image_traits(stores: TrainStores, tested: Store | None, found: Samples) -> pl.DataFrame:
    """One row an image: id, part, and the columns of `TRAITS`; images that could not be read are left out."""
    rows = _rows(stores.images, found.train, "train") + (_rows(tested, found.test, "test") if tested else [])
    schema = {"id": pl.String, "part": pl.String} | dict.fromkeys(TRAITS, pl.Float64)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _rows(store: Store, samples: list[Sample], part: str) -> list[tuple[str | float, ...]]:
    step = max(1, -(-len(samples) // MOST))
    chosen = [s for s in samples[::step] if s.id in store.row and store.shape(store.row[s.id]) != (0, 0)]
    sizes = store.index.select("source_height", "source_width").rows()

    def look(sample: Sample) -> tuple[str | float, ...]:
        i = store.row[sample.id]
        small = cv2.resize(store.image(i), (64, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
        small = (
            small if small.ndim == 3 and small.shape[2] == 3 else np.repeat(small.reshape(64, 64, -1)[..., :1], 3, 2)
        )
        grey = small.mean(2)
        spread = small.max(2) - small.min(2)
        figures = (*small.mean((0, 1)), grey.std(), cv2.Laplacian(grey, cv2.CV_32F).std(), spread.mean())
        rest = (*sizes[i], _file_size(sample))
        return (sample.id, part, *(float(v) for v in (*figures, *rest)))

    return list(ordered_map(look, chosen))


def _file_size(sample: Sample) -> float:
    try:
        return float(sample.image.stat().st_size)
    except OSError:
        return 0.0
