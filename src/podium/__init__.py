"""podium: from raw competition data to the leaderboard, one honest attempt at a time.

``from podium import Workspace`` gives the same loop as the command line. Importing podium itself loads nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from podium.errors import PodiumError as PodiumError
    from podium.workspace import Workspace as Workspace

__version__ = "0.1.0"
__all__ = ["PodiumError", "Workspace", "__version__"]


def __getattr__(name: str) -> Any:
    if name == "Workspace":
        from podium.workspace import Workspace

        return Workspace
    if name == "PodiumError":
        from podium.errors import PodiumError

        return PodiumError
    raise AttributeError(f"module 'podium' has no attribute {name!r}")
