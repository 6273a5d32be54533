"""Configuration: TOML files and ``key=value`` overrides into frozen, checked objects.

One declaration gives the type, the default and the help text. Nothing is ever evaluated: overrides are parsed as TOML.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from podium.errors import ConfigError, nearest, storage_error
from podium.files import write_atomic

Tree = dict[str, Any]

MOST_TEXT, MOST_DOTS = 4 * 2**20, 2000
"""A settings file larger than this, or a line with more dots, is no settings file; tomllib takes minutes over it."""


class Config(BaseModel):
    """Base of every configuration object: frozen once loaded, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    other_files: ClassVar[Mapping[str, str]] = {}
    """{section that is often looked for here: what to do, since it belongs in another file}."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read and check a TOML file.

        Raises:
            ConfigError: naming the file, the key, what was given and what is expected.
        """
        return cls.from_tree(read_toml(path), where=str(path))

    @classmethod
    def from_tree(cls, tree: Tree, *, where: str = "") -> Self:
        """Check a nested dict as TOML gives it."""
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise _explain(cls, error, where) from None

    def tree(self) -> Tree:
        """The nested dict of every value that is set (TOML has no null, so None is left out)."""
        return self.model_dump(mode="json", exclude_none=True, by_alias=True)

    def with_overrides(self, overrides: Sequence[str] | Tree) -> Self:
        """A copy with ``["optim.lr=3e-4"]`` or a nested dict of changes applied, checked as a whole.

        Raises:
            ConfigError: for an unknown key (naming the nearest one), a wrong type or a value out of range.
        """
        changes = overrides if isinstance(overrides, Mapping) else parse_overrides(overrides)
        return type(self).from_tree(merge(self.tree(), dict(changes), type(self)))

    def digest(self, *sections: str) -> str:
        """A hash of the settings (of the named sections only, if any): equal settings, equal hash."""
        tree = self.tree()
        chosen = {k: tree.get(k) for k in sections} if sections else tree
        return hashlib.sha256(repr(sorted(flatten(chosen))).encode()).hexdigest()[:16]

    def to_toml(self, comments: Mapping[str, str] | None = None) -> str:
        """TOML text, with a comment behind every key (or ``[section]``) that ``comments`` names."""
        return emit_toml(self.tree(), comments or {})


