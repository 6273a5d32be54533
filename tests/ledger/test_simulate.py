"""The rule keeps its promises where the truth is known, and the simulator races by the same rule as `podium try`."""

from pathlib import Path

import numpy as np
import pytest

from podium.errors import ConfigError
from podium.ledger.simulate.ladder import climb, climb_by
from podium.ledger.simulate.page import page, text
from podium.ledger.simulate.race import closed_noise, noise_of, race
from podium.ledger.simulate.report import LADDERS, measure, measure_all, measure_ladder
from podium.ledger.simulate.scenarios import SCENARIOS, draw, run_scenario
from podium.ledger.simulate.worlds import AucWorld, DiceWorld, World, auc_values
from podium.ledger.verdict import Run, RunNoise, compare, decide, run_noise
from podium.ledger.verdict.formulas import SMALL, UNSURE, YES
from podium.metrics.classification import auc

MAIN = [name for name, s in SCENARIOS.items() if s.main]
PAGE = Path(__file__).parents[2] / "docs/verdict-calibration.md"
BOUND = [name for name, s in SCENARIOS.items() if s.bounds and not s.main]


def told_of(name, attempts):
    """About the share of YES that the page in the docs tells of a scenario, as near as chance lets it be measured."""
    (line,) = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {name}: ")]
    _, _, told_attempts, yes, *_ = [cell.strip() for cell in line.split("|")]
    share = float(yes.removesuffix(" %")) / 100
    variance = max(share, 0.001) * (1 - share) * (1 / attempts + 1 / int(told_attempts))
    return pytest.approx(share, rel=0, abs=0.0005 + 4 * variance**0.5)


def runs_of(values):
    """Values (K, seeds, G) as runs."""
    k, seeds, groups = values.shape
    return [Run(f, s, np.arange(groups), values[f, s]) for f in range(k) for s in range(seeds)]


@pytest.mark.parametrize(
    "name", ["no-op", "gain-2", "careful-later", "one-group", "three-folds", "one-fold", "unequal"]
)
def test_the_simulator_races_as_decide_does(name):
    s = SCENARIOS[name]
    rng = np.random.default_rng(3)
    field, s2, df = draw(s, 40, rng)
    raced = race(field, s2, df, rng, s.rule)
    for lane in range(40):
        attempt, parent, trained = runs_of(field.attempt[lane]), runs_of(field.parent[lane]), []
        by_name = {(run.fold, run.seed): run for run in attempt}
        order, noise = raced.order[lane].tolist(), RunNoise(float(s2[lane]), float(df[lane]))
        d = decide(compare([], parent, noise), order, s.rule)
        while d.next:
            trained.append(by_name[d.next])
            c = compare(trained, parent, noise)
            d = decide(c, order, s.rule)
        assert d.verdict == ("YES" if raced.code[lane] == YES else "UNSURE" if raced.code[lane] == UNSURE else "NO")
        assert (d.reason == "too small to matter") == (raced.code[lane] == SMALL)
        assert d.fold_runs == raced.fold_runs[lane]
        assert d.gain == pytest.approx(raced.gain[lane])


def test_the_simulator_measures_noise_as_run_noise_does():
    rng = np.random.default_rng(4)
    field, s2, df = draw(SCENARIOS["gain-2"], 30, rng)
    raced = race(field, s2, df, rng)
    top, bottom, free = noise_of(field.parent)
    tops, bottoms, frees = closed_noise(field, raced)
    for lane in range(30):
        m = min(raced.fold_runs[lane], 5)
        attempt = runs_of(field.attempt[lane][:, :1])
        closed = compare([attempt[f] for f in raced.order[lane][:m]], runs_of(field.parent[lane]))
        noise = run_noise([runs_of(field.parent[lane])], [closed])
        assert noise.s2 == pytest.approx(max(0, (top[lane] + tops[lane]) / (bottom[lane] + bottoms[lane])))
        assert noise.df == free + frees[lane]


def test_group_means_are_what_images_would_give():
    world, rng = World(sizes=(16,) * 8), np.random.default_rng(5)
    images = world.run_group * rng.standard_normal((4000, 8)) + world.image * rng.standard_normal((16, 4000, 8)).mean(0)
    images += rng.standard_normal((4000, 1))
    drawn = world.run(rng, np.zeros((4000, 8)))
    assert np.cov(drawn.T)[0, :2] == pytest.approx(np.cov(images.T)[0, :2], abs=0.6)
    assert drawn.mean(1).std() == pytest.approx(np.sqrt(1 + (4 + 4) / 8), rel=0.05)


def test_run_noise_is_unbiased():
    rng = np.random.default_rng(6)
    top, bottom, df = noise_of(World().run(rng, np.zeros((3000, 5, 2, 64))))
    assert df == 5
    assert (top / bottom).mean() == pytest.approx(1, abs=0.05)


