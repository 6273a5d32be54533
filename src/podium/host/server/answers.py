"""What REST sends and takes: each a schema of the OpenAPI description."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from podium.host.server.accounts import User

Number = Annotated[int, Field(ge=0, le=2**53)]


class Given(BaseModel):
    """A request's body: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Failure(BaseModel):
    """Why a request was refused."""

    code: int
    message: str


class HostView(BaseModel):
    """The host."""

    name: str
    time: datetime
    registration: Literal["open", "closed"]


class CompetitionView(BaseModel):
    """A competition, as the viewer sees it."""

    slug: str
    title: str
    subtitle: str
    reward: str
    task: str
    metric: str
    greater_is_better: bool
    start: datetime
    merger_deadline: datetime | None
    entry_deadline: datetime | None
    end: datetime
    now: datetime
    daily_limit: int
    total_limit: int
    team_size: int
    final_picks: int
    board: Literal["best", "latest"]
    late: Literal["graded", "refused"]
    paused: bool
    anonymous: bool
    ladder_step: float
    revealed: bool = Field(description="whether the private board is shown")
    teams: int
    entered: bool


class FileView(BaseModel):
    """A file of a competition."""

    name: str
    bytes: int
    modified: datetime


class StandingView(BaseModel):
    """A line of the board."""

    rank: int | None
    team: int
    name: str
    members: list[str]
    score: float
    at: datetime
    entries: int
    baseline: bool
    medal: str
    public_rank: int | None
    shake: int | None
    mine: bool


class TokenView(BaseModel):
    """A token, without the token."""

    id: int
    hint: str
    created: datetime


class NewToken(BaseModel):
    """A token, for the only time."""

    token: str


class LoggedIn(BaseModel):
    """A session; the cookie comes with the answer."""

    user: User
    csrf: str = Field(description="to be sent as X-CSRF-Token with every request that changes something")


class UploadView(BaseModel):
    """Where to send a file, and what to hand in afterwards."""

    token: str
    url: str


class Credentials(Given):
    """A name and a password."""

    name: str = Field(max_length=60)
    password: str = Field(max_length=200)


class NewUser(Given):
    """A user to be made."""

    name: str = Field(max_length=60)
    organiser: bool = False


class TeamName(Given):
    """A team's name."""

    name: str = Field(max_length=200)


class Entry(Given):
    """Entering a competition."""

    name: str | None = Field(None, max_length=200, description="of the team; none: the user's")


class Invitation(Given):
    """Who is asked into the team."""

    user: str = Field(max_length=60)


class Proposal(Given):
    """With which team to become one."""

    team: Number


class Reply(Given):
    """An answer to an offer."""

    accept: bool


class UploadRequest(Given):
    """A file to come."""

    file_name: str = Field(max_length=500)
    size: Number


class HandIn(Given):
    """A submission to be made of an upload."""

    token: str = Field(max_length=200)
    message: str = Field("", max_length=2000)


class Picks(Given):
    """The submissions that count at the end."""

    ids: list[Number] = Field(max_length=100)


class FileRequest(Given):
    """A file to be fetched."""

    name: str | None = Field(None, max_length=1000, description="none: all of them, as one zip")


class NewShare(Given):
    """An attempt to be published."""

    what: str = Field(max_length=200)
    why: str = Field("", max_length=4000)
    change: str = Field("other", max_length=40)
    verdict: Literal["YES", "NO", "UNSURE"]
    gain: float | None = None
    link: str = Field("", max_length=500)
    code: str = Field("", max_length=20_000)


class Description(Given):
    """The page that describes a competition, in Markdown."""

    text: str = Field(max_length=200_000)


class BaselineUpload(Given):
    """A baseline's file to come."""

    name: str = Field(max_length=200)
    file_name: str = Field(max_length=500)
    size: Number


class BaselineHandIn(Given):
    """A baseline to be made of an upload."""

    name: str = Field(max_length=200)
    token: str = Field(max_length=200)
    message: str = Field("", max_length=2000)


class Count(BaseModel):
    """How many."""

    count: int
