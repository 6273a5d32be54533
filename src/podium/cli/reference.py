"""The reference pages of `docs/`, made from what they document: commands, configuration fields, registries.

`make docs` runs this module; a test holds that the pages are current.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from podium.cli import app

NOTE = "<!-- made by `make docs`; change the help texts in src/podium, not this page -->"
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "min_length": "at least {} long"}
NAMES = {
    Any: "any value",
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    AwareDatetime: "time with its zone",
}


def pages() -> dict[str, str]:
    """{file name: text} of every page."""
    from podium.data.competition import Competition
    from podium.host.server.spec import HostConfig, Rules
    from podium.recipe import Recipe

    return {
        "cli.md": _page("Commands", "Every command takes `-h`.", *_commands()),
        "recipe.md": _page("recipes/*.toml", _first_line(Recipe), *_sections(Recipe)),
        "competition.md": _page("competition.toml", _first_line(Competition), *_sections(Competition)),
        "rules.md": _page("rules.toml of a host's competition", _first_line(Rules), *_sections(Rules)),
        "host.md": _page("host.toml", _first_line(HostConfig), *_sections(HostConfig)),
        "registries.md": _page("Names a recipe can use", "Each is a dict that code can add to.", *_registries()),
    }


def write_pages(folder: Path) -> None:
    """Write the pages into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


def commands() -> dict[str, Any]:
    """{name: command} in pipeline order; a command has `help` and `params`."""
    return dict(_within(typer.main.get_command(app), ""))


