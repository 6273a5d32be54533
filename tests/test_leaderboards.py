"""The replay of real boards: its statistics, and that docs/leaderboards.md is what it prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.leaderboards import Board, page, read_boards, spearman
from scipy.stats import spearmanr

DOCS = Path(__file__).parent.parent / "docs"


def test_rank_correlation_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 9, 40).astype(float)
    b = a + rng.integers(0, 9, 40)
    rho, low, high = spearman(a, b)
    assert rho == pytest.approx(spearmanr(a, b).statistic)
    assert low < rho < high


def test_a_board_by_hand(tmp_path):
    rows = ["team,private_rank,private_score,public_rank,public_score,entries"]
    rows += [f"t{n},{n},0.{90 - n},{13 - n if n <= 12 else n},0.5,1" for n in range(1, 15)]
    (tmp_path / "siim-acr-x.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "competitions_meta.csv").write_text("Name,\tPrize,  Metric\nsiim-acr-x,\t0, Dice\n")
    (board,) = read_boards(tmp_path)
    assert isinstance(board, Board)
    line = board.row()
    assert line[:3] == ["siim-acr-x*", "Dice", "14"]
    assert line[6] == "8 of 10"  # places 3 to 10 of 12 that are turned round
    assert line[8:] == ["12", "12"]


def test_the_page_is_what_the_real_boards_give(real_data):
    assert page(read_boards(real_data / "kaggle_leaderboards")) == (DOCS / "leaderboards.md").read_text()
