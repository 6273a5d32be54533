"""All training images on the device, uploaded once: the fastest of the sources of `data.sources`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from podium.data.loader import MaskPart, Table, TrainLoader
from podium.data.prepare import TrainStores
from podium.data.sources import DEVICE_SHARE, Opened
from podium.data.store import Store
from podium.data.views import Source
from podium.data.windows import Resident, WindowLoader
from podium.files import size_text
from podium.progress import say
from podium.recipe import Recipe
from podium.training.ranks import Ranks

PIECE = 64 * 2**20
"""Bytes copied at once."""


MakeLoader = Callable[[Sequence[int], Recipe], TrainLoader]


def loaders(
    stores: TrainStores, opened: Opened | None, rows: Sequence[int], table: Table | None, device: torch.device
) -> MakeLoader:
    """What makes the loader of some rows for a recipe, reading images from where `prepare` said.

    Args:
        opened: Where to read; None: through the memory map.
        rows: Those that are trained on: what is kept on the device, which all loaders share.
        table: Targets that are values.
    """
    views = list(stores.views.values())
    images: Source = stores.images if opened is None or views else opened.images
    common: dict[str, Any] = {"table": table, "views": views}
    if device.type != "cuda":
        return lambda some, recipe: TrainLoader(images, stores.masks, some, recipe, **common)

    @cache
    def bring() -> Resident | None:
        if opened is None or opened.kind != "device" or views:
            return None
        return upload(stores.images, None if table is not None else stores.masks, rows, device)

    def windows(some: Sequence[int], recipe: Recipe) -> TrainLoader:
        loader = WindowLoader(images, stores.masks, some, recipe, **common)
        loader.bring = bring
        return loader

    return windows


def shared(loader: TrainLoader, ranks: Ranks) -> TrainLoader:
    """The loader, making of each batch what is this process's."""
    loader.share = (ranks.rank, ranks.size)
    loader.workers = max(1, loader.workers // ranks.size)
    return loader


def upload(images: Source, masks: Store | None, rows: Sequence[int], device: torch.device) -> Resident | None:
    """The images of some rows, and their masks as labels of a byte, on the device; None if they do not fit there.

    Only images of three channels of 8 bits are warped on the device, so no others are kept there.
    """
    first = images.image(int(rows[0]))
    if first.dtype != np.uint8 or first.shape[2] != 3:
        return None
    places, end = {}, 0
    for row in sorted({int(r) for r in rows}):
        h, w = images.shape(row)
        places[row] = (end, end + 3 * h * w)
        end += (3 if masks is None else 4) * h * w
    if device.type == "cuda" and end > DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]:
        say(f"  {size_text(end)} of training images do not fit onto the device now: they are sent with each batch")
        return None
    pixels, piece, begin, filled = torch.empty(end, dtype=torch.uint8, device=device), [], 0, 0
    for row in places:
        h, w = images.shape(row)
        piece.append(np.asarray(images.image(row)).reshape(-1))
        if masks is not None:
            piece.append(MaskPart(masks, row)[0:h, 0:w].reshape(-1))
        filled = places[row][1] + (0 if masks is None else h * w)
        if filled - begin >= PIECE or filled == end:
            pixels[begin:filled] = torch.from_numpy(np.concatenate(piece)).to(device)
            piece, begin = [], filled
    if device.type == "cuda":  # another stream will read it
        torch.cuda.current_stream(device).synchronize()
    return Resident(places, pixels)
