"""Metrics of the user's own: a function in a Python file, and the direction that is better."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from podium.errors import ConfigError, nearest
from podium.metrics.registry import KINDS, Metric

_SPELLING = re.compile(r"(?P<path>.+\.py):(?P<function>\w+)(?::(?P<direction>\w+))?")


def load(name: str, where: str, folder: Path) -> Metric:
    """The metric that ``path.py:function`` is.

    The function gets what its kind reads, for most truth and prediction as two arrays, and returns one number, or
    one a sample if it has an attribute ``per_sample = True``. An attribute ``kind`` names another of `Kind` than
    "table". The direction is ``:max`` or ``:min`` behind the function, or its attribute ``greater_is_better``.

    The file is run: name none that you have not read.

    Raises:
        ConfigError: if the file, the function or the direction is missing or wrong.
    """
    found = _SPELLING.fullmatch(name)
    if not found:
        raise ConfigError(
            f"'{name}' is not a metric in a Python file", where=where, expected="path.py:function:max (or min)"
        )
    path = folder / found["path"]
    function = _function(path, found["function"], where)
    kind, per_sample = getattr(function, "kind", "table"), bool(getattr(function, "per_sample", False))
    if kind not in KINDS:
        raise ConfigError(f"{found['function']}.kind is '{kind}'", where=path, expected="one of: " + ", ".join(KINDS))
    return Metric(
        name,
        _direction(function, found["direction"], name, where),
        kind,
        ((function.__doc__ or "").strip().splitlines() or [f"own metric, {path}"])[0],
        samples=_checked(function, path, 1) if per_sample else None,
        whole=None if per_sample else _checked(function, path, 0),
    )


def _function(path: Path, name: str, where: str) -> Callable[..., Any]:
    module = _module(path, where)
    function = getattr(module, name, None)
    if not callable(function):
        names = sorted(n for n, v in vars(module).items() if callable(v) and not n.startswith("_"))
        raise ConfigError(f"there is no function '{name}' in {path}", where=where, remedy=nearest(name, names))
    return function  # type: ignore[no-any-return]


class _AsWritten(SourceFileLoader):
    """Loads the text that is there now: compiled code would be taken for it after an edit within the same second."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _module(path: Path, where: str) -> ModuleType:
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", where=where, expected="the Python file of your metric")
    name = f"podium_own_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path, loader=_AsWritten(name, str(path)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path} cannot be run: {type(error).__name__}: {error}", where=where) from error
    return module


def _direction(function: Callable[..., Any], spelt: str | None, name: str, where: str) -> bool:
    declared = getattr(function, "greater_is_better", None)
    if spelt is None and isinstance(declared, bool):
        return declared
    if spelt not in ("max", "min"):
        found = "does not say which direction is better" if spelt is None else f"has the direction '{spelt}'"
        base = name if spelt is None else name.rpartition(":")[0]
        raise ConfigError(
            f"the metric '{name}' {found}",
            where=where,
            expected="max (greater is better) or min (less is)",
            remedy=f"write {base}:max or {base}:min",
        )
    if isinstance(declared, bool) and declared != (spelt == "max"):
        raise ConfigError(
            f"'{name}' says {spelt} and its function greater_is_better = {declared}", where=where, remedy="change one"
        )
    return spelt == "max"


def _checked(function: Callable[..., Any], path: Path, dimensions: int) -> Callable[..., Any]:
    """The function, held to what it is to return."""

    def call(*inputs: Any) -> Any:
        values = np.asarray(function(*inputs))
        if values.ndim != dimensions or values.dtype.kind not in "buif":
            raise ConfigError(
                f"{getattr(function, '__name__', 'the metric')} returned {values.dtype} of shape {values.shape}",
                where=path,
                expected="one number a sample, shape (N,)" if dimensions else "one number (or set per_sample = True)",
            )
        return values.astype(np.float64) if dimensions else float(values)

    return call
