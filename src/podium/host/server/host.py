"""A host: its folder, its record and its clock. What its pages, REST and the kaggle client's calls stand on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from podium.config import emit_toml
from podium.errors import ConfigError
from podium.files import write_atomic
from podium.host.server.accounts import Accounts
from podium.host.server.competitions import Competitions
from podium.host.server.database import Database
from podium.host.server.events import Events
from podium.host.server.spec import HostConfig
from podium.host.server.tokens import signing_key

CONFIG, DATABASE, KEY = "host.toml", "host.db", "signing.key"


class Host:
    """One host.

    Args:
        folder: Holds host.toml, the database, competitions and submitted files.
        clock: The time, in UTC; all rules go by it.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        if not (folder / CONFIG).is_file():
            raise ConfigError(
                "there is no host in this folder", where=folder, remedy="podium host new NAME --from DATA"
            )
        folder = folder.resolve()  # grading processes start elsewhere
        self.folder, self._clock = folder, clock
        self.config = HostConfig.load(folder / CONFIG)
        self.db = Database(folder / DATABASE)
        self.accounts, self.events = Accounts(self.db), Events(self.db)
        self.competitions = Competitions(folder / "competitions")

    @classmethod
    def make(cls, folder: Path, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Host:
        """The host in a folder, made there if there is none."""
        if not (folder / CONFIG).exists():
            comments = {name: field.description or "" for name, field in HostConfig.model_fields.items()}
            write_atomic(folder / CONFIG, emit_toml(HostConfig().tree(), comments))
        return cls(folder, clock)

    def now(self) -> datetime:
        """The server's time."""
        return self._clock().astimezone(UTC)

    @property
    def blobs(self) -> Path:
        """Where uploaded files lie, by the hash of their token."""
        path = self.folder / "uploads"
        path.mkdir(exist_ok=True)
        return path

    @cached_property
    def key(self) -> bytes:
        """What download addresses are signed with."""
        return signing_key(self.folder / KEY)
