"""Any labelled folder as a competition: some groups become the test set, their labels go to the board alone."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from podium.data.cache import WORKERS
from podium.data.competition import Competition, listed
from podium.data.folds import hold_out_groups
from podium.data.infer import id_column
from podium.data.layout import scan
from podium.data.prepare import decode_sample, pixel_digest
from podium.data.samples import Sample, list_samples, merge_groups
from podium.data.store import ordered_map
from podium.data.target_tables import form_of
from podium.data.targets import class_order, id_reader
from podium.errors import DataError, PodiumError
from podium.files import building, write_atomic
from podium.formats import tables
from podium.formats.submission import SubmissionFormat
from podium.formats.submission_file import SubmissionWriter
from podium.host.lay_out import lay_out_images, lay_out_masks, neutral_ids
from podium.host.solution import split_public, truth_format, write_solution
from podium.host.truth import truth_of
from podium.progress import say, track

GROUPING = ("group", "group_csv", "group_id_column", "group_column")
PLACES = (
    *("train_images", "val_images", "train_list", "val_list", "train_masks", "test_images", "test_masks"),
    *("image_id", "test_inputs_csv", "test_inputs_id_column", "test_inputs", "test_values"),
    "sample_submission",
)
"""Keys of [data] that say where things lie, which the new layout sets anew."""

INPUTS = "model_inputs.csv"


@dataclass(frozen=True)
class HeldOut:
    """What `hold_out` made.

    Attributes:
        groups: Of the training samples.
    """

    competition: Competition
    train: int
    test: int
    public: int
    groups: int


def hold_out(
    competition: Competition,
    source: Path,
    data: Path,
    board: Path,
    share: float,
    public: float,
    seed: int = 0,
    *,
    neutral: bool = False,
) -> HeldOut:
    """Lay out ``data`` with links to ``source`` without the hidden labels, which go to ``board``/solution.csv.

    Samples of one group, and images with identical pixels, stay on one side. Tables are copied with the rows of the
    training ids only: another column may betray a hidden label.

    Args:
        competition: As inferred from ``source``.
        share: Share of the samples to hold out.
        public: Share of those that the public leaderboard scores.
        neutral: Give the hidden samples names that say nothing; else they have them only where ids name classes.

    Raises:
        DataError: if a sample cannot be read (all are needed, to hide them or to learn from them), or too few groups.
    """
    found = list_samples(competition, source)
    if found.problems:
        p = found.problems[0]
        say(f"  left out: {len(found.problems)} without a matching image or target, the first is '{p.id}' ({p.reason})")
    usable, alike = _read_all(found.train)
    groups = dict(zip([s.id for s in usable], merge_groups([s.group for s in usable], alike), strict=True))
    hidden = hold_out_groups(groups, share, seed)
    train = [s for s in usable if s.id not in hidden]
    kept = [s for s in usable if s.id in hidden]
    left = len({groups[s.id] for s in train})
    if left < 2:
        raise DataError(
            f"a share of {share:g} of {len(set(groups.values()))} groups leaves one group to train on, and validation "
            "needs a second",
            where="--hold-out",
            remedy="hide a smaller share; or, if samples of a group are unrelated after all, data.group=none",
        )
    parts = [groups[s.id] for s in kept]
    if len(set(parts)) == 1 and len(kept) > 1:
        say(f"  the {len(kept)} hidden samples are one group: the public part is split within it")
        parts = [s.id for s in kept]
    usage = split_public([s.id for s in kept], parts, public, seed)
    test = neutral_ids(competition, kept, seed, always=neutral)
    with building(data, marker=False) as folder:
        places = lay_out_images(competition, folder, train, test)
        places |= _write_targets(competition, source, folder, train)
        places |= _write_inputs(competition, folder, train, test)
        _write_tables(source, folder, {s.id for s in train}, hidden)
        if competition.submission.format != "png":
            places["sample_submission"] = "sample_submission.csv"
            _write_sample(competition, folder / "sample_submission.csv", test)
    _write_solution(competition, board, test, usage)
    tree = competition.tree()
    same = {k: v for k, v in tree["data"].items() if k not in PLACES}
    tree["data"] = {**same, **places}
    tree["board"] |= {"kind": "local", "public_share": round(public, 4)}
    tree["folds"]["k"] = min(competition.folds.k, left)
    return HeldOut(Competition.from_tree(tree), len(train), len(test), usage.count("Public"), left)


def _read_all(samples: Sequence[Sample]) -> tuple[list[Sample], list[str]]:
    """The samples and a digest of each one's pixels, of all views, decoded in threads."""

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


