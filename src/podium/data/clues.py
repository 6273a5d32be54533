"""What of an image file is no pixel and may betray its target all the same: times, EXIF, compression, name, order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import polars as pl
from PIL import ExifTags, Image

from podium.data.competition import Competition, listed
from podium.data.samples import Sample, Samples
from podium.data.store import ordered_map
from podium.errors import PodiumError
from podium.formats import images, tables

MOST = 3000
"""Images looked at of each part, evenly spread."""

NUMBERS = (
    "file_time", "taken", "latitude", "longitude", "quality", "file_size", "height", "width", "order", "row",
    "name_length",
)  # fmt: skip
TEXTS = ("camera", "software", "exif", "gps", "encoding", "prefix")
SCHEMA = pl.Schema(
    {"id": pl.String, "part": pl.String} | dict.fromkeys(NUMBERS, pl.Float64) | dict.fromkeys(TEXTS, pl.String)
)

KEPT = 60.0
"""Seconds between the time a file bears and the time it came to this disk: below, the one is only the other."""
BURST = 0.02
"""Seconds a file in which copying or unpacking would have written them: such times tell of the copying."""

LUMA = 3689
"""Sum of the JPEG standard's table for brightness, which qualities scale. Source: ITU-T T.81, table K.1."""


def image_clues(found: Samples, competition: Competition, data: Path) -> pl.DataFrame:
    """One row an image, columns `SCHEMA`; null where a file has no such thing. Headers are read, pixels are not.

    Columns:
        file_time, taken: Seconds since 1970 of the file and of the camera; of the file only where the times are older
            than this copy of it.
        order: Place in the order of the names, numbers in them counted as numbers; ``row``: in the table of targets.
        quality: Of a JPEG, 1 to 100, by its quantisation table.
    """
    rows = row_order(competition, data, found.train)
    parts = [("train", found.train, rows), ("test", found.test, {})]
    return pl.concat([_part(name, samples, competition, order) for name, samples, order in parts])


