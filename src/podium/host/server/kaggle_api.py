"""The calls of the official kaggle client (2.2.4, 2.2.5): POST /api/v1/SERVICE/METHOD with flat camelCase JSON."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, RedirectResponse, Response

from podium.host.server import standings as boards
from podium.host.server import teams
from podium.host.server.accounts import User
from podium.host.server.competitions import DataFile, Hosted
from podium.host.server.downloads import download_token
from podium.host.server.quota import limits
from podium.host.server.refusals import Forbidden, Refusal, Unauthorised, Unknown
from podium.host.server.services import Services
from podium.host.server.submissions import Submission, hand_in, submission, submissions
from podium.host.server.uploads import start_upload

router = APIRouter(prefix="/api/v1", tags=["kaggle client"])

Body = dict[str, Any]
Answer = Body | Response


@dataclass(frozen=True)
class Call:
    """One request of the client.

    Attributes:
        body: Fields at their default are left out by the client.
        base: The address that the client sees the host under.
    """

    services: Services
    user: User
    body: Body
    base: str

    def text(self, name: str) -> str:
        """A field; "" if it is not there.

        Raises:
            Refusal: if it is no text.
        """
        value = self.body.get(name) or ""
        if not isinstance(value, str):
            raise Refusal(f"'{name}' is no text")
        return value

    def number(self, name: str, default: int = 0, most: int = 2**53) -> int:
        """A field; its default if it is not there.

        Raises:
            Refusal: if it is no whole number from 0 on.
        """
        value = self.body.get(name, default)
        value = default if value is None else value
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 17:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
            raise Refusal(f"'{name}' is no whole number")
        return value

    @property
    def hosted(self) -> Hosted:
        """The competition it is about."""
        return self.services.host.competitions.get(self.text("competitionName"))

    def page(self, rows: list[Any], size: int = 20) -> tuple[list[Any], str]:
        """The rows of the page that is asked for, and the token of the next ("" after the last)."""
        token = self.text("pageToken")
        size = self.number("pageSize", size) or size
        start = int(token) if token.isascii() and token.isdigit() and len(token) < 10 else 0
        if not token and self.number("page", 1) > 1:
            start = (self.number("page", 1) - 1) * size
        stop = start + min(size, 200)
        return rows[start:stop], str(stop) if stop < len(rows) else ""


def base_of(request: Request) -> str:
    """The address that a client sees the host under, through a proxy too; its Host header was checked by the guard."""
    return f"{request.url.scheme}://{request.headers['host']}"


@router.post("/{service}/{method}", summary="A call of the kaggle client")
async def call(service: str, method: str, request: Request) -> Response:
    """One remote procedure of `competitions.CompetitionApiService` or `security.OAuthService`."""
    services: Services = request.app.state.services
    body = _parsed(await request.body())
    if (service, method) == ("security.OAuthService", "IntrospectToken"):
        return await run_in_threadpool(_introspect, services, body)
    run = _CALLS.get(method) if service == "competitions.CompetitionApiService" else None
    if run is None:
        raise Unknown(f"{service[:60]}/{method[:60]} is not served here")
    base = base_of(request)

    def answer() -> Answer:
        user = services.user(request)
        if user is None:
            raise Unauthorised("no token", remedy="podium host client-env prints how to set one")
        try:
            return run(Call(services, user, body, base))
        except Forbidden as error:  # to a 403 the client adds that one has to accept rules at kaggle.com
            raise Refusal(error.found, expected=error.expected, remedy=error.remedy) from None

    found = await run_in_threadpool(answer)
    return found if isinstance(found, Response) else JSONResponse(found)


def _parsed(raw: bytes) -> Body:
    try:
        body = json.loads(raw or b"{}")
        json.dumps(body, ensure_ascii=False).encode()  # no halves of characters
    except (ValueError, RecursionError):
        raise Refusal("the body is not JSON") from None
    if not isinstance(body, dict):
        raise Refusal("the body is no JSON object")
    return body


def _introspect(services: Services, body: Body) -> Response:
    token = body.get("token")
    user = services.host.accounts.of_token(token) if isinstance(token, str) else None
    return JSONResponse({"active": True, "username": user.name} if user else {"active": False})


def _list_competitions(call: Call) -> Answer:
    host, group, search = call.services.host, call.text("group"), call.text("search").lower()
    found = [h for h in host.competitions.list() if search in f"{h.slug} {h.title}".lower()]
    if group == "COMPETITION_LIST_TAB_ENTERED":
        found = [h for h in found if teams.team_of(host, h.slug, call.user)]
    rows, following = call.page(found)
    return {"competitions": [_competition(call, h) for h in rows], "nextPageToken": following}


def _get_competition(call: Call) -> Answer:
    return _competition(call, call.hosted)


def _competition(call: Call, hosted: Hosted) -> Body:
    host, rules = call.services.host, hosted.rules
    board = boards.standings(host, hosted, call.user)
    mine = next((row for row in board if row.mine), None)
    entered = teams.team_of(host, hosted.slug, call.user) is not None
    return {
        "id": 1 + [h.slug for h in host.competitions.list()].index(hosted.slug),
        "ref": hosted.slug,
        "title": hosted.title,
        "url": f"{call.base}/c/{hosted.slug}",
        "description": rules.subtitle,
        "category": "Community",
        "reward": rules.reward,
        "deadline": stamp(rules.end),
        "mergerDeadline": stamp(rules.merger_deadline or rules.end),
        "newEntrantDeadline": stamp(rules.entry_deadline or rules.end),
        "enabledDate": stamp(rules.start),
        "teamCount": sum(not row.baseline for row in board),
        "userHasEntered": entered,
        "userRank": mine.rank if mine else None,
        "maxDailySubmissions": rules.daily_limit,
        "maxTeamSize": rules.team_size,
        "evaluationMetric": hosted.metric_name,
        "submissionsDisabled": rules.paused,
    }


def _list_files(call: Call) -> Answer:
    rows, following = call.page(call.hosted.files)
    files = [
        {
            "name": f.name,
            "ref": f.name,
            "totalBytes": f.bytes,
            "creationDate": stamp(datetime.fromtimestamp(f.modified).astimezone()),
        }
        for f in rows
    ]
    return {"files": files, "nextPageToken": following}


def _download_file(call: Call) -> Answer:
    return _redirect(call, call.hosted, call.hosted.file(call.text("fileName")))


def _download_files(call: Call) -> Answer:
    return _redirect(call, call.hosted, call.hosted.bundle)


def _redirect(call: Call, hosted: Hosted, file: DataFile) -> Response:
    """To an address whose last part is the file's name: the client names its file by it."""
    token = download_token(call.services.host, hosted, call.user, file)
    name = quote(file.name.rpartition("/")[2])
    return RedirectResponse(f"{call.base}/api/v1/downloads/{token}/{name}", status_code=302)


