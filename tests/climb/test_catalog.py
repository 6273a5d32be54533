"""The catalogue: every change applies to real recipes of every task, or says why not; one's own files are checked."""

from __future__ import annotations

import numpy as np
import pytest

from podium.climb.catalog import JOIN, load_catalog
from podium.climb.guards import Place, fit
from podium.climb.policy import MOST
from podium.climb.simulate import ANYWHERE
from podium.data.plan import Aim
from podium.errors import ConfigError
from podium.new import write_recipes
from podium.recipe import Recipe
from podium.recipes import FOLDER, shipped
from podium.training.check import check_recipe
from podium.training.tasks import create_task
from task_drawing import TASKS, draw_task, metric_of

CATALOG = load_catalog()
MINE = """
[kinds.mine]
says = "what I think of"
yes = 1
no = 2

[changes.warmer]
kind = "mine"
set = { "schedule.warmup" = 0.3 }
why = "a gentle start"
source = "me"
"""


def place_of(competition, **changes):
    metric = metric_of(competition)
    facts = {"gpu": True, "colour": True, **changes}
    check = lambda recipe: check_recipe(recipe, create_task(competition, metric, recipe))  # noqa: E731
    return Place(competition.task, Aim.of(competition).kind, check=check, **facts)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """{task: (competition, recipes)} of `podium new`."""
    found = {}
    for task in TASKS:
        root = tmp_path_factory.mktemp("drawn")
        competition = draw_task(root, task)
        write_recipes(competition, root)
        found[task] = competition, {p.stem: Recipe.load(p) for p in sorted((root / "recipes").glob("*.toml"))}
    return found


@pytest.mark.parametrize("preset", ["baseline", pytest.param("full", marks=pytest.mark.slow)])
@pytest.mark.parametrize("task", TASKS)
def test_each_change_applies_or_its_guard_says_why_not(drawn, task, preset):
    competition, recipe = drawn[task][0], drawn[task][1][preset]
    fits = {name: fit(change, recipe, place_of(competition)) for name, change in CATALOG.changes.items()}
    for name, found in fits.items():
        assert bool(found.settings) == (found.recipe is not None) != bool(found.reason), name
        assert not found.reason.startswith("it does not fit"), f"{name} needs a guard: {found.reason}"
        if found.recipe:
            assert recipe.with_overrides(list(found.settings)) == found.recipe != recipe
    assert sum(found.recipe is not None for found in fits.values()) >= 25


@pytest.mark.slow
@pytest.mark.parametrize("name", shipped())
def test_published_recipes_too(drawn, name):
    task = "class map" if name == "robotic-parts" else "overlapping"
    competition, recipe = drawn[task][0], Recipe.load(FOLDER / f"{name}.toml")
    fits = [fit(change, recipe, place_of(competition)) for change in CATALOG.changes.values()]
    most = 0 if recipe.model.arch == "features" else 25  # frozen features are of classes, not of masks
    assert sum(found.recipe is not None for found in fits) >= most
    assert all(found.reason for found in fits if found.recipe is None)


@pytest.mark.parametrize("task", [pytest.param("class map", marks=pytest.mark.slow), "number"])
def test_whatever_was_accepted_the_rest_still_applies_or_says_why_not(drawn, task):
    competition, recipes = drawn[task]
    place, recipe, accepted = place_of(competition), recipes["baseline"], set()
    for name in np.random.default_rng(1).permutation(sorted(CATALOG.changes)):
        found = fit(CATALOG.changes[name], recipe, place, accepted)
        if found.recipe:
            recipe, accepted = found.recipe, accepted | {name}
            place.check(recipe)
    assert len(accepted) >= 20


def test_the_talks_own_attempts_are_here():
    told = [change.source for change in CATALOG.changes.values() if change.source.startswith("the talk")]
    assert len(told) >= 15
    kinds = {change.kind for change in CATALOG.changes.values()}
    assert kinds | {"combine", "careful"} == set(CATALOG.kinds)


def test_names_of_several_together_can_name_an_attempt():
    longest = sorted(CATALOG.changes, key=len)[-MOST:]
    assert len(JOIN.join(longest)) <= 64


@pytest.mark.parametrize(
    ("name", "place", "says"),
    [
        ("mixup", {}, "for classification and regression"),
        ("lovasz-classes", {}, "targets that are labels"),
        ("pspnet", {"gpu": False}, "too long without a GPU"),
        ("hue-and-grey", {"colour": False}, "the images are grey"),
        ("longer-still", {}, "comes after a YES for 'longer'"),
        ("ema", {}, "train.ema = unset"),
        ("sgd", {}, "optim.name = adam"),
        ("larger-crops", {}, "input.train_crop is unset"),
        ("vflip", {}, "has it already"),
    ],
)
def test_why_a_change_is_out_of_the_question(name, place, says):
    recipe = Recipe().with_overrides(["augment.vflip=0.5", "train.ema=0.99", "optim.name=lion"])
    here = Place("segmentation", "planes", **{"gpu": True, "colour": True, **place}, check=ANYWHERE.check)
    found = fit(CATALOG.changes[name], recipe, here)
    assert says in found.reason
    assert found.recipe is None


def test_after_what_was_accepted(drawn):
    assert fit(CATALOG.changes["longer-still"], Recipe(), ANYWHERE, {"longer"}).recipe.train.epochs == 40


def test_published_weights_only_where_the_rules_allow_them(drawn):
    competition, recipes = drawn["overlapping"]
    change, strict = CATALOG.changes["ternausnet11"], competition.with_overrides(["rules.pretrained=false"])
    assert fit(change, recipes["baseline"], place_of(competition)).recipe.model.pretrained
    assert (
        "the competition's rules forbid published weights" in fit(change, recipes["baseline"], place_of(strict)).reason
    )


def test_a_catalogue_of_ones_own_stands_alone_or_beside_podiums(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    assert list(load_catalog(path).changes) == ["warmer"]
    assert {"mine", "combine", "careful"} == set(load_catalog(path).kinds)
    path.write_text("with_ours = true\n" + MINE.replace("[changes.warmer]", "[changes.tta]"))
    both = load_catalog(path)
    assert set(both.changes) == set(CATALOG.changes)
    assert both.changes["tta"].source == "me"
    assert both.changes["tta"].set == {"schedule.warmup": 0.3}


@pytest.mark.parametrize(
    ("was", "is_now", "says"),
    [
        ("schedule.warmup", "schedule.warmpu", "schedule.warmup"),
        ("= 0.3", '= "same"', None),
        ('kind = "mine"', 'kind = "min"', "did you mean 'mine'"),
        ("[changes.warmer]", "[changes.a--b]", "a--b"),
        ("[changes.warmer]", f"[changes.{'w' * 21}]", "at most 20"),
        ('"schedule.warmup" = 0.3', '"train.length" = 40', "a multiple"),
        ('"schedule.warmup" = 0.3', '"train.epochs" = "same"', '"same"'),
        ('source = "me"', "", "source' is missing"),
        ("no = 2", "no = 0", "greater than 0"),
    ],
)
def test_a_wrong_catalogue_is_refused_by_the_key(tmp_path, was, is_now, says):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.replace(was, is_now))
    if says is None:  # allowed there: the schedule's own keys may begin anew
        load_catalog(path)
        return
    with pytest.raises(ConfigError) as caught:
        load_catalog(path)
    assert says in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_catalogue_without_changes_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE.partition("[changes")[0])
    with pytest.raises(ConfigError, match="no change is in it"):
        load_catalog(path)
