from __future__ import annotations

import csv
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from podium.demo.cars import NEAR_PAINTS, VIEWS, make_cars, make_competition, render_car
from podium.errors import DataError
from podium.files import MARKER
from podium.formats import rle

SIZE = (160, 240)
TRAIN, TEST = 2, 5


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as f:
        return list(csv.DictReader(f))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("demo")
    solution = root / "hidden" / "solution.csv"
    return make_competition(root / "cars", solution, train_cars=TRAIN, test_cars=TEST, size=SIZE, seed=3), solution


@pytest.fixture(scope="module")
def pictures() -> dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]:
    """All views of the first eight cars of the default seed: each body type twice."""
    cars = make_cars(8, 0)
    return {(i, v): render_car(car, v, SIZE) for i, car in enumerate(cars) for v in range(1, VIEWS + 1)}


def test_same_seed_same_pixels_other_seed_others():
    a, b, c = make_cars(2, 1), make_cars(2, 1), make_cars(2, 2)
    assert a == b
    assert make_cars(5, 1)[:2] == a
    assert not {car.id for car in a} & {car.id for car in c}
    for car, twin in zip(a, b, strict=True):
        for x, y in zip(render_car(car, 4, SIZE), render_car(twin, 4, SIZE), strict=True):
            np.testing.assert_array_equal(x, y)


def test_shapes_and_types(pictures):
    image, mask = pictures[0, 1]
    assert image.shape == (*SIZE, 3)
    assert image.dtype == np.uint8
    assert mask.shape == SIZE
    assert mask.dtype == np.bool_


@pytest.mark.parametrize("size", [(32, 48), (101, 77), (128, 128), (64, 320), (640, 960)])
def test_any_size(size):
    image, mask = render_car(make_cars(4, 0)[3], 6, size)
    assert image.shape == (*size, 3)
    assert 0.02 < mask.mean() < 0.6


def test_masks_are_one_car_of_sensible_size(pictures):
    for key, (_, mask) in pictures.items():
        assert 0.05 < mask.mean() < 0.6, key
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
        assert stats[1:, cv2.CC_STAT_AREA].max() > 0.95 * mask.sum(), key


def test_every_view_and_car_differs(pictures):
    keys = list(pictures)
    for n, a in enumerate(keys):
        for b in keys[n + 1 :]:
            if a[0] == b[0]:
                assert (pictures[a][1] ^ pictures[b][1]).sum() > 0.005 * pictures[a][1].sum(), (a, b)
            else:
                assert np.abs(pictures[a][0].astype(int) - pictures[b][0]).mean() > 2, (a, b)


def test_mask_is_where_the_paint_is():
    # the same car in two paints: pixels that change much are the car's, whatever shadow and reflection do
    for car in make_cars(4, 0):
        other = replace(car, paint=(0.9, 0.0, 0.9), roof=(0.9, 0.0, 0.9))
        for view in (1, 4, 8, 13):
            (a, mask), (b, same) = render_car(car, view, SIZE), render_car(other, view, SIZE)
            np.testing.assert_array_equal(mask, same)
            changed = np.abs(a.astype(int) - b).max(axis=2) > 12
            # a pixel less than half covered is background and tinted all the same: allow one pixel around
            around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
            reflected = np.zeros_like(mask)
            reflected[np.flatnonzero(mask.any(1))[-1] :] = True
            assert not (changed & ~around & ~reflected).any()
            assert (changed & mask).sum() > 0.4 * mask.sum()


def test_some_cars_have_the_background_s_brightness(pictures):
    cars = make_cars(24, 0)
    near = [car.near_background for car in cars]
    assert 0.25 < np.mean(near) < 0.6
    assert any(near[:16])
    assert any(near[16:])  # among the test cars too
    assert {car.paint_name for car in cars if car.near_background} == {name for name, _ in NEAR_PAINTS}
    assert {car.kind for car in cars} == {"sedan", "compact", "suv", "pick_up"}
    for i, car in enumerate(cars[:8]):
        if car.near_background:
            image, mask = pictures[i, 3]
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            dice = [2 * (mask & (grey < t)).sum() / (mask.sum() + (grey < t).sum() + 1) for t in range(20, 256, 5)]
            assert max(dice) < 0.75  # no threshold solves them


