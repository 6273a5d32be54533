"""Findings about leaks: near-duplicates, torn groups, a test set unlike train."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from podium.data.association import ranks
from podium.data.facts import Facts
from podium.data.finding import Finding, Severity, counted, exclude_line, percent
from podium.data.similar import Cluster
from podium.data.target_checks import answer
from podium.data.traits import TRAITS

Floats = NDArray[np.float64]
Classifier = Callable[[Floats, Floats, Floats], Floats]
"""From features (N, F) and 1 or 0 of some samples, and features (M, F) of others, to scores of these."""

SHIFTED = 0.60
"""A train/test classifier's AUC whose interval lies above this is a shift. Source: VERDICT."""
SHIFT = "shift.toml"
"""In `reports/`, that AUC with its interval, for what reads it later."""
ENCODER_SHIFT = "shift-encoder.toml"
"""Beside it, the same of a classifier on an encoder's features."""


CLEAR = 0.02
"""A gap between likenesses that is worth telling."""

OTHER_MASK = 0.02
"""Of the image: masks of duplicates may differ by as much through crops and re-encodings."""

FEWEST_GROUPS = 10
"""With fewer in train or test, what tells the groups apart cannot be told from what tells the parts apart."""


def torn_splits(facts: Facts) -> Iterable[Finding]:
    """Groups that an official split, or the test set, shares with training."""
    group = dict(facts.train.select("id", "group").rows())
    parts: dict[str, Counter[str]] = defaultdict(Counter)
    for id, split in (facts.splits or dict.fromkeys(group, "train")).items():
        if id in group:
            parts[split][group[id]] += 1
    own = Counter(facts.test_groups.values())
    if any(n > 1 for n in own.values()) or set(own) & set(group.values()):
        parts["test"] = own
    for other in ("val", "test"):
        shared = sorted(parts["train"].keys() & parts[other].keys())
        if shared:
            n = sum(parts[other][g] for g in shared)
            what = f"The official {other} part shares {counted(len(shared), 'group')} with train ({n} samples there): "
            what += "a score on it flatters." if other == "val" else "the board rewards memory of these groups."
            detail = tuple(f"{g}: {parts['train'][g]} train, {parts[other][g]} {other}" for g in shared[:10])
            remedy = (
                'folds.strategy = "auto" in competition.toml keeps groups together; prefer it to the official split'
            )
            if other == "test":
                remedy = "nothing to set: expect CV below the board, and trust CV"
            yield Finding(f"groups in train and {other}", "warning", len(shared), what, remedy, (), {}, detail)


def near_duplicates(facts: Facts) -> Iterable[Finding]:
    """Clusters of duplicates (beyond equal pixels) and of similar images, within train and between train and test."""
    if facts.similar is None:
        return
    group = facts.test_groups | dict(facts.train.select("id", "group").rows())
    seen: set[frozenset[str]] = set()
    for kind, clusters in (("duplicate", facts.similar.duplicates), ("similar", facts.similar.similars)):
        found = [c for c in clusters if frozenset(c.ids) not in seen and any(id.startswith("train/") for id in c.ids)]
        seen |= {frozenset(c.ids) for c in found}
        across = [c for c in found if len({id.partition("/")[0] for id in c.ids}) > 1]
        torn = [c for c in found if c not in across and len({group.get(_own(facts, id), id) for id in c.ids}) > 1]
        inside = [c for c in found if c not in across and c not in torn]
        grave: Severity = "warning" if kind == "duplicate" else "note"  # alike is a matter of looking
        yield from _clusters(facts, f"{kind} images in train and test", across, grave)
        yield from _clusters(facts, f"{kind} images in several groups", torn, grave)
        yield from _clusters(facts, f"{kind} images in one group", inside, "note")
        if kind == "duplicate":
            yield from _disagreeing(facts, found)


def _own(facts: Facts, id: str) -> str:
    """The sample behind an image: train/12, or train/kitchen/12 where a sample has several."""
    part, _, rest = id.partition("/")
    view, _, inner = rest.partition("/")
    return inner if part == "train" and view in facts.competition.data.views and inner else rest


