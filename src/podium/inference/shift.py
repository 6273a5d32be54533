"""Whether the test images are like the training ones to an encoder, and by which images one sees that they are not.

Cheap figures (brightness, contrast, sharpness) see a change of light; an encoder sees texture, stains, devices, other
things in the picture. A network knows the images that it was trained on, so each fold's network looks at samples that
it has not seen, beside a part of the test images; of published weights one network looks at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from podium.data.association import ranks
from podium.data.leaks import FEWEST_GROUPS, SHIFTED, interval_of_auc, unseen_scores
from podium.training.evaluate import Predictor, evaluating

Floats = NDArray[np.float64]

MOST = 600
"""Images that are looked at of each part, evenly spread."""
RIDGE = 0.05
"""Of the discriminant, in mean squared lengths of the features."""


@dataclass(frozen=True)
class Seen:
    """What one network makes of some images.

    Attributes:
        features: (N, F).
        test: Which of them are test images, (N,).
        ids: Of the samples.
        groups: Of each, those of train and test apart.
    """

    features: Floats
    test: NDArray[np.bool_]
    ids: list[str]
    groups: list[str]


@dataclass(frozen=True)
class EncoderShift:
    """How well a classifier on an encoder's features tells test images from training ones, groups kept apart.

    Attributes:
        auc, low, high: Its AUC and the 95 % interval; 0.5: not at all.
        by: Whose encoder it is.
        train, test: {id: how much like a test image it looks, the share of images that do less}.
    """

    auc: float
    low: float
    high: float
    by: str
    train: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)

    @property
    def shifted(self) -> bool:
        """Whether it is a shift to speak of."""
        return self.low > SHIFTED

    def told(self) -> str:
        """In a sentence."""
        what = f"a classifier on the features of {self.by} tells {len(self.test)} test from {len(self.train)} training "
        what += f"images with AUC {self.auc:.2f} ({self.low:.2f} to {self.high:.2f}; 0.5 = not at all)"
        return what + (": validation may not foretell the board" if self.shifted else ": no shift to speak of")


def measured(parts: Sequence[Seen], by: str) -> EncoderShift | None:
    """The classifier of each network, cross-validated by group, all together; None where groups are too few."""
    places, test, groups, ids = [], [], [], []
    for part in parts:
        each = (np.unique(np.array(part.groups)[part.test == side]) for side in (True, False))
        if min(map(len, each)) < FEWEST_GROUPS:
            continue
        score = unseen_scores(part.features, part.test.astype(np.float64), np.array(part.groups), _ridge)
        places.append((ranks(score) - 0.5) / len(score))
        test.append(part.test)
        groups += part.groups
        ids += part.ids
    if not places:
        return None
    where, of_test = np.concatenate(places), np.concatenate(test)
    auc, low, high = interval_of_auc(where, of_test.astype(np.float64), np.array(groups))
    each_part: list[dict[str, float]] = [{}, {}]
    for id, of, place in zip(ids, of_test.tolist(), where.tolist(), strict=True):
        each_part[of][id] = place
    return EncoderShift(auc, low, high, by, *each_part)


def _ridge(x: Floats, y: Floats, new: Floats) -> Floats:
    """Scores of new samples by ridge regression on whether a sample is of the test set; both parts count the same.

    Solved among the samples, of which there are fewer than features: (N, F), (N,), (M, F) to (M,).
    """
    mean, sd = x.mean(axis=0), x.std(axis=0)
    keep = sd > 1e-6 * max(float(sd.max(initial=0)), 1e-12)
    a, b = (x[:, keep] - mean[keep]) / sd[keep], (new[:, keep] - mean[keep]) / sd[keep]
    weight = np.sqrt(np.where(y > 0, 0.5 / max(y.mean(), 1e-9), 0.5 / max(1 - y.mean(), 1e-9)))
    scaled = a * weight[:, None]
    gram = scaled @ scaled.T
    solved = np.linalg.solve(gram + RIDGE * np.trace(gram) / len(y) * np.eye(len(y)), weight * (2 * y - 1))
    return np.asarray(b @ (scaled.T @ solved), np.float64)


class EncoderFeatures:
    """Features of images by the encoder of a network: of each stage the mean and the spread of every channel.

    Args:
        predictor: Whose first network looks.
    """

    def __init__(self, predictor: Predictor) -> None:
        self.predictor, self.model = predictor, predictor.models[0]
        names: Sequence[str] = getattr(self.model, "encoder_names", ("encoder",))
        self.stages = [stage for name in names for stage in _stages(self.model, name)] or [self.model]

    @torch.inference_mode()
    def of(self, images: NDArray[np.uint8], inputs: Sequence[Sequence[str]] = ()) -> Floats:
        """Of a batch, uint8 (N, H, W, C): (N, F)."""
        found: list[Tensor] = []
        hooks = [s.register_forward_hook(lambda _, __, out: found.extend(_pooled(out))) for s in self.stages]
        try:
            with evaluating([self.model]):
                self.predictor.reduced(1, 1).precise().mean(torch.from_numpy(images), inputs)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.cat(found, dim=1).double().cpu().numpy()


def _stages(model: nn.Module, name: str) -> Iterator[nn.Module]:
    """The module of a name; of a list of modules, which may never be called itself, each."""
    try:
        module = model.get_submodule(name)
    except AttributeError:
        return
    yield from module if isinstance(module, nn.ModuleList | nn.Sequential) else (module,)


def _pooled(out: Any) -> Iterator[Tensor]:
    """Means and spreads over places, (N, 2 C), of maps (N, C, H, W) or tokens (N, T, C), or of several of them."""
    if isinstance(out, list | tuple):
        for part in out:
            yield from _pooled(part)
    elif isinstance(out, Tensor) and out.ndim in (3, 4) and out.is_floating_point():
        flat = out.float().flatten(2) if out.ndim == 4 else out.float().transpose(1, 2)
        yield torch.cat([flat.mean(2), flat.std(2, correction=0)], dim=1)
