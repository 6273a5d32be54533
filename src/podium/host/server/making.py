"""Making a competition: what competitors get, what stays hidden, and the rules; whole or not at all."""

from __future__ import annotations

import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from podium.data.competition import Competition
from podium.errors import BoardError, DataError
from podium.files import building, write_atomic
from podium.host.grading import Classes
from podium.host.server.competitions import (
    BUNDLE,
    DATA,
    DESCRIPTION,
    RULES,
    SOLUTION,
    SPEC,
    TRUTH,
    require_slug,
    rule_comments,
)
from podium.host.server.host import Host
from podium.host.server.leaks import require_no_labels
from podium.host.server.neutral import WRITTEN, copy_neutral
from podium.host.server.spec import Rules
from podium.host.solution import Solution, truth_format
from podium.host.truth_store import put_on_disk
from podium.metrics import get_metric
from podium.progress import track


@dataclass(frozen=True)
class Made:
    """A competition that was made.

    Attributes:
        files: That competitors get, of so many bytes together.
        public, private: Samples that each part of the board scores.
        remarks: What the organiser should know, about what may betray labels.
    """

    folder: Path
    files: int
    bytes: int
    public: int
    private: int
    remarks: tuple[str, ...]


def install(
    host: Host, slug: str, spec: Competition, rules: Rules, data: Path, solution: Path, description: str = ""
) -> Made:
    """Add a competition to a host.

    Args:
        spec: Task, metric (an own one with its file beside ``solution`` or in the current folder) and format.
        data: What competitors get; files are copied without times and camera data, links are followed.
        solution: The hidden labels, with Usage.

    Raises:
        BoardError: if there is one of that name.
        DataError: if the data hold labels of the hidden part, or the solution does not fit the spec.
    """
    require_slug(slug)
    folder = host.competitions.folder / slug
    if folder.exists():
        raise BoardError(f"there is a competition '{slug}' already", where=folder, remedy="choose another name")
    with building(folder) as draft:
        shutil.copyfile(solution, draft / SOLUTION)
        hidden = put_on_disk(solution, truth_format(spec.submission, Classes.of(spec).names), draft / TRUTH)
        spec = _with_metric(spec, draft, solution.parent)
        files = _copy_all(data, draft / DATA)
        remarks = require_no_labels(spec, draft / DATA, hidden, solution)
        _bundle(draft / DATA, draft / BUNDLE)
        write_atomic(draft / SPEC, spec.to_toml())
        write_atomic(draft / RULES, rules.to_toml(rule_comments()))
        write_atomic(draft / DESCRIPTION, description or first_description(slug, spec, rules, hidden))
        public = hidden.usage.count("Public")
        size = sum(f.stat().st_size for f in files)
    return Made(folder, len(files), size, public, len(hidden.usage) - public, tuple(remarks))


def first_description(slug: str, spec: Competition, rules: Rules, hidden: Solution) -> str:
    """A page that says what can be known; to be written on by the organiser."""
    form = spec.submission
    metric = get_metric(spec.metric) if ".py:" not in spec.metric else None
    what = metric.description if metric else spec.metric
    sample = form.row_id(hidden.ids[0], form.classes[0] if "{class}" in form.id else "")
    value = {"rle": "1 3 10 5", "rle_objects": "1 3 10 5", "probs": "0.5", "values": "0.0", "names": "…"}
    example = f"{','.join(form.columns)}\n{sample},{value.get(form.format, '')}\n…"
    how = "A zip of masks, one PNG a test image." if form.format == "png" else f"```\n{example}\n```"
    name = spec.metric.split(":")[-2] if ".py:" in spec.metric else spec.metric
    return (
        f"# {rules.title or slug}\n\n{rules.subtitle or 'What is to be predicted, and why it matters.'}\n\n"
        f"## Evaluation\n\nSubmissions are scored by **{name}**"
        f" ({what}).\n\n## Submission file\n\n{how}\n"  # rules and dates are beside it on the page, as they are now
    )


def _with_metric(spec: Competition, draft: Path, beside: Path) -> Competition:
    """The metric, seen to work; an own one is copied in, and its direction spelt out."""
    if ".py:" not in spec.metric:
        get_metric(spec.metric)
        return spec
    name, _, rest = spec.metric.partition(".py:")
    file = next((p for p in (Path(f"{name}.py"), beside / f"{name}.py") if p.is_file()), None)
    if file is None:
        raise DataError(f"there is no file {name}.py", where="metric", expected="the Python file of your metric")
    shutil.copyfile(file, draft / file.name)
    metric = get_metric(f"{file.name}:{rest}", folder=draft)
    direction = "max" if metric.greater_is_better else "min"
    spelt = f"{file.name}:{rest.split(':')[0]}:{direction}"
    return spec.with_overrides({"metric": spelt})


def _copy_all(data: Path, target: Path) -> list[Path]:
    if not data.is_dir():
        raise DataError("no such folder", where=data)
    found = sorted(p for p in _walk(data) if not any(part.startswith(".") for part in p.relative_to(data).parts))
    copied = []
    for path in track(found, "copying", len(found)):
        to = target / path.relative_to(data)
        to.parent.mkdir(parents=True, exist_ok=True)
        copy_neutral(path, to)
        copied.append(to)
    if not copied:
        raise DataError("there is nothing in it for competitors", where=data)
    return copied


def _walk(folder: Path) -> list[Path]:
    """Files below a folder; links to folders are followed too."""
    return [Path(root) / name for root, _, names in os.walk(folder, followlinks=True) for name in names]


def _bundle(data: Path, target: Path) -> None:
    """All files in one zip, in the order of their names, at one time."""
    date = (WRITTEN.year, WRITTEN.month, WRITTEN.day, 0, 0, 0)
    with zipfile.ZipFile(target, "w", allowZip64=True) as z:
        for path in sorted(p for p in data.rglob("*") if p.is_file()):
            info = zipfile.ZipInfo(path.relative_to(data).as_posix(), date)
            info.external_attr = 0o644 << 16
            text = path.suffix.lower() in (".csv", ".txt", ".json", ".md")
            info.compress_type = zipfile.ZIP_DEFLATED if text else zipfile.ZIP_STORED
            with open(path, "rb") as source, z.open(info, "w", force_zip64=path.stat().st_size > 2**31) as out:
                shutil.copyfileobj(source, out, 1 << 20)
