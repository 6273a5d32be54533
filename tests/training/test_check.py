"""A recipe that cannot be trained is refused before anything is written, naming the nearest right name."""

from __future__ import annotations

import pytest
import torch

from podium.errors import ConfigError, PodiumError
from podium.recipe import Recipe
from podium.training.check import check_recipe
from podium.training.device import auto_precision, create_fabric


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("model.arch=unett", "unet"),
        ("model.arch=transformer9000", "ternausnet11"),
        ("loss.terms={bcee=1}", "bce"),
        ("optim.name=adamm", "adam"),
        ("schedule.name=onecycle", "one_cycle"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(change: str, told: str) -> None:
    with pytest.raises(PodiumError, match=told):
        check_recipe(Recipe().with_overrides([change]))


def test_a_change_that_the_architecture_does_not_read_is_refused() -> None:
    with pytest.raises(PodiumError, match="depth"):
        check_recipe(Recipe().with_overrides(["model.arch=ternausnet11", "model.depth=3"]))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        (["schedule.name=cosine", "schedule.cycles=8", "train.epochs=4"], r"'schedule\.cycles' is 8, in 4 epochs"),
        (["schedule.name=one_cycle", "train.epochs=9"], r"\(one_cycle\) has no cycle that ends before the training"),
    ],
)
def test_snapshots_of_cycles_that_no_epoch_ends_are_refused(changes: list[str], told: str) -> None:
    recipe = Recipe().with_overrides(changes)
    check_recipe(recipe)
    with pytest.raises(ConfigError, match=told):
        check_recipe(recipe.with_overrides(["train.checkpoint=snapshots"]))


def test_snapshots_of_whole_cycles_pass() -> None:
    cycles = ["schedule.name=cosine", "schedule.cycles=4", "train.epochs=4", "train.checkpoint=snapshots"]
    check_recipe(Recipe().with_overrides(cycles))


def test_snapshots_and_an_early_stop_which_may_come_before_the_first_are_refused() -> None:
    cycles = Recipe().with_overrides(["schedule.name=cosine", "schedule.cycles=4", "train.checkpoint=snapshots"])
    with pytest.raises(ConfigError, match="early_stop"):
        cycles.with_overrides(["train.early_stop=2"])


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_more_devices_than_there_are_come_with_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"'train\.devices' is 64(.|\n)*to do:    train\.devices=1"):
        check_recipe(Recipe().with_overrides(["train.devices=64", "train.batch_size=64"]))


def test_the_default_recipe_passes() -> None:
    check_recipe(Recipe())


@pytest.mark.skipif(torch.cuda.is_available(), reason="about machines without a GPU")
def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match="a GPU"):
        create_fabric("fp16")


def test_auto_precision_is_one_the_fabric_takes() -> None:
    assert auto_precision() in ("bf16-mixed", "16-mixed", "32-true")
    create_fabric("auto")
