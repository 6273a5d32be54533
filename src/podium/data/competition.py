"""`competition.toml`: the task, the metric, the files, the ids, the groups, the submission format, the board."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Literal

from pydantic import Field, field_validator, model_validator

from podium.config import Config
from podium.formats.submission import SubmissionFormat


class DataConfig(Config):
    """Where images and targets are; paths are relative to the workspace's `data/`."""

    train_images: str = Field(description="glob of the training images; the file name without its ending is the id")
    train_masks: str | None = Field(None, description="mask file of an id, with {id} in its name; or set train_rle")
    mask_values: Literal["0/1", "0/max"] = Field("0/max", description="0/1: any non-zero value; 0/max: above half")
    train_rle: str | None = Field(None, description="CSV with run-length masks, read as [submission] says")
    test_images: str | None = Field(None, description="glob of the test images")
    sample_submission: str | None = Field(None, description="CSV whose ids a submission must have, in this order")
    group: str | None = Field(None, description="regular expression over the id with a group called 'group'")
    group_csv: str | None = Field(None, description="or a CSV file that gives each id its group")
    group_id_column: str | None = Field(None, description="the id column of group_csv")
    group_column: str | None = Field(None, description="the group column of group_csv")

    @field_validator("train_images", "train_masks", "train_rle", "test_images", "sample_submission", "group_csv")
    @classmethod
    def _lies_in_data(cls, value: str | None) -> str | None:
        if value is not None and (not value.strip() or PurePath(value).is_absolute()):
            raise ValueError("a path inside data/, relative to it")
        return value

    @field_validator("train_masks")
    @classmethod
    def _has_id(cls, value: str | None) -> str | None:
        if value is not None and (value.count("{id}") != 1 or "{id}" not in PurePath(value).name):
            raise ValueError("a path with {id} once in the file's name, for instance train_masks/{id}_mask.gif")
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
        if (self.train_masks is None) == (self.train_rle is None):
            raise ValueError("exactly one of data.train_masks and data.train_rle")
        if self.group_csv and not (self.group_id_column and self.group_column):
            raise ValueError("data.group_id_column and data.group_column beside data.group_csv")
        if self.group and self.group_csv:
            raise ValueError("one of data.group and data.group_csv")
        return self


class FoldsConfig(Config):
    """How samples are split for validation."""

    k: int = Field(5, ge=2, le=100, description="number of folds")
    seed: int = Field(0, ge=0, description="another seed makes another split, where there is no folds.csv yet")


class BoardConfig(Config):
    """Where submissions go."""

    kind: Literal["local", "none"] = Field("none", description="local: graded here against hidden labels")
    daily_limit: int = Field(5, ge=1, description="submissions a day (UTC)")
    final_picks: int = Field(2, ge=1, description="submissions that count at the end")


class Competition(Config):
    """One competition, as `competition.toml` says it."""

    name: str = Field(min_length=1, description="the competition's name")
    task: Literal["segmentation"] = Field("segmentation", description="what is predicted")
    metric: str = Field("dice", description="what validation and the board score; the registries page lists them")
    data: DataConfig
    classes: dict[str, int] = Field({"foreground": 1}, description="the one class = 1", min_length=1, max_length=1)
    submission: SubmissionFormat = SubmissionFormat()
    folds: FoldsConfig = FoldsConfig()
    board: BoardConfig = BoardConfig()
