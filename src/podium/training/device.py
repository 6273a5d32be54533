"""The device, the precision, and a model made ready for both."""

from __future__ import annotations

import logging
import warnings
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from podium.cores import usable_cores
from podium.errors import ConfigError
from podium.progress import counted
from podium.training.fabric import DDPStrategy, Fabric, LightningEnvironment

Precision = Literal["bf16-mixed", "16-mixed", "32-true"]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


def create_fabric(precision: str = "auto", devices: int = 1) -> Fabric:
    """GPUs if there are any, else the CPU, and the precision asked for.

    Args:
        devices: More than one only in the processes of `launch`.

    Raises:
        ConfigError: if the device cannot compute in the precision asked for.
    """
    cuda = torch.cuda.is_available()
    if precision == "fp16" and not cuda:
        raise ConfigError(
            "'train.precision' is 'fp16'",
            expected="a GPU for that; on this CPU: auto, bf16 or fp32",
            remedy="train.precision=auto",
        )
    names: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    chosen: Any = names.get(precision) or auto_precision()
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # podium says itself what it computes in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about hardware that one process on one device does not use
        given: dict[str, Any] = {"accelerator": "cuda" if cuda else "cpu", "devices": devices, "precision": chosen}
        if devices == 1:
            return Fabric(**given)
        # running statistics: `Ranks.equal_buffers` before they are used, instead of in every step
        together = DDPStrategy(broadcast_buffers=False, gradient_as_bucket_view=True)
        fabric = Fabric(**given, strategy=together, plugins=[LightningEnvironment()])
        fabric.launch()
        return fabric


def expect_unused(fabric: Fabric) -> None:
    """Several devices then look in each step which parameters got a gradient, instead of waiting for all."""
    strategy: Any = fabric.strategy
    strategy._ddp_kwargs["find_unused_parameters"] = True


def count_devices(asked: int | str) -> int:
    """How many devices `train.devices` means here.

    Raises:
        ConfigError: if there are not so many.
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if asked == "auto":
        return max(1, gpus)
    if gpus and int(asked) > gpus:
        raise ConfigError(
            f"'train.devices' is {asked}, and there {'is 1 GPU' if gpus == 1 else f'are {gpus} GPUs'}",
            expected='"auto", or a number up to that',
            remedy=f"train.devices={gpus}, or train.devices=auto",
        )
    if not gpus and int(asked) > (cores := usable_cores()):
        raise ConfigError(
            f"'train.devices' is {asked}, and there are no GPUs and {counted(cores, 'core')}",
            expected='"auto", or as many processes as cores at most',
            remedy="train.devices=1: on a CPU one process uses all cores",
        )
    return int(asked)


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
    several = f"{fabric.world_size} x " if fabric.world_size > 1 else ""
    if fabric.device.type == "cuda":
        return f"{several}{torch.cuda.get_device_name(fabric.device)}, {precision}"
    return f"{several}cpu ({torch.get_num_threads()} threads), {precision}"


def forked_random() -> AbstractContextManager[None]:
    """Within the block whatever is drawn changes nothing after it; other processes' GPUs are left alone."""
    return torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else [])


def to_device(model: nn.Module, fabric: Fabric) -> nn.Module:
    """The model on the device, weights in channels-last order (what bf16 convolutions are fast in)."""
    return model.to(fabric.device).to(memory_format=torch.channels_last)


class Normalize:
    """Pixels (N, H, W, C) from the host to a normalised (N, C, H, W) channels-last tensor on the device.

    8 and 16 bits are brought to 0..1 first. ImageNet's mean and deviation are of red, green and blue; one channel, and
    the fourth of four, get the mean of the three.
    """

    def __init__(self, how: str, device: torch.device) -> None:
        mean, std = (IMAGENET_MEAN, IMAGENET_STD) if how == "imagenet" else ((0.0,) * 3, (1.0,) * 3)
        self.device = device
        self._tables: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._mean, self._std = mean, std

    def __call__(self, images: Any) -> Tensor:
        """Of an array of the host."""
        return self.of(torch.from_numpy(images).to(self.device, non_blocking=True))

    def of(self, images: Tensor) -> Tensor:
        """Of uint8 or uint16 that are on the device already."""
        scale, shift = self._table(images.shape[3], 65535 if images.dtype == torch.uint16 else 255)
        return torch.addcmul(shift, images.permute(0, 3, 1, 2).float(), scale)

    def black(self, images: Tensor) -> Tensor:
        """What a black pixel is in normalised images (N, C, H, W): (1, C, 1, 1)."""
        return self._table(images.shape[1], 255)[1]

    def _table(self, channels: int, most: int) -> tuple[Tensor, Tensor]:
        if (channels, most) not in self._tables:
            mean, std = (torch.tensor(of_channels(v, channels), device=self.device) for v in (self._mean, self._std))
            shape = (1, channels, 1, 1)
            self._tables[channels, most] = ((1 / (most * std)).view(shape), (-mean / std).view(shape))
        return self._tables[channels, most]


def of_channels(values: tuple[float, ...], channels: int) -> list[float]:
    """A value for each channel, of those for red, green and blue."""
    rest = sum(values) / len(values)
    return [*values, *[rest] * channels][:channels] if channels > 2 else [rest] * channels
