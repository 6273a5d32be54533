"""The loop's own promises: exact resumption within an epoch, memory, time, averages, and the choice of checkpoint."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from loop_runs import Killed, close, loaded, recipe, run, same

from podium.config import read_toml
from podium.errors import TrainingError
from podium.training import fold_run, loop
from podium.training.budget import Budget
from podium.training.fold_run import FoldData, run_fold
from podium.training.tasks import Task


@pytest.mark.parametrize("changes", [[], ["train.ema=0.9"], ["train.swa=0.2"]])
def test_killed_within_an_epoch_it_goes_on_from_the_step_that_was_saved(
    changes: list[str], fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(fold_data, tmp_path / "whole", *changes)
    steps: list[int] = []
    with monkeypatch.context() as patch:
        patch.setattr(loop, "CHECK", 1)
        original = loop.Training._step

        def step(self: loop.Training, *args: Any) -> Any:
            if len(steps) == 10:
                raise Killed
            steps.append(1)
            return original(self, *args)

        patch.setattr(loop.Training, "_step", step)
        with pytest.raises(Killed):
            run(fold_data, tmp_path / "killed", *changes, "train.save_every=1e-9")
    assert loaded(tmp_path / "killed/fold0-seed0")["done"]["step"] == 10 % 4
    resumed = run(fold_data, tmp_path / "killed", *changes, "train.save_every=1e-9")
    assert same(loaded(resumed)["model"], loaded(whole)["model"])
    read = partial(pl.read_csv, columns=["epoch", "lr", "loss", "score"])
    assert read(resumed / "history.csv").equals(read(whole / "history.csv"))


def test_out_of_memory_the_step_is_made_in_parts_and_nothing_is_lost(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = run(fold_data, tmp_path / "parts", "train.accumulate=2")
    original = Task.loss

    def full(self: Task, logits: Any, batch: Any) -> Any:
        if len(batch.rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return original(self, logits, batch)

    monkeypatch.setattr(Task, "loss", full)
    found = run(fold_data, tmp_path / "full")
    assert read_toml(found / "run.toml")["pieces"] == 2
    assert "out of memory; from here 2 samples at a time, each step still of all" in capsys.readouterr().err
    # batch norm has seen the first batch once more, before memory ran out: its statistics differ by that alone
    weights = [
        {k: v for k, v in loaded(f)["model"].items() if "running" not in k and "num_" not in k} for f in (parts, found)
    ]
    assert same(*weights)


def test_a_sample_that_does_not_fit_is_an_error_with_what_to_do(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Task, logits: Any, batch: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Task, "loss", full)
    with pytest.raises(TrainingError, match="memory does not hold one sample"):
        run(fold_data, tmp_path)


def test_an_error_that_is_not_about_memory_passes(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Task, logits: Any, batch: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Task, "loss", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(fold_data, tmp_path)


def test_parts_of_a_step_add_up_to_the_step(fold_data: FoldData, tmp_path: Path) -> None:
    plain = ["model.norm=none", "optim.name=sgd", "optim.lr=1e-2", "train.epochs=2"]  # batch norm sees parts
    one, two = (run(fold_data, tmp_path / str(n), *plain, f"train.accumulate={n}") for n in (1, 2))
    assert close(loaded(one)["model"], loaded(two)["model"], atol=1e-5)


def test_auto_batch_is_found_and_written_down(
    fold_data: FoldData, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = run(fold_data, tmp_path, "train.batch_size=auto", "train.epochs=1")
    assert read_toml(found / "run.toml")["batch_size"] == 2  # of 16 samples: an epoch has its steps
    assert "batches of 2: a sample takes" in capsys.readouterr().err


def test_a_resumed_training_has_the_batches_it_began_with(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = iter([4, 2])  # other memory is free by then
    monkeypatch.setattr(fold_run, "auto_batch", lambda *_: next(sizes))
    with monkeypatch.context() as patch:
        patch.setattr(loop.Choice, "finish", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run(fold_data, tmp_path, "train.batch_size=auto", "train.epochs=1")
    assert (
        read_toml(run(fold_data, tmp_path, "train.batch_size=auto", "train.epochs=1") / "run.toml")["batch_size"] == 4
    )


@pytest.mark.parametrize("how", ["last", "best", "loss", "top3"])
def test_the_checkpoint_that_was_chosen_predicts(how: str, fold_data: FoldData, tmp_path: Path) -> None:
    folder = run(fold_data, tmp_path, f"train.checkpoint={how}", "train.epochs=6")
    history = pl.read_csv(folder / "history.csv")
    chosen, names = loaded(folder, f"{how}.pt"), {p.name for p in folder.glob("*.pt")}
    assert names == {"last.pt", f"{how}.pt"}
    if how == "best":
        assert chosen["epoch"] == history["score"].arg_max() + 1
        assert chosen["value"] == history["score"].max()
    if how == "loss":
        assert chosen["epoch"] == history["val_loss"].arg_min() + 1
        assert history["val_loss"].null_count() == 0
    else:
        assert history["val_loss"].null_count() == len(history)
    if how == "top3":
        best = sorted(range(6), key=lambda i: (-history["score"][i], i))[:3]
        assert chosen["epochs"] == sorted(i + 1 for i in best)
    score = read_toml(folder / "run.toml")["score"]
    if how in ("best", "last"):
        assert score == pytest.approx(history["score"].max() if how == "best" else history["score"][-1], abs=1e-9)


@pytest.mark.parametrize("gone", [1, 3])
def test_a_mean_of_the_best_three_outlives_a_kill_while_or_after_its_parts_are_deleted(
    gone: int, fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        original, deleted = Path.unlink, list[str]()

        def unlink(self: Path, *args: Any, **given: Any) -> None:
            if (self.parent / "top3.pt").exists() and self.name.startswith("epoch"):
                if len(deleted) == gone:
                    raise Killed
                deleted.append(self.name)
            original(self, *args, **given)

        def predict(*args: Any) -> None:
            raise Killed

        patch.setattr(Path, "unlink", unlink)
        patch.setattr(fold_run, "predict_out_of_fold", predict)
        with pytest.raises(Killed):
            run(fold_data, tmp_path, "train.checkpoint=top3", "train.epochs=3")
    whole = loaded(tmp_path / "fold0-seed0", "top3.pt")
    folder = run(fold_data, tmp_path, "train.checkpoint=top3", "train.epochs=3")
    assert same(loaded(folder, "top3.pt")["model"], whole["model"])
    assert whole["epochs"] == [1, 2, 3]
    assert not list(folder.glob("epoch*.pt"))


def test_the_validation_loss_counts_every_sample_once_and_alike(fold_data: FoldData, tmp_path: Path) -> None:
    folders = [run(fold_data, tmp_path / str(n), "train.checkpoint=loss", "train.epochs=1", f"train.batch_size={n}",
                   "optim.lr=1e-9", "optim.weight_decay=0") for n in (1, 3)]  # fmt: skip
    a, b = (pl.read_csv(f / "history.csv")["val_loss"][0] for f in folders)
    assert np.isfinite(a)
    assert a == pytest.approx(b, rel=0.2)  # batch norm's statistics are of one or three samples


def test_the_average_predicts_and_the_weights_train_on(fold_data: FoldData, tmp_path: Path) -> None:
    plain, averaged = (run(fold_data, tmp_path / str(i), *c) for i, c in enumerate(([], ["train.ema=0.9"])))
    state = loaded(averaged)
    assert same(state["raw"], loaded(plain)["model"])  # the training itself is the same
    assert not same(state["model"], state["raw"])


def test_stops_when_nothing_gets_better(fold_data: FoldData, tmp_path: Path) -> None:
    folder = run(
        fold_data, tmp_path, "optim.lr=1e-9", "train.epochs=50", "train.early_stop=2", "schedule.name=constant"
    )
    history = pl.read_csv(folder / "history.csv")
    assert len(history) < 50
    assert "stopped: no better dice in 2 epochs" in (folder / "log.txt").read_text()


@pytest.mark.parametrize("where", ["finish", "_validate"])
def test_killed_at_the_very_end_of_an_epoch_it_goes_on_as_if_nothing_had_happened(
    where: str, fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an early stop; and in the last validation, where the last step had just been saved."""
    stops = ["train.early_stop=1", "train.epochs=3"]
    changes = [*(stops if where == "finish" else ["train.epochs=2"]), "train.save_every=1e-9"]
    monkeypatch.setattr(loop, "CHECK", 1)
    if where == "finish":  # never better than at first
        monkeypatch.setattr(loop.Training, "_validate", lambda self, *, last: (1 / self.done.epoch, None))
    whole = run(fold_data, tmp_path / "whole", *changes)
    with monkeypatch.context() as patch:
        validated: list[int] = []

        def killed(self: Any, *args: Any, **given: Any) -> Any:
            validated.append(1)
            if where == "finish" or len(validated) == 2:
                raise Killed
            return original(self, *args, **given)

        owner: Any = loop.Choice if where == "finish" else loop.Training
        original = getattr(owner, where)
        patch.setattr(owner, where, killed)
        with pytest.raises(Killed):
            run(fold_data, tmp_path / "killed", *changes)
    resumed = run(fold_data, tmp_path / "killed", *changes)
    read = partial(pl.read_csv, columns=["epoch", "lr", "loss", "score"])
    assert read(resumed / "history.csv").equals(read(whole / "history.csv"))
    assert len(read(whole / "history.csv")) == 2
    assert same(loaded(resumed)["model"], loaded(whole)["model"])


