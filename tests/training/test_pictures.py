"""The pictures of a fold run: each sample of a line there, its name right under it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from podium.training.pictures import TEXT, TILE, _tile, _write


def test_a_tile_is_as_high_as_its_picture_and_one_line_of_text() -> None:
    wide, tall = (_tile(np.zeros((*shape, 3), np.uint8), None, "a") for shape in ((100, 200), (200, 100)))
    assert wide.shape == (TILE // 2 + TEXT, TILE + 4, 3)
    assert tall.shape == (TILE + TEXT, TILE + 4, 3)


def test_lines_are_as_high_as_their_highest_tile(tmp_path: Path) -> None:
    wide, tall = (_tile(np.zeros((*shape, 3), np.uint8), None, "a") for shape in ((100, 200), (200, 100)))
    _write(tmp_path / "a.jpg", [[wide, wide], [wide, tall], [wide]])
    sheet = cv2.imread(str(tmp_path / "a.jpg"))
    assert sheet.shape == (2 * len(wide) + len(tall), 2 * (TILE + 4), 3)
    assert (sheet[-5:, -50:] > 250).all()  # nothing beside the lonely tile
