"""What folds are made from, and what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from blake3 import blake3

from podium.data.samples import merge_groups
from podium.errors import DataError

T = TypeVar("T")
Label = int | str | float | tuple[float, ...]


@dataclass(frozen=True)
class Folds:
    """The assignment of samples to folds 0..k-1.

    Attributes:
        fold: {id: fold}.
        group: {id: group}.
        k: Number of folds.
        apart: {id: folds} of the samples too near in time to train while one of these folds validates.
    """

    fold: dict[str, int]
    group: dict[str, str]
    k: int
    apart: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def validation(self, fold: int) -> list[str]:
        """Ids that validate in ``fold``, sorted."""
        return sorted(id for id, f in self.fold.items() if f == fold)

    def training(self, fold: int) -> list[str]:
        """Ids that train when ``fold`` validates, sorted."""
        return sorted(id for id, f in self.fold.items() if f != fold and fold not in self.apart.get(id, ()))

    def sizes(self) -> list[int]:
        """Number of samples in each fold."""
        counts = Counter(self.fold.values())
        return [counts[f] for f in range(self.k)]

    def only(self, ids: Iterable[str]) -> Folds:
        """The folds of some of the samples."""
        keep = sorted(ids)
        apart = {id: self.apart[id] for id in keep if id in self.apart}
        return Folds({id: self.fold[id] for id in keep}, {id: self.group[id] for id in keep}, self.k, apart)

    def digest(self) -> str:
        """Equal folds, equal digest, whatever the order of the rows."""
        text = repr(sorted(self.fold.items())) + (repr(sorted(self.apart.items())) if self.apart else "")
        return str(blake3(text.encode()).hexdigest(length=8))


@dataclass(frozen=True)
class FoldInput:
    """What is known of the samples; every sequence is empty or has one entry a sample.

    Attributes:
        groups: Samples of one group stay together.
        alike: So do samples of one value here: the digest of identical pixels, the name of a near-duplicate cluster.
        labels: A class (whole number or text), a tuple of 0 and 1, a number, or a tuple of numbers.
        area: The part of the image that is foreground; nan where it is not known.
        split: The official split of each sample, such as "train" or "val".
        order: Values of the column that `folds.by` names: numbers, or texts that sort.
        given: {id: fold} of the user's own list.
    """

    ids: Sequence[str]
    groups: Sequence[str]
    alike: Sequence[str] = ()
    labels: Sequence[Label] = ()
    area: Sequence[float] = ()
    split: Sequence[str] = ()
    order: Sequence[float | str] = ()
    given: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("groups", "alike", "labels", "area", "split", "order"):
            got = len(getattr(self, name))
            if got != len(self.ids) and (got or name == "groups"):
                raise ValueError(f"{got} {name} for {len(self.ids)} ids")
        if len(set(self.ids)) < len(self.ids):
            raise ValueError("an id is there twice")

    @classmethod
    def of(cls, groups: Mapping[str, str]) -> FoldInput:
        """Samples of which nothing but the group is known."""
        return cls(list(groups), list(groups.values()))

    def sorted(self) -> FoldInput:
        """The same samples by id, so that nothing depends on the order they came in."""
        return self.only(sorted(range(len(self.ids)), key=self.ids.__getitem__))

    def only(self, places: Sequence[int]) -> FoldInput:
        """Some of the samples, in this order."""

        def those(values: Sequence[T]) -> Sequence[T]:
            return [values[i] for i in places] if values else values

        return FoldInput(
            those(self.ids),
            those(self.groups),
            those(self.alike),
            those(self.labels),
            those(self.area),
            those(self.split),
            those(self.order),
            self.given,
        )

    def units(self) -> dict[str, str]:
        """{id: name of what it cannot be parted from}: groups, joined where they share alike samples."""
        whole = merge_groups(self.groups, self.alike) if self.alike else self.groups
        return dict(zip(self.ids, whole, strict=True))


def too_few(units: int, k: int, fewer: int = 0) -> DataError:
    """The error about fewer groups than folds.

    Args:
        fewer: Folds that are filled otherwise.
    """
    enough = units + fewer >= 2
    return DataError(
        f"{units} group{'' if units == 1 else 's'} cannot fill {k - fewer} folds",
        where="competition.toml",
        remedy=f"set folds.k = {units + fewer} or less, or correct data.group"
        if enough
        else "data.group puts every sample into one group: correct it, or remove it if the samples are unrelated",
    )
