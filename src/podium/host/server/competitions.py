"""The competitions of a host: a folder each, read anew when its files change."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from podium.data.competition import Competition
from podium.errors import DataError, PodiumError, nearest
from podium.files import is_complete, locked, write_atomic
from podium.host.server.refusals import Unknown
from podium.host.server.spec import Rules
from podium.metrics import METRICS

log = logging.getLogger("podium.host")

SPEC, RULES, DESCRIPTION, SOLUTION = "competition.toml", "rules.toml", "description.md", "solution.csv"
DATA, BUNDLE, TRUTH = "data", "bundle.zip", "truth"

SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?")


@dataclass(frozen=True)
class DataFile:
    """A file that competitors may download.

    Attributes:
        name: Its path below the competition's data, with slashes.
        modified: Seconds since 1970.
    """

    name: str
    path: Path
    bytes: int
    modified: float

    @cached_property
    def etag(self) -> str:
        """Another one for other content: replaced files have another time, size or inode."""
        stat = self.path.stat()
        text = f"{self.name}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
        return f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'


@dataclass(frozen=True)
class Hosted:
    """A competition as it is now.

    Attributes:
        slug: Its name in addresses and commands.
        spec: Task, metric and submission format.
    """

    slug: str
    folder: Path
    spec: Competition
    rules: Rules

    @property
    def title(self) -> str:
        """The name people read."""
        return self.rules.title or self.slug

    @property
    def metric_name(self) -> str:
        """Without the file and direction of an own one."""
        return self.spec.metric.split(":")[1] if ".py:" in self.spec.metric else self.spec.metric

    @property
    def greater_is_better(self) -> bool:
        """The metric's direction; of an own metric as it is spelt, so that its code is run by graders only."""
        known = METRICS.get(self.spec.metric)
        return known.greater_is_better if known else self.spec.metric.endswith(":max")

    @property
    def sign(self) -> float:
        """What makes a greater score the better one."""
        return 1.0 if self.greater_is_better else -1.0

    @property
    def solution(self) -> Path:
        """The hidden labels."""
        return self.folder / SOLUTION

    @cached_property
    def description(self) -> str:
        """Markdown."""
        path = self.folder / DESCRIPTION
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""

    @cached_property
    def files(self) -> list[DataFile]:
        """What competitors may download, by name; links and hidden files are not among it."""
        root, found = self.folder / DATA, []
        for path in sorted(root.rglob("*")):
            if path.is_symlink() or not path.is_file() or any(p.startswith(".") for p in path.relative_to(root).parts):
                continue
            stat = path.stat()
            found.append(DataFile(path.relative_to(root).as_posix(), path, stat.st_size, stat.st_mtime))
        return found

    def file(self, name: str) -> DataFile:
        """A file by its name, as it is now; nothing but the names of the list is ever looked for on the disk.

        Raises:
            Unknown: if there is none.
        """
        found = next((f for f in self.files if f.name == name), None)
        if found is None or found.path.is_symlink() or not found.path.is_file():
            raise Unknown(f"'{name[:100]}' is no file of {self.slug}", remedy=f"kaggle competitions files {self.slug}")
        stat = found.path.stat()  # the list may be from before an edit
        return DataFile(found.name, found.path, stat.st_size, stat.st_mtime)

    @property
    def bundle(self) -> DataFile:
        """All files in one zip."""
        path = self.folder / BUNDLE
        stat = path.stat()
        return DataFile(f"{self.slug}.zip", path, stat.st_size, stat.st_mtime)


class Competitions:
    """All competitions below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[str, tuple[object, Hosted]] = {}
        self._told: dict[str, str] = {}
        self._lock = threading.Lock()

    def list(self) -> list[Hosted]:
        """Those that are whole, by slug; one that somebody's edit made unreadable is left out, and the log says why."""
        if not self.folder.is_dir():
            return []
        names = sorted(f.name for f in self.folder.iterdir() if SLUG.fullmatch(f.name) and is_complete(f))
        return [hosted for hosted in map(self._readable, names) if hosted]

    def _readable(self, slug: str) -> Hosted | None:
        try:
            found = self.get(slug)
        except (PodiumError, OSError) as error:
            if self._told.get(slug) != str(error):  # once, not with every page
                self._told[slug] = str(error)
                log.error("%s is left out: %s", slug, error)
            return None
        self._told.pop(slug, None)
        return found

    def get(self, slug: str) -> Hosted:
        """A competition as its files say now.

        Raises:
            Unknown: if there is none.
            ConfigError: if somebody's edit of its files cannot be read.
        """
        folder = self.folder / slug
        if not SLUG.fullmatch(slug) or not is_complete(folder):
            names = sorted(p.name for p in self.folder.glob("*") if is_complete(p))
            remedy = nearest(slug[:60], names[:20]) if names else "podium host new makes one"
            raise Unknown(f"there is no competition '{slug[:60]}'", remedy=remedy)
        stamp = tuple(_stamp(folder / name) for name in (SPEC, RULES, DESCRIPTION, DATA, BUNDLE))
        with self._lock:
            known = self._known.get(slug)
            if known is None or known[0] != stamp:
                spec, rules = Competition.load(folder / SPEC), Rules.load(folder / RULES)
                known = self._known[slug] = stamp, Hosted(slug, folder, spec, rules)
            return known[1]

    def change_rules(self, slug: str, changes: dict[str, object]) -> Hosted:
        """Write some rules anew; the server takes them up at once.

        Raises:
            ConfigError: if they do not go together.
        """
        folder = self.get(slug).folder
        with locked(folder / f".{RULES}.lock", wait=lambda: None):  # of two changes none is lost
            rules = Rules.load(folder / RULES).with_overrides(changes)
            write_atomic(folder / RULES, rules.to_toml(rule_comments()))
        with self._lock:
            self._known.pop(slug, None)
        return self.get(slug)

    def describe(self, slug: str, text: str) -> Hosted:
        """Replace the description."""
        write_atomic(self.get(slug).folder / DESCRIPTION, text)
        with self._lock:
            self._known.pop(slug, None)
        return self.get(slug)


def rule_comments() -> dict[str, str]:
    """What each rule means, for the file."""
    return {name: field.description or "" for name, field in Rules.model_fields.items()}


def require_slug(slug: str) -> None:
    """Refuse a name that cannot be an address.

    Raises:
        DataError: saying what can.
    """
    if not SLUG.fullmatch(slug):
        raise DataError(f"'{slug}' cannot be the name of a competition", expected="1 to 50 of a-z, 0-9 and -")


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_ino
