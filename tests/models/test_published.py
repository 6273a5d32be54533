"""Parameter tensors of podium's architectures, in order, against shapes typed from the published code.

A line of `TABLES` is a layer: "64 3 7" is a convolution of 64 filters over 3 channels, 7x7, without bias; "b" behind it
adds the bias; "n64" is a batch norm; "t" before it marks a transposed convolution (in, out, side). "x3" repeats a
group. Sources are named at each table.
"""

from __future__ import annotations

import re

import pytest
import torch

from podium.models import create_model
from podium.recipe import ModelConfig

Shapes = list[tuple[int, ...]]

VGG11 = "64 3 3b, 128 64 3b, 256 128 3b, 256 256 3b, 512 256 3b, 512 512 3b, 512 512 3b, 512 512 3b"
VGG16 = (
    "64 3 3b, 64 64 3b, 128 64 3b, 128 128 3b, 256 128 3b, 256 256 3b, 256 256 3b, "
    "512 256 3b, 512 512 3b, 512 512 3b, 512 512 3b, 512 512 3b, 512 512 3b"
)
BLOCK64 = "64 64 3, n64, 64 64 3, n64"
BLOCK128 = "128 128 3, n128, 128 128 3, n128"
BLOCK256 = "256 256 3, n256, 256 256 3, n256"
BLOCK512 = "512 512 3, n512, 512 512 3, n512"
RESNET34 = ", ".join(
    [
        *("64 3 7, n64", BLOCK64, BLOCK64, BLOCK64),
        *("128 64 3, n128, 128 128 3, n128, 128 64 1, n128", BLOCK128, BLOCK128, BLOCK128),
        *("256 128 3, n256, 256 256 3, n256, 256 128 1, n256", *[BLOCK256] * 5),
        *("512 256 3, n512, 512 512 3, n512, 512 256 1, n512", BLOCK512, BLOCK512),
    ]
)
"""github.com/pytorch/vision, models/vgg.py (features) and models/resnet.py (without fc)."""


def bottlenecks(before: int, filters: int, blocks: int) -> str:
    f, e = filters, 4 * filters
    first = f"{f} {before} 1, n{f}, {f} {f} 3, n{f}, {e} {f} 1, n{e}, {e} {before} 1, n{e}"
    return ", ".join([first, *[f"{f} {e} 1, n{f}, {f} {f} 3, n{f}, {e} {f} 1, n{e}"] * (blocks - 1)])


def psp(blocks: tuple[int, int, int, int]) -> str:
    """github.com/hszhao/semseg, model/pspnet.py and model/resnet.py (deep_base)."""
    stages = [bottlenecks(*s) for s in zip((128, 256, 512, 1024), (64, 128, 256, 512), blocks, strict=True)]
    stem = "64 3 3, n64, 64 64 3, n64, 128 64 3, n128"
    ppm = ", ".join(["512 2048 1, n512"] * 4)
    return ", ".join([stem, *stages, ppm, "512 4096 3, n512, 1 512 1b", "256 1024 3, n256, 1 256 1b"])


def fcn(scores: str) -> str:
    """github.com/wkentaro/pytorch-fcn, torchfcn/models."""
    return f"{VGG16}, 4096 512 7b, 4096 4096 1b, 1 4096 1b, {scores}"


def segnet() -> str:
    """github.com/alexgkendall/SegNet-Tutorial, Models/segnet_train.prototxt, for one class."""
    up = [
        *("512 512", "512 512", "512 512", "512 512", "512 512", "256 512", "256 256", "256 256", "128 256"),
        *("128 128", "64 128", "64 64"),
    ]
    convs = [*VGG16.split(", "), *(f"{c} 3b" for c in up)]
    return ", ".join(f"{conv}, n{conv.split()[0]}" for conv in convs) + ", 1 64 3b"


def milesial() -> str:
    """github.com/milesial/Pytorch-UNet, unet/unet_model.py, bilinear=False, one class."""
    sides = [(64, 3), (128, 64), (256, 128), (512, 256), (1024, 512)]
    down = [f"{f} {c} 3, n{f}, {f} {f} 3, n{f}" for f, c in sides]
    up = [f"t{2 * f} {f} 2b, {f} {2 * f} 3, n{f}, {f} {f} 3, n{f}" for f in (512, 256, 128, 64)]
    return ", ".join([*down, *up, "1 64 1b"])


TERNAUSNET16 = {
    # github.com/ternaus/robot-surgery-segmentation, models.py, UNet16
    "deconv": "512 512 3b, t512 256 4b, 512 768 3b, t512 256 4b, 512 768 3b, t512 256 4b, 256 512 3b, t256 64 4b, "
    "128 192 3b, t128 32 4b, 32 96 3b, 1 32 1b",
    # github.com/ternaus/TernausNet, ternausnet/models.py, UNet16, is_deconv=False
    "bilinear": "512 512 3b, 256 512 3b, 512 768 3b, 256 512 3b, 512 768 3b, 256 512 3b, 256 512 3b, 64 256 3b, "
    "128 192 3b, 32 128 3b, 32 96 3b, 1 32 1b",
}
TERNAUSNET11 = (
    "512 512 3b, t512 256 {k}b, 512 768 3b, t512 256 {k}b, 512 768 3b, t512 128 {k}b, 256 384 3b, t256 64 {k}b, "
    "128 192 3b, t128 32 {k}b, 32 96 3b, 1 32 1b"
)
LINKNET34 = ", ".join(
    [
        *(f"{c // 4} {c} 1b, n{c // 4}, t{c // 4} {c // 4} {{k}}b, n{c // 4}, {f} {c // 4} 1b, n{f}"
          for c, f in ((512, 256), (256, 128), (128, 64), (64, 64))),
        "t64 32 3b, 32 32 3b, 1 32 2b",
    ]
)  # fmt: skip
ALBUNET34 = {
    # github.com/ternaus/angiodysplasia-segmentation, models.py, AlbuNet, is_deconv=False and True
    "bilinear": "512 512 3b, 256 512 3b, 512 768 3b, 256 512 3b, 512 512 3b, 256 512 3b, 256 384 3b, 64 256 3b, "
    "128 128 3b, 128 128 3b, 128 128 3b, 32 128 3b, 32 32 3b, 1 32 1b",
    "deconv": "512 512 3b, t512 256 4b, 512 768 3b, t512 256 4b, 512 512 3b, t512 256 4b, 256 384 3b, t256 64 4b, "
    "128 128 3b, t128 128 4b, 128 128 3b, t128 32 4b, 32 32 3b, 1 32 1b",
}

