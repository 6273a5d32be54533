"""Networks: one file an architecture, a registry and one factory. Importing this registers the built-in ones."""

from podium.models import (
    albunet,
    fcn,
    features,
    linknet,
    pspnet,
    resnet_small,
    segnet,
    smp_models,
    ternausnet,
    timm_models,
    unet,
)
from podium.models.base import SegmentationModel
from podium.models.factory import MODELS, count_parameters, create_model, describe, register_model

__all__ = [
    "MODELS",
    "SegmentationModel",
    "albunet",
    "count_parameters",
    "create_model",
    "describe",
    "fcn",
    "features",
    "linknet",
    "pspnet",
    "register_model",
    "resnet_small",
    "segnet",
    "smp_models",
    "ternausnet",
    "timm_models",
    "unet",
]