def _part(part: str, samples: Sequence[Sample], competition: Competition, rows: Mapping[str, int]) -> pl.DataFrame:
    names = file_names(samples, competition)
    order = {id: n for n, id in enumerate(sorted(names, key=lambda id: natural(names[id])))}
    step = max(1, -(-len(samples) // MOST))

    def look(sample: Sample) -> dict[str, Any]:
        name = names[sample.id]
        head = re.match(r"\D*", name)
        told = {"id": sample.id, "part": part, "order": order[sample.id], "row": rows.get(sample.id)}
        told |= {"name_length": len(name), "prefix": head[0] if head else ""}
        return told | _of_file(sample.image) | _of_header(sample.image)

    frame = pl.DataFrame(
        list(ordered_map(look, samples[::step])), schema=SCHEMA | {"written": pl.Float64}, orient="row"
    )
    if not true_times(frame["file_time"].to_numpy(), frame["written"].to_numpy()):
        frame = frame.with_columns(file_time=pl.lit(None, pl.Float64))
    return frame.select(list(SCHEMA))


def file_names(samples: Sequence[Sample], competition: Competition) -> dict[str, str]:
    """{id: what of its name the competition chose}: where a folder is the class, its name is not part of it."""
    by_class = "{class}" in repr(competition.data.train_images)
    return {s.id: s.image.stem if by_class else s.id for s in samples}


def natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts img2 before img10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d{1,18})", name) if part]


def true_times(times: np.ndarray[Any, Any], written: np.ndarray[Any, Any]) -> bool:
    """Whether files bear times from before they came to this disk, spread as no copying would leave them.

    Args:
        times: When each was last changed, in seconds; nan where that is not known.
        written: When each came to this disk.
    """
    known = np.isfinite(times)
    if known.sum() < 2:
        return False
    older = np.abs(written[known] - times[known]) > KEPT
    return bool(older.mean() > 0.9 and np.ptp(times[known]) > max(2.0, BURST * known.sum()))


def row_order(competition: Competition, data: Path, samples: Sequence[Sample]) -> dict[str, int]:
    """{id: its row in the table of targets}, where there is one."""
    spec = competition.data
    names, column = (listed(spec.train_csv), spec.id_column) if spec.train_csv else (listed(spec.train_rle), None)
    ids = {s.id for s in samples}
    column = column or competition.submission.id_column
    try:
        values = [value for name in names for value in tables.read_csv(data / name)[column].to_list()]
    except (PodiumError, pl.exceptions.ColumnNotFoundError):
        return {}  # who reads the targets from it says what is wrong
    rows: dict[str, int] = {}
    for n, value in enumerate(values):
        id = value if value in ids else PurePath(value).stem
        if id in ids:
            rows.setdefault(id, n)
    return rows


def _of_file(path: Path) -> dict[str, Any]:
    try:
        facts = path.stat()
    except OSError:
        return {}
    return {"file_time": facts.st_mtime, "written": facts.st_ctime, "file_size": float(facts.st_size)}


def _of_header(path: Path) -> dict[str, Any]:
    try:
        return images.read_header(path, header_clues)
    except PodiumError:
        return {}


def header_clues(image: Image.Image) -> dict[str, Any]:
    """What the header tells, as the columns of `image_clues`.

    Source: EXIF 2.32 (CIPA DC-008), by Pillow's names of the tags.
    """
    exif = image.getexif()
    camera = " ".join(_texts(exif.get(ExifTags.Base.Make), exif.get(ExifTags.Base.Model)))
    software = " ".join(_texts(exif.get(ExifTags.Base.Software), image.info.get("Software")))
    detail, place = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    taken = detail.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    tables = getattr(image, "quantization", None) or {}
    encoding = [image.format or "", image.mode, *(["progressive"] if image.info.get("progressive") else [])]
    encoding += ["interlaced"] if image.info.get("interlace") else []
    encoding += ["colour profile"] if image.info.get("icc_profile") else []
    layer = getattr(image, "layer", None)  # a JPEG's: (name, across, down, table) of each channel
    encoding += [f"colour halved {layer[0][1]}x{layer[0][2]}"] if layer and layer[0][1:3] != (1, 1) else []
    return {
        "taken": seconds(taken),
        "latitude": degrees(place.get(ExifTags.GPS.GPSLatitude), place.get(ExifTags.GPS.GPSLatitudeRef)),
        "longitude": degrees(place.get(ExifTags.GPS.GPSLongitude), place.get(ExifTags.GPS.GPSLongitudeRef)),
        "camera": camera or "none",
        "software": software or "none",
        "exif": "with EXIF" if len(exif) and image.format != "TIFF" else "without EXIF",
        "gps": "with a place" if place else "without a place",
        "quality": jpeg_quality(tables[0]) if tables else None,
        "encoding": " ".join(encoding),
        "height": float(image.height),
        "width": float(image.width),
    }


def _texts(*values: Any) -> Iterator[str]:
    yield from (str(v).strip("\0 ")[:60] for v in values if v and str(v).strip("\0 "))


def seconds(text: Any) -> float | None:
    """Seconds since 1970 of EXIF's "2017:03:02 14:05:00", whose time zone nobody knows."""
    try:
        return datetime.strptime(str(text).strip("\0 ")[:19], "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def degrees(parts: Any, side: Any) -> float | None:
    """Degrees, minutes and seconds as one number; south and west are negative."""
    try:
        whole = sum(float(p) / 60**n for n, p in enumerate(tuple(parts)[:3]))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return -whole if str(side)[:1] in ("S", "W") else whole if np.isfinite(whole) else None


def jpeg_quality(table: Sequence[int]) -> float:
    """The quality, 1 to 100, whose scaling of the standard's table comes nearest.

    Source: libjpeg, jpeg_quality_scaling.
    """
    scale = 100 * sum(table) / LUMA
    return float(np.clip(round((200 - scale) / 2 if scale <= 100 else 5000 / scale), 1, 100))
