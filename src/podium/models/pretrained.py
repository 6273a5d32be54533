"""What a network begins with: published weights, a file or folder, or what an earlier attempt has learnt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from podium.config import read_toml
from podium.errors import ModelError
from podium.models.converters import Layer, Layers, read_arrays, read_layers
from podium.models.factory import MODELS
from podium.models.features import needs_weights
from podium.models.hub import IMAGENET, fetch, published
from podium.models.matching import adapt_channels
from podium.models.origin import resolved
from podium.models.weights import Loaded, State, find_weights, load_state, read_state
from podium.progress import say
from podium.recipe import ModelConfig

Normal = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of each channel, of values in [0, 1]."""

NORMALS: dict[str, Normal] = {"imagenet": IMAGENET, "unit": ((0.0,) * 3, (1.0,) * 3)}
"""What each `input.normalize` means; between other ones weights are not adapted."""


@dataclass(frozen=True)
class Source:
    """Weights as they came, with the normalisation of the images that they know."""

    name: str
    content: State | Layers
    normal: Normal | None


def begin_with(model: nn.Module, config: ModelConfig, imagenet: str = "", *, normalize: str = "imagenet") -> None:
    """Fill a fresh model with the weights that `[model]` asks for, and say what was loaded and what was not.

    Weights that know images of another normalisation are adapted in the first convolution, so that the network sees
    what it saw. A model on the meta device is left alone.

    Args:
        config: `arch`, `encoder`, `encoder_norm`, `pretrained`, `weights` and `weights_map` are read.
        imagenet: The network of torchvision whose weights fit the encoder of this architecture.
        normalize: `input.normalize` of the recipe.

    Raises:
        ModelError: if weights are missing, damaged or fit nowhere; or both kinds are asked for.
    """
    _check_one_beginning(config)
    if not (config.pretrained or config.weights):
        return
    if any(parameter.is_meta for parameter in model.parameters()):
        return
    if config.weights:
        source = read_source(find_file(resolved(config.weights, Path.cwd(), 0)))
    else:
        wanted = published(config, imagenet)
        source = Source(wanted.name, *fetch(wanted))
    for line in adopt(model, source, config, NORMALS.get(normalize)).told(source.name):
        say(line)


def check_weights(
    config: ModelConfig, root: Path, model: nn.Module | None = None, *, normalize: str = "imagenet", folds: int = 1
) -> None:
    """Whether the weights that a recipe begins with are there, whole, and fit; published ones are fetched if need be.

    Args:
        root: The workspace's folder.
        model: The recipe's network, on the meta device, for weights of one's own to be tried in; None: they are not.
        normalize: `input.normalize` of the recipe.
        folds: Whose weights are looked at, from 0: where these are an attempt's, each fold has its own.

    Raises:
        ModelError: if a file or an attempt is missing, damaged or does not fit, a hub cannot be reached, or frozen
            features have no weights.
    """
    _check_one_beginning(config)
    if config.weights:
        files = dict.fromkeys(find_file(resolved(config.weights, root, fold)) for fold in range(folds))
        if model is not None:
            for file in files:
                adopt(model, read_source(file), config, NORMALS.get(normalize))
    elif config.pretrained:
        fetch(published(config, MODELS[config.arch].imagenet if config.arch in MODELS else ""))
    elif config.arch == "features":
        raise needs_weights()


def _check_one_beginning(config: ModelConfig) -> None:
    if config.pretrained and config.weights:
        raise ModelError(
            "published weights and others cannot both be the beginning",
            where="model.weights",
            remedy="set model.pretrained=false, or model.weights=none",
        )


def adopt(model: nn.Module, source: Source, config: ModelConfig, normal: Normal | None) -> Loaded:
    """Load what fits of a source into a model that will see images of another normalisation.

    Raises:
        ModelError: if nothing fits, or norms that are trained would undo folded weights.
    """
    if isinstance(source.content, Layers):
        _check_folded(source, config)
        layers = source.content.layers
        if normal:
            layers = [_renormalised_layer(layers[0], source.normal, normal), *layers[1:]]
        return load_layers(model, layers, source.name)
    state = dict(source.content)
    if source.normal and normal:
        renormalise(state, source.normal, normal)
    return load_state(model, state, config.weights_map, source=source.name)


def read_source(path: Path) -> Source:
    """The weights in a file; those of a fold run with the normalisation of its recipe.

    Raises:
        ModelError: if the file cannot be read.
    """
    if path.suffix == ".npz":
        layers = read_layers(path)
        if layers is not None:
            return Source(str(path), layers, (layers.mean, layers.sd))
        arrays = read_arrays(path)
        return Source(str(path), {k: torch.from_numpy(v) for k, v in arrays.items() if v.dtype.kind == "f"}, None)
    recipe = path.parent.parent / "recipe.toml"
    normal: Normal | None = IMAGENET
    if recipe.is_file():
        normal = NORMALS.get(str(read_toml(recipe).get("input", {}).get("normalize", "imagenet")))
    return Source(str(path), read_state(path), normal)


