"""Other people's augmentations: an albumentations Compose, a torchvision.v2 transform, or any function of a pair."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.errors import ConfigError, DataError, nearest
from podium.plugins import find_file

Pixels = NDArray[np.uint8]
Extra = Callable[[Pixels, Pixels, np.random.Generator], tuple[Pixels, Pixels]]

_loading = threading.Lock()


def load_extra(spec: str) -> Extra:
    """The plug-in that ``augment.extra`` names, loaded once.

    Args:
        spec: "file.py:name"; the file is looked for in the current folder and those above it.

    Raises:
        ConfigError: if there is no such file or name, the file fails, or the name cannot be called.
    """
    with _loading:
        file = spec.rpartition(":")[0]
        found = find_file(file)
        if found is None:
            raise ConfigError(
                f"'augment.extra' is '{spec}', and there is no file '{file}'",
                where=os.getcwd(),
                expected="file.py:name, the file in the workspace",
                remedy="check the path",
            )
        return _load(spec, found)


@lru_cache(maxsize=16)
def _load(spec: str, path: Path) -> Extra:
    name = spec.rpartition(":")[2]
    module = _run(path)
    if not hasattr(module, name):
        names = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        raise ConfigError(
            f"'augment.extra' is '{spec}', and nothing in the file is called '{name}'",
            where=path,
            remedy=nearest(name, names) if names else f"define {name} = …",
        )
    return _checked(_adapted(getattr(module, name), spec), spec)


def _run(path: Path) -> Any:
    about = importlib.util.spec_from_file_location(f"podium_extra_{path.stem}", path)
    if about is None or about.loader is None:
        raise ConfigError("this is not a Python file", where=path, expected="a name that ends in .py")
    module = importlib.util.module_from_spec(about)
    try:
        about.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(
            f"the plug-in fails while it is loaded: {type(error).__name__}: {error}",
            where=path,
            remedy="mend it; what it imports must be installed",
        ) from error
    return module


def _adapted(thing: Any, spec: str) -> Extra:
    origin = type(thing).__module__.partition(".")[0]
    if hasattr(thing, "set_random_seed") and hasattr(thing, "transforms"):
        return _albumentations(thing)
    if origin == "torchvision" or _is_module(thing):
        return _torchvision(thing)
    if not callable(thing):
        raise ConfigError(
            f"'augment.extra' is '{spec}', which is of type {type(thing).__name__} and cannot be called",
            expected="a function (image, mask) -> (image, mask), an albumentations Compose, a torchvision.v2 transform",
        )
    return _function(thing)


def _is_module(thing: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _function(function: Callable[..., Any]) -> Extra:
    """A plain function; one that takes a third argument, or ``rng``, gets the sample's generator."""
    try:
        wanted = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        wanted = {}.values()
    if any(p.name == "rng" and p.kind is p.KEYWORD_ONLY for p in wanted):
        return lambda image, mask, rng: function(image, mask, rng=rng)
    if len([p for p in wanted if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]) > 2:
        return lambda image, mask, rng: function(image, mask, rng)
    return lambda image, mask, rng: function(image, mask)


def _albumentations(compose: Any) -> Extra:
    """A Compose keeps its generator in itself, so every thread has a copy of its own."""
    import copy

    local = threading.local()

    def run(image: Pixels, mask: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        if not hasattr(local, "compose"):
            local.compose = copy.deepcopy(compose)
        local.compose.set_random_seed(int(rng.integers(2**31)))
        done = local.compose(image=image, mask=mask)
        return done["image"], done["mask"]

    return run


def _torchvision(transform: Any) -> Extra:
    """Every torch function that draws gets the sample's own generator.

    torch's global generator is shared with the training thread: to seed it here would change the training.
    """
    torch = sys.modules["torch"]

    class Seeded(torch.overrides.TorchFunctionMode):  # type: ignore[misc, name-defined]
        """Active in this thread alone."""

        def __init__(self, seed: int) -> None:
            super().__init__()
            self.generator = torch.Generator().manual_seed(seed)

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
            if name in ("rand_like", "randn_like"):
                like, plain = args[0], getattr(torch, name.removesuffix("_like"))
                kwargs = {"dtype": like.dtype, **{k: v for k, v in kwargs.items() if k == "dtype"}}
                return plain(like.shape, generator=self.generator, **kwargs)
            if name in _DRAWING and kwargs.get("generator") is None:
                kwargs["generator"] = self.generator
            return func(*args, **kwargs)

    def run(image: Pixels, mask: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        from importlib import import_module

        tv = import_module("torchvision.tv_tensors")
        picture = tv.Image(torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1).contiguous())
        labels = tv.Mask(torch.from_numpy(np.ascontiguousarray(mask)).clone())
        with Seeded(int(rng.integers(2**31))):
            new, moved = transform(picture, labels)
        return new.permute(1, 2, 0).numpy(), moved.numpy()

    return run


_DRAWING = frozenset(
    {
        *("rand", "randn", "randint", "randperm", "normal", "bernoulli", "multinomial", "poisson"),
        *("uniform_", "normal_", "bernoulli_", "random_", "exponential_", "log_normal_", "geometric_", "cauchy_"),
    }
)


def _checked(extra: Extra, spec: str) -> Extra:
    """``extra`` handed private copies, and its result checked."""

    def run(image: Pixels, mask: Pixels, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
        try:
            result = extra(np.array(image), np.array(mask), rng)
        except Exception as error:
            raise DataError(
                f"the plug-in fails: {type(error).__name__}: {error}", where=f"augment.extra = {spec}"
            ) from error
        wanted = f"image and mask, uint8, {image.shape} and {mask.shape}"
        try:
            new, labels = (np.asarray(a) for a in result)
        except (TypeError, ValueError):
            raise DataError(
                f"the plug-in returned {type(result).__name__}", where=f"augment.extra = {spec}", expected=wanted
            ) from None
        if new.dtype != np.uint8 or (new.shape, labels.shape) != (image.shape, mask.shape):
            raise DataError(
                f"the plug-in returned {new.dtype} {new.shape} and {labels.dtype} {labels.shape}",
                where=f"augment.extra = {spec}",
                expected=wanted,
                remedy="crop by input.train_crop, normalise by input.normalize",
            )
        return new, labels.astype(np.uint8, copy=False)

    return run
