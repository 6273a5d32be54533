"""Gradients cut to size, also those that are scaled, as fp16 needs it."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision
from torch import nn

from podium.recipe import Recipe, TrainConfig
from podium.training import fold_run, loop
from podium.training.clipping import clip, clips_scaled
from podium.training.fold_run import FoldData, run_fold
from podium.training.optim import create_optimizer

TINY = ["model.width=0.25", "model.depth=3", "optim.lr=1e-2", "train.epochs=2", "train.batch_size=4"]
BOTH = ["train.grad_clip=0.5", "train.clip_value=0.01"]


class Scaled(MixedPrecision):
    """What fp16 does to gradients, in fp32: convolutions of half floats take a CPU forever."""

    def __init__(self) -> None:
        super().__init__("16-mixed", "cpu", torch.amp.GradScaler("cpu", growth_interval=3))
        self._desired_input_dtype = torch.float32

    def forward_context(self) -> Any:
        return nullcontext()


def fp16() -> Fabric:
    return Fabric(accelerator="cpu", devices=1, plugins=[Scaled()])


@pytest.mark.parametrize("changes", [BOTH[:1], BOTH[1:], BOTH, ["phases=[{at=1, train={grad_clip=0.5}}]"]])
@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_scaled_gradients_are_clipped_as_plain_ones_are(name: str, changes: list[str]) -> None:
    recipe = Recipe().with_overrides([f"optim.name={name}", "optim.weight_decay=0", "optim.lr=0.1", *changes])
    recipe_now = recipe.stages()[-1][1]
    moved = []
    for fabric in (Fabric(accelerator="cpu", devices=1, precision="32-true"), fp16()):
        torch.manual_seed(0)
        model = nn.Linear(3, 2)
        made = create_optimizer(recipe.optim, model, fused=not clips_scaled(fabric, recipe))
        network, optimizer = fabric.setup(model, made)
        fabric.backward((network(torch.ones(4, 3)).float() ** 2).sum())
        clip(fabric, network, optimizer, recipe_now.train)
        moved.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
        optimizer.step()
    assert torch.allclose(moved[0], moved[1])
    assert moved[0].norm() <= 0.5001
    assert "clip_value" not in str(changes) or moved[0].abs().max() <= 0.01


def test_gradients_that_overflow_cost_a_step_and_not_the_training() -> None:
    fabric = fp16()
    model = nn.Linear(3, 2)
    network, optimizer = fabric.setup(model, create_optimizer(Recipe().optim, model, fused=False))
    before, scale = model.weight.detach().clone(), fabric._precision.state_dict()["scale"]
    fabric.backward(network(torch.full((4, 3), 60_000.0)).float().sum() * 1e34)
    clip(fabric, network, optimizer, TrainConfig(grad_clip=1.0, clip_value=1.0))
    optimizer.step()
    assert torch.equal(model.weight, before)
    assert fabric._precision.state_dict()["scale"] < scale


def test_fused_kernels_are_left_only_where_scaled_gradients_are_clipped() -> None:
    plain = Recipe().with_overrides(["train.grad_clip=none", "train.clip_value=none"])
    later = plain.with_overrides(["phases=[{at=1, train={grad_clip=0.5}}]"])
    assert clips_scaled(fp16(), later)
    assert not clips_scaled(fp16(), plain)
    assert not clips_scaled(Fabric(accelerator="cpu", devices=1, precision="bf16-mixed"), later)


def test_fp16_with_both_clips_trains_and_its_scale_is_resumed(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_run, "create_fabric", lambda *_: fp16())
    changes, scales = [*TINY, *BOTH], []
    whole = run_fold(fold_data, Recipe().with_overrides(changes), 0, 0, tmp_path / "whole").folder
    with monkeypatch.context() as patch:
        original = loop.Training._enter_epoch

        def enter(self: loop.Training) -> bool:
            if self.done.history:
                scales.append(self.fabric._precision.state_dict()["scale"])
                raise KeyboardInterrupt
            return original(self)

        patch.setattr(loop.Training, "_enter_epoch", enter)
        for _ in range(2):  # killed after an epoch, and taken up
            with pytest.raises(KeyboardInterrupt):
                run_fold(fold_data, Recipe().with_overrides(changes), 0, 0, tmp_path / "killed")
    assert scales[0] == scales[1] > 65536
    resumed = run_fold(fold_data, Recipe().with_overrides(changes), 0, 0, tmp_path / "killed").folder
    states: list[dict[str, Any]] = [torch.load(f / "last.pt", weights_only=True) for f in (whole, resumed)]
    assert states[0]["scale"] == states[1]["scale"]
    assert all(torch.equal(states[0]["model"][k], states[1]["model"][k]) for k in states[0]["model"])
    assert np.isfinite(pl.read_csv(resumed / "history.csv")["loss"].to_numpy()).all()
