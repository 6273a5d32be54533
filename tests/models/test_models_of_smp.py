"""The decoders of segmentation_models_pytorch, each by the tests of podium's own architectures."""

from __future__ import annotations

import pytest
from model_tester import BaseModelTester

from podium.models.smp_models import DECODERS

pytestmark = pytest.mark.slow

UNUSED = {
    "PSPNet": ("encoder.layer3", "encoder.layer4"),  # its features end at an eighth of the size
    "PAN": ("decoder.fpa.down3.",),  # biases in front of a norm
    "DPT": ("encoder.model.norm", "encoder.model.head"),
}

for _name in DECODERS:
    _settings = f"arch=smp.{_name}" + ("" if _name == "DPT" else " encoder=resnet18")
    _body = {"settings": _settings, "unused": UNUSED.get(_name, ()), "graph_breaks": True, "bf16_error": 1.0}
    if _name != "Unet":
        _body["test_compiles"] = None  # ten to twenty seconds each
    globals()[f"Test{_name}"] = type(f"Test{_name}", (BaseModelTester,), {**_body, "learnt": (20, 1e-3, 0.5)})
