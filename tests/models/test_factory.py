"""The registry, the factory and its refusals."""

from __future__ import annotations

import pytest
import torch

from podium.errors import ModelError
from podium.models import MODELS, count_parameters, create_model, describe, register_model
from podium.models.base import SegmentationModel
from podium.models.ternausnet import TernausNet11
from podium.models.unet import UNet
from podium.recipe import ModelConfig


def config(**settings: object) -> ModelConfig:
    return ModelConfig.from_tree(settings)


def test_width_multiplies_the_filters() -> None:
    model = create_model(config(arch="unet", width=0.25, depth=3), in_channels=1, classes=2)
    assert isinstance(model, UNet)
    assert [level[0].out_channels for level in model.encoder] == [8, 16, 32]
    assert model.encoder[0][0].in_channels == 1
    assert model.head.out_channels == 2
    assert model.stride == 4


def test_unknown_arch_names_the_nearest_and_all() -> None:
    with pytest.raises(ModelError) as error:
        create_model(config(arch="unett"))
    assert "did you mean 'unet'?" in str(error.value)
    assert all((name in str(error.value)) for name, spec in MODELS.items() if spec.dense)
    assert "timm" not in str(error.value)


def test_an_arch_of_another_task_is_refused_with_those_that_fit() -> None:
    with pytest.raises(ModelError, match=r"timm predicts classes and numbers(.|\n)*wants masks(.|\n)*unet"):
        create_model(config(arch="timm"))
    with pytest.raises(ModelError, match=r"unet predicts masks(.|\n)*one of: .*timm"):
        create_model(config(arch="unet"), dense=False)


@pytest.mark.parametrize(("key", "value"), [("depth", 4), ("norm", "group")])
def test_a_key_that_the_arch_does_not_read_is_refused(key: str, value: object) -> None:
    with pytest.raises(ModelError, match=rf"model\.{key}.*does not read(.|\n)*reads: width(.|\n)*unet"):
        create_model(config(arch="ternausnet11", width=0.1, **{key: value}))


def test_a_key_at_its_default_is_not_refused() -> None:
    model = create_model(config(arch="ternausnet11", width=0.1, depth=5, norm="batch"))
    assert isinstance(model, TernausNet11)


@pytest.mark.parametrize(("arch", "upsample"), [("ternausnet11", "nearest"), ("linknet34", "bilinear")])
def test_a_way_of_upsampling_that_the_arch_lacks_is_refused(arch: str, upsample: str) -> None:
    with pytest.raises(ModelError, match=rf"{arch} does not have '{upsample}'(.|\n)*one of: deconv"):
        create_model(config(arch=arch, width=0.1, upsample=upsample))
    with pytest.raises(ModelError, match="unet does not have 'deconv3'"):
        create_model(config(arch="unet", width=0.1, upsample="deconv3"))


def test_an_encoder_that_pspnet_lacks_is_refused() -> None:
    with pytest.raises(ModelError, match=r"does not have the encoder 'resnet34'(.|\n)*resnet50, resnet101"):
        create_model(config(arch="pspnet", width=0.1, encoder="resnet34"))


def test_count_parameters_leaves_out_the_frozen() -> None:
    model = create_model(config(width=0.125))
    before = count_parameters(model)
    model.head.requires_grad_(False)
    assert before - count_parameters(model) == 4 + 1


def test_describe_has_a_row_for_each_and_uses_up_no_random_numbers() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    rows = {row["name"]: row for row in describe()}
    assert torch.equal(torch.rand(1), expected)
    assert rows.keys() == MODELS.keys()
    assert rows["ternausnet11"]["parameters"] == 22_927_393
    assert rows["unet"]["reads"] == ["depth", "width", "norm", "upsample", "supervised"]
    assert all(row["summary"] and row["stride"] for row in rows.values())


def test_every_reads_names_a_real_key() -> None:
    assert all(set(spec.reads) <= set(ModelConfig.model_fields) for spec in MODELS.values())


def test_register_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium.models.factory.MODELS", dict(MODELS))

    def build(config: ModelConfig, in_channels: int, classes: int) -> SegmentationModel:
        return UNet(in_channels, classes, filters=4, depth=2)

    register = register_model("mine", reads=(), summary="a test")
    assert register(build) is build
    register(build)  # the same cell run twice
    assert create_model(config(arch="mine")).stride == 2
    with pytest.raises(ModelError, match="reads: no other key"):
        create_model(config(arch="mine", width=2))
    with pytest.raises(ModelError, match="registered already"):
        register_model("unet", reads=(), summary="a thief")(build)
