"""The small classifier: any size, metadata beside the image, and steps in the memory order that training uses."""

from __future__ import annotations

import pytest
import torch

from podium.models import count_parameters, create_model
from podium.recipe import ModelConfig


def build(outputs=3, inputs=0, **keys):
    torch.manual_seed(0)
    return create_model(ModelConfig(arch="resnet_small", **keys), 3, outputs, dense=False, inputs=inputs)


@pytest.mark.parametrize("size", [(50, 50), (33, 70), (7, 9), (128, 192)])
@pytest.mark.parametrize("width", [0.125, 0.25, 1.0])
def test_any_size_trains_in_channels_last(size, width):
    """With strided 1x1 convolutions the narrow ones corrupted memory in the backward pass."""
    model = build(width=width).to(memory_format=torch.channels_last).train()
    images = torch.randn(4, 3, *size).to(memory_format=torch.channels_last)
    out = model(images)
    assert out.shape == (4, 3)
    out.square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_it_is_small():
    assert 1.1e6 < count_parameters(build(1)) < 1.3e6


def test_metadata_matters_and_one_batch_is_learnt():
    model = build(2, inputs=3, width=0.25).train()
    images, inputs = torch.randn(8, 3, 32, 32), torch.randn(8, 3)
    target = torch.stack([inputs.sum(1), images.mean((1, 2, 3)) * 30], dim=1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(60):
        loss = (model(images, inputs) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
