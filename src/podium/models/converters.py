"""Weights that come in layouts of their own: folders and .npz files of plain arrays, made into torch tensors.

A layout is recognised by the names of its arrays. What a converter gives is the network's layers in the order they
compute in, so that they fit any implementation of the same network, whatever it calls them.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from podium.errors import ModelError

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Layer:
    """One convolution: weight (out, in / groups, height, width), and bias (out,)."""

    name: str
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Layers:
    """A network's convolutions, norms folded into them, and the images it was trained on.

    Attributes:
        mean, sd: Of its normalisation, of red, green and blue values in [0, 1].
        folded: Whether batch norms were folded in, and so their statistics are lost.
    """

    layers: list[Layer]
    mean: tuple[float, float, float]
    sd: tuple[float, float, float]
    folded: bool


def quantised(arrays: Arrays) -> Layers | None:
    """`NAME.weight_q` uint8 (out, in, h, w), `.scale`, `.zero_point` and `.bias`: what an 8-bit TFLite file holds.

    w = (weight_q - zero_point) * scale, of a tensor or of each output; a depthwise weight is (channels, 1, h, w); norms
    are folded in. Images are (x - 128) / 128, as TensorFlow's quantised networks have them.
    """
    names = sorted(name.removesuffix(".weight_q") for name in arrays if name.endswith(".weight_q"))
    if not names:
        return None
    layers = []
    for name in names:
        weight, zero = arrays[f"{name}.weight_q"].astype(np.float32), arrays[f"{name}.zero_point"]
        shape = (-1, 1, 1, 1)
        real = (weight - zero.astype(np.float32).reshape(shape)) * arrays[f"{name}.scale"].reshape(shape)
        layers.append(Layer(name, _tensor(real), _tensor(arrays[f"{name}.bias"])))
    middle, scale = 128 / 255, 128 / 255
    return Layers(layers, (middle,) * 3, (scale,) * 3, folded=True)


def keras_squeezenet(arrays: Arrays) -> Layers | None:
    """`conv1.weight`, `fire2/squeeze1x1.weight` … (h, w, in, out) and `.bias`: Keras weights of SqueezeNet.

    Images are blue, green, red in 0..255, less (103.939, 116.779, 123.68): Caffe's mean.
    """
    names = [name.removesuffix(".weight") for name in arrays if name.endswith(".weight")]
    if "fire2/squeeze1x1" not in names:
        return None
    layers = [
        Layer(name, _tensor(arrays[f"{name}.weight"].transpose(3, 2, 0, 1)), _tensor(arrays[f"{name}.bias"]))
        for name in sorted(names, key=_depth)
    ]
    first = layers[0]
    layers[0] = Layer(first.name, first.weight.flip(1).contiguous(), first.bias)  # to red, green, blue
    mean = (123.68 / 255, 116.779 / 255, 103.939 / 255)
    return Layers(layers, mean, (1 / 255,) * 3, folded=False)


def _depth(name: str) -> tuple[int, int]:
    """Where a layer of SqueezeNet computes."""
    number = int(re.sub(r"\D", "", name.partition("/")[0]) or 0)
    parts = ("squeeze1x1", "expand1x1", "expand3x3")
    return number, parts.index(part) if (part := name.partition("/")[2]) in parts else 0


CONVERTERS: dict[str, Callable[[Arrays], Layers | None]] = {
    "8-bit, norms folded (TFLite)": quantised,
    "SqueezeNet of Keras": keras_squeezenet,
}
"""Each gives None for a layout that is not its own."""


def read_layers(path: Path) -> Layers | None:
    """The layers of an .npz file, or of the one .npz file in a folder; None if its arrays are a plain state dict.

    Raises:
        ModelError: if there is no such file in the folder or several, or it is damaged.
    """
    arrays = read_arrays(path)
    try:
        return next((found for convert in CONVERTERS.values() if (found := convert(arrays)) is not None), None)
    except (KeyError, ValueError) as error:
        raise ModelError(f"the arrays do not go together ({error})", where=path, remedy="get the file anew") from None


def read_arrays(path: Path) -> Arrays:
    """The arrays of an .npz file, read without executing anything.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"not an .npz file of plain arrays ({str(error)[:200]})", where=path) from None


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
