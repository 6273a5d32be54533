"""An encoder, a pooling and a head: classification and regression, with metadata beside the image."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from podium.errors import ModelError
from podium.models.heads import INPUT_FEATURES, Inputs, Pool, create_head, create_heads
from podium.recipe import ModelConfig


class Classifier(nn.Module):
    """From images (N, in_channels, H, W), and metadata (N, inputs) if there are any, to (N, outputs).

    Args:
        encoder: Images to feature maps (N, channels, h, w), or to a list of which the last are these.
        channels: Of these.
        stride: How much smaller the feature maps are than the images.
        config: `pooling`, `dropout`, `head`, `bins` and `encoder_norm` are read.
        outputs: Classes, or targets.
        inputs: Metadata numbers.
    """

    auxiliary_weights: tuple[float, ...] = ()
    encoder_names: tuple[str, ...] = ("encoder",)

    def __init__(
        self, encoder: nn.Module, channels: int, stride: int, config: ModelConfig, outputs: int, inputs: int = 0
    ) -> None:
        super().__init__()
        self.encoder, self.stride, self.n_inputs = encoder, stride, inputs
        self.frozen_norms = config.encoder_norm == "frozen"
        self.pool = Pool(config.pooling)
        self.inputs = Inputs(inputs) if inputs else None
        self.dropout = nn.Dropout(config.dropout)
        self.config = config
        self.features = channels * self.pool.times + (INPUT_FEATURES if inputs else 0)
        self.head = create_head(config, self.features, outputs)

    def divide(self, parts: Mapping[str, int]) -> None:
        """Take a head for each of several targets, {name: outputs}, where `model.head` asks for more than one layer."""
        if self.config.head != "linear":  # linear ones are one matrix
            self.head = create_heads(self.config, self.features, parts)

    def forward(self, images: Tensor, inputs: Tensor | None = None) -> Tensor:
        """Logits or values, (N, outputs)."""
        maps = self.encoder(images)
        features = self.pool(maps[-1] if isinstance(maps, list) else maps)
        if self.inputs is not None:
            if inputs is None:
                raise ModelError(f"this network needs {self.n_inputs} metadata numbers an image beside the images")
            features = torch.cat([features, self.inputs(inputs.to(features.dtype))], dim=1)
        return self.head(self.dropout(features))

    def train(self, mode: bool = True) -> Classifier:
        """As of any module; frozen norms stay as they are."""
        super().train(mode)
        if self.frozen_norms:
            freeze_norms(self.encoder)
        return self


def freeze_norms(encoder: nn.Module) -> None:
    """Batch norms compute with their running statistics, and leave them; scale and shift go on learning."""
    for module in encoder.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
