"""REST: competitions, files, boards, submissions and shared attempts."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import PlainTextResponse, Response

from podium.data.competition import Competition
from podium.host.server import answers as a
from podium.host.server import shares as sharing
from podium.host.server import standings as boards
from podium.host.server import submissions as subs
from podium.host.server.accounts import User
from podium.host.server.competitions import Hosted
from podium.host.server.downloads import download_token
from podium.host.server.host import Host
from podium.host.server.kaggle_api import base_of
from podium.host.server.quota import Limits, limits
from podium.host.server.services import Anyone, Of, Somebody, TheHost
from podium.host.server.teams import team_of
from podium.host.server.uploads import start_upload

FAILURES: dict[int | str, dict[str, Any]] = {
    code: {"model": a.Failure}
    for code in (400, 401, 403, 404, 408, 409, 413, 421, 422, 429, 503)
}  # fmt: skip

router = APIRouter(prefix="/api", responses=FAILURES)


@router.get("/host", tags=["host"])
def the_host(host: TheHost) -> a.HostView:
    """The host and its clock, by which all deadlines go."""
    return a.HostView(name=host.config.name, time=host.now(), registration=host.config.registration)


@router.get("/competitions", tags=["competitions"])
def competitions(host: TheHost, viewer: Anyone) -> list[a.CompetitionView]:
    """All competitions."""
    return [competition_view(host, hosted, viewer) for hosted in host.competitions.list()]


@router.get("/competitions/{slug}", tags=["competitions"])
def competition(host: TheHost, hosted: Of, viewer: Anyone) -> a.CompetitionView:
    """One competition."""
    return competition_view(host, hosted, viewer)


def competition_view(host: Host, hosted: Hosted, viewer: User | None) -> a.CompetitionView:
    """A competition as somebody sees it."""
    rules, now = hosted.rules, host.now()
    own = {name: getattr(rules, name) for name in a.CompetitionView.model_fields if name in type(rules).model_fields}
    own |= {"title": hosted.title, "revealed": rules.private_shown(now), "now": now}
    return a.CompetitionView(
        slug=hosted.slug,
        task=hosted.spec.task,
        metric=hosted.metric_name,
        greater_is_better=hosted.greater_is_better,
        teams=sum(not row.baseline for row in boards.standings(host, hosted, viewer)),
        entered=viewer is not None and team_of(host, hosted.slug, viewer) is not None,
        **own,
    )


@router.get("/competitions/{slug}/description", tags=["competitions"], response_class=PlainTextResponse)
def description(hosted: Of) -> str:
    """The description, in Markdown."""
    return hosted.description


@router.get("/competitions/{slug}/spec", tags=["competitions"], response_class=PlainTextResponse)
def spec(hosted: Of) -> str:
    """`competition.toml`, for a podium workspace: task, metric and submission format."""
    tree = hosted.spec.tree()
    del tree["board"]
    return Competition.from_tree(tree).to_toml()


@router.get("/competitions/{slug}/files", tags=["competitions"])
def files(hosted: Of, start: int = Query(0, ge=0, le=10**9), size: int = Query(200, ge=1, le=1000)) -> list[a.FileView]:
    """The data, by name."""
    return [
        a.FileView(name=f.name, bytes=f.bytes, modified=datetime.fromtimestamp(f.modified, UTC))
        for f in hosted.files[start : start + size]
    ]


@router.post("/competitions/{slug}/files", tags=["competitions"])
def fetch(host: TheHost, hosted: Of, user: Somebody, given: a.FileRequest, request: Request) -> a.UploadView:
    """An address for one download of a file, or of all as a zip."""
    file = hosted.bundle if given.name is None else hosted.file(given.name)
    token = download_token(host, hosted, user, file)
    name = quote(file.name.rpartition("/")[2])
    return a.UploadView(token=token, url=f"{base_of(request)}/api/downloads/{token}/{name}")


@router.get("/competitions/{slug}/board", tags=["board"])
def board(host: TheHost, hosted: Of, viewer: Anyone, private: bool = False) -> list[a.StandingView]:
    """The board; the private one from its reveal on."""
    rows = boards.standings(host, hosted, viewer, private=private)
    return [a.StandingView(**asdict(row), shake=row.shake) for row in rows]


@router.get("/competitions/{slug}/board.csv", tags=["board"], response_class=PlainTextResponse)
def board_csv(host: TheHost, hosted: Of, viewer: Anyone, private: bool = False) -> Response:
    """The board as a file."""
    text = boards.as_csv(boards.standings(host, hosted, viewer, private=private))
    name = f"{hosted.slug}-{'private' if private else 'public'}-board.csv"
    return Response(text, media_type="text/csv", headers={"content-disposition": f'attachment; filename="{name}"'})


@router.get("/competitions/{slug}/limits", tags=["submissions"])
def my_limits(host: TheHost, hosted: Of, user: Somebody) -> Limits:
    """The quota of my team."""
    mine = team_of(host, hosted.slug, user)
    return limits(host, hosted, mine.id if mine else None)


@router.get("/competitions/{slug}/submissions", tags=["submissions"])
def my_submissions(host: TheHost, hosted: Of, user: Somebody) -> list[subs.Submission]:
    """The submissions of my team, the newest first."""
    mine = team_of(host, hosted.slug, user)
    return subs.submissions(host, hosted, mine.id) if mine else []


@router.post("/competitions/{slug}/uploads", tags=["submissions"], status_code=201)
def upload(host: TheHost, hosted: Of, user: Somebody, given: a.UploadRequest, request: Request) -> a.UploadView:
    """Ask to send a file; refused here, before a byte is sent, if the rules or the quota do not allow it."""
    token = start_upload(host, hosted, user, given.file_name, given.size)
    return a.UploadView(token=token, url=f"{base_of(request)}/api/uploads/{token}")


@router.post("/competitions/{slug}/submissions", tags=["submissions"], status_code=201)
def submit(host: TheHost, hosted: Of, user: Somebody, given: a.HandIn) -> subs.Submission:
    """Make a submission of a file that was sent."""
    return subs.hand_in(host, hosted, user, given.token, given.message)


@router.get("/submissions/{number}", tags=["submissions"])
def one(host: TheHost, user: Somebody, number: a.Number) -> subs.Submission:
    """A submission of my team."""
    return subs.submission(host, number, user)


@router.post("/submissions/{number}/cancel", tags=["submissions"])
def cancel(host: TheHost, user: Somebody, number: a.Number) -> subs.Submission:
    """Take back a submission that waits to be graded."""
    return subs.cancel(host, number, user)


@router.put("/competitions/{slug}/picks", tags=["submissions"])
def pick(host: TheHost, hosted: Of, user: Somebody, given: a.Picks) -> list[subs.Submission]:
    """Choose the submissions that count at the end."""
    return subs.pick(host, hosted, user, given.ids)


@router.get("/competitions/{slug}/shares", tags=["shared attempts"])
def shares(
    host: TheHost, hosted: Of, viewer: Anyone, change: str | None = Query(None, max_length=40)
) -> list[sharing.Share]:
    """What teams published, the newest first."""
    return sharing.shares(host, hosted, viewer, change)


@router.get("/competitions/{slug}/shares/pooled", tags=["shared attempts"])
def pooled(host: TheHost, hosted: Of) -> list[sharing.Pool]:
    """The verdicts of all teams by kind of change."""
    return sharing.pooled(host, hosted)


@router.post("/competitions/{slug}/shares", tags=["shared attempts"], status_code=201)
def publish(host: TheHost, hosted: Of, user: Somebody, given: a.NewShare) -> sharing.Share:
    """Publish an attempt of my team."""
    return sharing.publish(host, hosted, user, **given.model_dump())


@router.delete("/competitions/{slug}/shares/{number}", tags=["shared attempts"], status_code=204)
def withdraw(host: TheHost, hosted: Of, user: Somebody, number: a.Number) -> Response:
    """Take back an attempt of my team."""
    sharing.withdraw(host, hosted, user, number)
    return Response(status_code=204)
