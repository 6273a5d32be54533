"""Ids of images in folders of classes, and the groups that can be read from them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Image = tuple[tuple[str, ...], str, str]
"""The names of an image's folder, its official split and its stem."""


@dataclass(frozen=True)
class Spelled:
    """How ids are made.

    Attributes:
        places: The folders whose names are parts of the id; none if the stem is the id.
        spelling: As `data.image_id` says it; None if the parts are joined by _.
        group: A pattern of the group in an id; empty if there is none.
        n_groups: How many groups there are.
    """

    places: tuple[int, ...] = ()
    spelling: str | None = None
    group: str = ""
    n_groups: int = 0


def spelled_ids(images: Sequence[Image], at: int, group_at: int | None, *, own_spelling: bool) -> Spelled:
    """The simplest ids that are different in a class, and from which groups can be read.

    Args:
        images: All of them.
        at: Which folder is the class.
        group_at: Which folder is the group; None if none is.
        own_spelling: Whether ids may be spelled otherwise than the parts joined by _.
    """
    others = [i for i in range(len(images[0][0])) if i != at and len({names[i] for names, _, _ in images}) > 1]
    if group_at is None:
        places = () if _differ(images, (), at) else tuple(others)
        return Spelled(places)
    groups = [names[group_at] for names, _, _ in images]
    n_groups = len(set(groups))
    places = (group_at,) if _differ(images, (group_at,), at) else tuple(others)
    for spelled in _candidates(images, groups, places, group_at, own_spelling):
        ids = _ids(images, spelled, at)
        told = [m["group"] if (m := re.search(spelled.group, id)) else "" for id in ids]
        if "" not in told and len(set(told)) == n_groups == len(set(zip(told, groups, strict=True))):
            return Spelled(spelled.places, spelled.spelling, spelled.group, n_groups)
    return Spelled(places)


def _candidates(
    images: Sequence[Image], groups: Sequence[str], places: tuple[int, ...], group_at: int, own_spelling: bool
) -> Iterator[Spelled]:
    """Ways to spell ids with a group in them, the plainest first."""
    for rule in (r"^(?P<group>[^_]+)_", r"^(?P<group>[^-]+)-"):
        if len({stem for _, _, stem in images}) == len(images):  # stems that name their group
            yield Spelled((), None, rule)
    if places[0] == group_at:
        yield Spelled(places, None, r"^(?P<group>[^_]+)_")
        yield Spelled(places, None, r"^(?P<group>.+)_[^_]+$")
    if own_spelling:
        parts = [f"{{id{n}}}" for n in range(1, len(places) + 2) if n != places.index(group_at) + 1]
        spelling = "_".join(parts) + f"@{{id{places.index(group_at) + 1}}}"
        yield Spelled(places, spelling, r"@(?P<group>[^@]+)$")
    names = sorted(set(groups), key=lambda g: (-len(g), g))
    yield Spelled(places, None, f"(^|_)(?P<group>{'|'.join(map(re.escape, names))})_")


def _ids(images: Sequence[Image], spelled: Spelled, at: int) -> list[str]:
    """The ids of images as `find_images` makes them, with the split or the class before them where needed."""
    ids = []
    for names, _, stem in images:
        parts = [*(names[i] for i in spelled.places), stem]
        text = spelled.spelling
        for n, part in enumerate(parts, 1):
            text = text.replace(f"{{id{n}}}", part) if text else None
        ids.append(text or "_".join(parts))
    keys = [(id, split) for id, (_, split, _) in zip(ids, images, strict=True)]
    by_class = len(set(keys)) < len(keys)
    by_split = len(set(ids)) < len(set(keys))
    return [
        (f"{split}_" if by_split else "") + (f"{names[at]}_" if by_class else "") + id
        for id, (names, split, _) in zip(ids, images, strict=True)
    ]


def _differ(images: Sequence[Image], places: Sequence[int], at: int) -> bool:
    """Whether no two images of one class and split have the same names in these places and the same stem."""
    keys = {(names[at], split, stem, *(names[i] for i in places)) for names, split, stem in images}
    return len(keys) == len(images)
