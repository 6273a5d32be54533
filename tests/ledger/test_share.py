"""Attempts to a teammate and back: what is in the file, what is checked, how verdicts are pooled."""

from __future__ import annotations

import shutil
import tomllib
import zipfile
from pathlib import Path

import pytest
from pretend import fresh, tried

from drawing import tiny_competition
from podium.config import read_toml
from podium.errors import DataError, LedgerError
from podium.ledger.share import MANIFEST, data_digest
from podium.workspace import Workspace


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return tiny_competition(
        tmp_path_factory.mktemp("source"), n_groups=8, test_groups=2, table="train_masks.csv"
    ).folder


@pytest.fixture(scope="module")
def pristine(tmp_path_factory, source):
    """Ann's workspace with two attempts, and Bob's with her folds and nothing trained; made once, and copied."""
    root = tmp_path_factory.mktemp("team")
    space, digest = fresh(root / "ann" / "cars", source)
    tried(space, digest, "flips", "augment.vflip=0.5", 0.05)
    tried(space, digest, "hot", "optim.lr=1e-2", -0.05)
    other = Workspace.new(root / "bob" / "cars", source, ["folds.k=2"])
    shutil.copy(space.root / "folds.csv", other.root / "folds.csv")
    return root


def copied(pristine, tmp_path, who):
    return Workspace(Path(shutil.copytree(pristine / who / "cars", tmp_path / who / "cars", symlinks=True)))


@pytest.fixture
def ann(pristine, tmp_path):
    return copied(pristine, tmp_path, "ann")


@pytest.fixture
def bob(pristine, tmp_path):
    return copied(pristine, tmp_path, "bob")


def test_what_is_in_the_file(ann, tmp_path):
    path, files, chain = ann.teaming.share(["flips"], tmp_path / "flips.zip", who="Ann")
    assert [a.name for a in chain] == ["baseline", "flips"]
    with zipfile.ZipFile(path) as z:
        names = set(z.namelist())
        manifest = tomllib.loads(z.read(MANIFEST).decode())
    assert len(names) == files + 1
    assert {"competition.toml", "folds.csv", "attempts/0001-flips/verdict.toml"} < names
    assert "attempts/0001-flips/fold0-seed0/scores.parquet" in names
    assert not [n for n in names if "best.pt" in n or "oof" in n]
    assert (manifest["who"], manifest["attempts"], set(manifest["files"])) == (
        "Ann",
        ["0001-flips"],
        names - {MANIFEST},
    )
    assert str(ann.root) not in str(manifest)
    whole, _, _ = ann.teaming.share(["flips"], tmp_path / "oof.zip", oof=True)
    with zipfile.ZipFile(whole) as z:
        assert "attempts/0001-flips/fold1-seed0/oof/values.npy" in z.namelist()


def test_a_teammate_takes_it_over_and_judges_it(ann, bob, tmp_path):
    path, _, _ = ann.teaming.share(["flips", "hot"], tmp_path / "two.zip", who="Ann")
    found = bob.teaming.adopt(path)
    assert [a.name for a in found.attempts] == ["flips", "hot"]
    assert (found.who, found.known) == ("Ann", 0)
    assert [a.name for a in bob.attempts.all()] == ["baseline", "flips", "hot"]
    assert bob.attempts.get("flips").verdict.gain == pytest.approx(ann.attempts.get("flips").verdict.gain)
    assert read_toml(bob.attempts.get("flips").folder / "change.toml")["adopted_from"].startswith("Ann, 20")
    assert not list((bob.root / ".podium").glob("adopting-*"))
    again = bob.teaming.adopt(path)
    assert (again.known, len(bob.attempts.all())) == (2, 3)


def test_verdicts_of_several_on_the_same_change(ann, bob, tmp_path, source):
    bob.adopt(ann.teaming.share(["flips"], tmp_path / "a.zip", who="Ann")[0])
    cy, digest = fresh(tmp_path / "cy" / "cars", source)
    tried(cy, digest, "upside-down", "augment.vflip=0.5", 0.04)
    shared = cy.teaming.share(["upside-down"], tmp_path / "c.zip", who="Cy")[0]
    bob.adopt(shared)
    (one,) = bob.teaming.team("Bob")
    assert one.told == "augment.vflip = 0.5"
    assert set(one.names) == {"flips", "upside-down"}
    assert one.pooled.people == 2
    assert "over 2 people, 2 YES" in str(one)
    assert 0.035 < one.pooled.gain < 0.055
    assert ann.teaming.team("Ann")[0].pooled.people == 1


