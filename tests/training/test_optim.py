"""Optimisers: names, parameter groups, decay, freezing, and that they optimise."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from podium.errors import ConfigError, TrainingError
from podium.recipe import OptimConfig
from podium.training.lion import Lion
from podium.training.optim import (
    OPTIMIZERS,
    create_optimizer,
    forget,
    freeze,
    hold_still,
    is_due,
    same_optimizer,
    set_lr,
)

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 1, 1))


class Halves(nn.Module):
    """A network with an encoder."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.head = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.encoder(x))


def config(**settings: object) -> OptimConfig:
    return OptimConfig.from_tree(settings)


def one_step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(2, 3, 8, 8)).square().mean().backward()
    optimizer.step()


@every_optimizer
def test_weights_decay_and_norms_and_biases_do_not(name: str) -> None:
    model = network()
    decayed, others = create_optimizer(config(name=name, lr=0.01, weight_decay=0.1), model).param_groups
    assert [p.ndim for p in decayed["params"]] == [4, 4]
    assert {id(p) for p in others["params"]} == {id(p) for p in (model[0].bias, *model[1].parameters(), model[3].bias)}
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.1, 0)
    assert decayed["lr"] == others["lr"] == 0.01


@every_optimizer
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


@pytest.mark.parametrize(
    ("name", "decoupled"),
    [(n, None) for n in ("adamw", "radam", "nadam", "lion", "adafactor")]
    + [(n, True) for n in ("adam", "sgd", "rmsprop")],
)
def test_decay_can_be_decoupled(name: str, decoupled: bool | None) -> None:
    """Without a gradient nothing but the decay moves weights: by 1 - lr * weight_decay."""
    model = network()
    before, bias = model[0].weight.detach().clone(), model[0].bias.detach().clone()
    optimizer = create_optimizer(config(name=name, lr=0.5, weight_decay=0.2, decoupled=decoupled), model)
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    torch.testing.assert_close(model[0].weight.detach(), before * (1 - 0.5 * 0.2))
    assert torch.equal(model[0].bias, bias)


def test_decoupled_adam_is_adamw_and_decoupled_decay_survives_a_checkpoint() -> None:
    assert isinstance(create_optimizer(config(name="adam", decoupled=True), network()), torch.optim.AdamW)
    model = network()
    optimizer = create_optimizer(config(name="sgd", lr=0.5, weight_decay=0.2, decoupled=True), model)
    again = create_optimizer(config(name="sgd", lr=0.5, weight_decay=0.2, decoupled=True), model)
    again.load_state_dict(optimizer.state_dict())
    before = model[0].weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    again.step()
    torch.testing.assert_close(model[0].weight.detach(), before * 0.9)


def test_momentum_of_sgd_and_rmsprop() -> None:
    group = create_optimizer(config(name="sgd"), network()).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)
    group = create_optimizer(config(name="sgd", momentum=0.5, nesterov=False), network()).param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.5, False)
    assert not create_optimizer(config(name="sgd", momentum=0), network()).param_groups[0]["nesterov"]
    assert create_optimizer(config(name="rmsprop"), network()).param_groups[0]["momentum"] == 0
    assert create_optimizer(config(name="adam", betas=[0.8, 0.99]), network()).param_groups[0]["betas"] == (0.8, 0.99)


def test_lion_against_its_formula() -> None:
    w, m = torch.tensor([1.0, -2.0, 0.5]), torch.zeros(3)
    p = w.clone().requires_grad_()
    optimizer = Lion([p], lr=0.1, betas=(0.9, 0.99), weight_decay=0.3)
    for k in range(4):
        g = torch.tensor([0.5, -1.0 + k, 0.1 - 0.05 * k])
        p.grad = g.clone()
        optimizer.step()
        w = w * (1 - 0.1 * 0.3) - 0.1 * torch.sign(0.9 * m + 0.1 * g)
        m = 0.99 * m + 0.01 * g
    torch.testing.assert_close(p.detach(), w)


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


def test_the_encoder_has_a_rate_of_its_own() -> None:
    model = Halves()
    optimizer = create_optimizer(config(lr=1e-2, encoder_lr=0.1), model)
    inside = {id(p) for p in model.encoder.parameters()}
    set_lr(optimizer, 5e-3)
    rates = {id(p): g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert len(rates) == len(list(model.parameters()))
    assert all(rate == pytest.approx(5e-4 if i in inside else 5e-3) for i, rate in rates.items())
    with pytest.raises(ConfigError, match=r"optim\.encoder_lr: Sequential has no encoder"):
        create_optimizer(config(encoder_lr=0.1), network())


def test_a_frozen_encoder_stands_still_and_thaws() -> None:
    model = Halves()
    optimizer = create_optimizer(config(freeze="encoder", weight_decay=0.1), model)
    model.train()
    hold_still(model)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    one_step(model, optimizer)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert not any(k.startswith("encoder") for k in moved)
    assert {"head.0.weight", "head.1.running_mean"} <= moved

    freeze(model, config())  # a phase thaws it: the optimiser has it already
    model.train()
    hold_still(model)
    one_step(model, optimizer)
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert {"encoder.0.weight", "encoder.1.running_mean"} <= moved


def test_thawing_leaves_alone_what_somebody_else_froze() -> None:
    model = Halves()
    model.encoder[0].bias.requires_grad_(False)
    freeze(model, config(freeze="encoder"))
    freeze(model, config())
    assert [p.requires_grad for p in model.encoder.parameters()] == [True, False, True, True]


@every_optimizer
def test_forgetting_is_as_good_as_a_new_optimizer(name: str) -> None:
    model, other = network(), network()
    old, fresh = create_optimizer(config(name=name), model), None
    one_step(model, old)
    other.load_state_dict(model.state_dict())
    forget(old)
    fresh = create_optimizer(config(name=name), other)
    one_step(model, old)
    one_step(other, fresh)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def test_when_it_forgets() -> None:
    assert [e for e in range(1, 8) if is_due(config(reset=2), e)] == [3, 5, 7]
    assert [e for e in range(1, 4) if is_due(config(reset=1), e)] == [2, 3]
    assert not any(is_due(config(), e) for e in range(9))


def test_which_changes_need_another_optimizer() -> None:
    assert same_optimizer(config(lr=0.1, freeze="encoder"), config(lr=0.2, reset=1))
    assert not same_optimizer(config(name="sgd"), config(name="adam"))
    assert not same_optimizer(config(), config(encoder_lr=0.5))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"name": "adamww"}, r"optim\.name(.|\n)*adam, adamw, sgd, rmsprop, radam(.|\n)*'adamw'"),
        ({"name": "adam", "momentum": 0.8}, r"optim\.momentum: adam does not read 'momentum'(.|\n)*sgd, rmsprop"),
        ({"name": "rmsprop", "nesterov": False}, r"optim\.nesterov"),
        ({"name": "sgd", "betas": [0.9, 0.9]}, r"optim\.betas"),
        ({"decoupled": True}, r"optim\.decoupled: adamw does not read"),
    ],
)
def test_what_would_change_nothing_is_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        create_optimizer(config(**settings), network())
