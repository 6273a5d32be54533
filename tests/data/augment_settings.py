"""Settings of each augmentation alone, and small pictures to try them on."""

import numpy as np

from podium.data.augment import augment
from podium.data.augment.draws import chosen
from podium.data.augment.warp import plan
from podium.recipe import AugmentConfig

NOTHING = {"hflip": 0, "vflip": 0, "shift": 0, "scale": 0, "rotate": 0, "brightness": 0, "contrast": 0, "saturation": 0}
MOVES = {
    "hflip": {"hflip": 1},
    "vflip": {"vflip": 1},
    "rot90": {"rot90": 1},
    "shift": {"shift": 0.2},
    "scale": {"scale": 0.4},
    "rotate": {"rotate": 180},
    "shear": {"shear": 25},
    "perspective": {"perspective": 0.2},
    "resized_crop": {"resized_crop": [0.4, 0.9]},
    "aspect": {"aspect": 0.4},
    "elastic": {"elastic": 1, "elastic_size": 0.02},
    "grid": {"grid": 1},
    "together": {"hflip": 0.5, "rot90": 0.5, "shift": 0.1, "scale": 0.2, "rotate": 90, "shear": 10, "perspective": 0.1}
    | {"resized_crop": [0.5, 1.0], "aspect": 0.2, "elastic": 0.5, "grid": 0.5, "elastic_size": 0.01},
}
COLOURS = {
    "brightness": {"brightness": 0.4},
    "contrast": {"contrast": 0.5},
    "gamma": {"gamma": 1},
    "hue": {"hue": 120},
    "saturation": {"saturation": 0.9},
    "value": {"value": 0.5},
    "grey": {"grey": 1},
    "shuffle": {"shuffle": 1},
    "clahe": {"clahe": 1},
}
EFFECTS = {
    "blur": {"blur": 1},
    "motion": {"motion": 1},
    "noise": {"noise": 1},
    "jpeg": {"jpeg": 1},
    "dropout": {"dropout": 1},
}
MIXED = {"mixup": {"mixup": 1}, "cutmix": {"cutmix": 1}, "mosaic": {"mosaic": 1}, "copy_paste": {"copy_paste": 1}}


def config(**changes):
    return AugmentConfig.from_tree(NOTHING | {"warp": 1, "colour": 1} | changes)


def sample(h, w, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (h, w, 3), dtype=np.uint8), rng.integers(0, 2, (h, w), dtype=np.uint8)


def blob(h, w, value=1):
    y, x = np.mgrid[:h, :w]
    mask = (((y - h * 0.45) / (h * 0.3)) ** 2 + ((x - w * 0.4) / (w * 0.25)) ** 2 <= 1) & (x + y > h * 0.5)
    return np.repeat(mask[:, :, None] * np.uint8(255), 3, axis=2), mask * np.uint8(value)


def run(settings_, canvas, image, mask, seed=0):
    return augment(settings_, canvas, np.random.default_rng(seed), image, mask)


def planned(settings_, canvas, draws, shape):
    return plan(settings_, canvas, draws, chosen(settings_, draws), shape)
