"""Making a workspace: infer the competition from a folder of data, lay the data out, write first recipes."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.boards.base import Board
from podium.boards.choice import board_at
from podium.boards.host import HostBoard
from podium.data.competition import Competition, listed
from podium.data.frames import frame_to_folder
from podium.data.infer import Inference, infer_with
from podium.data.memory import has_gpu
from podium.data.patterns import IMAGE_SUFFIXES
from podium.data.place import SPEC
from podium.data.plan import Aim, plan
from podium.data.samples import Problem, list_samples
from podium.data.targets import read_target, target_word
from podium.data.told import as_told
from podium.errors import BoardError, ConfigError, DataError, PodiumError, storage_error
from podium.files import building, write_atomic
from podium.formats import images
from podium.formats.archives import KINDS, by_hand, is_archive, unpack, unpack_home
from podium.host.grading import Classes
from podium.host.solution import read_solution, truth_format
from podium.metrics import get_metric
from podium.progress import counted, say


def make_workspace(
    root: Path,
    source: str | Path,
    settings: Sequence[str] = (),
    share: float | None = None,
    public: float = 0.3,
    solution: str | Path | None = None,
    copy: bool = False,
    seed: int = 0,
) -> None:
    """Make a workspace in ``root``, whole or not at all; the arguments are those of `Workspace.new`."""
    require_new(root)
    named = board_at(str(source))
    if named is None:
        _make(root, Path(source).resolve(), settings, share, public, solution, copy, seed)
        return
    downloads = root.with_name(f"{root.name}.download")  # kept until the workspace is there: nothing is fetched twice
    board, keys = named
    say(f"  {board.name}: into {downloads}")
    archives = board.fetch(downloads)
    told = [f"board.{key}={json.dumps(value)}" for key, value in keys.items()]
    spec = board.spec() if isinstance(board, HostBoard) else ""
    _make(root, archives[0], [*told, *_daily_limit(board), *settings], share, public, solution, copy, seed, spec)
    shutil.rmtree(downloads)


def _daily_limit(board: Board) -> list[str]:
    """As a setting, if the board tells it."""
    try:
        limits = board.limits()
    except BoardError as error:
        say(f"  how many submissions a day it takes is not told: {error.found}")
        return []
    return [f"board.daily_limit={limits.today + limits.left}"] if limits.today + limits.left else []


def _make(
    root: Path,
    source: Path,
    settings: Sequence[str],
    share: float | None,
    public: float,
    solution: str | Path | None,
    copy: bool,
    seed: int,
    told: str = "",
) -> None:
    with building(root, marker=False) as draft:
        unpacked = _unpack(source, draft / "data")
        if unpacked and share is not None:
            raise ConfigError(
                "--hold-out needs the files unpacked", where=source, remedy="unpack the archive and give the folder"
            )
        data = draft / "data" if unpacked else source
        inference = as_told(told, data, _name(root), settings) or infer_with(data, _name(root), settings)
        inference = _take_metric(inference, draft)
        if not unpacked:
            inference = _lay_out(inference, source, draft, share, public, copy, seed)
        if solution is not None:
            inference = _take_solution(inference, Path(solution), draft)
        for line in inference.told():
            say(f"  {line}")
        write_atomic(draft / SPEC, inference.toml())
        write_recipes(inference.competition, draft)


def make_from_frame(root: Path, frame: Any, settings: Sequence[str], columns: Mapping[str, Any]) -> None:
    """Make a workspace in ``root`` from a frame, whole or not at all; see `Workspace.from_frame`."""
    require_new(root)
    with building(root, marker=False) as draft:
        inference = frame_to_folder(frame, draft / "data", _name(root), **columns).with_settings(settings)
        inference = _take_metric(inference, draft)
        write_atomic(draft / SPEC, inference.toml())
        write_recipes(inference.competition, draft)


def require_new(root: Path) -> None:
    """Refuse a folder that is in use."""
    if root.exists() and not root.is_dir():
        raise ConfigError("there is a file of this name", where=root, remedy="choose another name, or move it away")
    if root.exists() and any(root.iterdir()):
        raise ConfigError("the folder is not empty", where=root, remedy="choose another name, or remove it first")


def _name(root: Path) -> str:
    return re.sub(r"[^a-z0-9_-]+", "-", root.name.lower()).strip("-") or "competition"


def _take_metric(inference: Inference, draft: Path) -> Inference:
    """See that there is such a metric; one in a file of the user's is copied into the workspace, where it is found."""
    name = inference.competition.metric
    before, suffix, rest = name.partition(".py")
    file = Path(before + suffix)
    if not suffix or file.is_absolute():
        get_metric(name)
        return inference
    if not file.is_file():
        raise ConfigError(
            f"there is no file {file}",
            where="metric",
            expected="the Python file of your metric, as seen from the current folder",
            remedy="correct the path; the file is copied into the workspace",
        )
    get_metric(name)
    shutil.copy2(file, draft / file.name)
    return inference.with_value("metric", f"{file.name}{rest}", f"your own, copied from {file}")


