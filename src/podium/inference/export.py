"""An attempt's networks as one graph from pixels to predictions: ONNX, or a program of torch.export."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.config import write_toml
from podium.errors import ConfigError, ModelError
from podium.files import building
from podium.inference.bag import Bag
from podium.models.base import first_logits
from podium.models.features import FrozenFeatures
from podium.progress import say
from podium.training.device import Normalize
from podium.training.evaluate import Predictor
from podium.training.tasks import TableTask

Array = NDArray[Any]
Kind = Literal["onnx", "torch"]

CLOSE = 1e-3
"""Largest difference of predictions that a graph may have from the networks it was made of, against their size."""

SUFFIX: dict[Kind, str] = {"onnx": ".onnx", "torch": ".pt2"}


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        gap: Largest difference from the networks in fp32 on real images.
        images: On how many.
    """

    folder: Path
    files: list[Path]
    gap: float
    images: int


class Graph(nn.Module):
    """Networks with what lies before and behind them; fp32, without other views.

    The input is images, uint8 (N, H, W, C), pre-processed and padded, and for networks that want it metadata, float32
    (N, M). The output is float32: probabilities (N, outputs, H, W) of pixels, or (N, outputs).
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        if predictor.ranks:
            raise ConfigError(
                "ranks are of all samples together, and a graph sees some",
                where="predict.mean",
                remedy="export an attempt with another predict.mean",
            )
        self.networks, self.tasks = nn.ModuleList(predictor.models), predictor.tasks
        self.space, self.task = predictor.space, predictor.task
        channels = self.task.channels
        unit = Normalize(predictor.recipe.input.normalize, torch.device("cpu"))
        scale, shift = unit._table(channels, 255)
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Predictions of a batch."""
        x = images.permute(0, 3, 1, 2).float() * self.scale + self.shift  # type: ignore[operator]
        extra = () if inputs is None else (inputs,)
        total: Any = 0
        for network, task in zip(self.networks, self.tasks, strict=True):
            total = total + self.space.of(task, first_logits(network(x, *extra)).float())
        return self.space.back(self.task, total / len(self.networks))


def export(
    predictor: Predictor,
    bag: Bag,
    images: Array,
    inputs: Sequence[Sequence[str]],
    folder: Path,
    kind: Kind,
    *,
    each: bool = False,
) -> Exported:
    """Write the mean of all networks as one graph, or a graph each, after comparing it with them on real images.

    Args:
        images: uint8 (N, H, W, C) as the network sees them: all images that the graph is for have this size.
        inputs: Their metadata, as text, if the networks want it.
        folder: Gets the files and `model.toml`, finished or not at all.

    Raises:
        ModelError: if a network cannot be written so, or the graph does not give the same.
    """
    if any(isinstance(m, FrozenFeatures) and m.config.learner != "linear" for m in predictor.models):
        raise ModelError(
            "boosted trees are no network, and cannot be written as a graph",
            where="model.learner",
            remedy="--format bundle takes any attempt along; or an attempt with model.learner=linear",
        )
    predictor = predictor.precise()
    arguments = _arguments(predictor, images, inputs)
    names = _names(bag) if each else ["model"]
    with building(folder) as temporary:
        files, gaps = [], []
        for n, name in enumerate(names):
            part = _only(predictor, n) if each else predictor
            graph, file = Graph(part).cpu().eval(), temporary / f"{name}{SUFFIX[kind]}"
            with torch.inference_mode():
                expected = graph(*arguments).numpy()
            with torch.no_grad():
                WRITERS[kind](graph, arguments, file)
            run = READERS[kind](file)
            sizes = (arguments, tuple(a[:1] for a in arguments))  # a batch of any size
            gaps += [_compared(run(some), expected[: len(some[0])], file.name) for some in sizes]
            say(f"  {file.name}: at most {max(gaps):.1e} from the networks, on {len(images)} images")
            files.append(folder / file.name)
        write_toml(temporary / "model.toml", _facts(predictor, arguments, names, kind))
    return Exported(folder, files, max(gaps), len(images))


def _arguments(predictor: Predictor, images: Array, inputs: Sequence[Sequence[str]]) -> tuple[Tensor, ...]:
    task, pixels = predictor.task, torch.from_numpy(images)
    if not (isinstance(task, TableTask) and task.width):
        return (pixels,)
    return pixels, torch.from_numpy(task.metadata.encode(inputs))


