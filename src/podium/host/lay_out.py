"""Images and masks of a hold-out competition, as links whose names say nothing of what is hidden."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from podium.data.competition import Competition
from podium.data.samples import Sample


def neutral_ids(competition: Competition, test: Sequence[Sample], seed: int, *, always: bool = False) -> list[Sample]:
    """The hidden samples, renamed if an id of theirs names its class, as those of class folders may; or ``always``."""
    names = {float(number): name for name, number in competition.classes.items()}
    told = competition.data.class_folders and any(names[s.values[0]].lower() in s.id.lower() for s in test)
    if not (told or always):
        return list(test)
    ids = {s.id: f"test_{blake3(f'{seed}:{s.id}'.encode()).hexdigest(length=6)}" for s in test}
    return sorted((replace(s, id=ids[s.id]) for s in test), key=lambda s: s.id)


def lay_out_images(
    competition: Competition, folder: Path, train: Sequence[Sample], test: Sequence[Sample]
) -> dict[str, object]:
    """Link the images of both sides, and give the keys of [data] that say where they lie."""
    views, by_class = competition.data.views, competition.data.class_folders
    # a folder may be called by its class's number too; a name that a JSON file gives may be none for a folder
    names = {float(n): str(n) if "/" in name else name for name, n in competition.classes.items()}
    for side, samples in (("train", train), ("test", test)):
        for sample in samples:
            home = folder / side / (names[sample.values[0]] if by_class and side == "train" else "")
            for view, path in zip([f"_{v}" for v in views] or [""], sample.views or (sample.image,), strict=True):
                link(path, home / f"{sample.id}{view}{path.suffix}")
    plain = "{id}_{view}" if views else "*"
    ending = {p.suffix for s in (*train, *test) for p in s.views or (s.image,)}
    suffix = ending.pop() if len(ending) == 1 else ".*"
    plain += suffix if views else ""
    return {
        "train_images": f"train/{{class}}/{plain}" if by_class else f"train/{plain}",
        "test_images": f"test/{plain}",
    }


def lay_out_masks(competition: Competition, folder: Path, train: Sequence[Sample]) -> dict[str, object]:
    """Link the masks of the training side: one an id, one a class, or one an object."""
    masks = folder / "train_masks"
    masks.mkdir()
    for sample in train:
        if sample.mask is not None:
            link(sample.mask, masks / f"{sample.id}{sample.mask.suffix}")
        for n, (name, path) in enumerate(sample.class_masks):
            link(
                path,
                masks / name / f"{sample.id}{path.suffix}" if name else masks / sample.id / f"{n:05d}{path.suffix}",
            )
    if not any(s.class_masks for s in train):
        return {"train_masks": "train_masks/{id}.*"}
    by_class = any(name for s in train for name, _ in s.class_masks)
    return {"train_masks": "train_masks/{class}/{id}.*" if by_class else "train_masks/{id}/*"}


def link(source: Path, target: Path) -> None:
    """A symbolic link, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.symlink(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
