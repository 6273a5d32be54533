"""What is known of every sample: the index tables of the stores, joined; nothing is decoded a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from blake3 import blake3

from podium.data.clues import image_clues
from podium.data.competition import Competition, FoldsConfig
from podium.data.folds import FoldInput, make_folds, read_folds
from podium.data.infer import id_column
from podium.data.infer.rle_tables import rle_tables
from podium.data.layout import scan
from podium.data.prepare import Preparer, TrainStores
from podium.data.preprocess import Input
from podium.data.samples import Problem, Sample, list_samples, merge_groups, read_exclusions
from podium.data.similar import Similar, describe, join, search_similar
from podium.data.store import Pixels, Store
from podium.data.targets import class_order
from podium.data.traits import image_traits
from podium.errors import DataError, PodiumError
from podium.formats import images, rle, tables

TRAIN_SCHEMA = pl.Schema(
    {
        "id": pl.String,
        "group": pl.String,  # identical images count as one group, as they do in the folds
        "height": pl.Int64,  # of the image file; null where it cannot be read
        "width": pl.Int64,
        "mode": pl.String,
        "pixels": pl.String,  # digest, at the input size
        "flat": pl.Boolean,  # one colour everywhere
        "error": pl.String,
        "mask_height": pl.Int64,
        "mask_width": pl.Int64,
        "mask_kind": pl.String,  # how the file stores it
        "mask_pixels": pl.String,  # digest, only where the image has a twin
        "area": pl.Int64,
        "mask_error": pl.String,
    }
)
TEST_SCHEMA = pl.Schema({c: TRAIN_SCHEMA[c] for c in ("id", "height", "width", "mode", "pixels", "error")})


@dataclass(frozen=True)
class Facts:
    """What the checks of an audit read.

    Attributes:
        train: One row a training sample with image and mask, columns `TRAIN_SCHEMA`; without the excluded.
        test: The same for test images, columns `TEST_SCHEMA`.
        problems: Ids with an image or a mask only.
        excluded: {id: reason} of `exclude.csv`.
        input_size: The recipe's [height, width].
        folds: Sizes of the folds, or why there can be none.
        values: {id: targets} of the training samples, where these are values of a table.
        splits: {id: "train" or "val"} where there is an official split.
        test_groups: {id: group} of the test images.
        unseen: Why the test images were not looked at; empty where they were.
        similar: Duplicates and similar images among all; ids begin with "train/" or "test/".
        present: {id: classes that its mask holds} where masks hold several.
        class_shares: {class: share of the labelled pixels} where masks hold several.
        runs: (table, rows compared, {id: how its run-length mask differs from the mask file}).
        remarks: (table, column, {id: value}) where a table beside the images tells of overlapping masks; a table
            "" stands for the masks themselves.
        traits: Cheap figures of images: id, part ("train" or "test"), and a column a trait.
        clues: What of the files is no pixel: id, part, and the columns of `image_clues`.
    """

    competition: Competition
    train: pl.DataFrame
    test: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    input_size: Sequence[int] | None = None
    folds: list[int] | PodiumError = field(default_factory=list)
    values: dict[str, tuple[float, ...]] = field(default_factory=dict)
    splits: dict[str, str] = field(default_factory=dict)
    test_groups: dict[str, str] = field(default_factory=dict)
    unseen: str = ""
    similar: Similar | None = None
    traits: pl.DataFrame = field(default_factory=pl.DataFrame)
    clues: pl.DataFrame = field(default_factory=pl.DataFrame)
    present: dict[str, set[str]] = field(default_factory=dict)
    class_shares: dict[str, float] = field(default_factory=dict)
    runs: tuple[str, int, dict[str, str]] = ("", 0, {})
    remarks: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    @property
    def pixel_targets(self) -> bool:
        """Whether targets are masks, not values of a table."""
        return self.competition.task in ("segmentation", "instances")

    @property
    def usable(self) -> pl.DataFrame:
        """Training samples with a good image and a good mask, with ``share``: the part that is foreground."""
        good = self.train.filter(pl.col("error").is_null() & pl.col("mask_error").is_null())
        return good.with_columns(share=pl.col("area") / (pl.col("height") * pl.col("width")))


def gather(competition: Competition, root: Path, given: Input) -> tuple[Facts, TrainStores, Store | None]:
    """Build or reuse the stores of a workspace and read from them what is to be known.

    Args:
        root: The workspace's folder.
        given: The recipe's `[input]`.

    Returns:
        What is known, the stores of the training samples, and that of the test images where they are kept decoded.

    Raises:
        DataError: if the files do not fit `competition.toml` at all; single bad samples are facts, not errors.
    """
    found, preparer = list_samples(competition, root / "data"), Preparer(competition, root / ".podium" / "cache")
    stores = preparer.train(found.train, given)
    train = train_table(found.train, stores)
    test, tested = pl.DataFrame(schema=TEST_SCHEMA), None
    if found.test and preparer.fits(found.test, given):
        tested = preparer.images("test images", found.test, given)[1]
        test = _image_columns(tested)
    unseen = str(preparer.left_out(found.test, given)) if found.test and tested is None else ""
    excluded = read_exclusions(root / "exclude.csv")
    keep = ~pl.col("id").is_in(list(excluded))
    train, test = _with_groups(train.filter(keep)), test.filter(keep).cast(TEST_SCHEMA)
    folds = _fold_sizes(competition, root / "folds.csv", train)
    size = preparer.preprocess(given).spatial.size
    known: dict[str, Any] = {
        "values": {s.id: s.values for s in found.train if s.values},
        "splits": {s.id: s.split for s in found.train} if any(s.split == "val" for s in found.train) else {},
        "test_groups": {s.id: s.group for s in found.test},
        "unseen": unseen,
        "similar": _similar(stores, tested),
        "traits": image_traits(stores, tested, found),
        "clues": image_clues(found, competition, root / "data"),
        "present": _present(competition, stores),
        "class_shares": _class_shares(competition, stores),
        "runs": _runs(competition, root / "data", stores),
        "remarks": _remarks(competition, root / "data", train["id"].to_list()) + _overlaps(stores.truth, train),
    }
    return Facts(competition, train, test, found.problems, excluded, size, folds, **known), stores, tested


def _similar(stores: TrainStores, tested: Store | None) -> Similar:
    """Duplicates and similar images among training and test images, all views of a sample included."""
    seen = describe(stores.images).prefixed("train/")
    for view in list(stores.views)[1:]:
        seen = join(seen, describe(stores.views[view]).prefixed(f"train/{view}/"))
    return search_similar(join(seen, describe(tested).prefixed("test/")) if tested else seen)


def _class_shares(competition: Competition, stores: TrainStores) -> dict[str, float]:
    if "labels" not in stores.masks.kinds or competition.task != "segmentation":
        return {}
    names = class_order(competition)
    counts = np.zeros(256, np.int64)
    for i in range(len(stores.masks)):
        if stores.masks.shape(i) != (0, 0):
            counts += np.bincount(stores.masks.image(i).ravel(), minlength=256)[:256]
    total = max(1, int(counts[: len(names)].sum()))
    return {name: int(counts[n]) / total for n, name in enumerate(names)}


def _present(competition: Competition, stores: TrainStores) -> dict[str, set[str]]:
    if competition.task != "segmentation" or competition.binary:
        return {}
    names = class_order(competition)
    rows = stores.truth.index.filter(pl.col("error").is_null()).select("id", "present").rows()
    return {id: {names[int(n)] for n in text.split() if int(n) < len(names)} for id, text in rows if text is not None}


def _runs(competition: Competition, data: Path, stores: TrainStores) -> tuple[str, int, dict[str, str]]:
    """Where a table of run-length masks lies beside mask files: what they disagree on."""
    if not (competition.binary and competition.data.train_masks):
        return "", 0, {}
    truth, order, wrong, compared = stores.truth, competition.submission.order, {}, 0
    table = next((t for t in rle_tables(scan(data), sample=False) if not t.objects and not t.classes), None)
    for id, text in table.rows.items() if table else ():
        i = truth.row.get(id)
        if i is None or truth.shape(i) == (0, 0):
            continue
        compared += 1
        height, width = truth.shape(i)
        mask = rle.runs_from_packed(truth.raw(i), width, order)
        try:
            runs = rle.parse(text, height * width)
        except PodiumError as error:
            wrong[id] = error.found
            continue
        if rle.intersection(runs, mask) != rle.area(mask) or rle.area(runs) != rle.area(mask):
            wrong[id] = f"{rle.area(runs)} px in the table, {rle.area(mask)} in the mask"
    return (table.path if table else ""), compared, wrong


def _remarks(competition: Competition, data: Path, ids: Sequence[str]) -> list[tuple[str, str, dict[str, str]]]:
    if competition.task != "instances":
        return []
    found = []
    for path in sorted(data.glob("*.csv")):
        table = tables.read_csv(path)
        told = id_column(table, set(ids))
        for column in [c for c in table.columns if "overlap" in c.lower()] if told else []:
            rows = {id: v for id, v in table.select(told[0], column).rows() if v not in ("", "0", "0.0")}  # type: ignore[index]
            found += [(path.name, column, rows)] if rows else []
    return found


def _overlaps(truth: Store, train: pl.DataFrame) -> list[tuple[str, str, dict[str, str]]]:
    """The samples whose mask files or run-length masks claim some pixels several times."""
    over = truth.index.filter((pl.col("overlap") > 0) & pl.col("id").is_in(train["id"].to_list()))
    return [("", "overlap", {id: f"{n:,} px" for id, n in over.select("id", "overlap").rows()})] if len(over) else []


def train_table(samples: Sequence[Sample], stores: TrainStores) -> pl.DataFrame:
    """One row a sample, columns `TRAIN_SCHEMA`."""
    truth, index = stores.truth, _image_columns(stores.images)
    twin = (index["pixels"].is_duplicated() & index["pixels"].is_not_null()).to_list()
    readable = truth.index["error"].is_null().to_list()
    return index.with_columns(
        group=pl.Series([s.group for s in samples], dtype=pl.String),
        flat=pl.Series([_is_flat(stores.images.image(i)) for i in range(len(samples))], dtype=pl.Boolean),
        mask_height=truth.index["source_height"],
        mask_width=truth.index["source_width"],
        mask_kind=pl.Series([_mask_kind(s) for s in samples], dtype=pl.String),
        mask_pixels=pl.Series(
            [_digest(truth.raw(i)) if twin[i] and readable[i] else None for i in range(len(samples))], dtype=pl.String
        ),
        area=truth.index["area"],
        mask_error=truth.index["error"],
    ).cast(TRAIN_SCHEMA)[list(TRAIN_SCHEMA)]


def _image_columns(store: Store) -> pl.DataFrame:
    columns = {"source_height": "height", "source_width": "width"}
    return store.index.select("id", "source_height", "source_width", "mode", "pixels", "error").rename(columns)


def _with_groups(train: pl.DataFrame) -> pl.DataFrame:
    alike = [pixels or id for id, pixels in train.select("id", "pixels").rows()]
    return train.with_columns(group=pl.Series(merge_groups(train["group"].to_list(), alike), dtype=pl.String))


def _fold_sizes(competition: Competition, path: Path, train: pl.DataFrame) -> list[int] | PodiumError:
    good = train.filter(pl.col("error").is_null() & pl.col("mask_error").is_null())
    groups, spec = dict(good.select("id", "group").rows()), competition.folds
    plain = FoldsConfig(k=spec.k, seed=spec.seed)  # sizes and groups tell what there is to tell
    try:
        folds = read_folds(path, groups, spec.k) if path.exists() else make_folds(FoldInput.of(groups), plain)
    except DataError as error:
        return error
    return folds.sizes()


def _mask_kind(sample: Sample) -> str | None:
    """How a mask file stores its pixels, from its header: "PNG I;16, 16 bits"."""
    if sample.mask is None:
        return None
    try:
        facts = images.image_facts(sample.mask)
    except PodiumError:
        return None  # the store has its error
    return f"{facts.format} {facts.mode}, {facts.bits} bit{'s' * (facts.bits != 1)}"


def _is_flat(image: Pixels) -> bool:
    """Whether an image is of one colour; two rows settle it for nearly every image, so the rest is not read."""
    if not image.size:
        return False
    rows = image[[0, len(image) // 2]]
    return bool((rows == rows[0, 0]).all() and (image == rows[0, 0]).all())


def _digest(packed: Pixels) -> str:
    return str(blake3(repr(packed.shape).encode() + np.ascontiguousarray(packed).tobytes()).hexdigest(length=8))
