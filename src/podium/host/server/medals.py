"""Who gets a medal, by Kaggle's bands."""

from __future__ import annotations

from typing import Literal

Medal = Literal["gold", "silver", "bronze", ""]


def bands(teams: int) -> tuple[int, int, int]:
    """The last place of gold, silver and bronze among so many teams; a share that is no whole number rounds up.

    Source: Kaggle's progression system: up to 99 teams 10 %, 20 %, 40 %; up to 249 ten teams, 20 %, 40 %; up to 999
    10 + 0.2 %, 50, 100; above 10 + 0.2 %, 5 %, 10 % (one more gold for every full 500 teams).
    """
    gold = 10 + teams // 500
    if teams < 100:
        return _share(teams, 10), _share(teams, 20), _share(teams, 40)
    if teams < 250:
        return 10, _share(teams, 20), _share(teams, 40)
    return (gold, 50, 100) if teams < 1000 else (gold, _share(teams, 5), _share(teams, 10))


def medal(place: int, teams: int) -> Medal:
    """Of a place, from 1."""
    gold, silver, bronze = bands(teams)
    return "gold" if place <= gold else "silver" if place <= silver else "bronze" if place <= bronze else ""


def _share(teams: int, percent: int) -> int:
    return -(-teams * percent // 100)
