"""Every kind of damage that a submission is known to suffer: each is told with its row, column, value and remedy."""

from __future__ import annotations

import gzip
import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from podium.errors import SubmissionError
from podium.formats.mask_archive import inspect_archive
from podium.formats.preflight import check, inspect
from podium.formats.submission import SubmissionFormat

RUNS = SubmissionFormat(id_column="img", value_column="mask", id="{id}.jpg")
PROBS = SubmissionFormat(format="probs", id_column="id", value_columns=("cat", "dog"))
LONG = SubmissionFormat(format="probs", id_column="id", value_column="p", id="{id}_{class}", classes=("cat", "dog"))
LABEL = SubmissionFormat(format="names", id_column="id", value_column="label", classes=("cat", "dog"))
OBJECTS = SubmissionFormat(format="rle_objects", id_column="ImageId", value_column="EncodedPixels")
NUMBER = SubmissionFormat(format="values", id_column="id", value_column="price")
IDS = ("a1", "b2", "c3")
SHAPES = dict.fromkeys(IDS, (10, 10))

GOOD = {
    RUNS: "img,mask\na1.jpg,1 2\nb2.jpg,\nc3.jpg,5 3 20 4\n",
    PROBS: "id,cat,dog\na1,0.1,0.9\nb2,0.5,0.5\nc3,1,0\n",
    LONG: "id,p\na1_cat,0.1\na1_dog,0.2\nb2_cat,0.3\nb2_dog,0.4\nc3_cat,0.5\nc3_dog,0.6\n",
    LABEL: "id,label\na1,cat\nb2,dog\nc3,dog\n",
    OBJECTS: "ImageId,EncodedPixels\na1,1 2\na1,5 3\nb2,\nc3,7 1\n",
    NUMBER: "id,price\na1,1.5\nb2,2\nc3,-7e3\n",
}


def swap(old, new, count=1):
    def damage(text):
        assert old in text
        return text.replace(old, new, count)

    return damage


def b2(value):
    """Another mask of b2, on line 3."""
    return swap("b2.jpg,", f"b2.jpg,{value}")


def more_columns(text):
    return text.replace("\n", ",1\n").replace("dog,1", "dog,fold")


def with_index(text):
    head, *rows = text.splitlines()
    return "\n".join([f",{head}", *(f"{n},{row}" for n, row in enumerate(rows))]) + "\n"


