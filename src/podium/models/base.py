"""What every segmentation network shares: any image size, logits out, one initialisation."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.errors import ModelError

Logits = Tensor | tuple[Tensor, ...]


class SegmentationModel(nn.Module):
    """A network from images (N, in_channels, H, W) to logits (N, classes, H, W), for any H and W.

    A subclass writes `forward_features`, which may rely on sides that are a multiple of `stride`, plus `offset`. While
    training it may return auxiliary logits of the same size behind the logits, as many as `auxiliary_weights`.

    Args:
        stride: What the sides are padded to a multiple of: the largest reduction inside the network.
        offset: What remains: PSPNet wants sides of 8 k + 1.

    Attributes:
        auxiliary_weights: What each auxiliary output counts in the loss.
        encoder_names: The children that are the encoder: what pre-training is for.
        norm_stride: Reduction at the smallest batch norm; infinite after a global pooling; None without any.
        norm_remedy: What to do, besides larger batches, where that norm is left with a single value.
    """

    auxiliary_weights: tuple[float, ...] = ()
    encoder_names: tuple[str, ...] = ("encoder",)
    norm_stride: float | None = None
    norm_remedy = "choose an architecture without batch norm, ternausnet11 for instance"

    def __init__(self, stride: int, offset: int = 0) -> None:
        super().__init__()
        self.stride, self.offset = stride, offset

    def forward(self, images: Tensor) -> Logits:
        """Logits of the height and width of `images`; while training, auxiliary logits may follow, in a tuple.

        Raises:
            ModelError: while training, if a batch norm would see a single value a channel: one image in the batch.
        """
        height, width = images.shape[-2:]
        padded, top, left = pad_sides(images, self.stride, self.offset)
        if self.training and self.norm_stride and padded.shape[0] == 1:
            self._check_norm(self.norm_stride, padded)
        logits = self.forward_features(padded)
        if padded is images:
            return logits
        if isinstance(logits, tuple):
            return tuple(part[..., top : top + height, left : left + width] for part in logits)
        return logits[..., top : top + height, left : left + width]

    def forward_features(self, images: Tensor) -> Logits:
        """Logits for images whose sides are multiples of `stride`, plus `offset`."""
        raise NotImplementedError

    def encoder_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the encoder: with a learning rate of their own, or frozen, where the recipe says so."""
        return (parameter for name, parameter in self.named_parameters() if self.in_encoder(name))

    def in_encoder(self, name: str) -> bool:
        """Whether a parameter, or buffer, belongs to the encoder."""
        return any(name.startswith(f"{part}.") for part in self.encoder_names)

    def _check_norm(self, stride: float, padded: Tensor) -> None:
        if any(math.ceil(side / stride) > 1 for side in padded.shape[-2:]) and stride < math.inf:
            return
        larger = "" if stride == math.inf else f", or images larger than {stride:.0f}x{stride:.0f}"
        raise ModelError(
            "batch norm cannot train on a single value per channel",
            where="model.arch",
            expected=f"more than one image in a batch{larger}",
            remedy=f"set train.batch_size higher, or {self.norm_remedy}",
        )


def pad_sides(images: Tensor, stride: int, offset: int = 0) -> tuple[Tensor, int, int]:
    """Images whose sides are multiples of ``stride``, plus ``offset``; and how much was added above and to the left.

    The margins are as even as they can be, so that a flipped image meets the same ones. They reflect; a reflection
    needs more pixels than it adds, so tiny images are padded with zeros.
    """
    height, width = images.shape[-2:]
    down, right = (offset - height) % stride, (offset - width) % stride
    if not (down or right):
        return images, 0, 0
    top, left = down // 2, right // 2
    mode = "reflect" if down - top < height and right - left < width else "constant"
    return F.pad(images, (left, right - left, top, down - top), mode), top, left


def first_logits(output: Logits) -> Tensor:
    """The logits of a model's output, whether auxiliary ones follow or not."""
    return output[0] if isinstance(output, tuple) else output


def split_parameters(model: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """The parameters of the encoder, and the others: for a rate of their own, or to freeze them.

    The encoder is what `encoder_parameters` of the model yields, else its child of the name ``encoder``.
    """
    encoder: list[nn.Parameter] = []
    if callable(listed := getattr(model, "encoder_parameters", None)):
        encoder = list(listed())
    elif isinstance(child := getattr(model, "encoder", None), nn.Module):
        encoder = list(child.parameters())
    inside = {id(parameter) for parameter in encoder}
    return encoder, [parameter for parameter in model.parameters() if id(parameter) not in inside]


def scaled(filters: int, width: float) -> int:
    """The number of filters times `width`, rounded, at least 4."""
    return max(4, round(filters * width))


@torch.no_grad()
def initialise(model: nn.Module, *heads: nn.Module) -> None:
    """Kaiming normal weights for ReLU, zero biases; heads (LeCun normal) start at probabilities around 0.5.

    Fan-in counts the inputs that reach one output: a transposed convolution of stride s sees 1 / s² of its kernel.

    Source: He et al. 2015 (arXiv 1502.01852), eq. 10; LeCun et al. 1998, Efficient BackProp, eq. 16 (the heads).
    """
    if any(p.is_meta for p in heads[0].parameters()):  # nothing to fill, and torch would take a second to find out
        return
    for module in model.modules():
        if not isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            continue
        fan_in: float = module.in_channels * math.prod(module.kernel_size)
        if isinstance(module, nn.ConvTranspose2d):
            fan_in /= math.prod(module.stride)
        gain = 1 if any(module is head for head in heads) else 2
        nn.init.normal_(module.weight, std=math.sqrt(gain / fan_in))
        if module.bias is not None:
            nn.init.zeros_(module.bias)
