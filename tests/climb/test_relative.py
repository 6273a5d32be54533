"""The closed language of the catalogue: what each value becomes beside a parent's."""

from __future__ import annotations

import pytest

from podium.climb.relative import LENGTH, Unfit, settings_of
from podium.recipe import Recipe


def made(change, *parent):
    recipe = Recipe().with_overrides(list(parent))
    return recipe.with_overrides(settings_of(change, recipe))


@pytest.mark.parametrize(
    ("parent", "change", "expected"),
    [
        ("optim.lr=0.001", {"optim.lr": "x0.5"}, 0.0005),
        ("optim.lr=0.001", {"optim.lr": "<=0.0003"}, 0.0003),
        ("augment.rotate=5", {"augment.rotate": ">=15"}, 15.0),
        ("augment.rotate=30", {"augment.rotate": ">=15"}, 30.0),
        ("train.batch_size=8", {"train.batch_size": "x0.5"}, 4),
        ("train.batch_size=1", {"train.batch_size": "x0.5"}, 1),
        ("input.size=[96,128]", {"input.size": "x1.5"}, [144, 192]),
        ("input.train_crop=128", {"input.train_crop": "x0.75"}, 96),
        ("predict.threshold=0.5", {"predict.threshold": "x0.8"}, 0.4),
        ("train.ema=0.9", {"train.ema": "none"}, None),
        ("predict.tta=[]", {"predict.tta": ["hflip"]}, ["hflip"]),
    ],
)
def test_a_value_beside_the_parents(parent, change, expected):
    section, key = next(iter(change)).split(".")
    assert getattr(getattr(made(change, parent), section), key) == expected


def test_a_table_is_replaced_and_a_part_of_it_is_not():
    assert made({"loss.terms": {"focal": 1.0}}).loss.terms == {"focal": 1.0}
    assert made({"loss.terms.focal": 0.5}).loss.terms == {"bce": 1.0, "dice": 1.0, "focal": 0.5}
    assert made({"loss.options.dice.pooled": True}).loss.options == {"dice": {"pooled": True}}


@pytest.mark.parametrize(
    ("parent", "change", "says"),
    [
        ("train.batch_size=auto", {"train.batch_size": "x2"}, "auto, which has no multiple"),
        ("train.epochs=3", {"input.size": "x2"}, "input.size is unset"),
    ],
)
def test_no_multiple_of_what_has_none(parent, change, says):
    with pytest.raises(Unfit, match=says):
        made(change, parent)


def test_what_is_there_already_is_no_setting():
    recipe = Recipe()
    assert settings_of({"optim.name": "adamw", "augment.hflip": ">=0.5", "train.ema": "none"}, recipe) == []


def test_another_network_begins_anew_but_for_what_stays_the_same():
    parent = ("model.depth=4", "model.norm=group", "model.width=0.5", "optim.lr=0.01")
    new = made({"model.arch": "ternausnet11", "model.width": "same", "optim.lr": "<=0.0003"}, *parent)
    assert (new.model.arch, new.model.depth, new.model.norm, new.model.width) == ("ternausnet11", 5, "batch", 0.5)
    assert new.optim.lr == 0.0003


def test_another_optimiser_keeps_rate_and_decay_and_not_its_momentum():
    parent = ("optim.name=sgd", "optim.momentum=0.95", "optim.lr=0.01", "optim.weight_decay=0.001")
    new = made({"optim.name": "adamw", "optim.lr": "x0.1"}, *parent)
    assert (new.optim.momentum, new.optim.lr, new.optim.weight_decay) == (None, 0.001, 0.001)


def test_another_schedule_keeps_its_warmup_alone():
    parent = ("schedule.name=multistep", "schedule.milestones=[5]", "schedule.warmup=0.2")
    new = made({"schedule.name": "triangular", "schedule.cycles": 4}, *parent)
    assert (new.schedule.milestones, new.schedule.warmup, new.schedule.cycles) == (None, 0.2, 4)


def test_twice_the_length_by_epochs_moves_what_is_counted_in_epochs():
    parent = ("train.epochs=20", "schedule.name=multistep", "schedule.milestones=[10,0.9]")
    new = made({LENGTH: "x2"}, *parent, "phases=[{at=5, optim={lr=1e-4}}, {at=0.75, optim={lr=1e-5}}]")
    assert new.train.epochs == 40
    assert new.schedule.milestones == [20, 0.9]
    assert [phase.at for phase in new.phases] == [10, 0.75]


def test_twice_the_length_by_the_clock_leaves_the_epochs():
    new = made({LENGTH: "x2"}, "train.time=1m30s", "train.epochs=20")
    assert (new.train.seconds, new.train.epochs) == (180, 20)
