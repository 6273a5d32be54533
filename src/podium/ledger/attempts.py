"""The `attempts/` folder: every attempt by number, whatever is damaged left out. The folders are the record."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from podium.config import difference, write_toml
from podium.errors import LedgerError, PodiumError, nearest
from podium.files import building, write_atomic
from podium.ledger.attempt import CODE, CROWN, FOLDER, Attempt, Crown, RaceConfig
from podium.ledger.changes import Change, change_text, changed_recipe
from podium.ledger.index import Index
from podium.ledger.rows import sameness
from podium.ledger.stamps import folders_in, number_of
from podium.ledger.weights import begins_otherwise, write_note
from podium.progress import say
from podium.recipe import Recipe

__all__ = ["CODE", "Attempt", "Attempts", "RaceConfig", "change_text", "changed_recipe"]

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class Attempts:
    """The `attempts/` folder of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index = Index(folder.parent / ".podium" / "podium.db", folder)

    def scan(self) -> tuple[list[Attempt], list[str]]:
        """Every attempt by number, and a line for each folder that had to be left out. Reads every folder."""
        found: dict[int, Attempt] = {}
        damaged = []
        for name in folders_in(self.folder):
            try:
                attempt = Attempt.load(self.folder / name)
            except PodiumError as error:
                damaged.append(str(error).splitlines()[0])
                continue
            first = found.setdefault(attempt.id, attempt)
            if first is not attempt:
                damaged.append(f"{attempt.folder}: its number is that of {first.folder.name} too; rename one of them")
        return list(found.values()), damaged

    def all(self) -> list[Attempt]:
        """Every readable attempt, by number."""
        return self.scan()[0]

    def names(self) -> list[str]:
        """The attempts' folders, damaged ones included, by number; nothing is read."""
        return [name for name in folders_in(self.folder) if FOLDER.fullmatch(name)]

    def get(self, reference: str | int) -> Attempt:
        """An attempt by number (`7`, `0007`), name or folder name; of several with one name the newest.

        Raises:
            LedgerError: listing what there is; or saying what is damaged.
        """
        names, text = self.names(), str(reference)
        number = int(text) if text.isdecimal() and len(text) < 10 else None
        wanted = [n for n in names if text in (n, n.partition("-")[2]) or number == number_of(n)]
        if wanted:
            return self._first_readable([n for n in wanted if number_of(n) == number_of(wanted[-1])])
        if not names:
            raise LedgerError("there is no attempt yet", remedy="run: podium baseline")
        if "=" in text:
            remedy = f"a setting is changed by an attempt: podium try NAME {text} --why '…'"
            raise LedgerError(f"'{text}' is a setting, not an attempt", where=self.folder, remedy=remedy)
        close = nearest(text, names)
        few = len(names) <= 20 or close.startswith("did you mean")
        raise LedgerError(
            f"no attempt '{text}'", where=self.folder, remedy=close if few else "look at them: podium attempts"
        )

    def _first_readable(self, names: Sequence[str]) -> Attempt:
        """The first of some folders that is not damaged; if all are, what is wrong with the first."""
        *others, last = names
        for name in others:
            with contextlib.suppress(PodiumError):
                return Attempt.load(self.folder / name)
        return Attempt.load(self.folder / last)

    def named(self, name: str) -> list[Attempt]:
        """The readable attempts of that name, by number."""
        return self._readable(n for n in self.names() if n.partition("-")[2] == name)

    def same(self, recipe: Recipe, folds: str, code: Mapping[str, str]) -> list[Attempt]:
        """The attempts that train the very same, by number.

        Args:
            folds: Digest of the folds.
            code: {as the recipe names it: hash} of the user's Python files.
        """
        wanted = sameness(recipe, folds, code)
        alike = self._readable(row.folder for row in self.index.rows() if not row.damage and row.same == wanted)
        return [a for a in alike if (a.recipe, a.folds, a.code) == (recipe, folds, code)]

    def _readable(self, names: Iterable[str]) -> list[Attempt]:
        found = []
        for name in names:
            with contextlib.suppress(PodiumError):
                found.append(Attempt.load(self.folder / name))
        return found

    def _next_number(self) -> int:
        """One more than any folder's number, damaged ones included: what they hold is not written over."""
        folders = self.folder.iterdir() if self.folder.exists() else ()
        return 1 + max((int(m[1]) for f in folders if (m := FOLDER.fullmatch(f.name))), default=-1)

    def free_folder(self, name: str) -> Path:
        """Where a new attempt of this name belongs."""
        return self.folder / f"{self._next_number():04d}-{name}"

    def baseline(self) -> Attempt | None:
        """The first attempt without a parent, if there is one.

        Raises:
            LedgerError: if there is none that can be read, and one that is damaged.
        """
        damaged: list[str] = []
        for name in self.names():
            try:
                attempt = Attempt.load(self.folder / name)
            except PodiumError as error:
                damaged.append(str(error).splitlines()[0])
                continue
            if attempt.parent is None:
                return attempt
        if damaged:
            raise LedgerError(damaged[0], remedy="mend or restore it; or move its folder away to begin again")
        return None

    def champion(self) -> Attempt:
        """The recipe that stands: the attempt that was accepted last, else the baseline. What is damaged is told.

        Raises:
            LedgerError: if nothing has been trained.
        """
        crowned = []
        for name in self.names():
            if os.path.exists(f"{self.folder}/{name}/{CROWN}"):
                with _told():
                    crowned.append((Crown.load(self.folder / name / CROWN).at, name))
        for _, name in sorted(crowned, reverse=True):
            with _told():
                return Attempt.load(self.folder / name)
        first = self.baseline()
        if first is None:
            raise LedgerError("there is no champion yet", where=self.folder, remedy="run: podium baseline")
        return first

    def create(
        self,
        name: str,
        recipe: Recipe,
        parent: Attempt | None,
        why: str,
        folds: str,
        *,
        link: str = "",
        race: RaceConfig | None = None,
        code: Mapping[str, Path] | None = None,
        more: Change | None = None,
        weights: str = "",
    ) -> Attempt:
        """Write a new attempt's folder, whole, before anything is trained.

        Args:
            code: {as the recipe names it: path} of the user's Python files, which are copied.
            more: What changes besides the recipe, such as the training samples.
            weights: Hash of the file that `model.weights` names.

        Raises:
            LedgerError: if the name is not one, or the recipe is that of an earlier attempt.
        """
        if not _NAME.fullmatch(name):
            raise LedgerError(f"'{name}' cannot name an attempt", expected="lower-case letters, digits, - and _")
        files = {file: path.read_bytes() for file, path in (code or {}).items()}
        hashes = {file: hashlib.sha256(content).hexdigest() for file, content in files.items()}
        for other in self.same(recipe, folds, hashes):
            if not begins_otherwise(other.folder, weights):
                raise LedgerError(
                    f"that is attempt {other.id} ({other.name}): its recipe is the same in every setting",
                    remedy=f"look at it: podium show {other.id}; if it was stopped: podium resume {other.id}",
                )
        for other in self.named(name):
            raise LedgerError(
                f"attempt {other.id} is called '{name}' already",
                expected="a name of its own: it is how podium show and --parent find it",
                remedy=f"choose another, for instance {_free(name, [n.partition('-')[2] for n in self.names()])}",
            )
        target = self.free_folder(name)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        head: dict[str, Any] = {"created": created, "folds": folds}
        if parent:
            head["parent"] = parent.id
        if link:
            head["link"] = link
        change = (more or {}) | (difference(recipe, parent.recipe) if parent else {})
        head["change"] = {
            k: {n: v for n, v in (("from", a), ("to", b)) if v is not None} for k, (a, b) in change.items()
        }
        if race and race != RaceConfig():
            head["race"] = race.tree()
        if hashes:
            head["code"] = hashes
        with building(target) as folder:
            write_atomic(folder / "recipe.toml", recipe.to_toml())
            write_toml(folder / "change.toml", head)
            write_atomic(folder / "why.md", why.strip() + "\n")
            if weights:
                write_note(folder, str(recipe.model.weights), weights)
            for file, content in files.items():
                (folder / CODE).mkdir(exist_ok=True)
                write_atomic(folder / CODE / Path(file).name, content)
        return Attempt.load(target)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """What is damaged is named, and left out."""
    try:
        yield
    except PodiumError as error:
        say(f"  left out: {str(error).splitlines()[0]}")


def _free(name: str, taken: Sequence[str]) -> str:
    """`name-2`, or the first higher number that is free."""
    return next(f"{name}-{n}" for n in itertools.count(2) if f"{name}-{n}" not in taken)
