"""`competition.toml`: the task, the metric, the files, the ids, the groups, the submission format, the board."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cached_property
from pathlib import PurePath
from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from podium.config import Config
from podium.data.patterns import PART
from podium.data.several_targets import Part, parts_of
from podium.formats.submission import SubmissionFormat

Task = Literal["segmentation", "instances", "classification", "regression"]
Patterns = str | list[str]

_TARGETS = ("train_masks", "train_rle", "targets")


class DataConfig(Config):
    """Where images and targets are; paths are relative to the workspace's `data/`."""

    train_images: Patterns = Field(
        description="glob (or several) of the training images; the file name without its ending is the id. "
        "{class} stands for a folder a class, {id}_{view} for several images a sample, {id1}/…/{id2} for an id of parts"
    )
    image_id: str | None = Field(
        None,
        description="how {id1}, {id2} … make an id, for instance {id1}_slice_{id2}; joined by _, if not said",
    )
    views: list[str] = Field([], description="names of the views, where train_images has {view}")
    train_masks: Patterns | None = Field(
        None, description="mask file of an id, with {id} in its name; {class} for a folder a class"
    )
    mask_values: Literal["0/1", "0/max", "classes", "colours", "instances"] = Field(
        "0/max",
        description="0/1: non-zero is foreground; 0/max: above half; classes: by [classes]; colours: by [colours]; "
        "instances: numbers",
    )
    ignore: list[int | str] = Field(
        [], description="mask values, or names of [colours], that are neither trained on nor scored"
    )
    exclude_classes: list[str] = Field(
        [],
        description="classes that are left out: folders of {class} are not read, pixels of a map are ignored; "
        "they stay in [classes], but no model has an output for them",
    )
    train_rle: str | None = Field(
        None, description="CSV with run-length masks, read as [submission] says, but for the columns named here"
    )
    rle_column: str | None = Field(None, description="the mask column of train_rle, if not the submission's")
    no_row: Literal["problem", "empty"] = Field(
        "problem", description="what an image without a row in train_rle has: a problem, or an empty mask"
    )
    train_csv: Patterns | None = Field(
        None,
        description="CSV (or several: train.csv and val.csv) with the targets, a row a sample or a row a label",
    )
    id_column: str | None = Field(None, description="the id column of train_csv; of train_rle, if not the submission's")
    class_column: str | None = Field(None, description="the column of that table that names a class, with a row each")
    id: str | None = Field(None, description="how that table writes ids that name a class, for instance {id}_{class}")
    targets: list[str] = Field([], description="target columns of train_csv")
    flags: dict[str, Literal[0, 1]] = Field(
        {}, description='what else stands for 0 or 1 in target columns of 0 and 1, for instance { "-1.0" = 0 }'
    )
    separator: str | None = Field(
        None, description="what separates several labels in one target column; none: each has a row, if labels are many"
    )
    inputs: list[str] = Field([], description="columns of train_csv that a model may use beside the image")
    inputs_csv: Patterns | None = Field(None, description="or of this CSV file (or several), for test images too")
    inputs_id_column: str | None = Field(None, description="the id column of inputs_csv")
    test_inputs_csv: str | None = Field(
        None, description="the CSV file with the inputs of the test images, where its columns are called otherwise"
    )
    test_inputs_id_column: str | None = Field(None, description="the id column of test_inputs_csv")
    test_inputs: list[str] = Field([], description="the columns of test_inputs_csv, in the order of inputs")
    test_values: dict[str, str] = Field(
        {}, description='what values of test_inputs_csv are in the training table, for instance { M = "male" }'
    )
    val_images: Patterns | None = Field(
        None, description="glob (or several) of the official validation images, part of train_images"
    )
    train_list: Patterns | None = Field(
        None, description="text file (or several) with an id a line: these of train_images are to be trained on"
    )
    val_list: Patterns | None = Field(
        None, description="text file (or several) with an id a line, or CSV: the official validation images"
    )
    split_csv: str | None = Field(None, description="or a CSV file that tells training, validation and test images")
    split_id_column: str | None = Field(None, description="the id column of split_csv")
    split_column: str | None = Field(
        None, description="its column with train, val or test (or 0, 1 and 2) in it; rows of test are not trained on"
    )
    test_images: Patterns | None = Field(None, description="glob of the test images")
    test_masks: Patterns | None = Field(None, description="masks of the test images, where they are published")
    sample_submission: str | None = Field(None, description="CSV whose ids a submission must have, in this order")
    group: str | None = Field(None, description="regular expression over the id with a group called 'group'")
    group_csv: str | None = Field(None, description="or a CSV file that gives each id its group")
    group_id_column: str | None = Field(None, description="the id column of group_csv")
    group_column: str | None = Field(None, description="the group column of group_csv")

    @field_validator(
        "train_images", "train_masks", "train_rle", "train_csv", "val_images", "test_images", "test_masks",
        "sample_submission", "group_csv", "inputs_csv", "test_inputs_csv", "train_list", "val_list", "split_csv",
    )  # fmt: skip
    @classmethod
    def _lies_in_data(cls, value: Patterns | None) -> Patterns | None:
        if value is not None and any(not v.strip() or PurePath(v).is_absolute() for v in listed(value)):
            raise ValueError("a path inside data/, relative to it")
        return value

    @field_validator("train_masks", "test_masks")
    @classmethod
    def _has_id(cls, value: Patterns | None) -> Patterns | None:
        for pattern in listed(value):
            if "{id}" not in pattern and not PART.search(pattern):
                raise ValueError("a path with {id} in it, for instance train_masks/{id}_mask.gif or s/{id}/masks/*.png")
        return value

    @field_validator("group")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                groups = re.compile(value).groupindex
            except re.error as error:
                raise ValueError(f"a regular expression ({error})") from None
            if "group" not in groups:
                raise ValueError("a regular expression with (?P<group>…) in it")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> DataConfig:
        sources = [name for name in _TARGETS if getattr(self, name)] + ["{class}"] * self.class_folders
        if len(sources) != 1:
            raise ValueError(
                "exactly one of data.train_masks, data.train_rle, data.targets, or {class} in data.train_images"
            )
        if self.targets and not (self.train_csv and self.id_column):
            raise ValueError("data.train_csv and data.id_column beside data.targets")
        if self.views and not all("{id}" in p and "{view}" in p for p in listed(self.train_images)):
            raise ValueError("{id} and {view} in data.train_images, since there are data.views")
        if bool(self.inputs_csv) != bool(self.inputs_id_column) or (self.inputs_csv and not self.inputs):
            raise ValueError("data.inputs_csv, data.inputs_id_column and data.inputs together")
        for given in [p for p in (*listed(self.train_images), *listed(self.test_images)) if self.image_id is not None]:
            if sorted(PART.findall(str(self.image_id))) != sorted(set(PART.findall(given))) or not PART.search(given):
                raise ValueError("the parts {id1}, {id2} … of data.train_images in data.image_id, each once")
        tested = [bool(self.test_inputs_csv), bool(self.test_inputs_id_column), bool(self.test_inputs)]
        if any(tested) and not (all(tested) and len(self.test_inputs) == len(self.inputs)):
            raise ValueError("data.test_inputs_csv, test_inputs_id_column and in test_inputs as many columns as inputs")
        if self.id is not None and self.id.count("{id}") != 1:
            raise ValueError("{id} in data.id once, for instance {id}.jpg_{class}")
        if self.group_csv and not (self.group_id_column and self.group_column):
            raise ValueError("data.group_id_column and data.group_column beside data.group_csv")
        if self.split_csv and not (self.split_id_column and self.split_column):
            raise ValueError("data.split_id_column and data.split_column beside data.split_csv")
        if self.group and self.group_csv:
            raise ValueError("one of data.group and data.group_csv")
        return self

    @property
    def class_folders(self) -> bool:
        """Whether the folder that an image lies in is its class."""
        return any("{class}" in p for p in listed(self.train_images))


