"""The ledger: ten thousand attempts listed, and a verdict over many samples."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.harness import Benchmark, Pair, Seconds
from podium.config import emit_toml
from podium.ledger.fold_runs import fold_run_name
from podium.ledger.verdict import Run, compare, decide, fold_order, paired_runs, run_noise
from podium.recipe import Recipe

K = 5
COMPETITION = {"name": "bench", "metric": "dice", "data": {"train_images": "*.png", "train_masks": "{id}.png"}}
Tables = dict[tuple[int, int], pl.DataFrame]
PODIUM = Path(sys.executable).with_name("podium")
PEERS = 200
"""Folders that the peer of the listing reads; its time is scaled to all of them."""


def make_ledger(root: Path, attempts: int, samples: int = 200) -> Path:
    """A workspace with attempts of 5 folds as `podium try` leaves them, but for networks and predictions.

    One in ten is a YES and became the champion; the others are a NO. Each change is of the learning rate.
    """
    root.mkdir(parents=True)
    (root / "competition.toml").write_text(emit_toml(COMPETITION, {}))
    rng, recipe = np.random.default_rng(0), Recipe()
    whole = recipe.to_toml()
    line = next(text for text in whole.splitlines() if text.startswith("lr = "))
    tables = [_bytes(_table(rng, fold, samples)) for fold in range(K)]
    for n in range(attempts):
        folder = root / "attempts" / f"{n:04d}-{'baseline' if not n else f'try{n}'}"
        folder.mkdir(parents=True)
        yes, lr = n % 10 == 0, 1e-3 + n * 1e-7
        change = {"optim.lr": {"from": recipe.optim.lr, "to": lr}} if n else {}
        head = {"created": f"2026-01-01T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}+00:00", "folds": "0" * 16}
        head |= {"parent": (n - 1) // 10 * 10, "change": change} if n else {}
        files = {"recipe.toml": whole.replace(line, f"lr = {lr!r}"), "change.toml": emit_toml(head, {})}
        files |= {"why.md": f"does it learn faster? (idea {n})\n", "COMPLETE": ""}
        if n:
            files["verdict.toml"] = emit_toml(_verdict(rng, yes=yes), {})
        if n and yes:
            crown = {"at": f"2026-01-02T{head['created'][11:]}", "why": "YES after 5 folds", "by": "verdict"}
            files["champion.toml"] = emit_toml(crown, {})
        for name, text in files.items():
            (folder / name).write_text(text)
        for fold in range(K):
            run = folder / fold_run_name(fold, 0)
            run.mkdir()
            (run / "run.toml").write_text(emit_toml(_facts(rng, fold, samples), {}))
            (run / "scores.parquet").write_bytes(tables[fold])
            (run / "COMPLETE").touch()
    return root


def _table(rng: np.random.Generator, fold: int, samples: int) -> pl.DataFrame:
    ids = [f"image_{fold}_{i:06d}" for i in range(samples)]
    groups = [f"group_{fold}_{i // 16:05d}" for i in range(samples)]
    score = np.clip(rng.normal(0.8, 0.1, samples), 0, 1)
    return pl.DataFrame({"id": ids, "group": groups, "fold": [fold] * samples, "score": score})


def _bytes(table: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    table.write_parquet(buffer)
    return buffer.getvalue()


def _verdict(rng: np.random.Generator, *, yes: bool) -> dict[str, Any]:
    gain, per_fold = float(rng.normal(0, 0.002)), rng.normal(0, 0.002, (3, K))
    return {
        "verdict": "YES" if yes else "NO",
        "gain": gain,
        "folds": K,
        "sentence": f"{'YES' if yes else 'NO'} after {K} folds: {gain:+.4f}",
        "reason": "better" if yes else "could be luck",
        "raw_gain": gain * 1.2,
        "se": 0.001,
        "noise_floor": 0.0021,
        "evidence": 12.0,
        "fold_runs": K,
        "gains": per_fold[0].tolist(),
        "variances": (per_fold[1] ** 2).tolist(),
        "weights": [1.5] * K,
    }


def _facts(rng: np.random.Generator, fold: int, samples: int) -> dict[str, Any]:
    facts: dict[str, Any] = {"fold": fold, "seed": 0, "metric": "dice", "score": float(rng.normal(0.8, 0.01))}
    facts |= {"samples": samples, "batch_size": 16, "seconds": 412.7, "epochs": 20, "best_epoch": 17, "steps": 6100}
    facts |= {"device": "NVIDIA H100", "precision": "bf16-mixed", "images_per_s": 811.2, "parameters": 24_436_369}
    facts |= {"seconds_by_phase": {"begin": 1.5, "train": 390.1, "validate": 15.1, "predict": 6.0}}
    return facts | {"versions": {"python": "3.11.7", "torch": "2.11.0", "podium": "0.1.0"}}


def attempts_10k(tiny: bool, folder: Path) -> Pair:
    n = 20 if tiny else 10_000
    root = make_ledger(folder / "workspace", n)
    names = sorted(os.listdir(root / "attempts"))
    some = names[:: max(1, n // PEERS)]

    def command(*args: str) -> tuple[Seconds, bytes]:
        """Processor time of a command with all its children, and what it printed."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([PODIUM, *args], cwd=root, capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Seconds(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout

    def ours() -> Seconds:
        return command("attempts")[0]

    def listed() -> list[tuple[str, float]]:  # without an index: the TOML of every folder
        rows = []
        for name in some:
            one = root / "attempts" / name
            for path in sorted(one.glob("*.toml")):
                tomllib.loads(path.read_text())
            runs = [tomllib.loads(path.read_text()) for path in sorted(one.glob("fold*/run.toml"))]
            total = sum(run["samples"] for run in runs)
            rows.append((name, sum(run["score"] * run["samples"] for run in runs) / total))
        return rows

    def peer() -> Seconds:
        begun = time.process_time()
        listed()
        return Seconds((time.process_time() - begun) * len(names) / len(some))

    found = json.loads(command("attempts", "--json")[1])["attempts"]
    assert [row["folder"] for row in found] == names
    told = {row["folder"]: row["cv"] for row in found}
    assert all(abs(told[name] - cv) < 1e-12 for name, cv in listed())
    return Pair(ours, peer, f"{n:,} attempts of {K} folds, the whole command; peer from {len(some)} of them")


