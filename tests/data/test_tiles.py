"""Sheets of pictures: each sample of a line there, its name right under it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from podium.data.tiles import TEXT, TILE, one_picture, tile, write_tiles


@pytest.mark.parametrize("lines", [1, 3])
def test_a_tile_is_as_high_as_its_picture_and_its_lines_of_text(lines: int) -> None:
    wide, tall = (tile(np.zeros((*shape, 3), np.uint8), None, *"abc"[:lines]) for shape in ((100, 200), (200, 100)))
    assert wide.shape == (TILE // 2 + lines * TEXT, TILE + 4, 3)
    assert tall.shape == (TILE + lines * TEXT, TILE + 4, 3)
    assert all((wide[TILE // 2 + n * TEXT :][:TEXT] < 128).any() for n in range(lines))


def test_lines_are_as_high_as_their_highest_tile(tmp_path: Path) -> None:
    wide, tall = (tile(np.zeros((*shape, 3), np.uint8), None, "a") for shape in ((100, 200), (200, 100)))
    write_tiles(tmp_path / "a.jpg", [[wide, wide], [wide, tall], [wide]])
    sheet = cv2.imread(str(tmp_path / "a.jpg"))
    assert sheet.shape == (2 * len(wide) + len(tall), 2 * (TILE + 4), 3)
    assert (sheet[-5:, -50:] > 250).all()  # nothing beside the lonely tile


def test_no_label_becomes_the_background() -> None:
    assert one_picture(np.array([[0, 1, 254, 255, 510, 511]], np.int32)).tolist() == [[0, 1, 254, 1, 1, 1]]
    planes = np.array([[[1, 0, 1]], [[0, 0, 1]]], bool)
    assert one_picture(planes).tolist() == [[1, 0, 3]]
