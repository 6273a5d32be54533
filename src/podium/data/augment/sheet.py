"""The picture sheet of `podium look --augment`: what training sees, and every change that is on by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from podium.data.augment.draws import Draws, draw, probability
from podium.data.augment.mixing import MIXES
from podium.data.augment.pipeline import variant
from podium.data.competition import Competition
from podium.data.loader import MaskPart, TrainLoader
from podium.data.pictures import as_uri, colour_of, tinted
from podium.data.ready import Prepared
from podium.data.store import Store
from podium.data.views import NoMasks
from podium.files import write_atomic
from podium.recipe import PARTS, SINGLES, AugmentConfig, Recipe

Pixels = NDArray[np.uint8]
Line = tuple[str, list[tuple[Pixels, Pixels]]]

SAMPLES = VARIANTS = 6
TILE, LABEL = 192, 168
"""Longer side of a picture and width of the names, in pixels."""
LINES = ((180, 255, 0), (255, 120, 0), (0, 200, 255), (255, 0, 200), (255, 255, 0))
"""Colours of the outlines: of label 1, 2, …"""
MOST_OUTLINES = 3
"""With more labels in a picture they are told apart by colours: so many lines would hide what they surround."""


def sheet_of(path: Path, competition: Competition, prepared: Prepared, recipe: Recipe) -> list[str]:
    """`write_sheet` of a workspace's training samples."""
    images, pixels = prepared.stores.images, competition.task in ("segmentation", "instances")
    masks: Any = prepared.stores.masks if pixels else NoMasks(images)
    return write_sheet(path, images, masks, [images.row[id] for id in prepared.folds.fold], recipe)


def write_sheet(path: Path, images: Store, masks: Store, rows: Sequence[int], recipe: Recipe) -> list[str]:
    """Write the sheet: samples and their variants, then a row for each change that is on, from extreme to extreme.

    Beside the picture goes a page of the same name, augment.html, for any width and for the dark.

    Args:
        rows: The training samples; six of them, evenly spread, are shown.

    Returns:
        The names of the changes that have a row.

    Raises:
        DataError: if the samples cannot be batched with these settings, or a plug-in fails.
        ConfigError: if the plug-in cannot be loaded.
    """
    shown = [int(rows[i]) for i in np.unique(np.linspace(0, len(rows) - 1, SAMPLES).astype(int))]
    loader = TrainLoader(images, masks, rows, recipe)
    lines = [*_samples(loader, shown), *_changes(loader, images, masks, shown)]
    ignore = recipe.augment.ignore_label if recipe.augment.border == "ignore" else None
    small = [(name, [outlined(*pair, ignore) for pair in tiles]) for name, tiles in _cut(lines, loader)]
    sheet = np.concatenate([_line(name, tiles) for name, tiles in small])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, simplejpeg.encode_jpeg(np.ascontiguousarray(sheet), quality=90))
    title = path.parent.parent.name
    page = augment_page(title, small[: len(shown)], small[len(shown) :], recipe.augment)
    write_atomic(path.with_suffix(".html"), page.encode("utf-8", "backslashreplace"))
    return [name for name, _ in lines[len(shown) :]]


def _samples(loader: TrainLoader, shown: Sequence[int]) -> Iterator[Line]:
    """Each sample as it is, and its variants of six epochs."""
    still = _loader(loader, alone(loader.recipe.augment, ""))
    for row in shown:
        seen = [loader.sample(row, 0, epoch, loader.rows) for epoch in range(1, VARIANTS + 1)]
        yield loader.images.ids[row], [still.sample(row, 0, 0, loader.rows), *seen]


def _changes(loader: TrainLoader, images: Store, masks: Store, shown: Sequence[int]) -> Iterator[Line]:
    config = loader.recipe.augment
    still = _loader(loader, alone(config, ""))
    for i, name in enumerate(switched_on(config)):
        row, single = shown[i % len(shown)], alone(config, name)
        plain = still.sample(row, 0, 0, loader.rows)
        if name in MIXES or name == "extra":
            mixing = _loader(loader, single)
            seen = [mixing.sample(row, 0, epoch, loader.rows) for epoch in range(VARIANTS)]
        else:
            steps = np.linspace(0, 1 - 1e-9, VARIANTS)
            draws = [extreme(draw(np.random.default_rng([0, 0, row])), name, float(t)) for t in steps]
            seen = [variant(single, loader.canvas, d, images.image(row), MaskPart(masks, row)) for d in draws]
        yield name, [plain, *seen]


def switched_on(config: AugmentConfig) -> list[str]:
    """The changes that may come, in the order of the settings."""
    on = {name for name in (*PARTS, *SINGLES) if probability(config, name) > 0}
    on |= {name for name in ("resized_crop", "aspect", "extra") if getattr(config, name) and config.strength}
    on -= set(PARTS[:5]) if not config.warp else set()
    on -= set(PARTS[5:]) if not config.colour else set()
    return [name for name in AugmentConfig.model_fields if name in on]


