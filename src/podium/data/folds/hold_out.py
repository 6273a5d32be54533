"""Whole groups hidden as a test set."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from podium.errors import DataError


def hold_out_groups(groups: Mapping[str, str], share: float, seed: int = 0) -> set[str]:
    """Ids of whole groups, about ``share`` of the samples, to be hidden as a test set.

    Raises:
        DataError: if that would leave nothing on one side.
    """
    members: dict[str, list[str]] = defaultdict(list)
    for id in sorted(groups):
        members[groups[id]].append(id)
    names: Sequence[str] = sorted(members)
    want, held = share * len(groups), set[str]()
    for i in np.random.default_rng([seed, 1]).permutation(len(names)):
        size = len(members[names[i]])
        if abs(len(held) + size - want) <= abs(len(held) - want):  # a huge group that overshoots stays in train
            held |= set(members[names[i]])
    if not held or len(held) == len(groups):
        raise DataError(
            f"cannot hold out {share:.0%} of {len(names)} groups", expected="a share that leaves groups on both sides"
        )
    return held
