"""Where training reads its images from: the device, the memory map, or the original JPEG files packed into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from podium.data import memory
from podium.data.cache import Stage, content_hashes, stage_key
from podium.data.items import Item
from podium.data.reuse import read_meta
from podium.data.samples import Sample
from podium.data.store import Store, build_store
from podium.errors import PodiumError
from podium.files import size_text
from podium.formats import images

Pixels = NDArray[np.uint8]
Kind = Literal["device", "memmap", "jpeg"]

DEVICE_SHARE = 0.5
"""Of the free device memory that images may take: the model, its gradients and activations need the rest."""

MEMORY_SHARE = 0.8
"""Of the free memory that images may take."""

DID = {"device": "from the device", "memmap": "through the memory map", "jpeg": "from packed JPEG files"}


def choose_source(
    bytes: int, free_memory: int, free_device: int | None = None, jpeg_share: float | None = None
) -> tuple[Kind, str]:
    """The fastest place that holds the images, and the reason in words.

    Args:
        bytes: What the decoded images take.
        free_memory: Memory that is free, or can be made so.
        free_device: Free memory of the device; None without one.
        jpeg_share: What the original JPEG files take, as a share of ``bytes``; None if they cannot stand in.
    """
    size, free = size_text(bytes), size_text(free_memory)
    if free_device is not None and bytes <= DEVICE_SHARE * free_device:
        return "device", f"{size} fit into {size_text(free_device)} of free device memory"
    if bytes <= MEMORY_SHARE * free_memory:
        return "memmap", f"{size} fit into {free} of free memory"
    if jpeg_share is None or jpeg_share >= 1:
        return "memmap", f"{size} do not fit into {free} of free memory, so that some are read from the disk each epoch"
    packed = jpeg_share * bytes
    if packed <= MEMORY_SHARE * free_memory:
        return "jpeg", f"{size} decoded do not fit into {free} of free memory, {size_text(packed)} of JPEG do"
    return "jpeg", f"neither {size} decoded nor {size_text(packed)} of JPEG fit into {free} of free memory"


class PackedJpegs:
    """The original image files one after another in one store; each image is decoded when it is asked for.

    Threads may share it; decoding lets go of the GIL.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def __len__(self) -> int:
        return len(self.store)

    @property
    def ids(self) -> list[str]:
        """Every id, in order."""
        return self.store.ids

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of image ``i``, without decoding it."""
        return self.store.shape(i)

    def image(self, i: int) -> Pixels:
        """Image ``i``, uint8 (H, W, 3)."""
        return images.decode_image(self.store.raw(i).tobytes(), self.store.ids[i])

    def band(self, i: int, y0: int, y1: int) -> Pixels:
        """Rows ``y0`` to ``y1`` (not included); all of it is decoded."""
        return self.crop(i, y0, 0, y1 - y0, self.shape(i)[1])

    def crop(self, i: int, y: int, x: int, h: int, w: int) -> Pixels:
        """The ``h`` by ``w`` pixels from row ``y`` and column ``x`` on; all of the image is decoded."""
        height, width = self.shape(i)
        if not (0 <= y <= y + h <= height and 0 <= x <= x + w <= width):
            raise IndexError(f"{(y, x, h, w)} does not lie within image '{self.ids[i]}' of shape {(height, width)}")
        return self.image(i)[y : y + h, x : x + w]


def pack_jpegs(cache: Path, name: str, samples: Sequence[Sample]) -> PackedJpegs:
    """The samples' image files in one store, built once; content-addressed, resumable and verified as any other.

    Args:
        cache: The workspace's `.podium/cache`.
        name: The stage's name: "train files".
    """
    hashes = content_hashes([s.image for s in samples], cache / "content.json")
    content = {s.id: hashes[s.image] for s in samples}
    by_id = {s.id: s for s in samples}

    def produce(id: str) -> Item:
        try:
            data = images.read_bytes(by_id[id].image)
            facts = images.image_facts(by_id[id].image)
        except PodiumError as error:
            return Item(id, None, {}, error.found)
        shape = {"height": facts.height, "width": facts.width}
        source = {"source_height": facts.height, "source_width": facts.width, "mode": facts.mode}
        return Item(id, np.frombuffer(data, np.uint8), shape | source)

    folder = cache / f"{name.replace(' ', '_')}-{stage_key(name, content.items(), {})}"
    ids = [s.id for s in samples]
    need = _file_bytes(samples)
    return PackedJpegs(build_store(folder, ids, produce, what=name, need=need, content=content, settings={}))


@dataclass(frozen=True)
class Opened:
    """Where images are read from.

    Attributes:
        kind: "device": ``images`` is the store, to be copied there; "memmap": it is read as it is; "jpeg": decoded.
        why: The reason, in words.
    """

    kind: Kind
    why: str
    images: Store | PackedJpegs

    @property
    def stage(self) -> Stage:
        """The line that `podium prepare` prints."""
        folder = self.images.store.folder if isinstance(self.images, PackedJpegs) else self.images.folder
        return Stage("images are read", folder, True, self.why, did=DID[self.kind])


def open_images(
    store: Store,
    samples: Sequence[Sample],
    cache: Path,
    *,
    free_memory: int | None = None,
    free_device: int | None = None,
) -> Opened:
    """Where to read the images of a store from on this machine, as it is now.

    Args:
        store: The decoded images of ``samples``, item for item.
        free_memory: In bytes; None: ask the machine.
        free_device: In bytes; None: there is no device, or it is not to hold images.
    """
    available = memory.free_memory() if free_memory is None else free_memory
    kind, why = choose_source(store.nbytes, available, free_device, jpeg_share(store, samples))
    return Opened(kind, why, pack_jpegs(cache, "train files", samples) if kind == "jpeg" else store)


def jpeg_share(store: Store, samples: Sequence[Sample]) -> float | None:
    """What the samples' files take as a share of the store; None where decoding them gives other pixels.

    That is where one is no JPEG file or could not be read, or the store holds them processed.
    """
    settings = read_meta(store.folder).get("settings")
    if settings is None or any(value for key, value in settings.items() if key != "format"):
        return None
    index = store.index
    as_they_are = (index["height"] == index["source_height"]) & (index["width"] == index["source_width"])
    jpegs = all(s.image.suffix.lower() in (".jpg", ".jpeg") for s in samples)
    if not (store.nbytes and jpegs and as_they_are.fill_null(False).all()):
        return None
    return _file_bytes(samples) / store.nbytes


def _file_bytes(samples: Sequence[Sample]) -> int:
    return sum(s.image.stat().st_size for s in samples if s.image.is_file())