TABLES: dict[str, tuple[dict[str, object], str, int]] = {
    "ternausnet11": ({}, f"{VGG11}, {TERNAUSNET11.format(k=3)}", 22_927_393),
    "ternausnet11, surgery": ({"upsample": "deconv4"}, f"{VGG11}, {TERNAUSNET11.format(k=4)}", 25_364_513),
    "ternausnet16": ({}, f"{VGG16}, {TERNAUSNET16['deconv']}", 32_202_337),
    "ternausnet16, bilinear": ({"upsample": "bilinear"}, f"{VGG16}, {TERNAUSNET16['bilinear']}", 29_306_465),
    "linknet34": ({}, f"{RESNET34}, {LINKNET34.format(k=4)}", 21_794_721),
    "linknet34, carvana": ({"upsample": "deconv3"}, f"{RESNET34}, {LINKNET34.format(k=3)}", 21_642_401),
    "albunet34": ({}, f"{RESNET34}, {ALBUNET34['bilinear']}", 34_604_897),
    "albunet34, deconv": ({"upsample": "deconv"}, f"{RESNET34}, {ALBUNET34['deconv']}", 37_615_457),
    "segnet": ({}, segnet(), 29_443_585),
    "fcn32s": ({}, fcn("t1 1 64"), 134_268_737),
    "fcn16s": ({}, fcn("1 512 1b, t1 1 4, t1 1 32"), 134_266_194),
    "fcn8s": ({}, fcn("1 256 1b, 1 512 1b, t1 1 4, t1 1 16, t1 1 4"), 134_265_699),
    "pspnet": ({}, psp((3, 4, 6, 3)), 49_066_178),
    "pspnet, 101": ({"encoder": "resnet101"}, psp((3, 4, 23, 3)), 68_058_306),
    "unet, milesial": ({"width": 2, "upsample": "deconv"}, milesial(), 31_037_633),
}


def shapes(table: str) -> Shapes:
    """The tensors of a table's layers."""
    result: Shapes = []
    for layer in table.split(", "):
        if layer.startswith("n"):
            result += [(int(layer[1:]),)] * 2
            continue
        found = re.fullmatch(r"(t?)(\d+) (\d+) (\d+)(b?)", layer)
        assert found, layer
        out, inner, side = int(found[2]), int(found[3]), int(found[4])
        result.append((out, inner, side, side))
        if found[5]:
            result.append((inner if found[1] else out,))
    return result


@pytest.mark.parametrize("name", TABLES)
def test_parameters_in_order(name: str) -> None:
    settings, table, count = TABLES[name]
    with torch.device("meta"):
        model = create_model(ModelConfig.from_tree({"arch": name.partition(",")[0], **settings}))
    assert [tuple(p.shape) for p in model.parameters()] == shapes(table)
    assert sum(p.numel() for p in model.parameters()) == count


NAMES = {
    "ternausnet11": "encoder.0.weight encoder.18.bias center.block.0.conv.weight center.block.1.bias "
    "dec5.block.1.weight dec1.conv.weight final.weight",
    "ternausnet16": "encoder.0.weight encoder.28.bias center.block.0.conv.weight dec2.block.1.weight final.bias",
    "linknet34": "firstconv.weight firstbn.running_mean encoder1.0.conv1.weight encoder4.0.downsample.1.weight "
    "decoder4.conv1.weight decoder1.deconv2.bias decoder1.norm3.weight finaldeconv1.weight finalconv2.bias "
    "finalconv3.weight",
    "albunet34": "encoder.conv1.weight encoder.bn1.running_var encoder.layer4.2.bn2.weight center.block.1.conv.weight "
    "center.block.2.conv.bias dec1.block.2.conv.weight dec0.conv.weight final.weight",
    "fcn8s": "conv1_1.weight conv5_3.bias fc6.weight fc7.bias score_fr.weight score_pool3.weight score_pool4.bias "
    "upscore2.weight upscore8.weight upscore_pool4.weight",
    "pspnet": "layer0.0.weight layer0.7.running_mean layer1.0.downsample.0.weight layer3.5.bn3.bias "
    "ppm.features.3.1.weight ppm.features.0.2.running_var cls.0.weight cls.4.bias aux.1.weight aux.4.weight",
    "segnet": "encoder.0.weight encoder.1.running_mean encoder.41.bias",
}
"""Of the same sources, and of torchvision's vgg16_bn (segnet's encoder)."""


@pytest.mark.parametrize("arch", NAMES)
def test_names_as_published(arch: str) -> None:
    with torch.device("meta"):
        names = create_model(ModelConfig(arch=arch)).state_dict().keys()
    assert set(NAMES[arch].split()) <= names
