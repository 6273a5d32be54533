"""What a network begins with: files, folders, other normalisations, hubs that are not there."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from podium.errors import ModelError
from podium.models import create_model, hub
from podium.models.converters import read_layers
from podium.models.pretrained import NORMALS, find_file, read_source, renormalise
from podium.progress import listening
from podium.recipe import ModelConfig

MEAN, SD = (torch.tensor(values).view(1, 3, 1, 1) for values in NORMALS["imagenet"])


def create(
    arch: str = "smp.Unet", channels: int = 3, *, dense: bool = True, normalize: str = "imagenet", **keys: object
):
    torch.manual_seed(0)
    config = ModelConfig.from_tree({"arch": arch, **keys})
    return create_model(config, channels, 1, dense=dense, normalize=normalize)


def quantised_file(path: Path, encoder: nn.Module, extra: int = 1) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """An .npz of 8-bit layers, for an encoder's convolutions in order and a classifier; the real weights they hold."""
    rng, arrays, real = np.random.default_rng(0), {}, []
    shapes = [tuple(m.weight.shape) for m in encoder.modules() if isinstance(m, nn.Conv2d)] + extra * [(7, 4, 1, 1)]
    for n, shape in enumerate(shapes):
        weight, bias = rng.integers(0, 256, shape).astype(np.uint8), rng.normal(size=shape[0]).astype(np.float32)
        scale, zero = np.float32(0.5 / np.prod(shape[1:])), np.int32(120)
        arrays |= {f"conv{n:02d}.weight_q": weight, f"conv{n:02d}.bias": bias}
        arrays |= {f"conv{n:02d}.scale": scale, f"conv{n:02d}.zero_point": zero}
        real.append((torch.from_numpy((weight.astype(np.float32) - 120) * scale), torch.from_numpy(bias)))
    np.savez(path, **arrays)
    return real


def test_folded_8_bit_layers_compute_what_they_say(tmp_path: Path) -> None:
    """Each convolution with its norm behind it, on random input, against the layers' own weights and biases."""
    model = create(encoder="mobilenet_v2_tf")
    real = quantised_file(tmp_path / "weights.npz", model.encoder)
    settings = {"encoder": "mobilenet_v2_tf", "encoder_norm": "frozen", "weights": str(tmp_path)}
    lines: list[str] = []
    with listening(lines.append):
        model = create(**settings, normalize="other").train()  # frozen norms compute in training as in evaluation
    modules = list(model.encoder.modules())
    convs = [n for n, m in enumerate(modules) if isinstance(m, nn.Conv2d)]
    assert len(convs) == 52
    for n, (weight, bias) in zip(convs, real, strict=False):
        conv, norm = modules[n], modules[n + 1]
        x = torch.randn(2, conv.in_channels, 9, 9)
        expected = F.conv2d(x, weight, bias, conv.stride, 0, groups=conv.groups)
        found = norm(F.conv2d(x, conv.weight, None, conv.stride, 0, groups=conv.groups))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert "52 of" in lines[0]
    assert any("not used: conv52" in line for line in lines)


def test_norms_that_learn_refuse_folded_weights(tmp_path: Path) -> None:
    quantised_file(tmp_path / "w.npz", create(encoder="mobilenet_v2").encoder)
    with pytest.raises(ModelError, match=r"folded(.|\n)*encoder_norm=frozen"):
        create(encoder="mobilenet_v2", weights=str(tmp_path))


def test_layers_of_another_network_are_refused_where_they_differ(tmp_path: Path) -> None:
    quantised_file(tmp_path / "w.npz", create(encoder="mobilenet_v2").encoder)
    with pytest.raises(ModelError, match=r"encoder\.conv1\.weight|encoder\.conv1 is \(64, 3, 3, 3\), and conv00"):
        create(encoder="squeezenet1_1", encoder_norm="frozen", weights=str(tmp_path))


