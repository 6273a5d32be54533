"""A workspace is a folder with one competition's work; the methods are the loop, one short method a stage, in order.

new -> look -> prepare -> baseline -> attempt -> predict -> submit -> standings
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from podium.boards import Board, Receipt
from podium.boards.choice import open_board
from podium.data.competition import Competition
from podium.data.folds import Check
from podium.data.inventory import Stock, take_stock
from podium.data.place import SPEC, find_workspace
from podium.data.ready import Prepared, check_folds, make_ready
from podium.data.report import Report, make_report
from podium.data.samples import Problem, Samples, add_exclusions, list_samples
from podium.errors import ConfigError, nearest
from podium.files import locked
from podium.ledger.attempts import Attempt, Attempts, RaceConfig
from podium.ledger.standings import Standings
from podium.ledger.submissions import Submissions
from podium.metrics import get_metric
from podium.new import make_from_frame, make_workspace
from podium.presence import BEFORE as MASKS
from podium.presence import make_presence
from podium.progress import say_if
from podium.racing import Racing
from podium.recipe import Recipe
from podium.recipes import find_recipe, shipped
from podium.standing import Standing
from podium.submitting import Submitting
from podium.teaming import Teaming

if TYPE_CHECKING:
    from podium.ensemble.blend import Blend
    from podium.inference.plan import Plan
    from podium.inference.predict import Prediction
    from podium.inference.shift import EncoderShift
    from podium.ledger.views import Ledger


class Workspace:
    """One competition's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.competition = Competition.load(root / SPEC)
        self.metric = get_metric(self.competition.metric, f"{root / SPEC}: metric", root, self.competition.parts)
        self.attempts = Attempts(root / "attempts")
        self.submissions = Submissions(root / "submissions")
        self.index = self.attempts.index
        self._made_of = (root, self.competition, self.metric, self.attempts, self.submissions)

    @classmethod
    def open(cls, folder: str | Path = ".") -> Self:
        """The workspace that ``folder`` is, or lies in.

        Raises:
            ConfigError: if there is none here or above.
        """
        return cls(find_workspace(folder))

    @classmethod
    def new(
        cls,
        folder: str | Path,
        source: str | Path,
        settings: Sequence[str] = (),
        *,
        hold_out: float | None = None,
        public: float = 0.3,
        solution: str | Path | None = None,
        copy: bool = False,
        seed: int = 0,
    ) -> Self:
        """Make a workspace from a folder of data: infer the competition, write it down with the reasons.

        Args:
            source: A folder, an archive; `kaggle:SLUG` or `host:URL/SLUG`, to be downloaded; or `masks:FOLDER`, another
                workspace, for a classifier that says which of its masks are empty.
            settings: Keys of competition.toml to set, for instance ``["metric=iou", "folds.k=3"]``.
            hold_out: Share of the labelled samples to hide as a test set with a leaderboard of its own.
            public: Share of those that the public leaderboard scores.
            solution: Hidden labels (id, mask, Usage) of the test images, for the board alone.
            copy: Copy the data instead of linking to it.

        Raises:
            ConfigError: if the folder is in use.
            DataError: if the data cannot be understood.
        """
        root = Path(folder).resolve()
        if str(source).startswith(MASKS):
            alone = (hold_out, solution, copy, seed) == (None, None, False, 0)
            make_presence(root, Path(str(source).removeprefix(MASKS)).resolve(), settings, alone=alone)
        else:
            make_workspace(root, source, settings, hold_out, public, solution, copy, seed)
        return cls(root)

    @classmethod
    def from_frame(cls, folder: str | Path, frame: Any, settings: Sequence[str] = (), **columns: Any) -> Self:
        """Make a workspace from a polars or pandas frame of paths and targets.

        Args:
            settings: Keys of competition.toml to set.
            columns: Which column is what: ``image=``, and ``mask=`` or ``targets=[…]``; ``id=``, ``group=``,
                ``inputs=[…]``; see `podium.data.frames.frame_to_folder`.
        """
        root = Path(folder).resolve()
        make_from_frame(root, frame, settings, columns)
        return cls(root)

    def lock(self) -> AbstractContextManager[None]:
        """Keep other podiums from working here meanwhile."""
        return locked(self.root / ".podium" / "lock")

    # ------------------------------------------------------------------ data

    def samples(self) -> Samples:
        """Every sample, the excluded ones included."""
        return list_samples(self.competition, self.root / "data")

    def recipe(self, name: str = "baseline") -> Recipe:
        """A recipe of the workspace's `recipes/`, or one that comes with podium (`carvana-1`, `giana`).

        Raises:
            ConfigError: listing those there are.
        """
        return Recipe.load(self._recipe_file(name))

    def _recipe_file(self, name: str) -> Path:
        folder = self.root / "recipes"
        if (path := find_recipe(folder, name)) is None:
            names = [*sorted(p.stem for p in folder.glob("*.toml")), *shipped()]
            raise ConfigError(f"no recipe '{name}'", where=folder, remedy=nearest(name, names))
        return path

    def look(self, *, apply: bool = False) -> Report:
        """Audit the data: findings as text, JSON and `reports/data.html`; bad samples are findings, not errors.

        Args:
            apply: Add the samples that the findings suggest to leave out to `exclude.csv`, with the reasons.
        """
        report = make_report(self.competition, self.root, self.recipe().input)
        suggested = {id: why for finding in report.findings for id, why in finding.exclude.items()}
        if apply and suggested:
            add_exclusions(self.root / "exclude.csv", [Problem(id, "", why) for id, why in suggested.items()], "look")
            report = make_report(self.competition, self.root, self.recipe().input)
        return report

    def look_augment(self, recipe: Recipe | None = None) -> tuple[Path, list[str]]:
        """Write `reports/augment.jpg`, what training would see, and give its path and the changes that are on."""
        from podium.data.augment.sheet import sheet_of

        chosen, path = recipe or self.recipe(), self.root / "reports" / "augment.jpg"
        return path, sheet_of(path, self.competition, self.prepare(chosen), chosen)

    def look_shift(self, reference: str | int | None = None, changes: Sequence[str] = ()) -> EncoderShift:
        """See whether an encoder tells test from training images; writes `reports/shift.html` and `shift.jpg`.

        Args:
            reference: The attempt whose encoder looks; the champion's, if none is named and nothing changed.
            changes: Of the baseline's recipe, to look with other weights: ``["model.pretrained=true"]``.
        """
        from podium.inference.shift_look import ShiftLook

        look = ShiftLook(self.competition, self.metric, self.root, self.prepare)
        if changes or (reference is None and not self.attempts.names()):
            return look.by_weights(self.recipe().with_overrides(list(changes)))
        return look.by_attempt(self.champion() if reference is None else self.attempts.get(reference))

    def prepare(self, recipe: Recipe | None = None, *, exclude_bad: bool = False) -> Prepared:
        """Decode, pre-process, cache, and split into folds; what is there already is reused.

        Args:
            exclude_bad: Add samples that cannot be used to `exclude.csv` and go on without them.

        Raises:
            DataError: naming the samples that cannot be used, unless they are excluded.
        """
        return make_ready(self.competition, self.root, (recipe or self.recipe()).input, exclude_bad=exclude_bad)

    def folds(self, file: str | Path | None = None) -> Check:
        """What is in each fold and what leaks: of `folds.csv`, of the folds to come, or of anybody's list of folds."""
        return check_folds(self.competition, self.root, self.recipe().input, Path(file) if file else None)

    def cache(self) -> Stock:
        """What is kept of earlier work, and what of it a recipe or an attempt still reads."""
        attempts, damaged = self.attempts.scan()
        recipes = [self.recipe(path.stem) for path in sorted((self.root / "recipes").glob("*.toml"))]
        inputs = [recipe.input for recipe in (*recipes, *(attempt.recipe for attempt in attempts))]
        return take_stock(self.competition, self.root, inputs, unsure=damaged[0] if damaged else "")

    # ------------------------------------------------------------------ attempts

    def baseline(self, recipe: str = "baseline", changes: Sequence[str] = (), *, seeds: int = 2) -> Attempt:
        """Train the first champion on every fold; a run that was stopped goes on where it was.

        Args:
            seeds: Trainings of each fold. The second ones show how far the score moves by luck alone (the noise floor);
                without them every verdict is UNSURE.

        Raises:
            LedgerError: if there is a baseline with another recipe.
        """
        wanted = self.recipe(recipe).with_overrides(list(changes))
        say_if(wanted.train.overruled(changes))
        why = f"the first champion: recipes/{self._recipe_file(recipe).name}" + "".join(f" {c}" for c in changes)
        return self.racing.baseline(wanted, why, seeds)

    def attempt(
        self,
        name: str,
        changes: Sequence[str] = (),
        *,
        why: str = "",
        parent: str | int | None = None,
        link: str = "",
        careful: bool = False,
        folds: Sequence[int] = (),
        seeds: int | None = None,
    ) -> Attempt:
        """Try one change: written down first, then trained fold run by fold run until the verdict is YES or NO.

        On YES every fold is trained, and the attempt is the champion if its parent was.

        Args:
            link: Where the idea is from.
            careful: Stop later: for when ideas are scarcer than hours.
            folds: The only ones to train; the verdict may then stay UNSURE.
            seeds: Most trainings of one fold.

        Raises:
            LedgerError: if nothing changes, or the same recipe was tried before.
            ConfigError: for an unknown key or a wrong value.
        """
        base = self.champion() if parent is None else self.attempts.get(parent)
        return self.racing.attempt(name, changes, base, why=why, link=link, race=RaceConfig.of(careful, folds, seeds))

    def combine(self, *references: str | int, name: str | None = None, why: str = "", careful: bool = False) -> Attempt:
        """Try the changes of several attempts together, on the champion.

        Raises:
            LedgerError: if they contradict each other, or the champion has them already.
        """
        return self.racing.combine(references, name, why, RaceConfig.of(careful))

    def resume(self, reference: str | int | None = None, *, complete: bool = False, **race: Any) -> Attempt:
        """Go on with an attempt that was stopped: the given one, or the newest unfinished.

        Args:
            race: ``careful=``, ``folds=`` or ``seeds=``, as of `attempt`, to be others from now on.
        """
        return self.racing.resume(reference, race, complete=complete)

    def champion(self) -> Attempt:
        """The recipe that stands: the attempt that was accepted last, else the baseline.

        Raises:
            LedgerError: if nothing has been trained.
        """
        return self.attempts.champion()

    def crown(self, reference: str | int, why: str) -> Attempt:
        """Make an attempt the champion whatever its verdict says; the reason is kept."""
        return self.racing.crown(reference, why)

    def adopt(self, path: str | Path) -> Attempt:
        """Take an attempt over, and judge it here: of another workspace's folder, or a teammate's file.

        Of several in a file the last one is returned.
        """
        if Path(path).is_file():
            return self.teaming.adopt(Path(path)).attempts[-1]
        return self.racing.adopt(Path(path))

    @property
    def teaming(self) -> Teaming:
        """What shares attempts with teammates and takes theirs over."""
        return Teaming(self.root, self.competition, self.attempts, self.submissions, self.racing)

    @property
    def racing(self) -> Racing:
        """What trains attempts to their verdicts."""
        return Racing(self.root, self.competition, self.metric, self.attempts, self.index, self.prepare)

    def list_attempts(self, *, rebuild: bool = False) -> Ledger:
        """Every attempt, with what it was judged to be; folders that are damaged are left out.

        Args:
            rebuild: Make the index anew from the folders first.
        """
        from podium.ledger.views.reading import read_ledger

        return read_ledger(self.root, rebuild=rebuild)[0]

    # ------------------------------------------------------------------ test set and board

    def predict(self, reference: str | int | None = None, **options: Any) -> Prediction:
        """Predict the test images with the mean of an attempt's folds (the champion's, if none is named).

        A prediction that was stopped goes on where it was.

        Args:
            options: ``all_seeds=``, ``save_probs=``, ``time_limit=`` (seconds): see `inference.setup.Options`.

        Raises:
            DataError: if there are no test images.
        """
        attempt = self.champion() if reference is None else self.attempts.get(reference)
        from podium.inference.predict import predict_test
        from podium.inference.setup import Options
        from podium.inference.sources import open_test_set

        ids, test = open_test_set(self.competition, self.root, attempt.recipe.input)
        folder, work = self.submissions.next(attempt.name), self.root / ".podium" / "predict"
        return predict_test(attempt, self.competition, self.metric, ids, test, folder, Options(**options), work=work)

    def plan_prediction(self, reference: str | int | None = None, **options: Any) -> Plan:
        """How long `predict` would take and how large its file would be, from a few images."""
        attempt = self.champion() if reference is None else self.attempts.get(reference)
        from podium.inference.predict import plan_prediction
        from podium.inference.setup import Options
        from podium.inference.sources import open_test_set

        found = open_test_set(self.competition, self.root, attempt.recipe.input)
        return plan_prediction(attempt, self.competition, self.metric, *found, Options(**options))

    def export(
        self,
        reference: str | int | None = None,
        *,
        kind: str = "onnx",
        folder: str | Path | None = None,
        each: bool = False,
        all_seeds: bool = False,
    ) -> Path:
        """Write an attempt's models for other programs, or for a machine without network; gives the folder.

        Args:
            kind: "onnx", "torch" (a program of torch.export), or "bundle".
            folder: To write; `exports/NNNN-name-kind` if not given.
            each: A graph a model, not one of their mean.
            all_seeds: The trainings of all seeds, not of the first.

        Raises:
            ConfigError: if the folder is in use.
            ModelError: if a network cannot be written so, or the file does not give what the network gives.
        """
        from podium.inference.exporting import export_attempt

        attempt = self.champion() if reference is None else self.attempts.get(reference)
        target = Path(folder) if folder else self.root / "exports" / f"{attempt.folder.name}-{kind}"
        context = (self.competition, self.metric, self.root)
        return export_attempt(attempt, *context, self.prepare, target, kind, each=each, all_seeds=all_seeds)

    def blend(self, members: Sequence[str], *args: Any, **options: Any) -> Blend:
        """Put attempts, and predictions from elsewhere, together, and write the submission `submissions/NNNN-<name>/`.

        Args:
            members: Attempts by number or name; paths of folders or files of predictions.
            args, options: ``weights=``, ``changes=``, ``fast=``, ``name=`` …: see `Blending.blend`.
        """
        from podium.ensemble.blend import Blending

        return Blending(*self._made_of, self.recipe, self.prepare).blend(members, *args, **options)

    def submit(self, message: str = "", file: str | Path | None = None, *, again: bool = False) -> Receipt:
        """Check a submission file, hand it to the board and keep the receipt.

        Args:
            file: Any file; or a prediction's number or name; the newest prediction if not given.
            again: Submit a file that was submitted before.

        Raises:
            SubmissionError: naming lines and values, before anything is counted.
            BoardError: if there is no board here or the day's submissions are used up.
        """
        return Submitting(*self._made_of, self.board()).submit(message, file, again=again)

    def board(self) -> Board:
        """The board that `competition.toml` names.

        Raises:
            BoardError: if it names none.
        """
        return open_board(self.competition, self.root, self.metric)

    def standings(self, *, reveal: bool = False, leaderboard: bool = False) -> Standings:
        """My submissions, the best first, with the CV of their attempts; how far CV and board agree; final picks.

        Args:
            reveal: Show private scores too; after that they can no longer surprise anybody.
            leaderboard: Fetch the teams, what is left of today and the deadline as well.
        """
        return Standing(*self._made_of, self.board()).read(reveal=reveal, leaderboard=leaderboard)