def read_toml(path: Path) -> Tree:
    """A TOML file as a nested dict.

    Raises:
        ConfigError: if it is missing, not UTF-8 or not TOML (with line and column).
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        if len(text) > MOST_TEXT or any(line.count(".") > MOST_DOTS for line in text.splitlines()):
            raise ConfigError(
                "too much for settings", where=path, expected=f"less than {MOST_TEXT >> 20} MB, short keys"
            )
        return tomllib.loads(text)
    except FileNotFoundError:
        raise ConfigError("no such file", where=path) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 (byte {error.start})", where=path, remedy="save the file as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"not valid TOML: {error}", where=path, remedy="mend that line") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, brackets without end
        raise ConfigError("not valid TOML: a value without end", where=path, remedy="mend that line") from None
    except OSError as error:
        raise storage_error(error, path) or ConfigError(f"cannot be read ({error.strerror})", where=path) from None


def write_toml(path: Path, tree: Tree, comments: Mapping[str, str] | None = None) -> None:
    """Write a nested dict as TOML, atomically."""
    write_atomic(path, emit_toml(tree, comments or {}))


def emit_toml(tree: Tree, comments: Mapping[str, str]) -> str:
    """TOML text of a nested dict; plain keys first, then a ``[section]`` for each dict; comments by dotted key."""
    lines: list[str] = []
    _emit({k: v for k, v in tree.items() if v is not None}, (), comments, lines)
    return "\n".join(lines).strip() + "\n"


def _emit(tree: Tree, path: tuple[str, ...], comments: Mapping[str, str], lines: list[str]) -> None:
    for key, value in tree.items():
        if isinstance(value, dict) and not path:
            continue
        line = _emit_value(key, value)
        comment = comments.get(".".join((*path, key)), "")
        lines.append(line + _comment(comment))
    for key, value in tree.items():
        if isinstance(value, dict) and not path and value:
            comment = comments.get(key, "")
            lines += ["", f"[{_key(key)}]" + _comment(comment)]
            _emit(value, (key,), comments, lines)


def _comment(text: str) -> str:
    """A comment at the end of a line: a file or column name in it may hold a line break, a comment must not."""
    plain = "".join(c if c.isprintable() else " " for c in text).strip()
    return f"  # {plain}" if plain else ""


def _emit_value(key: str, value: Any) -> str:
    if isinstance(value, dict):  # nested deeper than one section: an inline table
        return f"{_key(key)} = {inline_toml(value)}"
    if isinstance(value, list):
        return f"{_key(key)} = {inline_toml(value)}"
    return tomli_w.dumps({key: value}).strip()


def inline_toml(value: Any) -> str:
    """A value as TOML writes it behind ``key = ``, tables too in one line."""
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(k)} = {inline_toml(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return "[" + ", ".join(inline_toml(v) for v in value) + "]"
    return tomli_w.dumps({"x": value}).strip().removeprefix("x = ")


def _key(key: str) -> str:
    return tomli_w.dumps({key: 0}).strip().removesuffix(" = 0")


class _Dotted(Tree):
    """A dict that came of a dotted key: it is laid over a table (``loss.terms.dice=2``), never put in its place."""


def parse_overrides(items: Sequence[str]) -> Tree:
    """``["optim.lr=3e-4", "model.arch=unet"]`` as a nested dict.

    Each value is parsed as TOML; what is not TOML is taken as a plain string, so quotes are not needed.

    Raises:
        ConfigError: for an item without '=' or a key given twice.
    """
    tree: Tree = {}
    for item in items:
        key, eq, text = item.partition("=")
        parts = key.strip().split(".")
        if not eq or not all(parts):
            raise ConfigError(
                f"'{item}' is not a setting",
                expected="key=value, for instance optim.lr=3e-4",
                remedy="put an = between",
            )
        node = tree
        for part in parts[:-1]:
            node = node.setdefault(part, _Dotted())
            if not isinstance(node, dict):
                raise ConfigError(f"'{key}' is set twice, once as a section and once as a value")
        if parts[-1] in node:
            raise ConfigError(f"'{key}' is set twice", remedy="give it once")
        node[parts[-1]] = parse_value(text.strip())
    return tree


def overrides_with_recipe(items: Sequence[str]) -> tuple[str, list[str]]:
    """Split ``["recipe=smoke", "optim.lr=1e-3"]`` into the recipe's name and the changes."""
    named = [i for i in items if i.partition("=")[0].strip() == "recipe"]
    if len(named) > 1:
        raise ConfigError("'recipe' is set twice", remedy="give it once")
    name = str(parse_overrides(named)["recipe"]) if named else "baseline"
    return name, [i for i in items if i not in named]


def parse_value(text: str) -> Any:
    """One value as TOML; text that is not TOML is the string itself."""
    try:
        return tomllib.loads(f"x = {text}")["x"] if "\n" not in text else text
    except (ValueError, RecursionError):  # not TOML, a number of thousands of digits, brackets without end
        return text


def merge(
    base: Tree,
    changes: Tree,
    schema: type[BaseModel] | None = None,
    path: str = "",
    root: type[BaseModel] | None = None,
) -> Tree:
    """``base`` with ``changes`` laid over it, dict by dict; "none" unsets an optional key.

    A dict is merged where the schema has a section, and replaced where the value itself is a table
    (``loss.terms={bce=1}`` replaces the whole mixture, ``loss.terms.bce=1`` changes one part of it).
    """
    out = dict(base)
    root = root or schema
    for key, value in changes.items():
        field = schema.model_fields.get(key) if schema else None
        if schema is not None and field is None:
            raise _unknown(f"{path}{key}", schema, root=root)
        inner = _section(field)
        section = inner is not None
        if section and not isinstance(value, dict):
            raise ConfigError(f"'{path}{key}' is a section, not a value", expected=f"{path}{key}.<key>=value")
        over_table = isinstance(out.get(key), dict) and (field is None or isinstance(value, _Dotted))
        if isinstance(value, dict) and (section or over_table):
            out[key] = merge(out.get(key, {}), value, inner, f"{path}{key}.", root)
        elif value == "none" and field is not None and type(None) in get_args(field.annotation):
            out.pop(key, None)
        else:
            out[key] = value
    return out


