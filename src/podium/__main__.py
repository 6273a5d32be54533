"""The `podium` command and `python -m podium`."""

from __future__ import annotations

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line; Ctrl-C while it is still being loaded ends it without a traceback too."""
    try:
        from podium.cli import main as run
    except KeyboardInterrupt:
        print("\ninterrupted before anything was done", file=sys.stderr)
        sys.exit(130)
    run()


if __name__ == "__main__":
    main()
