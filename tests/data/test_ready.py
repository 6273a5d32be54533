"""`prepare` as a whole: exclusions only when asked for, twins together, folds kept."""

from __future__ import annotations

import shutil

import pytest

from podium.data.infer import infer
from podium.data.ready import make_ready
from podium.errors import DataError


@pytest.fixture
def space(tmp_path, tiny_competition):
    tiny_competition(tmp_path / "data", images="train/{id}.png", masks="train_masks/{id}.png", n_groups=8)
    return tmp_path


def ready(space, size=None, **options):
    return make_ready(infer(space / "data", "n").competition, space, size, **options)


def test_everything_is_made_and_then_reused(space):
    first = ready(space, [16, 16])
    assert [s.name for s in first.stages if s.reused] == ["images are read"]
    second = ready(space, [16, 16])
    assert all(s.reused for s in second.stages)
    assert second.folds == first.folds
    assert len(first.told()) == 6
    assert sorted(first.folds.fold) == first.stores.images.ids
    assert len({(first.folds.group[i], f) for i, f in first.folds.fold.items()}) == 8


def test_bad_samples_stop_it_by_name_until_they_are_excluded(space):
    (space / "data/train/car0_01.png").write_bytes(b"broken")
    (space / "data/train_masks/car1_01.png").unlink()
    (space / "data/test/car9_01.png").write_bytes(b"")
    with pytest.raises(DataError, match="3 samples cannot be used") as caught:
        ready(space)
    assert all(id in str(caught.value) for id in ("car0_01: ", "car1_01: has no mask", "car9_01: "))
    assert "--exclude-bad" in caught.value.remedy
    assert not (space / "exclude.csv").exists()
    assert not (space / "folds.csv").exists()
    prepared = ready(space, exclude_bad=True)
    assert sorted(prepared.excluded) == ["car0_01", "car1_01", "car9_01"]
    assert len(prepared.folds.fold) == 22
    assert ready(space).folds == prepared.folds
    assert "excluded: 3 samples" in prepared.told()[-1]


def test_a_sample_that_the_user_excludes_is_left_out(space):
    (space / "exclude.csv").write_text("id,reason\ncar0_01,blurred\n")
    prepared = ready(space)
    assert "car0_01" not in prepared.folds.fold
    assert prepared.excluded == {"car0_01": "blurred"}


def test_identical_images_of_two_groups_share_a_fold_at_every_size(space):
    for folder in ("train", "train_masks"):
        shutil.copy(space / f"data/{folder}/car0_01.png", space / f"data/{folder}/car7_02.png")
    prepared = ready(space)
    assert len({f for id, f in prepared.folds.fold.items() if id.startswith(("car0", "car7"))}) == 1
    assert "1 duplicates kept together" in prepared.stages[-1].why
    assert ready(space, [8, 8]).folds == prepared.folds


def test_folds_that_the_user_wrote_are_kept_or_refused(space):
    ready(space)
    lines = (space / "folds.csv").read_text().splitlines()
    swapped = [line[:-1] + str((int(line[-1]) + 1) % 5) for line in lines[1:]]
    (space / "folds.csv").write_text("\n".join([lines[0], *swapped]))
    assert ready(space).folds.fold["car0_01"] == int(swapped[0][-1])
    (space / "folds.csv").write_text("\n".join([lines[0], lines[1], *swapped[1:]]))
    with pytest.raises(DataError, match="group 'car0' is torn"):
        ready(space)
