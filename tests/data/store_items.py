"""What the tests of the store put into it; a process that is killed imports this alone, not pytest."""

from __future__ import annotations

import numpy as np

from podium.data.store import Item

IDS = [str(i) for i in range(60)]


def pixels(id):
    """What the item of an id looks like: images and masks of many sizes, some of them errors."""
    rng = np.random.default_rng(int(id))
    h, w = (int(x) for x in rng.integers(1, 40, 2))
    return rng.random((h, w)) < 0.5 if int(id) % 3 == 0 else rng.integers(0, 256, (h, w, 3), dtype=np.uint8)


def item(id):
    return (
        Item(id, None, {"mode": "RGB"}, "is broken") if int(id) % 7 == 5 else Item(id, pixels(id), {"mode": f"m{id}"})
    )
