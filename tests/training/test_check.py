"""A recipe that cannot be trained is refused before anything is written, naming the nearest right name."""

from __future__ import annotations

import pytest
import torch

from podium.data.competition import Competition
from podium.data.plan import Aim, plan
from podium.errors import ConfigError, PodiumError
from podium.recipe import Recipe
from podium.training.check import check_recipe
from podium.training.device import auto_precision, create_fabric
from podium.training.tasks import Task, create_task
from podium.training.unread import check_read
from task_drawing import SPECS, metric_of

SMALL = Recipe().with_overrides(["model.arch=resnet_small"])


def tree_of(kind: str) -> dict[str, object]:
    return {"name": "x", **SPECS[kind]}


def task_of(kind: str, *changes: str, base: Recipe | None = None) -> Task:
    competition = Competition.from_tree(tree_of(kind))
    return create_task(competition, metric_of(competition), (base or Recipe()).with_overrides(list(changes)))


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


def test_weights_that_are_not_of_the_classes_are_refused_before_anything_is_prepared() -> None:
    task = task_of("one class", "loss.terms={ce=1}", "loss.options.ce.class_weights=[1, 2]", base=SMALL)
    with pytest.raises(PodiumError, match="2 weights for 3 classes"):
        check_recipe(task.recipe, task)


UNREAD = [
    ("one class", ["train.target=log"], r"'train\.target'|train\.target"),
    ("one class", ["model.bins=8"], r"model\.bins"),
    ("number", ["model.bins=8"], r"model\.bins"),
    ("one class", ["pseudo.attempts=['0001']", "pseudo.sure=0.2"], r"pseudo\.sure"),
    *(
        ("one class", ["model.arch=features", "model.width=1", change], change.partition("=")[0])
        for change in (
            *("optim.lr=0.02", "optim.name=sgd", "schedule.name=cosine", "schedule.cycles=3", "sampling.per_epoch=10"),
            *("loss.options.ce.smoothing=0.1", "train.ema=0.9", "train.grad_clip=1", "train.checkpoint=last"),
            *("train.replay=10", "phases=[{at=1, optim={lr=1e-4}}]"),
        )
    ),
]


@pytest.mark.parametrize(("kind", "changes", "told"), UNREAD)
def test_what_would_change_nothing_is_refused(kind: str, changes: list[str], told: str) -> None:
    terms = "loss.terms={ce=1}" if kind == "one class" else "loss.terms={huber=1}"
    task = task_of(kind, terms, *changes, base=SMALL)
    with pytest.raises(ConfigError, match=told):
        check_recipe(task.recipe, task)


def test_what_is_read_passes() -> None:
    for kind, changes in (
        ("number", ["train.target=log"]),
        ("number", ["model.head=distribution", "model.bins=8"]),
        ("one class", ["model.arch=features", "train.seed=3", "train.precision=fp32", "train.batch_size=4"]),
    ):
        terms = "loss.terms={ce=1}" if kind == "one class" else "loss.terms={huber=1}"
        task = task_of(kind, terms, *changes, base=SMALL)
        check_recipe(task.recipe, task)


@pytest.mark.parametrize("kind", ["one class", "several labels", "several targets", "number"])
def test_frozen_features_may_follow_on_every_preset(kind: str) -> None:
    for gpu in (True, False):
        for n in (50, 500, 100_000):
            for planned in plan([(300, 400)], n, gpu=gpu, aim=Aim.of(Competition.from_tree(tree_of(kind)))).values():
                task = task_of(kind, base=planned.recipe.with_overrides(["model.arch=features", "model.width=1"]))
                check_read(task.recipe, task)


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