def _section(field: FieldInfo | None) -> type[BaseModel] | None:
    """The schema of a section, or None where the field is a plain value."""
    inner: Any = field.annotation if field else None
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _item(field: FieldInfo | None) -> type[BaseModel] | None:
    """The schema of one item of a list of sections, or None where the field is no such list."""
    inner = get_args(field.annotation) if field else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], BaseModel) else None


def flatten(tree: Tree, path: str = "") -> Iterator[tuple[str, Any]]:
    """(dotted key, value) of every leaf, in order."""
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


def difference(new: Config, old: Config) -> dict[str, tuple[Any, Any]]:
    """{dotted key: (old value, new value)} of every leaf that differs; None stands for absent."""
    a, b = dict(flatten(old.tree())), dict(flatten(new.tree()))
    return {k: (a.get(k), b.get(k)) for k in sorted(a.keys() | b.keys()) if a.get(k) != b.get(k)}


def all_keys(schema: type[BaseModel], path: str = "") -> Iterator[str]:
    """Every dotted key that a schema knows."""
    for name, field in schema.model_fields.items():
        inner = _section(field)
        if inner is not None:
            yield from all_keys(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}"


def _unknown(key: str, schema: type[BaseModel], where: str = "", root: type[BaseModel] | None = None) -> ConfigError:
    prefix, _, last = key.rpartition(".")
    other = getattr(root or schema, "other_files", {}).get(key.partition(".")[0])
    if other is not None:
        return ConfigError(f"unknown key '{key}'", where=where, remedy=other)
    elsewhere = [k for k in all_keys(root) if k.rpartition(".")[2] == last] if root is not None else []
    if elsewhere:  # the right key in the wrong section is the likeliest slip
        return ConfigError(f"unknown key '{key}'", where=where, remedy=f"did you mean '{elsewhere[0]}'?")
    section = f"{prefix}." if prefix else ""
    remedy = nearest(last, list(schema.model_fields), prefix=section)
    return ConfigError(f"unknown key '{key}'", where=where, remedy=remedy)


_UNION = re.compile(r"constrained-int$|(literal|dict|list|tuple)\[")
"""What pydantic calls the parts of a union where it says which of them failed."""

_MOMENT = "a time with its zone, for instance 2031-06-30T23:59:00Z"
_PLAIN = {
    "float_parsing": "a number",
    "float_type": "a number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list, in [ ]",
    "tuple_type": "a list, in [ ]",
    "dict_type": "a table, in { }",
    "timezone_aware": _MOMENT,
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
}


def _explain(schema: type[BaseModel], error: ValidationError, where: str) -> ConfigError:
    first = error.errors()[0]
    location = [str(part) for part in first["loc"] if not _UNION.match(str(part))]
    key = ".".join(location)
    if first["type"] == "extra_forbidden":
        owner: type[BaseModel] = schema
        for part in location[:-1]:
            if part.isdecimal():  # the place in a list, of which the owner is one item
                continue
            inner = _section(owner.model_fields.get(part)) or _item(owner.model_fields.get(part))
            if inner is None:
                break
            owner = inner
        return _unknown(key, owner, where, schema)
    if first["type"] == "missing":
        return ConfigError(f"'{key}' is missing", where=where, remedy=f"add {key} = …")
    if isinstance(first["input"], Mapping) and first["type"] == "value_error":
        given = f"the settings of [{key}] do not fit together" if key else "the settings do not fit together"
    else:
        value = first["input"]
        given = f"'{key}' is {value.isoformat() if isinstance(value, date) else repr(value)}"
    message = _PLAIN.get(first["type"], first["msg"].removeprefix("Value error, ").removeprefix("Input should be "))
    return ConfigError(given, where=where, expected=message)
