"""Where images are read from: the choice, its reason, and packed JPEG files that read as the store does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.data.memory import free_memory
from podium.data.samples import Sample
from podium.data.sources import choose_source, jpeg_share, open_images, pack_jpegs
from podium.data.store import Item, build_store
from podium.formats.images import read_image

GB = 2**30


@pytest.mark.parametrize(
    ("memory", "device", "share", "kind", "why"),
    [
        (64 * GB, 80 * GB, 0.1, "device", "10.0 GB fit into 80.0 GB of free device memory"),
        (64 * GB, 19 * GB, 0.1, "memmap", "10.0 GB fit into 64.0 GB of free memory"),
        (64 * GB, None, None, "memmap", "10.0 GB fit into 64.0 GB of free memory"),
        (8 * GB, None, 0.1, "jpeg", "10.0 GB decoded do not fit into 8.0 GB of free memory, 1.0 GB of JPEG do"),
        (GB, None, 0.1, "jpeg", "neither 10.0 GB decoded nor 1.0 GB of JPEG fit into 1.0 GB of free memory"),
        (8 * GB, None, None, "memmap", "some are read from the disk each epoch"),
        (8 * GB, None, 1.2, "memmap", "some are read from the disk each epoch"),
    ],
)
def test_the_choice_and_its_reason(memory, device, share, kind, why):
    chosen, reason = choose_source(10 * GB, memory, device, share)
    assert chosen == kind
    assert why in reason


@given(st.integers(0, 10**13), st.integers(0, 10**12), st.none() | st.integers(0, 10**12), st.none() | st.floats(0, 2))
def test_more_memory_never_makes_a_slower_choice(size, memory, device, share):
    order = ["device", "memmap", "jpeg"]
    less, more = (order.index(choose_source(size, m, device, share)[0]) for m in (memory, 2 * memory))
    assert more <= less


@pytest.fixture
def jpegs(tmp_path):
    rng = np.random.default_rng(0)
    samples = []
    for n, (h, w) in enumerate([(40, 60), (40, 60), (33, 51)]):
        path = tmp_path / f"{n}.jpg"
        picture = cv2.resize(rng.integers(0, 256, (5, 7, 3), dtype=np.uint8), (w, h))
        cv2.imwrite(str(path), picture if n else picture[:, :, 0])
        samples.append(Sample(str(n), path))
    return samples


def stored(folder, samples, size=None, **settings):
    def produce(id):
        image = read_image(samples[int(id)].image)
        facts = {"source_height": image.shape[0], "source_width": image.shape[1]}
        return Item(id, cv2.resize(image, size) if size else image, facts)

    return build_store(
        folder / "store",
        [s.id for s in samples],
        produce,
        what="test",
        settings={"size": size, "format": 1, **settings},
    )


def test_packed_files_read_as_the_store_does(tmp_path, jpegs):
    packed, store = pack_jpegs(tmp_path / "cache", "train files", jpegs), stored(tmp_path, jpegs)
    assert len(packed) == len(store)
    assert packed.ids == store.ids
    for i in range(3):
        assert packed.shape(i) == store.shape(i)
        np.testing.assert_array_equal(packed.image(i), store.image(i))
        np.testing.assert_array_equal(packed.crop(i, 3, 4, 20, 10), store.crop(i, 3, 4, 20, 10))
        np.testing.assert_array_equal(packed.band(i, 3, 9), store.band(i, 3, 9))
        with pytest.raises(IndexError, match="does not lie"):
            packed.crop(i, 30, 0, 20, 10)


def test_files_are_packed_once_and_one_changed_file_is_read_once(tmp_path, jpegs, monkeypatch):
    first = pack_jpegs(tmp_path / "cache", "train files", jpegs)
    before = (first.store.folder / "pixels.bin").stat().st_mtime_ns
    again = pack_jpegs(tmp_path / "cache", "train files", jpegs)
    assert again.store.built is None
    assert (again.store.folder / "pixels.bin").stat().st_mtime_ns == before
    cv2.imwrite(str(jpegs[1].image), np.zeros((8, 8, 3), np.uint8))
    assert str(pack_jpegs(tmp_path / "cache", "train files", jpegs).store.built) == "2 copied, 1 decoded"


def test_an_unreadable_file_is_an_error_of_the_store(tmp_path, jpegs):
    jpegs[1].image.write_bytes(b"")
    jpegs[2].image.unlink()
    errors = pack_jpegs(tmp_path / "cache", "train files", jpegs).store.errors
    assert set(errors) == {"1", "2"}
    assert "empty" in errors["1"]


def test_the_images_are_opened_where_they_fit(tmp_path, jpegs):
    store = stored(tmp_path, jpegs)
    roomy = open_images(store, jpegs, tmp_path / "cache")
    assert (roomy.kind, roomy.images) == ("memmap", store)
    assert not (tmp_path / "cache" / "content.json").exists()
    assert open_images(store, jpegs, tmp_path / "cache", free_device=GB).kind == "device"
    tight = open_images(store, jpegs, tmp_path / "cache", free_memory=store.nbytes // 2)
    assert tight.kind == "jpeg"
    np.testing.assert_array_equal(tight.images.image(2), store.image(2))
    assert str(tight.stage).startswith("images are read: from packed JPEG files, ")
    assert str(roomy.stage).startswith("images are read: through the memory map, ")


def test_files_stand_in_only_for_the_pixels_they_hold(tmp_path, jpegs):
    assert jpeg_share(stored(tmp_path / "a", jpegs), jpegs) == pytest.approx(
        sum(s.image.stat().st_size for s in jpegs) / (3 * (2 * 40 * 60 + 33 * 51)), rel=0.01
    )
    assert jpeg_share(stored(tmp_path / "b", jpegs, size=(20, 20)), jpegs) is None
    assert jpeg_share(stored(tmp_path / "d", jpegs, grey=True), jpegs) is None, "of the same size, and yet processed"
    assert jpeg_share(stored(tmp_path / "c", jpegs), [*jpegs[:2], Sample("2", tmp_path / "2.png")]) is None


def test_a_container_has_no_more_memory_than_it_may_use(tmp_path):
    free = free_memory(tmp_path)
    assert free > 0
    for name, text in {"max": "1000000", "current": "800000", "stat": "anon 5\nfile 300000\n"}.items():
        (tmp_path / f"memory.{name}").write_text(text)
    assert free_memory(tmp_path) == 500_000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory(tmp_path) > 1e6