def _clusters(facts: Facts, name: str, clusters: list[Cluster], severity: Severity) -> Iterable[Finding]:
    if not clusters:
        return
    ids = tuple(dict.fromkeys(_own(facts, id) for c in clusters for id in c.ids))
    of = f"images of {len(ids)} samples" if facts.competition.data.views else f"{len(ids)} samples"
    what = f"{counted(len(clusters), 'cluster')} of {of}, the largest of {max(len(c) for c in clusters)}"
    what += {
        "several groups": ": if their groups part, validation flatters.",
        "train and test": ": if they show the same thing, the board rewards memory of it.",
        "one group": ": their group keeps them together already.",
    }[name.partition(" images in ")[2]]
    detail = tuple(
        ", ".join(_told(facts, id) for id in c.ids[:6]) + (" …" if len(c) > 6 else "") for c in clusters[:12]
    )
    remedy = "nothing to set"
    if "several" in name:
        remedy = "data.group in competition.toml: give the samples of a cluster one group, or see folds.csv"
    shown = {_told(facts, id): f"cluster {n}" for n, c in enumerate(clusters[:3], 1) for id in _pair(c)}
    yield Finding(name, severity, len(ids), what, remedy, ids, shown, (*detail, _threshold(facts)))


def _pair(cluster: Cluster) -> list[str]:
    """Two images of a cluster to be looked at: of train and of test, if there are both."""
    first = cluster.ids[0]
    other = [id for id in cluster.ids[1:] if id.partition("/")[0] != first.partition("/")[0]]
    return [first, (other or list(cluster.ids[1:]))[0]]


def _told(facts: Facts, id: str) -> str:
    """An image by a short name: 12, frontal/12 where a sample has several, test/12."""
    short, views = id.removeprefix("train/"), facts.competition.data.views
    return f"{views[0]}/{short}" if views and short != id and short == _own(facts, id) else short


def _threshold(facts: Facts) -> str:
    assert facts.similar is not None
    (low, high), told = facts.similar.gap, f"similar: above {facts.similar.limits.similar:.3f}"
    if high - low < CLEAR:
        return f"{told}; likenesses of all sizes occur, so the threshold is a matter of taste: look at the pictures"
    return f"{told}; no pair lies between {low:.2f} and {high:.2f}"


def _disagreeing(facts: Facts, clusters: list[Cluster]) -> Iterable[Finding]:
    """Duplicates of training images whose targets differ; those equal in every pixel have a finding of their own."""
    pixels = dict(facts.train.select("id", "pixels").rows())
    torn = []
    for c in clusters:
        images = [id for id in c.ids if id.startswith("train/") and _own(facts, id) in pixels]
        same = len({pixels[_own(facts, id)] for id in images}) < 2
        if len({_own(facts, id) for id in images}) > 1 and not same and _differ(facts, images):
            torn.append(images)
    if not torn:
        return
    members = tuple(dict.fromkeys(_own(facts, id) for images in torn for id in images))
    what = f"{counted(len(torn), 'cluster')} of duplicate images with different targets: at most one is right, "
    what += "or the image does not tell."
    lines = [[f"{_told(facts, id)}: {_answer(facts, id)}" for id in images[:6]] for images in torn[:12]]
    shown = {_told(facts, id): _answer(facts, id) for images in torn[:3] for id in images[:2]}
    remedy = f"for each that is wrong, a {exclude_line(members[0], 'wrong target')}"
    name = "duplicate images, different targets"
    yield Finding(name, "warning", len(members), what, remedy, members, shown, tuple(map(", ".join, lines)))


def _differ(facts: Facts, images: list[str]) -> bool:
    own = [_own(facts, id) for id in images]
    if not facts.pixel_targets:
        return len({facts.values.get(id) for id in own}) > 1
    shares = _shares(facts)
    known = [shares[id] for id in own if shares.get(id) is not None]  # a flip or a crop changes the mask, not its size
    return len(known) > 1 and max(known) - min(known) > OTHER_MASK and max(known) > 1.5 * min(known)


def _shares(facts: Facts) -> dict[str, float]:
    return dict(facts.usable.select("id", "share").rows())


def _answer(facts: Facts, image: str) -> str:
    id = _own(facts, image)
    return f"mask {percent(100 * _shares(facts).get(id, 0))}" if facts.pixel_targets else answer(facts, id)


@dataclass(frozen=True)
class InputShift:
    """How well a classifier on cheap figures tells test images from training ones.

    Attributes:
        auc, low, high: Its AUC, groups kept apart, and the 95 % interval; 0.5: not at all.
        telling: The figures that tell most.
        figures: How many it has.
        images: How many it was tried on.
    """

    auc: float
    low: float
    high: float
    telling: tuple[str, ...]
    figures: int
    images: int

    @property
    def shifted(self) -> bool:
        """Whether it is a shift to speak of."""
        return self.low > SHIFTED


