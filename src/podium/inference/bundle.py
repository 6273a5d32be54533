"""An offline bundle for code competitions: one folder that predicts without network and without installing podium."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
from pathlib import Path

from podium.data.competition import Competition
from podium.files import building, share_file, size_text, write_atomic
from podium.inference.bag import Bag
from podium.inference.wheels import as_lines, needed
from podium.ledger.attempts import CODE, Attempt

SPEC = "competition.toml"
HEAD = ("recipe.toml", "change.toml", "why.md", "COMPLETE")
OF_A_RUN = ("run.toml", "scores.parquet", "COMPLETE")

SCRIPT = '''"""Predict the test images of a data folder, without network.

    python predict.py DATA [--out submission.csv] [--time-limit 8h]
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "code"))

from podium.inference.offline import main  # noqa: E402

if __name__ == "__main__":
    main(HERE, sys.argv[1:])
'''

README = """# {name}: attempt {id}, {attempt}

Everything that predicts the test images of {name} on a machine without network.

| | |
|---|---|
| `predict.py`, `predict.ipynb` | the same: `python predict.py DATA --out submission.csv` |
| `attempts/` | {models} and what they were trained with |
| `code/` | podium {version}, as source: it needs no installation |
| `wheels.txt` | the packages it needs, with the versions that it was made with |
| `competition.toml` | how images are found below DATA, and what the file looks like |

Where packages are missing, bring them along: `pip download --no-deps -r wheels.txt -d wheels` where there is a network,
then `pip install --no-index --no-deps --find-links wheels -r wheels.txt` where there is none.

`--time-limit 8h` leaves out views and models until the prediction fits, and says which.
"""


def write_bundle(attempt: Attempt, competition: Competition, root: Path, bag: Bag, folder: Path) -> Path:
    """Write the bundle of an attempt's models.

    Args:
        root: The workspace's folder.
        folder: Gets it, finished or not at all.
    """
    with building(folder) as temporary:
        shutil.copyfile(root / SPEC, temporary / SPEC)
        _own_files(competition, root, temporary)
        _copy_attempt(attempt, bag, temporary / "attempts" / attempt.folder.name)
        _copy_code(temporary / "code" / "podium")
        write_atomic(temporary / "predict.py", SCRIPT)
        write_atomic(temporary / "predict.ipynb", notebook())
        write_atomic(temporary / "wheels.txt", "".join(f"{line}\n" for line in as_lines(needed())))
        told = {"name": competition.name, "id": attempt.id, "attempt": attempt.name, "models": bag.told()}
        write_atomic(temporary / "README.md", README.format(**told, version=importlib.metadata.version("podium")))
    return folder


def size_of(folder: Path) -> str:
    """Of all files in it."""
    return size_text(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))


def _copy_attempt(attempt: Attempt, bag: Bag, target: Path) -> None:
    """What predicts, and no more: neither out-of-fold predictions nor checkpoints to train on from."""
    target.mkdir(parents=True)
    if (attempt.folder / CODE).is_dir():
        shutil.copytree(attempt.folder / CODE, target / CODE)
    for run in bag.runs:
        (target / run.folder.name).mkdir()
        for name in OF_A_RUN:
            shutil.copyfile(run.folder / name, target / run.folder.name / name)
    for file in bag.files:
        share_file(file, target / file.parent.name / file.name)
    for name in HEAD:
        if (attempt.folder / name).exists():
            shutil.copyfile(attempt.folder / name, target / name)


def _copy_code(target: Path) -> None:
    """podium itself."""
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(Path(__file__).parents[1], target, ignore=ignored)


def _own_files(competition: Competition, root: Path, target: Path) -> None:
    """A metric in a Python file of the user's."""
    file = competition.metric.partition(":")[0]
    if file.endswith(".py") and (root / file).is_file():
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, target / file)


def notebook() -> str:
    """A notebook of two cells: packages, and the prediction."""
    cells = [
        "# Packages that this machine lacks, from a folder of wheels beside this notebook:\n"
        "# !pip install --no-index --no-deps --find-links wheels -r wheels.txt",
        "import sys\nfrom pathlib import Path\n\n"
        'BUNDLE = Path(".")  # where this bundle lies, for instance /kaggle/input/my-bundle\n'
        'DATA = Path("data")  # the competition\'s data\n\n'
        'sys.path.insert(0, str((BUNDLE / "code").resolve()))\n'
        "from podium.inference.offline import predict_bundle\n\n"
        'predict_bundle(BUNDLE, DATA, Path("submission.csv"), time_limit=None)',
    ]
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell{n}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": cell.splitlines(keepends=True),
            }
            for n, cell in enumerate(cells)
        ],
    }
    return json.dumps(content, indent=1) + "\n"
