"""The race over a made-up world: a trainer that draws scores around a truth, so that right verdicts are known."""

import numpy as np
import pytest
from test_fold_runs import fold_run

from podium.errors import LedgerError
from podium.ledger.attempts import Attempts, RaceConfig, changed_recipe
from podium.ledger.changes import change_text, combined, parent_recipe
from podium.ledger.judge import Judge, Replicates
from podium.ledger.race import Race
from podium.ledger.verdict import fold_order
from podium.metrics import get_metric
from podium.recipe import Recipe

K, GROUPS, LUCK = 5, 40, 0.01


class World:
    """Attempts whose true gain over the baseline is given by their name; a fold run shifts by its own luck."""

    def __init__(self, folder, effects=None, seed=1):
        self.effects, self.trained, self.fail_after, self.seed = effects or {}, [], None, seed
        self.attempts = Attempts(folder / "attempts")
        judge = Judge(self.attempts, get_metric("dice", "test"), K)
        self.race = Race(self.attempts, judge, self.train, lambda attempt: None)

    def train(self, attempt, what, left):
        if self.fail_after is not None and len(self.trained) >= self.fail_after:
            raise KeyboardInterrupt
        self.trained.append((attempt.name, *what))
        of_groups = np.random.default_rng(what.fold).normal(0.6, 0.05, GROUPS)
        rng = np.random.default_rng((self.seed, attempt.id, *what))
        luck = rng.normal(0, LUCK) + rng.normal(0, 0.005, GROUPS)
        scores = of_groups + luck + self.effects.get(attempt.name, 0.0)
        fold_run(attempt.folder, what.fold, what.seed, scores=scores.tolist())

    def baseline(self):
        made = self.attempts.create("baseline", Recipe(), None, "first", "folds")
        return self.race.baseline(made)

    def enter(self, name, change, parent=None, **race):
        parent = parent or self.attempts.champion()
        recipe = changed_recipe(parent.recipe, [change])
        return self.attempts.create(name, recipe, parent, "why", "folds", race=RaceConfig(**race))

    def run(self, name, change, parent=None, **race):
        return self.race.run(self.enter(name, change, parent, **race))


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, {"good": 0.1, "bad": -0.1, "better": 0.2, "slight": 0.012, "near": 0.004})
    made.baseline()
    return made


def test_the_baseline_is_trained_twice_a_fold_and_its_noise_is_the_worlds(world):
    assert len(world.trained) == 2 * K
    found = Replicates.of(world.attempts.get(0), world.race.judge.metric)
    assert found.denominator == K
    assert 0.1 * LUCK**2 < found.numerator / found.denominator < 4 * LUCK**2
    assert world.attempts.get(0).finished(K)
    world.race.baseline(world.attempts.get(0))
    assert len(world.trained) == 2 * K


def test_what_helps_is_accepted_early_completed_and_crowned(world):
    good = world.run("good", "optim.lr=0.1")
    assert good.verdict.verdict == "YES"
    assert good.verdict.fold_runs < K
    assert good.trained_folds() == set(range(K))
    assert world.attempts.champion().id == good.id
    assert good.crown.by == "verdict"
    assert world.attempts.get("good").finished(K)


def test_what_harms_is_stopped_after_one_fold_run(world):
    bad = world.run("bad", "optim.lr=0.1")
    assert (bad.verdict.verdict, bad.verdict.reason) == ("NO", "worse")
    assert len(bad.runs) == 1
    assert bad.finished(K)
    assert world.attempts.champion().id == 0
    before = len(world.trained)
    world.race.run(bad)
    assert len(world.trained) == before


def test_a_race_that_was_stopped_goes_on_and_ends_as_it_would_have(tmp_path):
    effects = {"slight": 0.012, "near": 0.004}
    straight, halting = World(tmp_path / "a", effects), World(tmp_path / "b", effects)
    for world in (straight, halting):
        world.baseline()
    whole = straight.run("slight", "optim.lr=0.1")
    assert whole.verdict.fold_runs > 1
    attempt = halting.enter("slight", "optim.lr=0.1")
    while not attempt.finished(K):
        halting.fail_after = len(halting.trained) + 1
        try:
            attempt = halting.race.run(attempt)
        except KeyboardInterrupt:
            attempt = halting.attempts.get("slight")
    assert attempt.verdict == whole.verdict
    assert [r.folder.name for r in attempt.runs] == [r.folder.name for r in whole.runs]


def test_a_parent_that_was_stopped_is_trained_where_it_must_be(world):
    bad = world.run("bad", "optim.lr=0.1")
    better = world.run("better", "optim.lr=0.2", parent=bad)
    assert better.verdict.verdict == "YES"
    assert better.crown is None, "its parent is not the champion"
    assert world.attempts.champion().id == 0
    compared = {r.fold for r in world.attempts.get("bad").runs}
    assert len(compared) >= better.verdict.folds


