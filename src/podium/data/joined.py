"""Two stores as one: what is trained on beside the competition's own samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from podium.data.store import Store


class Joined:
    """The items of a second store behind those of the first, as far as loaders read them.

    Args:
        first, second: Of the same kind of items.
    """

    def __init__(self, first: Store, second: Store) -> None:
        self.first, self.second = first, second
        self.ids: list[str] = [*first.ids, *second.ids]
        self.kinds = [*first.kinds, *second.kinds]

    def __len__(self) -> int:
        return len(self.ids)

    def _at(self, i: int) -> tuple[Store, int]:
        n = len(self.first)
        return (self.first, i) if i < n else (self.second, i - n)

    def shape(self, i: int) -> tuple[int, int]:
        """(height, width) of item ``i``."""
        store, k = self._at(i)
        return store.shape(k)

    def image(self, i: int) -> NDArray[Any]:
        """Image ``i``, (H, W, C)."""
        store, k = self._at(i)
        return store.image(k)

    def raw(self, i: int) -> NDArray[Any]:
        """Item ``i`` as stored; see `Store.raw`."""
        store, k = self._at(i)
        return store.raw(k)

    def pixel_kinds(self, rows: Sequence[int]) -> set[tuple[int, int]]:
        """(channels, bits of each) of some items."""
        n = len(self.first)
        here, there = [i for i in rows if i < n], [i - n for i in rows if i >= n]
        return self.first.pixel_kinds(here) | self.second.pixel_kinds(there)
