"""`prepare` as a whole: stores, exclusions and folds of a workspace, made ready for training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from podium.data import memory
from podium.data import samples as sampling
from podium.data.cache import Stage
from podium.data.competition import Competition
from podium.data.folds import (
    Check,
    Folds,
    check,
    choose,
    make_folds,
    read_about,
    read_folds,
    read_list,
    renew_about,
    write_about,
    write_folds,
)
from podium.data.folds.inputs import fold_input
from podium.data.prepare import Preparer, TrainStores
from podium.data.preprocess import Input
from podium.data.samples import Problem, Sample, Samples, list_samples
from podium.data.similar import Cluster, describe, groups_of, join, search_similar
from podium.data.sources import Opened, open_images
from podium.data.store import Store
from podium.errors import DataError
from podium.progress import counted, say


@dataclass(frozen=True)
class Prepared:
    """What training reads, and how it came to be.

    Attributes:
        stages: For each stage whether it was reused or built, and why.
        excluded: {id: reason} of the samples left out.
        samples: The training samples, those left out too.
        opened: Where training reads the images from.
        seconds: That it took.
    """

    stores: TrainStores
    folds: Folds
    stages: list[Stage]
    excluded: dict[str, str]
    samples: list[Sample] = field(default_factory=list)
    opened: Opened | None = None
    seconds: float = 0.0

    def told(self) -> list[str]:
        """What was done, a line a stage."""
        lines = [str(stage) for stage in self.stages]
        if self.excluded:
            lines.append(f"excluded: {counted(len(self.excluded), 'sample')}, see exclude.csv")
        return lines


def make_ready(competition: Competition, root: Path, given: Input, *, exclude_bad: bool = False) -> Prepared:
    """Decode, pre-process, cache, and split into folds; what is there already is reused.

    Args:
        root: The workspace's folder.
        given: The recipe's `[input]`.
        exclude_bad: Add samples that cannot be used to `exclude.csv` and go on without them.

    Raises:
        DataError: naming the samples that cannot be used, unless they are excluded.
    """
    started = time.monotonic()
    preparer = Preparer(competition, root / ".podium" / "cache")
    found = preparer.fixes.applied_to(list_samples(competition, root / "data"))
    stores = preparer.train(found.train, given)
    stages, problems = list(stores.stages), [*found.problems, *stores.problems]
    if found.test and preparer.fits(found.test, given):
        stage, test = preparer.images("test images", found.test, given)
        stages.append(stage)
        problems += store_problems(test)
    elif found.test:
        stages.append(preparer.left_out(found.test, given))
    opened = open_images(stores.images, found.train, preparer.cache, free_device=memory.free_device_memory())
    stages.append(opened.stage)
    problems = _with_files(problems, found, str(competition.data.train_rle))
    excluded = exclude(root / "exclude.csv", problems, exclude_bad=exclude_bad)
    folds, stage = _folds(competition, root, found.train, stores)
    usable = folds.only(s.id for s in found.train if s.id not in excluded)
    seconds = time.monotonic() - started
    return Prepared(stores, usable, [*stages, stage], excluded, found.train, opened, seconds)


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


def _folds(competition: Competition, root: Path, train: Sequence[Sample], stores: TrainStores) -> tuple[Folds, Stage]:
    """The folds of all samples, the excluded ones too: an exclusion that is taken back moves nobody."""
    path, spec = root / "folds.csv", competition.folds
    input = fold_input(competition, root, train, stores.images, stores.truth)
    groups = input.units()
    if path.exists():
        before, about = path.read_bytes(), read_about(path)
        folds = read_folds(path, groups, spec.k)
        if new := path.read_bytes() != before:
            renew_about(path, about)
        what = "folds.csv has been given the new samples" if new else "folds.csv has every sample"
        return folds, Stage("folds", path, not new, f"{what}, sizes {folds.sizes()}")
    input = fold_input(competition, root, train, stores.images, stores.truth, duplicates(stores))
    groups = input.units()
    choice, folds = choose(input, spec), make_folds(input, spec)
    write_about(path, folds, choice, spec)
    write_folds(path, folds)
    why = f"{len(set(groups.values()))} groups into {spec.k} folds of {folds.sizes()} samples; {choice}"
    twins = len(input.alike) - len(set(input.alike))
    return folds, Stage("folds", path, False, why + (f"; {twins} duplicates kept together" if twins else ""))


def duplicates(stores: TrainStores) -> dict[str, str]:
    """{sample: cluster} of those with the same image, re-encoded, flipped, resized or cropped; any view counts."""
    seen = describe(stores.images)
    for view in list(stores.views)[1:]:
        seen = join(seen, describe(stores.views[view]).prefixed(f"{view}/"))
    own = {id: id.partition("/")[2] or id if stores.views else id for id in seen.ids}
    pairs = [(own[p.a], own[p.b]) for p in search_similar(seen).pairs if p.duplicate]
    return groups_of(Cluster("duplicate", pair) for pair in pairs)


def check_folds(competition: Competition, root: Path, given: Input, file: Path | None = None) -> Check:
    """What is in each fold, and what leaks; of `folds.csv`, or of the folds that would be made where there is none.

    Args:
        given: The recipe's `[input]`, whose stores are looked into.
        file: Another list of folds, a teammate's for instance.

    Raises:
        DataError: if the list cannot be read.
    """
    preparer, path, spec = Preparer(competition, root / ".podium" / "cache"), root / "folds.csv", competition.folds
    train = preparer.fixes.applied_to(list_samples(competition, root / "data")).train
    stores = preparer.train(train, given)
    input = fold_input(competition, root, train, stores.images, stores.truth, duplicates(stores))
    if file or path.exists():
        fold = read_list(file or path)
        k = max(2 if file else spec.k, max(fold.values()) + 1)
        return replace(check(fold, input, k), about={} if file else read_about(path))
    folds, choice = make_folds(input, spec), choose(input, spec)
    return replace(check(folds.fold, input, folds.k), about={**asdict(choice), "planned": True})