def rewrite(path, change):
    """The archive with one member changed: {name: content} in, {name: content} out."""
    with zipfile.ZipFile(path) as z:
        members = change({n: z.read(n) for n in z.namelist()})
    with zipfile.ZipFile(path, "w") as z:
        for name, data in members.items():
            z.writestr(name, data)


RUN = "attempts/0001-flips/fold0-seed0/scores.parquet"
TAMPERED = {
    "a file changed": (lambda m: m | {RUN: m[RUN] + b"x"}, "is not what it was"),
    "a file too many": (lambda m: m | {"attempts/0001-flips/evil.py": b"x"}, "is not in its list"),
    "a file missing": (lambda m: {k: v for k, v in m.items() if k != RUN}, "is missing"),
    "no list": (lambda m: {k: v for k, v in m.items() if k != MANIFEST}, "not an archive of attempts"),
    "a list that is none": (lambda m: m | {MANIFEST: b"format = 1\n"}, "damaged"),
    "a newer one": (lambda m: m | {MANIFEST: m[MANIFEST].replace(b"format = 1", b"format = 99")}, "newer podium"),
    "a name that leads away": (
        lambda m: m | {MANIFEST: m[MANIFEST].replace(b'attempts = ["0001', b'attempts = ["../0001')}, "is not in it",
    ),
    "a path that leads outside": (lambda m: m | {"../../evil": b"x"}, "leads outside"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_file_that_was_tampered_with(ann, bob, tmp_path, name):
    change, says = TAMPERED[name]
    path, _, _ = ann.teaming.share(["flips"], tmp_path / "a.zip")
    rewrite(path, change)
    with pytest.raises((LedgerError, DataError), match=says):
        bob.adopt(path)
    assert bob.attempts.names() == []
    assert not (bob.root / "team").exists()
    assert not list(tmp_path.rglob("evil*"))


def test_what_is_no_archive(bob, tmp_path):
    (tmp_path / "x.zip").write_bytes(b"no zip")
    with pytest.raises(DataError, match="not a zip"):
        bob.adopt(tmp_path / "x.zip")


def test_other_data_other_folds_and_another_metric_are_refused(ann, bob, tmp_path, source):
    path, _, _ = ann.teaming.share(["flips"], tmp_path / "a.zip")
    folds = (bob.root / "folds.csv").read_text()
    lines = folds.splitlines()
    (bob.root / "folds.csv").write_text(
        "\n".join([lines[0], *(f"{li[:-1]}{1 - int(li[-1])}" for li in lines[1:])]) + "\n"
    )
    with pytest.raises(LedgerError, match=r"its folds are not ours: (\d+) of \1 samples"):
        bob.adopt(path)
    (bob.root / "folds.csv").write_text(folds)

    other = shutil.copytree(source, tmp_path / "other")
    image = next(p for p in sorted(other.rglob("*.jpg")) if "test" not in p.parts)
    image.write_bytes(image.read_bytes() + b"\0")
    cy = Workspace.new(tmp_path / "cy" / "cars", other, ["folds.k=2"])
    with pytest.raises(LedgerError, match="other files than ours"):
        cy.adopt(path)

    dee = Workspace.new(tmp_path / "dee" / "cars", source, ["folds.k=2", "metric=iou"])
    with pytest.raises(LedgerError, match="its metric is dice, ours is iou"):
        dee.adopt(path)


def test_the_digest_is_of_content_not_of_place(ann, bob):
    assert data_digest(ann.samples().train) == data_digest(bob.samples().train)
    assert data_digest(ann.samples().train) != data_digest(ann.samples().train[1:])


def test_an_attempt_without_a_training_is_not_shared(ann, tmp_path):
    base = ann.attempts.get(0)
    ann.attempts.create("idle", base.recipe.with_overrides(["optim.lr=5e-5"]), base, "later", base.folds)
    with pytest.raises(LedgerError, match="no trained fold"):
        ann.teaming.share(["idle"], tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
