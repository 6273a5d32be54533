"""How long a recipe will take, by rates that are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.recipe import Recipe
from podium.training.estimate import Pace, estimate, outlook, trained_images, validated_images
from podium.training.fold_run import FoldData, run_fold


def recipe(*changes: str) -> Recipe:
    return Recipe().with_overrides(list(changes))


def test_epochs_times_folds_over_the_rates() -> None:
    found = estimate(recipe("train.epochs=20"), Pace(train=10, validate=40), [(400, 100)] * 5)
    assert found.runs == pytest.approx([20 * 400 / 10 + 21 * 100 / 40] * 5)  # 20 validations and the last prediction
    assert found.seconds == pytest.approx(5 * 852.5)
    assert found.validating == pytest.approx(52.5 / 852.5)
    assert found.told == "20 epochs x 5 folds: about 1h11m"


def test_folds_of_other_sizes_count_as_they_are() -> None:
    found = estimate(recipe("train.epochs=1"), Pace(1, 1e9), [(30, 10), (20, 20)])
    assert found.runs == pytest.approx([30, 20])


def test_a_time_is_what_it_takes() -> None:
    found = estimate(recipe("train.time=8m"), Pace(0.001, 0.001), [(400, 100)] * 3)
    assert found.seconds == 3 * 480
    assert found.told == "8m (train.time) x 3 folds: about 24m00s"


@pytest.mark.parametrize(("every", "times"), [(1, 12), (5, 4), (100, 2)])
def test_validations(every: int, times: int) -> None:
    """10 or 11 epochs: every so many, the last always, and the prediction at the end."""
    assert validated_images(recipe("train.epochs=11", f"train.val_every={every}"), 7) == 7 * times
    flips = recipe("train.epochs=11", f"train.val_every={every}", 'predict.tta=["hflip", "vflip"]')
    assert validated_images(flips, 7) == 7 * (times + 2)


def test_phases_count_by_their_pixels_and_samples_an_epoch_as_set() -> None:
    assert trained_images(recipe("train.epochs=10"), 50) == 500
    assert trained_images(recipe("train.epochs=10", "sampling.per_epoch=30"), 50) == 300
    grown = Recipe.from_tree(
        {"train": {"epochs": 10}, "input": {"size": [64, 64]}, "phases": [{"at": 0.5, "input": {"size": [128, 128]}}]}
    )
    assert trained_images(grown, 50) == 5 * 50 + 4 * 5 * 50
    cropped = Recipe.from_tree({"train": {"epochs": 4}, "phases": [{"at": 1, "optim": {"lr": 1e-5}}]})
    assert trained_images(cropped, 50) == 200


def test_only_what_is_long_is_told_beforehand() -> None:
    long = outlook(recipe("train.epochs=20"), 10, 400, 100, runs=5)
    assert long == f"at 10 images/s {estimate(recipe('train.epochs=20'), Pace(10, 30), [(400, 100)] * 5).told}"
    assert outlook(recipe("train.epochs=20"), 10_000, 400, 100, runs=5) == ""
    assert outlook(recipe("train.time=8m"), 10, 400, 100, runs=5) == "8m (train.time) x 5 folds: about 40m00s"
    assert outlook(recipe("train.time=1m"), 10, 400, 100, runs=5) == ""


def test_a_fold_run_tells_it_from_its_first_steps(
    fold_data: FoldData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.training.estimate.WORTH_TELLING", 0.0)
    tiny = recipe("model.width=0.125", "model.depth=2", "train.epochs=2", "train.batch_size=4")
    told = (run_fold(fold_data, tiny, 0, 0, tmp_path, runs=3).folder / "log.txt").read_text().splitlines()
    lines = [n for n, line in enumerate(told) if "epochs x" in line]
    assert len(lines) == 1
    assert "fold 0: at " in told[lines[0]]
    assert "images/s 2 epochs x 3 folds: about " in told[lines[0]]
    assert lines[0] < next(n for n, line in enumerate(told) if "epoch 1/2" in line), "before the first epoch is over"
