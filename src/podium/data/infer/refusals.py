"""What is said where no targets are found: what lies there, what is not read, and what to do."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath

from podium.data.infer.label_rows import not_read
from podium.data.layout import Layout
from podium.errors import DataError

SHOWN, MOST = 6, 100_000
"""Folders or files that are named; files that are looked at."""

_TO_DO = {
    ".tsv": "save {} as CSV, with commas",
    ".tab": "save {} as CSV, with commas",
    ".xlsx": "save the sheet of {} as CSV",
    ".xls": "save the sheet of {} as CSV",
    ".ods": "save the sheet of {} as CSV",
    ".parquet": "save {} as CSV",
    ".feather": "save {} as CSV",
    ".json": "write what {} says as a CSV file with a row an image, or draw it as masks",
    ".jsonl": "write what {} says as a CSV file with a row an image",
    ".xml": "write what {} says as a CSV file with a row an image, or draw it as masks",
    ".txt": "write what {} says as a CSV file with a header and a row an image, or draw it as masks",
    ".mat": "save what {} holds as label images or as CSV",
    ".npy": "save what {} holds as label images or as CSV",
    ".npz": "save what {} holds as label images or as CSV",
    ".h5": "save what {} holds as images",
    ".hdf5": "save what {} holds as images",
    ".pkl": "save what {} holds as CSV",
    ".nii": "save the slices of {} as PNG files",
    ".gz": "unpack {}",
    ".zip": "unpack {}",
    ".dcm": "save {} as PNG or TIFF",
}
"""What podium does not read, and what makes it readable; the likeliest to hold targets first."""


def no_targets(layout: Layout) -> DataError:
    """The error of a folder in whose tables, folders and names nothing tells a target."""
    folders = ", ".join(f"{f.path} ({len(f.files)} images)" for f in layout.folders[:SHOWN])
    folders += ", …" if len(layout.folders) > SHOWN else ""
    tables_found = ", ".join(f"{p} ({', '.join(t.columns[:6])})" for p, t in layout.tables.items()) or "no table"
    odd = not_read(layout, {stem for f in layout.folders for stem in f.files})
    unread = _unread(layout.root)
    also = f"; also there, not read: {'; '.join(_told(*item) for item in unread[:SHOWN])}" if unread else ""
    advice = "Rename a folder to 'masks', or write competition.toml by hand"
    if unread:
        (folder, ending), names = unread[0]
        which = names[0] if len(names) == 1 else f"{folder}/*{ending}".removeprefix("./")
        how = _TO_DO[ending].format(which)
        advice = f"{how[0].upper()}{how[1:]}; or write competition.toml by hand"
    return DataError(
        f"no targets found for the images{f': {odd}' if odd else ''}",
        where=layout.root,
        expected="a folder of masks whose names match the images', a CSV file with ids and run-length masks or other "
        "targets, or a folder of images for each class",
        remedy=f"seen: {folders}; {tables_found}{also}. {advice}",
    )


def _unread(root: Path) -> list[tuple[tuple[str, str], list[str]]]:
    """[((folder, ending), files)] of what podium does not read, the likeliest to hold targets first."""
    found: dict[tuple[str, str], list[str]] = {}
    for path in _files(root):
        ending = path.suffix.lower()
        if ending in _TO_DO and not path.name.lower().endswith(".csv.gz") and not _says_what_it_is(path):
            found.setdefault((path.parent.as_posix(), ending), []).append(path.as_posix())
    order = list(_TO_DO)
    sizes = Counter({key: len(names) for key, names in found.items()})
    return sorted(found.items(), key=lambda item: (order.index(item[0][1]), -sizes[item[0]], item[0]))


def _files(root: Path) -> Iterator[PurePath]:
    """The files of a folder, by their paths below it."""
    seen = 0
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(s for s in subfolders if not s.startswith("."))
        for name in sorted(n for n in names if not n.startswith(".")):
            seen += 1
            if seen > MOST:
                return
            yield PurePath(Path(folder).relative_to(root).as_posix()) / name


def _says_what_it_is(path: PurePath) -> bool:
    return path.stem.lower().startswith(("readme", "license", "licence", "requirements", "citation"))


def _told(key: tuple[str, str], names: list[str]) -> str:
    folder, ending = key
    return names[0] if len(names) == 1 else f"{len(names)} files {folder}/*{ending}".replace("./", "")
