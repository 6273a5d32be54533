"""The decoders of segmentation_models_pytorch with any of its encoders; the library is imported when one is built.

Source: github.com/qubvel-org/segmentation_models.pytorch.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor

from podium.errors import ModelError, nearest
from podium.models.base import SegmentationModel
from podium.models.classifier import Classifier, freeze_norms
from podium.models.factory import register_model
from podium.recipe import ModelConfig

DECODERS = {
    "Unet": "UNet: concatenated skips",
    "UnetPlusPlus": "UNet++: nested, densely connected skips (arXiv 1807.10165)",
    "MAnet": "UNet with position and channel attention (Fan et al. 2020)",
    "Linknet": "LinkNet: added skips (arXiv 1707.03718)",
    "FPN": "feature pyramid (arXiv 1901.02446)",
    "PSPNet": "pyramid pooling at 1/8 of the size (arXiv 1612.01105)",
    "PAN": "pyramid attention (arXiv 1805.10180)",
    "DeepLabV3": "dilated encoder, atrous spatial pyramid (arXiv 1706.05587)",
    "DeepLabV3Plus": "DeepLabV3 with one skip (arXiv 1802.02611)",
    "UPerNet": "pyramid pooling and feature pyramid (arXiv 1807.10221)",
    "Segformer": "all-MLP decoder (arXiv 2105.15203)",
    "DPT": "dense prediction on a vision transformer (arXiv 2103.13413)",
}
"""Names of the library, and what they are."""

DEFAULT_ENCODER = {"DPT": "tu-vit_small_patch16_224"}
DEPTHS = {"PSPNet": 3, "DPT": 4}
"""Where the library's own number of stages is not 5; `model.depth` is not read there."""

STRIDES = {"DPT": 32, "PAN": 128}
"""Where sides must be multiples of more than the encoder's stride: PAN halves its deepest map three times more."""

NORM_OF_ONE = ("PAN", "DeepLabV3", "DeepLabV3Plus", "UPerNet")
"""With a batch norm behind a global pooling: they cannot train on one image a batch."""

WITH_ATTENTION = ("Unet", "UnetPlusPlus")
WITH_DROPOUT = {
    "FPN": "decoder_dropout", "PSPNet": "psp_dropout", "DeepLabV3": "decoder_aspp_dropout",
    "DeepLabV3Plus": "decoder_aspp_dropout",
}  # fmt: skip


class SmpModel(SegmentationModel):
    """A model of the library that takes any image size. Its parts keep their names, so its checkpoints fit.

    Args:
        model: With `encoder`, `decoder` and `segmentation_head`.
        stride: What sides are padded to a multiple of.
        norm_stride: As `SegmentationModel` has it.
        frozen_norms: Keep the statistics of the encoder's batch norms.
    """

    def __init__(
        self, model: Any, stride: int, *, norm_stride: float | None = None, frozen_norms: bool = False
    ) -> None:
        super().__init__(stride=stride)
        self.encoder, self.decoder = model.encoder, model.decoder
        self.segmentation_head = model.segmentation_head
        self.frozen_norms = frozen_norms
        self.norm_stride = norm_stride

    def forward_features(self, images: Tensor) -> Tensor:
        features = self.encoder(images)
        if isinstance(features, tuple):  # a transformer's maps and prefix tokens
            return self.segmentation_head(self.decoder(*features))
        return self.segmentation_head(self.decoder(features))

    def train(self, mode: bool = True) -> SmpModel:
        """As of any module; frozen norms stay as they are."""
        super().train(mode)
        if self.frozen_norms:
            freeze_norms(self.encoder)
        return self


def library() -> Any:
    """The library, with podium's own encoders added to its list.

    Raises:
        ModelError: if it is not installed.
    """
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        raise ModelError("segmentation_models_pytorch is not installed", remedy="pip install 'podium[train]'") from None
    from podium.models.encoders import OWN_ENCODERS

    smp.encoders.encoders.update(OWN_ENCODERS)
    return smp


def encoder_names() -> list[str]:
    """Every encoder that the decoders take, besides the tu- ones: tu- and a name of timm."""
    return sorted(library().encoders.encoders)


