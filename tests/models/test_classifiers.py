"""Classifiers and regressors, by the tests that networks of masks must pass too."""

from __future__ import annotations

from typing import Any

import pytest
from model_tester import BaseClassifierTester
from torch import nn

from podium.models import MODELS


class TestResNetSmall(BaseClassifierTester):
    settings = "arch=resnet_small width=0.25"
    learnt = (25, 5e-3, 0.3)


class TestResNetSmallConcat(BaseClassifierTester):
    settings = "arch=resnet_small width=0.25 pooling=concat dropout=0.1"
    learnt = (25, 5e-3, 0.3)


@pytest.mark.slow
class TestTimm(BaseClassifierTester):
    settings = "arch=timm encoder=resnet18 pooling=gem"
    learnt = (15, 1e-3, 0.3)
    bf16_error = 1.0
    graph_breaks = True

    def build(self, *given: Any, **settings: Any) -> nn.Module:
        """timm begins with residual branches of 0, which the very first gradient does not get through."""
        model = super().build(*given, **settings)
        for name, parameter in model.named_parameters():
            if name.endswith("bn2.weight"):
                nn.init.ones_(parameter)
        return model


@pytest.mark.slow
class TestSmpClassifier(BaseClassifierTester):
    settings = "arch=smp.Classifier encoder=resnet18"
    learnt = (15, 1e-3, 0.3)
    bf16_error = 1.0
    graph_breaks = True


def test_every_classifier_that_trains_an_encoder_is_here() -> None:
    """Frozen features have no gradients to be tested; tests/training/test_features.py is theirs."""
    tested = {test.config().arch for test in BaseClassifierTester.__subclasses__()}
    assert {name for name, spec in MODELS.items() if not spec.dense} - {"features"} <= tested
