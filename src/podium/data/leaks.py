"""Findings about leaks: near-duplicates, torn groups, ids that betray the target, a test set unlike train."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from podium.data.facts import Facts
from podium.data.finding import Finding, Severity, counted
from podium.data.similar import Cluster
from podium.data.traits import TRAITS

Floats = NDArray[np.float64]
BETRAYED = 0.35
SHIFTED = 0.60
"""A train/test classifier's AUC whose interval lies above this is a shift. Source: VERDICT."""


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
        gap = facts.similar.gap
        note = (
            f"similarity above {facts.similar.limits.similar:.3f}; no pair lies between {gap[0]:.2f} and {gap[1]:.2f}"
        )
        grave: Severity = "warning" if kind == "duplicate" else "note"  # alike is a matter of looking
        yield from _clusters(facts, f"{kind} images in train and test", across, grave, note)
        yield from _clusters(facts, f"{kind} images in several groups", torn, grave, note)
        yield from _clusters(facts, f"{kind} images in one group", inside, "note", note)


def _own(facts: Facts, id: str) -> str:
    """The sample behind an image: train/12, or train/kitchen/12 where a sample has several."""
    part, _, rest = id.partition("/")
    view, _, inner = rest.partition("/")
    return inner if part == "train" and view in facts.competition.data.views and inner else rest


def _clusters(facts: Facts, name: str, clusters: list[Cluster], severity: Severity, note: str) -> Iterable[Finding]:
    if not clusters:
        return
    ids = tuple(dict.fromkeys(_own(facts, id) for c in clusters for id in c.ids))
    what = f"{counted(len(clusters), 'cluster')} of {len(ids)} samples, the largest of {max(len(c) for c in clusters)}"
    what += {
        "several groups": ": if their groups part, validation flatters.",
        "train and test": ": if they show the same thing, the board rewards memory of it.",
        "one group": ": their group keeps them together already.",
    }[name.partition(" images in ")[2]]
    detail = tuple(
        ", ".join(_told(facts, id) for id in c.ids[:6]) + (" …" if len(c) > 6 else "") for c in clusters[:12]
    )
    remedy = "folds.similar in competition.toml" if "several" in name else "nothing to set"
    if "several" in name:
        remedy = "data.group in competition.toml: give the samples of a cluster one group, or see folds.csv"
    shown = {_own(facts, id): f"cluster {n}" for n, c in enumerate(clusters[:3], 1) for id in c.ids[:2]}
    yield Finding(name, severity, len(ids), what, remedy, ids, shown, (*detail, note))


def _told(facts: Facts, id: str) -> str:
    return id.removeprefix("train/")


def betraying_ids(facts: Facts) -> Iterable[Finding]:
    """Whether the order of the ids or the size of the files tells the target, which the test set may share or not."""
    target = _target(facts)
    if len(target) < 50:
        return
    rows = facts.traits.filter(facts.traits["part"] == "train").rows(named=True)
    rows = [r for r in rows if r["id"] in target]
    y = _ranks(np.array([target[r["id"]] for r in rows]))
    if len(rows) < 50 or not y.std():
        return
    for trait, what in (("order", "the order of the ids"), ("file_size", "the size of the image files")):
        x = _ranks(np.array([r[trait] for r in rows]))
        rho = float(np.corrcoef(x, y)[0, 1]) if x.std() else 0.0
        if abs(rho) > BETRAYED and abs(rho) * len(rows) ** 0.5 > 5:
            text = f"{what.capitalize()} goes with the target (rank correlation {rho:+.2f} over {len(rows)} samples): "
            text += "a model may learn it, and the test set may differ."
            remedy = "leave it out of the inputs; if groups cause it, set data.group in competition.toml"
            severity: Severity = "warning" if trait == "order" else "note"
            yield Finding(f"{what.removeprefix('the ')} betrays the target", severity, len(rows), text, remedy)


def _target(facts: Facts) -> dict[str, float]:
    if facts.values:
        return {id: v[0] for id, v in facts.values.items()}
    good = facts.usable.filter(facts.usable["area"].is_not_null())
    return dict(good.select("id", "share").rows())


def _ranks(values: Floats) -> Floats:
    """Ranks, equal values sharing their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def input_shift(facts: Facts) -> Iterable[Finding]:
    """Whether a classifier on cheap figures tells test images from training ones, groups kept apart."""
    parts = facts.traits["part"].to_numpy() if len(facts.traits) else np.array([])
    if min((parts == "train").sum(), (parts == "test").sum()) < 30:
        return
    names = [t for t in TRAITS if t != "order"]
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
        return
    auc, low, high, weights = shift_auc(x, y, groups)
    telling = ", ".join(names[i] for i in np.argsort(-np.abs(weights))[:3])
    what = f"A classifier on {len(names)} cheap figures tells test from training images with AUC {auc:.2f} "
    what += f"({low:.2f} to {high:.2f}; 0.5 = not at all)"
    shifted = low > SHIFTED
    what += f"; by {telling}: validation may not foretell the board." if shifted else ": no shift to speak of."
    remedy = "augment towards the test set (augment.brightness, augment.scale), or validate on training images like it"
    yield Finding("train/test shift", "warning" if shifted else "note", len(y), what, remedy)


def shift_auc(x: Floats, y: Floats, groups: NDArray[np.str_], folds: int = 5) -> tuple[float, float, float, Floats]:
    """(AUC, lower and upper 95 % bound, weights) of a linear discriminant, cross-validated by group.

    Squares of the features are added, so that a change of spread is seen too. The interval is a bootstrap over groups.
    """
    features = np.hstack([x, x**2, np.ones((len(x), 1))])
    names, codes = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(0).permutation(len(names))[codes] % folds
    score = np.zeros(len(y))
    weights: Floats = np.zeros(features.shape[1])
    for f in range(folds):
        learn = fold != f
        balance = np.where(y[learn] > 0, 0.5 / max(y[learn].mean(), 1e-9), 0.5 / max(1 - y[learn].mean(), 1e-9))
        a = features[learn] * balance[:, None]
        gram = a.T @ features[learn] + 1e-2 * len(a) * np.eye(features.shape[1])
        solved = np.linalg.solve(gram, a.T @ (2 * y[learn] - 1))
        score[~learn] = features[~learn] @ solved
        weights += solved / folds
    rng = np.random.default_rng(1)
    members = [np.flatnonzero(codes == i) for i in range(len(names))]
    boots = []
    for _ in range(200):
        rows = np.concatenate([members[i] for i in rng.integers(0, len(names), len(names))])
        if 0 < y[rows].mean() < 1:
            boots.append(_auc(score[rows], y[rows]))
    low, high = np.quantile(boots, [0.025, 0.975]) if boots else (0.0, 1.0)
    return _auc(score, y), float(low), float(high), weights[: x.shape[1]]


def _auc(score: Floats, y: Floats) -> float:
    ranks, positive = _ranks(score), y > 0
    n, m = positive.sum(), (~positive).sum()
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))