def _within(group: Any, before: str) -> Iterator[tuple[str, Any]]:
    """The commands of a group; of a group in it, those that it has."""
    for name in group.list_commands(typer.Context(group)):
        command = group.commands[name]
        if hasattr(command, "commands"):
            yield from _within(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def fields(schema: type[BaseModel], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """(dotted key, field) of every value that a schema knows."""
    for name, field in schema.model_fields.items():
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, f"{path}{name}.")
        else:
            yield f"{path}{name}", field


def type_text(annotation: Any, metadata: Sequence[Any] = ()) -> str:
    """A field's type and range in words: ``whole number, ≥ 1``."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(inner[0], _flat(inner[1:]))
    if origin in (Union, UnionType):
        return " or ".join(type_text(a) for a in inner if a is not NoneType) + _bounds(metadata)
    if origin is Literal:
        return " or ".join(f'`"{a}"`' for a in inner)
    if origin in (list, tuple):
        return f"list of {type_text(inner[0])}"
    if origin is dict:
        return f"table of name = {type_text(inner[1])}"
    return NAMES[annotation] + _bounds(metadata)


def _flat(metadata: Sequence[Any]) -> list[Any]:
    return [m for item in metadata for m in (item.metadata if isinstance(item, FieldInfo) else [item])]


def _bounds(metadata: Sequence[Any]) -> str:
    found = [form.format(value) for m in metadata for k, form in BOUNDS.items() if (value := getattr(m, k, None))]
    zero = [BOUNDS[k].format(0) for m in metadata for k in BOUNDS if getattr(m, k, None) == 0]
    return "".join(f", {text}" for text in zero + found)


def _page(title: str, lead: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", NOTE, lead, *parts]) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *[[c.replace("|", "\\|") for c in row] for row in rows]]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _commands() -> Iterator[str]:
    for name, command in commands().items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        needed = [f"{p.opts[0]} {_value(p)}" for p in options if p.required]
        usage = " ".join(["podium", name, *map(_value, arguments), *needed, *(["[OPTIONS]"] if options else [])])
        yield f"## podium {name}\n\n{command.help.strip()}\n\n    {usage}"
        rows = [(f"`{_value(p)}`", p.help or "", "") for p in arguments]
        rows += [(f"`{' '.join(_spelled(p))}`", p.help or "", _default(p)) for p in options]
        if rows:
            yield _table(("argument or option", "help", "default"), rows)


def _value(param: Any) -> str:
    name = param.metavar or param.name.upper()
    plain = param.required or name.startswith("[") or param.param_type_name == "option"
    return (name if plain else f"[{name}]") + ("…" if param.nargs == -1 else "")


def _spelled(param: Any) -> list[str]:
    value = [] if isinstance(param.default, bool) else [param.metavar or param.name.upper()]
    return [", ".join(param.opts), *value]


def _default(param: Any) -> str:
    return "required" if param.required else "" if param.default in (None, False, "") else f"`{param.default}`"


def _sections(schema: type[BaseModel]) -> Iterator[str]:
    plain = {k: f for k, f in schema.model_fields.items() if not _section(f) and not _repeated(f)}
    if plain:
        yield _field_table(plain)
    for name, field in schema.model_fields.items():
        inner = _section(field)
        if inner is not None:
            yield f"## [{name}]\n\n{_first_line(inner)}"
            yield _field_table(inner.model_fields)
        elif (element := _repeated(field)) is not None:
            yield f"## [[{name}]]\n\n{_first_line(element)}"
            yield _field_table(element.model_fields)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    inner = field.annotation
    return inner if isinstance(inner, type) and issubclass(inner, BaseModel) else None


def _repeated(field: FieldInfo) -> type[BaseModel] | None:
    """The schema of each table of a ``[[list]]``."""
    inner = get_args(field.annotation) if get_origin(field.annotation) is list else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], BaseModel) else None


def _field_table(found: Mapping[str, FieldInfo]) -> str:
    rows = [
        (f"`{name}`", type_text(f.annotation, f.metadata), _shown(f), f.description or "") for name, f in found.items()
    ]
    return _table(("key", "type", "default", "what it is"), rows)


def _shown(field: FieldInfo) -> str:
    from podium.config import emit_toml

    if field.is_required():
        return "required"
    return "unset" if field.default is None else f"`{emit_toml({'x': [field.default]}, {}).strip()[5:-1]}`"


def _registries() -> Iterator[str]:
    from podium.metrics import METRICS
    from podium.models.factory import describe
    from podium.training.losses import LOSSES
    from podium.training.optim import OPTIMIZERS
    from podium.training.schedule import SCHEDULES

    models = [
        (f"`{m['name']}`", m["summary"], f"{m['parameters']:,}", ", ".join(f"`{k}`" for k in m["reads"]))
        for m in describe()
    ]
    yield "## model.arch\n\nThe number of parameters is that of the default settings."
    yield _table(("name", "what it is", "parameters", "keys of [model] it reads"), models)
    yield "## loss.terms"
    losses = [
        (f"`{name}`", _first_line(spec.function), ", ".join(spec.kinds), spec.options_text())
        for name, spec in LOSSES.items()
    ]
    yield (
        "The targets are planes (masks that may overlap, several labels: sigmoid), labels (class ids: softmax) or "
        "values (regression). Options are set as `loss.options.dice.pooled=true`."
    )
    yield _table(("name", "what it is", "targets", "options and their defaults"), losses)
    yield "## optim.name"
    optimizers = [(f"`{n}`", spec.summary, ", ".join(f"`{k}`" for k in spec.reads)) for n, spec in OPTIMIZERS.items()]
    yield _table(("name", "what it is", "keys of [optim] it reads, beside those that all read"), optimizers)
    yield ("## schedule.name\n\nThe learning rate, as a multiple of `optim.lr`, over the training. All read `warmup`.")
    curves = [
        (f"`{name}`", _first_line(s.curve), ", ".join(f"`{k}`" for k in s.reads)) for name, s in SCHEDULES.items()
    ]
    yield _table(("name", "what it is", "keys of [schedule] it reads"), curves)
    yield "## metric\n\nOf `competition.toml`."
    rows = [
        (f"`{m.name}`", m.description, "greater is better" if m.greater_is_better else "less is better")
        for m in METRICS.values()
    ]
    yield _table(("name", "what it is", "direction"), rows)


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().splitlines()[0]


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
