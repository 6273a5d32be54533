"""[model]: the network."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from podium.config import Config

Head = Literal["linear", "ordinal", "distribution", "cumulative"]


class ModelConfig(Config):
    """The network."""

    arch: str = Field("unet", description="architecture; the registries page lists them")
    width: float = Field(1.0, gt=0, le=8, description="multiplies the number of filters of every layer")
    depth: int = Field(5, ge=2, le=7, description="levels; each halves the sides (unet)")
    supervised: int = Field(
        0,
        ge=0,
        le=5,
        description="levels of the decoder that predict too while training (unet, unet_small); see loss.auxiliary",
    )
    norm: Literal["batch", "group", "none"] = Field("batch", description="normalisation after each convolution (unet)")
    upsample: Literal["nearest", "bilinear", "deconv", "deconv3", "deconv4"] | None = Field(
        None,
        description="how the decoder doubles sides; unset = nearest (unet), else as published; "
        "deconv3, deconv4: transposed convolutions of that side (ternausnet, linknet34, albunet34)",
    )
    encoder: str | None = Field(
        None,
        description="encoder of smp.* and timm: a name of segmentation_models_pytorch or timm; unset = resnet34 "
        "(timm: resnet18, smp.DPT: tu-vit_small_patch16_224)",
    )
    encoder_norm: Literal["own", "frozen"] = Field(
        "own", description="frozen: the encoder's batch norms keep their statistics (smp.*, timm)"
    )
    attention: Literal["none", "scse"] = Field("none", description="in the decoder (smp.Unet, smp.UnetPlusPlus)")
    pretrained: bool = Field(False, description="begin with the encoder's published weights (of a hub, or its cache)")
    weights: str | None = Field(
        None,
        description="begin with these weights: a file, a folder, or an attempt: attempt:0007, attempt:../salt/0007",
    )
    weights_map: dict[str, str] = Field(
        {}, description='how names in that file begin, and how they begin here: {"backbone." = "encoder."}'
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="share of the features dropped before the head")
    pooling: Literal["avg", "max", "gem", "concat"] = Field(
        "avg", description="of a classifier's features; concat: average and maximum side by side"
    )
    head: Head | dict[str, Head] = Field(
        "linear",
        description="of a classifier; ordinal: ordered classes; a regression's value as the mean of a "
        "distribution over bins, or cumulative: of the thresholds it exceeds; of several targets one for all, or "
        '{ stage = "ordinal" } for some',
    )
    bins: int = Field(32, ge=2, le=1024, description="of the heads distribution and cumulative")
    learner: Literal["linear", "lightgbm"] = Field(
        "linear", description="what learns from frozen features: ridge or logistic regression, or boosted trees"
    )
    stages: int = Field(3, ge=1, le=5, description="the deepest stages of the encoder whose features are taken")
    crop: int | None = Field(None, ge=8, description="side of the crops that features are taken of; unset = whole")
    crops: int = Field(20, ge=1, le=1000, description="crops of an image, where `crop` is set")
    power: float = Field(3.0, ge=1, le=16, description="features of crops are pooled by this norm; 1 = mean")
    variants: int = Field(1, ge=1, le=1000, description="versions of an image to learn from: as it is, then augmented")
    learner_seeds: int = Field(5, ge=1, le=100, description="boosted ensembles whose mean predicts")
