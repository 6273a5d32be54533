"""Any labelled folder as a competition: some groups become the test set, their labels go to the board alone."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from podium.data.cache import WORKERS
from podium.data.competition import Competition
from podium.data.folds import hold_out_groups
from podium.data.infer import id_column
from podium.data.layout import scan
from podium.data.prepare import decode_sample, pixel_digest
from podium.data.samples import Sample, list_samples, merge_groups
from podium.data.store import ordered_map
from podium.errors import DataError, PodiumError
from podium.files import building, write_atomic
from podium.formats import images, masks, rle
from podium.host.solution import split_public, write_solution
from podium.progress import say, track


@dataclass(frozen=True)
class HeldOut:
    """What `hold_out` made."""

    competition: Competition
    train: int
    test: int
    public: int


def hold_out(
    competition: Competition, source: Path, data: Path, board: Path, share: float, public: float, seed: int = 0
) -> HeldOut:
    """Lay out ``data`` with links to ``source`` without the hidden labels, which go to ``board``/solution.csv.

    Samples of one group, and images with identical pixels, stay on one side. Tables are copied with the rows of the
    training ids only: another column may betray a hidden label.

    Args:
        competition: As inferred from ``source``.
        share: Share of the samples to hold out.
        public: Share of those that the public leaderboard scores.

    Raises:
        DataError: if a sample cannot be read (all are needed, to hide them or to learn from them), or too few groups.
    """
    if not competition.binary:
        raise DataError(
            f"--hold-out is for masks of one class so far; this is {competition.task} of {len(competition.classes)}",
            where=source,
            remedy="make the workspace without --hold-out",
        )
    found = list_samples(competition, source)
    if found.problems:
        p = found.problems[0]
        say(f"  left out: {len(found.problems)} without a matching image or mask, the first is '{p.id}' ({p.reason})")
    usable, alike = _read_all(found.train)
    groups = dict(zip([s.id for s in usable], merge_groups([s.group for s in usable], alike), strict=True))
    hidden = hold_out_groups(groups, share, seed)
    train = [s for s in usable if s.id not in hidden]
    test = [s for s in usable if s.id in hidden]
    usage = split_public([s.id for s in test], [groups[s.id] for s in test], public, seed)
    with building(data, marker=False) as folder:
        _link_images(folder / "train", train)
        _link_images(folder / "test", test)
        targets = _write_targets(competition, folder, train)
        _write_tables(source, folder, {s.id for s in train}, hidden)
        form = competition.submission
        rows: Iterable[Sequence[str]] = [(form.row_id(s.id), "") for s in test]
        _write_csv(folder / "sample_submission.csv", (form.id_column, form.value_column), rows)
    _write_solution(competition, board, test, usage)
    tree = competition.tree()
    grouping = ("group", "group_csv", "group_id_column", "group_column")
    tree["data"] = {
        "train_images": "train/*",
        **targets,
        "test_images": "test/*",
        "sample_submission": "sample_submission.csv",
        **{k: v for k, v in tree["data"].items() if k in grouping},
    }
    tree["board"]["kind"] = "local"
    return HeldOut(Competition.from_tree(tree), len(train), len(test), usage.count("Public"))


def _read_all(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples and a digest of each one's pixels, decoded in threads."""

    def digest(sample: Sample) -> str | PodiumError:
        try:
            return pixel_digest(decode_sample(sample, None)[0])
        except PodiumError as error:
            return error

    results = list(track(ordered_map(digest, samples, WORKERS), "looking for identical images", len(samples)))
    bad = [r for r in results if isinstance(r, PodiumError)]
    if bad:
        raise DataError(
            f"{bad[0].found} ({len(bad)} of {len(samples)} images cannot be read)",
            where=bad[0].where,
            remedy="replace or remove the file; a hidden test set must be whole",
        )
    return list(samples), [str(r) for r in results]


def _link_images(folder: Path, samples: Sequence[Sample]) -> None:
    folder.mkdir()
    for sample in samples:
        link(sample.image, folder / sample.image.name)


def link(source: Path, target: Path) -> None:
    """A symbolic link, or a copy where the file system has none."""
    try:
        os.symlink(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _write_targets(competition: Competition, folder: Path, train: Sequence[Sample]) -> dict[str, object]:
    """The training targets in the new layout, and the keys of [data] that say so."""
    spec, form = competition.data, competition.submission
    if spec.train_rle:
        rows = [(form.row_id(s.id), s.rle or "") for s in train]
        name = "train.csv" if spec.group_csv != "train.csv" else "train_rle.csv"  # which is copied with its groups
        _write_csv(folder / name, (form.id_column, form.value_column), rows)
        return {"train_rle": name}
    (folder / "train_masks").mkdir()
    for sample in train:
        assert sample.mask is not None
        link(sample.mask, folder / "train_masks" / f"{sample.id}{sample.mask.suffix}")
    return {"train_masks": "train_masks/{id}.*", "mask_values": spec.mask_values}


def _write_tables(source: Path, folder: Path, train: set[str], hidden: set[str]) -> None:
    """Copy the source's tables that are about the samples, rows of hidden ones left out."""
    for name, table in scan(source).tables.items():
        found = id_column(table, train | hidden)
        if found is None or (folder / name).exists():
            continue
        column, spelling = found
        keep = [spelling.replace("{id}", id) for id in train]
        text = io.BytesIO()
        table.filter(pl.col(column).is_in(keep)).write_csv(text)
        write_atomic(folder / name, text.getvalue())


def _write_solution(competition: Competition, board: Path, test: Sequence[Sample], usage: list[str]) -> None:
    spec, form = competition.data, competition.submission

    def runs(sample: Sample) -> tuple[rle.Runs, tuple[int, int]]:
        shape = images.image_size(sample.image)
        if sample.mask is None:
            return rle.parse(sample.rle or "", shape[0] * shape[1], sample.id), shape
        mask = masks.read_mask(sample.mask, "0/1" if spec.mask_values == "0/1" else "0/max")
        if mask.shape != shape:
            raise DataError(
                f"mask is {mask.shape}, its image {shape}", where=sample.mask, remedy="replace or remove it"
            )
        return rle.runs_of(mask, form.order), shape

    results = list(ordered_map(runs, test, WORKERS))
    write_solution(
        board / "solution.csv",
        form,
        ids=[s.id for s in test],
        shapes=[shape for _, shape in results],
        runs=[r for r, _ in results],
        usage=usage,
    )


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue())
