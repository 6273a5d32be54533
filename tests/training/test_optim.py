"""Optimisers: names, parameter groups, and that they optimise."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from podium.errors import ConfigError, TrainingError
from podium.recipe import OptimConfig
from podium.training.optim import OPTIMIZERS, create_optimizer


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))


def config(**settings: object) -> OptimConfig:
    return OptimConfig.from_tree(settings)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_decay_and_norms_and_biases_do_not(name: str) -> None:
    model = network()
    decayed, others = create_optimizer(config(name=name, lr=0.01, weight_decay=0.1), model).param_groups
    assert [p.ndim for p in decayed["params"]] == [4, 4]
    assert {id(p) for p in others["params"]} == {id(p) for p in (model[0].bias, *model[1].parameters(), model[3].bias)}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0)
    assert decayed["lr"] == others["lr"] == 0.01


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_loss_goes_down(name: str) -> None:
    model, x = network(), torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    optimizer = create_optimizer(config(name=name, lr=0.01), model)
    losses = []
    for _ in range(30):
        loss = (model(x) - x[:, :1]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("name", ["adamw", "radam"])
def test_decay_is_decoupled(name: str) -> None:
    model = network()
    before = model[0].weight.detach().clone()
    optimizer = create_optimizer(config(name=name, lr=0.5, weight_decay=0.2), model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    torch.testing.assert_close(model[0].weight.detach(), before * (1 - 0.5 * 0.2))


def test_sgd_has_nesterov_momentum() -> None:
    group = create_optimizer(config(name="sgd"), network()).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)


def test_the_fused_kernel_agrees_with_the_plain_one() -> None:
    models = [network(), network()]
    optimizers = [create_optimizer(config(), models[0]), torch.optim.AdamW(models[1].parameters(), lr=1e-3)]
    optimizers[1].param_groups[0]["weight_decay"] = 1e-4
    for model, optimizer in zip(models, optimizers, strict=True):
        for step in range(3):
            for p in model.parameters():
                p.grad = torch.full_like(p, 0.1 * (step + 1))
            optimizer.step()
    assert optimizers[0].defaults["fused"]
    for p, q in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=3e-4)  # they differ in the decay of biases


def test_frozen_parameters_are_left_out() -> None:
    model = network()
    model[0].requires_grad_(False)
    assert sum(len(g["params"]) for g in create_optimizer(config(), model).param_groups) == 4
    with pytest.raises(TrainingError, match="no trainable parameters"):
        create_optimizer(config(), model.requires_grad_(False))


def test_an_empty_group_is_left_out() -> None:
    assert len(create_optimizer(config(), nn.Linear(2, 2, bias=False)).param_groups) == 1


def test_an_unknown_name_lists_the_names() -> None:
    with pytest.raises(ConfigError, match=r"optim\.name(.|\n)*adam, adamw, sgd, rmsprop, radam(.|\n)*'adamw'"):
        create_optimizer(config(name="adamww"), network())
