"""The command line: one function = one command, each a thin call of `Workspace`; heavy imports inside the functions."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import typer
import typer.core

from podium.errors import PodiumError, StorageError, storage_error

PIPELINE = (
    *(
        "new",
        "look",
        "prepare",
        "folds",
        "models",
        "doctor",
        "lr-find",
        "baseline",
        "try",
        "resume",
        "climb",
        "combine",
        "champion",
        "adopt",
        "share",
        "team",
    ),
    *("attempts", "show", "revisit", "reproduce", "verdict"),
    *("predict", "blend", "export", "submit", "standings", "host", "cache", "demo"),
)


class _InPipelineOrder(typer.core.TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        """Commands as they are used, one after another."""
        return sorted(super().list_commands(ctx), key=lambda c: PIPELINE.index(c) if c in PIPELINE else len(PIPELINE))


app = typer.Typer(
    name="podium",
    cls=_InPipelineOrder,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.callback(epilog="Start: podium demo (shows the whole loop), or podium new DIR --from DATA")
def podium(
    directory: str = typer.Option(None, "-C", metavar="DIR", help="Work as if started in DIR."),
    version: bool = typer.Option(False, "--version", help="Show the version and exit."),
) -> None:
    """From raw competition data to the leaderboard, one honest attempt at a time."""
    if version:
        from podium import __version__

        typer.echo(__version__)
        raise typer.Exit
    if directory:
        try:
            os.chdir(directory)
        except OSError as error:
            raise PodiumError(f"cannot go there ({error.strerror})", where=directory) from None


from podium.cli import (  # noqa: E402 - importing them registers their commands
    attempts,  # noqa: F401
    blend,  # noqa: F401
    cache,  # noqa: F401
    climb,  # noqa: F401
    data,  # noqa: F401
    doctor,  # noqa: F401
    folds,  # noqa: F401
    host,  # noqa: F401
    ledger,  # noqa: F401
    lr_find,  # noqa: F401
    models,  # noqa: F401
    predict,  # noqa: F401
    submit,  # noqa: F401
    team,  # noqa: F401
    verdict,  # noqa: F401
)

_ClickError: Any = typer.BadParameter.__mro__[2]  # typer brings a click of its own, or uses the public one


INTERRUPTED = 130
"""The exit code of Ctrl-C: 128 + SIGINT."""


def main() -> NoReturn:
    """The `podium` command: 0 done, 1 it failed with one clear message, 2 wrong usage, 130 interrupted."""
    try:
        result = app(standalone_mode=False)
        code = result if isinstance(result, int) else 0
        sys.stdout.flush()
    except PodiumError as error:
        code = _fail(str(error))
    except _ClickError as error:
        error.show()
        code = int(getattr(error, "exit_code", 2))
    except (KeyboardInterrupt, typer.Abort):  # some versions of typer hand it on, some return INTERRUPTED
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except OSError as error:
        known = storage_error(error)
        if known is None:
            raise
        code = _fail(str(known))
    except MemoryError:
        code = _fail(str(StorageError("out of memory", remedy="use a smaller input.size or train.batch_size")))
    if code == INTERRUPTED:
        said = "\ninterrupted: what was finished is kept; the same command (or podium resume) goes on from there"
        print(said, file=sys.stderr)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.flush()
    sys.exit(code)


def _fail(message: str) -> int:
    shown = message.replace(f"{Path.cwd()}{os.sep}", "")  # paths below this folder read better from here
    print(f"error: {shown}", file=sys.stderr)
    return 1
