"""What changes while the loop runs: phases, cycles, replayed batches, plateaus, compiling, thawing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from loop_runs import Killed, loaded, run, same

from podium.data.store import Store
from podium.models import create_model
from podium.recipe import ModelConfig, OptimConfig, Recipe
from podium.training import loop
from podium.training.fold_run import FoldData, run_fold


def test_phases_change_what_the_loop_works_with(fold_data: FoldData, tmp_path: Path) -> None:
    phase = "phases=[{at=2, train={batch_size=8}, optim={lr=1e-3}, loss={terms={bce=1.0}}}]"
    history = pl.read_csv(run(fold_data, tmp_path, phase, "schedule.name=constant") / "history.csv")
    assert history["lr"].to_list() == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])
    assert history["loss"][2] < history["loss"][1]  # one term less


def test_snapshots_are_kept_at_the_end_of_each_cycle_and_predict_together(fold_data: FoldData, tmp_path: Path) -> None:
    cycles = ["schedule.name=cosine", "schedule.cycles=2", "train.epochs=4"]
    folder = run(fold_data, tmp_path / "s", *cycles, "train.checkpoint=snapshots")
    assert [p.name for p in sorted(folder.glob("snapshot*.pt"))] == ["snapshot00002.pt", "snapshot00004.pt"]
    last = run(fold_data, tmp_path / "l", *cycles, "train.checkpoint=last")
    both, alone = (Store(f / "oof") for f in (folder, last))
    assert both.ids == alone.ids
    differ = [np.abs(both.image(i).astype(int) - alone.image(i)).max() for i in range(len(both))]
    assert max(differ) > 2  # the mean of two networks is not the second


def test_the_worst_batch_is_trained_on_again_exactly_also_when_resumed(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, ...]] = []
    original = loop.Training._step_in_parts
    losses = iter([1.0, 5.0, 2.0, 0.5, 3.0, 1.0, 0.7, 0.1])

    def step(self: loop.Training, batch: Any, recipe: Recipe) -> Any:
        trained.append(tuple(batch.rows.tolist()))
        again = len(trained) in (5,)
        found = original(self, batch, recipe)
        return found if again else torch.tensor(next(losses, 0.0))

    monkeypatch.setattr(loop.Training, "_step_in_parts", step)
    run(fold_data, tmp_path, "train.replay=4", "train.epochs=1")
    assert trained[4] == trained[1]
    assert len(trained) == 5


@pytest.mark.parametrize(
    "changes",
    [
        ["phases=[{at=1, train={batch_size=8}}]", "train.epochs=3"],
        ["sampling.by=hardness", "sampling.replacement=true", "train.epochs=2"],
    ],
)
def test_a_batch_is_not_replayed_where_others_come_in_its_place(
    changes: list[str], fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[tuple[int, ...]] = []
    original = loop.Training._step_in_parts

    def step(self: loop.Training, batch: Any, recipe: Recipe) -> Any:
        trained.append(tuple(batch.rows.tolist()))
        original(self, batch, recipe)
        return torch.tensor({4: 9.0, 5: 2.0}.get(len(trained), 1.0))  # the worst of all: the last of the first epoch

    monkeypatch.setattr(loop.Training, "_step_in_parts", step)
    run(fold_data, tmp_path, "train.replay=6", *changes)
    assert trained[6] == trained[4]


def test_plateau_waits_in_epochs_from_where_its_phase_began(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validate(self: loop.Training, *, last: bool) -> tuple[float | None, None]:
        return None if self.done.epoch % 2 else 0.5, None

    monkeypatch.setattr(loop.Training, "_validate", validate)
    phase = "phases=[{at=2, schedule={name='plateau', patience=2, gamma=0.1}}]"
    quick = ["train.epochs=8", "train.batch_size=16", "schedule.name=constant", "train.checkpoint=last"]
    folder = run(fold_data, tmp_path, *quick, phase)
    assert pl.read_csv(folder / "history.csv")["lr"].to_list() == pytest.approx([1e-2] * 6 + [1e-3] * 2)
    assert loaded(folder)["done"]["begun"] == {0: 0, 2: 2}


def test_compiling_is_thought_about_in_short_epochs_and_after_a_resume(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def think(self: loop.Training, pace: float) -> None:
        assert pace > 0
        asked.append((self.recipe.train.compile, self.done.epoch))
        if self.done.epoch == 2:
            raise Killed

    monkeypatch.setattr(loop, "WARM_STEPS", 6)
    monkeypatch.setattr(loop.Training, "_compile_if_it_pays", think)
    changes = ["train.compile=always", "train.epochs=3"]  # of 4 steps
    with pytest.raises(Killed):
        run(fold_data, tmp_path, *changes)
    run(fold_data, tmp_path, *changes)
    assert asked == [("always", 2), ("always", 3)]


def test_what_was_compiled_is_compiled_anew_where_several_devices_thaw() -> None:
    model = create_model(ModelConfig(arch="ternausnet11", pretrained=False, width=0.125))
    training = object.__new__(loop.Training)
    vars(training).update(
        optim=OptimConfig(freeze="encoder"), model=model, taken=30, ranks=SimpleNamespace(size=2),
        fabric=SimpleNamespace(setup_module=lambda m: m),
    )  # fmt: skip
    training._use_optim(OptimConfig(freeze="encoder", lr=1e-4))
    assert training.taken == 30
    training._use_optim(OptimConfig())
    assert training.taken == 0


def test_a_training_with_replay_is_resumed_bit_equal(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(fold_data, tmp_path / "whole", "train.replay=3")
    with monkeypatch.context() as patch:
        original = loop.Training._validate

        def validate(self: loop.Training, *, last: bool) -> Any:
            if self.done.epoch == 3:
                raise Killed
            return original(self, last=last)

        patch.setattr(loop.Training, "_validate", validate)
        with pytest.raises(Killed):
            run(fold_data, tmp_path / "killed", "train.replay=3")
    assert same(loaded(run(fold_data, tmp_path / "killed", "train.replay=3"))["model"], loaded(whole)["model"])


def test_sgd_thaws_an_encoder(fold_data: FoldData, tmp_path: Path) -> None:
    """torch's fused SGD, 2.11 to 2.15, breaks here: some momentum buffers are there and some are not yet."""
    phase = 'phases=[{at=1, optim={freeze="none"}}]'
    sgd = [
        "model.arch=ternausnet11",
        "model.width=0.125",
        "optim.name=sgd",
        "optim.freeze=encoder",
        "train.epochs=2",
        "optim.lr=1e-3",
    ]
    plain = Recipe().with_overrides(["train.batch_size=4", "train.precision=fp32", *sgd]).with_overrides([phase])
    folder = run_fold(fold_data, plain, 0, 0, tmp_path).folder
    assert np.isfinite(pl.read_csv(folder / "history.csv")["loss"].to_numpy()).all()
