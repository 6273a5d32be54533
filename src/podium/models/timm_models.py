"""Any backbone of timm as classifier or regressor; the library is imported when one is built.

Source: github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from podium.errors import ModelError, nearest
from podium.models.base import pad_sides
from podium.models.classifier import Classifier
from podium.models.factory import register_model
from podium.recipe import ModelConfig

READS = ("encoder", "encoder_norm", "pretrained", "dropout", "pooling", "head", "bins")

ANY_SIZE: tuple[tuple[dict[str, Any], int], ...] = (
    ({"dynamic_img_size": True, "dynamic_img_pad": True}, 16),
    ({"strict_img_size": False}, 32),
    ({}, 1),
)
"""How timm's families are told to take images of any size, and what sides must be a multiple of: plain transformers,
windowed ones; the others take any, or one alone."""


SMALLEST = 75
"""Sides that the inception family needs: it does not pad."""


class TimmMaps(nn.Module):
    """A backbone of timm that gives feature maps (N, C, h, w), whatever order or tokens it computes in.

    Args:
        model: Made without a head.
        stride: Sides are padded to a multiple of this.
    """

    def __init__(self, model: Any, stride: int = 1) -> None:
        super().__init__()
        config = model.pretrained_cfg
        self.stride = stride
        self.fixed = tuple(config["input_size"][1:]) if config.get("fixed_input_size") and stride == 1 else None
        self.least = max((config.get("min_input_size") or (0, 0, SMALLEST if is_inception(config) else 0))[1:])
        self.model = model
        self.tokens = int(getattr(model, "num_prefix_tokens", 0))
        self.channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, h, w) for images of any size: a network of one fixed size gets them resized to it.

        Of tokens (N, C, tokens, 1), without those that stand for no place.
        """
        height, width = images.shape[-2:]
        if self.fixed and (height, width) != self.fixed:
            images = F.interpolate(images, self.fixed, mode="bilinear", antialias=True)
        elif min(height, width) < self.least:
            images = F.interpolate(images, (max(height, self.least), max(width, self.least)), mode="bilinear")
        maps: Tensor = self.model.forward_features(pad_sides(images, self.stride)[0])
        if maps.ndim == 3:
            return maps[:, self.tokens :].transpose(1, 2).unsqueeze(3)
        return maps.permute(0, 3, 1, 2) if self.channels_last else maps


def is_inception(config: Any) -> bool:
    """Whether the backbone is of the family that loses pixels at every border."""
    return any(name in str(config["architecture"]) for name in ("inception", "xception", "nasnet"))


def build_timm(config: ModelConfig, in_channels: int, classes: int, inputs: int = 0) -> Classifier:
    """The classifier of a recipe on a backbone of timm, with random weights.

    Raises:
        ModelError: for a backbone that timm does not know, or timm is not installed.
    """
    backbone = create_backbone(config.encoder or "resnet18", in_channels)
    model: Any = backbone.model
    stride = max((info["reduction"] for info in getattr(model, "feature_info", [])), default=32)
    return Classifier(backbone, int(model.num_features), int(stride), config, classes, inputs)


def create_backbone(name: str, in_channels: int) -> TimmMaps:
    """A backbone of timm without its head, with random weights, for images of any size.

    Raises:
        ModelError: for a name that timm does not know.
    """
    try:
        import timm
    except ImportError:
        raise ModelError("timm is not installed", remedy="pip install 'podium[train]'") from None
    if not timm.is_model(name.partition(".")[0]):
        known = timm.list_models()
        raise ModelError(
            f"unknown encoder '{name}'",
            where="model.encoder",
            expected=f"one of timm's {len(known)} names, for instance resnet18, convnext_tiny, vit_small_patch16_224",
            remedy=found if len(found := nearest(name, known)) < 200 else "list them: podium models --encoders",
        )
    for options, stride in ANY_SIZE:
        try:
            model = timm.create_model(name, pretrained=False, num_classes=0, in_chans=in_channels, **options)
        except TypeError as error:
            if "unexpected keyword" not in str(error):
                raise
        else:
            return TimmMaps(model, stride)
    raise AssertionError("the last way has no options")


register_model(
    "timm",
    reads=READS,
    dense=False,
    summary="any backbone of timm, pooled; metadata beside the image; several heads",
)(build_timm)