def _names(bag: Bag) -> list[str]:
    several = len(bag.files) > len(bag.runs)
    return [f"{file.parent.name}-{file.stem}" if several else file.parent.name for file in bag.files]


def _only(predictor: Predictor, n: int) -> Predictor:
    part = predictor.reduced(1, 1)
    part.models, part.tasks = [predictor.models[n]], [predictor.tasks[n]]
    part.task = predictor.tasks[n]
    return part


def _compared(found: Array, expected: Array, name: str) -> float:
    """The largest difference, against the size of what is expected where that is above 1."""
    gap = float((np.abs(found - expected) / np.maximum(1.0, np.abs(expected))).max())
    if not gap <= CLOSE:
        raise ModelError(
            f"{name} gives predictions that are up to {gap:.2g} from those of the networks",
            expected=f"{CLOSE:g} at most",
            remedy="--format bundle takes the networks themselves along",
        )
    return gap


def _facts(predictor: Predictor, arguments: tuple[Tensor, ...], names: list[str], kind: Kind) -> dict[str, Any]:
    """What whoever uses the graph has to know."""
    _, h, w, c = arguments[0].shape
    given, task = predictor.recipe.input, predictor.task
    facts: dict[str, Any] = {
        "format": kind,
        "files": [f"{name}{SUFFIX[kind]}" for name in names],
        "images": f"uint8 (N, {h}, {w}, {c}): RGB, pre-processed as [input] says, padded; normalised inside",
        "outputs": list(task.names),
        "output": f"float32 (N, {task.outputs}{', ' + str(h) + ', ' + str(w) if task.dense else ''}), "
        + ("numbers" if task.kind == "values" else "probabilities"),
        "mean": predictor.recipe.predict.mean,
        "input": given.tree(),
    }
    if len(arguments) > 1:
        facts["inputs"] = f"float32 (N, {arguments[1].shape[1]})"
    return facts


def _write_onnx(graph: Graph, arguments: tuple[Tensor, ...], file: Path) -> None:
    names = ["images", "inputs"][: len(arguments)]
    batch = torch.export.Dim("batch")
    with _quietly("ONNX"):
        program = torch.onnx.export(
            graph,
            arguments,
            input_names=names,
            output_names=["predictions"],
            dynamic_shapes=tuple({0: batch} for _ in arguments),
            dynamo=True,
            verbose=False,
            external_data=False,
        )
        assert program is not None
        program.save(str(file), external_data=False)


def _write_program(graph: Graph, arguments: tuple[Tensor, ...], file: Path) -> None:
    batch = torch.export.Dim("batch")
    with _quietly("a program of torch.export"):
        shapes = tuple({0: batch} for _ in arguments)
        program = torch.export.export(graph, arguments, dynamic_shapes=shapes, strict=False)
        torch.export.save(program, file)


@contextlib.contextmanager
def _quietly(what: str) -> Any:
    """Without the exporters' chatter; what they raise is told in a sentence."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    except ImportError as error:
        raise ModelError(
            f"this needs a package that is not here ({error.name})", remedy='pip install "podium[export]"'
        ) from None
    except Exception as error:
        reason = (str(error) or type(error).__name__).strip().splitlines()[0][:200]
        raise ModelError(
            f"this network cannot be written as {what} ({reason})",
            remedy="--format bundle takes the network itself along",
        ) from error


def _read_onnx(file: Path) -> Callable[[tuple[Tensor, ...]], Array]:
    import onnxruntime  # type: ignore[import-untyped]

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]

    def run(arguments: tuple[Tensor, ...]) -> Array:
        return np.asarray(session.run(None, {k: v.numpy() for k, v in zip(names, arguments, strict=True)})[0])

    return run


def _read_program(file: Path) -> Callable[[tuple[Tensor, ...]], Array]:
    program = torch.export.load(file).module()

    def run(arguments: tuple[Tensor, ...]) -> Array:
        with torch.inference_mode():
            return np.asarray(program(*arguments).numpy())

    return run


WRITERS: dict[Kind, Callable[[Graph, tuple[Tensor, ...], Path], None]] = {
    "onnx": _write_onnx,
    "torch": _write_program,
}
READERS: dict[Kind, Callable[[Path], Callable[[tuple[Tensor, ...]], Array]]] = {
    "onnx": _read_onnx,
    "torch": _read_program,
}
