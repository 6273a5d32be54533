"""The command about what podium keeps to be fast: cache."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from podium.cli import app
from podium.cli.output import JSON, emit, next_command, table

if TYPE_CHECKING:
    from podium.data.inventory import Kept, Stock

COLUMNS = {
    "stage": "stage",
    "items": "items",
    "size": "size",
    "settings": "settings",
    "last_used": "last used",
    "state": "state",
    "folder": "folder",
}


@app.command()
def cache(
    verify: bool = typer.Option(False, "--verify", help="Read every item and compare it with its hash."),
    prune: bool = typer.Option(False, "--prune", help="Remove what nothing reads and what killed builds left."),
    dry_run: bool = typer.Option(False, "--dry-run", help="With --prune: only say what would be removed."),
    as_json: bool = JSON,
) -> None:
    """Show the decoded pixels that are kept; check or prune them.

    Nothing that a recipe or an attempt reads is ever removed.
    """
    from podium.workspace import Workspace

    if (dry_run and not prune) or (verify and prune):
        raise typer.BadParameter("--prune goes alone or with --dry-run")
    space = Workspace.open()
    if verify:
        _verify(space.cache(), as_json)
    elif prune and not dry_run:
        with space.lock():
            _prune(space.cache(), dry_run, as_json)
    elif prune:
        _prune(space.cache(), dry_run, as_json)
    else:
        _show(space.cache(), as_json)


def _show(stock: Stock, as_json: bool) -> None:
    from podium.files import size_text

    if as_json:
        stores = [_tree(s) for s in stock.stores]
        emit({"stores": stores, "bytes": stock.bytes, "free": stock.free, "unsure": stock.unsure or None})
        return
    if stock.stores:
        table([_row(s) for s in stock.stores], COLUMNS)
    print(f"total {size_text(stock.bytes)}, {size_text(stock.free)} free on the disk")
    _say_unsure(stock)
    removable = sum(s.bytes for s in stock.removable)
    next_command(f"podium cache --prune (frees {size_text(removable)})" if removable else "podium cache --verify")


def _prune(stock: Stock, dry_run: bool, as_json: bool) -> None:
    from podium.data.inventory import prune
    from podium.files import size_text

    gone = prune(stock, dry_run=dry_run)
    if as_json:
        emit({"removed": [_tree(s) for s in gone], "bytes": sum(s.bytes for s in gone), "dry_run": dry_run})
        return
    for s in gone:
        print(f"{'would remove' if dry_run else 'removed'} {s.folder.name}: {s.state}, {size_text(s.bytes)}")
    total = size_text(sum(s.bytes for s in gone))
    print(f"{total} {'would be ' if dry_run else ''}freed" if gone else "nothing to remove")
    _say_unsure(stock)
    next_command("podium cache --prune" if dry_run and gone else "podium cache")


def _verify(stock: Stock, as_json: bool) -> None:
    from podium.data.inventory import verify
    from podium.errors import DataError

    checked, damage = verify(stock)
    if as_json:
        emit({"checked": checked, "damaged": [asdict(d) for d in damage]})
        if damage:
            raise typer.Exit(1)
        return
    if damage:
        shown = [f"    {d.stage}{f', {d.id}' if d.id else ''}: {d.reason} ({d.folder})" for d in damage]
        folders = " ".join(dict.fromkeys(str(d.folder) for d in damage))
        raise DataError(
            f"{len(damage)} damaged of {checked} items:\n" + "\n".join(shown),
            remedy=f"run: rm -r {folders} && podium prepare; then have the disk and the memory checked",
        )
    print(f"{checked} items are whole")
    next_command("podium cache")


def _say_unsure(stock: Stock) -> None:
    if stock.unsure:
        print(f"what is stale cannot be told: {stock.unsure}")
    elif any(s.state == "unknown" for s in stock.stores):
        print("unknown: a recipe that is not prepared yet may reuse it (podium prepare recipe=NAME)")


def _row(store: Kept) -> dict[str, Any]:
    from podium.files import size_text

    used = time.strftime("%Y-%m-%d %H:%M", time.localtime(store.used))
    return {**asdict(store), "size": size_text(store.bytes), "last_used": used, "folder": store.folder.name}


def _tree(store: Kept) -> dict[str, Any]:
    return {**asdict(store), "used": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(store.used))}
