"""CSV files as people really save them."""

from __future__ import annotations

import gzip

import pytest

from podium.errors import DataError
from podium.formats.tables import column, read_csv, unique_ids


def write(tmp_path, data: bytes):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"id,rle_mask\na,1 2\nb,\n",
        b"\xef\xbb\xbfid,rle_mask\na,1 2\nb,\n",
        b"id,rle_mask\r\na,1 2\r\nb,\r\n",
        b"id,rle_mask\na,1 2\nb,",
        b"id,rle_mask\na,1 2\nb,\n\n \n",
        b'"id","rle_mask"\n"a","1 2"\n"b",""\n',
        gzip.compress(b"id,rle_mask\na,1 2\nb,\n", mtime=0),
    ],
)
def test_reads_the_same_table(tmp_path, data):
    df = read_csv(write(tmp_path, data))
    assert df.columns == ["id", "rle_mask"]
    assert df.rows() == [("a", "1 2"), ("b", "")]


def test_everything_stays_text(tmp_path):
    assert read_csv(write(tmp_path, b"id,n\n007,1.0\nNA,null\n")).rows() == [("007", "1.0"), ("NA", "null")]


def test_quotes_commas_and_line_breaks(tmp_path):
    path = write(tmp_path, b'id,note\n"a,1","say ""hi""\nthere"\nb,plain\n"a,1",x\n')
    df = read_csv(path)
    assert df.rows()[0] == ("a,1", 'say "hi"\nthere')
    with pytest.raises(DataError, match=r"'a,1' is there twice, on lines 2 and 5"):
        unique_ids(df, "id", path)


def test_a_field_longer_than_the_csv_module_likes(tmp_path):
    path = write(tmp_path, b'id,rle\n"a","' + b"1 2 " * 100_000 + b'"\n')
    assert len(read_csv(path)["rle"][0]) == 400_000


def test_only_a_header(tmp_path):
    df = read_csv(write(tmp_path, b"id,rle_mask\n"))
    assert df.shape == (0, 2)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "id,name\na,ok\nb,Müller\n".encode("latin-1"),
            ["line 3", "0xfc", "position 4", "iconv -f LATIN1 -t UTF-8 table.csv"],
        ),
        ("id,name\na,x\n".encode("utf-16"), ["UTF-16", "iconv -f UTF-16"]),
        (b"id,name\na,1\nb\n", ["line 3", "1 field", "expected: 2"]),
        (b"id,name\na,1,2\n", ["line 2", "3 fields", "expected: 2"]),
        (b"id,name\na,1\n\nb,2\n", ["line 3", "blank"]),
        (b"id,id\na,1\n", ["two columns are called 'id'"]),
        (b'id,name\na,"1\n', ["line 2", "quotes"]),
        (b"", ["empty"]),
        (b"\n\n", ["empty"]),
        (gzip.compress(b"id,name\na,1\n" * 1000, mtime=0)[:-20], ["gzip file is damaged"]),
    ],
)
def test_faults_name_file_line_and_remedy(tmp_path, data, said):
    with pytest.raises(DataError) as caught:
        read_csv(write(tmp_path, data))
    for words in ["table.csv", *said]:
        assert words in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_csv(tmp_path / "none.csv")
    with pytest.raises(DataError, match="cannot be read"):
        read_csv(tmp_path)


def test_missing_column_names_the_nearest(tmp_path):
    path = write(tmp_path, b"id,rle_mask\na,\n")
    with pytest.raises(DataError, match=r"(?s)columns id, rle_mask.*did you mean 'rle_mask'"):
        column(read_csv(path), "rle_masks", path)


def test_ids_must_be_unique_and_there(tmp_path):
    path = write(tmp_path, b"id,x\na,\nb,\na,\n")
    with pytest.raises(DataError, match="'a' is there twice, on lines 2 and 4"):
        unique_ids(read_csv(path), "id", path)
    path = write(tmp_path, b"id,x\na,\n,1\n")
    with pytest.raises(DataError, match="line 3: 'id' is empty"):
        unique_ids(read_csv(path), "id", path)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_semicolons_and_tabs_where_the_header_has_no_comma(tmp_path, separator):
    rows = [["id", "bmi", "note"], ["a", "20,5", "x, y"], ["b", "-3", '"q"'], ["c", "", "1,5 kg"]]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(separator.join(row) for row in rows) + "\n")
    table = read_csv(path)
    assert table.columns == rows[0]
    assert table["bmi"].to_list() == ["20.5", "-3", ""]
    assert table["note"].to_list() == ["x, y", "q", "1,5 kg"]
    path.write_text("id,what;else\na,1;2\n")
    assert read_csv(path).columns == ["id", "what;else"]


def test_spaces_after_separators_are_no_part_of_names_or_values(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id, label , n\na, cat, 1\nb, big dog, 2\n")
    table = read_csv(path)
    assert (table.columns, table["label"].to_list()) == (["id", "label", "n"], ["cat", "big dog"])
    path.write_text("id,label,text\na, cat, one\nb, dog,two\n")
    table = read_csv(path)
    assert (table["label"].to_list(), table["text"].to_list()) == (["cat", "dog"], [" one", "two"])
