"""Gzip files compressed by several threads, lightly: for submissions the time counts, not the last few bytes."""

from __future__ import annotations

import struct
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO

from isal import isal_zlib

from podium.cores import usable_cores
from podium.errors import DataError

BLOCK = 1 << 19
"""Bytes that a thread compresses at a time; the file does not depend on how many threads there are."""

COPIED = 1 << 22
"""Bytes that are copied at a time."""

_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x04\xff"  # no name, no time: the same content gives the same bytes
_END = b"\x03\x00"  # an empty last block


class GzipWriter:
    """One gzip member, made of blocks that were compressed apart and end on whole bytes, as pigz does it.

    Args:
        out: The binary file to write to; `close` leaves it open.
        workers: Threads.
    """

    def __init__(self, out: IO[bytes], workers: int = 0) -> None:
        self._out, self._crc, self._size = out, 0, 0
        self._parts: list[bytes] = []
        self._waiting = 0  # bytes in parts
        self._pool = ThreadPoolExecutor(workers or min(8, usable_cores()), thread_name_prefix="gzip")
        self._pending: deque[Future[bytes]] = deque()
        self._out.write(_HEADER)

    def write(self, data: bytes) -> None:
        """Append to the content."""
        self._parts.append(data)
        self._waiting += len(data)
        if self._waiting >= BLOCK:
            self._submit()

    def append(self, path: Path) -> None:
        """Append the content of a file that a `GzipWriter` wrote: its compressed bytes are copied as they are.

        Raises:
            DataError: if the file is no such file.
        """
        self._submit()
        while self._pending:
            self._out.write(self._pending.popleft().result())
        end = path.stat().st_size - len(_END) - 8
        with open(path, "rb") as file:
            if end < len(_HEADER) or file.read(len(_HEADER)) != _HEADER:
                raise DataError("this is no gzip file of podium's", where=path, remedy="delete it and run again")
            file.seek(end)
            tail = file.read()
            crc, size = struct.unpack("<II", tail[-8:])
            if not tail.startswith(_END):
                raise DataError("this gzip file is cut off", where=path, remedy="delete it and run again")
            file.seek(len(_HEADER))
            for at in range(len(_HEADER), end, COPIED):
                self._out.write(file.read(min(COPIED, end - at)))
        self._crc = isal_zlib.crc32_combine(self._crc, crc, size)
        self._size += size

    def close(self) -> None:
        """Write what is left, and the end of the file."""
        try:
            self._submit()
            while self._pending:
                self._out.write(self._pending.popleft().result())
            self._out.write(_END + struct.pack("<II", self._crc, self._size % 2**32))
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Stop the threads; the file stays unfinished."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self) -> None:
        data = b"".join(self._parts)
        self._parts, self._waiting = [], 0
        self._crc = isal_zlib.crc32(data, self._crc)
        self._size += len(data)
        for at in range(0, len(data), BLOCK):
            self._pending.append(self._pool.submit(_deflated, data[at : at + BLOCK]))
        while len(self._pending) > 32 or (self._pending and self._pending[0].done()):
            self._out.write(self._pending.popleft().result())


def _deflated(data: bytes) -> bytes:
    compressor = isal_zlib.compressobj(1, isal_zlib.DEFLATED, -15)
    return bytes(compressor.compress(data) + compressor.flush(isal_zlib.Z_SYNC_FLUSH))