def find_file(path: str) -> Path:
    """The file of weights at a path: itself, or the one in a folder; a folder with an .npz file has that.

    Raises:
        ModelError: if there is none, or there are several.
    """
    folder = Path(path).expanduser()
    arrays = sorted(folder.glob("*.npz"))
    return arrays[0] if len(arrays) == 1 else find_weights(path)


# ---------------------------------------------------------------------- normalisation


def renormalise(state: dict[str, Tensor], source: Normal, target: Normal) -> None:
    """Change the first convolution of a state, in place, for images of another normalisation.

    What the network knew as (x - m) / s comes as (x - m') / s': w' = w s' / s, and what remains, the sum of
    w (m' - m) / s, goes into the bias, or off the mean of the norm that follows. Exact but for zeros of the padding.
    """
    if source == target:
        return
    names = [name for name, t in state.items() if t.ndim == 4]
    if not names or state[names[0]].shape[1] != 3:
        return
    first, others = names[0], list(state)
    weight, shift = _renormalised(state[first], source, target)
    bias = f"{first.removesuffix('weight')}bias"
    after = others[others.index(first) + 1 :]
    mean = next((n for n in after if n.endswith("running_mean")), None)
    if bias in state:
        state[bias] = state[bias] + shift
    elif mean is not None and state[mean].shape == shift.shape:
        state[mean] = state[mean] - shift
    state[first] = weight


def _renormalised(weight: Tensor, source: Normal, target: Normal) -> tuple[Tensor, Tensor]:
    (m, s), (m_new, s_new) = (torch.tensor(source), torch.tensor(target))
    shift = (weight * ((m_new - m) / s).view(1, 3, 1, 1)).sum((1, 2, 3))
    return weight * (s_new / s).view(1, 3, 1, 1), shift


def _renormalised_layer(layer: Layer, source: Normal | None, target: Normal) -> Layer:
    if source is None or layer.weight.shape[1] != 3:
        return layer
    weight, shift = _renormalised(layer.weight, source, target)
    return Layer(layer.name, weight, layer.bias + shift)


# ---------------------------------------------------------------------- layers in order


def load_layers(model: nn.Module, layers: list[Layer], source: str) -> Loaded:
    """Fill the convolutions of a model's encoder in order; a norm behind one becomes its bias.

    Layers that are left over at the end, a classifier for instance, are not used.

    Raises:
        ModelError: at the first convolution of another shape.
    """
    names = dict(model.named_modules())
    inside = getattr(model, "in_encoder", lambda name: name.startswith("encoder."))
    convs = [name for name, m in names.items() if isinstance(m, nn.Conv2d) and inside(f"{name}.weight")]
    result = Loaded("in order")
    for n, name in enumerate(convs):
        conv: Any = names[name]
        given = layers[n] if n < len(layers) else None
        weight = given.weight if given else torch.empty(0)
        if n == 0 and given and weight.shape[1] != conv.weight.shape[1]:
            weight, result.changed[f"{name}.weight"] = adapt_channels(weight, conv.weight.shape[1])
        if given is None or weight.shape != conv.weight.shape:
            raise ModelError(
                f"{name} is {tuple(conv.weight.shape)}, and {given.name if given else 'nothing'} in the file"
                f"{f' {tuple(weight.shape)}' if given else ''}",
                where=source,
                expected="weights of the network that model.encoder names, its convolutions in the same order",
                remedy="choose the encoder that they are of: squeezenet1_1, mobilenet_v2_tf, mobilenet_v2, …",
            )
        _fill(conv, _norm_behind(names, name), weight, given.bias, source)
        result.loaded.append(f"{name}.weight")
    result.unexpected = [layer.name for layer in layers[len(convs) :]]
    filled = {name.removesuffix(".weight") for name in result.loaded}
    others = [n for n, m in names.items() if isinstance(m, nn.Conv2d | nn.Linear) and n not in filled]
    result.missing = [f"{name}.weight" for name in others]
    return result


@torch.no_grad()
def _fill(conv: nn.Conv2d, norm: _BatchNorm | None, weight: Tensor, bias: Tensor, source: str) -> None:
    conv.weight.copy_(weight)
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        norm.weight.fill_(1)
        norm.bias.copy_(bias)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
    elif conv.bias is not None:
        conv.bias.copy_(bias)
    elif bool(bias.any()):
        raise ModelError("a convolution here has neither a bias nor a norm behind it", where=source)


def _norm_behind(names: Mapping[str, nn.Module], conv: str) -> _BatchNorm | None:
    """The batch norm that comes next, if it is of as many channels."""
    order = list(names)
    behind = (names[name] for name in order[order.index(conv) + 1 :])
    module: Any = next((m for m in behind if isinstance(m, nn.Conv2d | _BatchNorm)), None)
    before: Any = names[conv]
    return module if isinstance(module, _BatchNorm) and module.num_features == before.out_channels else None


def _check_folded(source: Source, config: ModelConfig) -> None:
    assert isinstance(source.content, Layers)
    if source.content.folded and config.encoder_norm != "frozen":
        raise ModelError(
            "the batch norms of these weights are folded into them, their statistics are lost: "
            "a norm in training would undo what was learnt",
            where=source.name,
            remedy="keep the norms as they are: model.encoder_norm=frozen",
        )
