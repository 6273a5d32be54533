"""Several devices: the same training as on one, in processes that end together. Here they are CPUs and gloo."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from ddp_runs import close, loaded, recipe, run, same
from torch import nn

from podium.config import read_toml
from podium.data.ready import make_ready
from podium.errors import ConfigError, TrainingError
from podium.files import is_complete
from podium.recipe import Recipe
from podium.training import fold_run, loop
from podium.training.device import create_fabric, to_device
from podium.training.evaluate import Predictor, share_of
from podium.training.fold_run import FoldData, run_fold
from podium.training.launch import launch
from podium.training.out_of_fold import predict_out_of_fold
from podium.training.ranks import Ranks
from podium.training.tasks import Task, create_task
from task_drawing import draw_task, metric_of


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        [],
        ["train.batch_size=5", "train.accumulate=2", "train.grad_clip=0.5"],  # slices of 2 and 3 samples
        ["sampling.by=hardness", "sampling.replacement=true", "train.ema=0.9"],
        ["model.norm=batch", "augment.mixup=0.5"],
        [
            "optim.momentum=0",
            "optim.nesterov=false",
            "optim.freeze=encoder",
            'phases=[{at=1, optim={freeze="none", lr=5e-3}}]',
            "train.replay=2",
        ],
    ],
)
def test_two_devices_end_with_the_weights_of_one(changes: list[str], fold_data: FoldData, tmp_path: Path) -> None:
    one, two = (run(fold_data, tmp_path / str(n), n, *changes) for n in (1, 2))
    assert close(loaded(one)["model"], loaded(two)["model"])
    read = [pl.read_csv(folder / "history.csv") for folder in (one, two)]
    assert read[0]["loss"].to_list() == pytest.approx(read[1]["loss"].to_list(), rel=1e-4)
    assert read[0]["lr"].to_list() == read[1]["lr"].to_list()


def predict(ranks: Ranks, data: FoldData, wanted: Recipe, folder: Path) -> None:
    """Predict fold 0 with an untrained network, the same in every process."""
    torch.manual_seed(0)
    fabric, task = create_fabric("fp32", ranks.size), create_task(data.competition, data.metric, wanted)
    predictor = Predictor(fabric, [to_device(task.create_model(), fabric)], task)
    images, rows = data.images(wanted), [data.stores.images.row[id] for id in data.folds.validation(0)]
    own = share_of(predictor, images, rows, ranks)
    measured = predict_out_of_fold(predictor, data.stores.images.ids, images, data.truth, own, folder, ranks)
    if ranks.first:
        assert measured is not None
        np.savez(folder / "measured.npz", **measured.arrays)
        (folder / "rows.txt").write_text(f"{len(own)} of {len(rows)}")


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 8])  # 8 images in two batches, or in one, so that one device has nothing to do
def test_predictions_and_what_is_measured_are_those_of_one_process(
    size: int, fold_data: FoldData, tmp_path: Path
) -> None:
    wanted = recipe(f"train.batch_size={size}", 'predict.tta=["hflip"]')
    for devices in (1, 2):
        launch(devices, predict, fold_data, wanted, tmp_path / str(devices))
    one, two = tmp_path / "1", tmp_path / "2"
    assert (two / "rows.txt").read_text() == ("4 of 8" if size == 2 else "0 of 8")
    assert {p.name for p in two.iterdir()} == {"oof", "measured.npz", "rows.txt"}
    assert (one / "oof/pixels.bin").read_bytes() == (two / "oof/pixels.bin").read_bytes()
    assert pl.read_parquet(one / "oof/index.parquet").equals(pl.read_parquet(two / "oof/index.parquet"))
    a, b = np.load(one / "measured.npz"), np.load(two / "measured.npz")
    assert a.files == b.files
    assert all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a.files)
    assert a["predicted"].any()


@pytest.mark.slow
def test_a_run_on_two_devices_leaves_what_one_leaves(
    fold_data: FoldData, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = run(fold_data, tmp_path, 2, "train.batch_size=auto", "train.checkpoint=top3", "train.epochs=4")
    names = {"COMPLETE", "top3.pt", "last.pt", "history.csv", "log.txt", "run.toml", "scores.parquet", "oof",
             "first_batch.jpg", "extremes.jpg"}  # fmt: skip
    assert {p.name for p in folder.iterdir()} == names
    facts, history = read_toml(folder / "run.toml"), pl.read_csv(folder / "history.csv")
    assert facts["device"].startswith("2 x cpu")
    assert facts["batch_size"] == 4  # two for each
    assert len(history) == 4
    said = capfd.readouterr().err
    assert said == (folder / "log.txt").read_text()  # each line once, and nothing else
    assert len(set(said.splitlines())) == len(said.splitlines())


@pytest.mark.slow
def test_values_of_a_table_are_predicted_once_and_in_order(tmp_path: Path) -> None:
    competition = draw_task(tmp_path, "several labels", 12)
    changes = ["model.arch=resnet_small", "model.width=0.125", "loss.terms={bce=1}", "optim.lr=1e-3"]
    wanted = Recipe().with_overrides([*changes, "train.epochs=1", "train.batch_size=4", "train.precision=fp32"])
    prepared = make_ready(competition, tmp_path, wanted.input)
    metric = metric_of(competition)
    data = FoldData(competition, prepared.stores, prepared.folds, metric, prepared.samples)
    one, two = (
        run_fold(data, wanted.with_overrides([f"train.devices={n}"]), 0, 0, tmp_path / f"attempt{n}") for n in (1, 2)
    )
    tables = [pl.read_parquet(next((r.folder / "oof").glob("*.parquet"))) for r in (one, two)]
    assert tables[0]["id"].to_list() == tables[1]["id"].to_list() == data.folds.validation(0)
    for name in tables[0].columns[1:]:
        assert np.allclose(tables[0][name], tables[1][name], atol=1e-4)
    assert one.scores().select("id", "fold").equals(two.scores().select("id", "fold"))


def with_a_spare_part(ranks: Ranks, *args: Any) -> None:
    """A network of which a part is not used."""
    create = Task.create_model

    def larger(self: Task, **given: Any) -> nn.Module:
        model = create(self, **given)
        model.spare = nn.Linear(2, 2)
        return model

    Task.create_model = larger  # type: ignore[method-assign]
    fold_run_in_process(ranks, *args)


@pytest.mark.slow
def test_parameters_without_a_gradient_are_not_waited_for(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = loaded(run(fold_data, tmp_path / "plain", 2))["model"]
    monkeypatch.setattr(fold_run, "_in_process", with_a_spare_part)
    found = loaded(run(fold_data, tmp_path / "larger", 2))["model"]
    assert {"spare.weight", "spare.bias"} == found.keys() - plain.keys()


def all_alike(ranks: Ranks, *args: Any) -> None:
    """Says in a file whether all processes ended with the same weights; their clocks differ by a second."""
    *given, _, runs = args
    run = loop.Training.run

    def compared(self: loop.Training) -> Any:
        done = run(self)
        weights = {name: value.numpy() for name, value in self.model.state_dict().items()}
        one, other = ranks.gather([weights, [(e.lr, e.score) for e in done.history]])
        alike = one[1] == other[1] and all(np.array_equal(one[0][name], other[0][name]) for name in weights)
        (self.setting.folder / "alike.txt").write_text(f"{alike} {len(done.history)}")
        return done

    loop.Training.run = compared  # type: ignore[method-assign]
    fold_run_in_process(ranks, *given, time.monotonic() - ranks.rank, runs)  # how long it took to start does not count


@pytest.mark.slow
def test_by_the_clock_all_anneal_and_end_alike(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fold_run, "_in_process", all_alike)
    folder = run(fold_data, tmp_path, 2, "train.time=10s", "model.norm=batch", "optim.name=adamw", "train.ema=0.9")
    alike, epochs = (folder / "alike.txt").read_text().split()
    assert alike == "True"
    assert int(epochs) > 1


# ---------------------------------------------------------------------- how it ends


def with_dropout(ranks: Ranks, *args: Any) -> None:
    """A network that draws random numbers: each process its own. What it saves, it saves after every step."""
    loop.CHECK = 1
    create = Task.create_model

    def dropping(self: Task, **given: Any) -> nn.Module:
        model = create(self, **given)
        model.register_forward_hook(lambda m, _, out: nn.functional.dropout(out, 0.3, m.training))
        return model

    Task.create_model = dropping  # type: ignore[method-assign]
    fold_run_in_process(ranks, *args)


def stopping(ranks: Ranks, *args: Any) -> None:
    """A training of which one process is killed in its sixth step."""
    step, steps = loop.Training._step, []

    def counted(self: loop.Training, *given: Any) -> Any:
        steps.append(1)
        if len(steps) == 6 and ranks.rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, *given)

    loop.Training._step = counted  # type: ignore[method-assign]
    with_dropout(ranks, *args)


def short_of_memory(ranks: Ranks, *args: Any) -> None:
    """The second device holds two samples at a time."""
    original = Task.loss

    def full(self: Task, logits: Any, batch: Any) -> Any:
        if ranks.rank == 1 and len(batch.rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return original(self, logits, batch)

    Task.loss = full  # type: ignore[method-assign]
    fold_run_in_process(ranks, *args)


fold_run_in_process = fold_run._in_process


@pytest.mark.slow
def test_killed_it_goes_on_and_ends_with_equal_weights(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = ["model.norm=batch", "train.batch_size=4", "train.save_every=1e-9"]
    monkeypatch.setattr(fold_run, "_in_process", with_dropout)
    whole = run(fold_data, tmp_path / "whole", 2, *changes)
    with monkeypatch.context() as patch:
        patch.setattr(fold_run, "_in_process", stopping)
        with pytest.raises(TrainingError, match="the process of device 1 ended by signal 9"):
            run(fold_data, tmp_path / "killed", 2, *changes)
    folder = tmp_path / "killed/fold0-seed0"
    assert not is_complete(folder)
    assert loaded(folder)["done"]["step"] == 1  # of the second epoch
    resumed = run(fold_data, tmp_path / "killed", 2, *changes)
    assert same(loaded(resumed)["model"], loaded(whole)["model"])
    read = [pl.read_csv(f / "history.csv", columns=["epoch", "lr", "loss", "score"]) for f in (whole, resumed)]
    assert read[0].equals(read[1])


@pytest.mark.slow
def test_out_of_memory_on_one_device_all_compute_in_smaller_parts(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(fold_data, tmp_path / "whole", 2, "train.accumulate=2")
    monkeypatch.setattr(fold_run, "_in_process", short_of_memory)
    found = run(fold_data, tmp_path / "found", 2)
    assert read_toml(found / "run.toml")["pieces"] == 2
    assert "out of memory on one of 2 devices" in (found / "log.txt").read_text()
    assert same(loaded(found)["model"], loaded(whole)["model"])


def fails(ranks: Ranks, folder: Path, how: str) -> None:
    """The second process fails, while the first waits for it."""
    (folder / str(ranks.rank)).write_text(str(os.getpid()))
    ranks.wait()
    if ranks.rank == 1:
        if how == "interrupted":
            os.kill(os.getppid(), signal.SIGINT)
        elif how == "dies":
            os._exit(3)
        elif how == "a bug":
            raise ZeroDivisionError("of mine")
        else:
            raise ConfigError("'x' is 1", where="recipe", expected="2", remedy="set x=2")
    time.sleep(0.2 * (how == "interrupted"))
    ranks.wait()
    time.sleep(60)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "error", "says"),
    [
        ("told", ConfigError, "recipe: 'x' is 1\n  expected: 2\n  to do:    set x=2"),
        ("a bug", ZeroDivisionError, "of mine"),
        ("dies", TrainingError, "the process of device 1 ended with exit code 3"),
        ("interrupted", KeyboardInterrupt, ""),
    ],
)
def test_what_ends_one_process_ends_all_with_one_error(
    how: str, error: type[BaseException], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    with pytest.raises(error) as caught:
        launch(2, fails, tmp_path, how)
    assert time.monotonic() - begun < 50  # nobody slept on
    assert says in str(caught.value)
    if how == "a bug":
        assert "in fails" in caught.value.__notes__[0]
    for rank in "01":
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / rank).read_text()), 0)
    assert capfd.readouterr().err == ""
