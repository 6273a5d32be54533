"""The live feed of a competition: server-sent events with ids, replayed after a lost connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.events import AT_ONCE, Event
from podium.host.server.host import Host
from podium.host.server.rest import FAILURES
from podium.host.server.services import Anyone, Of, TheHost
from podium.host.server.teams import team_of

router = APIRouter(prefix="/api", responses=FAILURES)

HEARTBEAT = 15.0
"""Seconds after which a comment is sent, so that a dead connection is noticed."""

GATHER = 0.15
"""Seconds in which events are gathered, so that a burst is sent at once."""

MOST_VIEWERS = 500


class Feed:
    """Wakes the event loop's listeners from whichever thread noted an event."""

    def __init__(self, host: Host) -> None:
        self.host, self.viewers = host, 0

    async def stream(self, hosted: Hosted, viewer: User | None, seen: int) -> AsyncIterator[str]:
        """The text of the events after ``seen``, as long as somebody reads it."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        stop = self.host.events.listen(wake)
        self.viewers += 1
        try:
            yield "retry: 2000\n\n"
            while True:
                news.clear()
                found = await run_in_threadpool(self.host.events.since, seen, hosted.slug)
                team = await run_in_threadpool(_team, self.host, hosted.slug, viewer) if found else None
                for event in found:
                    seen = event.id
                    if event.team is None or event.team == team:
                        yield text_of(event)
                if len(found) < AT_ONCE:
                    try:
                        await asyncio.wait_for(news.wait(), HEARTBEAT)
                        await asyncio.sleep(GATHER)
                    except TimeoutError:
                        yield ": still here\n\n"
        finally:
            self.viewers -= 1
            stop()


def text_of(event: Event) -> str:
    """An event as it is sent."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"


def _team(host: Host, slug: str, viewer: User | None) -> int | None:
    mine = team_of(host, slug, viewer) if viewer else None
    return mine.id if mine else None


@router.get("/competitions/{slug}/events", tags=["board"], response_class=StreamingResponse)
async def events(
    host: TheHost,
    hosted: Of,
    viewer: Anyone,
    request: Request,
    since: int | None = Query(None, ge=0, le=2**53, description="replay what came after this event"),
) -> StreamingResponse:
    """`board` (it moved), `submission` and `team` (of mine), `shared`, `rules`; no scores: ask for what changed.

    `Last-Event-ID`, or ?since=, replays what was missed.
    """
    feed: Feed = request.app.state.feed
    last = request.headers.get("last-event-id", "")
    seen = int(last) if last.isascii() and last.isdigit() and len(last) < 16 else since
    if seen is None:
        seen = await run_in_threadpool(host.events.last)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if feed.viewers >= MOST_VIEWERS:
        return StreamingResponse(iter(()), 503, headers)
    return StreamingResponse(feed.stream(hosted, viewer, seen), media_type="text/event-stream", headers=headers)
