"""Frozen features: an encoder that is not trained, its stages pooled over places and crops, and a learner on top.

The encoder needs weights, `model.pretrained` or `model.weights`; random ones make poor features. The learner is fitted
by `podium.training.features` and is part of the state dict, so checkpoints and predictions are as of any network.

Source: Rakhlin et al. 2018 (arXiv 1802.00752), sec. 2.2 and 2.3: pooled features of several layers, 3-norm over crops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.errors import ModelError
from podium.models.factory import register_model
from podium.recipe import ModelConfig

Floats = NDArray[np.float32]


class FrozenFeatures(nn.Module):
    """From images (N, in_channels, H, W), and metadata, to the logits or values of a learner, (N, outputs).

    Args:
        encoder: Images to a list of maps, one a stage; those of the last `stages` are taken.
        config: `stages`, `crop`, `crops`, `power` and `learner` are read.
        outputs: Classes, or targets.
        inputs: Metadata numbers, put beside the features.
    """

    auxiliary_weights: tuple[float, ...] = ()
    encoder_names: tuple[str, ...] = ("encoder",)

    def __init__(self, encoder: Any, config: ModelConfig, outputs: int, inputs: int = 0) -> None:
        super().__init__()
        self.encoder, self.config, self.stride = encoder, config, 32
        counts = [n for n in encoder.out_channels[1:] if n][-config.stages :]
        self.n_features, self.n_inputs = sum(counts), inputs
        kind: Any = LinearLearner if config.learner == "linear" else BoostedTrees
        self.learner = kind(self.n_features + inputs, outputs)

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        """What the learner says, (N, outputs)."""
        return self.predict(self.features(images), inputs)

    def predict(self, features: Tensor, inputs: Tensor | None = None) -> Tensor:
        """What the learner says of features, (N, outputs)."""
        if self.n_inputs:
            if inputs is None:
                raise ModelError(f"this network needs {self.n_inputs} metadata numbers an image beside the images")
            features = torch.cat([features, inputs.float()], dim=1)
        return self.learner(features)

    @torch.no_grad()
    def features(self, images: Tensor) -> Tensor:
        """Features of each image, fp32 (N, n_features): places averaged, crops pooled by the power mean."""
        crops = [self._places(part) for part in self._cut(images)]
        if len(crops) == 1:
            return crops[0]
        return power_mean(torch.stack(crops), self.config.power)

    def _places(self, images: Tensor) -> Tensor:
        maps = [m for m in self.encoder(images)[1:] if m.shape[1]][-self.config.stages :]
        return torch.cat([m.float().mean((2, 3)) for m in maps], dim=1)

    def _cut(self, images: Tensor) -> list[Tensor]:
        side, (height, width) = self.config.crop, images.shape[-2:]
        if side is None or side >= max(height, width):
            return [images]
        h, w = min(side, height), min(side, width)
        tops = (spread(self.config.crops, 2) * (height - h)).round().astype(int).tolist()
        lefts = (spread(self.config.crops, 3) * (width - w)).round().astype(int).tolist()
        places = dict.fromkeys(zip(tops, lefts, strict=True))  # a small image has fewer places than crops
        return [images[..., top : top + h, left : left + w] for top, left in places]

    def train(self, mode: bool = True) -> FrozenFeatures:
        """As of any module; the encoder stays in evaluation mode, for it is not trained."""
        super().train(mode)
        self.encoder.eval()
        return self


def needs_weights() -> ModelError:
    """What to say where the encoder would be a random one."""
    return ModelError(
        "frozen features of a random encoder are worth nothing",
        where="model.arch",
        expected="weights for the encoder",
        remedy="set model.weights=PATH, or model.pretrained=true",
    )


def power_mean(values: Tensor, p: float) -> Tensor:
    """The power mean over the first axis, (mean of x^p)^(1/p), signs kept: x^p is sign(x) |x|^p."""
    mean = (values.sign() * values.abs().pow(p)).mean(0)
    return mean.sign() * mean.abs().pow(1 / p)


def spread(n: int, base: int) -> NDArray[np.float64]:
    """n numbers in [0, 1] that leave no large gap, whatever n: van der Corput's sequence, from 1/base on."""
    numbers, scale, rest = np.zeros(n), 1 / base, np.arange(1, n + 1)
    while rest.any():
        numbers += scale * (rest % base)
        rest, scale = rest // base, scale / base
    return numbers


class LinearLearner(nn.Module):
    """Standardised features times weights: logits of a logistic regression, or values of a ridge regression."""

    mean: Tensor
    sd: Tensor

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("sd", torch.ones(features))
        self.linear = nn.Linear(features, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(N, outputs)."""
        with torch.autocast(features.device.type, enabled=False):
            return self.linear((features.float() - self.mean) / self.sd)


class BoostedTrees(nn.Module):
    """Ensembles of LightGBM: the mean of their raw scores. They are kept as text in the state dict.

    Attributes:
        models: For each seed, the ensembles of the outputs: one for all classes (of each target), or one an output.
    """

    def __init__(self, features: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.models: list[list[Any]] = []

    def forward(self, features: Tensor) -> Tensor:
        """(N, outputs)."""
        if not self.models:
            raise ModelError("these trees have not been fitted", remedy="train the attempt: podium resume")
        table = features.detach().float().cpu().numpy()
        total = np.zeros((len(table), self.outputs))
        for ensembles in self.models:
            raw = [np.asarray(e.predict(table, raw_score=True)).reshape(len(table), -1) for e in ensembles]
            total += np.concatenate(raw, axis=1)
        return torch.from_numpy(total / len(self.models)).to(features.device, torch.float32)

    def get_extra_state(self) -> Tensor:
        """The ensembles as LightGBM's text files: JSON, as bytes in a tensor."""
        texts = [[e.model_to_string() for e in ensembles] for ensembles in self.models]
        return torch.frombuffer(bytearray(orjson.dumps(texts)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        """Take up what `get_extra_state` gave.

        Raises:
            ModelError: if LightGBM is not installed.
        """
        texts = orjson.loads(state.cpu().numpy().tobytes())
        library = lightgbm() if texts else None
        self.models = [[library.Booster(model_str=text) for text in each] for each in texts]  # type: ignore[union-attr]


def lightgbm() -> Any:
    """The library.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        import lightgbm as library
    except ImportError:
        raise ModelError(
            "lightgbm is not installed", where="model.learner", remedy="pip install 'podium[boost]'"
        ) from None
    return library


@register_model(
    "features",
    reads=(
        *("encoder", "pretrained", "learner", "stages", "crop", "crops", "power", "variants", "learner_seeds"),
        "encoder_norm",
    ),
    dense=False,
    summary="frozen features of an encoder, pooled, then a linear model or boosted trees; nothing else is trained",
)
def build_features(config: ModelConfig, in_channels: int, classes: int, inputs: int = 0) -> FrozenFeatures:
    """The frozen features of a recipe, with random weights.

    Raises:
        ModelError: for an unknown encoder.
    """
    from podium.models.smp_models import create_encoder

    model = FrozenFeatures(create_encoder(config, in_channels), config, classes, inputs)
    return model.eval()
