"""Where a workspace is: the folder that holds `competition.toml`."""

from __future__ import annotations

from pathlib import Path

from podium.errors import ConfigError

SPEC = "competition.toml"


def find_workspace(folder: str | Path = ".") -> Path:
    """The workspace that ``folder`` is, or lies in.

    Raises:
        ConfigError: if there is none here or above.
    """
    here = Path(folder).resolve()
    for candidate in (here, *here.parents):
        if (candidate / SPEC).is_file():
            return candidate
    remedy = "make one: podium new DIR --from DATA; or go into one: cd DIR"
    expected = f"a folder with a {SPEC}, here or above"
    raise ConfigError("this is not a podium workspace", where=here, expected=expected, remedy=remedy)