def alone(config: AugmentConfig, name: str) -> AugmentConfig:
    """The settings with one change that always comes and no other."""
    off: dict[str, object] = dict.fromkeys((*PARTS, *SINGLES, "aspect"), 0.0)
    off |= {"resized_crop": None, "extra": None, "p": {}, "one_of": [], "warp": 1.0, "colour": 1.0}
    if name:
        off[name] = 1.0 if name in SINGLES else getattr(config, name)
    return config.model_copy(update=off)


def extreme(draws: Draws, name: str, at: float) -> Draws:
    """``draws`` with the size of a change at ``at`` of its range, 0 to 1; what needs many numbers gets others."""
    sizes = {name, *(f"{name}_{end}" for end in ("x", "size", "quality", "seed", "angle"))}
    sizes |= {"rot90": {"quarter"}, "shuffle": {"order"}, "resized_crop": {"area"}}.get(name, set())
    corners = {f"corner{i}": abs((i % 3 > 0) - at) for i in range(8)} if name == "perspective" else {}
    return {**draws, **{n: min(at, 1 - 1e-9) for n in sizes if n in draws}, **corners}


def _loader(loader: TrainLoader, config: AugmentConfig) -> TrainLoader:
    recipe = loader.recipe.model_copy(update={"augment": config})
    return TrainLoader(loader.images, loader.masks, loader.rows.tolist(), recipe)


# ---------------------------------------------------------------------- drawn


def _cut(lines: Sequence[Line], loader: TrainLoader) -> Iterator[Line]:
    """The pictures at the size of a tile."""
    scale = TILE / max(loader.canvas.height, loader.canvas.width)
    size = (max(1, round(loader.canvas.width * scale)), max(1, round(loader.canvas.height * scale)))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    for name, pairs in lines:
        small = []
        for image, mask in pairs:
            picture = np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=method), np.uint8)
            labels = cv2.resize(np.ascontiguousarray(mask), size, interpolation=cv2.INTER_NEAREST)
            small.append((rgb(picture), np.asarray(labels, np.uint8)))
        yield name, small


def rgb(picture: Pixels) -> Pixels:
    """A picture of any number of channels as uint8 (H, W, 3)."""
    channels = np.atleast_3d(picture)
    return np.ascontiguousarray(channels[..., :3] if channels.shape[2] >= 3 else channels[..., [0, 0, 0]])


def _line(name: str, pictures: Sequence[Pixels]) -> Pixels:
    height, edge = pictures[0].shape[0], 4
    label = np.full((height, LABEL, 3), 255, np.uint8)
    for i, part in enumerate(name[k : k + 18] for k in range(0, min(len(name), 72), 18)):
        cv2.putText(
            label, part.encode("ascii", "replace").decode(), (6, 22 + 18 * i), 0, 0.45, (0, 0, 0), 1, cv2.LINE_AA
        )
    tiles = [np.pad(picture, ((0, 0), (edge, 0), (0, 0)), constant_values=255) for picture in pictures]
    return np.pad(np.concatenate([label, *tiles], 1), ((0, edge), (0, edge), (0, 0)), constant_values=255)


def outlined(picture: Pixels, labels: Pixels, ignore: int | None = None) -> Pixels:
    """The picture, uint8 (H, W, 3), with the outline of each label, or many labels in colours; ignored is darkened."""
    out = np.array(picture)
    if ignore is not None:
        out[labels == ignore] //= 3
    found = [int(label) for label in np.unique(labels[labels > 0]) if label != ignore]
    if len(found) > MOST_OUTLINES:
        colours = np.array([colour_of(n) for n in range(256)], np.uint8)
        return tinted(out, labels, colours, set(found))
    for label in found:
        edges, _ = cv2.findContours((labels == label).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, edges, -1, (0, 0, 0), 3)
        cv2.drawContours(out, edges, -1, LINES[(label - 1) % len(LINES)], 1)
    return out


# ---------------------------------------------------------------------- the page

Row = tuple[str, list[Pixels]]


def augment_page(title: str, samples: Sequence[Row], changes: Sequence[Row], config: AugmentConfig) -> str:
    """The page: pictures of a row beside one another as the width allows."""
    settings = {name: f"{name} = {getattr(config, name)}" for name, _ in changes}
    return Template(_part("augment.html")).substitute(
        name=escape(title),
        css=_part("look.css"),
        drawn="Lines are the edges of masks; of many classes, each has a colour.",
        samples="\n".join(_row(name, pictures) for name, pictures in samples),
        changes="\n".join(_row(settings[name], pictures) for name, pictures in changes) or "<p>Nothing is on.</p>",
    )


def _row(name: str, pictures: Sequence[Pixels]) -> str:
    figures = "".join(f'<figure><img src="{as_uri(picture)}" alt=""></figure>' for picture in pictures)
    return f'<div class="sheet"><h3 class="long">{escape(name)}</h3><div class="pictures seven">{figures}</div></div>'


def _part(name: str) -> str:
    return (resources.files("podium.data") / "templates" / name).read_text(encoding="utf-8")
