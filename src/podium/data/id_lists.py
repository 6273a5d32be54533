"""Text files with an id a line, as official splits come: ImageSets/Segmentation/val.txt, test_list.txt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from podium.data.competition import DataConfig, listed
from podium.data.patterns import row_id, stem_of
from podium.errors import DataError
from podium.formats import tables

T = TypeVar("T")

LARGEST = 50_000_000
"""Bytes of a list: ten million ids."""


def read_list(path: Path) -> list[str]:
    """The first word of each line, without folder and ending: `2007_000032  1` or `images/a.png` is an id.

    Raises:
        DataError: if the file is missing, too large, or not UTF-8.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DataError("too large for a list of ids", where=path, expected=f"at most {LARGEST} bytes")
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        remedy = "correct data.train_list or data.val_list in competition.toml"
        raise DataError(f"cannot be read ({error.strerror})", where=path, remedy=remedy) from None
    except UnicodeDecodeError:
        raise DataError("not UTF-8", where=path, expected="a text file with an id a line") from None
    return [stem_of(words[0].replace("\\", "/").rpartition("/")[2]) for line in lines if (words := line.split())]


def listed_ids(
    spec: DataConfig, data: Path, files: str | Sequence[str] | None, prefixes: Sequence[str]
) -> set[str] | None:
    """The ids of lists, with each prefix that ids may have; None if there is no list.

    A list that is a table with the id column of `train_csv`, such as val.csv, has its ids.
    """
    if files is None:
        return None
    names = [files] if isinstance(files, str) else files
    ids: set[str] = set()
    for name in names:
        if spec.id_column is not None and name.lower().endswith((".csv", ".csv.gz")):
            read = row_id([*listed(spec.train_images), *listed(spec.test_images)], spec.image_id)
            values = tables.column(tables.read_csv(data / name), spec.id_column, data / name).to_list()
            ids.update(map(read, values))
        else:
            ids.update(read_list(data / name))
    return {before + id for before in {"", *prefixes} for id in ids}


def only_listed(spec: DataConfig, data: Path, images: Mapping[str, T], prefixes: Sequence[str]) -> dict[str, T]:
    """The images that the list of training images has; all, if there is no list.

    Raises:
        DataError: if it has none of them.
    """
    kept = listed_ids(spec, data, spec.train_list, prefixes)
    if kept is None:
        return dict(images)
    found = {id: image for id, image in images.items() if id in kept}
    if not found:
        raise DataError(
            "no training image is listed",
            where=data / listed(spec.train_list)[0],
            expected=f"an id a line, for instance {next(iter(images))}",
            remedy="correct data.train_list in competition.toml",
        )
    return found
