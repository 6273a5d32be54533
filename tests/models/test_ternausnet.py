"""TernausNet-11 against the published code."""

from __future__ import annotations

import pytest
import torch

from podium.models import count_parameters
from podium.models.ternausnet import TernausNet11

WEIGHTS = [
    ("encoder.0", (64, 3, 3, 3)),
    ("encoder.3", (128, 64, 3, 3)),
    ("encoder.6", (256, 128, 3, 3)),
    ("encoder.8", (256, 256, 3, 3)),
    ("encoder.11", (512, 256, 3, 3)),
    ("encoder.13", (512, 512, 3, 3)),
    ("encoder.16", (512, 512, 3, 3)),
    ("encoder.18", (512, 512, 3, 3)),
    ("center.block.0.conv", (512, 512, 3, 3)),
    ("center.block.1", (512, 256, 3, 3)),
    ("dec5.block.0.conv", (512, 768, 3, 3)),
    ("dec5.block.1", (512, 256, 3, 3)),
    ("dec4.block.0.conv", (512, 768, 3, 3)),
    ("dec4.block.1", (512, 128, 3, 3)),
    ("dec3.block.0.conv", (256, 384, 3, 3)),
    ("dec3.block.1", (256, 64, 3, 3)),
    ("dec2.block.0.conv", (128, 192, 3, 3)),
    ("dec2.block.1", (128, 32, 3, 3)),
    ("dec1.conv", (32, 96, 3, 3)),
    ("final", (1, 32, 1, 1)),
]


@pytest.fixture(scope="module")
def model() -> TernausNet11:
    with torch.device("meta"):
        return TernausNet11()


def test_golden_parameters(model: TernausNet11) -> None:
    expected = []
    for name, shape in WEIGHTS:
        filters = shape[1] if name.endswith("block.1") else shape[0]  # transposed: (in, out, …)
        expected += [(f"{name}.weight", shape), (f"{name}.bias", (filters,))]
    assert [(name, tuple(p.shape)) for name, p in model.named_parameters()] == expected
    assert count_parameters(model) == 22_927_393


def test_encoder_is_laid_out_as_vgg11(model: TernausNet11) -> None:
    letters = "".join(type(layer).__name__[0] for layer in model.encoder)
    assert letters == "CRM" + "CRM" + 3 * "CRCRM"


def test_resolutions_on_the_way(model: TernausNet11) -> None:
    sides: dict[str, tuple[int, ...]] = {}
    for name in ("encoder", "center", "dec5", "dec4", "dec3", "dec2", "dec1"):
        getattr(model, name).register_forward_hook(lambda _m, _i, out, name=name: sides.update({name: out.shape[1:]}))
    model(torch.empty(1, 3, 64, 96, device="meta"))
    assert sides["center"] == (256, 4, 6)
    assert sides["dec2"] == (32, 64, 96)
    assert sides["dec1"] == (32, 64, 96)


@pytest.mark.parametrize("width", [0.01, 0.3, 1.7])
def test_any_width_fits_together(width: float) -> None:
    with torch.device("meta"):
        model = TernausNet11(4, 2, width=width)
    assert model(torch.empty(1, 4, 32, 32, device="meta")).shape == (1, 2, 32, 32)
    assert min(p.shape[0] for name, p in model.named_parameters() if "final" not in name) >= 4
