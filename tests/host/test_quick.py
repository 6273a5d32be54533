"""Grading from runs: the fast pass gives what decoding gives, and leaves all that is not plain to the closer look."""

from __future__ import annotations

import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.errors import SubmissionError
from podium.formats import rle
from podium.formats.preflight import inspect
from podium.formats.submission import SubmissionFormat
from podium.host import quick
from podium.host.grading import Classes, grade
from podium.host.quick import quick_counts
from podium.host.run_tables import classes_of_runs, objects_of_runs
from podium.host.solution import Solution, read_solution, write_solution
from podium.host.truth_store import MappedRuns, mapped, open_runs, put_on_disk
from podium.ledger.likeness import Tally
from podium.metrics import compare_maps, compare_masks, compare_objects, get_metric
from podium.metrics.compare import IGNORED

FORMATS = {
    "rows": SubmissionFormat(id_column="img", value_column="rle_mask", id="{id}.jpg"),
    "columns": SubmissionFormat(order="column"),
    "class in the id": SubmissionFormat(id="{id}_{class}", classes=("a", "b")),
    "class in a column": SubmissionFormat(class_column="class", classes=("a", "b")),
}


def game(tmp_path, fmt, n=30, seed=0):
    """A solution on the disk, and a good submission as lines."""
    rng = np.random.default_rng(seed)
    shapes = [(int(rng.integers(1, 40)), int(rng.integers(1, 40))) for _ in range(n)]
    masks = [rng.random((fmt.width, *shape)) < rng.choice([0, 0.2, 0.5, 1]) for shape in shapes]
    guesses = [m ^ (rng.random(m.shape) < 0.1) for m in masks]
    ids = [f"s{k}" for k in range(n)]
    usage = ["Public" if k % 3 else "Private" for k in range(n)]
    write_solution(
        tmp_path / "solution.csv", fmt, ids=ids, shapes=shapes, usage=usage,
        truth=[tuple(rle.runs_of(m, fmt.order) for m in per) for per in masks],
    )  # fmt: skip
    lines = [",".join(fmt.columns)]
    for id, per in zip(ids, guesses, strict=True):
        for label, mask in zip(fmt.classes if fmt.row_a_class else ("",), per, strict=True):
            column = f"{label}," if fmt.class_column else ""
            lines.append(f"{fmt.row_id(id, label)},{column}{rle.encode(mask, fmt.order)}")
    solution = read_solution(tmp_path / "solution.csv", fmt)
    put_on_disk(tmp_path / "solution.csv", fmt, tmp_path / "truth")
    wanted = np.stack([compare_masks("overlap", m, g) for m, g in zip(masks, guesses, strict=True)])
    return solution, lines, wanted


