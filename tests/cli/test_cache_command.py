"""`podium cache`: what is there, what is stale, what is damaged; nothing that is read is ever removed."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

import pytest
from running import fails, ok, podium

from podium.data.inventory import Stock, in_words, prune, verify
from podium.workspace import Workspace


def cache(space: Path) -> Path:
    return space / ".podium" / "cache"


def states(space: Path) -> dict[str, list[str]]:
    """{stage: states of its stores}, by the Python API."""
    found: dict[str, list[str]] = {}
    for store in stock(space).stores:
        found.setdefault(store.stage, []).append(store.state)
    return {stage: sorted(s) for stage, s in found.items()}


def stock(space: Path) -> Stock:
    return Workspace.open(space).cache()


def prepare(space: Path, *changes: str) -> None:
    at = Workspace.open(space)
    at.prepare(at.recipe().with_overrides(list(changes)))


def only_the_baseline(space: Path) -> None:
    for path in (space / "recipes").glob("*.toml"):
        if path.stem != "baseline":
            path.unlink()


@pytest.fixture
def prepared(workspace: Path) -> Path:
    """A workspace whose only recipe is prepared."""
    only_the_baseline(workspace)
    prepare(workspace)
    return workspace


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def pixels(space: Path, stage: str) -> Path:
    (found,) = cache(space).glob(f"{stage}-*/pixels.bin")
    return found


def test_the_commands_one_after_another(workspace: Path) -> None:
    space = workspace
    ok(space, "prepare")
    shown = ok(space, "cache")
    assert "train images" in shown.out
    assert "free on the disk" in shown.out
    assert "next: podium cache" in shown.err
    tree = ok(space, "cache", "--json").json
    assert {s["stage"] for s in tree["stores"]} >= {"train images", "train targets", "test images"}
    assert tree["bytes"] == sum(s["bytes"] for s in tree["stores"])
    assert "items are whole" in ok(space, "cache", "--verify").out

    flip(pixels(space, "train_images"), 5)
    folder = pixels(space, "train_images").parent
    fails(space, "cache", "--verify", says=["train images", "not those that were stored", folder, "podium prepare"])
    damaged = podium(space, "cache", "--verify", "--json")
    assert damaged.code == 1
    (item,) = damaged.json["damaged"]
    assert item["stage"] == "train images"

    stopped = cache(space) / "train_images-x.partial"
    stopped.mkdir()
    (stopped / "pixels.bin").write_bytes(b"x" * 3000)
    assert "would remove train_images-x.partial" in ok(space, "cache", "--prune", "--dry-run").out
    assert stopped.exists()
    gone = ok(space, "cache", "--prune", "--json").json
    assert (len(gone["removed"]), gone["bytes"]) == (1, 3000)
    assert not stopped.exists()
    assert "nothing to remove" in ok(space, "cache", "--prune").out
    assert podium(space, "cache", "--dry-run").code == 2


def test_a_workspace_without_a_cache(workspace: Path) -> None:
    shutil.rmtree(cache(workspace), ignore_errors=True)
    found = stock(workspace)
    assert (found.stores, found.bytes) == ([], 0)
    assert not [p for p in cache(workspace).glob("*") if p.is_dir()]
    assert found.free > 0


def test_what_the_recipes_read_is_current_and_stays(prepared: Path) -> None:
    assert {s for states_ in states(prepared).values() for s in states_} == {"current"}
    before = sorted(os.listdir(cache(prepared)))
    assert prune(stock(prepared)) == []
    assert sorted(os.listdir(cache(prepared))) == before


def test_a_size_that_no_recipe_has_is_stale_and_one_that_an_attempt_has_is_not(prepared: Path) -> None:
    prepare(prepared, "input.size=[16,16]")
    assert states(prepared)["train images"] == ["current", "stale"]
    (prepared / "recipes" / "small.toml").write_text("[input]\nsize = [16, 16]\n")
    assert states(prepared)["train images"] == ["current", "current"]
    (prepared / "recipes" / "small.toml").unlink()
    gone = prune(stock(prepared))
    assert {s.state for s in gone} == {"stale"}
    assert {s for states_ in states(prepared).values() for s in states_} == {"current"}
    Workspace.open(prepared).prepare()


def test_what_the_data_left_behind_is_stale_once_prepared_and_not_before(prepared: Path, data: Path) -> None:
    image = next((prepared / "data").resolve().glob("train/*.jpg"), None) or next((prepared / "data").rglob("*.jpg"))
    own = prepared / "own-data"
    shutil.copytree((prepared / "data").resolve(), own)
    (prepared / "data").unlink() if (prepared / "data").is_symlink() else shutil.rmtree(prepared / "data")
    own.rename(prepared / "data")
    mine = next((prepared / "data").rglob(image.name))
    other = next(p for p in (prepared / "data").rglob("*.jpg") if p.parent == mine.parent and p != mine)
    mine.write_bytes(other.read_bytes())
    before = states(prepared)
    assert all("stale" not in s for s in before.values()), "the next build copies from it"
    prepare(prepared)
    assert "stale" in {s for states_ in states(prepared).values() for s in states_}
    prune(stock(prepared))
    assert {s for states_ in states(prepared).values() for s in states_} == {"current"}


def test_nothing_is_stale_while_the_data_is_away(prepared: Path) -> None:
    prepare(prepared, "input.size=[16,16]")
    (prepared / "data").rename(prepared / "away")
    found = stock(prepared)
    assert "data" in found.unsure
    assert found.removable == []
    (prepared / "away").rename(prepared / "data")
    assert stock(prepared).removable


def test_nothing_is_stale_while_an_attempt_cannot_be_read(prepared: Path) -> None:
    prepare(prepared, "input.size=[16,16]")
    broken = prepared / "attempts" / "0000-baseline"
    broken.mkdir(parents=True)
    (broken / "recipe.toml").write_text("size = \n")
    found = stock(prepared)
    assert "0000-baseline" in found.unsure
    assert found.removable == []


def test_a_build_at_work_keeps_its_files(prepared: Path) -> None:
    partial = cache(prepared) / "train_images-y.partial"
    partial.mkdir()
    lock = cache(prepared) / "train_images-y.lock"
    with open(lock, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert prune(stock(prepared)) == []
        assert partial.exists()
    assert [s.folder for s in prune(stock(prepared))] == [partial]
    assert not partial.exists()
    assert not lock.exists()


def test_a_store_that_cannot_be_opened_is_damaged_and_removable(prepared: Path) -> None:
    path = pixels(prepared, "train_images")
    os.truncate(path, 10)
    found = stock(prepared)
    assert [(s.stage, s.state) for s in found.removable] == [("train images", "damaged")]
    checked, (damage,) = verify(found)
    assert checked > 0
    assert (damage.stage, damage.id) == ("train images", None)
    assert "cut off" in damage.reason
    prune(found)
    prepare(prepared)
    assert verify(stock(prepared))[1] == []


def test_verify_names_each_damaged_item_in_every_store(prepared: Path) -> None:
    for stage in ("train_images", "train_targets"):
        flip(pixels(prepared, stage), 3)
        flip(pixels(prepared, stage), -9)
    damage = verify(stock(prepared))[1]
    assert sorted(d.stage for d in damage) == ["train images"] * 2 + ["train targets"] * 2
    assert all(d.id for d in damage)


def test_settings_in_words() -> None:
    assert in_words({"size": [320, 480], "format": 2, "grey": None}) == "size 480x320"
    assert in_words({"size": None}) == "as it is"
    assert in_words({"size": None, "clahe": [2, 8], "keep_aspect": True}) == "clahe [2, 8], keep_aspect"
    assert in_words(None) == "-"
