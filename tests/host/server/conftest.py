"""A small host."""

from __future__ import annotations

import pytest

from hosting import House, serving, wait_graded


@pytest.fixture
def house(tmp_path):
    return House(tmp_path / "house")


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A host that is served for all tests of a file: alice and bob have submitted."""
    house = House(tmp_path_factory.mktemp("live") / "house", rules={"daily_limit": 500}, registration="open")
    house.user("eve")
    house.user("olga", organiser=True)
    house.submit("alice", 0.1, message="of alice")
    house.submit("bob", 0.2, message="of bob")
    with serving(house.host) as port:
        wait_graded(house)
        house.port = port
        yield house
