"""The official `kaggle` command, run as it is: one process a command, its answer as text, its complaint as an error.

It is never imported here: `import kaggle` logs in on the spot. Credentials are the client's own business; podium does
not read them, and strikes out what looks like one from all that it shows.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO

from podium.boards.complaints import Passing, explained
from podium.errors import BoardError

OLDEST = (2, 2, 4)
ENVIRONMENTS = ("", "PROD", "LOCALHOST")
"""Values of KAGGLE_API_ENVIRONMENT that do what they say; any other reaches the real site without a word."""
_SECRETS = ("KAGGLE_KEY", "KAGGLE_API_TOKEN", "KAGGLE_API_V1_TOKEN")
_SIGNED = re.compile(r"((?:token|key|sig|signature|credential|policy)[\w-]*[=:]\s*)[^\s&\"']{4,}", re.IGNORECASE)
_BEARER = re.compile(r"((?:Bearer|Basic)\s+)\S{4,}", re.IGNORECASE)


class KaggleClient:
    """The installed `kaggle` package, by its command.

    Raises:
        BoardError: if it is not installed, too old or incomplete, or the environment would mislead it.
    """

    def __init__(self, timeout: float = 120.0) -> None:
        self.timeout = timeout
        self.version = _version()
        _require_environment(os.environ)

    def run(
        self, *args: str, slug: str = "", timeout: float | None = None, meanwhile: Callable[[], None] | None = None
    ) -> str:
        """Run `kaggle ARGS`; what it prints.

        Args:
            slug: The competition, for what errors say.
            timeout: In seconds, of the whole command; 0: none.
            meanwhile: Called about every second while it runs.

        Raises:
            BoardError: the client's complaint, translated; Passing, if it may be over in a while.
        """
        limit = self.timeout if timeout is None else timeout
        command = [sys.executable, "-m", "kaggle", "-W", *args]
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=_environment()) as run:
                try:
                    done = _wait(run, limit, meanwhile)
                except BaseException:
                    run.kill()
                    raise
            texts = [redacted(_text(f)) for f in (out, err)]
        if not done:
            raise Passing(
                f"Kaggle did not answer within {limit:.0f} s (kaggle {' '.join(args[:2])})",
                remedy="see that this machine reaches www.kaggle.com, and run the same command again",
            )
        if run.returncode:
            raise explained("\n".join(filter(None, [texts[1], texts[0]])), slug)
        return texts[0]

    def table(self, *args: str, slug: str = "") -> list[dict[str, str]]:
        """Run a command that lists something, as rows; none if there is nothing to list."""
        lines = self.run(*args, "--csv", slug=slug).splitlines(keepends=True)
        while lines and _is_note(lines[0]):  # said on the same channel, before the table
            lines.pop(0)
        return list(csv.DictReader(lines))


def redacted(text: str) -> str:
    """Without credentials and the signatures of addresses."""
    for name in _SECRETS:
        secret = os.environ.get(name, "")
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    return _BEARER.sub(r"\1…", _SIGNED.sub(r"\1…", text))


def _is_note(line: str) -> bool:
    notes = ("Next Page Token", "Using competition", "Warning", "No ", "Looks like you're using an outdated")
    return not line.strip() or line.startswith(notes)


def _wait(run: subprocess.Popen[bytes], limit: float, meanwhile: Callable[[], None] | None) -> bool:
    """Whether it ended by itself, in time."""
    end = time.monotonic() + limit if limit else float("inf")
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.wait(timeout=max(0.0, min(1.0 if meanwhile else 60.0, end - time.monotonic())))
            return True
        if time.monotonic() >= end:
            run.kill()
            return False
        if meanwhile:
            meanwhile()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONIOENCODING": "utf-8", "PYTHONWARNINGS": "ignore", "NO_COLOR": "1"}


def _version() -> tuple[int, ...]:
    install = "pip install 'podium[kaggle]'"
    if importlib.util.find_spec("kaggle") is None:
        raise BoardError("the official kaggle client is not installed", remedy=install)
    version = importlib.metadata.version("kaggle")
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:3])
    if numbers < OLDEST:
        raise BoardError(
            f"kaggle {version} is installed",
            expected=f"{'.'.join(map(str, OLDEST))} or newer",
            remedy=f"{install} --upgrade",
        )
    if importlib.util.find_spec("six") is None:
        raise BoardError(
            "the kaggle client cannot start: it needs the package six and does not say so",
            remedy="pip install six",
        )
    return numbers


def _require_environment(environment: Mapping[str, str]) -> None:
    given = environment.get("KAGGLE_API_ENVIRONMENT", "")
    if given not in ENVIRONMENTS:
        raise BoardError(
            f"KAGGLE_API_ENVIRONMENT is '{given}': the kaggle client would reach the real site without a word",
            expected="unset for Kaggle itself; LOCALHOST for a server on this machine",
            remedy="unset KAGGLE_API_ENVIRONMENT",
        )
