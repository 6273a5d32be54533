"""`podium doctor`: what a machine can do, what bounds training on it, what to change, and how long a recipe takes."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from podium.errors import ConfigError
from podium.files import size_text
from podium.progress import counted, duration
from podium.recipe import Recipe
from podium.training.device import count_devices
from podium.training.doctor import machine as machines
from podium.training.doctor.advice import Bound, advice, bound
from podium.training.doctor.machine import Machine
from podium.training.doctor.rates import Measured, measure
from podium.training.doctor.steps import Speed, speeds, standard
from podium.training.estimate import Estimate, Pace, estimate
from podium.training.fold_run import FoldData

Row = dict[str, str]


@dataclass(frozen=True)
class Checkup:
    """All that `podium doctor` found.

    Attributes:
        network: What the precisions were timed on, in words.
        measured, bound, estimate: Of a workspace; None outside of one.
        advice: What would make training faster.
    """

    machine: Machine
    network: str
    speeds: list[Speed]
    measured: Measured | None = None
    bound: Bound | None = None
    estimate: Estimate | None = None
    advice: list[str] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        """What about the machine slows training down."""
        return machines.warnings(self.machine)

    def tree(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {"machine": asdict(self.machine), "network": self.network}
        found["precisions"] = [asdict(s) for s in self.speeds]
        if self.measured and self.bound and self.estimate:
            found |= {"rates": asdict(self.measured.rates), "batch_size": self.measured.recipe.train.batch_size}
            found["threads"] = self.measured.threads
            found |= {"bound": asdict(self.bound), "advice": self.advice}
            found["estimate"] = asdict(self.estimate) | {"seconds": self.estimate.seconds}
        return found | {"warnings": self.warnings}

    def rows(self) -> list[Row]:
        """The table: what, its figure, and a note."""
        return [
            *_machine_rows(self.machine),
            *self._speed_rows(),
            *(_rate_rows(self.measured) if self.measured else []),
        ]

    def _speed_rows(self) -> list[Row]:
        return [
            _row(
                f"step in {s.precision}",
                f"{1000 * s.seconds:.0f} ms" if s.seconds >= 0.01 else f"{1000 * s.seconds:.1f} ms",
                f"{_rate(s.images_per_s)} images/s" + (", taken by train.precision" if s.chosen else ""),
            )
            for s in self.speeds
        ]

    def told(self) -> list[str]:
        """The sentences below the table."""
        lines = []
        if self.bound and self.estimate:
            lines.append(f"training is bound by {self.bound.why}")
            lines += [f"change: {line}" for line in self.advice]
            share = f", {self.estimate.validating:.0%} of it validation" if self.estimate.validating >= 0.005 else ""
            mean = duration(self.estimate.seconds / max(1, len(self.estimate.runs)))
            lines.append(f"estimate: {self.estimate.told} ({mean} a fold{share})")
        return [*lines, *(f"warning: {line}" for line in self.warnings)]


def examine(folder: Path, seconds: float = 1.0) -> Checkup:
    """The machine alone, with podium's UNet at 256x256.

    Args:
        folder: Whose disk is timed.
        seconds: That each measurement takes, about.
    """
    found = machines.look(folder)
    task, recipe, batch = standard()
    network = f"unet, {_size(list(batch.images.shape[2:]))}, {len(batch.rows)} images a step"
    return Checkup(found, network, speeds(task, recipe, batch, seconds))


def examine_recipe(folder: Path, data: FoldData, recipe: Recipe, seconds: float = 1.0) -> Checkup:
    """The machine, and what a recipe makes of it on a workspace's data.

    Raises:
        ConfigError: for a model that is not trained step by step.
    """
    if recipe.model.arch == "features":
        raise ConfigError("'model.arch' is 'features', which takes no training steps", remedy="choose a network")
    found = machines.look(folder)
    measured = measure(data, recipe, seconds)
    rates, recipe = measured.rates, measured.recipe
    folds = [(len(data.folds.training(f)), len(data.folds.validation(f))) for f in range(data.folds.k)]
    devices = count_devices(recipe.train.devices)
    expected = estimate(recipe, Pace(devices * rates.train, rates.validate), folds)
    by, gpu = bound(rates), found.gpu is not None
    source = data.opened.kind if data.opened else "memmap"
    others: dict[str, Any] = {"source": source, "validating": expected.validating, "quiet": machines.is_quiet(found)}
    others |= {"threads": measured.threads, "now": found.threads}
    lines = advice(by, rates, measured.speeds, recipe, measured.size, gpu=gpu, **others)
    width = f" at width {recipe.model.width:g}" if recipe.model.width != 1 else ""
    network = (
        f"{recipe.model.arch}{width}, {measured.parameters / 1e6:.1f} million parameters, {_size(measured.size)}, "
        f"{counted(int(recipe.train.batch_size), 'image')} a step"
        + (f"; on one of {devices} devices, the estimate is for all" if devices > 1 else "")
    )
    return Checkup(found, network, measured.speeds, measured, by, expected, lines)


# ---------------------------------------------------------------------- rows


def _row(what: str, figure: str, note: str = "") -> Row:
    return {"what": what, "figure": figure, "note": note}


def _rate(a_second: float) -> str:
    return f"{a_second:.0f}" if a_second >= 10 else f"{a_second:.2g}"


def _size(size: list[int]) -> str:
    return f"{size[1]}x{size[0]}"


def _machine_rows(m: Machine) -> list[Row]:
    bf16 = "AMX" if m.amx else "AVX-512 BF16" if m.bf16 else "no bf16 instructions"
    rows = [_row("device", m.gpu or "cpu", f"torch {m.torch}" + (f", {size_text(m.gpu_memory)}" if m.gpu else ""))]
    of = f" of {m.cores_there}" if m.cores < m.cores_there else ""
    rows.append(_row("processor", f"{counted(m.cores, 'core')}{of}", f"{m.processor}, {bf16}"))
    rows.append(_row("threads", f"{m.threads} of torch", f"OMP_NUM_THREADS {m.omp or 'is not set'}, load {m.load:.1f}"))
    rows.append(_row("memory", f"{size_text(m.memory_free)} free", f"of {size_text(m.memory)}"))
    speed = "" if m.disk_write is None else f"writes {m.disk_write:.0f} MB/s, reads {m.disk_read:.0f} MB/s"
    rows.append(_row("disk", f"{size_text(m.disk_free)} free", speed))
    return rows


def _rate_rows(found: Measured) -> list[Row]:
    r, threads = found.rates, counted(found.loaders, "thread")
    rows = [
        _row("decode", f"{_rate(r.decode)} files/s", "once, by podium prepare"),
        _row("read", f"{r.read:.0f} images/s", f"{r.read_mb:.0f} MB/s, one thread"),
        _row("augment", f"{_rate(r.augment)} images/s", "one thread, reading included"),
        _row("loader", f"{_rate(r.load)} images/s", f"{threads}, nothing else to do"),
    ]
    if r.transfer is not None:
        rows.append(_row("transfer", f"{r.transfer:.0f} images/s", "pixels to the device"))
    steps = [_row(f"step on {counted(n, 'thread')}", f"{_rate(s)} images/s") for n, s in found.threads.items()]
    return [
        *rows,
        *steps,
        _row("step", f"{_rate(r.step)} images/s", "on a batch that is there already"),
        _row("training", f"{_rate(r.train)} images/s", f"with the loader: {min(1, r.train / r.step):.0%} of that"),
        _row("validation", f"{_rate(r.validate)} images/s", "predicted and scored at original size"),
    ]