def _unpack(source: Path, data: Path) -> bool:
    """Unpack an archive, or a folder of them as downloaded, into ``data``; False if there is nothing to unpack.

    Raises:
        DataError: with the command that unpacks it, for an archive that is not read here.
    """
    if source.is_file() and is_archive(source):
        say(f"  unpacking {source.name}")
        unpack(source, data)
        _require_read(data, source)
        return True
    if source.is_file() and by_hand(source):
        raise _not_read([source], source)
    archives = sorted(p for p in source.glob("*") if p.is_file() and is_archive(p)) if source.is_dir() else []
    if _has_images(source):
        if archives:
            say(f"  not unpacked, since there are images beside: {', '.join(p.name for p in archives)}")
        return False
    if source.is_dir():
        _require_read(source, source, archives)
    if not archives:
        return False
    data.mkdir()
    for path in sorted(p for p in source.iterdir() if p.is_file() and p not in archives):
        shutil.copy2(path, data / path.name)
    for archive in archives:
        say(f"  unpacking {archive.name}")
        unpack_home(archive, data)
    _require_read(data, source)
    return True


def _has_images(folder: Path) -> bool:
    return any(p.suffix.lower() in IMAGE_SUFFIXES for p in folder.rglob("*"))


def _require_read(folder: Path, source: Path, archives: Sequence[Path] = ()) -> None:
    """Refuse a folder whose images are in archives that are not read here."""
    odd = [] if archives or _has_images(folder) else sorted(p for p in folder.rglob("*") if by_hand(p))
    if odd:
        raise _not_read(odd, source)


def _not_read(odd: Sequence[Path], where: Path) -> DataError:
    others = f" ({len(odd)} such)" if len(odd) > 1 else ""
    return DataError(
        f"{odd[0].name} is an archive that podium does not unpack{others}",
        where=where,
        expected="images, or " + ", ".join(KINDS),
        remedy=f"unpack it, and give the folder: {by_hand(odd[0])}",
    )


def _lay_out(
    inference: Inference,
    source: Path,
    draft: Path,
    share: float | None,
    public: float,
    copy: bool,
    seed: int,
) -> Inference:
    """Fill `data/` (and `board/`) of a workspace in the making."""
    if share is not None:
        from podium.host.hold_out import hold_out

        held = hold_out(inference.competition, source, draft / "data", draft / "board", share, public, seed)
        say(
            f"  held out: {held.test} of {held.train + held.test} samples as a test set, {held.public} of them public; "
            "their targets are in board/, which training never reads"
        )
        made = inference.with_competition(held.competition)
        if held.competition.folds.k < inference.competition.folds.k:
            made = made.with_value("folds.k", held.groups, f"only {counted(held.groups, 'group')} are left to train on")
        return made
    if copy:
        shutil.copytree(source, draft / "data", copy_function=_copy_file)
    else:
        (draft / "data").symlink_to(source, target_is_directory=True)
    return inference


def _take_solution(inference: Inference, solution: Path, draft: Path) -> Inference:
    """Copy the hidden labels in, once they are seen to be in order."""
    competition = inference.competition
    if not solution.is_file():
        raise DataError("no such file", where=solution)
    read_solution(solution, truth_format(competition.submission, Classes.of(competition).names))
    write_atomic(draft / "board" / "solution.csv", solution.read_bytes())
    return inference.with_value("board.kind", "local", f"hidden labels in {solution.name}")


def _copy_file(source: str, target: str) -> str:
    try:
        return shutil.copy2(source, target)
    except OSError as error:  # copytree would go on and collect one error a file
        raise storage_error(error, target) or DataError(
            f"cannot be copied ({error.strerror})",
            where=source,
            remedy="put the file back, or remove what is left of it",
        ) from None


def _no_samples(competition: Competition, problems: Sequence[Problem], data: Path) -> DataError:
    spec = competition.data
    targets = spec.train_masks or spec.train_rle or spec.train_csv or spec.train_images
    such = f", for instance '{problems[0].id}' {problems[0].reason}" if problems else ""
    return DataError(
        f"no sample has both an image and a {target_word(spec)}{such}",
        where=data,
        expected=f"images of {', '.join(listed(spec.train_images))} that {', '.join(listed(targets))} has",
        remedy="correct [data] of competition.toml, or give its keys as key=value",
    )


def write_recipes(competition: Competition, root: Path) -> None:
    """Write `recipes/` fitted to the images in ``root``/data and to this machine."""
    found = list_samples(competition, root / "data")
    if not found.train:
        raise _no_samples(competition, found.problems, root / "data")
    step = max(1, len(found.train) // 50)
    one_class = competition.task == "segmentation" and len(competition.classes) <= 1
    shapes, modes, areas = [], set(), []
    for sample in found.train[::step]:
        try:
            facts = [images.image_facts(path) for path in sample.views or (sample.image,)]
            if one_class:
                areas.append(int((read_target(competition, sample, (facts[0].height, facts[0].width)) > 0).sum()))
        except PodiumError:
            continue  # prepare reports it
        shapes += [(f.height, f.width) for f in facts]
        modes |= {f.mode for f in facts}
    if not shapes:
        raise DataError("none of the training images looked at can be read", where=root / "data")
    grey, deep = modes <= {"L", "1", "I;16", "I"}, all(mode.startswith("I") for mode in modes)
    plans = plan(shapes, len(found.train), gpu=has_gpu(), grey=grey, deep=deep, aim=Aim.of(competition, areas))
    for name, planned in plans.items():
        write_atomic(root / "recipes" / f"{name}.toml", planned.toml())
