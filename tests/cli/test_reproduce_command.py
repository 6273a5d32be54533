"""`podium reproduce`: what was trained comes out again, bit by bit on a CPU; if not, it says what is different."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import pytest
from running import fails, ok, times_below

from podium.reproduce import Again

pytestmark = pytest.mark.slow


def test_the_same_scores_in_every_sample_and_nothing_is_changed(trained_workspace: Path) -> None:
    attempts = trained_workspace / "attempts"
    ok(trained_workspace, "try", "flipped", 'predict.tta=["hflip"]', "--why", "why not")
    before = times_below(attempts)
    told = ok(trained_workspace, "reproduce", "0", "--json").json
    assert (told["id"], told["name"]) == (0, "baseline")
    runs = [(run["fold"], run["seed"], run["same"], run["sample"], run["changed"]) for run in told["fold_runs"]]
    assert runs == [(fold, seed, True, 0.0, {}) for fold in range(2) for seed in range(2)]
    assert [run["before"] for run in told["fold_runs"]] == [run["after"] for run in told["fold_runs"]]

    ran = ok(trained_workspace, "reproduce", "flipped", "--folds", "1")
    assert [line[:6] for line in ran.out.splitlines()] == ["attemp", "fold 1", "fold 1"]
    assert ran.out.count("now: the same in every sample") == 2
    assert times_below(attempts) == before
    assert not (trained_workspace / ".podium/reproduce").exists()


def test_what_comes_out_differently_is_told_with_what_is_different(trained_workspace: Path) -> None:
    record = trained_workspace / "attempts/0000-baseline/fold0-seed0/run.toml"
    ((name, version),) = [(k, v) for k, v in _versions(record.read_text()) if k == "torch"]
    record.write_text(record.read_text().replace(version, '"1.13"'))
    told = ok(trained_workspace, "reproduce", "0", "--folds", "0").out
    assert told.count("the same in every sample") == 2, "another version that computes the same is no difference"

    data = trained_workspace / "data"
    own = shutil.copytree(data.resolve(), trained_workspace / "own")  # the data is linked, and other tests' too
    data.unlink() if data.is_symlink() else shutil.rmtree(data)
    own.rename(data)
    for image in sorted((data / "train").glob("*.jpg")):
        cv2.imwrite(str(image), 255 - cv2.imread(str(image)))
    told = ok(trained_workspace, "reproduce", "0", "--folds", "0").out.splitlines()
    assert "since then: torch 1.13 -> " in told[1]
    assert "images, masks or files of its own must be others now" in told[2]
    assert name == "torch"


def test_what_was_never_trained_cannot_be_trained_again(trained_workspace: Path) -> None:
    fails(trained_workspace, "reproduce", "0", "--folds", "7", says=["has no such fold run", "some of its folds: 0, 1"])
    fails(trained_workspace, "reproduce", "9", says=["no attempt '9'"])


def test_a_gpu_may_add_up_in_another_order() -> None:
    again = Again(1, 0, 0.5, 0.504, 0.01, {}, "NVIDIA H100")
    assert not again.same
    assert again.told(0.002) == (
        "fold 1 seed 0: 0.50000 then, 0.50400 now: +0.00400, 2.0 noise floors; "
        "device and versions are the same; this device does not add up in the same order twice"
    )


def _versions(text: str) -> list[tuple[str, str]]:
    pairs = [line.split(" = ") for line in text.splitlines() if " = " in line]
    return [(pair[0], pair[1]) for pair in pairs]
