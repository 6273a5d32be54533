"""Targets: which mask, run-length mask, table row or class folder belongs to an id, and its pixels."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image

from podium.data.competition import Competition, DataConfig, listed
from podium.data.patterns import file_an_object, files_like, mask_name, row_id
from podium.data.several_targets import Part
from podium.data.target_tables import OBJECTS, class_stack, read_labels_of, read_runs, read_target_table, rows_a_label
from podium.errors import DataError, nearest
from podium.formats import colours, masks, rle, tables
from podium.formats import images as image_files

SIGNS = {"1", "-1"}
"""What a column may write for yes and no, as CelebA's do; one with a 0 or a blank beside them says something else."""
IGNORED = 255
"""In a map of classes: neither trained on nor scored."""


@dataclass(frozen=True, slots=True)
class Target:
    """What belongs to an id, as `Sample` has it; or why it cannot be used."""

    where: str = ""
    mask: Path | None = None
    class_masks: tuple[tuple[str, Path], ...] = ()
    rle: str | None = None
    values: tuple[float, ...] = ()
    inputs: tuple[str, ...] = ()
    problem: str = ""


def target_word(spec: DataConfig) -> str:
    """What a target is called here: mask, row or class."""
    return "class" if spec.class_folders else "row" if spec.targets else "mask"


def find_targets(
    competition: Competition, data: Path, images: Mapping[str, Any], prefixes: Sequence[str] = ()
) -> dict[str, Target]:
    """{id: target} for everything that the competition's spec names as targets.

    Args:
        images: {id: image found}; class folders are read from it.
        prefixes: What is put before the ids of each pattern of images, and so of masks.

    Raises:
        DataError: if there are none, or an id has two.
    """
    spec = competition.data
    if spec.class_folders:
        return {id: _class_target(competition, found) for id, found in images.items()}
    if spec.targets:
        return _table_targets(competition, data)
    if spec.train_rle:
        return _rle_targets(competition, data)
    return mask_targets(listed(spec.train_masks), spec, data, prefixes, images)


def _class_target(competition: Competition, found: Any) -> Target:
    name = str(found.folder_class)
    try:
        return Target(str(found.path), values=(float(_class(name, competition.classes)),))
    except DataError:
        remedy = nearest(name, list(competition.classes))
        return Target(str(found.path), problem=f"lies in '{name}', which is none of [classes] ({remedy})")


def mask_targets(
    patterns: list[str],
    spec: DataConfig,
    data: Path,
    prefixes: Sequence[str] = (),
    images: Mapping[str, Any] | None = None,
) -> dict[str, Target]:
    """{id: target} of mask files.

    Args:
        images: {id: image found}; none is its own mask, and ids tell where an id ends that something follows.

    Raises:
        DataError: if there is none, or an id has two.
    """
    found: dict[str, Target] = {}
    before = prefixes if len(prefixes) == len(patterns) else [""] * len(patterns)
    for prefix, pattern in zip(before, patterns, strict=True):
        read = mask_name(pattern, spec.image_id, {id.removeprefix(prefix) for id in images or ()})
        for path in files_like(data, pattern):
            told = read(path.relative_to(data).as_posix())
            if told is None:
                continue
            id, name = prefix + told[0], told[1]
            if name in spec.exclude_classes or (images and id in images and images[id].path == path):
                continue
            known = found.get(id)
            if name is None and file_an_object(pattern) and spec.mask_values in ("0/1", "0/max"):
                name = ""
            if name is not None:
                others = known.class_masks if known else ()
                found[id] = Target(str(path), class_masks=(*others, (name, path)))
            elif known is not None:
                raise DataError(f"two masks for the id '{id}'", where=path, remedy=f"move it or {known.mask} away")
            else:
                found[id] = Target(str(path), mask=path)
    if not found:
        raise DataError(
            "no mask found",
            where=f"{data}/{', '.join(patterns)}",
            remedy="correct data.train_masks in competition.toml",
        )
    return found


def _rle_targets(competition: Competition, data: Path) -> dict[str, Target]:
    path = str(data / str(competition.data.train_rle))
    found = read_runs(competition, data, class_order(competition))
    return {id: Target(path, rle=text) for id, text in found.items()}


def _table_targets(competition: Competition, data: Path) -> dict[str, Target]:
    spec = competition.data
    path = data / listed(spec.train_csv)[0]
    if rows_a_label(competition):
        labels = read_labels_of(competition, data, id_reader(spec))
        return {
            id: Target(str(path), problem=v) if isinstance(v, str) else Target(str(path), values=v)
            for id, v in labels.items()
        }
    table = read_target_table(spec, data, unique=True)
    ids = list(map(id_reader(spec), table[str(spec.id_column)].to_list()))
    own = [] if spec.inputs_csv else spec.inputs
    for name in (*spec.targets, *own):
        tables.column(table, name, path)
    inputs = table.select(own).rows() if own else [()] * len(ids)
    found = {}
    signed = [name for name in spec.targets if competition.task == "classification" and set(table[name]) == SIGNS]
    table = table.with_columns(pl.col(signed).replace({"-1": "0"}))
    for id, row, extra in zip(ids, table.select(spec.targets).rows(), inputs, strict=True):
        target = Target(str(path), inputs=tuple(str(v) for v in extra))
        try:
            found[id] = replace(target, values=values_of(competition, row))
        except DataError as error:
            found[id] = replace(target, problem=error.found)
    return found