def test_the_tails_have_the_same_spread():
    values = World(sizes=(1,), image=0, run_group=0, tail=5).run(np.random.default_rng(0), np.zeros((200_000, 1)))
    assert values.std() == pytest.approx(1, rel=0.02)
    factors = World(spread=0.35).factors(np.random.default_rng(0), 100_000)
    assert np.quantile(factors, [0.025, 0.975]) == pytest.approx([0.5, 2], rel=0.02)


def test_auc_values_are_the_jackknife():
    rng = np.random.default_rng(7)
    ones, zeros = rng.normal(0.5, 1, (5, 3)), rng.normal(0, 1, (5, 3))
    truth = np.repeat([1, 0], 15)
    scores, codes = np.concatenate([ones.ravel(), zeros.ravel()]), np.tile(np.repeat(np.arange(5), 3), 2)
    plain = Run.of_metric(0, 0, lambda chosen: auc(truth[chosen], scores[chosen]), codes)
    assert auc_values(ones, zeros) == pytest.approx(plain.values)


def test_bounded_worlds_are_bounded_and_a_better_recipe_scores_more():
    for world in (DiceWorld(), AucWorld(sizes=(4,) * 32)):
        rng = np.random.default_rng(8)
        low, high = (world.run(rng, np.full((200, len(world.sizes)), level)).mean(-1) for level in (0.0, 3.0))
        assert 0.5 < low.mean() < high.mean() < 1
    scores = DiceWorld().run(np.random.default_rng(9), np.zeros((50, 64)))
    assert ((scores >= 0) & (scores <= 1)).all()


def test_the_same_seed_gives_the_same_verdicts():
    first, again, other = (run_scenario(SCENARIOS["no-op"], 300, seed).gain for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["no-op", "gain-3", "harmful"])
def test_bounds_hold_in_short(name):
    assert measure(SCENARIOS[name], 500).holds


def test_every_scenario_runs():
    rows = [row for name in [*SCENARIOS, *LADDERS] for row in measure_all(20, name)]
    shown = text(rows)
    assert all(name in shown for name in SCENARIOS)
    made = page(rows, "the command")
    assert all(f"## {title}" in made for title in ("The promises", "Other competitions", "Ladders"))
    assert rows[0].tree()["bounds"][0].keys() == {"bound", "holds"}


def test_the_page_in_the_docs_is_of_these_scenarios():
    kept = PAGE.read_text()
    assert [name for name, s in SCENARIOS.items() if f"| {name}: {s.says} |" not in kept] == []
    assert f"All {sum(len(s.bounds) for s in SCENARIOS.values()) + 3} bounds hold." in kept


def test_an_unknown_scenario_names_the_known():
    with pytest.raises(ConfigError, match="no-op"):
        list(measure_all(100, "noop"))


def test_a_broken_bound_is_told():
    row = measure(SCENARIOS["no-op"], 100)
    broken = type(row)(row.name, row.says, 100, row.values, bounds=(("YES ≤ 0%", False),))
    assert not broken.holds
    assert "YES ≤ 0% BROKEN" in text([broken])
    assert "Bounds that do not hold: no-op" in page([broken], "x")


def test_a_ladder_spends_its_budget_and_no_more():
    climbed = climb(World(), 30, 40, np.random.default_rng(0))
    assert (climbed.attempts <= 40).all()
    assert (climbed.attempts + 4 * climbed.accepted <= 40).all()  # a YES costs all five folds
    assert (climbed.false <= climbed.accepted).all()
    assert (climb_by("mean CV", World(), 30, 40, np.random.default_rng(0)).attempts == 8).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", MAIN)
def test_the_promises_hold(name):
    row = measure(SCENARIOS[name], 4000)
    assert row.holds, row.tree()
    assert row.values["yes"] == told_of(name, 4000), "the page in the docs says something else"


@pytest.mark.slow
@pytest.mark.parametrize("name", BOUND)
def test_they_hold_in_other_competitions(name):
    row = measure(SCENARIOS[name], 2000)
    assert row.holds, row.tree()
    assert row.values["yes"] == told_of(name, 2000), "the page in the docs says something else"


@pytest.mark.slow
def test_what_people_do_instead_takes_luck_for_gain():
    shares = measure(SCENARIOS["no-op"], 2000).values
    assert 0.3 < shares["paired t"] < 0.5
    assert 0.45 < shares["mean CV"] < 0.55
    found = measure(SCENARIOS["gain-2"], 2000).values
    assert found["yes"] > found["corrected t"] + 0.1  # in half as many fold runs


@pytest.mark.slow
@pytest.mark.parametrize("name", LADDERS)
def test_ladders_hold(name):
    ours, *others = measure_ladder(name, 200)
    assert ours.holds, ours.tree()
    by_name = {row.name.partition(": ")[2]: row.values for row in others}
    assert ours.values["gained"] > 1.8 * by_name["corrected t"]["gained"]
    assert by_name["paired t"]["false"] > 3 * ours.values["false"]