def written(tmp_path, lines, end="\n"):
    path = tmp_path / "sub.csv"
    path.write_bytes(end.join(lines).encode())
    return path


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("piece", [7, 300, 1 << 20])
def test_the_fast_pass_counts_what_pixels_count(tmp_path, monkeypatch, fmt, piece):
    monkeypatch.setattr(quick, "PIECE", piece)
    solution, lines, wanted = game(tmp_path, fmt)
    opened = open_runs(tmp_path / "truth", tmp_path / "solution.csv")
    assert isinstance(opened.truth, MappedRuns)
    shuffled = [lines[0], *np.random.default_rng(1).permutation(lines[1:])]
    for rows, end in ((lines, "\n"), (shuffled, "\r\n"), ([*lines, ""], "\n")):
        path = written(tmp_path, rows, end)
        np.testing.assert_array_equal(quick_counts(path, opened, fmt), wanted)
        np.testing.assert_array_equal(quick_counts(path, solution, fmt), wanted)  # runs in memory too
        (tmp_path / "sub.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        np.testing.assert_array_equal(quick_counts(tmp_path / "sub.csv.gz", opened, fmt), wanted)


def test_the_mapped_solution_is_the_solution(tmp_path):
    fmt = FORMATS["class in the id"]
    solution, _, _ = game(tmp_path, fmt)
    opened = open_runs(tmp_path / "truth", tmp_path / "solution.csv")
    assert (opened.ids, opened.shapes, opened.usage, opened.ignored) == (
        solution.ids, solution.shapes, solution.usage, solution.ignored,
    )  # fmt: skip
    for a, b in zip(opened.truth, solution.truth, strict=True):
        for one, other in zip(a, b, strict=True):
            np.testing.assert_array_equal(one, other)
    with open(tmp_path / "solution.csv", "ab") as f:
        f.write(b" ")
    assert open_runs(tmp_path / "truth", tmp_path / "solution.csv") is None  # made from another file


WRONG = {
    "a word": (3, "s2.jpg,1 x"),
    "an odd count": (3, "s2.jpg,1 2 3"),
    "an overflow": (3, "s2.jpg,1 18446744073709551617"),
    "two that overflow together": (3, "s2.jpg,1 999999999999999999 1000000000000000000 1"),
    "20 digits that wrap to 1": (3, "s2.jpg,18446744073709551617 1"),
    "behind the last pixel": (3, "s2.jpg,1 99999"),
    "not sorted": (3, "s2.jpg,3 1 1 1"),
    "overlapping": (3, "s2.jpg,1 2 2 1"),
    "a start of 0": (3, "s2.jpg,0 1"),
    "an empty run": (3, "s2.jpg,1 0"),
    "a sign": (3, "s2.jpg,-1 1"),
    "a fraction": (3, "s2.jpg,1.0 1"),
    "NaN": (3, "s2.jpg,1 nan"),
    "a double id": (3, "s1.jpg,"),
    "an id that is not asked for": (3, "s99.jpg,"),
    "a field too many": (3, "s2.jpg,,"),
    "no comma": (3, "s2.jpg"),
    "invalid UTF-8": (3, "s2.jpg,1 \udcff"),
    "another column": (0, "img,mask"),
}


@pytest.mark.parametrize(("at", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_as_before(tmp_path, at, line):
    fmt = FORMATS["rows"]
    solution, lines, _ = game(tmp_path, fmt)
    lines[at] = line
    path = tmp_path / "sub.csv"
    path.write_bytes("\n".join(lines).encode(errors="surrogateescape"))
    assert quick_counts(path, solution, fmt) is None
    with pytest.raises(SubmissionError, match="a board would refuse this file"):
        grade(path, solution, get_metric("dice"), fmt)


def test_missing_rows_and_a_damaged_gzip(tmp_path):
    fmt = FORMATS["rows"]
    solution, lines, _ = game(tmp_path, fmt)
    with pytest.raises(SubmissionError, match="1 missing id"):
        grade(written(tmp_path, lines[:-1]), solution, get_metric("dice"), fmt)
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(written(tmp_path, lines).read_bytes())[:-20])
    with pytest.raises(SubmissionError, match="damaged"):
        grade(cut, solution, get_metric("dice"), fmt)


@pytest.mark.parametrize("line", ["s2.jpg,  1 1", "s2.jpg,1 1 ", '"s2.jpg","1 1"', "s2.jpg,nan", "s2.jpg,1\t1"])
def test_what_is_unusual_but_right_is_graded_by_the_closer_look(tmp_path, line):
    fmt = FORMATS["rows"]
    solution, lines, _ = game(tmp_path, fmt)
    lines[3] = "s2.jpg," if "nan" in line else "s2.jpg,1 1"
    plain = grade(written(tmp_path, lines), solution, get_metric("dice"), fmt)
    lines[3] = line
    assert grade(written(tmp_path, lines), solution, get_metric("dice"), fmt) == plain


def runs_of(labels, numbers):
    return tuple(rle.runs_of(labels == n) for n in numbers)


@given(st.integers(0, 2**32 - 1))
def test_objects_are_matched_as_from_pixels(seed):
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 12)), int(rng.integers(1, 12))
    truth, guess = (rng.integers(0, rng.integers(1, 6), shape) for _ in range(2))
    sides = [tuple(r for r in runs_of(m, range(1, 6)) if len(r)) for m in (truth, guess)]
    for kind in ("instances", "overlap"):
        np.testing.assert_array_equal(objects_of_runs(kind, *sides), compare_objects(kind, truth, guess))


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_classes_are_counted_as_from_pixels(seed, background):
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 12)), int(rng.integers(1, 12))
    spelt, classes = ["x", "y", "z"], 4 if background else 3
    truth, guess = (rng.integers(0, 4, shape) for _ in range(2))  # 0: of none of them
    sides = [runs_of(m, (1, 2, 3)) for m in (truth, guess)]
    none = (0, 0) if background else (IGNORED, 3)
    maps = [np.where(m > 0, m - (not background), n) for m, n in zip((truth, guess), none, strict=True)]
    names = ["background", *spelt] if background else [*spelt, "background"]
    for kind in ("confusion", "overlap"):
        found = classes_of_runs(kind, *sides, shape[0] * shape[1], spelt, classes)
        np.testing.assert_array_equal(found, compare_maps(kind, *maps, names))


def test_runs_of_classes_that_share_pixels_are_left_to_the_pixels():
    both = (np.array([[0, 3]]), np.array([[2, 3]]))
    assert classes_of_runs("confusion", both, both, 9, ["x", "y"], 3) is None
    assert objects_of_runs("instances", both, both) is None


def test_a_solution_with_other_numbers_of_objects_is_left_as_it_is():
    empty = np.zeros((0, 2), np.int64)
    odd = Solution(("a", "b"), {"a": (2, 2), "b": (2, 2)}, ((empty,), (empty, empty)), ("Public", "Private"))
    assert mapped(odd) is odd