def test_keras_squeezenet_is_turned_and_reordered(tmp_path: Path) -> None:
    rng, arrays = np.random.default_rng(0), {}
    encoder = create(encoder="squeezenet1_1").encoder
    names = ["conv1"] + [f"fire{n}/{p}" for n in range(2, 10) for p in ("squeeze1x1", "expand1x1", "expand3x3")]
    convs = [m for m in encoder.modules() if isinstance(m, nn.Conv2d)]
    for name, conv in sorted(zip(names, convs, strict=True), key=lambda pair: rng.random()):  # any order in the file
        arrays[f"{name}.weight"] = rng.normal(size=conv.weight.shape).astype(np.float32).transpose(2, 3, 1, 0)
        arrays[f"{name}.bias"] = rng.normal(size=len(conv.weight)).astype(np.float32)
    np.savez(tmp_path / "w.npz", **arrays)
    x = torch.rand(1, 3, 32, 32)
    encoder = create(encoder="squeezenet1_1", weights=str(tmp_path)).encoder
    caffe = 255 * x.flip(1) - torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
    weight = torch.from_numpy(arrays["conv1.weight"].transpose(3, 2, 0, 1).copy())
    expected = F.conv2d(caffe, weight, torch.from_numpy(arrays["conv1.bias"]))
    found = encoder.conv1((x - MEAN) / SD)[..., 1:-1, 1:-1]  # the file's network does not pad
    torch.testing.assert_close(found[..., :14, :14], F.conv2d(
        F.pad(caffe, (1, 1, 1, 1)), weight, torch.from_numpy(arrays["conv1.bias"]), stride=2
    )[..., 1:-1, 1:-1], rtol=1e-3, atol=1e-2)  # fmt: skip
    assert expected.shape[-1] == 30
    fire = arrays["fire9/expand3x3.weight"].transpose(3, 2, 0, 1)
    assert np.array_equal(encoder.stages[2][3].expand3x3.weight.detach().numpy(), fire)


@pytest.mark.parametrize("bias", [True, False])
def test_another_normalisation_sees_the_same(bias: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3, bias=bias), nn.BatchNorm2d(8))
    network[1].running_mean.normal_()
    network.eval()
    x = torch.rand(2, 3, 9, 9)
    expected = network((x - MEAN) / SD)
    state = {name: t.clone() for name, t in network.state_dict().items()}
    renormalise(state, NORMALS["imagenet"], NORMALS["unit"])
    network.load_state_dict(state)
    torch.testing.assert_close(network(x), expected, atol=1e-5, rtol=1e-4)


def vgg11_state() -> dict[str, torch.Tensor]:
    """As torchvision's file has it, the 500 MB of the classifier left out."""
    from torchvision.models import vgg11

    with torch.device("meta"):
        shapes = vgg11().features.state_dict(prefix="features.")
    return {name: torch.randn(t.shape) for name, t in shapes.items()}


