"""`prepare` as a whole: stores, exclusions and folds of a workspace, made ready for training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from podium.data import samples as sampling
from podium.data.cache import Stage
from podium.data.competition import Competition
from podium.data.folds import Folds, make_folds, read_folds, write_folds
from podium.data.prepare import Preparer, TrainStores
from podium.data.samples import Problem, Sample, Samples, list_samples
from podium.data.store import Store
from podium.errors import DataError
from podium.progress import counted, say


@dataclass(frozen=True)
class Prepared:
    """What training reads, and how it came to be.

    Attributes:
        stages: For each stage whether it was reused or built, and why.
        excluded: {id: reason} of the samples left out.
    """

    stores: TrainStores
    folds: Folds
    stages: list[Stage]
    excluded: dict[str, str]

    def told(self) -> list[str]:
        """What was done, a line a stage."""
        lines = [str(stage) for stage in self.stages]
        if self.excluded:
            lines.append(f"excluded: {counted(len(self.excluded), 'sample')}, see exclude.csv")
        return lines


def make_ready(
    competition: Competition, root: Path, size: Sequence[int] | None, *, exclude_bad: bool = False
) -> Prepared:
    """Decode, pre-process, cache, and split into folds; what is there already is reused.

    Args:
        root: The workspace's folder.
        size: The recipe's input size.
        exclude_bad: Add samples that cannot be used to `exclude.csv` and go on without them.

    Raises:
        DataError: naming the samples that cannot be used, unless they are excluded.
    """
    found, preparer = list_samples(competition, root / "data"), Preparer(competition, root / ".podium" / "cache")
    stores = preparer.train(found.train, size)
    stages, problems = list(stores.stages), [*found.problems, *stores.problems]
    if found.test and preparer.fits(found.test, size):
        stage, test = preparer.images("test images", found.test, size)
        stages.append(stage)
        problems += store_problems(test)
    problems = _with_files(problems, found, str(competition.data.train_rle))
    excluded = exclude(root / "exclude.csv", problems, exclude_bad=exclude_bad)
    folds, stage = _folds(competition, root / "folds.csv", found.train, stores.images)
    usable = folds.only(s.id for s in found.train if s.id not in excluded)
    return Prepared(stores, usable, [*stages, stage], excluded)


def _with_files(problems: Sequence[Problem], found: Samples, table: str) -> list[Problem]:
    """The problems of stores, which know ids only, with the file that each is about."""
    files = {("image", s.id): s.image for s in found.train} | {("test image", s.id): s.image for s in found.test}
    files |= {("mask", s.id): s.mask or Path(table) for s in found.train}
    return [replace(p, file=str(files.get((p.file, p.id), p.file))) for p in problems]


def store_problems(test: Store) -> list[Problem]:
    """Test images that could not be read."""
    return [Problem(id, "test image", why) for id, why in test.errors.items()]


def exclude(path: Path, problems: Sequence[Problem], *, exclude_bad: bool = False) -> dict[str, str]:
    """The samples left out by `exclude.csv`, ``problems`` added to it if ``exclude_bad``.

    Raises:
        DataError: naming the problems that are not in it, otherwise.
    """
    excluded = sampling.read_exclusions(path)
    new = [p for p in problems if p.id not in excluded]
    if new and not exclude_bad:
        shown = "\n".join(f"    {p.id}: {p.reason} ({p.file})" for p in new[:10])
        more = f"\n    and {len(new) - 10} more" if len(new) > 10 else ""
        raise DataError(
            f"{counted(len(new), 'sample')} cannot be used:\n{shown}{more}",
            where=path.parent / "data",
            expected="an image and a mask of one size for each id",
            remedy="mend the files; or leave these samples out: podium prepare --exclude-bad",
        )
    if new:
        sampling.add_exclusions(path, new, by="prepare --exclude-bad")
        say(f"  {counted(len(new), 'sample')} written to exclude.csv")
    return sampling.read_exclusions(path)


def _folds(competition: Competition, path: Path, train: Sequence[Sample], store: Store) -> tuple[Folds, Stage]:
    """The folds of all samples, the excluded ones too: an exclusion that is taken back moves nobody."""
    digests = dict(zip(store.ids, store.index["pixels"].to_list(), strict=True))
    alike = [digests[s.id] or s.id for s in train]
    merged = sampling.merge_groups([s.group for s in train], alike)
    groups = dict(zip([s.id for s in train], merged, strict=True))
    spec = competition.folds
    if path.exists():
        before = path.read_bytes()
        folds = read_folds(path, groups, spec.k)
        if path.read_bytes() != before:
            return folds, Stage(
                "folds", path, False, f"folds.csv has been given the new samples, sizes {folds.sizes()}"
            )
        return folds, Stage("folds", path, True, f"folds.csv has every sample, sizes {folds.sizes()}")
    folds = make_folds(groups, spec.k, spec.seed)
    write_folds(path, folds)
    twins = len(alike) - len(set(alike))
    why = f"{len(set(groups.values()))} groups into {spec.k} folds of {folds.sizes()} samples"
    return folds, Stage("folds", path, False, why + (f"; {twins} identical images kept together" if twins else ""))
