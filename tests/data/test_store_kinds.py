"""Every kind of item and size: what goes in comes out, whole, by bands and by crops; what changed nothing is copied."""

from __future__ import annotations

import json
import mmap
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.data import cache, reuse
from podium.data import store as store_module
from podium.data.cache import NotBuilt, StageLog, looking
from podium.data.items import ALIGN
from podium.data.store import Item, Store, build_store
from podium.errors import DataError
from podium.files import is_complete

KINDS = ["rgb", "grey", "rgba", "grey16", "rgb16", "classes", "instances", "mask", "masks"]


def make(kind, h, w, seed=0):
    rng = np.random.default_rng(seed)
    shape = {"rgb": (h, w, 3), "grey": (h, w, 1), "rgba": (h, w, 4), "grey16": (h, w, 1), "rgb16": (h, w, 3)}
    shape |= {"masks": (1 + seed % 5, h, w)}
    if kind in ("mask", "masks"):
        return rng.random(shape.get(kind, (h, w))) < 0.5
    wide = kind in ("grey16", "rgb16", "instances")
    return rng.integers(0, 65536 if wide else 256, shape.get(kind, (h, w)), dtype=np.uint16 if wide else np.uint8)


def whole(store, i, kind):
    if kind in ("mask", "masks"):
        return store.mask(i)
    return store.labels(i) if kind in ("classes", "instances") else store.image(i)


def window(array, y, x, h, w):
    """The same crop of an array; height and width are the last axes of a stack, the first of all else."""
    return array[y : y + h, x : x + w] if array.dtype != np.bool_ or array.ndim == 2 else array[:, y : y + h, x : x + w]


ITEMS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=8)


@given(ITEMS, st.data())
@settings(deadline=None)
def test_every_kind_comes_out_as_it_went_in_whole_and_in_parts(tmp_path_factory, items, data):
    ids = [str(n) for n in range(len(items))]
    arrays = [make(*spec, seed=n) for n, spec in enumerate(items)]
    folder = tmp_path_factory.mktemp("kinds") / "s"
    store = build_store(folder, ids, lambda id: Item(id, arrays[int(id)], {}), what="test")
    assert (store.index["offset"] % ALIGN == 0).all()
    for i, ((kind, height, width), array) in enumerate(zip(items, arrays, strict=True)):
        assert store.shape(i) == (height, width)
        got = whole(store, i, kind)
        assert got.dtype == (np.uint8 if array.dtype == np.bool_ else array.dtype)
        np.testing.assert_array_equal(got, array)
        y, x = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
        h, w = data.draw(st.integers(0, height - y)), data.draw(st.integers(0, width - x))
        np.testing.assert_array_equal(store.crop(i, y, x, h, w), window(array, y, x, h, w))
        np.testing.assert_array_equal(store.band(i, y, y + h), window(array, y, 0, h, width))
        assert store.row[ids[i]] == i


@pytest.fixture
def three(tmp_path):
    arrays = {"image": make("rgb", 9, 13), "mask": make("mask", 9, 13), "map": make("instances", 9, 13)}
    items = {**{k: Item(k, a, {}) for k, a in arrays.items()}, "none": Item("none", None, {}, "is broken")}
    items["file"] = Item("file", np.arange(50, dtype=np.uint8), {"height": 4, "width": 5})
    return build_store(tmp_path / "s", list(items), items.__getitem__, what="test")


@pytest.mark.parametrize("area", [(-1, 0, 2, 2), (0, -1, 2, 2), (8, 0, 2, 1), (0, 12, 1, 2), (0, 0, -1, 2)])
def test_a_crop_beyond_the_edge_is_an_error_not_a_smaller_crop(three, area):
    for i in range(3):
        with pytest.raises(IndexError, match=r"does not lie within item .* \(9, 13\)"):
            three.crop(i, *area)


@pytest.mark.parametrize("rows", [(-1, 3), (3, 10), (5, 4)])
def test_a_band_beyond_the_edge_is_an_error(three, rows):
    with pytest.raises(IndexError):
        three.band(0, *rows)


