"""The live feed of a competition: server-sent events with ids, replayed after a lost connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from podium.errors import PodiumError
from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.events import AT_ONCE, Event
from podium.host.server.host import Host
from podium.host.server.rest import FAILURES
from podium.host.server.services import Anyone, Of, TheHost
from podium.host.server.teams import members_of, team_of

router = APIRouter(prefix="/api", responses=FAILURES)

HEARTBEAT = 15.0
"""Seconds after which a comment is sent, so that a dead connection is noticed."""

GATHER = 0.15
"""Seconds in which events are gathered, so that a burst is sent at once."""

LOOK = 2.0
"""Seconds after which it looks for what other processes noted: the command line wakes nobody here."""

MOST_VIEWERS = 500

MOST_WAITING = 2000
"""Events that wait for one viewer; who reads slower is cut off, and may come again for the rest."""


@dataclass(eq=False)
class Viewer:
    """Somebody who keeps a feed open.

    Attributes:
        user: None for a visitor without a login.
        waiting: What is to be sent.
    """

    slug: str
    user: int | None
    waiting: deque[Event] = field(default_factory=deque)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    lost: bool = False


class Feed:
    """Reads each event once and hands it to all who may see it; runs in the event loop."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.viewers: set[Viewer] = set()

    async def run(self) -> None:
        """Hand out what is noted from now on, until cancelled."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def wake() -> None:
            loop.call_soon_threadsafe(news.set)

        stop = self.host.events.listen(wake)
        seen = await run_in_threadpool(self.host.events.last)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await news.wait()
                await asyncio.sleep(GATHER)
                news.clear()
                with contextlib.suppress(PodiumError):  # a database that cannot be read now is asked again
                    seen = await self._hand_out(seen)
        finally:
            stop()

    async def _hand_out(self, seen: int) -> int:
        while found := await run_in_threadpool(self.host.events.since, seen):
            seen = found[-1].id
            if self.viewers:
                own = {event.competition for event in found if event.team is not None}
                teams = {slug: await run_in_threadpool(members_of, self.host, slug) for slug in own}
                for viewer in self.viewers:
                    self._give(viewer, found, teams.get(viewer.slug, {}))
            if len(found) < AT_ONCE:
                break
        return seen

    def _give(self, viewer: Viewer, found: list[Event], teams: dict[int, int]) -> None:
        mine = teams.get(viewer.user) if viewer.user is not None else None
        new = [e for e in found if e.competition == viewer.slug and e.team in (None, mine)]
        viewer.lost |= len(viewer.waiting) + len(new) > MOST_WAITING
        if new:
            viewer.waiting.extend([] if viewer.lost else new)
            viewer.news.set()

    async def stream(self, hosted: Hosted, user: User | None, since: int | None) -> AsyncIterator[str]:
        """The text of the events after one (None: from now on), as long as somebody reads it."""
        viewer = Viewer(hosted.slug, user.id if user else None)
        self.viewers.add(viewer)
        try:
            yield "retry: 2000\n\n"
            seen = 0
            if since is not None:
                seen = since
                async for event in self._replay(hosted, user, since):
                    seen = event.id
                    yield text_of(event)
            while not viewer.lost:
                viewer.news.clear()
                new = [text_of(event) for event in viewer.waiting if event.id > seen]
                viewer.waiting.clear()
                if new:
                    yield "".join(new)
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await viewer.news.wait()
                except TimeoutError:
                    yield ": still here\n\n"
        finally:
            self.viewers.discard(viewer)

    async def _replay(self, hosted: Hosted, user: User | None, seen: int) -> AsyncIterator[Event]:
        team = await run_in_threadpool(team_of, self.host, hosted.slug, user) if user else None
        while found := await run_in_threadpool(self.host.events.since, seen, hosted.slug):
            seen = found[-1].id
            for event in found:
                if event.team is None or (team is not None and event.team == team.id):
                    yield event


def text_of(event: Event) -> str:
    """An event as it is sent."""
    return f"id: {event.id}\nevent: {event.kind}\ndata: {json.dumps(event.data)}\n\n"


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
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    if len(feed.viewers) >= MOST_VIEWERS:
        return StreamingResponse(iter(()), 503, headers)
    return StreamingResponse(feed.stream(hosted, viewer, seen), media_type="text/event-stream", headers=headers)