def listed(patterns: Patterns | None) -> list[str]:
    """One pattern, several or none, as a list."""
    return [] if patterns is None else [patterns] if isinstance(patterns, str) else patterns


class FoldsConfig(Config):
    """How samples are split for validation."""

    k: int = Field(5, ge=2, le=100, description="number of folds")
    seed: int = Field(0, ge=0, description="another seed makes another split, where there is no folds.csv yet")
    strategy: Literal[
        "auto", "random", "stratified", "grouped", "stratified-grouped", "binned", "rank", "official", "file", "time"
    ] = Field("auto", description="how to split; groups stay whole in every one; auto: what suits the data")
    by: str | None = Field(
        None,
        min_length=1,
        description="what to split by: area, target, empty, id, a column of data.inputs, or FILE.csv:COLUMN in data/",
    )
    bins: int = Field(10, ge=2, le=100, description="into how many bins a number goes to be in equal parts in folds")
    gap: int = Field(0, ge=0, description="time: samples this near to a fold do not train while it validates")
    file: str | None = Field(None, min_length=1, description="file: CSV with columns id and fold, in the workspace")

    @model_validator(mode="after")
    def _fits_together(self) -> FoldsConfig:
        if (self.file is None) == (self.strategy == "file"):
            raise ValueError('folds.file and folds.strategy = "file" together')
        if self.gap and self.strategy != "time":
            raise ValueError('folds.gap with folds.strategy = "time" only')
        return self


class RulesConfig(Config):
    """What the competition allows."""

    pretrained: bool = Field(True, description="whether a network may begin with published weights (model.pretrained)")