def test_files_are_named_as_on_kaggle(made):
    folder, solution = made
    names = set(contents(folder))
    train = {n[6:-4] for n in names if n.startswith("train/")}
    test = {n[5:-4] for n in names if n.startswith("test/")}
    assert len(train) == TRAIN * VIEWS
    assert len(test) == TEST * VIEWS
    assert not {n[:12] for n in train} & {n[:12] for n in test}
    assert all(re.fullmatch(r"[0-9a-f]{12}_(0[1-9]|1[0-6])", n) for n in train | test)
    tables = {"train_masks.csv", "sample_submission.csv", MARKER}
    expected = {f"train/{n}.jpg" for n in train} | {f"train_masks/{n}_mask.gif" for n in train}
    assert names == expected | {f"test/{n}.jpg" for n in test} | tables
    assert not solution.is_relative_to(folder)


def test_images_masks_and_run_lengths_agree(made):
    folder, _ = made
    table = rows(folder / "train_masks.csv")
    assert list(table[0]) == ["img", "rle_mask"]
    assert [r["img"] for r in table[:2]] == [f"{table[0]['img'][:12]}_01.jpg", f"{table[0]['img'][:12]}_02.jpg"]
    assert {r["img"] for r in table} == {p.name for p in (folder / "train").iterdir()}
    cars = {car.id: car for car in make_cars(TRAIN, 3)}
    for r in table:
        name = r["img"][:-4]
        gif = Image.open(folder / "train_masks" / f"{name}_mask.gif")
        assert gif.mode == "P"
        values = np.array(gif)
        assert set(np.unique(values)) == {0, 1}
        np.testing.assert_array_equal(values.astype(bool), rle.decode(r["rle_mask"], SIZE, "row"))
        jpeg = np.array(Image.open(folder / "train" / r["img"])).astype(int)
        image, mask = render_car(cars[name[:12]], int(name[13:]), SIZE)
        np.testing.assert_array_equal(values.astype(bool), mask)
        assert jpeg.shape == image.shape
        assert np.abs(jpeg - image).mean() < 4


def test_submission_and_solution_have_the_test_ids(made):
    folder, solution = made
    sample, answers = rows(folder / "sample_submission.csv"), rows(solution)
    assert {p.name for p in (folder / "test").iterdir()} == {r["img"] for r in sample}
    assert [r["img"] for r in sample] == [r["img"] for r in answers]
    assert {r["rle_mask"] for r in sample} == {"1 1"}
    assert list(answers[0]) == ["img", "rle_mask", "height", "width", "Usage"]
    assert {(r["height"], r["width"]) for r in answers} == {(str(SIZE[0]), str(SIZE[1]))}
    usage = {(r["img"][:12], r["Usage"]) for r in answers}
    assert len(usage) == TEST  # one usage a car
    assert [u for _, u in usage].count("Public") == 2
    car = make_cars(TRAIN + TEST, 3)[TRAIN]
    truth = next(r["rle_mask"] for r in answers if r["img"] == f"{car.id}_07.jpg")
    np.testing.assert_array_equal(rle.decode(truth, SIZE, "row"), render_car(car, 7, SIZE)[1])


def test_same_seed_same_bytes_and_finished_is_kept(tmp_path):
    settings = {"train_cars": 1, "test_cars": 2, "size": (48, 72), "seed": 5}
    a = make_competition(tmp_path / "a", tmp_path / "a.csv", **settings)
    b = make_competition(tmp_path / "b", tmp_path / "b.csv", **settings)
    assert contents(a) == contents(b)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    before = (a / "train_masks.csv").stat().st_mtime_ns
    make_competition(a, tmp_path / "a.csv", **settings)
    assert (a / "train_masks.csv").stat().st_mtime_ns == before
    make_competition(a, tmp_path / "a.csv", **settings | {"seed": 6})
    assert contents(a) != contents(b)


def test_an_interrupted_demo_leaves_nothing_and_is_redone(tmp_path, monkeypatch):
    settings = {"train_cars": 1, "test_cars": 1, "size": (48, 72)}
    with monkeypatch.context() as m:
        m.setattr("podium.demo.cars.write_atomic", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            make_competition(tmp_path / "cars", tmp_path / "s.csv", **settings)
    assert not list(tmp_path.iterdir())
    make_competition(tmp_path / "cars", tmp_path / "s.csv", **settings)
    (tmp_path / "s.csv").unlink()
    make_competition(tmp_path / "cars", tmp_path / "s.csv", **settings)
    assert (tmp_path / "s.csv").is_file()


def test_it_does_not_touch_what_is_not_its_own(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("…")
    with pytest.raises(DataError, match="something other than the demo"):
        make_competition(tmp_path / "mine", tmp_path / "s.csv", train_cars=1, test_cars=1, size=(48, 72))
    assert (tmp_path / "mine" / "thesis.txt").exists()
    with pytest.raises(DataError, match="competitors"):
        make_competition(tmp_path / "new", tmp_path / "new" / "s.csv", train_cars=1, test_cars=1, size=(48, 72))