def test_an_item_of_another_kind_is_an_error_that_says_which(three):
    for read, i in ((three.mask, 0), (three.mask, 2), (three.image, 1), (three.labels, 0), (three.image, 4)):
        with pytest.raises(TypeError, match="kind"):
            read(i) if i != 4 else three.crop(4, 0, 0, 1, 1)
    np.testing.assert_array_equal(three.labels(1), three.mask(1))
    assert three.image(2).shape == (9, 13, 1)
    assert three.raw(4).tolist() == list(range(50))
    assert three.shape(4) == (4, 5)


def test_an_item_that_could_not_be_read_is_empty(three):
    assert three.shape(3) == (0, 0)
    assert three.mask(3).shape == three.labels(3).shape == (0, 0)
    assert three.image(3).size == three.raw(3).size == 0


@pytest.mark.parametrize("array", [np.zeros((2, 2), np.int32), np.zeros((2, 2, 3), np.float32), np.zeros(3, np.uint16)])
def test_what_no_kind_holds_is_refused(tmp_path, array):
    with pytest.raises(TypeError, match=r"cannot keep .* \(item 'a'\)"):
        build_store(tmp_path / "s", ["a"], lambda id: Item(id, array, {}), what="test")


def test_only_the_rows_of_a_crop_are_asked_for_and_only_once(tmp_path, monkeypatch):
    big = make("rgb", 400, 300)
    store = build_store(tmp_path / "s", ["a"], lambda id: Item(id, big, {}), what="test")
    asked = []

    class Map:
        def madvise(self, advice, start, length):
            asked.append((advice, start, length))

    store._map = Map()
    for _ in range(2):
        store.crop(0, 100, 20, 50, 30)
    ((advice, start, length),) = asked
    assert advice == mmap.MADV_WILLNEED
    assert start % mmap.PAGESIZE == 0
    assert 0 <= 100 * 900 - start < mmap.PAGESIZE
    assert start + length == 150 * 900
    store._warms_up = False  # larger than memory: what was read may be gone again
    store.crop(0, 100, 20, 50, 30)
    assert len(asked) == 2


def test_opening_says_when_it_was_last_used_and_looking_does_not(three):
    marker = three.folder / "COMPLETE"
    os.utime(marker, (1, 1))
    Store(three.folder, touch=False)
    assert marker.stat().st_mtime == 1
    Store(three.folder)
    assert marker.stat().st_mtime > 1e9


def test_an_index_of_another_version_is_told(three):
    three.index.drop("hash").write_parquet(three.folder / "index.parquet")
    with pytest.raises(DataError, match="another version"):
        Store(three.folder)


# ---------------------------------------------------------------------- reuse


class Maker:
    """A stage of images made from numbers, that counts what it decodes."""

    def __init__(self, cache):
        self.cache, self.calls = cache, []

    def build(self, content, size=8, key=None, stage="train images"):
        def produce(id):
            self.calls.append(id)
            value = content[id]
            facts = {"mode": f"m{value}", "content": value}
            return (
                Item(id, None, facts, "is broken")
                if value == "bad"
                else Item(id, make("rgb", size, 9, hash(value) % 99), facts)
            )

        self.calls.clear()
        settings = {"size": [size, 9], "format": 1}
        key = key or cache.stage_key(stage, content.items(), settings)
        folder = self.cache / f"{stage.replace(' ', '_')}-{key}"
        return build_store(folder, list(content), produce, what=stage, content=content, settings=settings)


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path)


HUNDRED = {f"i{n}": f"c{n}" for n in range(100)}


def same(a, b, ids):
    for id in ids:
        np.testing.assert_array_equal(a.image(a.row[id]), b.image(b.row[id]))


def test_one_changed_image_decodes_one_image(maker):
    before = maker.build(HUNDRED)
    assert str(before.built) == ""
    after = maker.build({**HUNDRED, "i7": "other"})
    assert maker.calls == ["i7"]
    assert str(after.built) == "99 copied, 1 decoded"
    same(before, after, [i for i in HUNDRED if i != "i7"])
    assert after.index["mode"][7] == "mother"
    assert after.ids == before.ids


