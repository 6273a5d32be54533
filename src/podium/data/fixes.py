"""Masks and images that stand in for downloaded ones: `fixes/masks/ID.png`, `fixes/images/ID.png`, with reasons.

Files in the workspace's `fixes/` are decisions, as `exclude.csv` is: nothing below `data/` is ever written. `fixes.csv`
(id, reason, by) says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from podium.data.patterns import IMAGE_SUFFIXES
from podium.data.samples import Sample, Samples
from podium.errors import DataError
from podium.formats import tables
from podium.progress import counted


@dataclass(frozen=True)
class Fixes:
    """What `fixes/` holds: {id: file}, and {id: reason} of `fixes.csv`."""

    images: dict[str, Path]
    masks: dict[str, Path]
    reasons: dict[str, str]

    def apply(self, samples: Sequence[Sample]) -> list[Sample]:
        """The samples with their images and masks replaced."""
        return [self._applied(s) for s in samples]

    def applied_to(self, found: Samples) -> Samples:
        """All samples of a competition with their images and masks replaced.

        Raises:
            DataError: for a fix that belongs to none of them.
        """
        known = {s.id for s in (*found.train, *found.test)} | {p.id for p in found.problems}
        for path in (*self.images.values(), *self.masks.values()):
            if path.stem not in known:
                raise DataError(
                    f"there is no sample '{path.stem}' that this would be a fix of",
                    where=path,
                    expected="a file named after the id of a sample",
                    remedy="rename it, or remove it",
                )
        return replace(found, train=self.apply(found.train), test=self.apply(found.test))

    def among(self, samples: Sequence[Sample]) -> Fixes:
        """The fixes of some samples."""
        here = {s.id for s in samples}
        images, masks = ({k: v for k, v in files.items() if k in here} for files in (self.images, self.masks))
        return replace(self, images=images, masks=masks)

    def __bool__(self) -> bool:
        return bool(self.images or self.masks)

    def told(self) -> str:
        """How many there are, and which have no reason."""
        parts = [counted(len(found), word) for found, word in ((self.masks, "mask"), (self.images, "image")) if found]
        silent = sorted((self.images.keys() | self.masks.keys()) - self.reasons.keys())
        tail = f"; no reason in fixes.csv for {', '.join(silent[:5])}" if silent else ""
        return " and ".join(parts) + " in place of the downloaded" + tail + (", …" if len(silent) > 5 else "")

    def _applied(self, sample: Sample) -> Sample:
        image, mask = self.images.get(sample.id), self.masks.get(sample.id)
        if image:
            sample = replace(sample, image=image)
        if mask:
            sample = replace(sample, mask=mask, rle=None, class_masks=())
        return sample


def read_fixes(root: Path) -> Fixes:
    """The fixes of a workspace, given its folder.

    Raises:
        DataError: for a file that is no image, two files of one id, or a damaged `fixes.csv`.
    """
    return Fixes(_files(root / "fixes" / "images"), _files(root / "fixes" / "masks"), _reasons(root / "fixes.csv"))


def _files(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            raise DataError(
                "not an image file", where=path, expected="ID.png", remedy="remove it, or convert it to PNG"
            )
        if path.stem in found:
            raise DataError(
                f"two fixes for '{path.stem}'", where=path, remedy=f"remove this or {found[path.stem].name}"
            )
        found[path.stem] = path
    return found


def _reasons(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    table = tables.read_csv(path)
    ids, reasons = tables.column(table, "id", path).to_list(), tables.column(table, "reason", path).to_list()
    return {id: reason for id, reason in zip(ids, reasons, strict=True) if reason}