def measure_shift(facts: Facts) -> InputShift | None:
    """Train and validate that classifier; None where there are too few images or groups."""
    parts = facts.traits["part"].to_numpy() if len(facts.traits) else np.array([])
    if min((parts == "train").sum(), (parts == "test").sum()) < 30:
        return None
    names = list(TRAITS)
    x = np.log1p(facts.traits.select(names).to_numpy())
    keep = x.std(0) > 1e-9
    x, names = (
        ((x - x.mean(0)) / np.where(keep, x.std(0), 1))[:, keep],
        [n for n, k in zip(names, keep, strict=True) if k],
    )
    y = (parts == "test").astype(np.float64)
    group = facts.test_groups | dict(facts.train.select("id", "group").rows())
    groups = np.array([group.get(id, id) for id in facts.traits["id"]])
    if min(len(set(groups[y > 0])), len(set(groups[y < 1]))) < FEWEST_GROUPS:
        return None
    auc, low, high, weights = shift_auc(x, y, groups)
    telling = tuple(names[i] for i in np.argsort(-np.abs(weights))[:3])
    return InputShift(auc, low, high, telling, len(names), len(y))


def input_shift(facts: Facts) -> Iterable[Finding]:
    """Whether a classifier on cheap figures tells test images from training ones, groups kept apart."""
    found = measure_shift(facts)
    if found is None:
        return
    what = f"A classifier on {found.figures} cheap figures tells test from training images with AUC {found.auc:.2f} "
    what += f"({found.low:.2f} to {found.high:.2f}; 0.5 = not at all)"
    told = f"; by {', '.join(found.telling)}: validation may not foretell the board."
    what += told if found.shifted else ": no shift to speak of."
    act = "augment towards the test set (augment.brightness, augment.scale), or validate on training images like it"
    remedy = act if found.shifted else "nothing to set"
    yield Finding("train/test shift", "warning" if found.shifted else "note", found.images, what, remedy)


def shift_auc(x: Floats, y: Floats, groups: NDArray[np.str_], folds: int = 5) -> tuple[float, float, float, Floats]:
    """(AUC, lower and upper 95 % bound, weights) of a linear discriminant, cross-validated by group.

    Squares of the features are added, so that a change of spread is seen too.
    """
    found: list[Floats] = []

    def discriminant(learn: Floats, y: Floats, new: Floats) -> Floats:
        features, others = (np.hstack([a, a**2, np.ones((len(a), 1))]) for a in (learn, new))
        balance = np.where(y > 0, 0.5 / max(y.mean(), 1e-9), 0.5 / max(1 - y.mean(), 1e-9))
        a = features * balance[:, None]
        gram = a.T @ features + 1e-2 * len(a) * np.eye(features.shape[1])
        found.append(np.linalg.solve(gram, a.T @ (2 * y - 1)))
        return np.asarray(others @ found[-1], np.float64)

    score = unseen_scores(x, y, groups, discriminant, folds)
    return *interval_of_auc(score, y, groups), np.mean(found, axis=0)[: x.shape[1]]


def unseen_scores(
    x: Floats,
    y: Floats,
    groups: NDArray[np.str_],
    classifier: Callable[[Floats, Floats, Floats], Floats],
    folds: int = 5,
) -> Floats:
    """What a classifier says of each sample that did not see its group, (N,).

    Args:
        x, y: Features (N, F), and 1 or 0, (N,).
    """
    names, codes = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names))[codes] % folds
    score = np.zeros(len(y))
    for f in range(folds):
        learn = fold != f
        score[~learn] = classifier(x[learn], y[learn], x[~learn])
    return score


def interval_of_auc(score: Floats, y: Floats, groups: NDArray[np.str_]) -> tuple[float, float, float]:
    """The AUC of scores, and its 95 % interval by a bootstrap over groups."""
    names, codes = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(codes == i) for i in range(len(names))]
    boots = []
    for _ in range(200):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(names), len(names))])
        if 0 < y[rows].mean() < 1:
            boots.append(_auc(score[rows], y[rows]))
    low, high = np.quantile(boots, [0.025, 0.975]) if boots else (0.0, 1.0)
    return _auc(score, y), float(low), float(high)


def _auc(score: Floats, y: Floats) -> float:
    places, positive = ranks(score), y > 0
    n, m = positive.sum(), (~positive).sum()
    return float((places[positive].sum() - n * (n + 1) / 2) / (n * m))
