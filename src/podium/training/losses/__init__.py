"""Losses: weighted sums of terms over three kinds of target, in fp32 whatever autocast says.

planes (sigmoid: masks that may overlap, several labels), labels (softmax: class ids), values (regression); any number
of trailing dimensions. All stay finite for empty masks and extreme logits.
"""

from podium.training.losses import entropy, lovasz, overlap, values  # noqa: F401 - importing them registers their losses
from podium.training.losses.case import IGNORED, KINDS, Case, Kind, make_case
from podium.training.losses.registry import LOSSES, LossSpec, fitting, register_loss
from podium.training.losses.total import Loss, Term, create_loss

__all__ = [
    "IGNORED",
    "KINDS",
    "LOSSES",
    "Case",
    "Kind",
    "Loss",
    "LossSpec",
    "Term",
    "create_loss",
    "fitting",
    "make_case",
    "register_loss",
]