def test_torchvision_names_fit_smp_and_ternausnet(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    for theirs, keys, layer, same in (
        (resnet18().state_dict(), {"encoder": "resnet18"}, "encoder.layer4.1.conv2.weight", "layer4.1.conv2.weight"),
        (vgg11_state(), {"arch": "ternausnet11"}, "encoder.18.weight", "features.18.weight"),
    ):
        torch.save(theirs, tmp_path / "w.pth")
        model = create(**keys, weights=str(tmp_path / "w.pth"))
        assert torch.equal(model.state_dict()[layer], theirs[same])


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_first_layer_for_other_channels_sees_grey_alike(tmp_path: Path, channels: int) -> None:
    """All channels with the same picture: what the first convolution gives is what it gave for three."""
    from torchvision.models import resnet18

    theirs = resnet18()
    torch.save(theirs.state_dict(), tmp_path / "w.pth")
    model = create(channels=channels, encoder="resnet18", weights=str(tmp_path / "w.pth"))
    grey = torch.rand(1, 1, 16, 16)
    found, expected = model.encoder.conv1(grey.expand(-1, channels, -1, -1)), theirs.conv1(grey.expand(-1, 3, -1, -1))
    if channels in (1, 6):  # whole rounds of the three
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    else:
        assert 0.5 < found.std() / expected.std() < 2


def test_a_timm_classifiers_weights_begin_a_segmentation(tmp_path: Path) -> None:
    classifier = create("timm", dense=False, encoder="resnet18")
    torch.save({"model": classifier.state_dict()}, tmp_path / "best.pt")
    for encoder, prefix in (("resnet18", "encoder."), ("tu-resnet18", "encoder.model.")):
        model = create(encoder=encoder, weights=str(tmp_path))
        found = model.state_dict()[f"{prefix}layer3.0.conv1.weight"]
        assert torch.equal(found, classifier.state_dict()["encoder.model.layer3.0.conv1.weight"])


def test_weights_of_a_fold_run_know_their_normalisation(tmp_path: Path) -> None:
    (tmp_path / "fold0-seed0").mkdir()
    (tmp_path / "recipe.toml").write_text('[input]\nnormalize = "unit"\n')
    torch.save({"model": {"x.weight": torch.zeros(1, 3, 1, 1)}}, tmp_path / "fold0-seed0/best.pt")
    assert read_source(tmp_path / "fold0-seed0/best.pt").normal == NORMALS["unit"]


def test_both_beginnings_are_one_too_many() -> None:
    with pytest.raises(ModelError, match="cannot both be the beginning"):
        create(pretrained=True, weights="x.pt")


def test_a_damaged_npz_is_told(tmp_path: Path) -> None:
    (tmp_path / "w.npz").write_bytes(b"PK nonsense")
    with pytest.raises(ModelError, match=r"w\.npz: not an \.npz file"):
        create(encoder="squeezenet1_1", weights=str(tmp_path))
    with pytest.raises(ModelError, match="there are no weights"):
        find_file(str(tmp_path / "nothing"))


# ---------------------------------------------------------------------- hubs


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No cache, and a hub that nobody reaches."""

    def nobody(*args: object, **kwargs: object) -> None:
        raise OSError("nobody there")

    monkeypatch.setattr("urllib.request.urlopen", nobody)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))


@pytest.mark.parametrize(
    ("settings", "file"),
    [
        ({"arch": "smp.Unet", "encoder": "resnet18"}, "smp-hub/resnet18.imagenet/resolve/main/model.safetensors"),
        ({"arch": "smp.Unet", "encoder": "tu-resnet10t"}, "timm/resnet10t.c3_in1k/resolve/main/model.safetensors"),
        ({"arch": "ternausnet11"}, "download.pytorch.org/models/vgg11-8a719046.pth"),
    ],
)
def test_offline_without_a_cache_is_one_clear_error(no_network: None, settings: dict, file: str) -> None:
    with pytest.raises(ModelError) as caught:
        create(**settings, pretrained=True)
    told = str(caught.value)
    assert "not on this machine" in told
    assert "nobody there" in told
    assert file in told
    assert "model.weights=PATH" in told


def test_offline_timm_classifier(no_network: None) -> None:
    with pytest.raises(ModelError, match=r"resnet10t of timm are not on this machine"):
        create("timm", dense=False, encoder="resnet10t", pretrained=True)


def test_a_hub_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(8)
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{deaf.getsockname()[1]}")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        monkeypatch.setattr(hub, "PATIENCE", 0.2)
        with pytest.raises(ModelError, match=r"127\.0\.0\.1 does not give them"):
            create(encoder="resnet18", pretrained=True)


def test_the_cache_is_enough(no_network: None, tmp_path: Path) -> None:
    from torchvision.models import VGG11_Weights

    theirs = vgg11_state()
    (tmp_path / "checkpoints").mkdir()
    torch.save(theirs, tmp_path / "checkpoints" / Path(VGG11_Weights.IMAGENET1K_V1.url).name)
    model = create("ternausnet11", pretrained=True)
    assert torch.equal(model.encoder[0].weight, theirs["features.0.weight"])


def test_an_encoder_on_no_hub_is_told() -> None:
    with pytest.raises(ModelError, match="is on no hub"):
        create(encoder="squeezenet1_1", pretrained=True)
    with pytest.raises(ModelError, match=r"model\.pretrained"):
        create("unet", pretrained=True)


# ---------------------------------------------------------------------- the real files


@pytest.mark.real_data
@pytest.mark.parametrize("normalize", ["imagenet", "unit"])
def test_mobilenet_knows_a_parrot_and_a_cat(real_data, normalize: str) -> None:
    """The README's own check: macaw 0.998, Egyptian cat 0.80."""
    folder = real_data / "weights_mobilenet_v2"
    keys = {"encoder": "mobilenet_v2_tf", "encoder_norm": "frozen", "weights": str(folder)}
    model = create("smp.Classifier", dense=False, normalize=normalize, **keys).eval()
    top = read_layers(folder / "mobilenet_v2_imagenet.npz").layers[-1]
    labels = (folder / "imagenet_labels.txt").read_text().splitlines()
    for file, name, expected in (("parrot.jpg", "macaw", 0.998), ("cat_720p.jpg", "Egyptian cat", 0.80)):
        picture = Image.open(folder / file).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        x = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 255
        x = (x - MEAN) / SD if normalize == "imagenet" else x
        with torch.no_grad():
            features = model.pool(model.encoder(x)[-1])
            probs = F.linear(features, top.weight[:, :, 0, 0], top.bias).softmax(1)[0]
        assert labels[int(probs.argmax())].endswith(name)
        assert probs.max().item() == pytest.approx(expected, abs=0.015)
