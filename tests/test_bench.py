"""Every benchmark runs, finds podium and its peer to agree, and leaves its record; no time is judged here."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEEDS = {"submission": "pandas", "submission_gz": "pandas", "score": "pandas", "loader": "torch"}
NEEDS |= {"augment": "albumentations", "train_step": "torch", "infer": "torch", "loop_overhead": "torch"}
NEEDS |= {"data_wait": "torch", "validation": "torch"}
NEEDS |= {"attempts_10k": "polars", "decide": "scipy", "decide_tables": "polars"}
NEEDS |= {"predict": "torch", "predict_masks": "pandas"}
NAMES = ["rle_encode", "rle_decode", "dice_runs", "confusion", "instance_map", "crop_1024", "crop_512", *NEEDS]


def bench(*words):
    command = [sys.executable, "-m", "benchmarks", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_all_of_them_on_tiny_data(tmp_path):
    absent = {name for name, module in NEEDS.items() if importlib.util.find_spec(module) is None}
    done = bench("--tiny", "--results", str(tmp_path), *(n for n in NAMES if n not in absent))
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.json")
    record = json.loads(file.read_text())
    assert {r["name"] for r in record["results"]} == set(NAMES) - absent
    assert all(r["ratio"] > 0 and r["rounds"] == 1 and r["met"] is None for r in record["results"])
    assert {"processor", "cores", "python", "versions"} <= record["machine"].keys()
    for name in NAMES:
        assert name in absent or f"{name} " in done.stdout
    if absent:
        pytest.skip(f"not run, for want of their peers (make bench installs them): {', '.join(sorted(absent))}")


def test_an_unknown_name_lists_the_names():
    done = bench("rle")
    assert done.returncode == 2
    assert all(name in done.stderr for name in NAMES)
