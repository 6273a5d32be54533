"""What a network costs: parameters, multiplications, memory. Counted on shapes alone, in a fraction of a second."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from podium.errors import PodiumError
from podium.models.factory import MODELS, ModelSpec, count_parameters, create_model
from podium.recipe import ModelConfig

BYTES_PER_PARAMETER = 16
"""Weight, gradient and the two averages of Adam, each fp32."""


@dataclass(frozen=True)
class Footprint:
    """Of one network at one size of image.

    Attributes:
        parameters: Trainable numbers.
        gflops: Of a forward pass of one image, in 1e9 floating-point operations: a multiplication and an addition count
            two, and only convolutions and matrix products are counted.
        weights_mb: `BYTES_PER_PARAMETER` a parameter while training, in 1e6 bytes.
        image_mb: What autograd keeps of one image for the backward pass, fp32, in 1e6 bytes; about half in bf16.
    """

    parameters: int
    gflops: float
    weights_mb: float
    image_mb: float

    @property
    def training_mb(self) -> float:
        """Training on a batch of one; workspaces of the kernels and the loss come on top."""
        return self.weights_mb + self.image_mb


def footprint(model: nn.Module, in_channels: int, size: Sequence[int], inputs: int = 0) -> Footprint:
    """What a model costs at [height, width].

    Args:
        model: On the meta device.
        inputs: Numbers of metadata beside an image.
    """
    batch = 2  # batch norm refuses to train on one value a channel
    images = torch.empty(batch, in_channels, *size, device="meta")
    metadata = (torch.empty(batch, inputs, device="meta"),) if inputs else ()
    own = {t.untyped_storage()._cdata for t in (*model.parameters(), *model.buffers(), images)}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in own:
            kept[storage] = tensor
        return tensor

    model.train()
    with _Counter() as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        model(images, *metadata)
    parameters = count_parameters(model)
    return Footprint(
        parameters,
        counter.flops / batch / 1e9,
        parameters * BYTES_PER_PARAMETER / 1e6,
        sum(t.untyped_storage().nbytes() for t in kept.values()) / batch / 1e6,
    )


class _Counter(TorchDispatchMode):
    """Adds up what torch's own registry says that operations cost.

    The two that are slowest on the meta device, at a millisecond each, are replaced by the shapes that they give.
    """

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.ops.aten.native_batch_norm.default:
            channels = args[0].shape[1]
            return torch.empty_like(args[0]), args[0].new_empty(channels), args[0].new_empty(channels)
        if func is torch.ops.aten.upsample_bilinear2d.default:
            return args[0].new_empty(*args[0].shape[:2], *args[1])
        out = func(*args, **(kwargs or {}))
        if cost := flop_registry.get(func._overloadpacket):
            self.flops += cost(*args, **(kwargs or {}), out_val=out)
        return out


def survey(
    size: Sequence[int],
    in_channels: int = 3,
    classes: int = 1,
    *,
    dense: bool | None = None,
    inputs: int = 0,
    contains: str = "",
) -> list[dict[str, Any]]:
    """One row per architecture, at its default settings: name, task, costs, stride, keys it reads, summary.

    Args:
        size: [height, width] of the images.
        dense: Only those with logits for every pixel, or only classifiers and regressors.
        inputs: Numbers of metadata beside an image, for classifiers and regressors.
        contains: Only names with this in them.
    """
    chosen = [spec for spec in MODELS.values() if dense in (None, spec.dense) and contains in spec.name]
    return [_row(spec, size, in_channels, classes, 0 if spec.dense else inputs) for spec in chosen]


def _row(spec: ModelSpec, size: Sequence[int], in_channels: int, classes: int, inputs: int) -> dict[str, Any]:
    row: dict[str, Any] = {
        "name": spec.name,
        "task": "masks" if spec.dense else "classes, numbers",
        "pretrained": spec.imagenet or ("any encoder's" if "pretrained" in spec.reads else None),
        "reads": list(spec.reads),
        "summary": spec.summary,
    }
    config = ModelConfig(arch=spec.name)
    try:
        with torch.device("meta"):  # shapes only: no memory, no random numbers used up
            model = create_model(config, in_channels, classes, dense=spec.dense, inputs=inputs, load=False)
        costs = footprint(model, in_channels, size, inputs)
    except (PodiumError, RuntimeError) as error:  # a library is missing, or it needs data: the rest is of use
        reason = error.found if isinstance(error, PodiumError) else str(error).partition("\n")[0]
        return {**row, "summary": f"{spec.summary} (costs unknown: {reason})"}
    return {**row, **asdict(costs), "training_mb": costs.training_mb, "stride": getattr(model, "stride", 1)}
