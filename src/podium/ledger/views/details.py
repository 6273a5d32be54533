"""One attempt beside its parent: everything that is known of it, as data and as a page for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Any

from podium.ledger.attempt import Attempt
from podium.ledger.changes import change_text
from podium.ledger.decimals import digits
from podium.ledger.fitted import read_fitted
from podium.ledger.views.curves import Curve, mean_curve, read_curves, to_text
from podium.ledger.views.words import printable, signed
from podium.metrics import Metric
from podium.progress import counted, duration


@dataclass(frozen=True)
class Details:
    """An attempt, its parent, and what else the page tells.

    Attributes:
        parent: None for a baseline, or where the parent's folder is not readable.
        champion: Whether it is the one that stands.
        public: Public score of its best submission.
        k: Number of folds.
    """

    attempt: Attempt
    parent: Attempt | None
    metric: Metric
    k: int
    champion: bool = False
    public: float | None = None

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """A row a fold run: its score, the mean of the parent's on that fold, the gain (positive when better)."""
        sign = 1 if self.metric.greater_is_better else -1
        found = []
        for run in self.attempt.runs:
            beside = [r.score for r in self.parent.runs if r.fold == run.fold] if self.parent else []
            before = fmean(beside) if beside else None
            row = {"fold": run.fold, "seed": run.seed, "score": run.score, "parent": before}
            row["gain"] = None if before is None else sign * (run.score - before)
            found.append(row | {key: run.facts.get(key) for key in ("best_epoch", "epochs", "seconds", "device")})
        return found

    @cached_property
    def curves(self) -> tuple[list[Curve], list[Curve]]:
        """Its own, and its parent's on the same folds."""
        folds = {run.fold for run in self.attempt.runs}
        return read_curves(self.attempt.runs), read_curves(self.parent.runs, folds) if self.parent else []

    @property
    def unfinished(self) -> bool:
        """Whether something is left to train."""
        return not self.attempt.finished(self.k)

    def environment(self) -> dict[str, list[str]]:
        """{what: its values, the most frequent first} over the fold runs: device, versions, git commit."""
        found: dict[str, Counter[str]] = {}
        for run in self.attempt.runs:
            versions = run.facts.get("versions")
            facts = {"device": run.facts.get("device"), **(versions if isinstance(versions, Mapping) else {})}
            facts |= {"git commit": run.facts.get("git_commit")}
            for name, value in facts.items():
                if value:
                    found.setdefault(name, Counter())[str(value)] += 1
        return {name: [value for value, _ in counts.most_common()] for name, counts in found.items()}

    def tree(self) -> dict[str, Any]:
        """For a program."""
        a, verdict = self.attempt, self.attempt.verdict
        own, parents = self.curves
        return {
            "id": a.id,
            "name": a.name,
            "parent": a.parent,
            "change": {k: {"from": before, "to": after} for k, (before, after) in a.change.items()},
            "why": a.why,
            "cv": a.cv,
            "metric": self.metric.name,
            "folds": self.rows,
            "verdict": verdict.tree() if verdict else None,
            "link": a.link,
            "created": a.created,
            "champion": self.champion,
            "crowned": a.crown.tree() if a.crown else None,
            "public": self.public,
            "seconds": a.seconds,
            "curves": {"attempt": [c.tree() for c in own], "parent": [c.tree() for c in parents]},
            "environment": self.environment(),
            "code": a.code,
            "fitted": read_fitted(a.folder),
            "reproduce": f"podium reproduce {a.id}",
        }

    # ------------------------------------------------------------------ for people

    def text(self) -> str:
        """The page, without pictures."""
        parts = [self._head(), self._folds(), self._curves(), self._surroundings()]
        return "\n\n".join("\n".join(part) for part in parts if part)

    def _head(self) -> list[str]:
        a = self.attempt
        on = f", on attempt {a.parent}" + (f" ({self.parent.name})" if self.parent else " (not here)")
        title = f"attempt {a.id} {a.name}" + (on if a.parent is not None else "")
        title += ": the champion" if self.champion else ""
        facts = {"why": printable(a.why), "link": printable(a.link)}
        facts |= {"change": change_text({}, None)} if not a.change and a.parent is not None else {}
        lines = [title, *_facts({"change": _lines_of(a)}), *_facts({k: v for k, v in facts.items() if v})]
        lines += _facts({"fitted": _fitted(a)} if a.recipe.predict.tuned and a.runs else {})
        if a.crown and a.crown.by == "person":
            lines += _facts({"overruled": printable(f"by a person, {a.crown.at[:16]}: {a.crown.why}")})
        told = a.verdict.in_words(a.race.rule) if a.verdict else ""
        return lines + _facts({"verdict": str(a.verdict or ""), "in words": told.removeprefix("in words: ")})

    def _folds(self) -> list[str]:
        if not self.rows:
            return [f"no fold of it is trained yet: podium resume {self.attempt.id}"]
        heads = ["fold", "seed", self.metric.name, *(["parent", "gain"] if self.parent else []), "best epoch", "time"]
        n = self._decimals()
        cells = [heads]
        for row in self.rows:
            beside = [_number(row["parent"], n + 1), "" if row["gain"] is None else signed(row["gain"], n + 1)]
            epoch = f"{row['best_epoch']}/{row['epochs']}" if row["best_epoch"] else "-"
            shown = [str(row["fold"]), str(row["seed"]), _number(row["score"], n + 1), *(beside if self.parent else [])]
            cells.append([*shown, epoch, duration(row["seconds"] or 0)])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = ["  ".join(c.rjust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells]
        return [*lines, *self._sums(n)]

    def _sums(self, n: int) -> list[str]:
        a, verdict = self.attempt, self.attempt.verdict
        trained = len({run.fold for run in a.runs})
        lines = [f"{a.told(self.metric.name, self.parent)} ({counted(len(a.runs), 'fold run')})"]
        if verdict and verdict.final and trained < self.k:
            lines.append(f"stopped early: {self.k - trained} of {self.k} folds were never trained")
        if verdict and verdict.left_out:
            n_out = verdict.left_out
            verb = "is" if n_out == 1 else "are"
            lines.append(f"{counted(n_out, 'sample')} that only one side has {verb} left out of the verdict")
        if not self.metric.greater_is_better:
            lines.append(f"{self.metric.name}: lower is better; gains are positive when better")
        return lines + ([] if self.public is None else [f"public score of its best submission: {self.public:.5f}"])

    def _curves(self) -> list[str]:
        own, parents = self.curves
        name, told, up = "score", f"{self.metric.name} of the validation fold", self.metric.greater_is_better
        if len(mean_curve(own, "score")) < 2:
            name, told, up = "loss", "training loss", False
        plot = to_text([mean_curve(own, name), mean_curve(parents, name)], up=up)
        of = f", mean of {counted(len(own), 'fold run')}" if len(own) > 1 else ""
        beside = "; * this attempt, · its parent" if parents else ""
        return [f"{told} by epoch{of}{beside}", *plot] if plot else []

    def _surroundings(self) -> list[str]:
        known = {name: " and ".join(values) for name, values in self.environment().items()}
        device = known.pop("device", "")
        told = ", ".join(part for part in (device, *(f"{name} {value}" for name, value in known.items())) if part)
        code = {"code": ", ".join(f"{file} ({digest[:8]})" for file, digest in self.attempt.code.items())}
        again = {"again": f"podium reproduce {self.attempt.id}"} if self.rows else {}
        return _facts({k: v for k, v in ({"trained on": told} | code | again).items() if v})

    def _decimals(self) -> int:
        floor = self.attempt.verdict.noise_floor if self.attempt.verdict else None
        return max(3, digits(floor or 0.0, 0.0))


def _lines_of(attempt: Attempt) -> str:
    return "\n".join(printable(change_text({key: pair}, attempt.parent)) for key, pair in attempt.change.items())


def _fitted(attempt: Attempt) -> str:
    """The values that "tuned" stands for: for the test set, and for each fold."""
    final, runs = read_fitted(attempt.folder), [(run, read_fitted(run.folder)) for run in attempt.runs if run.seed == 0]
    lines = []
    for key in attempt.recipe.predict.tuned:
        folds = ", ".join(f"fold {run.fold} {known.get(key)}" for run, known in runs)
        lines.append(f"{key} = {final.get(key, 'not yet')} for the test set; without its own samples {folds}")
    return "\n".join(lines)


def _facts(facts: Mapping[str, str]) -> list[str]:
    """`why      because`, with what has several lines below one another."""
    lines = []
    for name, text in facts.items():
        for n, line in enumerate(text.splitlines()):
            lines.append(f"{name if not n else '':<10} {line}")
    return lines


def _number(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"
