"""The loop's own promises: exact resumption within an epoch, memory, time, averages, and the choice of checkpoint."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from podium.config import read_toml
from podium.data.store import Store
from podium.errors import TrainingError
from podium.models import create_model
from podium.recipe import ModelConfig, OptimConfig, Recipe
from podium.training import fold_run, loop
from podium.training.budget import Budget
from podium.training.fold_run import FoldData, run_fold
from podium.training.tasks import Task

TINY = ["model.width=0.25", "model.depth=3", "optim.lr=1e-2", "train.epochs=4", "train.batch_size=4"]


def recipe(*changes: str) -> Recipe:
    return Recipe().with_overrides([*TINY, "train.precision=fp32"]).with_overrides(list(changes))


def run(data: FoldData, folder: Path, *changes: str) -> Path:
    return run_fold(data, recipe(*changes), 0, 0, folder).folder


def loaded(folder: Path, name: str = "last.pt") -> dict[str, Any]:
    return dict(torch.load(folder / name, weights_only=True))


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def close(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor], atol: float) -> bool:
    return all(torch.allclose(a[k].float(), b[k].float(), atol=atol) for k in a)


class Killed(BaseException):
    pass


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


def test_phases_change_what_the_loop_works_with(fold_data: FoldData, tmp_path: Path) -> None:
    phase = "phases=[{at=2, train={batch_size=8}, optim={lr=1e-3}, loss={terms={bce=1.0}}}]"
    history = pl.read_csv(run(fold_data, tmp_path, phase, "schedule.name=constant") / "history.csv")
    assert history["lr"].to_list() == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3])
    assert history["loss"][2] < history["loss"][1]  # one term less


def test_a_best_epoch_is_told_only_where_one_was_chosen(fold_data: FoldData, tmp_path: Path) -> None:
    for how in ("best", "last"):
        folder = run(fold_data, tmp_path / how, f"train.checkpoint={how}", "train.epochs=2")
        assert ("best_epoch" in (folder / "run.toml").read_text()) == (how == "best")
        assert ("best epoch" in (folder / "log.txt").read_text()) == (how == "best")


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
