"""Real trainings: collected once, kept in a small file, and raced through the rule again in seconds."""

from pathlib import Path

import numpy as np
import pytest

from podium.errors import LedgerError
from podium.ledger.simulate import dealt
from podium.ledger.simulate.collect import collect, part_of, take_in
from podium.ledger.simulate.dealt import Pools, aa_pools, deal, paired_t
from podium.ledger.simulate.kinds import AA, KINDS, plan
from podium.ledger.simulate.replay import race_all
from podium.ledger.simulate.replay_page import holds, page, text
from podium.ledger.simulate.replay_report import clustered, replay
from podium.ledger.simulate.report import wilson
from podium.ledger.simulate.trainings import BASELINE, Trained, Trainings
from podium.ledger.verdict import CAREFUL, RULE, Run, compare, decide, run_noise
from podium.ledger.verdict.formulas import UNSURE, YES
from podium.recipe import Recipe

KEPT = Path(__file__).parent / "tgs_salt.npz"
PAGE = Path(__file__).parents[2] / "docs/verdict-real.md"
RECIPE = Recipe()
ABOUT = {"data": "drawn", "metric": "dice", "greater_is_better": True, "folds": 3, "recipe_name": "x", "changes": []}
GROUPS = np.repeat(np.arange(12), 5)


