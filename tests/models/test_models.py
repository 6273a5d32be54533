"""What every architecture in the registry must do, at tiny width."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.models import MODELS, create_model
from podium.recipe import ModelConfig

VARIANTS = [
    *({"arch": name} for name in MODELS),
    *({"arch": "unet", "norm": norm} for norm in ("group", "none")),
    *({"arch": "unet", "upsample": upsample, "depth": 3} for upsample in ("bilinear", "deconv")),
]


def build(settings: dict, seed: int = 0, **channels: int) -> nn.Module:
    torch.manual_seed(seed)
    return create_model(ModelConfig.from_tree({"width": 0.125, **settings}), **channels)


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=VARIANTS, ids=lambda s: "-".join(str(v) for v in s.values()))
def settings(request: pytest.FixtureRequest) -> dict:
    return request.param


@pytest.mark.parametrize("size", [(64, 64), (101, 101), (33, 70), (1, 5), (32, 1)])
def test_output_has_the_size_of_the_input(settings: dict, size: tuple[int, int]) -> None:
    model = build(settings, in_channels=2, classes=3).eval()
    assert model(images(2, 2, *size)).shape == (2, 3, *size)


def test_fresh_outputs_are_logits_of_moderate_probabilities(settings: dict) -> None:
    logits = build(settings).train()(images(2, 3, 64, 64))
    assert 0.2 < logits.sigmoid().mean() < 0.8
    assert 0.05 < logits.std() < 4


def test_large_logits_are_not_squashed(settings: dict) -> None:
    model = build(settings).eval()
    *_, last = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    nn.init.constant_(last.bias, 50.0)
    assert model(images(1, 3, 32, 32)).max() > 10


def test_gradients_reach_every_parameter(settings: dict) -> None:
    model = build(settings).train()
    model(images(2, 3, 64, 64)).square().sum().backward()
    dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert dead == []


def test_one_batch_is_learnt(settings: dict) -> None:
    model = build({**settings, "width": 0.25}).train()
    x = images(2, 3, 32, 32)
    target = torch.zeros(2, 1, 32, 32)
    target[0, :, 4:20, 8:28] = 1
    target[1, :, 16:30, 2:12] = 1
    x = x * 0.3 + target
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(120):
        loss = F.binary_cross_entropy_with_logits(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2  # always guessing the share of the foreground costs 0.53


def test_state_dict_round_trip(settings: dict) -> None:
    first, second = build(settings, seed=0).train(), build(settings, seed=1).eval()
    x = images(2, 3, 40, 40)
    first(x)  # running statistics, where there are any, move away from their start
    first.eval()
    assert not torch.equal(first(x), second(x))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(x), second(x))


def test_a_seed_decides_the_weights_and_eval_is_deterministic(settings: dict) -> None:
    x = images(2, 3, 40, 40)
    first, second = build(settings).eval(), build(settings).eval()
    with torch.inference_mode():
        expected = first(x)
        assert torch.equal(first(x), expected)
        assert torch.equal(second(x), expected)


def test_eval_does_not_mix_samples(settings: dict) -> None:
    model, x = build(settings).eval(), images(3, 3, 32, 32)
    torch.testing.assert_close(model(x)[1:2], model(x[1:2]), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_compiles_as_one_graph(name: str) -> None:
    model = build({"arch": name}).train()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    x = images(2, 3, 33, 40)
    torch.testing.assert_close(compiled(x), model(x))


def test_channels_last_with_bf16_autocast_agrees_with_fp32(settings: dict) -> None:
    model, x = build(settings).train(), images(2, 3, 48, 48)
    expected = model(x)
    model = model.to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(x.contiguous(memory_format=torch.channels_last))
    logits.float().square().sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
    assert (logits.float() - expected).abs().mean() < 0.1 * expected.std()
