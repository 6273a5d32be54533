"""What a prediction needs before it begins: models, the kind of its file, and a name for exactly this work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from blake3 import blake3

from podium.data.competition import Competition
from podium.errors import DataError
from podium.inference.bag import Bag, load_models
from podium.inference.contents import Content, content_of
from podium.inference.plan import Plan, measure, plan_of
from podium.inference.precision import Compared, compare
from podium.inference.presence import said_of_test
from podium.inference.sources import TestSet
from podium.ledger.attempts import Attempt
from podium.metrics import Metric
from podium.progress import say
from podium.training.device import device_name
from podium.training.evaluate import Predictor
from podium.training.tasks import MaskTask, TableTask

VERSION = 1
"""Part of every key: raised when parts are made differently."""


@dataclass(frozen=True)
class Options:
    """How an attempt predicts, beside its recipe.

    Attributes:
        all_seeds: The trainings of all seeds predict, not only of the first.
        save_probs: Keep probabilities in `probs/`, as the `oof/` of a fold run does.
        time_limit: Seconds that it may take; views and models are left out to fit.
        foretell: Say at first how long it will take.
    """

    all_seeds: bool = False
    save_probs: bool = False
    time_limit: float | None = None
    foretell: bool = False


@dataclass
class Setup:
    """What predicts, and of what.

    Attributes:
        seconds: That it took to get here.
        whole: The key before anything was left out.
    """

    attempt: Attempt
    competition: Competition
    bag: Bag
    predictor: Predictor
    content: Content
    ids: Sequence[str]
    test: TestSet
    seconds: float = 0.0
    whole: str = field(default="", init=False)

    def __post_init__(self) -> None:
        digest = blake3()
        fabric = self.predictor.fabric
        about = [VERSION, self.attempt.folder.name, self.attempt.code, self.attempt.recipe.to_toml()]
        about += [self.competition.to_toml(), fabric.device.type, str(fabric._precision.precision)]
        digest.update(repr([*about, list(self.ids), self.test.content, sorted(self.test.rows.items())]).encode())
        for file in self.bag.files:
            digest.update_mmap(file)
        said = getattr(self.predictor.task, "presence", None) or {}
        digest.update(b"".join(id.encode() + said[id].tobytes() for id in sorted(said)))
        self.whole = digest.hexdigest(length=8)

    def key(self, options: Options) -> str:
        """Of all that a part depends on."""
        about = [self.whole, self.predictor.views, len(self.predictor.models), options.save_probs]
        return blake3(repr(about).encode()).hexdigest(length=8)

    @property
    def known(self) -> list[str]:
        """The samples that have an image."""
        return [id for id in self.ids if id in self.test.rows]

    def plan(self, options: Options) -> Plan:
        """How long it takes, measured now; within the time limit, if there is one."""
        began, images = time.monotonic(), len(self.known)
        pace = measure(self.predictor, self.content, self.test, self.ids)
        measures_too = options.foretell or options.time_limit is not None
        pace = replace(pace, start=self.seconds + (time.monotonic() - began if measures_too else pace.start))
        sizes = {"models": len(self.predictor.models), "views": len(self.predictor.views)}
        return plan_of(pace, images, len(self.ids), **sizes, save_probs=options.save_probs, limit=options.time_limit)

    def reduce(self, models: int, views: int) -> None:
        """Have the first models and views alone predict."""
        self.bag, self.predictor = self.bag.first(models), self.predictor.reduced(models, views)

    def check_precision(self) -> Compared | None:
        """Say how far half precision is from full, and take full where that is too far."""
        compared = compare(self.predictor, self.test, [self.test.rows[id] for id in self.known])
        if compared:
            say(f"  {compared}")
            if not compared.good:
                self.predictor = self.predictor.precise()
        return compared


def prepare(
    attempt: Attempt,
    competition: Competition,
    metric: Metric,
    ids: Sequence[str],
    test: TestSet,
    options: Options,
) -> Setup:
    """Load the models and see that the test set has what they need.

    Raises:
        LedgerError: if nothing is trained.
        DataError: if the test samples lack metadata that the models were trained with.
        ConfigError: if the submission's format has no room for the predictions.
    """
    began, bag = time.monotonic(), Bag.of(attempt, all_seeds=options.all_seeds)
    predictor = load_models(attempt, competition, metric, bag)
    say(f"  {bag.told()} on {device_name(predictor.fabric)}")
    _check_inputs(predictor.task, test, competition)
    task = predictor.task
    if isinstance(task, MaskTask) and task.recipe.predict.empty_by is not None:
        task.presence = said_of_test(task.recipe, task, attempt.folder, test.rows)
    content = content_of(task, competition, predictor.preprocess, test)
    return Setup(attempt, competition, bag, predictor, content, ids, test, time.monotonic() - began)


def _check_inputs(task: MaskTask | TableTask, test: TestSet, competition: Competition) -> None:
    if isinstance(task, TableTask) and task.width and not all(any(texts) for texts in test.inputs):
        raise DataError(
            f"there are no {', '.join(competition.data.inputs)} for the test images, and the model was trained with",
            where="competition.toml: data.inputs_csv",
            expected="a CSV file with these columns and a row for each training and test image",
            remedy="set data.inputs_csv and data.inputs_id_column",
        )
