"""What is known of every sample: the index tables of the stores, joined; nothing is decoded a second time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from blake3 import blake3

from podium.data.competition import Competition
from podium.data.folds import make_folds, read_folds
from podium.data.prepare import Preparer, TrainStores
from podium.data.samples import Problem, Sample, list_samples, merge_groups, read_exclusions
from podium.data.store import Pixels, Store
from podium.errors import DataError, PodiumError
from podium.formats import images

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
    """

    competition: Competition
    train: pl.DataFrame
    test: pl.DataFrame
    problems: list[Problem] = field(default_factory=list)
    excluded: dict[str, str] = field(default_factory=dict)
    input_size: Sequence[int] | None = None
    folds: list[int] | PodiumError = field(default_factory=list)

    @property
    def usable(self) -> pl.DataFrame:
        """Training samples with a good image and a good mask, with ``share``: the part that is foreground."""
        good = self.train.filter(pl.col("error").is_null() & pl.col("mask_error").is_null())
        return good.with_columns(share=pl.col("area") / (pl.col("height") * pl.col("width")))


def gather(competition: Competition, root: Path, size: Sequence[int] | None) -> tuple[Facts, TrainStores]:
    """Build or reuse the stores of a workspace and read from them what is to be known.

    Args:
        root: The workspace's folder.
        size: The recipe's input size.

    Raises:
        DataError: if the files do not fit `competition.toml` at all; single bad samples are facts, not errors.
    """
    found, preparer = list_samples(competition, root / "data"), Preparer(competition, root / ".podium" / "cache")
    stores = preparer.train(found.train, size)
    train = train_table(found.train, stores)
    test = pl.DataFrame(schema=TEST_SCHEMA)
    if found.test and preparer.fits(found.test, size):
        test = _image_columns(preparer.images("test images", found.test, size)[1])
    excluded = read_exclusions(root / "exclude.csv")
    keep = ~pl.col("id").is_in(list(excluded))
    train, test = _with_groups(train.filter(keep)), test.filter(keep).cast(TEST_SCHEMA)
    folds = _fold_sizes(competition, root / "folds.csv", train)
    return Facts(competition, train, test, found.problems, excluded, size, folds), stores


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
    try:
        folds = read_folds(path, groups, spec.k) if path.exists() else make_folds(groups, spec.k, spec.seed)
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
