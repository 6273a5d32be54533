"""What a board asks for: the columns, the ids and the values of a submission."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

from podium.config import Config

NO_MASK = frozenset({"-1", "nan"})
"""What tables write for no mask, but for nothing."""


class SubmissionFormat(Config):
    """How a board wants predictions written.

    A sample has a row, with a value in each of the value columns; or, where the file names a class in a column or in
    the id, a row for each class; or, in rle_objects, a row for each object. Values of classes are in their order.
    """

    format: Literal["rle", "rle_objects", "probs", "values", "names", "png"] = Field(
        "rle",
        description="run-length masks, or a row an object; probabilities; numbers; names of classes; or png: "
        "no table, but a zip of masks, {id}.png, with the numbers of [classes]",
    )
    id_column: str = Field("id", min_length=1, description="name of the id column")
    value_column: str = Field("rle_mask", min_length=1, description="name of the column of masks or values")
    value_columns: tuple[str, ...] = Field(
        (), description="instead of value_column: one a class, in the order of [classes], or one a target"
    )
    empty: str = Field("", description='masks: what is written for no mask, such as "-1"; by default nothing')
    order: Literal["row", "column"] = Field("row", description="pixels counted along rows or down columns, from 1")
    id: str = Field("{id}", description="how an id is written, for instance {id}.jpg, or {id}.jpg_{class}")
    class_column: str | None = Field(None, min_length=1, description="the column of the class, where each has a row")
    classes: tuple[str, ...] = Field(
        (), description="how the file spells classes, in the order of [classes], where it does: rows a class, or names"
    )
    separator: str | None = Field(None, min_length=1, description="names: what separates several of one sample")
    choices: tuple[tuple[str, ...], ...] = Field(
        (),
        description="names, of several targets (labels = each): what may be written for each of value_columns, or "
        "of classes where each target has a row",
    )
    guesses: int = Field(
        1, ge=1, le=100, description="names, of samples of one class: how many guesses a row has, the likeliest first"
    )

    @field_validator("empty")
    @classmethod
    def _is_no_mask(cls, value: str) -> str:
        if value and value not in NO_MASK:
            raise ValueError(f"nothing, or one of {', '.join(sorted(NO_MASK))}")
        return value

    @field_validator("id")
    @classmethod
    def _has_id(cls, value: str) -> str:
        if value.count("{id}") != 1 or value.count("{class}") > 1:
            raise ValueError("text with {id} in it once, for instance {id}.jpg, or {id}_{class} for a row a class")
        return value

    @model_validator(mode="before")
    @classmethod
    def _one_or_several(cls, given: Any) -> Any:
        """Both spellings of the value columns are there in the end, whichever was given."""
        if not isinstance(given, dict):
            return given
        several = given.get("value_columns", [])
        if not isinstance(several, (list, tuple)):
            return given  # refused as what it is
        asked = [key for key in given if key in ("value_column", "value_columns")][-1:]  # an override comes last
        if several and asked == ["value_columns"]:
            return given | {"value_column": several[0]}
        return given | {"value_columns": (given.get("value_column", cls.model_fields["value_column"].default),)}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        names = [self.id_column, *self.value_columns, *([self.class_column] if self.class_column else [])]
        double = next((n for n in names if names.count(n) > 1), None)
        if double is not None or not all(names):
            raise ValueError(f"columns that differ; '{double}' is there twice" if double else "columns with names")
        if self.class_column and "{class}" in self.id:
            raise ValueError("one of submission.class_column and {class} in submission.id")
        if self.row_a_class:
            if not self.classes or len(set(self.classes)) < len(self.classes):
                raise ValueError("submission.classes, each once, since each class has a row")
            known = ("rle", "probs", "values", *(["names"] if self.choices else []))
            if len(self.value_columns) > 1 or self.format not in known:
                raise ValueError("one value column of rle, probs or values, since each class has a row")
        if self.choices and (self.format != "names" or self.separator or self.guesses > 1):
            raise ValueError('submission.choices with submission.format = "names" only, of one name each')
        if self.choices and len(self.choices) != self.width:
            raise ValueError(f"submission.choices for each of {self.width} targets, not {len(self.choices)}")
        if self.guesses > 1 and self.format != "names":
            raise ValueError('submission.guesses with submission.format = "names" only')
        single = self.format == "rle_objects" or (self.format == "names" and not self.choices)
        if not self.row_a_class and single and len(self.value_columns) > 1:
            raise ValueError(f"one value column, since the format is {self.format}")
        return self

    @model_serializer(mode="wrap")
    def _one_spelling(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A file says value_column, or value_columns where there are several, and nothing of what it has not."""
        tree: dict[str, Any] = handler(self)
        tree.pop("value_column" if len(self.value_columns) > 1 else "value_columns", None)
        for name in ("guesses", "empty"):
            if getattr(self, name) == type(self).model_fields[name].default:
                tree.pop(name, None)
        return {key: value for key, value in tree.items() if value is not None and value not in ((), [])}

    @property
    def row_a_class(self) -> bool:
        """Whether a sample has a row for each of `classes`."""
        return self.class_column is not None or "{class}" in self.id

    @property
    def targets(self) -> tuple[str, ...]:
        """What the values of a sample are of: the classes that have a row each, else the value columns."""
        return self.classes if self.row_a_class else self.value_columns

    def known_names(self, target: str) -> tuple[str, ...]:
        """What may be written, in names; of one target where there are several. Nothing if that is not told."""
        return self.choices[self.targets.index(target)] if self.choices else self.classes

    def names_in(self, text: str) -> list[str]:
        """The names of classes in a field, of which it may have several."""
        by = self.separator or (" " if self.guesses > 1 else None)
        return [t.strip() for t in text.split(by if by.strip() else None)] if by else [text]

    @property
    def width(self) -> int:
        """How many values a sample has; of rle_objects, any number."""
        return len(self.classes) if self.row_a_class else len(self.value_columns)

    @property
    def columns(self) -> tuple[str, ...]:
        """The header of the file."""
        return (self.id_column, *([self.class_column] if self.class_column else []), *self.value_columns)

    def row_id(self, sample_id: str, label: str = "") -> str:
        """The id as the board spells it.

        Args:
            sample_id: As podium knows it.
            label: One of `classes`, where the id names it.
        """
        before, after = self.id.split("{id}")
        if label:
            before, after = before.replace("{class}", label), after.replace("{class}", label)
        return before + sample_id + after

    def sample_id(self, row_id: str) -> str | None:
        """The sample's id behind a board's spelling of it, or None if it is not spelled that way."""
        found = self.split_id(row_id)
        return found[0] if found else None

    def split_id(self, row_id: str) -> tuple[str, str] | None:
        """The sample's id and the class ("" if ids name none) in a board's spelling, or None if it is not like it."""
        if "{class}" in self.id:
            match = _id_rule(self.id, self.classes).fullmatch(row_id)
            return (match["id"], match["class"]) if match else None
        before, after = self.id.split("{id}")
        fits = row_id.startswith(before) and row_id.endswith(after) and len(row_id) > len(before) + len(after)
        return (row_id[len(before) : len(row_id) - len(after)], "") if fits else None


@lru_cache(maxsize=16)
def _id_rule(spelling: str, classes: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(map(re.escape, sorted(classes, key=len, reverse=True)))
    rules = {"{id}": "(?P<id>.+?)", "{class}": f"(?P<class>{names})"}
    return re.compile("".join(rules.get(p) or re.escape(p) for p in re.split(r"(\{id\}|\{class\})", spelling)), re.S)