def _start_upload(call: Call) -> Answer:
    token = start_upload(
        call.services.host, call.hosted, call.user, call.text("fileName"), call.number("contentLength")
    )
    return {"token": token, "createUrl": f"{call.base}/api/v1/uploads/{token}"}


def _create_submission(call: Call) -> Answer:
    host, hosted = call.services.host, call.hosted
    made = hand_in(host, hosted, call.user, call.text("blobFileTokens"), call.text("submissionDescription"))
    return {"message": f"Successfully submitted to {hosted.title}", "ref": made.id}


def _get_limits(call: Call) -> Answer:
    hosted = call.hosted
    mine = teams.team_of(call.services.host, hosted.slug, call.user)
    found = limits(call.services.host, hosted, mine.id if mine else None)
    return {
        "numToday": found.today,
        "numTotal": found.total,
        "numAllowedNow": found.allowed,
        "limitedByTotal": found.by_total,
    }


def _list_submissions(call: Call) -> Answer:
    host, hosted = call.services.host, call.hosted
    mine = teams.team_of(host, hosted.slug, call.user)
    found = submissions(host, hosted, mine.id) if mine else []
    group, by = call.text("group"), call.text("sortBy")
    if group == "SUBMISSION_GROUP_SUCCESSFUL":
        found = [s for s in found if s.status == "scored"]
    elif group == "SUBMISSION_GROUP_SELECTED":
        found = [s for s in found if s.picked]
    if by == "SUBMISSION_SORT_BY_NAME":
        found.sort(key=lambda s: s.file_name)
    elif by in ("SUBMISSION_SORT_BY_PUBLIC_SCORE", "SUBMISSION_SORT_BY_PRIVATE_SCORE"):
        name = "public" if by.endswith("PUBLIC_SCORE") else "private"
        found.sort(key=lambda s: (getattr(s, name) is None, -hosted.sign * (getattr(s, name) or 0.0)))
    rows, following = call.page(found)
    return {"submissions": [_submission(call, s) for s in rows], "nextPageToken": following}