def test_what_is_copied_is_what_would_be_made(maker, tmp_path):
    maker.build(HUNDRED)
    changed = {**dict(list(HUNDRED.items())[::-2]), "new": "c3"}
    copied, made = maker.build(changed), Maker(tmp_path / "elsewhere").build(changed)
    assert (copied.built.copied, copied.built.made) == (51, 0)
    assert {p.name: p.read_bytes() for p in copied.folder.iterdir()} == {
        p.name: p.read_bytes() for p in made.folder.iterdir()
    }


def test_a_renamed_image_is_copied_under_its_new_name(maker):
    maker.build({"a": "1"})
    store = maker.build({"b": "1"})
    assert maker.calls == []
    assert store.ids == ["b"]


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 6).map(str)),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 6).map(str)),
)
@settings(deadline=None, max_examples=30)
def test_exactly_what_is_new_is_decoded(tmp_path_factory, one, two):
    maker = Maker(tmp_path_factory.mktemp("reuse"))
    maker.build(one, key="one")
    store = maker.build(two, key="two")
    assert sorted(maker.calls) == sorted(id for id in two if two[id] not in one.values())
    assert store.built.copied == len(two) - len(maker.calls)


def test_other_settings_and_other_stages_give_nothing(maker):
    maker.build(HUNDRED)
    maker.build(HUNDRED, size=10)
    assert len(maker.calls) == 100
    maker.build(HUNDRED, stage="test images")
    assert len(maker.calls) == 100


def test_errors_are_looked_at_again(maker):
    maker.build({"a": "bad", "b": "1"})
    assert maker.build({"a": "bad", "b": "1", "c": "2"}).errors == {"a": "is broken"}
    assert sorted(maker.calls) == ["a", "c"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: flip(f / "pixels.bin", 500),
        lambda f: (f / "pixels.bin").write_bytes(b""),
        lambda f: (f / "pixels.bin").unlink(),
        lambda f: (f / "index.parquet").write_bytes(b"PAR1"),
        lambda f: (f / "meta.json").write_bytes(b"{"),
        lambda f: (f / "COMPLETE").unlink(),
    ],
    ids=["a byte", "empty", "no pixels", "index", "meta", "unfinished"],
)
def test_nothing_damaged_is_copied(maker, tmp_path, damage):
    damage(maker.build(HUNDRED).folder)
    changed = {**HUNDRED, "i7": "other"}
    store = maker.build(changed)
    assert "i7" in maker.calls
    assert len(maker.calls) in (2, 100)
    same(store, Maker(tmp_path / "elsewhere").build(changed), changed)


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_stopped_build_says_what_it_kept(maker, monkeypatch):
    monkeypatch.setattr("podium.data.build.COMMIT_BYTES", 1)
    maker.build({"a": "1"})
    writer_rows = {"a": "1", "b": "2", "c": "3"}

    def stop(id):
        raise RuntimeError

    folder = maker.cache / "train_images-x"
    settings_of = {"size": [8, 9], "format": 1}
    with pytest.raises(RuntimeError):
        build_store(folder, list(writer_rows), stop, what="train images", content=writer_rows, settings=settings_of)
    assert (
        json.loads((folder.with_name("train_images-x.partial") / "meta.json").read_bytes())["stage"] == "train images"
    )
    store = maker.build(writer_rows, key="x")
    assert is_complete(store.folder)
    assert str(store.built) in ("1 kept, 2 decoded", "1 copied, 2 decoded")


# ---------------------------------------------------------------------- looking


def test_who_only_looks_builds_nothing_and_writes_nothing(maker, tmp_path):
    there = maker.build(HUNDRED)
    os.utime(there.folder / "COMPLETE", (1, 1))
    with looking() as found:
        assert maker.build(HUNDRED).ids == there.ids
        with pytest.raises(NotBuilt, match="no train images yet"):
            maker.build({"a": "1"})
        assert StageLog(tmp_path / "log.json").why("s", {}, {}) == ""
    assert maker.calls == []
    assert found.seen == {there.folder}
    assert found.missing == {("train images", reuse.settings_digest("train images", {"size": [8, 9], "format": 1}))}
    assert (there.folder / "COMPLETE").stat().st_mtime == 1
    assert sorted(os.listdir(tmp_path)) == [there.folder.name]
    maker.build({"a": "1"})
    assert store_module.is_complete(there.folder)
