"""The device, the precision, and a model made ready for both."""

from __future__ import annotations

import logging
import warnings
from typing import Any, Literal

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from podium.errors import ConfigError

Precision = Literal["bf16-mixed", "16-mixed", "32-true"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def create_fabric(precision: str = "auto") -> Fabric:
    """One device (GPU if there is one, else CPU) and the precision asked for.

    Raises:
        ConfigError: if the device cannot compute in the precision asked for.
    """
    cuda = torch.cuda.is_available()
    if precision == "fp16" and not cuda:
        raise ConfigError("'train.precision' is 'fp16'", expected="a GPU for that; on this CPU: auto, bf16 or fp32")
    names: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    chosen: Any = names.get(precision) or auto_precision()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # podium says itself what it computes in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about hardware that one process on one device does not use
        return Fabric(accelerator="cuda" if cuda else "cpu", devices=1, precision=chosen)


def auto_precision() -> Precision:
    """bf16 where the hardware multiplies it faster than fp32, fp16 on older GPUs, else fp32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.get_device_capability()[0] >= 8 else "16-mixed"
    return "bf16-mixed" if cpu_has_bf16() else "32-true"


def cpu_has_bf16() -> bool:
    """Whether this CPU has bf16 matrix instructions (AMX or AVX-512 BF16)."""
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    return any(bool(getattr(torch.cpu, name, bool)()) for name in names)


def device_name(fabric: Fabric) -> str:
    """For instance 'cpu (2 threads), bf16'."""
    precision = str(fabric._precision.precision).removesuffix("-mixed").replace("-true", "")
    precision = {"32": "fp32", "16": "fp16"}.get(precision, precision)
    if fabric.device.type == "cuda":
        return f"{torch.cuda.get_device_name(fabric.device)}, {precision}"
    return f"cpu ({torch.get_num_threads()} threads), {precision}"


def to_device(model: nn.Module, fabric: Fabric) -> nn.Module:
    """The model on the device, weights in channels-last order (what bf16 convolutions are fast in)."""
    return model.to(fabric.device).to(memory_format=torch.channels_last)


class Normalize:
    """uint8 (N, H, W, 3) from the host to a normalised (N, 3, H, W) channels-last tensor on the device."""

    def __init__(self, how: str, device: torch.device) -> None:
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if how == "imagenet" else ((0.0,) * 3, (1.0,) * 3)
        self.scale = (1 / (255 * torch.tensor(std, device=device))).view(1, 3, 1, 1)
        self.shift = (-torch.tensor(mean, device=device) / torch.tensor(std, device=device)).view(1, 3, 1, 1)
        self.device = device

    def __call__(self, images: Any) -> Tensor:
        x = torch.from_numpy(images).to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        return torch.addcmul(self.shift, x.float(), self.scale)
