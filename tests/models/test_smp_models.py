"""The decoders of segmentation_models_pytorch and timm's backbones, with small encoders."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from podium.errors import ModelError
from podium.models import MODELS, create_model
from podium.models.base import split_parameters
from podium.models.encoders import SameConv2d, SqueezeNet11Encoder
from podium.models.smp_models import DECODERS
from podium.recipe import ModelConfig

NAMES = [f"smp.{name}" for name in DECODERS]
SMALL = {"smp.DPT": "tu-vit_tiny_patch16_224"}


def build(arch: str, *, dense: bool = True, in_channels: int = 3, classes: int = 1, inputs: int = 0, **keys: object):
    torch.manual_seed(0)
    keys = {"encoder": SMALL.get(arch, "mobilenet_v2_tf"), **keys}
    config = ModelConfig.from_tree({"arch": arch, **keys})
    return create_model(config, in_channels, classes, dense=dense, inputs=inputs)


@pytest.mark.parametrize("arch", NAMES)
def test_any_size_any_channels(arch: str) -> None:
    model = build(arch, in_channels=4, classes=2).eval()
    for size in [(64, 64), (101, 70), (1, 5)]:
        with torch.no_grad():
            assert model(torch.randn(1, 4, *size)).shape == (1, 2, *size)


@pytest.mark.parametrize("arch", NAMES)
def test_gradients_reach_encoder_and_decoder(arch: str) -> None:
    model = build(arch).train()
    model(torch.randn(2, 3, 64, 64)).square().sum().backward()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {name for name, p in model.named_parameters() if p.grad is not None} == trained
    encoder, others = split_parameters(model)
    assert sum(p.requires_grad for p in encoder) > 50
    assert all(p.requires_grad for p in others)


def test_one_batch_is_learnt() -> None:
    model = build("smp.Unet", encoder="squeezenet1_1").train()
    target = torch.zeros(2, 1, 32, 32)
    target[0, :, 4:20, 8:28] = target[1, :, 16:30, 2:12] = 1
    x = torch.randn(2, 3, 32, 32) * 0.3 + target
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(25):
        loss = F.binary_cross_entropy_with_logits(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.35  # always guessing the share of the foreground costs 0.53


def test_attention_depth_and_dropout_are_read() -> None:
    plain, scse = build("smp.Unet"), build("smp.Unet", attention="scse")
    assert sum(p.numel() for p in scse.parameters()) > sum(p.numel() for p in plain.parameters())
    assert build("smp.Unet", depth=3).stride == 8
    rates = [m.p for m in build("smp.FPN", dropout=0.4).modules() if isinstance(m, nn.Dropout | nn.Dropout2d)]
    assert 0.4 in rates


def test_what_an_arch_does_not_read_is_refused() -> None:
    with pytest.raises(ModelError, match=r"model\.attention: smp\.FPN does not read"):
        build("smp.FPN", attention="scse")


@pytest.mark.parametrize("arch", ["smp.DeepLabV3Plus", "smp.UPerNet"])
def test_a_batch_of_one_behind_a_global_pooling_is_told(arch: str) -> None:
    with pytest.raises(ModelError, match=r"single value per channel(.|\n)*batch_size"):
        build(arch).train()(torch.randn(1, 3, 64, 64))


def test_unknown_encoders_name_the_nearest() -> None:
    with pytest.raises(ModelError, match="did you mean 'resnet34'"):
        build("smp.Unet", encoder="resnet43")
    with pytest.raises(ModelError, match="unknown encoder 'tu-nonsense'"):
        build("smp.Unet", encoder="tu-nonsense")
    with pytest.raises(ModelError, match="did you mean 'resnet18'"):
        build("timm", dense=False, encoder="resnet_18")


def test_an_encoder_that_cannot_be_dilated_is_told() -> None:
    with pytest.raises(ModelError, match=r"smp\.DeepLabV3 cannot be built with the encoder 'squeezenet1_1'"):
        build("smp.DeepLabV3", encoder="squeezenet1_1")


def test_smp_checkpoints_fit_by_name() -> None:
    import segmentation_models_pytorch as smp

    theirs = smp.Unet("resnet18", encoder_weights=None)
    model = build("smp.Unet", encoder="resnet18")
    model.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 64, 96)
    torch.testing.assert_close(model.eval()(x), theirs.eval()(x))


@pytest.mark.parametrize(
    "encoder", ["resnet10t", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "mixer_s16_224", "inception_v3"]
)
def test_backbones_of_every_kind_take_any_size(encoder: str) -> None:
    model = build("timm", dense=False, encoder=encoder, classes=4, inputs=2).eval()
    for size in [(64, 64), (101, 75)]:
        with torch.no_grad():
            assert model(torch.randn(1, 3, *size), torch.randn(1, 2)).shape == (1, 4)


@pytest.mark.parametrize(("head", "classes"), [("linear", 1), ("ordinal", 4), ("distribution", 2), ("cumulative", 1)])
@pytest.mark.parametrize("arch", ["timm", "smp.Classifier"])
def test_gradients_reach_every_parameter_of_a_classifier(arch: str, head: str, classes: int) -> None:
    encoder = {"timm": "resnet10t", "smp.Classifier": "mobilenet_v2_tf"}[arch]
    model = build(arch, dense=False, encoder=encoder, head=head, classes=classes, inputs=3, pooling="gem").train()
    model(torch.randn(4, 3, 32, 32), torch.randn(4, 3)).square().sum().backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None]
    assert dead == []


def test_same_padding_is_tensorflows() -> None:
    """A stride of 2 on an even side pads at the end alone; on an odd one on both sides."""
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    nn.init.ones_(conv.weight)
    assert conv(torch.ones(1, 1, 4, 4))[0, 0].tolist() == [[9, 6], [6, 4]]
    assert conv(torch.ones(1, 1, 3, 3))[0, 0].tolist() == [[4, 4], [4, 4]]
    assert conv(torch.ones(1, 1, 7, 6)).shape == (1, 1, 4, 3)


def test_squeezenet_has_as_many_parameters_as_torchvisions() -> None:
    from torchvision.models import squeezenet1_1

    ours = SqueezeNet11Encoder([3, 64, 128, 256, 512, 512])
    theirs = squeezenet1_1().features
    assert [tuple(p.shape) for p in ours.parameters()] == [tuple(p.shape) for p in theirs.parameters()]
    sides = [tuple(m.shape[-2:]) for m in ours(torch.randn(1, 3, 64, 96))]
    assert sides == [(64 // s, 96 // s) for s in (1, 2, 4, 8, 16, 32)]


def test_the_libraries_are_imported_only_where_used() -> None:
    code = (
        "import sys, podium.models\n"
        "from podium.recipe import ModelConfig\n"
        "podium.models.create_model(ModelConfig(arch='unet', width=0.25))\n"
        "print([m for m in ('timm', 'segmentation_models_pytorch', 'torchvision', 'lightgbm', 'sklearn') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_each_name_is_registered() -> None:
    assert {*NAMES, "smp.Classifier", "timm", "features"} <= MODELS.keys()
    assert not MODELS["timm"].dense
    assert MODELS["smp.Unet"].dense
