"""A competition as the host that gave out its files describes it: nothing has to be guessed."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from podium.config import flatten
from podium.data.competition import Competition
from podium.data.infer import Inference, infer_with
from podium.errors import ConfigError, PodiumError
from podium.progress import say

WHY = "as the host says"
ALWAYS = ("task", "metric", "submission.format")
OF_MASKS = ("data.mask_values", "submission.order")
"""Keys that are told even where the host has the default."""


def as_told(text: str, data: Path, name: str, settings: Sequence[str]) -> Inference | None:
    """The competition of a host's ``competition.toml``, with ``key=value`` settings of who enters it.

    Of a metric in the organisers' own code there is no copy, and none would be run: what the data suggests stands in
    its place. Nor does anything lead out of ``data``.

    Args:
        text: "" of a server that has no such description.

    Returns:
        None if there is none, or it is in words that are not known here; then the data has to tell.
    """
    if not text:
        return None
    try:
        tree = tomllib.loads(text)
        told = Competition.from_tree(_without_theirs(tree) | {"name": name})
        odd = [v for _, v in flatten(told.tree()) if any(".." in PurePath(t).parts for t in _texts(v))]
        if odd:
            raise ConfigError(f"{odd[0]!r} leads out of the data")
        if ".py" in str(tree.get("metric")):
            stead = infer_with(data, name, ()).competition.metric
            say(f"  the host scores by its own code ({tree['metric']}): here {stead} stands for it, which is a guess")
            told = told.with_overrides({"metric": stead})
    except (ValueError, PodiumError) as error:
        say(f"  what the host says of its competition is not understood ({error}): the data has to tell")
        return None
    keys = {key for key, _ in flatten(told.model_dump(mode="json", exclude_defaults=True, by_alias=True))}
    keys = {"classes" if k.startswith("classes.") else k for k in keys} - {"name"}
    first = ALWAYS + OF_MASKS * (told.task in ("segmentation", "instances"))
    return Inference(told, dict.fromkeys((*first, *sorted(keys - set(first))), WHY)).with_settings(settings)


def _without_theirs(tree: dict[str, Any]) -> dict[str, Any]:
    """What holds here too: not the host's board, nor how it would split; of folds how many there are groups for."""
    kept = {key: value for key, value in tree.items() if key not in ("board", "folds")}
    if ".py" in str(kept.get("metric")):
        del kept["metric"]
    folds = tree.get("folds")
    return kept | ({"folds": {"k": folds["k"]}} if isinstance(folds, dict) and "k" in folds else {})


def _texts(value: Any) -> list[str]:
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]