def _scored(tiny: bool) -> tuple[int, Tables, Tables]:
    """(samples a fold, a parent trained twice on each fold, an attempt trained once)."""
    n, rng = 208 if tiny else 20_000, np.random.default_rng(0)
    base = {(fold, seed): _table(rng, fold, n) for fold in range(K) for seed in range(2)}
    tried = {(fold, 0): base[fold, 0].with_columns(pl.col("score") + rng.normal(0.002, 0.05, n)) for fold in range(K)}
    return n, base, tried


def verdict(tiny: bool, folder: Path) -> Pair:
    n, base, tried = _scored(tiny)
    groups = np.arange(n) // 16
    scores = [{key: table["score"].to_numpy() for key, table in side.items()} for side in (tried, base)]

    def ours() -> float:
        attempt, parent = ([Run.of_scores(*key, score, groups) for key, score in side.items()] for side in scores)
        return decide(compare(attempt, parent, run_noise([parent])), fold_order(K, 1)).gain

    def peer() -> float:  # the test that is blind to the noise of retraining
        from scipy.stats import ttest_rel

        gains = []
        for fold in range(K):
            attempt, parent = scores[0][fold, 0], (scores[1][fold, 0] + scores[1][fold, 1]) / 2
            gains.append(float(np.mean(attempt - parent)))
            ttest_rel(attempt, parent, alternative="greater")
        return float(np.mean(gains))

    assert abs(ours() - peer()) < 1e-12
    return Pair(ours, peer, f"{K} folds of {n:,} samples, {3 * K} fold runs")


def verdict_of_tables(tiny: bool, folder: Path) -> Pair:
    n, base, tried = _scored(tiny)

    def ours() -> float:
        attempt, parent, _ = paired_runs(tried, base)
        return decide(compare(attempt, parent, run_noise([parent])), fold_order(K, 1)).gain

    def peer() -> float:  # the mean of the paired differences of groups, with joins; nothing is decided
        a = pl.concat(tried.values()).group_by("fold", "id", "group").agg(pl.col("score").mean())
        b = pl.concat(base.values()).group_by("fold", "id").agg(base=pl.col("score").mean())
        pairs = a.join(b, on=["fold", "id"]).with_columns(gain=pl.col("score") - pl.col("base"))
        groups = pairs.group_by("fold", "group").agg(pl.col("gain").mean())
        return float(groups.group_by("fold").agg(pl.col("gain").mean())["gain"].mean())  # type: ignore[arg-type]

    assert abs(ours() - peer()) < 1e-12
    return Pair(ours, peer, f"the same, from tables of {n:,} rows")


BENCHMARKS = [
    Benchmark("attempts_10k", "podium attempts", "reading every folder's TOML", None, attempts_10k),
    Benchmark("decide", "a verdict from arrays of scores", "a paired t test a fold (scipy)", None, verdict),
    Benchmark(
        "decide_tables", "a verdict from tables of scores", "polars, no verdict", None, verdict_of_tables, "wall"
    ),
]
