"""`host.toml` and each competition's `rules.toml`: what the host and its competitions allow."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import AwareDatetime, Field, field_validator, model_validator

from podium.config import Config

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FAR_AWAY = datetime(2100, 1, 1, tzinfo=UTC)


class HostConfig(Config):
    """One host: where it answers and what it can bear."""

    name: str = Field("podium host", min_length=1, max_length=80, description="shown on its pages")
    hosts: list[str] = Field(
        ["localhost", "127.0.0.1"], description="names and addresses that it answers to; requests for others get 421"
    )
    proxy: bool = Field(
        False,
        description="a TLS proxy on this machine passes requests on: what it says in X-Forwarded-For and "
        "X-Forwarded-Proto is believed, of 127.0.0.1 alone",
    )
    registration: Literal["open", "closed"] = Field(
        "closed", description="open: anyone who reaches the page may register; closed: podium host user add"
    )
    graders: int = Field(2, ge=1, le=64, description="worker processes that grade")
    grade_seconds: int = Field(300, ge=1, description="time that one submission may take to grade")
    grade_memory_mb: int = Field(3072, ge=256, description="memory of a grading process")
    upload_mb: int = Field(512, ge=1, description="largest submission file")
    expanded_mb: int = Field(4096, ge=1, description="largest submission once it is unpacked")
    team_mb: int = Field(20_480, ge=1, description="all that a team may have uploaded, over one competition")
    spare_mb: int = Field(512, ge=0, description="uploads are refused when less than this is free on the disk")
    upload_seconds: int = Field(3600, ge=10, description="time that one upload may take")
    requests_a_minute: int = Field(600, ge=10, description="requests of one user or address")
    logins_a_quarter: int = Field(
        10, ge=1, description="failed logins to one name within 15 minutes; of one address ten times as many"
    )


class Rules(Config):
    """One competition's rules."""

    title: str = Field("", max_length=120, description="the name people read; empty: the slug")
    subtitle: str = Field("", max_length=300, description="one sentence under it")
    reward: str = Field("Kudos", max_length=60, description="what there is to win")
    start: AwareDatetime = Field(LONG_AGO, description="first moment of submissions, with its zone")
    merger_deadline: AwareDatetime | None = Field(None, description="last moment of merging teams; none: the end")
    entry_deadline: AwareDatetime | None = Field(None, description="last moment of entering; none: the end")
    end: AwareDatetime = Field(FAR_AWAY, description="last moment of submissions that count and of picks")
    daily_limit: int = Field(5, ge=1, description="submissions of a team a day (UTC)")
    total_limit: int = Field(0, ge=0, description="submissions of a team in all; 0: no limit")
    team_size: int = Field(5, ge=1, description="members of a team at most")
    final_picks: int = Field(2, ge=1, description="submissions that count at the end")
    board: Literal["best", "latest"] = Field("best", description="the submission that stands for a team in public")
    failed_count: bool = Field(False, description="whether a file that cannot be graded uses the quota")
    late: Literal["graded", "refused"] = Field("graded", description="submissions after the end, which never rank")
    reveal: Literal["end", "by hand"] = Field("end", description="when the private board is shown")
    revealed: bool = Field(False, description="by hand: that it is shown, from the end on")
    paused: bool = Field(False, description="no submissions for now")
    anonymous: bool = Field(False, description="teams see only their own name on the board, until it is revealed")
    medals: bool = Field(True, description="whether the private board has medals")
    ladder_step: float = Field(
        0.0, ge=0.0, description="a new public score is told only if it beats the team's best by this; 0: always"
    )
    submissions_an_hour: int = Field(60, ge=1, description="submissions of a team within an hour, failed ones too")

    @field_validator("start", "merger_deadline", "entry_deadline", "end")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        return value.astimezone(UTC) if value else None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.end <= self.start:
            raise ValueError("an end after the start")
        for name in ("merger_deadline", "entry_deadline"):
            date = getattr(self, name)
            if date and not self.start <= date <= self.end:
                raise ValueError(f"a {name} between start and end")
        return self

    def started(self, now: datetime) -> bool:
        """Whether submissions are open yet."""
        return now >= self.start

    def ended(self, now: datetime) -> bool:
        """Whether what is submitted from now on is late."""
        return now >= self.end

    def entry_open(self, now: datetime) -> bool:
        """Whether somebody new may enter."""
        return now < min(self.entry_deadline or self.end, self.end) or (self.ended(now) and self.late == "graded")

    def mergers_open(self, now: datetime) -> bool:
        """Whether teams may still change."""
        return now < min(self.merger_deadline or self.end, self.end)

    def private_shown(self, now: datetime) -> bool:
        """Whether private scores are shown: by the server's clock alone."""
        return self.ended(now) and (self.reveal == "end" or self.revealed)