class BoardConfig(Config):
    """Where submissions go."""

    kind: Literal["local", "kaggle", "host", "none"] = Field(
        "none", description="local: graded here against hidden labels; kaggle; host: a podium host"
    )
    slug: str = Field("", description="kaggle, host: the competition's name in the address of its page")
    url: str = Field("", description="host: its address, such as https://board.example.org")
    team: str = Field("", description="kaggle, host: the name of one's team, to find it on the leaderboard")
    deadline: str = Field("", description="when the competition closes (UTC), where the board does not say")
    public_share: float | None = Field(
        None, gt=0, lt=1, description="share of the test samples that the public score is of; 0.3, if it is not told"
    )
    daily_limit: int = Field(5, ge=1, description="submissions a day (UTC)")
    final_picks: int = Field(2, ge=1, description="submissions that count at the end")

    @field_validator("deadline")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        if value:
            try:
                datetime.fromisoformat(value)
            except ValueError:
                raise ValueError("a time, such as 2026-03-01T23:59") from None
        return value

    @model_validator(mode="after")
    def _is_found(self) -> BoardConfig:
        if self.kind in ("kaggle", "host") and not self.slug:
            raise ValueError(f'board.slug, since board.kind = "{self.kind}"')
        if self.kind == "host" and not self.url:
            raise ValueError('board.url, since board.kind = "host"')
        return self

    @model_serializer(mode="wrap")
    def _what_is_told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A file says nothing of what the board has not."""
        tree: dict[str, Any] = handler(self)
        return {key: value for key, value in tree.items() if value not in ("", None)}


class Competition(Config):
    """One competition, as `competition.toml` says it."""

    name: str = Field(min_length=1, description="the competition's name")
    task: Task = Field("segmentation", description="what is predicted")
    labels: Literal["one", "many", "each"] = Field(
        "one",
        description="one class a pixel or sample; several at once; or each: one class for each of data.targets, "
        "and [classes] has them as target:class",
    )
    metric: str = Field("dice", description="what validation and the board score; the registries page lists them")
    data: DataConfig
    target_weights: dict[str, float] = Field(
        {}, description="each: how much a target counts in the metric and the loss, for instance { root = 2.0 }; else 1"
    )
    classes: dict[str, int] = Field({"foreground": 1}, description="class = its value in masks, or its number")
    colours: dict[str, list[int] | list[list[int]]] = Field(
        {}, description="class = its colour in masks, [red, green, blue], or several; for mask_values = colours"
    )
    submission: SubmissionFormat = SubmissionFormat()
    folds: FoldsConfig = FoldsConfig()
    rules: RulesConfig = RulesConfig()
    board: BoardConfig = BoardConfig()

    @model_validator(mode="after")
    def _colours_fit(self) -> Competition:
        by_colour = self.data.mask_values == "colours"
        if by_colour != bool(self.colours):
            raise ValueError('[colours] and data.mask_values = "colours" together')
        if not by_colour:
            if names := [i for i in self.data.ignore if isinstance(i, str)]:
                raise ValueError(f"numbers in data.ignore, not '{names[0]}', unless there are [colours]")
            return self
        if not all(len(c) == 3 and all(0 <= v <= 255 for v in c) for cs in self.colours_of.values() for c in cs):
            raise ValueError("[red, green, blue] of 0 to 255, or a list of such, for each name in [colours]")
        every = [tuple(c) for cs in self.colours_of.values() for c in cs]
        if len(set(every)) < len(every) or len(every) > 255:
            raise ValueError("a colour once only in [colours], and at most 255 colours")
        alone = len(self.classes) == 1 and not self.data.ignore
        known = {*self.classes, *self.data.ignore, *(["background"] if alone else [])}
        if odd := [name for name in self.colours if name not in known]:
            raise ValueError(f"'{odd[0]}' of [colours] in [classes] or in data.ignore")
        if odd := [name for name in self.classes if name not in self.colours]:
            raise ValueError(f"a colour for '{odd[0]}' of [classes] in [colours]")
        return self

    @model_validator(mode="after")
    def _each_fits(self) -> Competition:
        if self.labels != "each":
            if self.target_weights:
                raise ValueError('target_weights with labels = "each" only')
            return self
        if self.task != "classification" or len(self.data.targets) < 2 or self.data.exclude_classes:
            raise ValueError('a classification with several data.targets and no exclude_classes, since labels = "each"')
        parts_of(self.data.targets, self.classes, self.target_weights)
        return self

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The targets of which each has one class, in the order of the outputs; none unless labels = each."""
        return parts_of(self.data.targets, self.classes, self.target_weights) if self.labels == "each" else ()

    @property
    def colours_of(self) -> dict[str, list[list[int]]]:
        """[colours] with a list of colours for each name."""
        return {name: [c for c in given if isinstance(c, list)] or [given] for name, given in self.colours.items()}  # type: ignore[list-item]

    @property
    def binary(self) -> bool:
        """Whether there is one foreground class to be segmented."""
        values = self.data.mask_values
        plain = values in ("0/1", "0/max") or (values == "colours" and not self.data.ignore)
        return self.task == "segmentation" and plain and len(self.classes) == 1
