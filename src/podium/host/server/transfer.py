"""The routes that bytes go through: PUT of an upload, GET of a download."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Iterator

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from podium.errors import StorageError
from podium.host.server.downloads import Piece
from podium.host.server.refusals import TooMany
from podium.host.server.services import Services, TheServices
from podium.host.server.tokens import hash_of
from podium.host.server.uploads import Arrival

router = APIRouter(tags=["files"])

_CHUNK = 1 << 18
MOST_AT_ONCE = 3
"""Connections that send the same upload."""
_RANGED = {206: {"description": "A part of the file"}, 416: {"description": "The range lies behind its end"}}


async def _gathered(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What comes in larger pieces."""
    kept, size = [], 0
    async for part in parts:
        kept.append(part)
        size += len(part)
        if size >= _CHUNK:
            yield b"".join(kept)
            kept, size = [], 0
    if size:
        yield b"".join(kept)


@router.put("/api/v1/uploads/{token}", include_in_schema=False)
@router.put("/api/uploads/{token}", summary="Send the bytes of an upload")
async def put(token: str, request: Request) -> Response:
    """The raw bytes of the file; may be sent again until the submission is made. No login: the token is the right."""
    services: Services = request.app.state.services
    services.requests.take(f"upload {request.client.host if request.client else '?'}")
    with _counted(services.arriving, hash_of(token)):
        return await _taken(services, token, request)


@contextlib.contextmanager
def _counted(arriving: Counter[str], upload: str) -> Iterator[None]:
    """Refuse one more connection for an upload: a client may try again beside one that hangs, and no more."""
    if arriving[upload] >= MOST_AT_ONCE:
        raise TooMany("this upload is being sent already", remedy="wait until it is here")
    arriving[upload] += 1
    try:
        yield
    finally:
        arriving[upload] -= 1
        if not arriving[upload]:
            del arriving[upload]


async def _taken(services: Services, token: str, request: Request) -> Response:
    disk = services.disk
    arrival = await to_thread.run_sync(Arrival, services.host, token, limiter=disk)
    try:
        async for piece in _gathered(request.stream()):
            await to_thread.run_sync(arrival.write, piece, limiter=disk)
        await to_thread.run_sync(arrival.finish, limiter=disk)
    except ClientDisconnect:
        return Response(status_code=400)
    except StorageError:
        return JSONResponse({"code": 503, "message": "the host's disk is full; nothing was used of the quota"}, 503)
    finally:
        arrival.abandon()
    return JSONResponse({"ok": True}, 201)


@router.get("/api/v1/downloads/{token}/{name}", include_in_schema=False)
@router.get("/api/downloads/{token}/{name}", summary="Fetch a file", responses=_RANGED)  # type: ignore[arg-type]
def get(token: str, name: str, request: Request, services: TheServices) -> Response:
    """One download, or the rest of it (`Range` with `If-Range`). No login: the signed address is the right."""
    services.requests.take(f"download {request.client.host if request.client else '?'}")
    piece = services.downloads.open(token, request.headers)
    return StreamingResponse(_sent(piece, services.disk), 206 if piece.partial else 200, piece.headers)


async def _sent(piece: Piece, disk: CapacityLimiter) -> AsyncIterator[bytes]:
    parts = _read(piece)
    while chunk := await to_thread.run_sync(next, parts, b"", limiter=disk):
        yield chunk


def _read(piece: Piece) -> Iterator[bytes]:
    with open(piece.file.path, "rb") as f:
        f.seek(piece.start)
        left = piece.stop - piece.start
        while left:
            chunk = f.read(min(_CHUNK, left))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk
