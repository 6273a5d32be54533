"""The one tree of errors a user can meet.

Each says what was found, where, what was expected and what to do about it; the command line prints exactly that
and exits with 1. Anything else that escapes is a bug in podium.
"""

from __future__ import annotations

import errno
from pathlib import Path


class PodiumError(Exception):
    """A problem the user can act on.

    Args:
        found: What is wrong, as one sentence without a full stop.
        where: The file, row, column or key it is about.
        expected: What would have been right.
        remedy: What to do now: a command, a key to set, a file to mend.
    """

    def __init__(self, found: str, *, where: str | Path = "", expected: str = "", remedy: str = "") -> None:
        self.found, self.where, self.expected, self.remedy = found, str(where), expected, remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        lines = [f"{self.where}: {self.found}" if self.where else self.found]
        if self.expected:
            lines.append(f"  expected: {self.expected}")
        if self.remedy:
            lines.append(f"  to do:    {self.remedy}")
        return "\n".join(lines)

    def rename(self, old: str | Path, new: str | Path) -> None:
        """Speak of a path by the name that the user knows."""
        for name in ("found", "where", "expected", "remedy"):
            setattr(self, name, getattr(self, name).replace(str(old), str(new)))
        self.args = (str(self),)


class ConfigError(PodiumError):
    """A key, value or type in a TOML file or an override that podium cannot take."""


class DataError(PodiumError):
    """Competition data that cannot be read or does not fit together."""


class SubmissionError(PodiumError):
    """A submission file that a board would refuse."""


class BoardError(PodiumError):
    """A board that cannot or will not do what was asked: no labels, quota used up."""


class LedgerError(PodiumError):
    """An attempt that is missing, damaged or contradicts another one."""


class ModelError(PodiumError):
    """An architecture or weights that do not fit."""


class TrainingError(PodiumError):
    """A training that cannot go on: the loss is not finite, a worker died, memory ran out."""


class BusyError(PodiumError):
    """Another podium is at work in the same workspace."""


class StorageError(PodiumError):
    """The disk is full, read-only or not ours to write."""


def nearest(name: str, options: list[str] | tuple[str, ...], *, prefix: str = "") -> str:
    """``did you mean 'x'?`` for the closest of ``options``, or the whole list when nothing is close."""
    from difflib import get_close_matches

    close = get_close_matches(name, options, n=1, cutoff=0.6)
    return f"did you mean '{prefix}{close[0]}'?" if close else "one of: " + ", ".join(prefix + o for o in options)


def storage_error(error: OSError, path: str | Path = "") -> StorageError | None:
    """The clear form of an operating-system error about storage, or None if it is about something else."""
    where = str(path or error.filename or "")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            "the disk is full",
            where=where,
            remedy="free some space and run the same command again; what was finished is kept",
        )
    if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return StorageError(
            f"cannot write here ({error.strerror})",
            where=where,
            remedy="choose a folder you may write to, or change its permissions",
        )
    return None
