"""Weights of other makes: matched by name or in order, adapted, and what differs said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision import models as torchvision_models

from podium.errors import ModelError
from podium.models import create_model
from podium.models.base import first_logits
from podium.models.weights import find_weights, load_state, read_state
from podium.recipe import ModelConfig


def build(arch: str, seed: int = 0, *, in_channels: int = 3, classes: int = 1, **settings: object) -> nn.Module:
    torch.manual_seed(seed)
    config = ModelConfig.from_tree({"arch": arch, "width": 0.125, **settings})
    return create_model(config, in_channels, classes)


def logits(model: nn.Module, channels: int = 3) -> Tensor:
    model.eval()
    with torch.inference_mode():
        return first_logits(model(torch.randn(1, channels, 64, 64, generator=torch.Generator().manual_seed(5))))


@pytest.mark.parametrize("arch", ["unet", "segnet", "fcn8s", "pspnet", "ternausnet11", "linknet34", "albunet34"])
def test_renamed_modules_load_in_order(arch: str) -> None:
    source, model = build(arch, 1), build(arch, 2)
    numbers = {module: n for n, module in enumerate(dict.fromkeys(k.rpartition(".")[0] for k in source.state_dict()))}
    state = {f"m{numbers[k.rpartition('.')[0]]}.{k.rpartition('.')[2]}": t for k, t in source.state_dict().items()}
    assert not torch.equal(logits(source), logits(model))
    loaded = load_state(model, state)
    assert loaded.way == "in order"
    assert [loaded.missing, loaded.unexpected, loaded.shapes] == [[], [], {}]
    assert torch.equal(logits(source), logits(model))


def test_an_old_file_orders_its_batch_norms_otherwise() -> None:
    source, model = build("linknet34", 1), build("linknet34", 2)
    names = sorted(source.state_dict(), key=lambda n: n.endswith(("weight", "bias")))
    modules = list(dict.fromkeys(n.rpartition(".")[0] for n in source.state_dict()))
    names.sort(key=lambda n: modules.index(n.rpartition(".")[0]))
    state = {f"x{modules.index(n.rpartition('.')[0])}.{n.rpartition('.')[2]}": source.state_dict()[n] for n in names}
    assert list(state)[1].endswith("running_mean")
    load_state(model, state)
    assert torch.equal(logits(source), logits(model))


@pytest.mark.parametrize(
    ("arch", "network", "first", "last"),
    [
        ("ternausnet11", "vgg11", "encoder.0.weight", "encoder.18.bias"),
        ("ternausnet16", "vgg16", "encoder.0.weight", "encoder.28.bias"),
        ("segnet", "vgg16_bn", "encoder.0.weight", "encoder.41.running_var"),
        ("linknet34", "resnet34", "firstconv.weight", "encoder4.2.bn2.running_mean"),
        ("albunet34", "resnet34", "encoder.conv1.weight", "encoder.layer4.2.bn2.running_mean"),
    ],
)
def test_torchvision_fills_the_whole_encoder(arch: str, network: str, first: str, last: str) -> None:
    model, source = build(arch, width=1), getattr(torchvision_models, network)(weights=None)
    with torch.no_grad():
        for tensor in source.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand_like(tensor))
    state = source.state_dict()
    loaded = load_state(model, state)
    ours = {n: t for n, t in model.state_dict().items() if model.in_encoder(n) and "num_batches" not in n}
    theirs = [t for n, t in state.items() if "num_batches" not in n and not n.startswith(("classifier", "fc"))]
    assert set(loaded.loaded) == set(ours)
    assert all(torch.equal(a, b) for a, b in zip(ours.values(), theirs, strict=True))
    assert {first, last} <= ours.keys()
    assert all(name.startswith(("classifier", "fc")) for name in loaded.unexpected)


def test_the_classifier_of_vgg16_becomes_convolutions_of_fcn() -> None:
    model, source = build("fcn8s"), build("fcn32s", 3)
    state = {n: t for n, t in source.state_dict().items() if not n.startswith(("score", "upscore"))}
    numbered = {f"features.{n}" if n.startswith("conv") else f"classifier.{n}": t for n, t in state.items()}
    for name, tensor in numbered.items():
        if name.startswith("classifier") and tensor.ndim == 4:
            numbered[name] = tensor.flatten(1)
    numbered |= {"classifier.6.weight": torch.rand(1000, 512), "classifier.6.bias": torch.rand(1000)}
    loaded = load_state(model, numbered)
    assert torch.equal(model.fc6.weight, source.fc6.weight)
    assert torch.equal(model.fc7.bias, source.fc7.bias)
    assert loaded.changed["fc6.weight"] == "a fully connected layer as a convolution"
    assert loaded.unexpected == ["classifier.6.weight", "classifier.6.bias"]
    assert {"score_fr.weight", "upscore2.weight"} <= set(loaded.missing)


def test_modules_under_two_names_count_once() -> None:
    source, model = build("ternausnet11", 1), build("ternausnet11", 2)
    state = dict(source.state_dict())
    state |= {"conv1.weight": state["encoder.0.weight"], "conv1.bias": state["encoder.0.bias"]}  # as published
    loaded = load_state(model, state)
    assert [loaded.missing, loaded.unexpected] == [[], []]
    assert torch.equal(logits(source), logits(model))


def test_names_with_a_map() -> None:
    source, model = build("unet", 1), build("unet", 2)
    state = {n.replace("encoder.", "down_").replace("decoder.", "up_"): t for n, t in source.state_dict().items()}
    loaded = load_state(model, dict(reversed(state.items())), {"down_": "encoder.", "up_": "decoder."})
    assert loaded.way == "by name"
    assert torch.equal(logits(source), logits(model))


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_the_first_layer_takes_other_channels(channels: int) -> None:
    source, model = build("ternausnet11", 1), build("ternausnet11", 2, in_channels=channels)
    loaded = load_state(model, source.state_dict())
    theirs, ours = source.encoder[0].weight, model.encoder[0].weight
    torch.testing.assert_close(ours.sum(1), theirs.sum(1) if channels in (1, 6) else ours.sum(1))
    if channels == 1:
        grey = torch.rand(1, 1, 64, 64)
        torch.testing.assert_close(model(grey), source(grey.expand(-1, 3, -1, -1)))
    else:
        torch.testing.assert_close(ours[:, channels - 1], theirs[:, (channels - 1) % 3] * 3 / channels)
    assert list(loaded.changed) == ["encoder.0.weight"]


def test_another_head_is_left_as_it_was() -> None:
    source, model = build("linknet34", 1, classes=5), build("linknet34", 2)
    before = model.finalconv3.weight.clone()
    loaded = load_state(model, source.state_dict())
    assert loaded.shapes == {
        "finalconv3.weight": ((5, 4, 2, 2), (1, 4, 2, 2)),
        "finalconv3.bias": ((5,), (1,)),
    }
    assert torch.equal(model.finalconv3.weight, before)
    assert "finalconv3.weight: 1x4x2x2 here, 5x4x2x2 in the file: left as it was" in "\n".join(loaded.told("a.pth"))


def test_what_differs_is_told() -> None:
    source, model = build("ternausnet11", 1), build("ternausnet11", 2)
    state = {n: t for n, t in source.state_dict().items() if not n.startswith("dec")} | {"extra.weight": torch.rand(3)}
    text = "\n".join(load_state(model, state).told("a.pth"))
    assert "weights of a.pth: 22 of 40 tensors loaded, by name" in text
    assert "not in the file, left as initialised: dec5.block.0.conv.weight" in text
    assert "(12 more)" in text
    assert "in the file, not used: extra.weight" in text


def test_next_to_nothing_fits_is_an_error_that_shows_both_sides() -> None:
    shown = r"only 0 of the model's 40 tensors(.|\n)*a\.weight 7x7(.|\n)*encoder\.0\.weight 8x3x3x3"
    with pytest.raises(ModelError, match=shown):
        load_state(build("ternausnet11"), {"a.weight": torch.rand(7, 7), "a.bias": torch.rand(7)})
    with pytest.raises(ModelError, match=r"only . of the model's 40 tensors(.|\n)*model\.width"):
        load_state(build("ternausnet11"), build("ternausnet11", width=0.25).state_dict())


@pytest.mark.parametrize("wrap", [
    lambda s: s, lambda s: {"model": s, "epoch": 3}, lambda s: {"state_dict": s},
    lambda s: {"model": {"state_dict": s}},
    lambda s: {f"module.{n}": t for n, t in s.items()}, lambda s: {f"_orig_mod.module.{n}": t for n, t in s.items()},
])  # fmt: skip
def test_wrappers_are_taken_off(tmp_path: Path, wrap) -> None:
    state = build("ternausnet11").state_dict()
    torch.save(wrap(state), tmp_path / "a.pth")
    read = read_state(tmp_path / "a.pth")
    assert list(read) == list(state)
    assert all(torch.equal(read[n], state[n]) for n in state)


def test_safetensors_are_read(tmp_path: Path) -> None:
    save_file = pytest.importorskip("safetensors.torch").save_file
    save_file({"a": torch.arange(3.0)}, tmp_path / "a.safetensors")
    assert torch.equal(read_state(tmp_path / "a.safetensors")["a"], torch.arange(3.0))


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("evil"),))


def test_a_file_that_would_run_code_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": torch.rand(1), "b": Evil()}, "a.pth")
    with pytest.raises(ModelError, match="run its code"):
        read_state(tmp_path / "a.pth")
    assert not (tmp_path / "evil").exists()


@pytest.mark.parametrize("content", [b"", b"not weights at all"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"a\.pth"):
        read_state(tmp_path / "a.pth")


def test_a_file_without_tensors_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="no tensors"):
        read_state(tmp_path / "a.pth")


def test_where_weights_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights").mkdir()
    (tmp_path / "inner").mkdir()
    (tmp_path / "weights/a.pth").touch()
    monkeypatch.chdir(tmp_path / "inner")
    assert find_weights("weights/a.pth") == tmp_path / "weights/a.pth"
    assert find_weights("weights") == tmp_path / "weights/a.pth"
    (tmp_path / "weights/b.pt").touch()
    with pytest.raises(ModelError, match=r"2 files of weights \(a\.pth, b\.pt\)"):
        find_weights("weights")
    (tmp_path / "weights/best.pt").touch()
    assert find_weights("weights").name == "best.pt"
    with pytest.raises(ModelError, match=r"there are no weights 'elsewhere\.pth'"):
        find_weights("elsewhere.pth")


def test_model_weights_of_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    source = build("ternausnet11", 1)
    torch.save(source.state_dict(), "a.pth")
    model = build("ternausnet11", 2, weights="a.pth")
    assert torch.equal(logits(source), logits(model))
    assert "40 of 40 tensors loaded, by name" in capsys.readouterr().err
    fresh = create_model(ModelConfig.from_tree({"arch": "unet", "width": 0.125, "weights": "none.pth"}), load=False)
    assert fresh is not None
