"""Recipes that come with podium: published winning solutions. `podium baseline recipe=carvana-1` takes one."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent

PRESETS = {"fast": "baseline"}
"""Other names of the recipes that `podium new` writes: `podium baseline` trains the fast preset."""


def shipped() -> list[str]:
    """Their names."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def find_recipe(folder: Path, name: str) -> Path | None:
    """The file of a recipe of a workspace's folder ``recipes``, else of those that come with podium."""
    files = (folder / f"{name}.toml", FOLDER / f"{name}.toml", folder / f"{PRESETS.get(name, name)}.toml")
    return next((p for p in files if p.is_file()), None)
