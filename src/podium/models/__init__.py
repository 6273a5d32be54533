"""Networks: one file an architecture, a registry and one factory. Importing this registers the built-in ones."""

from podium.models import ternausnet, unet
from podium.models.base import SegmentationModel
from podium.models.factory import MODELS, count_parameters, create_model, describe, register_model

__all__ = [
    "MODELS",
    "SegmentationModel",
    "count_parameters",
    "create_model",
    "describe",
    "register_model",
    "ternausnet",
    "unet",
]
