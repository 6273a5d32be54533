"""`python -m benchmarks.leaderboards [FOLDER]`: how far public and private rank agree on real boards, as a page.

The folder (default: kaggle_leaderboards of PODIUM_REAL_DATA) holds a CSV a competition with the columns team,
private_rank, private_score, public_rank, public_score, entries; and competitions_meta.csv with Name and Metric.
"""

from __future__ import annotations

import argparse
import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
TWO_STAGES = ("2021-rsna-", "siim-acr", "data-science-bowl-2017")
"""Of these the two scores are of different test sets."""
INTRO = """# How far the public leaderboard foretells the private one

<!-- made by `python -m benchmarks.leaderboards` -->

Final boards of {n} medical-imaging competitions on Kaggle, {teams:,} teams. It is made by

```console
$ python -m benchmarks.leaderboards > docs/leaderboards.md
```

from boards published by Varoquaux and Cheplygina (github.com/GaelVaroquaux/ml_med_imaging_failures). Only teams that
are on both pages count, and ranks are among these. On the two large boards of one stage the ranks of all teams agree
nearly perfectly (0.97), those of the best fifty much less (0.75 and 0.74): at the top, places are close together.

"""
HEADS = ("competition", "metric", "teams", "rank correlation", "95 %", "of the top 50", "public top 10 kept",
         "median shift, top 50", "winner's public rank", "public leader ends at")  # fmt: skip
OUTRO = """
*Rank correlation* is Spearman's, of all teams, with Fisher's interval; *of the top 50*, of those that end among the
first 50. *Public top 10 kept*: how many of the ten best public teams are among the ten best private ones.
*Median shift*: by how many places teams move that are among the first 50 in public. Competitions marked with * had two
stages: public and private scores are of different test sets, and only teams of the second stage are listed.

What to make of it: the public score of two submissions tells little where they lie close together, and a best public
score is chosen for its luck. [Final picks](how-to/standings.md#final-picks) weigh it against validation by what each is
worth.
"""


@dataclass(frozen=True)
class Board:
    """One competition's final board.

    Attributes:
        public, private: Ranks among the teams that have both, from 1.
    """

    name: str
    metric: str
    public: Floats
    private: Floats

    @classmethod
    def read(cls, path: Path, metric: str) -> Self:
        """From its CSV file."""
        with open(path, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        ranks = (np.array([float(row[key]) for row in rows]) for key in ("public_rank", "private_rank"))
        return cls(path.stem, metric, *(_ranked(r) for r in ranks))

    @property
    def two_stages(self) -> bool:
        """Whether public and private scores are of different test sets."""
        return self.name.startswith(TWO_STAGES)

    def row(self) -> list[str]:
        """Its line of the table."""
        r, low, high = spearman(self.public, self.private)
        top = self.private <= 50
        of_top = spearman(_ranked(self.public[top]), _ranked(self.private[top]))[0] if top.sum() > 5 else float("nan")
        kept = int(((self.public <= 10) & (self.private <= 10)).sum())
        first = self.public <= 50
        shift = float(np.median(np.abs(self.public - self.private)[first]))
        winner, leader = int(self.public[self.private.argmin()]), int(self.private[self.public.argmin()])
        name = self.name + "*" * self.two_stages
        told = "-" if np.isnan(of_top) else f"{of_top:.2f}"
        return [name, self.metric or "-", str(len(self.public)), f"{r:.2f}", f"{low:.2f} to {high:.2f}", told,
                f"{kept} of {min(10, len(self.public))}", f"{shift:.0f}", str(winner), str(leader)]  # fmt: skip


def spearman(a: Floats, b: Floats) -> tuple[float, float, float]:
    """(Spearman's rho, lower and upper 95 % bound by Fisher's transform with Bonett and Wright's error)."""
    rho = float(np.corrcoef(_ranked(a), _ranked(b))[0, 1])
    half = 1.959964 * np.sqrt((1 + rho**2 / 2) / max(1, len(a) - 3))
    z = np.arctanh(np.clip(rho, -0.999999, 0.999999))
    return rho, float(np.tanh(z - half)), float(np.tanh(z + half))


def _ranked(values: Floats) -> Floats:
    """Ranks from 1; equals share the mean of theirs."""
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.arange(1, len(values) + 1)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(inverse, ranks) / counts)[inverse], np.float64)


def read_boards(folder: Path) -> list[Board]:
    """Every board of a folder, the largest first."""
    with open(folder / "competitions_meta.csv", newline="", encoding="utf-8") as f:
        table = [[cell.strip() for cell in row] for row in csv.reader(f, skipinitialspace=True)]
    place = table[0].index("Metric")
    metrics = {row[0]: row[place] for row in table[1:] if len(row) > place}
    files = sorted(p for p in folder.glob("*.csv") if p.name != "competitions_meta.csv")
    boards = [Board.read(path, metrics.get(path.stem, "")) for path in files]
    return sorted(boards, key=lambda b: -len(b.public))


def page(boards: list[Board]) -> str:
    """The page in Markdown."""
    lines = [HEADS, ["---"] * len(HEADS), *(b.row() for b in boards)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return INTRO.format(n=len(boards), teams=sum(len(b.public) for b in boards)) + table + "\n" + OUTRO


def main() -> None:
    """Print the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.leaderboards", description=__doc__)
    default = Path(os.environ.get("PODIUM_REAL_DATA", ".")) / "kaggle_leaderboards"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    print(page(read_boards(parser.parse_args().folder)), end="")


if __name__ == "__main__":
    main()
