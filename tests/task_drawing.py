"""A small competition of each task, drawn in milliseconds, that can be learnt from its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from podium.data.competition import Competition
from podium.metrics import get_metric

SIDE = 32
COLOURS = np.array([[200, 40, 40], [40, 200, 40], [40, 40, 200]])
"""Of the classes, in their order."""


def metric_of(competition):
    """Its metric."""
    return get_metric(competition.metric, parts=competition.parts)


def _discs(rng, n, classes=1):
    """[(mask, class)] of discs that may touch, on a SIDE x SIDE image."""
    y, x = np.mgrid[:SIDE, :SIDE]
    out = []
    for _ in range(n):
        cy, cx, r = rng.uniform(6, SIDE - 6), rng.uniform(6, SIDE - 6), rng.uniform(3, 6)
        out.append(((y - cy) ** 2 + (x - cx) ** 2 < r**2, int(rng.integers(classes))))
    return out


def _ground(rng):
    return rng.integers(0, 50, (SIDE, SIDE, 3))


def _save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def draw_task(root, task, n=24, seed=0):
    """Write a competition below ``root``/data and give its spec.

    Args:
        task: One of `TASKS`.
    """
    rng, data = np.random.default_rng(seed), Path(root) / "data"
    (data / "train").mkdir(parents=True)
    tree = {"name": task.replace(" ", "-"), "folds": {"k": 2}, **SPECS[task]}
    rows = []
    for i in range(n):
        id, image = f"s{i:02d}", _ground(rng)
        rows.append(PAINTERS[task](rng, data, id, image, i))
    if "train_csv" in tree["data"]:
        header = ["id", *tree["data"]["targets"], *tree["data"].get("inputs", [])]
        (data / "train.csv").write_text("\n".join(",".join(map(str, r)) for r in [header, *rows]) + "\n")
    return Competition.from_tree(tree)


def _class_map(rng, data, id, image, i):
    labels = np.zeros((SIDE, SIDE), np.uint8)
    for mask, k in _discs(rng, 3, 2):
        image[mask], labels[mask] = COLOURS[k], k + 1
    labels[:2] = 9  # ignored
    _save(data / f"train/{id}.png", image.astype(np.uint8))
    _save(data / f"masks/{id}.png", labels)


def _overlapping(rng, data, id, image, i):
    masks = np.zeros((2, SIDE, SIDE), bool)
    for mask, k in _discs(rng, 4, 2):
        masks[k] |= mask
    image = image + masks[0][..., None] * [150, 0, 0] + masks[1][..., None] * [0, 150, 0]
    _save(data / f"train/{id}.png", image.astype(np.uint8))
    for k, name in enumerate(("red", "green")):
        _save(data / f"masks/{name}/{id}.png", masks[k].astype(np.uint8) * 255)


def _objects(rng, data, id, image, i):
    labels = np.zeros((SIDE, SIDE), np.uint16)
    for number, (mask, _) in enumerate(_discs(rng, i % 5), 1):
        new = mask & (labels == 0)
        image[new], labels[new] = 170, number
    _save(data / f"train/{id}.png", image.astype(np.uint8))
    _save(data / f"masks/{id}.png", labels)


def _one_class(rng, data, id, image, i):
    k = i % 3
    _save(data / f"train/{id}.png", (image + COLOURS[k]).clip(0, 255).astype(np.uint8))
    return id, ("red", "green", "blue")[k]


def _yes_or_no(rng, data, id, image, i):
    _save(data / f"train/{id}.png", (image + 120 * (i % 2)).astype(np.uint8))
    return id, i % 2


def _several_labels(rng, data, id, image, i):
    flags = [int(rng.random() < 0.5) for _ in range(3)]
    _save(data / f"train/{id}.png", (image + np.array(flags) * 150).astype(np.uint8))
    return id, *flags


def _several_targets(rng, data, id, image, i):
    colour, lit = i % 3, int(rng.random() < 0.5)
    _save(data / f"train/{id}.png", (image + COLOURS[colour] // 2 + 100 * lit).clip(0, 255).astype(np.uint8))
    return id, ("red", "green", "blue")[colour], lit


def _number(rng, data, id, image, i):
    value = rng.uniform(0, 1)
    _save(data / f"train/{id}.png", (image + 150 * value).astype(np.uint8))
    return id, f"{1000 * value + 500:.3f}"


def _numbers(rng, data, id, image, i):
    red, green, age = rng.uniform(0, 1, 3)
    _save(data / f"train/{id}.png", (image + np.array([red, green, 0]) * 150).astype(np.uint8))
    kind = "ab"[i % 2]
    return id, f"{40 * red + 10 * age:.3f}", f"{5 * green + 3 * (i % 2):.3f}", f"{age:.3f}", kind


def _views(rng, data, id, image, i):
    a, b = rng.uniform(0, 1, 2)
    for view, value in (("left", a), ("right", b)):
        _save(data / f"train/{id}_{view}.png", (_ground(rng) + 150 * value).astype(np.uint8))
    return id, f"{a + b:.4f}"


_MASKS = {"train_images": "train/*.png", "train_masks": "masks/{id}.png"}
_TABLE = {"train_images": "train/*.png", "train_csv": "train.csv", "id_column": "id"}
_RGB = ["red", "green", "blue"]

SPECS = {
    "class map": {
        "metric": "mean_iou",
        "classes": {"ground": 0, "red": 1, "green": 2},
        "data": {**_MASKS, "mask_values": "classes", "ignore": [9]},
        "submission": {"format": "rle", "class_column": "class", "classes": ["ground", "red", "green"]},
    },
    "overlapping": {
        "metric": "dice",
        "labels": "many",
        "classes": {"red": 1, "green": 2},
        "data": {"train_images": "train/*.png", "train_masks": "masks/{class}/{id}.png"},
        "submission": {"format": "rle", "id": "{id}_{class}", "classes": ["red", "green"], "order": "column"},
    },
    "objects": {
        "task": "instances",
        "metric": "dsb2018",
        "classes": {"object": 1},
        "data": {**_MASKS, "mask_values": "instances"},
        "submission": {"format": "rle_objects", "order": "column"},
    },
    "one class": {
        "task": "classification",
        "metric": "accuracy",
        "classes": {"red": 0, "green": 1, "blue": 2},
        "data": {**_TABLE, "targets": ["colour"]},
        "submission": {"format": "names", "value_column": "colour", "classes": _RGB},
    },
    "yes or no": {
        "task": "classification",
        "metric": "auc",
        "classes": {"light": 1},
        "data": {**_TABLE, "targets": ["light"]},
        "submission": {"format": "probs", "value_column": "light"},
    },
    "several labels": {
        "task": "classification",
        "labels": "many",
        "metric": "f1_micro",
        "classes": {"r": 0, "g": 1, "b": 2},
        "data": {**_TABLE, "targets": ["r", "g", "b"]},
        "submission": {"format": "probs", "value_columns": ["r", "g", "b"]},
    },
    "several targets": {
        "task": "classification",
        "labels": "each",
        "metric": "balanced_accuracy",
        "target_weights": {"colour": 2.0},
        "classes": {"colour:red": 0, "colour:green": 1, "colour:blue": 2, "lit:0": 3, "lit:1": 4},
        "data": {**_TABLE, "targets": ["colour", "lit"]},
        "submission": {
            "format": "names",
            "id": "{id}_{class}",
            "value_column": "target",
            "classes": ["colour", "lit"],
            "choices": [_RGB, ["0", "1"]],
        },
    },
    "number": {
        "task": "regression",
        "metric": "rmsle",
        "data": {**_TABLE, "targets": ["price"]},
        "submission": {"format": "values", "value_column": "price"},
    },
    "numbers": {
        "task": "regression",
        "metric": "mae",
        "data": {**_TABLE, "targets": ["a", "b"], "inputs": ["age", "kind"]},
        "submission": {"format": "values", "value_columns": ["a", "b"]},
    },
    "views": {
        "task": "regression",
        "metric": "rmse",
        "data": {
            "train_images": "train/{id}_{view}.png",
            "views": ["left", "right"],
            "train_csv": "train.csv",
            "id_column": "id",
            "targets": ["sum"],
        },
        "submission": {"format": "values", "value_column": "sum"},
    },
}
"""What competition.toml says of each task, but for its name."""

PAINTERS = {
    "class map": _class_map,
    "overlapping": _overlapping,
    "objects": _objects,
    "one class": _one_class,
    "yes or no": _yes_or_no,
    "several labels": _several_labels,
    "several targets": _several_targets,
    "number": _number,
    "numbers": _numbers,
    "views": _views,
}
TASKS = list(SPECS)
