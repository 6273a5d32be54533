"""Near-duplicates: every kind of copy is found and named, and nothing else is."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from podium.data.similar import Limits, describe, find_similar, groups_of, join, search_similar
from podium.data.similar.descriptor import SIDE, frequencies, turned, turned_frequencies, undone
from podium.data.store import Item, build_store
from podium.formats.images import read_image


def drawn(seed, side=96):
    """A picture like no other."""
    rng = np.random.default_rng(seed)
    image = np.zeros((side, side, 3), np.float32)
    for k in range(2, 7):
        layer = rng.standard_normal((2**k, 2**k, 3)).astype(np.float32)
        image += cv2.resize(layer, (side, side), interpolation=cv2.INTER_LINEAR) / k
    return np.clip(127 + 45 * image, 0, 255).astype(np.uint8)


def jpeg(image, quality):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def resized(image, factor):
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    h, w = (round(s * factor) for s in image.shape[:2])
    return cv2.resize(image, (w, h), interpolation=how)


COPIES = {
    "same": (lambda x: x.copy(), "same pixels", "as is"),
    "jpeg 30": (lambda x: jpeg(x, 30), "re-encoded", "as is"),
    "jpeg 95": (lambda x: jpeg(x, 95), "re-encoded", "as is"),
    "darker": (lambda x: cv2.convertScaleAbs(x, alpha=0.9), "re-encoded", "as is"),
    "brighter": (lambda x: cv2.convertScaleAbs(x, alpha=1.05, beta=8), "re-encoded", "as is"),
    "flipped h": (lambda x: x[:, ::-1], "flipped", "flipped h"),
    "flipped v": (lambda x: x[::-1], "flipped", "flipped v"),
    "rotated 180": (lambda x: np.rot90(x, 2), "flipped", "rotated 180"),
    "rotated 90": (lambda x: np.rot90(x), "flipped", "rotated 90"),
    "rotated 270": (lambda x: np.rot90(x, 3), "flipped", "rotated 270"),
    "transposed": (lambda x: x.transpose(1, 0, 2), "flipped", "transposed"),
    "flipped and encoded": (lambda x: jpeg(np.ascontiguousarray(x[:, ::-1]), 60), "flipped", "flipped h"),
    "90 %": (lambda x: resized(x, 0.9), "rescaled", "as is"),
    "110 %": (lambda x: resized(x, 1.1), "rescaled", "as is"),
    "200 %": (lambda x: resized(x, 2), "rescaled", "as is"),
    "cropped by 3 pixels": (lambda x: x[3:-3, 3:-3], "cropped", "as is"),
    "cropped at a corner": (lambda x: x[4:, 4:], "cropped", "as is"),
    "flipped and cropped": (lambda x: x[:, ::-1][2:-2, 3:-1], "cropped", "flipped h"),
}


@pytest.mark.parametrize("name", COPIES)
def test_each_kind_of_copy_is_found_and_named(name):
    change, kind, turn = COPIES[name]
    images = [(f"a{i}", drawn(i)) for i in range(30)]
    copies = [(f"b{i}", change(images[i][1])) for i in range(10)]
    found = find_similar(images + copies)
    assert [(p.a, p.b, p.kind, p.turn) for p in found.pairs] == [(f"a{i}", f"b{i}", kind, turn) for i in range(10)]
    assert [c.ids for c in found.duplicates] == [(f"a{i}", f"b{i}") for i in range(10)]
    assert all(p.similarity > 0.93 for p in found.pairs)
    assert kind in str(found.pairs[0]) or turn in str(found.pairs[0])


def test_different_images_are_not_joined_and_the_gap_says_so():
    found = find_similar((f"{i:03}", drawn(i)) for i in range(200))
    assert found.pairs == []
    assert found.clusters == []
    assert found.gap[1] - found.gap[0] > 0.2


def test_flat_images_are_alike_only_with_equal_pixels():
    def flat(level, noise=0.0, seed=0):
        rough = level + noise * np.random.default_rng(seed).standard_normal((64, 64, 3))
        return np.clip(np.round(rough), 0, 255).astype(np.uint8)

    images = [("black", flat(0)), ("black 2", flat(0)), ("grey", flat(90)), ("white", flat(255))]
    images += [(f"noisy {i}", flat(90, 1, i)) for i in range(5)]
    found = find_similar(images)
    assert [(p.a, p.b, p.kind) for p in found.pairs] == [("black", "black 2", "same pixels")]


def test_the_order_of_the_images_makes_no_difference_and_neither_does_running_twice():
    images = [(f"a{i}", drawn(i)) for i in range(300)]
    images += [(f"b{i}", jpeg(images[i][1], 50)) for i in range(40)]
    images += [(f"c{i}", np.ascontiguousarray(images[i][1][::-1, 2:])) for i in range(40)]
    once, again, backwards = (find_similar(x) for x in (images, images, images[::-1]))
    assert once.pairs == again.pairs == backwards.pairs
    assert once.clusters == backwards.clusters
    assert once.gap == backwards.gap
    assert len(once.duplicates) == 40
    assert {len(c) for c in once.duplicates} == {3}


@pytest.mark.parametrize("n", [0, 1])
def test_nothing_to_compare(n):
    found = find_similar([("a", drawn(0))][:n])
    assert found.pairs == []
    assert found.clusters == []
    assert groups_of(found.clusters) == {}


def test_sizes_and_channels_may_be_mixed():
    sizes = ((8, 8), (9, 31), (50, 50), (64, 64), (65, 300), (400, 300), (700, 640), (1, 1), (1, 40))
    images = []
    for i, (h, w) in enumerate(sizes):
        picture = cv2.resize(drawn(i, 256), (w, h), interpolation=cv2.INTER_AREA)
        images += [(f"{i}", picture), (f"{i} again", picture.copy())]
    grey = cv2.cvtColor(drawn(50), cv2.COLOR_RGB2GRAY)
    images += [("grey", grey[..., None]), ("grey rgb", np.repeat(grey[..., None], 3, 2)), ("none", grey[:0])]
    groups = groups_of(find_similar(images).duplicates)
    assert groups == {f"{i}{x}": f"{i}" for i in range(len(sizes)) for x in ("", " again")} | {
        "grey": "grey",
        "grey rgb": "grey",
    }


def disc(seed, side=50):
    """A round cell with next to nothing in it: of its own radius, brightness and grain."""
    rng = np.random.default_rng(seed)
    at = np.arange(side) - (side - 1) / 2
    inside = np.clip(side * rng.uniform(0.47, 0.5) - np.hypot(at[:, None], at), 0, 1)
    image = inside * (rng.uniform(120, 190) + rng.normal(0, 2, (side, side)))
    return np.repeat(image.astype(np.uint8)[..., None], 3, 2)


def test_one_plain_disc_is_no_copy_of_another():
    found = find_similar((f"{i:02}", disc(i)) for i in range(40))
    assert found.duplicates == []
    spotted = []
    for i in range(40):  # a parasite in each tells them apart, and its copy is found
        image, rng = disc(i), np.random.default_rng(100 + i)
        angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(8, 14)
        at = [int(25 + off * f(angle)) for f in (np.cos, np.sin)]
        cv2.circle(image, at, int(rng.integers(3, 6)), (60, 60, 60), -1)
        spotted.append((f"{i:02}", image))
    copies = [(f"~{id}", jpeg(np.ascontiguousarray(image[::-1]), 60)) for id, image in spotted]
    found = find_similar(spotted + copies)
    assert [c.ids for c in found.duplicates] == [(id, f"~{id}") for id, _ in spotted]


def test_a_copy_of_a_symmetric_picture_is_found():
    half = [drawn(i, 192)[:, :96] for i in range(10)]
    images = [(f"a{i}", np.concatenate([x, x[:, ::-1]], axis=1)) for i, x in enumerate(half)]
    copies = [(f"b{i}", jpeg(image, 90)) for i, (_, image) in enumerate(images)]
    assert [c.ids for c in find_similar(images + copies).duplicates] == [(f"a{i}", f"b{i}") for i in range(10)]


def test_a_picture_in_which_one_small_thing_moved_is_no_copy():
    images, moved = [(f"{i}", drawn(i, 480)) for i in range(20)], []
    for i in (0, 1, 6, 7):
        frame = images[i][1].astype(int)
        spot = frame[240:248, 220:228]
        spot += np.where(spot > 128, -30, 30)
        moved.append((f"{i} moved", jpeg(frame.astype(np.uint8), 90)))
    found = find_similar(images + moved)
    assert [(p.a, p.b, p.kind) for p in found.pairs] == [(i, f"{i} moved", "similar") for i in "0167"]
    assert len(find_similar(images + moved, Limits(spot=9)).duplicates) == 4


def test_an_id_comes_once():
    with pytest.raises(ValueError, match="twice"):
        describe([("a", drawn(0)), ("a", drawn(1))])


def test_between_train_and_test_of_the_same_ids():
    train = describe((f"{i}", drawn(i)) for i in range(20)).prefixed("train/")
    test = describe([("0", drawn(30)), ("1", jpeg(drawn(7), 60)), ("2", drawn(31)), ("3", drawn(31))]).prefixed("test/")
    both = join(train, test)
    found = search_similar(both)
    assert [c.ids for c in found.across(set(train.ids))] == [("test/1", "train/7")]
    assert len(found.duplicates) == 2


def test_a_neighbouring_view_is_similar_not_a_duplicate_and_limits_decide():
    images = [(f"{i}", drawn(i)) for i in range(20)]
    scene = drawn(99, 200)
    frames = []
    for i in range(4):  # a camera that moves on, and something that moves in front of it
        frame = scene[:160, 3 * i : 160 + 3 * i].copy()
        cv2.circle(frame, (60 + 6 * i, 80), 7, (255, 255, 255), -1)
        frames.append((f"frame {i}", frame))
    found = find_similar(images + frames, Limits(similar=0.75))
    assert found.duplicates == []
    assert [c.ids for c in found.similars] == [tuple(id for id, _ in frames)]
    assert groups_of(found.clusters) == {id: "frame 0" for id, _ in frames}
    assert find_similar(images + frames, Limits(similar=1.0)).clusters == []
    loose = find_similar(images + frames, Limits(zoomed=0.75, distinct=9))
    assert [c.ids for c in loose.duplicates] == [tuple(id for id, _ in frames)]


def test_a_store_is_searched_by_its_original_pixels(tmp_path):
    def produce(id):
        if id == "bad":
            return Item(id, None, {}, "cut off")
        pixels = drawn({"a": 1, "b": 2, "c": 1}[id])
        facts = {"pixels": "x" if id == "b" else "y", "source_height": 960, "source_width": 960}
        return Item(id, pixels if id != "c" else jpeg(pixels, 50), facts)

    store = build_store(tmp_path / "store", ["a", "b", "bad", "c"], produce, what="images")
    assert [(p.a, p.b, p.kind) for p in find_similar(store).pairs] == [("a", "c", "same pixels")]


@pytest.mark.parametrize("g", range(8))
def test_orientations_act_on_frequencies_as_on_pictures_and_undo(g):
    thumbs = np.random.default_rng(g).standard_normal((3, SIDE, SIDE)).astype(np.float32)
    assert np.allclose(frequencies(turned(thumbs, g)), turned_frequencies(frequencies(thumbs), g), atol=1e-3)
    assert np.array_equal(turned(turned(thumbs, g), undone(g)), thumbs)


@pytest.mark.slow
def test_three_thousand_images_recall_and_precision():
    n, names = 2400, [k for k in COPIES if k != "same"]
    images = [(f"{i:05}", drawn(i)) for i in range(n)]
    truth = {}
    for i in range(600):
        id = f"copy {i}"
        truth[id] = f"{i:05}"
        images.append((id, COPIES[names[i % len(names)]][0](images[i][1])))
    found = find_similar(images)
    groups = groups_of(found.duplicates)
    assert sum(id in groups and groups[id] == groups.get(of) for id, of in truth.items()) >= 0.99 * len(truth)
    assert sum(truth.get(p.b) == p.a for p in found.pairs if p.duplicate) >= 0.95 * len(found.pairs)


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("cvc_clinicdb", "images/*.png"),
        ("camvid", "train/*.jpg"),
        ("tgs_salt", "images/*.png"),
        ("dsb2018", "images/*.png"),
        ("malaria_cells", "images/*.png"),
        ("bccd_counts", "images/*.jpg"),
    ],
)
def test_copies_planted_in_a_real_set_are_found_and_little_else(real_data, name, pattern):
    folder = real_data / name
    images = [(p.stem, read_image(p)) for p in sorted(folder.glob(pattern))[:400]]
    fit = [(id, x) for id, x in images if x.std() > 4][::4]
    names = ["jpeg 30", "jpeg 95", "flipped h", "flipped v", "rotated 180", "90 %", "110 %", "flipped and encoded"]
    truth, copies = {}, []
    for i, (id, pixels) in enumerate(fit):
        truth[f"~{id}"] = id
        copies.append((f"~{id}", np.ascontiguousarray(COPIES[names[i % len(names)]][0](pixels))))
    found = find_similar(images + copies)
    groups, duplicates = groups_of(found.duplicates), [p for p in found.pairs if p.duplicate]
    assert sum(id in groups and groups[id] == groups.get(of) for id, of in truth.items()) >= 0.99 * len(truth)
    assert sum(truth.get(p.b) == p.a for p in duplicates) >= 0.95 * len(duplicates)


@pytest.mark.slow
@pytest.mark.real_data
def test_repeated_photographs_of_houses(real_data):
    images = [(p.stem, read_image(p)) for p in sorted((real_data / "houses_price").glob("images/*.jpg"))]
    pairs = {(p.a, p.b) for p in find_similar(images).pairs if p.duplicate}
    repeated = {(f"59_{room}", f"72_{room}") for room in ("bathroom", "frontal", "kitchen")}  # not the bedrooms
    repeated |= {(f"271_{room}", f"305_{room}") for room in ("bedroom", "frontal", "kitchen")}  # resized
    repeated |= {("11_frontal", "30_frontal"), ("12_frontal", "32_frontal"), ("292_frontal", "293_frontal")}
    repeated |= {("12_bathroom", "12_bedroom"), ("343_bathroom", "343_kitchen"), ("354_bathroom", "354_bedroom")}
    assert pairs == repeated  # all of them looked at by eye


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "pattern"),
    [("cvc_clinicdb", "images/*.png"), ("camvid", "t*/*.jpg"), ("malaria_cells", "images/*.png")],
)
def test_frames_of_a_video_and_plain_cells_are_not_called_duplicates(real_data, name, pattern):
    folder = real_data / name
    found = find_similar((str(p.relative_to(folder)), read_image(p)) for p in sorted(folder.glob(pattern)))
    assert found.duplicates == []
