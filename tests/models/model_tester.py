"""What every architecture must do. A test file of an architecture is a subclass that says how it is built."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from podium.models import create_model
from podium.models.base import first_logits, split_parameters
from podium.recipe import ModelConfig, Recipe


def images(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def blobs(side: int) -> tuple[Tensor, Tensor]:
    """Two noisy images, each with a bright rectangle, and masks of these."""
    target = torch.zeros(2, 1, side, side)
    target[0, :, side // 8 : side // 2, side // 4 :] = 1
    target[1, :, side // 2 :, : side // 3] = 1
    return images(2, 3, side, side) * 0.3 + target, target


class BaseModelTester:
    """Subclass it with the `settings` of ``[model]``; tiny widths keep it fast.

    Attributes:
        settings: Keys of `[model]`: "arch=unet width=0.125".
        side: Of square images that are large enough to train on.
        learnt: Steps of Adam, its rate, and the loss to be reached; a guess of the foreground's share costs 0.58.
        bf16_error: Mean error of logits in bf16, as a share of their standard deviation. Maxima that change places, and
            norms of few values, carry it far in networks that are narrow and untrained.
        unused: Beginnings of the parameters that a library leaves idle.
        graph_breaks: Whether torch.compile may make several graphs of it.
    """

    settings: ClassVar[str]
    side: ClassVar[int] = 64
    learnt: ClassVar[tuple[int, float, float]] = (60, 5e-3, 0.3)
    bf16_error: ClassVar[float] = 0.2
    unused: ClassVar[tuple[str, ...]] = ()
    graph_breaks: ClassVar[bool] = False

    @classmethod
    def config(cls) -> ModelConfig:
        return Recipe().with_overrides([f"model.{setting}" for setting in cls.settings.split()]).model

    def build(self, seed: int = 0, *, in_channels: int = 3, classes: int = 1) -> nn.Module:
        torch.manual_seed(seed)
        return create_model(self.config(), in_channels, classes)

    @pytest.mark.parametrize("size", [(64, 64), (101, 101), (33, 70), (1, 5)])
    def test_output_has_the_size_of_the_input(self, size: tuple[int, int]) -> None:
        assert self.build().eval()(images(2, 3, *size)).shape == (2, 1, *size)

    @pytest.mark.parametrize(("in_channels", "classes"), [(1, 3), (4, 1), (6, 12)])
    def test_any_channels_and_classes(self, in_channels: int, classes: int) -> None:
        model = self.build(in_channels=in_channels, classes=classes).eval()
        assert model(images(1, in_channels, 64, 64)).shape == (1, classes, 64, 64)

    def test_training_gives_logits_and_as_many_others_as_it_says(self) -> None:
        model = self.build(classes=2).train()
        output = model(images(2, 3, self.side + 5, self.side))
        parts = output if isinstance(output, tuple) else (output,)
        assert len(parts) == 1 + len(model.auxiliary_weights)
        assert all(part.shape == (2, 2, self.side + 5, self.side) for part in parts)

    def test_fresh_outputs_are_logits_of_moderate_probabilities(self) -> None:
        logits = first_logits(self.build().train()(images(2, 3, self.side, self.side)))
        assert 0.01 < logits.sigmoid().mean() < 0.99
        assert 0.02 < logits.std() < 5

    def test_gradients_reach_every_parameter(self) -> None:
        model = self.build().train()
        output = model(images(2, 3, self.side, self.side))
        sum(part.square().sum() for part in (output if isinstance(output, tuple) else (output,))).backward()
        dead = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
        assert [name for name in dead if not name.startswith(self.unused)] == []

    def test_a_toy_problem_is_learnt(self) -> None:
        model, (x, target) = self.build().train(), blobs(min(self.side, 48))
        steps, lr, goal = self.learnt
        optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
        for _ in range(steps):
            loss = F.binary_cross_entropy_with_logits(first_logits(model(x)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < goal

    def test_state_dict_round_trip(self) -> None:
        first, second = self.build(0).train(), self.build(1).eval()
        x = images(2, 3, self.side, self.side)
        first(x)  # running statistics, where there are any, move away from their start
        first.eval()
        assert not torch.equal(first(x), second(x))
        second.load_state_dict(first.state_dict())
        assert torch.equal(first(x), second(x))

    def test_a_seed_decides_the_weights_and_eval_is_deterministic(self) -> None:
        x = images(2, 3, 40, 40)
        first, second = self.build().eval(), self.build().eval()
        with torch.inference_mode():
            expected = first(x)
            assert torch.equal(first(x), expected)
            assert torch.equal(second(x), expected)

    def test_eval_does_not_mix_samples(self) -> None:
        model, x = self.build().train(), images(3, 3, self.side, self.side)
        for _ in range(2):
            model(x)  # statistics of the size that features have
        model.eval()
        torch.testing.assert_close(model(x)[1:2], model(x[1:2]), atol=1e-4, rtol=1e-3)

    def test_a_meta_build_uses_no_random_numbers(self) -> None:
        torch.manual_seed(0)
        expected = torch.rand(1)
        with torch.device("meta"):
            model = self.build()
        assert torch.equal(torch.rand(1), expected)
        real = {name: t.shape for name, t in self.build().state_dict().items()}
        assert {name: t.shape for name, t in model.state_dict().items()} == real
        assert all(p.is_meta for p in model.parameters())

    def test_encoder_and_others_are_all_parameters(self) -> None:
        model = self.build()
        encoder, others = split_parameters(model)
        assert encoder
        assert others
        assert {id(p) for p in encoder} | {id(p) for p in others} == {id(p) for p in model.parameters()}
        assert len(encoder) + len(others) == len(list(model.parameters()))

    def test_channels_last_with_bf16_autocast_agrees_with_fp32(self) -> None:
        model, x = self.build().train(), images(2, 3, self.side, self.side)
        torch.manual_seed(2)  # dropout
        expected = first_logits(model(x)).detach()
        model = model.to(memory_format=torch.channels_last)
        torch.manual_seed(2)
        with torch.autocast("cpu", torch.bfloat16):
            output = model(x.contiguous(memory_format=torch.channels_last))
        parts = output if isinstance(output, tuple) else (output,)
        sum(part.float().square().sum() for part in parts).backward()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        assert torch.isfinite(parts[0]).all()
        assert (parts[0].float() - expected).abs().mean() < self.bf16_error * expected.std()

    @pytest.mark.slow
    def test_compiles(self) -> None:
        model, x = self.build().eval(), images(2, 3, 33, 40)
        torch._dynamo.reset()
        compiled = torch.compile(model, fullgraph=not self.graph_breaks, backend="eager")
        with torch.inference_mode():
            torch.testing.assert_close(compiled(x), model(x), atol=1e-4, rtol=1e-3)
        compiled.train()(images(2, 3, self.side, self.side))

    def test_every_image_counts_in_deterministic_mode(self) -> None:
        model, x = self.build().train(), images(2, 3, self.side, self.side)
        torch.use_deterministic_algorithms(True)
        try:
            first_logits(model(x)).sum().backward()
        finally:
            torch.use_deterministic_algorithms(False)
        assert any(p.grad is not None for p in model.parameters())


class BaseClassifierTester(BaseModelTester):
    """The same of a network with an output a sample: its shapes, metadata beside the image, and what it learns."""

    inputs: ClassVar[int] = 3

    def build(self, seed: int = 0, *, in_channels: int = 3, classes: int = 1, inputs: int = 0) -> nn.Module:
        torch.manual_seed(seed)
        return create_model(self.config(), in_channels, classes, dense=False, inputs=inputs)

    @pytest.mark.parametrize("size", [(64, 64), (101, 101), (33, 70), (7, 9)])
    def test_output_has_the_size_of_the_input(self, size: tuple[int, int]) -> None:
        """An output a sample, whatever the size."""
        assert self.build().eval()(images(2, 3, *size)).shape == (2, 1)

    @pytest.mark.parametrize(("in_channels", "classes"), [(1, 3), (4, 1), (6, 12)])
    def test_any_channels_and_classes(self, in_channels: int, classes: int) -> None:
        model = self.build(in_channels=in_channels, classes=classes).eval()
        assert model(images(1, in_channels, 64, 64)).shape == (1, classes)

    def test_training_gives_logits_and_as_many_others_as_it_says(self) -> None:
        output = self.build(classes=2).train()(images(2, 3, self.side + 5, self.side))
        assert output.shape == (2, 2)

    def test_fresh_outputs_are_logits_of_moderate_probabilities(self) -> None:
        logits = self.build(classes=5).train()(images(4, 3, self.side, self.side))
        assert (logits.softmax(1) > 1e-3).all()
        assert logits.std() > 0.01

    def test_a_toy_problem_is_learnt(self) -> None:
        model, (x, _) = self.build().train(), blobs(min(self.side, 48))
        x, target = torch.cat([x, images(2, 3, *x.shape[2:], seed=3) * 0.3]), torch.tensor([[1.0], [1.0], [0.0], [0.0]])
        steps, lr, goal = self.learnt
        optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
        for _ in range(steps):
            loss = F.binary_cross_entropy_with_logits(model(x), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        assert loss.item() < goal

    def test_metadata_is_read(self) -> None:
        model = self.build(inputs=self.inputs).eval()
        x = images(2, 3, self.side, self.side)
        one, other = (model(x, images(2, self.inputs, seed=seed)) for seed in (1, 2))
        assert one.shape == (2, 1)
        assert not torch.equal(one, other)
