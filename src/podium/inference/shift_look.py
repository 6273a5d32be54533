"""`podium look --shift`: an encoder looks at training and test images; what it says, and the images that say so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from podium.config import write_toml
from podium.data.competition import Competition
from podium.data.leaks import ENCODER_SHIFT
from podium.data.loader import whole_batches
from podium.data.pictures import as_uri
from podium.data.ready import Prepared
from podium.data.samples import list_samples
from podium.data.tiles import TILE, tile, write_tiles
from podium.data.views import Images
from podium.errors import ConfigError, DataError
from podium.files import write_atomic
from podium.inference.bag import Bag
from podium.inference.shift import MOST, EncoderFeatures, EncoderShift, Seen, measured
from podium.inference.sources import TestSet, open_test_set
from podium.ledger.attempts import Attempt
from podium.ledger.fitted import settled
from podium.metrics import Metric
from podium.progress import track
from podium.recipe import Recipe
from podium.training.choice import chosen
from podium.training.device import create_fabric
from podium.training.evaluate import Predictor
from podium.training.fold_run import FoldData
from podium.training.tasks import TableTask, Values, create_task
from podium.training.trained import load_trained

Pixels = NDArray[np.uint8]

SHOWN = 6
"""Pictures in a line."""


@dataclass(frozen=True)
class ShiftLook:
    """What looks at both parts of a workspace.

    Attributes:
        prepare: Makes the data ready for a recipe.
    """

    competition: Competition
    metric: Metric
    root: Path
    prepare: Callable[[Recipe], Prepared]

    def by_attempt(self, attempt: Attempt) -> EncoderShift:
        """By the networks of an attempt: each fold's looks at its validation samples and a part of the test images."""
        recipe = settled(attempt.recipe, attempt.folder)
        fabric, bag = create_fabric(recipe.train.precision), Bag.of(attempt)
        looked = _Looked.at(self, recipe)
        folds = looked.data.folds

        def parts() -> Iterator[Seen]:
            for n, run in enumerate(bag.runs):
                files = chosen(run.folder, recipe.train.checkpoint)[:1]
                predictor = Predictor(fabric, *load_trained(files, self.competition, self.metric, recipe, fabric))
                share = max(1, MOST // len(bag.runs))
                yield looked.seen(predictor, folds.validation(run.fold), looked.test_ids[n :: len(bag.runs)], share)

        return self._written(parts(), looked, f"attempt {attempt.id}'s encoder", len(bag.runs))

    def by_weights(self, recipe: Recipe) -> EncoderShift:
        """By an encoder with published weights, or those of a file, that has seen neither part.

        Raises:
            ConfigError: if the recipe names no weights.
        """
        model = recipe.model
        if not (model.pretrained or model.weights):
            raise ConfigError(
                "an encoder that has learnt nothing sees little",
                where="model",
                expected="an attempt of this workspace; or weights: model.pretrained=true, or model.weights=FILE",
                remedy="podium baseline first; or podium look --shift model.weights=FILE model.encoder=NAME",
            )
        fabric, task = create_fabric(recipe.train.precision), create_task(self.competition, self.metric, recipe)
        looked = _Looked.at(self, recipe)
        task.channels = looked.data.channels
        if isinstance(task, TableTask):
            assert isinstance(looked.data.truth, Values)
            task.fit(looked.data.truth)
        network: Any = fabric.setup_module(task.create_model())
        predictor = Predictor(fabric, [network], task)
        parts = iter([looked.seen(predictor, list(looked.data.folds.fold), looked.test_ids, MOST)])
        return self._written(
            parts, looked, f"{model.encoder or model.arch}'s encoder ({model.weights or 'published'})", 1
        )

    def _written(self, parts: Iterator[Seen], looked: _Looked, by: str, count: int) -> EncoderShift:
        found = measured(list(track(parts, "looking", count)), by)
        if found is None:
            raise DataError(
                "too few groups to tell the parts apart from single groups",
                where=self.root / "data",
                expected="ten groups or more of training and of test images, for each network",
            )
        reports = self.root / "reports"
        lines = looked.lines(found)
        reports.mkdir(exist_ok=True)
        write_tiles(reports / "shift.jpg", [[tile(p, None, told) for p, told in line] for _, line in lines])
        page = _page(self.competition.name, found, lines)
        write_atomic(reports / "shift.html", page.encode("utf-8", "backslashreplace"))
        facts = {"auc": found.auc, "low": found.low, "high": found.high, "by": found.by}
        write_toml(reports / ENCODER_SHIFT, facts)
        return found


Line = tuple[str, list[tuple[Pixels, str]]]


@dataclass(frozen=True)
class _Looked:
    """Both parts, pre-processed as a recipe says."""

    recipe: Recipe
    data: FoldData
    images: Images
    test: TestSet
    test_ids: list[str]
    groups: dict[str, str]

    @classmethod
    def at(cls, look: ShiftLook, recipe: Recipe) -> _Looked:
        p = look.prepare(recipe)
        data = FoldData(look.competition, p.stores, p.folds, look.metric, p.samples, p.opened)
        ids, test = open_test_set(look.competition, look.root, recipe.input)
        groups = {s.id: s.group for s in list_samples(look.competition, look.root / "data").test}
        return cls(recipe, data, data.images(recipe), test, [id for id in ids if id in test.rows], groups)

    def seen(self, predictor: Predictor, train: Sequence[str], test: Sequence[str], most: int) -> Seen:
        """What a network makes of some of both parts, evenly spread."""
        mine, theirs = _spread(train, most), _spread(test, most)
        features, truth = EncoderFeatures(predictor), self.data.truth
        rows = [self.data.stores.images.row[id] for id in mine]
        own = self._features(features, self.images, rows, truth.inputs if isinstance(truth, Values) else [])
        other = self._features(features, self.test.images, [self.test.rows[id] for id in theirs], self.test.inputs)
        groups = [self.data.folds.group[id] for id in mine] + [self.groups.get(id, id) for id in theirs]
        of_test = np.repeat([False, True], [len(mine), len(theirs)])
        return Seen(np.concatenate([own, other]), of_test, [*mine, *theirs], groups)

    def _features(
        self, features: EncoderFeatures, images: Images, rows: Sequence[int], inputs: Sequence[Sequence[str]]
    ) -> NDArray[np.float64]:
        size = self.recipe.train.val_batch
        found = [
            features.of(batch.images, [inputs[int(row)] for row in batch.rows] if inputs else [])
            for batch in whole_batches(images, rows, features.predictor.preprocess.canvas, size)
        ]
        return np.concatenate(found) if found else np.zeros((0, 0))

    def lines(self, found: EncoderShift) -> list[Line]:
        """The pictures that tell most, with how much like the test set each looks."""
        test, train = (sorted(part.items(), key=lambda pair: -pair[1]) for part in (found.test, found.train))
        return [
            (
                "Test images that give it away" if found.shifted else "Test images least like the others",
                [self._picture(*pair, True) for pair in test[:SHOWN]],
            ),
            ("Training images least like them", [self._picture(*pair, False) for pair in train[::-1][:SHOWN]]),
            ("Training images most like them", [self._picture(*pair, False) for pair in train[:SHOWN]]),
        ]

    def _picture(self, id: str, place: float, of_test: bool) -> tuple[Pixels, str]:
        images: Images = self.test.images if of_test else self.images
        row = self.test.rows[id] if of_test else self.data.stores.images.row[id]
        return images.image(row), f"{'test ' * of_test}{id} {100 * place:.0f}%"


def _spread(ids: Sequence[str], most: int) -> list[str]:
    if len(ids) <= most:
        return list(ids)
    return [ids[int(k)] for k in np.linspace(0, len(ids) - 1, most)]


def _page(name: str, found: EncoderShift, lines: Sequence[Line]) -> str:
    templates = resources.files("podium.data") / "templates"
    sections = []
    for title, line in lines:
        figures = "".join(
            f'<figure><img src="{as_uri(tile(picture, None)[:, :TILE])}" alt="">'
            f"<figcaption>{escape(told)}</figcaption></figure>"
            for picture, told in line
        )
        sections.append(f'<h2>{escape(title)}</h2><div class="pictures">{figures}</div>')
    return Template((templates / "shift.html").read_text(encoding="utf-8")).substitute(
        name=escape(name),
        css=(templates / "look.css").read_text(encoding="utf-8"),
        kind="warning" if found.shifted else "note",
        told=escape(f"{found.told()[:1].upper()}{found.told()[1:]}."),
        sections="\n".join(sections),
    )