def id_reader(spec: DataConfig) -> Callable[[str], str]:
    """The function from what a table writes to an id of these images, as `row_id` has it."""
    return row_id([*listed(spec.train_images), *listed(spec.test_images)], spec.image_id)


def values_of(competition: Competition, row: tuple[str, ...]) -> tuple[float, ...]:
    """The target columns of one row as numbers.

    Raises:
        DataError: for a value that is no number, or no class.
    """
    classes, spec = competition.classes, competition.data
    row = tuple(str(spec.flags.get(text, text)) for text in row) if spec.flags else row
    if competition.task == "regression":
        return tuple(_number(text, name) for text, name in zip(row, spec.targets, strict=True))
    if competition.labels == "each":
        return tuple(flag for part, text in zip(competition.parts, row, strict=True) for flag in _flags_of(part, text))
    if competition.labels == "many":
        if spec.separator is None:
            return tuple(_flag(text, name) for text, name in zip(row, spec.targets, strict=True))
        given = [t.strip() for t in row[0].split(spec.separator if spec.separator.strip() else None) if t.strip()]
        numbers = {_class(t, classes) for t in given}
        return tuple(float(n in numbers) for n in sorted(classes.values()))
    if len(classes) == 1:
        return (_flag(row[0], spec.targets[0]),)
    if len(row) > 1:  # a column a class
        ones = [name for text, name in zip(row, spec.targets, strict=True) if _flag(text, name)]
        if len(ones) != 1:
            raise DataError(f"{len(ones)} of its classes are 1, not one")
        return (float(_class(ones[0], classes)),)
    return (float(_class(row[0], classes)),)


def _flags_of(part: Part, text: str) -> tuple[float, ...]:
    if text not in part.classes:
        raise DataError(f"'{part.name}' is '{text}', none of its [classes]")
    flags = [0.0] * len(part.classes)
    flags[part.classes.index(text)] = 1.0
    return tuple(flags)


def _number(text: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"'{column}' is '{text}', not a number") from None
    if not np.isfinite(value):
        raise DataError(f"'{column}' is {text}")
    return value


def _flag(text: str, column: str) -> float:
    text = {"true": "1", "false": "0"}.get(text.lower(), text)
    value = _number(text, column)
    if value not in (0, 1):
        raise DataError(f"'{column}' is {text}, neither 0 nor 1")
    return value


def _class(text: str, classes: Mapping[str, int]) -> int:
    if text not in classes:
        whole = re.fullmatch(r"(-?\d+)\.0+", text)
        if whole and whole[1] in classes:  # as pandas writes whole numbers beside a gap
            return classes[whole[1]]
        if text.isdecimal() and int(text) in classes.values():  # where a file beside the table names the numbers
            return int(text)
        raise DataError(f"'{text}' is none of [classes]")
    return classes[text]


def read_target(
    competition: Competition, sample: Any, shape: tuple[int, int]
) -> NDArray[np.bool_] | NDArray[np.uint8] | NDArray[np.uint16]:
    """A sample's target as pixels.

    Args:
        sample: A `Sample` with a mask, class masks or runs.
        shape: (height, width) of its image.

    Returns:
        bool (H, W) for one foreground class; uint8 (H, W) of class numbers with 255 = ignored for several;
        bool (C, H, W) for several at once; uint16 (H, W) of object numbers with 0 = none for instances.

    Raises:
        DataError: if a file cannot be read or holds a value that is no class.
    """
    return read_overlapping(competition, sample, shape)[0]


def read_overlapping(
    competition: Competition, sample: Any, shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | NDArray[np.uint8] | NDArray[np.uint16], int]:
    """A sample's target as `read_target` gives it, and how many pixels several of its objects or classes claimed.

    Of objects the first keeps such a pixel, of classes the one with the largest number.
    """
    spec = competition.data
    if sample.rle is not None:
        return _from_runs(competition, sample.rle, shape)
    if sample.class_masks:
        return _from_class_masks(competition, sample.class_masks, shape)
    if spec.mask_values == "instances":
        return read_labels(sample.mask).astype(np.uint16), 0
    if spec.mask_values == "classes":
        return _class_map(competition, read_labels(sample.mask), sample.mask), 0
    if spec.mask_values == "colours":
        return _from_colours(competition, sample.mask), 0
    return masks.read_mask(sample.mask, spec.mask_values), 0