def test_ignored_rows_do_not_score(tmp_path):
    fmt = FORMATS["rows"]
    solution, lines, _ = game(tmp_path, fmt)
    hidden = Solution(solution.ids[1:], solution.shapes, solution.truth[1:], solution.usage[1:], solution.ids[:1])
    path = written(tmp_path, lines)
    whole, part = (grade(path, s, get_metric("dice"), fmt, Classes()) for s in (solution, hidden))
    assert {k: v for k, v in whole.per_sample.items() if k != "s0"} == part.per_sample
    np.testing.assert_array_equal(quick_counts(path, hidden, fmt), quick_counts(path, solution, fmt)[1:])
    for odd in ("s0.jpg,1 99999", "s99.jpg,"):  # they have to be in order too
        assert quick_counts(written(tmp_path, [lines[0], odd, *lines[2:]]), hidden, fmt) is None


def test_numbers_of_all_lengths_are_read_as_they_are(tmp_path):
    """Of a mask of more pixels than fit eight digits; and more digits than a pixel's number can have."""
    fmt, side = FORMATS["rows"], 45_000
    runs = np.array([[10**k, 10**k // 2 + 1] for k in range(10)])
    write_solution(
        tmp_path / "solution.csv", fmt, ids=["a", "b"], shapes=[(side, side)] * 2, truth=[(runs - [1, 0],)] * 2,
        usage=["Public", "Private"],
    )  # fmt: skip
    solution = put_on_disk(tmp_path / "solution.csv", fmt, tmp_path / "truth")
    assert isinstance(solution.truth, MappedRuns)
    given = [f"{10**k} {10**k // 2 + k % 2}" for k in range(1, 10)]
    path = written(tmp_path, ["img,rle_mask", "a.jpg," + " ".join(given), "b.jpg,0000000000000001 1"])
    wanted = [rle.overlap(rle.parse(text), runs - [1, 0]) for text in (" ".join(given), "1 1")]
    np.testing.assert_array_equal(quick_counts(path, solution, fmt), wanted)
    for text in ("1 1", "00000000000000001 1"):
        path = written(tmp_path, ["img,rle_mask", f"a.jpg,{text}", "b.jpg,1 1"])
        assert (quick_counts(path, solution, fmt) is None) == (len(text) > 18)


@given(st.lists(st.text("0123456789 x", max_size=200), min_size=1, max_size=4))
def test_random_texts_are_read_as_the_strict_parser_reads_them(texts):
    """Or are left to it."""
    from podium.host import run_kernels

    text = "\n".join(texts).encode()
    room, at = np.frombuffer(bytearray(64) + bytearray(text) + bytearray(64), np.uint8), 64
    for one in texts:
        out = np.zeros(len(one) + 1, np.int64)
        count = run_kernels._read(room, at, at + len(one), out)
        at += len(one) + 1
        words = one.split(" ") if one else []
        plain = all(w.isdigit() and len(w) <= 16 for w in words)
        assert out[:count].tolist() == [int(w) for w in words] if plain else count == -1


def test_hidden_masks_go_to_the_disk_one_by_one(tmp_path):
    fmt, n = FORMATS["rows"], 300
    mask = np.zeros((300, 300), bool)
    mask[::2, ::2] = True
    runs = rle.runs_of(mask)
    write_solution(
        tmp_path / "solution.csv", fmt, ids=[f"s{k}" for k in range(n)], shapes=[mask.shape] * n,
        truth=[(runs,)] * n, usage=["Public", "Private"] * (n // 2),
    )  # fmt: skip
    tracemalloc.start()
    solution = put_on_disk(tmp_path / "solution.csv", fmt, tmp_path / "truth")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < runs.nbytes * n / 20
    np.testing.assert_array_equal(solution.truth[n - 1][0], runs)


@pytest.mark.parametrize("fmt", FORMATS.values(), ids=FORMATS)
def test_who_looks_on_is_told_the_same_by_the_fast_pass_as_by_a_closer_look(tmp_path, fmt):
    solution, lines, _ = game(tmp_path, fmt)
    metric, classes = get_metric("dice"), Classes("many", fmt.classes)
    figures = []
    for rows in (lines, [lines[0], f'"{lines[1].replace(",", chr(34) + "," + chr(34))}"', *lines[2:]]):
        path, tally = written(tmp_path, rows), Tally(fmt, solution.shapes)
        assert (quick_counts(path, solution, fmt) is None) == (rows is not lines)  # quoted cells are no plain rows
        grade(path, solution, metric, fmt, classes, tally)
        figures.append({name: sorted(values) for name, values in tally.figures.items()})
    by_preflight = Tally(fmt, solution.shapes)
    assert not inspect(path, fmt, solution.ids, solution.shapes, by_preflight)
    assert figures[0] == figures[1] == {name: sorted(values) for name, values in by_preflight.figures.items()}
    assert len(figures[0]["empty"]) == len(solution.ids)
