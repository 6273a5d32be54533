"""The `submissions/` folder: finished submission files, each with what it is made of, and its receipt."""

from __future__ import annotations

import re
from pathlib import Path

from podium.errors import BoardError, nearest
from podium.files import is_complete

TABLE, ARCHIVE = "submission.csv.gz", "submission.zip"


def file_in(folder: Path) -> Path:
    """The submission file of a prediction's folder: a table, or a zip of masks."""
    return folder / (ARCHIVE if (folder / ARCHIVE).exists() else TABLE)


class Submissions:
    """`submissions/NNNN-name/` of a workspace."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def all(self) -> list[Path]:
        """The finished ones, the oldest first."""
        return [path for _, path in self._numbered() if is_complete(path)]

    def next(self, name: str) -> Path:
        """The folder that the next one gets."""
        number = 1 + max((n for n, _ in self._numbered()), default=0)  # unfinished ones too: nothing is written over
        return self.folder / f"{number:04d}-{name}"

    def _numbered(self) -> list[tuple[int, Path]]:
        return sorted((int(m[1]), p) for p in self.folder.glob("*") if (m := re.match(r"(\d{4,})-.", p.name)))

    def get(self, reference: str | None) -> Path:
        """One by number, name or folder name; the newest if none is named.

        Raises:
            BoardError: listing what there is.
        """
        folders = self.all()
        for folder in reversed(folders):
            number, _, name = folder.name.partition("-")
            if reference is None and not file_in(folder).exists():
                continue  # a file from elsewhere that was handed in
            if reference in (None, folder.name, name, number, number.lstrip("0")):
                return folder
        if not folders or reference is None:
            raise BoardError("nothing is predicted yet", where=self.folder, remedy="run: podium predict")
        raise BoardError(
            f"no file and no prediction '{reference}'", remedy=nearest(str(reference), [f.name for f in folders])
        )