@pytest.mark.parametrize("fold", range(K))
def test_folds_asked_for_are_the_only_ones_trained(world, fold):
    """Also where chance would have begun with another."""
    some = world.run("nil", "optim.lr=0.1", folds=[fold], careful=True)
    assert [(run.fold, run.seed) for run in some.runs] == [(fold, 0)]


def test_folds_asked_for_are_trained_in_the_order_of_chance(world):
    assert len({fold_order(K, n)[0] for n in (1, 2, 3)} - {1, 3}) > 0, "else they might come first by chance"
    for n, change in enumerate(("optim.lr=0.1", "optim.lr=0.2", "optim.lr=0.3"), 1):
        world.effects[f"slight-{n}"] = 0.012
        some = world.run(f"slight-{n}", change, folds=[3, 1], careful=True)
        asked = [fold for fold in fold_order(K, n) if fold in (1, 3)]
        trained = [fold for name, fold, _ in world.trained if name == some.name]
        assert trained
        assert trained == asked[: len(trained)]
        assert some.finished(K) or trained == asked, "a verdict may come before the last of them"


def test_seeds_of_an_undecided_attempt_are_used_up(world):
    nil = world.run("nil", "optim.lr=0.1", seeds=1)
    again = [run.seed for run in nil.runs]
    assert set(again) == {0}
    assert nil.verdict.final


def test_a_near_miss_is_judged_again_with_more_care(world):
    near = world.run("near", "optim.lr=0.1")
    assert near.verdict.verdict == "NO"
    again = world.race.run(near.raced_by(RaceConfig(careful=True)))
    assert again.verdict.final
    assert again.verdict.fold_runs > near.verdict.fold_runs
    assert world.attempts.get("near").race.careful


def test_a_person_may_overrule_and_the_reason_is_kept(world):
    bad = world.run("bad", "optim.lr=0.1")
    crowned = world.race.crown(bad, "the board says otherwise")
    assert world.attempts.champion().id == bad.id
    assert (crowned.crown.by, crowned.crown.why) == ("person", "the board says otherwise")
    assert crowned.verdict.verdict == "NO", "the verdict is not rewritten"
    assert crowned.trained_folds() == set(range(K))
    good = world.run("good", "optim.lr=0.3")
    assert world.attempts.champion().id == good.id


def test_closed_attempts_add_to_what_is_known_of_the_noise(world):
    judge = world.race.judge
    before = judge.noise()
    world.run("slight", "optim.lr=0.1")
    slight = world.attempts.get("slight")
    assert slight.verdict.folds > 1
    after = judge.noise()
    assert after.df > before.df
    assert judge.noise(but=slight.id) == before


def test_changes_are_combined_unless_they_contradict_each_other():
    base = Recipe()
    a, b = (changed_recipe(base, [change]) for change in ("optim.lr=0.1", "loss.terms={dice=1}"))
    changes = [("a", {"optim.lr": (1e-3, 0.1)}, a), ("b", world_change(b, base), b)]
    both = combined(base, changes)
    assert (both.optim.lr, both.loss.terms) == (0.1, {"dice": 1.0})
    assert parent_recipe(b, world_change(b, base)) == base
    with pytest.raises(LedgerError, match=r"both change optim\.lr"):
        combined(base, [changes[0], ("c", {"optim.lr": (1e-3, 0.2)}, a)])
    with pytest.raises(LedgerError, match="has these changes already"):
        combined(a, [changes[0]])


def world_change(new, old):
    from podium.config import difference

    found = difference(new, old)
    assert change_text(found, 0)
    return found


def test_false_yes_is_rare_over_many_attempts_that_do_nothing(tmp_path):
    verdicts = []
    for n in range(8):
        world = World(tmp_path / str(n), seed=100 + n)
        world.baseline()
        for i in range(6):
            world.run(f"nil{i}", f"optim.lr={0.01 * (i + 1 + 10 * n):g}", parent=world.attempts.get(0))
        verdicts += [a.verdict.verdict for a in world.attempts.all()[1:]]
    assert len(verdicts) == 48
    assert verdicts.count("YES") <= 5


def test_a_change_of_the_prediction_is_judged_by_the_scatter_of_its_own_gains(world):
    world.effects["cut"] = 0.0
    attempt = world.race.judged_at_once(world.enter("cut", "predict.threshold=0.4"))
    judge, parent = world.race.judge, world.attempts.get(0)
    assert attempt.verdict.shared
    assert len(attempt.runs) == len(parent.runs) == 2 * K
    _, own = judge.judge(attempt, parent, shared_training=True)
    _, as_trained = judge.judge(attempt, parent)
    assert attempt.verdict == own
    assert own.se != as_trained.se
    assert attempt.verdict.noise_terms() is None, "it tells nothing of how far trainings differ"
    world.effects["mirror"] = 0.1
    assert world.race.judged_at_once(world.enter("mirror", "predict.threshold=0.3")).crown.by == "verdict"