def read_labels(path: Path) -> NDArray[np.uint16]:
    """The raw values of a label image, (H, W); palette images give their indices.

    Raises:
        DataError: if it cannot be decoded or has several channels that differ.
    """

    def read(image: Image.Image) -> NDArray[Any]:
        return np.asarray(image)

    labels = image_files.decode(image_files.read_bytes(path), path, read)
    if labels.ndim == 3:
        channel = 0 if (labels[..., :1] == labels[..., :3]).all() else masks.only_channel(labels)
        if channel is None:
            raise DataError("colours, not class numbers", where=path, remedy="make a label image of one channel")
        labels = labels[..., channel]
    if labels.min() < 0 or labels.max() > 65535:
        raise DataError(f"values up to {labels.max()}", where=path, expected="label numbers up to 65535")
    return labels.astype(np.uint16)


def _class_map(competition: Competition, labels: NDArray[np.uint16], path: Path) -> NDArray[np.uint8]:
    table = np.full(65536, 254, np.uint8)
    for name in competition.data.exclude_classes:
        table[competition.classes.get(name, [])] = IGNORED
    for number, name in enumerate(class_order(competition)):
        table[competition.classes[name]] = number
    table[[int(v) for v in competition.data.ignore]] = IGNORED
    out = table[labels]
    if (out == 254).any():
        strange = int(labels[out == 254][0])
        raise DataError(f"the mask holds {strange}, which is none of [classes]", where=path)
    return out


def _from_colours(competition: Competition, path: Path) -> NDArray[np.bool_] | NDArray[np.uint8]:
    order = class_order(competition)
    palette, numbers = [], []
    for name, given in competition.colours_of.items():
        for red, green, blue in given:
            palette.append((red, green, blue))
            numbers.append(order.index(name) if name in order else IGNORED)
    found = np.array(numbers, np.uint8)[colours.read_colours(path, palette)]
    return found == 0 if competition.binary else found


def _from_class_masks(
    competition: Competition, files: tuple[tuple[str, Path], ...], shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | NDArray[np.uint8] | NDArray[np.uint16], int]:
    many = competition.labels == "many"
    names = class_order(competition)
    order = {name: i for i, name in enumerate(names)}
    stack = np.zeros((len(names), *shape), np.bool_)
    objects, claims = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    for number, (name, path) in enumerate(files, 1):
        mask = masks.read_mask(path, "0/1" if competition.data.mask_values == "0/1" else "0/max")
        if mask.shape != shape:
            raise DataError(f"mask is {mask.shape[1]}x{mask.shape[0]}, its image {shape[1]}x{shape[0]}", where=path)
        if name and name not in order:
            raise DataError(f"'{name}' is none of [classes]", where=path, remedy=nearest(name, names))
        stack[order[name] if name else 0] |= mask
        objects[mask & (objects == 0)] = number  # as in the labels of dsb2018, the first keeps the pixel
        claims += mask
    overlap = int((claims > 1).sum())
    if competition.task == "instances":
        return objects, overlap
    if many or competition.binary:
        return stack if many else stack[0], 0
    merged = np.zeros(shape, np.uint8)
    for i in range(len(names)):
        merged[stack[i]] = i
    return merged, overlap


def _of_classes(
    stack: NDArray[np.bool_], competition: Competition
) -> tuple[NDArray[np.bool_] | NDArray[np.uint8], int]:
    """Masks of classes as the target that they are, and how many pixels several claimed."""
    if competition.labels == "many" or len(stack) == 1:
        return stack if competition.labels == "many" else stack[0], 0
    merged = np.zeros(stack.shape[1:], np.uint8)
    for i, mask in enumerate(stack):
        merged[mask] = i
    return merged, int((stack.sum(axis=0) > 1).sum())


def classes_in(target: NDArray[Any]) -> list[int] | None:
    """Which classes are in a target, as places in `class_order`; None if it has just one, or objects."""
    if target.ndim == 3:
        return [i for i, plane in enumerate(target) if plane.any()]
    if target.dtype != np.uint8:
        return None
    return [i for i in np.flatnonzero(np.bincount(target.ravel(), minlength=256)).tolist() if i != IGNORED]


def class_order(competition: Competition) -> list[str]:
    """The classes that a model has an output for, in the order of its outputs and of the numbers in `read_target`.

    They are [classes] by number, without data.exclude_classes; several at once (labels = many) have no background.
    A head, a metric or a report over classes goes by this list, never by [classes] itself.
    """
    left_out = competition.data.exclude_classes
    names = [name for name in sorted(competition.classes, key=lambda c: competition.classes[c]) if name not in left_out]
    many = competition.labels == "many" and competition.task == "segmentation"
    return [name for name in names if not (many and competition.classes[name] == 0)]


def _from_runs(
    competition: Competition, text: str, shape: tuple[int, int]
) -> tuple[NDArray[np.bool_] | NDArray[np.uint8] | NDArray[np.uint16], int]:
    order = competition.submission.order
    if competition.task != "instances":
        return _of_classes(class_stack(text, shape, order, len(class_order(competition))), competition)
    labels, claims = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    for number, runs in enumerate((r for r in text.split(OBJECTS) if r.strip()), 1):
        mask = rle.decode(runs, shape, order)
        labels[mask & (labels == 0)] = number
        claims += mask
    return labels, int((claims > 1).sum())