def _write_targets(competition: Competition, source: Path, folder: Path, train: Sequence[Sample]) -> dict[str, object]:
    """The training targets in the new layout, and the keys of [data] that say so."""
    spec = competition.data
    for name in listed(spec.train_rle or spec.train_csv):
        table = tables.read_csv(source / name)
        form = form_of(spec, competition.submission) if spec.train_rle else None
        column = tables.column(table, form.id_column if form else str(spec.id_column), source / name).to_list()
        spelt = form or SubmissionFormat(id=spec.id or "{id}", classes=tuple(competition.classes))
        ids, read = {s.id for s in train}, id_reader(spec)
        own = [(split := spelt.split_id(row)) is not None and read(split[0]) in ids for row in column]
        if spec.train_csv and any("/" in row for row in column):  # in the new layout there is none
            table = table.with_columns(pl.Series(str(spec.id_column), list(map(read, column))))
        _write_frame(folder / name, table.filter(pl.Series(own, dtype=pl.Boolean)))
    by_file = not (spec.train_rle or spec.train_csv or spec.class_folders)
    return lay_out_masks(competition, folder, train) if by_file else {}


def _write_inputs(
    competition: Competition, folder: Path, train: Sequence[Sample], test: Sequence[Sample]
) -> dict[str, object]:
    """What a model may use beside the image, of both sides in a table of its own."""
    names = competition.data.inputs
    if not names:
        return {}
    write_rows(folder / INPUTS, ("id", *names), [(s.id, *s.inputs) for s in (*train, *test)])
    return {"inputs_csv": INPUTS, "inputs_id_column": "id"}


def _write_tables(source: Path, folder: Path, train: set[str], hidden: set[str]) -> None:
    """Copy the source's tables that are about the samples, rows of hidden ones left out."""
    for name, table in scan(source).tables.items():
        found = id_column(table, train | hidden)
        if found is None or (folder / name).exists():
            continue
        column, spelling = found
        keep = [spelling.replace("{id}", id) for id in train]
        _write_frame(folder / name, table.filter(pl.col(column).is_in(keep)))


def _write_sample(competition: Competition, path: Path, test: Sequence[Sample]) -> None:
    """A submission that says nothing: empty masks, one half, 0, the first class."""
    form = competition.submission
    first = (form.classes or tuple(competition.classes))[0]
    nothing: dict[str, str | float] = {"rle": "", "probs": 0.5, "values": 0.0, "names": first}
    row: list[str | float] = [known[0] for known in form.choices] or [nothing.get(form.format, "")] * form.width
    with SubmissionWriter(path, form) as writer:
        for sample in test:
            writer.write(sample.id, *(row if form.format != "rle_objects" else []))


def _write_solution(competition: Competition, board: Path, test: Sequence[Sample], usage: list[str]) -> None:
    results = list(ordered_map(lambda sample: truth_of(competition, sample), test, WORKERS))
    write_solution(
        board / "solution.csv",
        truth_format(competition.submission, class_order(competition)),
        ids=[s.id for s in test],
        shapes=[shape for _, shape in results if shape is not None],
        truth=[values for values, _ in results],
        usage=usage,
    )


def write_rows(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Write a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_atomic(path, text.getvalue())


def _write_frame(path: Path, table: pl.DataFrame) -> None:
    text = io.BytesIO()
    table.write_csv(text)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text.getvalue())
