"""Attempts in one file for a teammate: what was changed and why, the verdict, the scores; each file with its hash.

share.toml          who, when, of which competition, data and folds; the hash of every file
competition.toml    folds.csv
attempts/0003-name/ as in the workspace, without checkpoints; with the attempts it stands on
predictions/0003-name/  if asked for: prediction.toml and the submission file
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from blake3 import blake3

from podium.config import emit_toml, read_toml
from podium.data.samples import Sample
from podium.errors import LedgerError
from podium.files import MARKER, open_atomic
from podium.formats.archives import unpack
from podium.ledger.attempt import CODE, Attempt
from podium.ledger.fold_runs import finished_runs

MANIFEST = "share.toml"
FORMAT = 1
OF_ATTEMPT = ("recipe.toml", "change.toml", "why.md", "verdict.toml", MARKER)
OF_RUN = ("run.toml", "scores.parquet", "history.csv", MARKER)
WHOLE = 64
"""Samples whose files are hashed whole; of the others, the sizes count."""


def data_digest(samples: Sequence[Sample]) -> str:
    """Equal for the same training data, whatever the folder: ids, sizes of all files, and the content of some.

    Raises:
        LedgerError: naming a file that is gone.
    """
    digest = blake3()
    step = max(1, len(samples) // WHOLE)
    for n, sample in enumerate(sorted(samples, key=lambda s: s.id)):
        files = [*(sample.views or (sample.image,)), *([sample.mask] if sample.mask else [])]
        files += [path for _, path in sample.class_masks]
        told = [sample.id, sample.rle or "", repr(sample.values)]
        try:
            told += [str(path.stat().st_size) for path in files]
            digest.update("\0".join(told).encode())
            if n % step == 0:
                for path in files:
                    digest.update(path.read_bytes())
        except OSError as error:
            raise LedgerError(f"cannot be read ({error.strerror})", where=error.filename or sample.id) from None
    return digest.hexdigest(length=16)


@dataclass(frozen=True)
class Share:
    """An unpacked and checked archive.

    Attributes:
        folder: Where it was unpacked.
        who: Whose it is.
        heads: Folder names of the attempts that were shared; the others are what they stand on.
        data: `data_digest` of the training data.
        facts: All of `share.toml` but the hashes.
    """

    folder: Path
    who: str
    made: str
    heads: tuple[str, ...]
    data: str
    facts: dict[str, Any]

    @classmethod
    def open(cls, archive: Path, folder: Path) -> Self:
        """Unpack an archive into ``folder``, and check every file's hash.

        Raises:
            DataError: if it is no zip archive, or one that leads outside, grows beyond measure or holds links.
            LedgerError: if it is none of podium's, a file is not what the list says, or is not in it.
        """
        unpack(archive, folder)
        if not (folder / MANIFEST).is_file():
            raise LedgerError(
                "not an archive of attempts",
                where=archive,
                expected=f"one that podium share made, with {MANIFEST} in it",
            )
        tree = read_toml(folder / MANIFEST)
        try:
            files = {str(k): str(v) for k, v in tree.pop("files").items()}
            found = cls(
                folder, str(tree["who"]), str(tree["made"]), tuple(map(str, tree["attempts"])), str(tree["data"]), tree
            )
            newer = int(tree["format"]) > FORMAT
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LedgerError(f"{MANIFEST} is damaged ({error})", where=archive, remedy="ask for it again") from None
        if newer:
            raise LedgerError("it was made by a newer podium", where=archive, remedy="pip install --upgrade podium")
        _check_files(archive, folder, files)
        for name in found.heads:
            if Path(name).name != name or not (folder / "attempts" / name).is_dir():
                raise LedgerError(f"attempt '{name}' is not in it", where=archive, remedy="ask for it again")
        return found

    def attempt(self, name: str) -> Attempt:
        """One of its attempts."""
        return Attempt.load(self.folder / "attempts" / name)


def _check_files(archive: Path, folder: Path, files: dict[str, str]) -> None:
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    there.pop(MANIFEST)
    for name in sorted(files.keys() ^ there.keys()):
        what = "is missing" if name in files else "is not in its list"
        raise LedgerError(
            f"'{name[:200]}' {what}", where=archive, expected="the archive as it was made", remedy="ask for it again"
        )
    for name, path in there.items():
        with open(path, "rb") as f:
            if hashlib.file_digest(f, "sha256").hexdigest() != files[name]:
                raise LedgerError(
                    f"'{name[:200]}' is not what it was when it was packed", where=archive, remedy="ask for it again"
                )


def pack(
    target: Path,
    heads: Sequence[Attempt],
    chain: Sequence[Attempt],
    *,
    who: str,
    facts: dict[str, Any],
    beside: dict[str, Path],
    oof: bool = False,
    code: bool = False,
) -> int:
    """Write an archive of attempts; returns how many files are in it.

    Args:
        target: The archive; there whole or not at all.
        heads: The attempts to share.
        chain: These and what they stand on.
        facts: ``name``, ``task``, ``metric``, ``data`` of the competition.
        beside: {name in the archive: file} of what goes with them.
        oof: With out-of-fold predictions.
        code: With the Python files that recipes name.
    """
    given = dict(beside)
    for attempt in chain:
        for path in _files_of(attempt.folder, oof=oof, code=code):
            given[f"attempts/{path.relative_to(attempt.folder.parent).as_posix()}"] = path
    hashes: dict[str, str] = {}
    with open_atomic(target) as f, zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as z:
        for name, path in sorted(given.items()):
            content = _without_paths(path) if path.name == "change.toml" else path.read_bytes()
            hashes[name] = hashlib.sha256(content).hexdigest()
            z.writestr(name, content)
        made = datetime.now(UTC).isoformat(timespec="seconds")
        head = {"format": FORMAT, "who": who, "made": made, "attempts": [a.folder.name for a in heads], **facts}
        z.writestr(MANIFEST, emit_toml(head | {"files": hashes}, {}))
    return len(given)


def _files_of(folder: Path, *, oof: bool, code: bool) -> Iterator[Path]:
    """What of an attempt's folder is shared."""
    yield from (folder / name for name in OF_ATTEMPT if (folder / name).is_file())
    if code and (folder / CODE).is_dir():
        yield from sorted(p for p in (folder / CODE).iterdir() if p.is_file())
    for run in finished_runs(folder):
        yield from (run.folder / name for name in OF_RUN if (run.folder / name).is_file())
        if oof:
            for parent, _, names in os.walk(run.folder / "oof"):
                yield from (Path(parent) / name for name in sorted(names))


def _without_paths(change: Path) -> bytes:
    """`change.toml` without where on this machine something was adopted from."""
    head = read_toml(change)
    head.pop("adopted_from", None)
    return emit_toml(head, {}).encode()
