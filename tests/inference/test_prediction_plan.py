"""What a prediction takes, and what is left out so that it fits: by hand, and measured."""

from __future__ import annotations

import math
import time

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from stand_ins import Bright, Made, job_of, predictor_of

from podium.errors import ConfigError
from podium.inference import plan as module
from podium.inference.plan import MARGIN, Pace, _few, _slope, _spread, measure, plan_of
from podium.inference.predict import _predict
from podium.progress import seconds_of

PACE = Pace(fixed=0.01, each=0.1, start=5.0, bytes=100.0, probs=1000.0)


def test_a_plan_is_what_its_parts_take():
    plan = plan_of(PACE, 1000, 1100, 5, 8, save_probs=True)
    assert plan.seconds == pytest.approx(5 + 1000 * (0.01 + 40 * 0.1))
    assert (plan.bytes, plan.probs_bytes, plan.cut) == (110_000, 1_000_000, "")
    assert "1000 images, 5 models x 8 views: about 1h06m" in str(plan)


@given(st.floats(150, 10_000), st.integers(1, 6), st.integers(1, 8))
def test_what_fits_is_as_much_as_fits(limit, models, views):
    plan = plan_of(PACE, 1000, 1000, models, views, limit=limit)
    if (plan.models, plan.views) != (models, views):
        assert MARGIN * plan.seconds <= limit
        more = (models, plan.views + 1) if plan.models == models else (plan.models + 1, 1)
        assert MARGIN * PACE.seconds(1000, *more) > limit
        assert plan.models == models or plan.views == 1, "views are left out before models"
        assert plan.cut.startswith("left out to fit the time: ")
    else:
        assert plan.cut == ""


def test_what_is_cut_is_said():
    assert plan_of(PACE, 1000, 1000, 5, 8, limit=1300).cut == "left out to fit the time: 6 of 8 views"
    cut = plan_of(PACE, 1000, 1000, 5, 2, limit=400).cut
    assert cut == "left out to fit the time: 1 of 2 views, 2 of 5 models"


def test_a_limit_below_one_model_is_refused_with_the_least():
    with pytest.raises(ConfigError, match="takes about 2m07s, and the limit is 1m00s"):
        plan_of(PACE, 1000, 1000, 5, 8, limit=60)


class Slow(Bright):
    """Takes its time with each image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        time.sleep(0.004 * len(x))
        return super().forward(x)


def test_a_measurement_foretells_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.5)
    predictor = predictor_of("plain", 'predict.tta=["hflip", "vflip"]', model=Slow())
    job, ids = job_of(tmp_path / "parts", predictor, Made(200))
    pace = measure(predictor, job.content, job.test, ids)
    assert 0.003 < pace.each < 0.012
    began = time.monotonic()
    _predict(job)
    took = time.monotonic() - began
    assert pace.seconds(200, 1, 3) - pace.start == pytest.approx(took, rel=0.25)
    size = job.content.finish([], [], tmp_path).stat().st_size
    assert pace.bytes > size / 200
    assert pace.probs == pytest.approx(20 * 28, rel=0.1)


def test_what_a_stream_takes_to_begin_is_not_counted_again_with_every_image():
    assert _slope([(n, 0.6 + 0.2 * n) for n in (4, 8, 16)]) == pytest.approx(0.2)
    assert _slope([(4, 2.0)]) == pytest.approx(0.5), "one stream says no better"
    assert _slope([(4, 2.0), (8, 2.0)]) == pytest.approx(1 / 6), "nor noise: half the mean at least"
    assert _slope([(4, 0.4), (8, 8.0)]) == pytest.approx(0.7), "and the mean at most"
    assert _slope([]) == 0


@given(st.integers(0, 200))
def test_a_few_lie_everywhere_and_all_come_once(n):
    order = _spread(n)
    assert sorted(order) == list(range(n))
    assert [i for some in _few(order) for i in some] == order
    if n > 20:
        assert max(order[:8]) - min(order[:8]) > n / 2


@pytest.mark.parametrize(("text", "seconds"), [("4h", 14400), ("90s", 90), ("1h30m", 5400), ("1.5m", 90)])
def test_times(text, seconds):
    assert math.isclose(seconds_of(text), seconds)


@pytest.mark.parametrize("text", ["4", "", "4 hours", "-1h", "0s", "m5"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="is not a time"):
        seconds_of(text, "--time-limit")
