"""Files that are not what they seem, and disks that are full."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import stat
import zipfile

import pytest

from hosting import House, call, client, serving, uploaded, wait_graded
from podium.host.server.incoming import opened
from podium.host.server.teams import enter

# files that are not what they seem


def zipped(*members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as z:
        for name, content in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo(name)
            info.compress_type = options.get("compress", zipfile.ZIP_DEFLATED)
            z.writestr(info, content)
    return out.getvalue()


def link():
    info = zipfile.ZipInfo("submission.csv")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped((info, "/etc/passwd"))


def encrypted():
    data = bytearray(zipped(("a.csv", "x")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


HOSTILE = {
    "a gzip bomb": (lambda: gzip.compress(bytes(40 << 20)), "grows too much"),
    "a zip bomb": (lambda: zipped(("a.csv", bytes(40 << 20))), "grows too much"),
    "a zip in a zip": (lambda: zipped(("a.zip", zipped(("a.csv", "x")))), "expected: one CSV file"),
    "a gzip bomb in a zip": (lambda: zipped(("a.csv", gzip.compress(bytes(40 << 20)))), "an archive in an archive"),
    "a zip in a zip by another name": (lambda: zipped(("a.csv", zipped(("b.csv", "x")))), "an archive in an archive"),
    "several files": (lambda: zipped(("a.csv", "x"), ("b.csv", "x")), "the zip has 2 files"),
    "a link": (link, "has a link in it"),
    "an encrypted zip": (encrypted, "is encrypted"),
    "a zip compressed oddly": (lambda: zipped(("a.csv", "x"), compress=zipfile.ZIP_BZIP2), "in a way that is not read"),
    "half a zip": (lambda: zipped(("a.csv", "x" * 1000))[:-30], "the zip is damaged"),
    "half a gzip": (lambda: gzip.compress(b"img,rle_mask\n" * 1000)[:-9], "damaged"),
    "nothing": (lambda: b"", "the file is empty"),
    "zeros": (lambda: bytes(10_000), "there is no column"),
    "UTF-16": (lambda: "img,rle_mask\n".encode("utf-16"), "UTF-16"),
    "a picture that calls itself CSV": (lambda: b"\x05\x00\xff" * 999, "it is no text: is it the right file?"),
    "no UTF-8": (lambda: b"img,rle_mask\ncar3_01.jpg,\xff\xfe\n", "not UTF-8"),
    "a word": (lambda: b"img,rle_mask\ncar3_01.jpg,nan inf\n", "not a whole number"),
    "more rows than asked": (lambda: b"img,rle_mask\n" + b"".join(b"x%d.jpg,\n" % n for n in range(5000)), "5000 "),
    "a row twice": (lambda: b"img,rle_mask\ncar3_01.jpg,\ncar3_01.jpg,\n", "double id"),
    "a huge number": (lambda: b"img,rle_mask\ncar3_01.jpg,1 " + b"9" * 5000 + b"\n", "reaches past the last pixel"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_fail_with_a_reason_and_use_nothing(live, kind):
    make, told = HOSTILE[kind]
    with client(live.port, live.tokens["eve"]) as http:
        before = http.get("/api/competitions/cars/limits").json()["total"]
        made = uploaded(http, make(), name="evil.csv")
        assert made.status_code == 201, made.text
        wait_graded(live)
        found = http.get(f"/api/submissions/{made.json()['id']}").json()
        assert found["status"] == "failed"
        assert told in found["error"], found["error"]
        assert str(live.folder) not in found["error"]
        assert http.get("/api/competitions/cars/limits").json()["total"] == before


def test_a_reason_is_short_however_long_what_it_quotes_is(live):
    """It is kept and is on a page: a field of megabytes, names of columns, a class, a number."""
    long = b"9" * 3_000_000
    rows = (long, b"img,rle_mask\n" + long, b"img,rle_mask\n%b,%b\n" % (long, long), b"img,rle_mask," + long + b"\n")
    with client(live.port, live.tokens["eve"]) as http:
        for data in rows:
            number = uploaded(http, data, name="long.csv").json()["id"]
            wait_graded(live)
            found = http.get(f"/api/submissions/{number}").json()
            assert found["status"] == "failed"
            assert found["error"].startswith("long.csv: ")
            assert len(found["error"]) < 10_100
        kept = live.host.db.one("SELECT max(length(error)) AS n FROM grades")["n"]
    assert kept < 10_100


def test_what_to_type_is_told_with_the_name_that_the_team_knows(live):
    with client(live.port, live.tokens["eve"]) as http:
        number = uploaded(http, "img,rle_mask\n".encode("utf-16"), name="my file.csv").json()["id"]
        wait_graded(live)
        told = http.get(f"/api/submissions/{number}").json()["error"]
    assert (
        "(iconv -f UTF-16 -t UTF-8 'my file.csv' > 'my file.csv.utf8' && mv 'my file.csv.utf8' 'my file.csv')" in told
    )


def test_a_zip_of_one_csv_and_a_gzip_are_graded(live):
    data = live.csv(0.12, 9).read_bytes()
    with client(live.port, live.tokens["eve"]) as http:
        ids = [uploaded(http, d).json()["id"] for d in (zipped(("my.csv", data)), gzip.compress(data), data)]
        wait_graded(live)
        scores = {http.get(f"/api/submissions/{n}").json()["public"] for n in ids}
    assert len(scores) == 1
    assert None not in scores


def test_a_zip_of_masks_is_bounded_too(tmp_path, monkeypatch):
    monkeypatch.setattr("podium.host.server.incoming.LARGEST", 1000)
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(("a.png", bytes(600)), ("b.png", bytes(600)), compress=zipfile.ZIP_STORED))
    with pytest.raises(Exception, match="grows too much"), opened(path, "a.zip", masks=True):
        pass


def test_what_the_kaggle_client_prints_of_an_error_is_json_with_a_message(live):
    with client(live.port, live.tokens["alice"]) as http:
        for answer in (call(http, "Nothing"), call(http, "GetCompetition", competitionName="x"), http.get("/nowhere")):
            assert set(json.loads(answer.text)) == {"code", "message"}
            assert json.loads(answer.text)["code"] == answer.status_code == 404


def test_a_full_disk_is_told_and_uses_nothing(disk):
    house = House(disk / "house", spare_mb=0)
    enter(house.host, house.hosted, house.user("alice"))
    with serving(house.host) as port, client(port, house.tokens["alice"]) as http:
        token = http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 300_000}).json()["token"]
        filler = disk / "filler"
        with open(filler, "wb", buffering=0) as f, contextlib.suppress(OSError):
            while f.write(bytes(4096)):
                pass
        answer = http.put(f"/api/uploads/{token}", content=b"x" * 300_000)
        assert answer.status_code == 503, answer.text
        assert "disk" in answer.text
        assert http.post("/api/competitions/cars/uploads", json={"file_name": "a", "size": 1}).status_code == 503
        filler.unlink()
        assert http.put(f"/api/uploads/{token}", content=b"x" * 300_000).status_code == 201
        assert http.get("/api/competitions/cars/limits").json()["total"] == 0