class Drawn:
    """Trainings that are drawn: a hidden shift of the fold, and the noise of the images around what they share."""

    def __init__(self, effect=0.0, sign=1, stop=None):
        self.effect, self.sign, self.stop, self.asked = effect, sign, stop, []

    def __call__(self, recipe, fold, seed):
        if self.stop is not None and len(self.asked) == self.stop:
            raise KeyboardInterrupt
        self.asked.append((recipe.train.epochs, fold, seed))
        rng = np.random.default_rng((fold, seed))
        better = self.effect if recipe.train.epochs > RECIPE.train.epochs else 0
        harmed = -5.0 if recipe.optim.lr < RECIPE.optim.lr or recipe.augment.noise > 0.5 else 0.0
        ease = np.random.default_rng(fold).normal(0, 0.1, len(GROUPS))
        level = 0.7 + 0.02 * (rng.normal() + better + harmed)
        return self.sign * (level + ease + rng.normal(0, 0.03, len(GROUPS))), GROUPS


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A file of drawn trainings where twice the epochs gain four run-sds."""
    path = tmp_path_factory.mktemp("drawn") / "drawn.npz"
    collect(path, ABOUT, RECIPE, Drawn(effect=4), ledgers=12, attempts=10)
    return path


def test_a_file_is_replayed_as_it_was_raced(drawn):
    said = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("podium.ledger.simulate.collect.say", said.append)
        kept = collect(drawn, ABOUT, RECIPE, Drawn(stop=0), ledgers=12, attempts=10)  # all is there
    races = race_all(Trainings.load(drawn))
    assert len(races) == 12 * len(plan(0, 10)) == len(said)
    assert all(line.endswith(race.decision.sentence) for line, race in zip(said, races, strict=True))
    assert kept.scores.keys() == Trainings.load(drawn).scores.keys()


def test_only_what_the_rule_asks_for_is_trained_each_with_a_seed_of_its_own(tmp_path):
    draw = Drawn()
    kept = collect(tmp_path / "a.npz", ABOUT, RECIPE, draw, ledgers=3, attempts=10)
    assert len(draw.asked) == len(kept.scores) == 3 * 6 + sum(len(race.runs) for race in race_all(kept))
    assert len({seed for _, fold, seed in draw.asked if fold == 0}) == sum(fold == 0 for _, fold, _ in draw.asked)
    assert {epochs for epochs, _, _ in draw.asked} == {RECIPE.train.epochs, 2 * RECIPE.train.epochs}


def test_a_stopped_collection_goes_on_where_it_was(tmp_path):
    whole, parts = tmp_path / "whole.npz", tmp_path / "parts.npz"
    collect(whole, ABOUT, RECIPE, Drawn(), ledgers=2, attempts=10)
    total = 0
    for stop in (1, 9, 14, None):
        draw = Drawn(stop=stop)
        try:
            collect(parts, ABOUT, RECIPE, draw, ledgers=2, attempts=10)
        except KeyboardInterrupt:
            assert len(Trainings.load(parts).scores) == total + stop
        total += len(draw.asked)
    assert whole.read_bytes() == parts.read_bytes()
    assert total == len(Trainings.load(whole).scores)


def test_part_of_a_file_is_replayed_without_the_attempt_that_was_cut_off(tmp_path):
    for stop in (1, 6, 7, 20):
        path = tmp_path / f"{stop}.npz"
        with pytest.raises(KeyboardInterrupt):
            collect(path, ABOUT, RECIPE, Drawn(stop=stop), ledgers=2, attempts=10)
        found = replay(Trainings.load(path))
        assert found.fold_runs == stop
        assert found.unfinished in (0, 1)
        assert sum(row.attempts for row in found.rows if not row.name.startswith("dealt")) <= max(0, stop - 6)
    assert not holds([replay(Trainings.load(tmp_path / "6.npz"))])
    assert "No A/A attempt is decided" in text([replay(Trainings.load(tmp_path / "6.npz"))])


def test_ledgers_collected_apart_are_those_collected_in_a_row(tmp_path):
    whole, apart = tmp_path / "whole.npz", tmp_path / "apart.npz"
    collect(whole, ABOUT, RECIPE, Drawn(), ledgers=3, attempts=2)
    collect(part_of(apart, 2), ABOUT, RECIPE, Drawn(), ledgers=3, attempts=2, only=2)
    with pytest.raises(KeyboardInterrupt):
        collect(part_of(apart, 0), ABOUT, RECIPE, Drawn(stop=5), ledgers=3, attempts=2, only=0)
    take_in(apart, 3)  # what is there when it is stopped
    assert len(Trainings.load(apart).scores) > 5
    collect(apart, ABOUT, RECIPE, Drawn(), ledgers=3, attempts=2)
    assert apart.read_bytes() == whole.read_bytes()
    assert {f.name for f in tmp_path.iterdir()} == {"whole.npz", "apart.npz"}


def test_a_part_of_another_experiment_is_not_taken_in(tmp_path):
    path = tmp_path / "a.npz"
    collect(path, ABOUT, RECIPE, Drawn(), ledgers=1, attempts=2)
    collect(part_of(path, 1), ABOUT, RECIPE, Drawn(), ledgers=2, attempts=3, only=1)
    with pytest.raises(LedgerError, match="begun with another attempts"):
        take_in(path, 2)


def test_more_ledgers_can_be_added(tmp_path):
    path, more = tmp_path / "a.npz", Drawn()
    first = collect(path, ABOUT, RECIPE, Drawn(), ledgers=1, attempts=2)
    both = collect(path, ABOUT, RECIPE, more, ledgers=2, attempts=2)
    assert len(more.asked) == len(both.scores) - len(first.scores) > 0
    assert both.plan == [plan(0, 2), plan(1, 2)]


@pytest.mark.parametrize(
    "change", [{"recipe": Recipe().with_overrides(["train.epochs=3"])}, {"attempts": 5}, {"about": {"metric": "iou"}}]
)
def test_another_experiment_does_not_go_into_the_same_file(drawn, change):
    about = ABOUT | change.pop("about", {})
    given = {"recipe": RECIPE, "attempts": 10, "ledgers": 12} | change
    with pytest.raises(LedgerError, match="begun with another"):
        collect(drawn, about, train=Drawn(stop=0), **given)


def test_other_folds_do_not_go_into_the_same_file():
    kept = Trainings(dict(ABOUT))
    kept.add(Trained(0, 0, 0, 0), np.ones(60), GROUPS)
    with pytest.raises(LedgerError, match="other samples or groups"):
        kept.add(Trained(0, 0, 0, 1), np.ones(60), np.roll(GROUPS, 1))
    with pytest.raises(LedgerError, match="other samples or groups"):
        kept.add(Trained(0, 0, 0, 1), np.ones(55), GROUPS[:55])


@pytest.mark.parametrize("scores", [np.arange(60) % 2, np.linspace(0, 1, 60), np.linspace(-3, 200, 60)])
def test_scores_are_the_same_before_and_after_the_file(tmp_path, scores):
    kept = Trainings(dict(ABOUT), [[AA]])
    kept.add(Trained(0, 0, 0, 0), scores.astype(np.float64), GROUPS)
    kept.save(tmp_path / "a.npz")
    again = Trainings.load(tmp_path / "a.npz")
    assert np.array_equal(again.scores[0, 0, 0, 0], kept.scores[0, 0, 0, 0])
    assert again.scores[0, 0, 0, 0] == pytest.approx(scores, rel=1e-3, abs=1e-3)
    assert (again.about, again.plan) == (kept.about, kept.plan)


def test_a_file_that_is_none_says_so(tmp_path, drawn):
    with pytest.raises(LedgerError, match="no such file"):
        Trainings.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("id,score\n")
    (tmp_path / "half.npz").write_bytes(drawn.read_bytes()[:2000])
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("text", "half", "other"):
        with pytest.raises(LedgerError, match="not a file of trainings"):
            Trainings.load(tmp_path / f"{name}.npz")


def test_what_is_planted_is_found_and_told(drawn):
    found = replay(Trainings.load(drawn))
    rows = {row.name: row for row in found.rows}
    assert rows["epochs"].values["yes"] > 0.8
    assert rows["epochs"].values["gain"] == pytest.approx(4, abs=0.6)
    assert rows["rate"].values["worse"] == rows["noise"].values["worse"] == 1
    assert found.noise.s2**0.5 == pytest.approx(0.02, rel=0.15)
    for shown in (text([found]), page([found], "the command")):
        assert all(KINDS[name].says in shown for name in ("epochs", "rate", "noise"))
        assert "dealt anew (careful)" in shown


def test_a_lower_error_is_a_gain(tmp_path):
    both = []
    for up, sign in ((True, 1), (False, -1)):
        about, path = ABOUT | {"greater_is_better": up}, tmp_path / f"{up}.npz"
        both.append(replay(collect(path, about, RECIPE, Drawn(4, sign), ledgers=3, attempts=10)))
    for ours, theirs in zip(*(found.rows for found in both), strict=True):
        assert ours.values == pytest.approx(theirs.values)


def test_each_deal_uses_a_training_once():
    hands = deal([9, 12, 8], np.random.default_rng(0), 5)
    assert [hand.shape for hand in hands] == [(6, 4)] * 3  # two a deal, three deals
    for hand, size in zip(hands, (9, 12, 8), strict=True):
        assert all(len(set(deal_.ravel())) == 8 and deal_.max() < size for deal_ in hand.reshape(3, 2, 4))
    assert not np.array_equal(hands[0][:2], hands[0][2:4])


@pytest.mark.parametrize("rule", [RULE, CAREFUL])
@pytest.mark.parametrize("up", [True, False])
def test_what_is_dealt_is_raced_as_decide_does(rule, up):
    rng, sizes = np.random.default_rng(1), (12, 7, 9)  # of the folds, in groups
    kept = Trainings(ABOUT | {"greater_is_better": up}, [])
    for fold, groups in enumerate(sizes):
        for n in range(24):
            kept.add(
                Trained(n, BASELINE, fold, 0), rng.normal(rng.normal(), 0.8, 4 * groups), np.arange(4 * groups) // 4
            )
    pools = Pools.of(kept, aa_pools(kept))
    hands = deal(pools.sizes, rng, 60)
    raced = pools.race(hands, rng, rule)
    assert len(set(raced.code)) > 2
    assert set(raced.fold_runs) > {1, 2, 3, 4}
    for hand in range(60):
        sides = [[], []]
        for fold, four in enumerate(hands):
            for n, place in enumerate(four[hand]):
                own = Run.of_scores(fold, n % 2, kept.scores[place, 0, fold, 0], kept.groups[fold])
                sides[n // 2].append(own)
        parent, by_name = sides[0], {(run.fold, run.seed): run for run in sides[1]}
        noise, order, trained = run_noise([parent]), raced.order[hand].tolist(), []
        d = decide(compare([], parent, noise), order, rule)
        while d.next:
            trained.append(by_name[d.next])
            d = decide(compare(trained, parent, noise, greater_is_better=up), order, rule)
        assert d.verdict == ("YES" if raced.code[hand] == YES else "UNSURE" if raced.code[hand] == UNSURE else "NO")
        assert d.fold_runs == raced.fold_runs[hand]


def test_the_interval_heeds_that_cases_hang_together():
    together, apart = clustered([5, 0, 0, 0, 0, 0, 0, 0, 0, 5], [10] * 10, 100), clustered([1] * 10, [10] * 10, 100)
    assert apart == wilson(0.1, 100)
    assert together[0] < apart[0] < 0.1 < apart[1] < together[1]
    assert clustered([0] * 10, [10] * 10, 100) == wilson(0, 100)


def test_the_paired_test_is_that_of_scipy():
    from scipy.stats import ttest_1samp

    gains = np.random.default_rng(0).normal(0.2, 1, (30, 60))
    found = paired_t(gains)
    assert found.tolist() == (ttest_1samp(gains, 0, axis=1, alternative="greater").pvalue < 0.05).tolist()
    assert 0 < found.sum() < 30
    assert not paired_t(np.zeros(5))


# ------------------------------------------------------------------ the trainings that the repository keeps


@pytest.fixture(scope="module")
def real():
    return replay(Trainings.load(KEPT))


def test_false_yes_are_rare_on_real_trainings(real):
    rows = {row.name: row for row in real.aa}
    assert real.unfinished == 0  # else the rule has changed and asks for trainings that were never made
    assert rows["as raced"].attempts >= 200
    assert all(row.holds for row in real.aa), text([real])


def test_planted_effects_are_found_on_real_trainings(real):
    rows = {row.name: row for row in real.planted}
    assert rows.keys() == KINDS.keys() - {AA}
    assert all(row.holds for row in rows.values()), text([real])
    assert rows["epochs"].values["yes"] > 0.58  # of a true gain of two to three run-sds


def test_what_people_do_instead_takes_luck_for_gain_on_real_trainings(real):
    for row in real.aa:
        assert row.values["paired t"] > 5 * row.values["yes"]
        assert row.values["paired t"] > 0.2
    values = {row.name: row.values for row in real.aa}["dealt anew"]
    assert values["mean CV"] == pytest.approx(0.5, abs=0.1)


def test_false_yes_multiply_without_the_noise_of_retraining(real, monkeypatch):
    monkeypatch.setattr(dealt, "replicate_terms", lambda values: (np.zeros(len(values)), 1))
    with_it = next(row for row in real.aa if row.name == "dealt anew")
    without = next(row for row in replay(Trainings.load(KEPT)).aa if row.name == "dealt anew")
    assert without.values["yes"] > max(0.15, 3 * with_it.values["yes"])


def test_the_page_in_the_docs_is_of_these_trainings(real):
    kept = PAGE.read_text()
    command = kept.partition("<!-- made by `")[2].partition("`")[0]
    assert command == f"podium verdict --replay tests/ledger/{KEPT.name} --markdown"
    assert page([real], command) == kept


def test_the_kept_file_is_small_and_names_no_sample():
    assert KEPT.stat().st_size < 300_000
    with np.load(KEPT) as f:
        assert {name.rstrip("0123456789") for name in f} == {"head", "keys", "groups", "scores"}
        assert "images/" not in str(f["head"])
