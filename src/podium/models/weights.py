"""Published or earlier weights into a network: what fits is loaded, and what differs is said."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from podium.errors import ModelError
from podium.models.matching import adapted, match

State = dict[str, Tensor]
WRAPPERS = ("model", "state_dict", "model_state_dict", "net", "params")
PREFIXES = ("module.", "_orig_mod.", "_forward_module.")
LEAST = 0.05
"""Share of a model's numbers that weights must fill: an encoder is a tenth at least, some biases fit by chance."""


@dataclass
class Loaded:
    """What became of a set of weights.

    Attributes:
        way: How tensors were matched: "by name", "by name, 'features.' as 'encoder.'", "in order".
        loaded: Names, as the model has them, that were filled.
        changed: Of these, those filled with something derived: {name: what was done}.
        missing: Of the model, and not in the file.
        unexpected: In the file, and not of the model.
        shapes: Same name or place, another shape: {name: (file's, model's)}.
    """

    way: str
    loaded: list[str] = field(default_factory=list)
    changed: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    def told(self, source: str) -> list[str]:
        """Lines for the user."""
        total = len(self.loaded) + len(self.missing) + len(self.shapes)
        lines = [f"  weights of {source}: {len(self.loaded)} of {total} tensors loaded, {self.way}"]
        lines += [f"    {name}: {what}" for name, what in self.changed.items()]
        lines += [
            f"    {name}: {_text(here)} here, {_text(file)} in the file: left as it was initialised"
            for name, (file, here) in self.shapes.items()
        ]
        if self.missing:
            lines.append(f"    not in the file, left as initialised: {_some(self.missing)}")
        if self.unexpected:
            lines.append(f"    in the file, not used: {_some(self.unexpected)}")
        return lines


def load_state(
    model: nn.Module, state: Mapping[str, Tensor], renames: Mapping[str, str] | None = None, *, source: str = ""
) -> Loaded:
    """Copy what fits of ``state`` into ``model``.

    Tensors are matched by name (with the beginnings in ``renames`` exchanged, and any one common beginning on either
    side, "features." for "encoder."), else module by module in order. A first convolution for another number of
    channels is adapted: for one channel the sum over the file's, else these over and over, scaled to the same sum of
    weights. A fully connected layer becomes the convolution of the same weights. Another shape is left alone.

    Raises:
        ModelError: if less than `LEAST` of the model can be filled: next to nothing fits.
    """
    given = renamed(state, renames or {})
    target = {name: t for name, t in model.state_dict().items() if not name.endswith("num_batches_tracked")}
    inside = getattr(model, "in_encoder", lambda name: name.startswith("encoder."))
    way, pairs = match(given, target, {name for name in target if inside(name)})
    first = next((name for name, t in target.items() if t.ndim == 4), "")
    result = Loaded(way)
    with torch.no_grad():
        for name, tensor in target.items():
            source_name = pairs.get(name)
            if source_name is None:
                result.missing.append(name)
                continue
            value, what = adapted(given[source_name], tensor.shape, first=name == first)
            if value is None:
                result.shapes[name] = (tuple(given[source_name].shape), tuple(tensor.shape))
                continue
            tensor.copy_(value)
            result.loaded.append(name)
            if what:
                result.changed[name] = what
    used = {given[name].data_ptr() for name in pairs.values()}  # names for the same tensor count as used
    result.unexpected = [name for name, t in given.items() if t.data_ptr() not in used]
    filled = sum(target[name].numel() for name in result.loaded)
    if filled < LEAST * sum(tensor.numel() for tensor in target.values()):
        raise _nothing_fits(given, target, result, source)
    return result


def renamed(state: Mapping[str, Tensor], renames: Mapping[str, str]) -> State:
    """The state with its beginnings exchanged, the longest first, and without counters of batches."""
    result: State = {}
    for name, tensor in state.items():
        for before in sorted(renames, key=len, reverse=True):
            if name.startswith(before):
                name = renames[before] + name.removeprefix(before)
                break
        if not name.endswith("num_batches_tracked"):
            result[name] = tensor
    return result


def read_state(path: Path) -> State:
    """The tensors of a file by name: ``.safetensors``, or what ``torch.save`` wrote, read without running any code.

    Wrappers ({"model": …}, {"state_dict": …}) and the beginnings that DataParallel, compile and Fabric put before
    names are taken off.

    Raises:
        ModelError: if the file is damaged, holds more than plain data, or no tensors.
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            content: Any = load_file(path)
        else:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"this file holds more than tensors ({_reason(error)}), and reading that would run its code",
            where=path,
            remedy="save the tensors alone where it comes from: torch.save(model.state_dict(), path)",
        ) from None
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, ImportError) as error:
        raise ModelError(f"not weights that can be read ({_reason(error)})", where=path) from None
    while isinstance(content, Mapping) and not any(isinstance(v, Tensor) for v in content.values()):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            break
        content = inner
    state = dict(content) if isinstance(content, Mapping) else {}
    state = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not state:
        raise ModelError("there are no tensors in this file", where=path, expected="a state dict: {name: tensor}")
    while any(all(name.startswith(prefix) for name in state) for prefix in PREFIXES):
        state = {name.partition(".")[2]: value for name, value in state.items()}
    return state


def find_weights(spec: str) -> Path:
    """The file that `model.weights` names: a file, or the one in a folder, from this folder or those above.

    Raises:
        ModelError: if there is none, or a folder has several and none is best.pt.
    """
    here = Path(os.getcwd())
    path = Path(spec).expanduser()
    found = next((p for p in (folder / path for folder in (here, *here.parents)) if p.exists()), None)
    if found is None:
        raise ModelError(
            f"there are no weights '{spec}'",
            where="model.weights",
            expected="a file (.pt, .pth, .safetensors) or a folder with one, seen from the workspace",
            remedy="check the path, or bring the file there",
        )
    if found.is_file():
        return found
    if (found / "best.pt").is_file():
        return found / "best.pt"
    files = sorted(p for p in found.iterdir() if p.suffix in (".pt", ".pth", ".bin", ".safetensors"))
    if len(files) != 1:
        names = ", ".join(p.name for p in files) or "none"
        raise ModelError(
            f"this folder has {len(files)} files of weights ({names})",
            where=found,
            expected="one, or a best.pt",
            remedy=f"name the file: model.weights={found / (files[0].name if files else 'FILE')}",
        )
    return files[0]


def _nothing_fits(given: State, target: State, result: Loaded, source: str) -> ModelError:
    def shown(state: Mapping[str, Tensor]) -> str:
        names = [f"{name} {_text(tuple(t.shape))}" for name, t in state.items()]
        return _some(names)

    return ModelError(
        f"only {len(result.loaded)} of the model's {len(target)} tensors are in these weights: {shown(given)}",
        where=source,
        expected=shown(target),
        remedy="choose the architecture, and model.width, that they are of; or say how names begin: "
        'model.weights_map = {"backbone." = "encoder."}',
    )


def _some(names: list[str], most: int = 6) -> str:
    more = f", … ({len(names) - most} more)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "number"


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:160]
