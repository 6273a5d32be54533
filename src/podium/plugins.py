"""Python files of the user's: "file.py:name" in a recipe names something in one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from podium.errors import ConfigError, nearest

_KEPT = "PODIUM_KEPT_FILES"


def find_plugin(spec: str, where: str) -> tuple[Path, str]:
    """The file and the name of "file.py:name"; the file is looked for in the current folder and those above.

    Args:
        where: The key, for messages: "model.arch".

    Raises:
        ConfigError: if this is not spelt so, or there is no such file.
    """
    file, _, name = spec.rpartition(":")
    if not file.endswith(".py") or not name.isidentifier():
        raise ConfigError(f"'{spec}' does not name something in a Python file", where=where, expected="file.py:name")
    path = find_file(file)
    if path is None:
        raise ConfigError(
            f"'{spec}' is asked for, and there is no file '{file}'",
            where=where,
            expected=f"the file in the workspace: {Path(os.getcwd()) / file}",
            remedy="check the path",
        )
    return path, name


def find_file(file: str) -> Path | None:
    """A user's Python file: the copy that an attempt keeps, else in the current folder or one above; None: nowhere."""
    kept = os.environ.get(_KEPT)
    if kept and (Path(kept) / Path(file).name).is_file():
        return Path(kept) / Path(file).name
    here = Path(os.getcwd())
    return next((folder / file for folder in (here, *here.parents) if (folder / file).is_file()), None)


@contextmanager
def kept_files(folder: Path) -> Iterator[None]:
    """Inside, the copies in ``folder`` are used, also by processes that are started meanwhile."""
    before = os.environ.get(_KEPT)
    os.environ[_KEPT] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_KEPT]
        else:
            os.environ[_KEPT] = before


def files_of(values: Iterable[Any]) -> dict[str, Path]:
    """{as it is spelt: path} of the Python files that settings name as "file.py:name"."""
    specs = [value for value in values if isinstance(value, str) and ".py:" in value]
    return {spec.partition(":")[0]: find_plugin(spec, spec)[0] for spec in specs}


def load_plugin(spec: str, where: str) -> Any:
    """What "file.py:name" names. The file is run: name none that you have not read.

    Raises:
        ConfigError: if there is no such file or name, or the file fails while it is loaded.
    """
    path, name = find_plugin(spec, where)
    module = run_file(path)
    if not hasattr(module, name):
        names = sorted(
            n for n, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__
        )
        raise ConfigError(
            f"'{spec}' is asked for, and nothing in the file is called '{name}'",
            where=path,
            remedy=nearest(name, names) if names else f"define {name} in it",
        )
    return getattr(module, name)


def run_file(path: Path) -> ModuleType:
    """A Python file as a module of its own.

    Raises:
        ConfigError: if it fails.
    """
    about = importlib.util.spec_from_file_location(f"podium_plugin_{path.stem}", path)
    assert about is not None  # it ends in .py
    assert about.loader is not None
    module = importlib.util.module_from_spec(about)
    try:
        about.loader.exec_module(module)
    except Exception as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(
            f"this file fails while it is loaded: {type(error).__name__}: {error}",
            where=f"{path}{line}",
            remedy="mend it; what it imports must be installed",
        ) from error
    return module


def plugin_digest(spec: str, where: str) -> str:
    """A hash of the content of the file that "file.py:name" names: what it does changes when this does.

    Raises:
        ConfigError: if there is no such file.
    """
    from blake3 import blake3

    return blake3(find_plugin(spec, where)[0].read_bytes()).hexdigest()
