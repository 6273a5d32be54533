"""How commands print: results on stdout, as a table or as JSON; the next command to type at the end."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import typer

JSON = typer.Option(False, "--json", help="Print the result as JSON.")


def emit(result: Any) -> None:
    """Print a result as JSON on stdout; what is not a number is null."""
    import orjson

    options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    options |= orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    try:
        print(orjson.dumps(result, default=str, option=options).decode())
    except TypeError:  # names that are not UTF-8, numbers of more than 64 bits
        print(json.dumps(result, indent=2, default=str))


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print rows as an aligned table.

    Args:
        columns: {key: heading}; numbers are aligned to the right.
    """
    cells = [[_text(row.get(key)) for key in columns] for row in rows]
    heads = list(columns.values())
    widths = [max(len(head), *(len(line[i]) for line in cells), 0) for i, head in enumerate(heads)]
    right = [all(isinstance(row.get(key), int | float | None) for row in rows) for key in columns]
    for line in [heads, *cells]:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(line, widths, right, strict=True))
        print("  ".join(padded).rstrip())


def _text(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.5f}" if isinstance(value, float) else str(value)


def numbers(text: str | None, option: str = "--folds") -> list[int] | None:
    """`0,2` as numbers; `all` as none of them in particular, which an empty list stands for."""
    if text is None or text == "all":
        return None if text is None else []
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"'{text}' is not a list of folds, such as 0,2", param_hint=option) from None


def next_command(*commands: str) -> None:
    """Tell what to type next, on stderr."""
    print("next: " + "   or: ".join(commands), file=sys.stderr)