# name: (format, damage, kind, line, column, value, words of the remedy)
DAMAGE = {
    "a column is missing": (RUNS, swap("img,mask", "img"), "column", 1, "mask", "img", "mask"),
    "a column is misspelt": (RUNS, swap("img,mask", "img,rle_mask"), "column", 1, "mask", "img,rle_mask", "'rle_mask'"),
    "another case": (RUNS, swap("img,mask", "Img,mask"), "column", 1, "img", "Img,mask", "exactly 'img'"),
    "a blank in the header": (RUNS, swap("img,mask", "img, mask"), "column", 1, "mask", "img, mask", "exactly 'mask'"),
    "a column twice": (RUNS, swap("img,mask", "img,mask,mask"), "column", 1, "mask", "mask", "remove one"),
    "a column too many": (PROBS, more_columns, "column", 1, "fold", "fold", "remove it"),
    "pandas' index": (RUNS, with_index, "column", 1, "", "", "index=False"),
    "semicolons": (RUNS, lambda t: t.replace(",", ";"), "column", 1, "img", "img;mask", "commas"),
    "tabs": (RUNS, lambda t: t.replace(",", "\t"), "column", 1, "img", "img\tmask", "commas"),
    "no header": (RUNS, swap("img,mask\n", ""), "column", 1, "img", "a1.jpg,1 2", "first line must be img,mask"),
    "a row too short": (PROBS, swap("b2,0.5,0.5", "b2,0.5"), "fields", 3, "", "b2,0.5", "mend"),
    "a comma in a value": (RUNS, b2("1,2"), "fields", 3, "", "b2.jpg,1,2", "quotes"),
    "a decimal comma": (NUMBER, swap("1.5", "1,5"), "fields", 2, "", "a1,1,5", "quotes"),
    "a blank line": (RUNS, swap("b2.jpg", "\nb2.jpg"), "fields", 3, "", "", "remove"),
    "a row is missing": (RUNS, swap("b2.jpg,\n", ""), "missing id", 0, "img", "b2.jpg", "add it"),
    "only the header": (RUNS, lambda t: t.split("\n")[0] + "\n", "missing id", 0, "img", "a1.jpg", "empty mask"),
    "a class is missing": (LONG, swap("b2_dog,0.4\n", ""), "missing id", 0, "id", "b2_dog", "add it"),
    "a row too many": (RUNS, lambda t: t + "zz.jpg,\n", "extra id", 5, "img", "zz.jpg", "remove the row"),
    "an id without its ending": (RUNS, swap("b2.jpg", "b2"), "extra id", 3, "img", "b2", "'b2.jpg'"),
    "an id with another ending": (RUNS, swap("b2.jpg", "b2.png"), "extra id", 3, "img", "b2.png", "'b2.jpg'"),
    "an id with its folder": (RUNS, swap("b2.jpg", "test/b2.jpg"), "extra id", 3, "img", "test/b2.jpg", "'b2.jpg'"),
    "an id in capitals": (RUNS, swap("b2.jpg", "B2.JPG"), "extra id", 3, "img", "B2.JPG", "'b2.jpg'"),
    "an id with a blank": (RUNS, swap("b2.jpg", " b2.jpg"), "extra id", 3, "img", " b2.jpg", "'b2.jpg'"),
    "a second header": (RUNS, lambda t: t + "img,mask\n", "extra id", 5, "img", "img", "header once more"),
    "an id twice": (RUNS, lambda t: t + "a1.jpg,1 2\n", "double id", 5, "img", "a1.jpg", "remove one"),
    "-1 for an empty mask": (RUNS, b2("-1"), "odd count", 3, "mask", "-1", "write nothing there"),
    "0 for an empty mask": (RUNS, b2("0"), "odd count", 3, "mask", "0", "write nothing there"),
    "brackets": (RUNS, b2("[1 2]"), "not a number", 3, "mask", "[1", "without brackets"),
    "commas in runs": (RUNS, b2('"1,2"'), "not a number", 3, "mask", "1,2", "spaces"),
    "floats": (RUNS, b2("1.0 2.0"), "not a number", 3, "mask", "1.0", "whole numbers"),
    "words": (RUNS, b2("1 two"), "not a number", 3, "mask", "two", "start length"),
    "half a run": (RUNS, b2("1 2 3"), "odd count", 3, "mask", "3", "start and a length"),
    "counted from 0": (RUNS, b2("0 3"), "start", 3, "mask", "0", "from 1"),
    "a run of no pixel": (RUNS, b2("5 0"), "length", 3, "mask", "0", "without pixels"),
    "a mask of another size": (RUNS, b2("99 9"), "out of range", 3, "mask", "9", "original image size"),
    "overlapping runs": (RUNS, b2("10 10 15 5"), "overlapping", 3, "mask", "15", "not overlap"),
    "unsorted runs": (RUNS, b2("50 5 10 5"), "unsorted", 3, "mask", "10", "sort"),
    "objects overlap": (OBJECTS, swap("a1,5 3", "a1,2 3"), "objects overlap", 2, "ImageId", "a1", "one object"),
    "no number": (PROBS, swap("b2,0.5", "b2,half"), "not a number", 3, "cat", "half", "0.5"),
    "nothing": (PROBS, swap("b2,0.5", "b2,"), "not a number", 3, "cat", "", "find out why"),
    "not finite": (NUMBER, swap("b2,2", "b2,inf"), "not a number", 3, "price", "inf", "overflowed"),
    "per cent": (PROBS, swap("b2,0.5", "b2,50%"), "not a number", 3, "cat", "50%", "0.5"),
    "a tensor": (NUMBER, swap("b2,2", "b2,tensor(2.)"), "not a number", 3, "price", "tensor(2.)", "item()"),
    "a logit": (PROBS, swap("b2,0.5", "b2,-3.2"), "not a probability", 3, "cat", "-3.2", "sigmoid"),
    "a percentage": (PROBS, swap("b2,0.5", "b2,50"), "not a probability", 3, "cat", "50", "per cent"),
    "no class": (LABEL, swap("b2,dog", "b2,dgo"), "name", 3, "label", "dgo", "'dog'"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_told_with_row_column_value_and_remedy(tmp_path, name):
    fmt, damage, kind, line, column, value, remedy = DAMAGE[name]
    path = tmp_path / "mine.csv"
    path.write_text(damage(GOOD[fmt]))
    found = inspect(path, fmt, IDS, SHAPES)
    hits = [p for p in found if (p.kind, p.line, p.column, p.value) == (kind, line, column, value)]
    assert hits, [(p.kind, p.line, p.column, p.value, p.remedy) for p in found]
    assert remedy in hits[0].remedy, hits[0].remedy
    with pytest.raises(SubmissionError) as error:
        check(path, fmt, IDS, SHAPES)
    assert str(path) in str(error.value)


FILES = {
    "nothing there": (None, "no such file"),
    "an empty file": (b"", "empty"),
    "half a gzip file": (gzip.compress(GOOD[RUNS].encode(), mtime=0)[:-9], "damaged"),
    "UTF-16": (GOOD[RUNS].encode("utf-16"), "iconv"),
    "Latin-1": (GOOD[RUNS].replace("b2", "bé").encode("latin-1"), "0xe9"),
    "a quote that never ends": (GOOD[RUNS].replace("b2", '"b2').encode(), "quotes"),
    "an Excel file": (b"PK\x03\x04" + bytes(40), "save the sheet as CSV"),
    "a web page": (b"<!DOCTYPE html><html>log in</html>", "logged in"),
    "JSON": (b'{"a1": 1}', "row for each id"),
    "a Parquet file": (b"PAR1" + bytes(40), "write_csv"),
    "a NumPy array": (b"\x93NUMPY\x01\x00", "row for each id"),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_no_table_at_all(tmp_path, name):
    content, says = FILES[name]
    path = tmp_path / "mine.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SubmissionError, match=says):
        check(path, RUNS, IDS, SHAPES)


@pytest.mark.parametrize("fmt", GOOD, ids=lambda f: f.format)
def test_what_is_in_order_passes(tmp_path, fmt):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD[fmt].replace("\n", "\r\n").encode())
    assert inspect(path, fmt, IDS, SHAPES) == []


def test_there_are_more_than_thirty_kinds():
    told = {(d[2], d[6]) for d in DAMAGE.values()}
    assert len(told) >= 30
    assert len(DAMAGE) + len(FILES) >= 50


def masks(tmp_path, change):
    """A zip of masks, one of them changed or left out."""
    path = tmp_path / "masks.zip"
    with zipfile.ZipFile(path, "w") as z:
        for id in IDS:
            name, pixels = change(id, f"{id}.png", np.zeros((10, 10), np.uint8))
            if name is None:
                continue
            content = io.BytesIO()
            Image.fromarray(pixels).save(content, "PNG")
            z.writestr(name, content.getvalue() if not name.startswith("broken") else b"x")
    return path


PNG = {
    "missing": (lambda id, name, m: (None if id == "b2" else name, m), "missing id", "b2.png", "add it"),
    "extra": (lambda id, name, m: (name if id != "b2" else "b3.png", m), "extra id", "b3.png", "b2"),
    "size": (lambda id, name, m: (name, m[:5] if id == "b2" else m), "mask", "b2.png", "original size"),
    "value": (lambda id, name, m: (name, m + 7 * (id == "b2")), "mask", "b2.png", "class numbers"),
    "colours": (lambda id, name, m: (name, np.stack([m] * 3, 2) if id == "b2" else m), "mask", "b2.png", "anew"),
}


@pytest.mark.parametrize("name", PNG)
def test_damage_of_a_zip_of_masks(tmp_path, name):
    change, kind, member, remedy = PNG[name]
    fmt = SubmissionFormat(format="png")
    found = inspect_archive(masks(tmp_path, change), fmt, IDS, SHAPES, (0, 1))
    hits = [p for p in found if (p.kind, p.value) == (kind, member)]
    assert hits, found
    assert remedy in hits[0].remedy
    assert inspect_archive(masks(tmp_path, lambda id, name, m: (name, m)), fmt, IDS, SHAPES, (0, 1)) == []
