"""Costs of networks against counting by hand and by torch's own counter."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from podium.models import MODELS, create_model
from podium.models.footprint import footprint, survey
from podium.recipe import ModelConfig


def test_by_hand() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))
    found = footprint(model, 3, [10, 20])
    assert found.parameters == 3 * 4 * 9 + 4 + 4 * 2 + 2
    assert found.gflops * 1e9 == pytest.approx(2 * 200 * (3 * 4 * 9 + 4 * 2))
    assert found.weights_mb * 1e6 == pytest.approx(16 * found.parameters)
    assert found.image_mb * 1e6 == pytest.approx(4 * 200 * 4)  # behind the ReLU; the images are not the network's
    assert found.training_mb == found.weights_mb + found.image_mb


@pytest.mark.parametrize("arch", ["unet", "segnet", "pspnet", "albunet34"])
def test_shortcuts_change_nothing(arch: str) -> None:
    with torch.device("meta"):
        model = create_model(ModelConfig(arch=arch))
    found = footprint(model, 3, [64, 96])
    with FlopCounterMode(display=False) as counter:
        model(torch.empty(2, 3, 64, 96, device="meta"))
    assert found.gflops == pytest.approx(counter.get_total_flops() / 2e9)


def test_memory_is_what_autograd_keeps() -> None:
    config = ModelConfig.from_tree({"arch": "unet", "width": 0.25})
    with torch.device("meta"):
        expected = footprint(create_model(config), 3, [64, 64]).image_mb
    torch.manual_seed(0)
    model, kept = create_model(config).train(), {}
    own = {p.untyped_storage().data_ptr() for p in (*model.parameters(), *model.buffers())}
    x = torch.rand(2, 3, 64, 64)

    def keep(t):
        if t.untyped_storage().data_ptr() not in own | {x.untyped_storage().data_ptr()}:
            kept[t.untyped_storage().data_ptr()] = t
        return t

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        model(x)
    assert expected * 2e6 == pytest.approx(sum(t.untyped_storage().nbytes() for t in kept.values()), rel=0.02)


def test_a_survey_has_a_row_for_each_that_is_asked_for() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    rows = {row["name"]: row for row in survey([64, 64], 1, 3, contains="net3")}
    assert torch.equal(torch.rand(1), expected)
    assert rows.keys() == {"linknet34", "albunet34"}
    assert rows["albunet34"]["stride"] == 64
    assert rows["albunet34"]["pretrained"] == "resnet34"
    assert rows["albunet34"]["parameters"] == 34_604_897 - 2 * 64 * 49 + 2 * 33
    names = {row["name"] for row in survey([32, 32], dense=False, inputs=2)}
    assert names == {name for name, spec in MODELS.items() if not spec.dense}