def _check_encoder(name: str) -> None:
    import timm

    names = encoder_names()
    if name in names or (name.startswith("tu-") and timm.is_model(name.removeprefix("tu-").partition(".")[0])):
        return
    options = [*names, *(f"tu-{n}" for n in timm.list_models())]
    raise ModelError(
        f"unknown encoder '{name}'",
        where="model.encoder",
        expected=f"one of: {', '.join(names)}; or tu- and a name of timm (tu-convnext_tiny)",
        remedy=close if len(close := nearest(name, options)) < 200 else "list them: podium models --encoders",
    )


def encoder_of(config: ModelConfig) -> str:
    """The encoder of a recipe, as the library calls it."""
    return config.encoder or DEFAULT_ENCODER.get(config.arch.removeprefix("smp."), "resnet34")


def build_smp(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
    """The model of a recipe, with random weights.

    Raises:
        ModelError: for an encoder that is unknown or does not go with this decoder.
    """
    smp, name = library(), config.arch.removeprefix("smp.")
    encoder = encoder_of(config)
    _check_encoder(encoder)
    depth = DEPTHS.get(name, config.depth)
    options: dict[str, Any] = {"encoder_depth": depth}
    if name in ("Unet", "UnetPlusPlus", "MAnet"):
        options["decoder_channels"] = (256, 128, 64, 32, 16)[:depth]
    if name in WITH_ATTENTION and config.attention != "none":
        options["decoder_attention_type"] = config.attention
    if name in WITH_DROPOUT and config.dropout:
        options[WITH_DROPOUT[name]] = config.dropout
    if name == "DPT":
        options["dynamic_img_size"] = True
    try:
        model = getattr(smp, name)(encoder, encoder_weights=None, in_channels=in_channels, classes=classes, **options)
    except (ValueError, TypeError, KeyError, RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ModelError(
            f"{config.arch} cannot be built with the encoder '{encoder}', depth {depth}: {reason}",
            where="model.encoder",
            remedy="choose another encoder, or model.depth",
        ) from None
    stride = STRIDES.get(name, 32 if encoder.startswith("mit_") else 2**depth)
    norm_stride = math.inf if name in NORM_OF_ONE else 2**depth
    built = SmpModel(model, stride, norm_stride=norm_stride, frozen_norms=config.encoder_norm == "frozen")
    if depth < 5:
        _leave_out_unused(built, in_channels)
    return built


def _leave_out_unused(model: SmpModel, in_channels: int) -> None:
    """Parameters that no gradient reaches, of stages deeper than the decoder looks, are not to be trained.

    Found out by a pass without numbers, on the meta device.
    """
    shape = copy.deepcopy(model).to("meta").train()
    side = 2 * shape.stride
    shape(torch.zeros(2, in_channels, side, side, device="meta")).sum().backward()
    unused = {name for name, parameter in shape.named_parameters() if parameter.grad is None}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in unused)


def _reads(name: str) -> tuple[str, ...]:
    keys = ["encoder", "encoder_norm", "pretrained"]
    keys += ["depth"] if name not in DEPTHS else []
    keys += ["attention"] if name in WITH_ATTENTION else []
    return (*keys, *(["dropout"] if name in WITH_DROPOUT else []))


for _name, _summary in DECODERS.items():
    register_model(f"smp.{_name}", reads=_reads(_name), summary=_summary)(build_smp)


def create_encoder(config: ModelConfig, in_channels: int) -> Any:
    """The encoder of a recipe alone, with random weights: images to a list of maps, the images themselves first.

    Raises:
        ModelError: if it is unknown, or its stages do not halve the sides one by one.
    """
    smp, name = library(), encoder_of(config)
    _check_encoder(name)
    try:
        return smp.encoders.get_encoder(name, in_channels=in_channels, weights=None)
    except (ValueError, TypeError, RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0][:200]
        raise ModelError(
            f"'{name}' cannot be an encoder here: {reason}", where="model.encoder", remedy="choose another one"
        ) from None


def build_smp_classifier(config: ModelConfig, in_channels: int, classes: int, inputs: int = 0) -> Classifier:
    """A classifier on an encoder of the segmentation networks, whose weights go from one to the other.

    Raises:
        ModelError: for an unknown encoder.
    """
    encoder = create_encoder(config, in_channels)
    return Classifier(encoder, int(encoder.out_channels[-1]), 32, config, classes, inputs)


register_model(
    "smp.Classifier",
    reads=("encoder", "encoder_norm", "pretrained", "dropout", "pooling", "head", "bins"),
    dense=False,
    summary="a classifier on an encoder of the smp.* networks, so that its weights serve there",
)(build_smp_classifier)
