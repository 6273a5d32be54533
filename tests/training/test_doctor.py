"""podium doctor: warnings about machines, what bounds a training, medians by a fake clock; and one real run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from podium.cores import usable_cores
from podium.errors import ConfigError
from podium.recipe import Recipe
from podium.training.doctor import Checkup, examine_recipe
from podium.training.doctor.advice import advice, bound
from podium.training.doctor.machine import GB, Machine, look, warnings
from podium.training.doctor.rates import Rates
from podium.training.doctor.steps import Speed, precisions, standard
from podium.training.doctor.timing import per_call, per_second, side_by_side
from podium.training.fold_run import FoldData

GOOD = Machine(
    processor="one",
    cores=4,
    cores_there=4,
    threads=4,
    omp=None,
    cv2_threads=1,
    bf16=True,
    amx=True,
    load=0.3,
    others=[],
    memory=16 * GB,
    memory_free=12 * GB,
    swap_used=0,
    shared_memory=8 * GB,
    disk_free=100 * GB,
    disk_write=400.0,
    disk_read=900.0,
    gpu=None,
    gpu_memory=0,
    driver=False,
    cuda_build=None,
)


class FakeClock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# ---------------------------------------------------------------------- machine


def test_a_good_machine_has_no_warnings() -> None:
    assert warnings(GOOD) == []
    assert warnings(replace(GOOD, cores=4, threads=2)) == []  # torch leaves hyper-threads out
    assert len(warnings(replace(GOOD, threads=1, omp="1", load=4.0))) == 1  # few threads are right there


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"threads": 8, "cores_there": 8}, ["8 threads on 4 cores", "those of 8", "OMP_NUM_THREADS=4"]),
        ({"threads": 1, "omp": "1"}, ["OMP_NUM_THREADS=1 leaves 3 of 4 cores idle"]),
        ({"threads": 1}, ["torch computes with 1 of 4 cores"]),
        ({"omp": "all"}, ["OMP_NUM_THREADS is 'all'"]),
        ({"omp": "0"}, ["OMP_NUM_THREADS is '0'"]),
        ({"cv2_threads": 4}, ["OpenCV keeps 4 threads"]),
        ({"load": 3.0}, ["3.0 processes want the 4 cores"]),
        ({"others": ["12: podium try"], "load": 5.0}, ["1 other podium at work here (12: podium try)"]),
        ({"driver": True}, ["NVIDIA driver", "built for CPUs"]),
        ({"driver": True, "cuda_build": "13.0"}, ["NVIDIA driver", "does not see it"]),
        ({"bf16": False, "amx": False}, ["no bf16 instructions"]),
        ({"swap_used": 2 * GB, "memory_free": 1 * GB}, ["2.0 GB are swapped out"]),
        ({"memory_free": 1 * GB}, ["only 1.0 GB of memory"]),
        ({"disk_free": 1 * GB}, ["only 1.0 GB of the disk", "podium cache --prune"]),
        ({"disk_read": 30.0}, ["reads 30 MB/s"]),
        ({"disk_write": 5.0}, ["writes 5 MB/s"]),
        ({"shared_memory": 2**20}, ["/dev/shm has 1.0 MB"]),
    ],
)
def test_each_warning_says_what_and_what_to_do(change: dict[str, object], words: list[str]) -> None:
    found = warnings(replace(GOOD, **change))  # type: ignore[arg-type]
    assert len(found) == 1, found
    assert all(word in found[0] for word in words), found


def test_a_gpu_makes_the_cpu_matter_less() -> None:
    assert warnings(replace(GOOD, gpu="H100", driver=True, cuda_build="13.0", bf16=False, threads=1, omp="1")) == []


def test_the_quota_of_a_container_bounds_the_cores(tmp_path: Path) -> None:
    bound_to = usable_cores(tmp_path)
    assert bound_to >= 1
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    assert usable_cores(tmp_path) == 1
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert usable_cores(tmp_path) == bound_to
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(tmp_path) == bound_to
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000\n")
    assert usable_cores(tmp_path) == 1


def test_looking_leaves_nothing_behind(tmp_path: Path) -> None:
    found = look(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert 1 <= found.cores <= found.cores_there
    assert found.memory >= found.memory_free > 0
    assert found.disk_write is not None
    assert look(tmp_path).disk_free > 0


# ---------------------------------------------------------------------- timing


def test_the_median_call_is_told_and_the_first_is_not_counted() -> None:
    clock, took = FakeClock(), iter([1.5, 0.2, 0.3, 0.2, 9.0, 0.2, 0.2])

    def work() -> None:
        clock.now += next(took)

    assert per_call(work, seconds=1.0, least=5, clock=clock) == pytest.approx(0.2)


def test_what_is_compared_is_timed_by_turns() -> None:
    clock, order = FakeClock(), list[str]()

    def work(name: str, takes: float) -> None:
        order.append(name)
        clock.now += takes * (10 if 6 <= len(order) < 8 else 1)  # a disturbance that hits both alike

    works = [lambda: work("a", 0.1), lambda: work("b", 0.2)]
    assert side_by_side(works, seconds=0.5, clock=clock) == pytest.approx([0.1, 0.2])
    assert order[:4] == ["a", "b", "a", "b"]


def test_what_takes_very_long_is_done_once() -> None:
    clock = FakeClock()
    calls = []

    def work() -> None:
        calls.append(1)
        clock.now += 10

    assert per_call(work, seconds=1.0, clock=clock) == 10
    assert len(calls) == 1


def test_rates_are_medians_of_parts() -> None:
    clock = FakeClock()

    def batches() -> Iterator[int]:
        for n in itertools.count():
            clock.now += 5.0 if n in (0, 12) else 0.1  # warming up, and a hiccup
            yield 8

    assert per_second(batches(), seconds=20.0, parts=10, clock=clock) == pytest.approx(80, rel=0.15)


def test_a_rate_of_few_items() -> None:
    clock = FakeClock()

    def three() -> Iterator[int]:
        for _ in range(3):
            clock.now += 0.5
            yield 2

    assert per_second(three(), seconds=60, clock=clock) == pytest.approx(4)


# ---------------------------------------------------------------------- what bounds it

FAST = Rates(decode=300, read=9000, read_mb=400, augment=1000, load=1500, step=100, train=97, validate=300)
SPEEDS = [Speed("fp32", 0.08, 100, False), Speed("bf16", 0.08, 100, True)]


def test_the_network_bounds_it() -> None:
    found = bound(FAST)
    assert found.by == "compute"
    assert "97%" in found.why
    assert "15.0 times as many" in found.why


def test_the_data_bounds_it_by_what_takes_longest() -> None:
    slow = replace(FAST, load=60, train=55, augment=30)
    assert (bound(slow).by, bound(slow).part) == ("data", "augmentation")
    assert (bound(replace(slow, read=40)).by, bound(replace(slow, read=40)).part) == ("data", "reading")
    shared = bound(replace(FAST, train=60, load=400))  # it could keep up if the cores were its own
    assert shared.by == "data"
    assert "share the cores" in shared.why
    assert bound(replace(FAST, train=30)).by == "compute"  # whatever disturbs it, the loader is far ahead


def test_the_bus_bounds_it() -> None:
    assert bound(replace(FAST, step=5000, train=900, load=4000, transfer=1000)).by == "transfer"


def told(rates: Rates, *changes: str, speeds: list[Speed] = SPEEDS, gpu: bool = False, **other: object) -> list[str]:
    recipe = Recipe().with_overrides(list(changes))
    return advice(bound(rates), rates, speeds, recipe, [256, 256], gpu=gpu, **other)  # type: ignore[arg-type]


def test_advice_is_settings_that_can_be_typed() -> None:
    lines = told(FAST)
    assert "input.size=[96, 128]" in lines[0] or "input.size=[96, 96]" in lines[0] or "[128, 128]" in lines[0]
    assert "model.width=0.5" in lines[1]
    assert "input.size" not in told(FAST, "input.train_crop=256")[0], "not shrunk on purpose"
    faster = [Speed("fp32", 0.02, 400, False), Speed("bf16", 0.08, 100, True)]
    assert told(FAST, speeds=faster)[0] == "fp32 is 4.0 times as fast here as bf16: train.precision=fp32"
    assert "train.val_every=" in told(FAST, validating=0.5)[-1]
    assert all("width" not in line for line in told(FAST, gpu=True))
    one = told(FAST, threads={1: 70.0, 2: 10.0}, now=2)[0]
    assert "on 1 of torch's threads are 7.0 times as fast as on 2" in one
    assert one.endswith("export OMP_NUM_THREADS=1")
    assert told(FAST, threads={1: 70.0, 2: 75.0}, now=1) == told(FAST)
    assert told(FAST, speeds=[Speed("fp32", 0.06, 133, False), SPEEDS[1]], quiet=False) == told(FAST)
    slow = replace(FAST, load=60, train=55, augment=30)
    assert "augment.elastic=0 augment.blur=0" in told(slow, "augment.elastic=0.5", "augment.blur=0.1")[0]
    assert "plug-in" in told(slow, "augment.extra=a.py:b")[0]
    assert "decoded each time" in told(replace(slow, read=40), source="jpeg")[0]
    assert "Recipe" not in str(lines)
    for line in lines:
        for word in line.split():
            if "=" in word and "[" not in word:
                Recipe().with_overrides([word.rstrip(",;:")])


# ---------------------------------------------------------------------- a real, tiny one


def test_a_workspace_is_measured(fold_data: FoldData, blobs: tuple[Path, object], tmp_path: Path) -> None:
    from podium.data.ready import make_ready

    ready = make_ready(fold_data.competition, blobs[0], None)
    data = replace(fold_data, samples=ready.samples, opened=ready.opened)
    recipe = Recipe().with_overrides(["model.width=0.125", "model.depth=2", "train.batch_size=4", "train.epochs=3"])
    found = examine_recipe(tmp_path, data, recipe, seconds=0.05)
    assert list(tmp_path.iterdir()) == [], "nothing is kept"
    assert found.measured is not None
    assert found.estimate is not None
    rates = {k: v for k, v in asdict(found.measured.rates).items() if k != "transfer"}
    assert all(rate > 0 for rate in rates.values()), rates
    assert found.measured.size == [64, 64]
    assert [s.precision for s in found.speeds] == precisions(found.machine.gpu is not None)
    assert sum(s.chosen for s in found.speeds) == 1
    assert len(found.estimate.runs) == 3
    assert torch.get_num_threads() == found.machine.threads, "put back"
    tree = json.loads(json.dumps(found.tree()))
    assert {"machine", "precisions", "rates", "bound", "advice", "estimate", "warnings"} <= set(tree)
    assert tree["batch_size"] == 4
    assert [row["what"] for row in found.rows()][-2:] == ["training", "validation"]
    assert any(line.startswith("estimate: 3 epochs x 3 folds: about ") for line in found.told())


def test_frozen_features_take_no_steps(fold_data: FoldData, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="takes no training steps"):
        examine_recipe(tmp_path, fold_data, Recipe().with_overrides(["model.arch=features"]))


def test_outside_of_a_workspace_only_the_machine_is_told() -> None:
    task, recipe, batch = standard(32)
    assert batch.images.shape[1:] == (3, 32, 32)
    assert task.outputs == 1
    assert recipe.model.arch == "unet"
    found = Checkup(GOOD, "unet", SPEEDS)
    assert set(found.tree()) == {"machine", "network", "precisions", "warnings"}
    assert [row["what"] for row in found.rows()][-2:] == ["step in fp32", "step in bf16"]
    assert found.told() == []
