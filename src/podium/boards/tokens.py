"""Who we are to a host: its token, from a variable or from a file that only its owner can read."""

from __future__ import annotations

import os
import stat
import tomllib
from pathlib import Path

from podium.errors import ConfigError

VARIABLE = "PODIUM_HOST_TOKEN"


def token_file() -> Path:
    """`~/.config/podium/tokens.toml`: a line `"https://board.example.org" = "TOKEN"` a host."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "podium" / "tokens.toml"


def token_of(url: str) -> str:
    """The token of a host; "" if there is none.

    Raises:
        ConfigError: if others may read the file, or it is no such file.
    """
    given = os.environ.get(VARIABLE, "").strip()
    file = token_file()
    if given or not file.exists():
        return given
    if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError("others may read your tokens", where=file, remedy=f"chmod 600 {file}")
    try:
        known = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):  # what it says is not repeated: it is secret
        raise ConfigError("the file of tokens is not TOML", where=file, expected='"https://HOST" = "TOKEN"') from None
    return str({key.rstrip("/"): value for key, value in known.items()}.get(url.rstrip("/"), ""))
