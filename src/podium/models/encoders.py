"""Encoders of two small ImageNet networks that segmentation_models_pytorch lacks, for its decoders to take.

They are laid out as the published weights need them: squeezenet1_1 without norms, mobilenet_v2_tf with TensorFlow's
padding. Importing this imports segmentation_models_pytorch.
"""

from __future__ import annotations

from typing import Any

import torch
from segmentation_models_pytorch.encoders._base import EncoderMixin
from segmentation_models_pytorch.encoders.mobilenet import MobileNetV2Encoder
from torch import Tensor, nn
from torch.nn import functional as F

FIRES = (
    *((64, 16, 64), (128, 16, 64), (128, 32, 128), (256, 32, 128)),
    *((256, 48, 192), (384, 48, 192), (384, 64, 256), (512, 64, 256)),
)
"""(before, squeezed, each of the two expansions) of the fire modules 2 to 9."""


class Fire(nn.Module):
    """A 1x1 convolution that squeezes, then a 1x1 and a 3x3 one side by side, each with a ReLU."""

    def __init__(self, before: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(before, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 2 * expanded, H, W)."""
        x = F.relu(self.squeeze(x), inplace=True)
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], dim=1), inplace=True)


class SqueezeNet11Encoder(nn.Module, EncoderMixin):
    """SqueezeNet 1.1 without its classifier: 722,496 parameters, stride 16.

    Padded by one where the original is not, so that each stage halves even sides exactly.

    Source: Iandola et al. 2016 (arXiv 1602.07360), v1.1 of github.com/forresti/SqueezeNet.
    """

    def __init__(self, out_channels: list[int], depth: int = 5, output_stride: int = 32, **_: Any) -> None:
        super().__init__()
        self._depth, self._in_channels, self._out_channels = depth, 3, out_channels
        self._output_stride = output_stride
        self.conv1 = nn.Conv2d(3, 64, 3, stride=2, padding=1)
        fires = [Fire(*sizes) for sizes in FIRES]
        self.stages = nn.ModuleList([nn.Sequential(*fires[:2]), nn.Sequential(*fires[2:4]), nn.Sequential(*fires[4:])])
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> list[Tensor]:
        """Maps of stride 1 (the images), 2, 4, 8, 16 and, by a last pooling, 32."""
        maps = [x, F.relu(self.conv1(x), inplace=True)]
        for stage in self.stages:
            maps.append(stage(F.max_pool2d(maps[-1], 3, stride=2, padding=1)))
        maps.append(F.max_pool2d(maps[-1], 3, stride=2, padding=1))
        return maps[: self._depth + 1]

    def get_stages(self) -> dict[int, list[Any]]:
        """Nothing can be dilated: what halves is a pooling, not a convolution."""
        raise ValueError("squeezenet1_1 cannot be dilated")


class SameConv2d(nn.Conv2d):
    """A strided convolution padded as TensorFlow does: ceil(side / stride) outputs, the odd pixel at the end."""

    def forward(self, input: Tensor) -> Tensor:
        """(N, out_channels, ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for axis in (1, 0):
            side, stride = input.shape[2 + axis], self.stride[axis]
            reach = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
            total = max((-(-side // stride) - 1) * stride + reach - side, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(input, pads), self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class MobileNetV2TfEncoder(MobileNetV2Encoder):
    """MobileNetV2 with TensorFlow's padding: what weights trained there expect.

    Source: Sandler et al. 2018 (arXiv 1801.04381); slim's mobilenet_v2.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.stride != (1, 1):
                module.__class__ = SameConv2d


OWN_ENCODERS: dict[str, dict[str, Any]] = {
    "squeezenet1_1": {
        "encoder": SqueezeNet11Encoder,
        "pretrained_settings": {},
        "params": {"out_channels": [3, 64, 128, 256, 512, 512]},
    },
    "mobilenet_v2_tf": {
        "encoder": MobileNetV2TfEncoder,
        "pretrained_settings": {},
        "params": {"out_channels": [3, 16, 24, 32, 96, 1280]},
    },
}
"""What is added to the library's list."""
