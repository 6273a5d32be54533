"""Published weights through the loaders of torchvision, timm and segmentation_models_pytorch, which keep what they get.

The cache is asked first, without a word over the network; then, only if the hub answers, the hub. Without either there
is one error that says which file to bring.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import torch
from torch import Tensor

from podium.errors import ModelError
from podium.recipe import ModelConfig

PATIENCE = 8.0
"""Seconds until a hub that does not answer is given up; a transfer that stands still, four times that."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Published:
    """Where published weights are, and how they are loaded.

    Attributes:
        name: "resnet34 of segmentation_models_pytorch".
        url: The file, to be fetched by hand.
        load: Gives the tensors, from the cache or over the network, and (mean, sd) of the images.
    """

    name: str
    url: str
    load: Callable[[], tuple[dict[str, Tensor], Any]]


def published(config: ModelConfig, imagenet: str) -> Published:
    """The published weights of a recipe's encoder.

    Args:
        imagenet: The network of torchvision whose weights fit, for podium's own architectures.

    Raises:
        ModelError: if nobody has published any.
    """
    if config.arch == "timm":
        return _timm(config.encoder or "resnet18")
    if config.arch.startswith("smp.") or config.arch == "features":
        from podium.models.smp_models import encoder_of

        encoder = encoder_of(config)
        return _timm(encoder.removeprefix("tu-")) if encoder.startswith("tu-") else _smp(encoder)
    if not imagenet:
        raise ModelError(
            f"there are no published weights for '{config.arch}'",
            where="model.pretrained",
            remedy="set model.pretrained=false; or begin with weights of your own: model.weights=PATH",
        )
    return _torchvision(imagenet)


def fetch(wanted: Published) -> tuple[dict[str, Tensor], Any]:
    """The tensors and (mean, sd) of published weights.

    Raises:
        ModelError: if they are not in the cache and the hub cannot be reached: naming the file to bring.
    """
    failures = _failures()
    with contextlib.suppress(*failures), _offline():
        return wanted.load()
    try:
        _reach(wanted.url)
        with _patience():
            return wanted.load()
    except failures as error:
        host = urlsplit(wanted.url).hostname
        raise ModelError(
            f"the published weights of {wanted.name} are not on this machine, and {host} does not give them "
            f"({_reason(error)})",
            where="model.pretrained",
            expected=f"a connection, or the file {wanted.url}",
            remedy="fetch that file where there is a connection, bring it here and set model.weights=PATH "
            "and model.pretrained=false; or begin with random weights: model.pretrained=false",
        ) from None


def _torchvision(name: str) -> Published:
    from torchvision.models import get_model_weights

    weights: Any = get_model_weights(name)
    chosen = weights.IMAGENET1K_V1

    def load() -> tuple[dict[str, Tensor], Any]:
        if _is_offline and not (Path(torch.hub.get_dir()) / "checkpoints" / Path(chosen.url).name).exists():
            raise FileNotFoundError(chosen.url)
        return dict(chosen.get_state_dict(progress=False)), IMAGENET

    return Published(f"{name} of torchvision", chosen.url, load)


def _smp(name: str) -> Published:
    from podium.models.smp_models import library

    smp = library()
    settings = smp.encoders.encoders[name]["pretrained_settings"]
    if not settings:
        raise ModelError(
            f"the encoder '{name}' is on no hub",
            where="model.pretrained",
            remedy="set model.weights to the folder with its weights, and model.pretrained=false",
        )
    which = "imagenet" if "imagenet" in settings else next(iter(settings))
    repo = settings[which]["repo_id"]

    def load() -> tuple[dict[str, Tensor], Any]:
        encoder = smp.encoders.get_encoder(name, weights=which)
        facts = smp.encoders.get_preprocessing_params(name, which)
        scale = 255 if max(facts["input_range"]) > 1 else 1
        order = slice(None, None, -1 if facts["input_space"] == "BGR" else 1)
        state = dict(encoder.state_dict())
        if facts["input_space"] == "BGR":
            first = next(key for key, tensor in state.items() if tensor.ndim == 4)
            state[first] = state[first].flip(1)
        mean, sd = ([v / scale for v in facts[key][order]] for key in ("mean", "std"))
        return state, (tuple(mean), tuple(sd))

    return Published(f"{name} of segmentation_models_pytorch", _hugging_face(repo), load)


def _timm(name: str) -> Published:
    import timm

    known = timm.models.get_pretrained_cfg(name, allow_unregistered=False)
    if known is None or not (known.hf_hub_id or known.url):
        tags = timm.list_pretrained(f"{name.partition('.')[0]}*")
        raise ModelError(
            f"timm has no weights for '{name}'",
            where="model.pretrained",
            expected=f"one of: {', '.join(tags)}" if tags else "",
            remedy="choose another model.encoder, or model.pretrained=false",
        )
    repo = known.hf_hub_id or ""
    repo = f"{repo}{known.architecture}.{known.tag}" if repo.endswith("/") else repo

    def load() -> tuple[dict[str, Tensor], Any]:
        model = timm.create_model(name, pretrained=True, num_classes=0)
        return dict(model.state_dict()), (tuple(known.mean), tuple(known.std))

    return Published(f"{name} of timm", _hugging_face(repo) if repo else str(known.url), load)


def _hugging_face(repo: str) -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/{repo}/resolve/main/model.safetensors"


def _reach(url: str) -> None:
    """Ask the host of a file for a sign of life; whatever it answers is one.

    Raises:
        OSError: if there is no answer within `PATIENCE` seconds.
    """
    place = urlsplit(url)
    request = urllib.request.Request(f"{place.scheme}://{place.netloc}/", method="HEAD")
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=PATIENCE).close()


_is_offline = False


@contextlib.contextmanager
def _offline() -> Iterator[None]:
    """Within the block the loaders look into their caches alone."""
    global _is_offline
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    _is_offline = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE, _is_offline = before, False


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Within the block a connection that stands still is an error, not a wait without end."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(4 * PATIENCE)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _failures() -> tuple[type[Exception], ...]:
    """What loaders raise where something is missing: huggingface_hub changed its HTTP library more than once."""
    modules = (sys.modules.get(name) for name in ("httpx", "httpx2", "requests"))
    return (OSError, ValueError, RuntimeError, *(m.HTTPError for m in modules if m is not None))


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", None) or error
    return (str(cause) or type(cause).__name__).splitlines()[0][:160]