@pytest.mark.parametrize("how", ["best", "loss", "top3"])
def test_without_any_score_there_is_nothing_to_choose_and_the_error_says_what_to_do(
    how: str, fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop.Training, "_validate", lambda self, *, last: (math.nan, math.nan))
    with pytest.raises(TrainingError, match=rf"was nan in every epoch(.|\n)*checkpoint={how}(.|\n)*checkpoint=last"):
        run(fold_data, tmp_path, f"train.checkpoint={how}", "train.epochs=1")


def test_an_epoch_without_a_score_is_not_the_best(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {1: math.nan, 2: 0.5, 3: 0.4}
    monkeypatch.setattr(loop.Training, "_validate", lambda self, *, last: (scores[self.done.epoch], None))
    folder = run(fold_data, tmp_path, "train.epochs=9", "train.early_stop=1")
    facts = read_toml(folder / "run.toml")
    assert (facts["best_epoch"], facts["epochs"]) == (2, 3)


class Clock:
    """A tenth of a second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.1
        return self.now


def test_by_time_the_schedule_anneals_to_the_end(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "Budget", partial(Budget, clock=Clock()))
    folder = run(fold_data, tmp_path, "train.time=20s", "train.checkpoint=last", "schedule.name=cosine")
    history, facts = pl.read_csv(folder / "history.csv"), read_toml(folder / "run.toml")
    assert len(history) == facts["epochs"] > 4
    rates = history["lr"].to_list()
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 2e-3 * 1e-2 * 100
    assert history["score"].null_count() > 0  # validation is not the most of it


def test_val_every_leaves_epochs_unvalidated_but_not_the_last(fold_data: FoldData, tmp_path: Path) -> None:
    scores = pl.read_csv(run(fold_data, tmp_path, "train.val_every=3", "train.epochs=5") / "history.csv")["score"]
    assert [s is not None for s in scores.to_list()] == [False, False, True, False, True]


def test_a_best_epoch_is_told_only_where_one_was_chosen(fold_data: FoldData, tmp_path: Path) -> None:
    for how in ("best", "last"):
        folder = run(fold_data, tmp_path / how, f"train.checkpoint={how}", "train.epochs=2")
        assert ("best_epoch" in (folder / "run.toml").read_text()) == (how == "best")
        assert ("best epoch" in (folder / "log.txt").read_text()) == (how == "best")


def test_gradients_are_cut_by_value(fold_data: FoldData, tmp_path: Path) -> None:
    sgd = ["optim.name=sgd", "optim.momentum=0", "optim.nesterov=false", "optim.weight_decay=0", "train.epochs=1"]
    torch.manual_seed(0)
    folder = run(fold_data, tmp_path, *sgd, "optim.lr=1", "schedule.name=constant", "train.clip_value=1e-6")
    plain = run(fold_data, tmp_path / "p", *sgd, "optim.lr=1e-9", "schedule.name=constant")
    a, b = loaded(folder)["model"], loaded(plain)["model"]
    moved = max(float((a[k] - b[k]).abs().max()) for k in a if k.endswith(("weight", "bias")))
    assert 0 < moved <= 4.1e-6  # four steps


def test_no_time_left_for_a_step_is_one_clear_error(fold_data: FoldData, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"was over before the first step: 10\d s went into preparing the data"):
        run_fold(fold_data, recipe("train.time=90s"), 0, 0, tmp_path, spent=100.0)
