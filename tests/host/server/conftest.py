"""A small host."""

from __future__ import annotations

import pytest

from hosting import House


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "house")
