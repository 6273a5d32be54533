"""`podium folds`: the table, the check of a teammate's list, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

from running import fails, ok, podium

from podium.config import read_toml, write_toml


def rows(path: Path) -> list[list[str]]:
    return [line.split(",") for line in path.read_text().splitlines()[1:]]


def save(path: Path, lines: list[list[str]]) -> None:
    path.write_text("\n".join(["id,group,fold", *(",".join(line) for line in lines), ""]))


def test_the_folds_to_come_then_the_folds_there_are(workspace: Path) -> None:
    before = ok(workspace, "folds")
    assert before.out.split()[:3] == ["fold", "samples", "groups"]
    assert "these folds would be made" in before.out
    assert "no leak found" in before.out
    assert not (workspace / "folds.csv").exists()
    assert "next: podium prepare" in before.err
    ok(workspace, "prepare", "recipe=smoke")
    after = ok(workspace, "folds", "--json").json
    assert [r["fold"] for r in after["rows"]] == list(range(len(after["rows"])))
    assert sum(r["samples"] for r in after["rows"]) == len(rows(workspace / "folds.csv"))
    assert after["leaks"] == []
    assert not after["about"]["edited"]
    assert after["about"]["why"] in before.out


def test_a_teammates_list_that_leaks_is_refused_with_all_findings(workspace: Path) -> None:
    ok(workspace, "prepare", "recipe=smoke")
    lines = rows(workspace / "folds.csv")
    assert ok(workspace, "folds", "--check", "folds.csv").out.endswith("no leak found\n")
    torn = [[id, group, str(n % 2)] for n, (id, group, _) in enumerate(lines)]
    save(workspace / "theirs.csv", [*torn[:-1], ["stranger", "g", "1"]])
    message = fails(workspace, "folds", "--check", "theirs.csv", says=["theirs.csv", "the folds leak", "torn groups"])
    assert "is in fold 0" in message
    ran = podium(workspace, "folds", "--check", "theirs.csv", "--json")
    assert ran.code == 1
    found = json.loads(ran.out)
    assert found["leaks"][0].startswith("3 torn groups (6 samples)")
    assert [n.split(":")[0] for n in found["notes"][:2]] == [
        "1 sample without a fold",
        "1 id that no training sample has",
    ]
    assert ran.err.startswith("error: ")


def test_lists_and_settings_that_will_not_do(workspace: Path) -> None:
    fails(workspace, "folds", "--check", "gone.csv", says=["gone.csv", "no such file"], remedy=False)
    save(workspace / "theirs.csv", [["a", "g", "one"]])
    fails(workspace, "folds", "--check", "theirs.csv", says=["theirs.csv", "line 2", "'one'"])
    for settings, words in [
        ({"strategy": "binned", "by": "depth"}, "nothing is called 'depth'"),
        ({"strategy": "binned", "by": "gone.csv:depth"}, "no such file"),
        ({"strategy": "official", "by": "area"}, "no official split"),
        ({"strategy": "file", "file": "theirs.csv"}, "line 2"),
    ]:
        _set(workspace / "competition.toml", **settings)
        fails(workspace, "folds", says=[words], remedy=False)


def test_a_list_of_ones_own(workspace: Path) -> None:
    ok(workspace, "prepare", "recipe=smoke")
    lines = rows(workspace / "folds.csv")
    k = max(int(f) for *_, f in lines) + 1
    mine = [[id, group, str((int(fold) + 1) % k)] for id, group, fold in lines]
    save(workspace / "mine.csv", mine)
    (workspace / "folds.csv").unlink()
    _set(workspace / "competition.toml", strategy="file", file="mine.csv")
    ok(workspace, "prepare", "recipe=smoke")
    assert [r[2] for r in rows(workspace / "folds.csv")] == [r[2] for r in mine]
    assert 'strategy = "file"' in (workspace / "folds.toml").read_text()


def _set(config: Path, **folds: str) -> None:
    """Set keys of [folds] in a competition.toml."""
    tree = read_toml(config)
    write_toml(config, tree | {"folds": tree.get("folds", {}) | folds})
