"""Several targets of which each has one class: loss, probabilities, heads and metric by hand, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from podium.data.competition import Competition
from podium.data.loader import Batch
from podium.errors import ConfigError, ModelError, TrainingError
from podium.metrics import get_metric
from podium.models import create_model
from podium.models.heads import LinearHead, OrdinalHead
from podium.recipe import ModelConfig, Recipe
from podium.training.check import check_recipe
from podium.training.feed import Fed
from podium.training.tasks import EachTask, create_task
from task_drawing import SPECS, metric_of

SPEC = {"name": "x", **SPECS["several targets"]}
RECIPE = Recipe().with_overrides(["model.arch=resnet_small", "model.width=0.25", "loss.terms={ce=1}"])


def task_of(*changes: str, **spec: object) -> EachTask:
    competition = Competition.from_tree(SPEC | spec)
    task = create_task(competition, metric_of(competition), RECIPE.with_overrides(changes))
    assert isinstance(task, EachTask)
    return task


LOGITS = torch.tensor([[2.0, 0.5, -1.0, 0.3, -0.2], [0.1, 0.2, 0.3, -2.0, 1.0]])
FLAGS = np.array([[1, 0, 0, 0, 1], [0, 0, 1, 0, 1]], np.float32)


def test_the_loss_is_the_weighted_mean_of_those_of_the_targets():
    task = task_of()
    total, terms = task.loss(LOGITS, SimpleNamespace(targets=FLAGS))
    colour = F.cross_entropy(LOGITS[:, :3], torch.tensor([0, 2]), reduction="none")
    lit = F.cross_entropy(LOGITS[:, 3:], torch.tensor([1, 1]), reduction="none")
    each = (2 * colour + lit) / 3  # target_weights = { colour = 2 }
    torch.testing.assert_close(task.each, each)
    torch.testing.assert_close(total, each.mean())
    torch.testing.assert_close(terms["ce"], each.mean())


def test_weights_of_classes_are_of_all_targets_in_a_row():
    weights = [1.0, 2.0, 4.0, 1.0, 3.0]
    task = task_of(f"loss.options.ce.class_weights={weights}")
    check_recipe(task.recipe, task)
    task.loss(LOGITS, SimpleNamespace(targets=FLAGS))
    each = []
    for of, truth in ((slice(0, 3), [0, 2]), (slice(3, 5), [1, 1])):
        w = torch.tensor(weights[of])[truth]
        each.append(F.cross_entropy(LOGITS[:, of], torch.tensor(truth), reduction="none") * w * 2 / w.sum())
    torch.testing.assert_close(task.each, (2 * each[0] + each[1]) / 3)
    short = task_of("loss.options.ce.class_weights=[1, 2, 3]")
    with pytest.raises(TrainingError, match="3 weights in 'class_weights' for 5 classes of all targets"):
        check_recipe(short.recipe, short)


def test_a_batch_of_classes_does_not_wait_for_the_device(monkeypatch):
    """Whether it is a mixture is known on the host; and either way of saying one class gives the same losses."""
    competition = Competition.from_tree({"name": "x", **SPECS["one class"]})
    terms = "{ce=1, focal=1, ohem=1}"
    options = ["loss.options.ce.smoothing=0.1", "loss.options.ce.class_weights=[1, 2, 3]", f"loss.terms={terms}"]
    task = create_task(competition, metric_of(competition), Recipe().with_overrides(options))
    logits, flags = torch.randn(6, 3), np.eye(3, dtype=np.float32)[[0, 1, 2, 2, 1, 0]]
    batch = Batch(np.arange(6), np.zeros((6, 4, 4, 3), np.uint8), None, flags)
    fed = [Fed(batch.rows, logits, logits, torch.from_numpy(flags), unmixed=known) for known in (True, False)]
    assert batch.unmixed
    assert fed[0].part(slice(0, 2)).unmixed
    assert not Batch(batch.rows, batch.images, None, flags * 0.9 + 0.1 / 3).unmixed

    def waits(self):
        raise AssertionError("it waits")

    monkeypatch.setattr(torch.Tensor, "__bool__", waits)
    losses = [task.loss(logits, one)[0] for one in fed]
    monkeypatch.undo()
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(losses[0], task.loss(logits, batch)[0])


def test_probabilities_of_each_target_sum_to_one_and_temperature_keeps_them_so():
    probs = task_of().probs(LOGITS)
    torch.testing.assert_close(probs[:, :3], LOGITS[:, :3].softmax(1))
    torch.testing.assert_close(probs[:, 3:], LOGITS[:, 3:].softmax(1))
    cool = task_of("predict.temperature=2").adjusted(probs.numpy())
    np.testing.assert_allclose(cool[:, 3:], (LOGITS[:, 3:] / 2).softmax(1).numpy(), atol=1e-6)
    np.testing.assert_allclose(cool[:, :3].sum(1), 1)


def test_a_target_whose_score_is_undefined_does_not_count():
    metric = metric_of(Competition.from_tree(SPEC | {"metric": "auc"}))
    flags = np.array([[1, 0, 0, 0, 1], [0, 1, 0, 0, 1], [0, 0, 1, 0, 1]])  # all of them lit: no auc
    probs = np.array([[0.8, 0.1, 0.1, 0.5, 0.5], [0.1, 0.8, 0.1, 0.5, 0.5], [0.6, 0.1, 0.3, 0.5, 0.5]])
    assert metric.score(flags, probs) == get_metric("auc").score(flags[:, :3].argmax(1), probs[:, :3])
    assert np.isnan(metric.score(flags[:1], probs[:1]))


def test_the_metric_is_the_weighted_mean_over_the_targets():
    metric = metric_of(Competition.from_tree(SPEC | {"metric": "accuracy"}))
    probs = np.array([[0.7, 0.2, 0.1, 0.9, 0.1], [0.6, 0.3, 0.1, 0.2, 0.8]])
    np.testing.assert_allclose(metric.per_sample(FLAGS, probs), [2 / 3, 1 / 3])
    assert metric.score(FLAGS, probs) == pytest.approx(0.5)
    whole = metric_of(Competition.from_tree(SPEC))  # balanced accuracy: colour 1 and 0, lit .5 of the only class
    assert whole.score(FLAGS, probs) == pytest.approx((2 * 0.5 + 0.5) / 3)
    with pytest.raises(ConfigError, match="several targets"):
        get_metric("dice", parts=Competition.from_tree(SPEC).parts)


@pytest.mark.parametrize(
    ("head", "kinds"), [('"ordinal"', None), ('{ colour = "ordinal" }', (OrdinalHead, LinearHead))]
)
def test_each_target_may_have_a_head_of_its_own(head, kinds):
    spec = SPEC
    if kinds is None:  # an order takes three classes
        spec = SPEC | {"classes": {**SPEC["classes"], "lit:2": 5}}
        spec["submission"] = SPEC["submission"] | {"choices": [["red", "green", "blue"], ["0", "1", "2"]]}
        kinds = (OrdinalHead, OrdinalHead)
    task = task_of(f"model.head={head}", **spec)
    check_recipe(task.recipe, task)
    model = task.create_model()
    assert tuple(map(type, model.head)) == kinds
    out = model(torch.rand(2, 3, 32, 32))
    assert out.shape == (2, task.outputs)
    torch.testing.assert_close(task.probs(out)[:, :3].sum(1), torch.ones(2))


def test_wrong_heads_are_refused():
    with pytest.raises(ModelError, match="there is no target 'color'"):
        task_of('model.head={ color = "ordinal" }').create_model()
    with pytest.raises(ModelError, match="does not predict classes"):
        task_of('model.head={ colour = "cumulative" }').create_model()
    one = Competition.from_tree({"name": "x", **SPECS["one class"]})
    with pytest.raises(ModelError, match="there is one target"):
        create_task(one, metric_of(one), RECIPE.with_overrides(['model.head={ colour = "ordinal" }'])).create_model()


def test_one_layer_for_all_is_what_linear_heads_are():
    torch.manual_seed(0)
    plain = create_model(ModelConfig(arch="resnet_small", width=0.25), 3, 5, dense=False)
    torch.manual_seed(0)
    parted = create_model(ModelConfig(arch="resnet_small", width=0.25), 3, 5, dense=False, parts={"a": 3, "b": 2})
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), parted.parameters(), strict=True))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": {"red": 0, "green": 1}}, "a target before each class"),
        ({"classes": {"lit:0": 0, "lit:1": 1, "colour:red": 2, "colour:blue": 3}}, "in the order of data.targets"),
        ({"classes": {"colour:red": 0, "colour:blue": 1, "lit:1": 2}}, "two classes or more of 'lit'"),
        ({"target_weights": {"colur": 2.0}}, "not 'colur'"),
        ({"target_weights": {"lit": 0.0}}, "weights above 0"),
        ({"labels": "many"}, "target_weights with labels"),
        ({"task": "regression"}, "a classification with several"),
        ({"submission": SPEC["submission"] | {"choices": [["0", "1"]]}}, "submission.choices for each of 2 targets"),
    ],
)
def test_what_does_not_fit_is_refused(change, told):
    with pytest.raises(ConfigError, match=told):
        Competition.from_tree(SPEC | change)
