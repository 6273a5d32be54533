"""Which changes a sample gets: one block of named random numbers, so that one setting never reshuffles the others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from podium.recipe import COLOURS, PARTS, SINGLES, WARPS, AugmentConfig

Draws = Mapping[str, float]
"""{name: number in [0, 1)}."""

NAMES = (
    *("hflip", "vflip", "top", "left", "warp", "shift_x", "shift_y", "scale", "rotate"),
    *("colour", "brightness", "contrast", "saturation"),
    *("rot90", "quarter", "shear_x", "shear_y", "area", "aspect", *(f"corner{i}" for i in range(8))),
    *("gamma", "hue", "value", "grey", "shuffle", "order", "clahe"),
    *("blur", "blur_size", "motion", "motion_size", "motion_angle", "noise", "noise_size", "noise_seed"),
    *("elastic", "elastic_seed", "grid", "grid_seed", "dropout", "dropout_seed", "jpeg", "jpeg_quality", "extra"),
    *("mixup", "mixup_share", "cutmix", "cutmix_seed", "mosaic", "mosaic_seed", "copy_paste"),
    *("partner0", "partner1", "partner2"),
    *(f"p.{name}" for name in PARTS),
    *(f"one_of{i}" for i in range(8)),
)
"""Append only: a name that moves would change every variant of every recipe."""

STEADY = ("hflip", "vflip", "rot90")
"""A strength above 1 leaves these: a flip that always comes is less variety, not more."""


def draw(rng: np.random.Generator) -> Draws:
    """The random numbers of one variant, always as many."""
    return dict(zip(NAMES, rng.random(len(NAMES)).tolist(), strict=True))


def generator(draws: Draws, name: str) -> np.random.Generator:
    """A generator for a change that needs many numbers."""
    return np.random.default_rng(int(draws[name] * 2**53))


def probability(config: AugmentConfig, name: str) -> float:
    """How often a change comes; of a part: given that its group comes."""
    if name in PARTS:
        return config.p.get(name, 1.0) if getattr(config, name) * config.strength > 0 else 0.0
    return float(min(1.0, getattr(config, name) * min(config.strength, 1 if name in STEADY else 2)))


def chosen(config: AugmentConfig, draws: Draws) -> frozenset[str]:
    """The names of the changes that come.

    Of a group of `one_of` at most one does, each at its own probability as long as these sum to no more than 1.
    """
    grouped = {name for group in config.one_of for member in group for name in member.split("+")}
    come = {name for name in SINGLES if name not in grouped and draws[name] < probability(config, name)}
    come |= {name for name in PARTS if name not in grouped and draws[f"p.{name}"] < probability(config, name)}
    for i, group in enumerate(config.one_of):
        members = [member.split("+") for member in group]
        odds = np.cumsum([probability(config, names[0]) for names in members])
        picked = int(np.searchsorted(odds, draws[f"one_of{i}"] * max(1.0, odds[-1] if len(odds) else 1), "right"))
        come |= set(members[picked]) if picked < len(members) else set()
    if draws["warp"] >= config.warp:
        come -= set(WARPS)
    if draws["colour"] >= config.colour:
        come -= set(COLOURS)
    return frozenset(come)


def between(draw: float, least: float, most: float) -> float:
    """A number in [0, 1) stretched over [least, most)."""
    return least + draw * (most - least)
