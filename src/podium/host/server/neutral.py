"""Copies that say when nothing was written and, of JPEG and PNG, nothing but their pixels, which stay exact: no time,
no camera, no place, no comment. Other kinds of files (TIFF, WebP, GIF, DICOM, tables) are copied with all they hold.
"""

from __future__ import annotations

import os
import shutil
import struct
from datetime import UTC, datetime
from pathlib import Path

from podium.errors import DataError

WRITTEN = datetime(2020, 1, 1, tzinfo=UTC)
"""When every published file says it was written."""

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_TEXTS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME")
_ORIENTATION = 0x0112


def copy_neutral(source: Path, target: Path) -> None:
    """Copy a file; of a JPEG or PNG without what is no pixel. A JPEG's orientation is kept.

    Raises:
        DataError: if it cannot be read.
    """
    try:
        with open(source, "rb") as f:
            start = f.read(8)
        if start[:2] == b"\xff\xd8":
            target.write_bytes(plain_jpeg(source.read_bytes()))
        elif start == _PNG:
            target.write_bytes(plain_png(source.read_bytes()))
        else:
            shutil.copyfile(source, target)
    except FileNotFoundError:
        raise DataError("no such file, or a link to nothing", where=source) from None
    os.chmod(target, 0o644)
    os.utime(target, (WRITTEN.timestamp(), WRITTEN.timestamp()))


def plain_jpeg(data: bytes) -> bytes:
    """A JPEG without application data but JFIF, Adobe's colour transform and ICC, and without comments.

    Source: ITU-T T.81, annex B: segments up to the first scan.
    """
    out, at, turned = [data[:2]], 2, 1
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in (0xD9, 0xDA):
            break
        if marker == 0xFF or 0xD0 <= marker <= 0xD8 or marker == 0x01:  # fill bytes and markers without content
            out.append(data[at : at + 1])
            at += 1 if marker == 0xFF else 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            turned = orientation(body[6:])
        if not _tells(marker, body):
            out.append(data[at : at + 2 + length])
        at += 2 + length
    exif = _orientation_segment(turned) if turned != 1 else b""
    return out[0] + exif + b"".join(out[1:]) + data[at:]


def _tells(marker: int, body: bytes) -> bool:
    """Whether a segment is of no use for the pixels."""
    if marker == 0xFE:
        return True
    if not 0xE0 <= marker <= 0xEF:
        return False
    kept = {0xE0: b"JFIF\0", 0xE2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
    return not (marker in kept and body.startswith(kept[marker]))


def orientation(tiff: bytes) -> int:
    """The orientation in EXIF data; 1 (upright) if there is none."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None or len(tiff) < 14:
        return 1
    (first,) = struct.unpack_from(order + "I", tiff, 4)
    if first + 2 > len(tiff):
        return 1
    (count,) = struct.unpack_from(order + "H", tiff, first)
    for n in range(count):
        at = first + 2 + 12 * n
        if at + 12 > len(tiff):
            break
        tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, at)
        if tag == _ORIENTATION:
            return value if 1 <= value <= 8 else 1
    return 1


def _orientation_segment(value: int) -> bytes:
    body = b"Exif\0\0MM\0*" + struct.pack(">IHHHIHHI", 8, 1, _ORIENTATION, 3, 1, value, 0, 0)
    return b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body


def plain_png(data: bytes) -> bytes:
    """A PNG without texts, times and EXIF, and without anything behind its end."""
    out, at = [data[:8]], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, stop = data[at + 4 : at + 8], at + 12 + length
        if kind not in _PNG_TEXTS:
            out.append(data[at:stop])
        at = stop
        if kind == b"IEND":
            break
    return b"".join(out)
