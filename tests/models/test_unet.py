"""UNet's own promises."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from podium.errors import ModelError
from podium.models import count_parameters
from podium.models.unet import Doubled, UNet, doubled


def test_golden_parameter_counts() -> None:
    with torch.device("meta"):
        assert count_parameters(UNet()) == 7_849_601
        assert count_parameters(UNet(filters=16)) == 1_964_097
        assert UNet(depth=7).stride == 64


@pytest.mark.parametrize("norm", ["batch", "group", "none"])
def test_convolutions_have_a_bias_only_without_a_norm(norm: str) -> None:
    model = UNet(filters=4, depth=3, norm=norm)
    inner = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m is not model.head]
    assert len(inner) == 10
    assert all((conv.bias is None) == (norm != "none") for conv in inner)


def test_group_norm_takes_any_number_of_filters() -> None:
    assert UNet(filters=5, depth=2, norm="group")(torch.rand(1, 3, 4, 4)).shape == (1, 1, 4, 4)


def test_deconv_halves_the_channels() -> None:
    model = UNet(filters=4, depth=3, upsample="deconv")
    assert [(up.grow.in_channels, up.grow.out_channels) for up in model.decoder] == [(16, 8), (8, 4)]
    assert [up.conv[0].in_channels for up in model.decoder] == [16, 8]


def test_what_is_doubled_when_compiled_is_the_nearest_neighbour_and_its_gradient() -> None:
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    found = []
    for double in (Doubled(), torch.compile(Doubled(), backend="eager"), doubled):
        y = x.clone().requires_grad_()
        out = double(y)
        (out * torch.arange(out.numel()).view(out.shape)).sum().backward()
        found.append((out.detach(), y.grad))
    for out, slope in found[1:]:
        assert torch.equal(out, found[0][0])
        assert slope is not None
        assert torch.equal(slope, found[0][1])
    graphs: list[torch.fx.GraphModule] = []
    torch.compile(Doubled(), backend=lambda graph, _: graphs.append(graph) or graph.forward)(x)
    assert "interpolate" not in graphs[0].code
    assert "expand" in graphs[0].code


def test_batch_norm_of_one_value_is_refused_with_advice() -> None:
    model = UNet(filters=4, depth=4).train()
    with pytest.raises(ModelError, match=r"larger than 8x8(.|\n)*model\.norm=group"):
        model(torch.rand(1, 3, 8, 8))
    assert model(torch.rand(2, 3, 8, 8)).shape == (2, 1, 8, 8)
    assert model.eval()(torch.rand(1, 3, 8, 8)).shape == (1, 1, 8, 8)


def test_pixels_come_back_where_they_were() -> None:
    """With a head that passes the first channel's pixels on, the output is the input."""
    model = UNet(in_channels=1, filters=4, depth=2, norm="none", patch=2).eval()
    x = torch.rand(2, 1, 8, 12)
    model.head = nn.Identity()
    model.decoder, model.encoder = nn.ModuleList(), nn.ModuleList([nn.Identity()])
    assert torch.equal(model(x), x)
    assert UNet(depth=4, patch=2).stride == 16


def test_lower_levels_predict_only_while_training_and_count_less_and_less() -> None:
    model = UNet(filters=4, depth=4, supervised=2)
    x = torch.rand(2, 3, 20, 24)
    assert [tuple(part.shape) for part in model.train()(x)] == [(2, 1, 20, 24)] * 3
    assert model.auxiliary_weights == (0.5, 0.25)
    assert model.eval()(x).shape == (2, 1, 20, 24)
    with pytest.raises(ModelError, match=r"2 levels besides the last, not 3"):
        UNet(depth=4, supervised=3)