def _get_submission(call: Call) -> Answer:
    return _submission(call, submission(call.services.host, call.number("ref"), call.user))


def _submission(call: Call, s: Submission) -> Body:
    status = {"queued": "PENDING", "grading": "PENDING", "scored": "COMPLETE"}.get(s.status, "ERROR")
    return {
        "ref": s.id,
        "fileName": s.file_name,
        "date": stamp(s.at),
        "description": s.message,
        "status": status,
        "publicScore": "" if s.public is None else boards.score_text(s.public),
        "privateScore": "" if s.private is None else boards.score_text(s.private),
        "errorDescription": s.error or ("cancelled" if s.status == "cancelled" else ""),
        "totalBytes": s.bytes,
        "submittedBy": s.user,
        "teamName": s.team_name,
        "url": f"{call.base}/c/{s.competition}/submissions",
    }


def _team_submissions(call: Call) -> Answer:
    """The one submission of a team that is on the board, as Kaggle has it."""
    host = call.services.host
    number = call.number("teamId")
    hosted = host.competitions.get(teams.competition_of(host, number))
    row = next((r for r in boards.standings(host, hosted, call.user) if r.team == teams.team(host, number).id), None)
    found = [] if row is None else [{"id": row.team, "dateSubmitted": stamp(row.at), "publicScore": row.score_text}]
    return {"submissions": found}


def _get_leaderboard(call: Call) -> Answer:
    rows, following = call.page(_board(call))
    return {
        "submissions": [
            {
                "teamId": r.team, "teamName": r.name, "submissionDate": stamp(r.at), "score": r.score_text,
                "rank": r.rank,  # for podium's client: the official one counts by itself
            }
            for r in rows
        ],
        "nextPageToken": following,
    }  # fmt: skip


def _board(call: Call) -> list[boards.Standing]:
    """The private board from its reveal on, unless the public one is asked for."""
    host, hosted = call.services.host, call.hosted
    private = hosted.rules.private_shown(host.now()) and not call.body.get("overridePublic")
    return boards.standings(host, hosted, call.user, private=private)


def _download_leaderboard(call: Call) -> Answer:
    out, slug = io.BytesIO(), call.hosted.slug
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr(
            f"{slug}-publicleaderboard-{call.services.host.now():%Y-%m-%dT%H-%M-%S}.csv", boards.as_csv(_board(call))
        )
    return Response(out.getvalue(), media_type="application/zip")


def stamp(at: datetime) -> str:
    """A time as the client reads it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_CALLS: dict[str, Callable[[Call], Answer]] = {
    "ListCompetitions": _list_competitions,
    "GetCompetition": _get_competition,
    "ListDataFiles": _list_files,
    "DownloadDataFile": _download_file,
    "DownloadDataFiles": _download_files,
    "StartSubmissionUpload": _start_upload,
    "CreateSubmission": _create_submission,
    "GetSubmissionLimits": _get_limits,
    "ListSubmissions": _list_submissions,
    "GetSubmission": _get_submission,
    "ListTeamPublicSubmissions": _team_submissions,
    "GetLeaderboard": _get_leaderboard,
    "DownloadLeaderboard": _download_leaderboard,
}
