"""Run-length masks of several classes in tables: inferred, written, loaded, each mask read as it was planted."""

from __future__ import annotations

import numpy as np
import pytest
from infer_drawing import SIZE, inferred, planted, read_all, save, write

from podium.data.infer import infer
from podium.data.samples import wanted_ids
from podium.errors import DataError
from podium.formats import masks, rle
from podium.formats.preflight import inspect
from podium.formats.submission_file import SubmissionWriter

CLOUDS = ["Fish", "Flower", "Gravel", "Sugar"]


def layers(n=12, classes=4):
    """{id: (image, bool masks of the classes, which overlap; some are empty)}."""
    out = {}
    for i, (id, (image, labels)) in enumerate(planted(n).items()):
        stack = np.zeros((classes, *SIZE), np.bool_)
        for c in range(classes):
            if (i + c) % 3:
                stack[c] = np.roll(labels == 1, 2 * c, axis=c % 2)
        out[id] = (image, stack)
    return out


def lay_out(folder, data, header, row, *, all_rows=True, order="column", name="train.csv"):
    """Images below train_images and a row for each mask; images without one too, where all rows are given."""
    write(folder, {id: (image, None) for id, (image, _) in data.items()}, "train_images/{}.jpg", None)
    rows = [header]
    for id, (_, stack) in data.items():
        for c, mask in enumerate(stack):
            if all_rows or mask.any():
                rows.append(row(f"{id}.jpg", c, rle.encode(mask, order)))
    (folder / name).write_text("\n".join(rows) + "\n")
    return folder


def sample(folder, header, rows_of, n=5):
    rows = [header]
    for i in range(n):
        save(folder / f"test_images/t{i:02}z.jpg", np.zeros((*SIZE, 3), np.uint8))
        rows += rows_of(f"t{i:02}z.jpg")
    (folder / "sample_submission.csv").write_text("\n".join(rows) + "\n")


def check(competition, found, data):
    assert (competition.task, competition.labels, found.problems) == ("segmentation", "many", [])
    read = read_all(competition, found)
    assert read.keys() == data.keys()
    for id, (_, stack) in data.items():
        np.testing.assert_array_equal(read[id], stack)


def submit(folder, competition, found):
    """The rows of a submission, which passes preflight, and of which every mask comes back."""
    ids, form, seen = wanted_ids(competition, folder, found.test), competition.submission, {}
    assert ids == [f"t{i:02}z" for i in range(5)]
    rng = np.random.default_rng(0)
    made = {id: [rle.encode(rng.random(SIZE) < 0.2, form.order) for _ in form.targets] for id in ids}
    with SubmissionWriter(folder / "s.csv", form) as writer:
        for id in ids:
            writer.write(id, *made[id])
    shapes = dict.fromkeys(ids, SIZE)
    assert inspect(folder / "s.csv", form, ids, shapes, seen.__setitem__) == []
    assert {id: [rle.format_runs(r) for r in runs] for id, runs in seen.items()} == made
    lines = (folder / "s.csv").read_text().splitlines()
    (folder / "s.csv").unlink()
    return lines


@pytest.mark.parametrize("order", ["row", "column"])
def test_severstal(tmp_path, order):
    """ImageId,ClassId,EncodedPixels with rows of what is there only; a sample with one row an image, of class 0."""
    data = layers()
    data["nothing"] = (data["k11"][0], np.zeros((4, *SIZE), np.bool_))
    header = "ImageId,ClassId,EncodedPixels"
    folder = lay_out(
        tmp_path / "d", data, header, lambda id, c, runs: f"{id},{c + 1},{runs}", all_rows=False, order=order
    )
    sample(folder, "ImageId,EncodedPixels,ClassId", lambda id: [f"{id},1 1,0"])
    competition, found = inferred(folder)
    assert competition.classes == {f"class{c}": c for c in range(1, 5)}
    assert (competition.data.no_row, competition.submission.order) == ("empty", order)
    check(competition, found, data)
    form = competition.submission
    assert (form.class_column, form.classes, form.id) == ("ClassId", tuple("1234"), "{id}.jpg")
    lines = submit(folder, competition, found)
    assert (lines[0], len(lines)) == (header, 21)
    assert lines[4].startswith("t00z.jpg,4,")


def test_severstal_as_it_was_before(tmp_path):
    data = layers()
    folder = lay_out(tmp_path / "d", data, "ImageId_ClassId,EncodedPixels", lambda id, c, runs: f"{id}_{c + 1},{runs}")
    sample(folder, "ImageId_ClassId,EncodedPixels", lambda id: [f"{id}_{c},1 1" for c in range(1, 5)])
    competition, found = inferred(folder)
    check(competition, found, data)
    form = competition.submission
    assert (form.id, form.id_column, form.classes) == ("{id}.jpg_{class}", "ImageId_ClassId", tuple("1234"))
    assert submit(folder, competition, found)[3].startswith("t00z.jpg_3,")


@pytest.mark.parametrize("with_sample", [True, False])
def test_clouds(tmp_path, with_sample):
    data = layers()
    folder = lay_out(tmp_path / "d", data, "Image_Label,EncodedPixels", lambda id, c, runs: f"{id}_{CLOUDS[c]},{runs}")
    if with_sample:
        sample(folder, "Image_Label,EncodedPixels", lambda id: [f"{id}_{c},1 1" for c in CLOUDS])
    inference = infer(folder, "n")
    assert "may overlap" in inference.why["task"]
    competition, found = inferred(folder)
    assert competition.classes == {c: i for i, c in enumerate(CLOUDS, 1)}
    check(competition, found, data)
    assert competition.submission.id == "{id}.jpg_{class}"
    if with_sample:
        assert submit(folder, competition, found)[4].startswith("t00z.jpg_Sugar,")


@pytest.mark.parametrize("joined", [True, False])
def test_a_table_that_is_written_otherwise_than_the_submission(tmp_path, joined):
    """As UW-Madison: id,class,segmentation, and submissions of id,class,predicted; or of joined ids."""
    data = layers(classes=3)
    names = ["large_bowel", "small_bowel", "stomach"]
    folder = lay_out(tmp_path / "d", data, "id,class,segmentation", lambda id, c, runs: f"{id[:-4]},{names[c]},{runs}")
    if joined:
        sample(folder, "id_class,rle", lambda id: [f"{id[:-4]}_{c}," for c in names])
    else:
        sample(folder, "id,class,predicted", lambda id: [f"{id[:-4]},{c}," for c in names])
    competition, found = inferred(folder)
    assert competition.classes == dict(zip(names, (1, 2, 3), strict=True))
    check(competition, found, data)
    lines = submit(folder, competition, found)
    assert lines[0] == ("id_class,rle" if joined else "id,class,predicted")
    assert lines[1].startswith("t00z_large_bowel," if joined else "t00z,large_bowel,")


def test_several_objects_of_a_class_are_one_mask(tmp_path):
    """As iMaterialist: a row an object, and 46 classes."""
    data = layers()
    folder = lay_out(tmp_path / "d", data, "id,runs,category", lambda id, c, runs: f"{id},{runs},kind{c}")
    more = [f"{id}.jpg,1 3,kind0" for id in data]
    text = (folder / "train.csv").read_text() + "\n".join(more) + "\n"
    (folder / "train.csv").write_text(text)
    for _, stack in data.values():
        flat = stack[0].T.copy().reshape(-1)
        flat[:3] = True
        stack[0] = flat.reshape(SIZE[::-1]).T
    competition, found = inferred(folder)
    check(competition, found, data)


def test_classes_left_out(tmp_path):
    data = layers()
    folder = lay_out(tmp_path / "d", data, "Image_Label,EncodedPixels", lambda id, c, runs: f"{id}_{CLOUDS[c]},{runs}")
    competition, found = inferred(folder, 'data.exclude_classes=["Flower"]')
    check(competition, found, {id: (image, stack[[0, 2, 3]]) for id, (image, stack) in data.items()})


def test_a_map_of_classes_from_rows_of_classes(tmp_path):
    """The same table read as classes that exclude each other: the last one named keeps a pixel."""
    data = layers()
    folder = lay_out(tmp_path / "d", data, "Image_Label,EncodedPixels", lambda id, c, runs: f"{id}_{CLOUDS[c]},{runs}")
    competition, found = inferred(folder, "labels=one", "classes.background=0")
    read = read_all(competition, found)
    for id, (_, stack) in data.items():
        truth = np.zeros(SIZE, np.uint8)
        for c, mask in enumerate(stack, 1):
            truth[mask] = c
        np.testing.assert_array_equal(read[id], truth)


def test_a_class_that_is_none(tmp_path):
    from podium.data.competition import Competition
    from podium.data.samples import list_samples
    from podium.errors import DataError

    data = layers()
    folder = lay_out(tmp_path / "d", data, "id,class,runs", lambda id, c, runs: f"{id},{CLOUDS[c]},{runs}")
    competition, _ = inferred(folder)
    text = (folder / "train.csv").read_text().replace(",Fish,", ",Fsh,", 1)
    (folder / "train.csv").write_text(text)
    with pytest.raises(DataError, match=r"(?s)'Fsh' of 'k11' is none of submission.classes.*did you mean 'Fish'"):
        list_samples(competition, folder)
    other = Competition.from_tree(competition.tree() | {"classes": {"a": 1, "b": 2}})
    with pytest.raises(DataError, match=r"masks of 4 classes, and \[classes\] has 2"):
        list_samples(other, folder)


def test_one_class_is_what_it_was(tmp_path):
    """A column of labels beside one mask an image makes no classes of it."""
    data = {id: (image, stack[:1] | True) for id, (image, stack) in layers(classes=1).items()}
    folder = lay_out(
        tmp_path / "d", data, "id,rle_mask,type", lambda id, c, runs: f"{id},{runs},{'ab'[ord(id[1]) % 2]}"
    )
    competition, _ = inferred(folder)
    assert (competition.labels, competition.classes) == ("one", {"foreground": 1})


@pytest.mark.parametrize("with_sample", [True, False])
def test_a_column_of_masks_for_each_class(tmp_path, with_sample):
    data, folder = layers(classes=3), tmp_path / "d"
    names = ["liver", "kidney", "spleen"]
    write(folder, {id: (image, None) for id, (image, _) in data.items()}, "train_images/{}.jpg", None)
    rows = [",".join([id, *(rle.encode(mask, "column") for mask in stack)]) for id, (_, stack) in data.items()]
    (folder / "train.csv").write_text("\n".join(["id,liver,kidney,spleen", *rows]) + "\n")
    if with_sample:
        sample(folder, "id,liver,kidney,spleen", lambda name: [f"{name[:-4]},1 1,1 1,"])
    competition, found = inferred(folder, "submission.order=column")
    assert (list(competition.classes), list(competition.submission.value_columns)) == (names, names)
    check(competition, found, data)
    if with_sample:
        assert submit(folder, competition, found)[0] == "id,liver,kidney,spleen"


@pytest.mark.parametrize("of", ["ClassId", "organ"])
@pytest.mark.parametrize("asked", [True, False])
def test_a_class_column_where_each_image_has_one_mask(tmp_path, of, asked):
    """Severstal's, if few images are there; but an organ that no submission names is what the image is of."""
    data = layers()
    for i, (_, stack) in enumerate(data.values()):
        stack[[c for c in range(4) if c != i % 4]] = False
        stack[i % 4, 3:9, 4:8] = True
    folder = lay_out(
        tmp_path / "d", data, f"ImageId,{of},EncodedPixels", lambda *r: f"{r[0]},{r[1]},{r[2]}", all_rows=False
    )
    header = f"ImageId,EncodedPixels{f',{of}' if asked else ''}"
    sample(folder, header, lambda name: [f"{name},1 1{',1' if asked else ''}"])
    if not asked:
        (folder / "test.csv").write_text(f"ImageId,{of}\nt00z.jpg,1\n")
    competition, found = inferred(folder, "submission.order=column")
    if asked:
        check(competition, found, data)
    else:
        assert (competition.task, competition.labels) == ("segmentation", "one")


@pytest.mark.parametrize("header", ["ImageId,EncodedPixels", "ImageId, EncodedPixels"])
@pytest.mark.parametrize("of_sample", ["-1", " -1", "1 1", None])
def test_minus_1_is_no_mask(tmp_path, header, of_sample):
    data = planted(20)
    folder = write(tmp_path / "d", data, "train_images/{}.jpg", None)
    empty = set(sorted(data)[::3])
    gap = " " if " " in header else ""
    rows = [
        f"{id},{gap}{'-1' if id in empty else rle.encode(labels > 0, 'column')}" for id, (_, labels) in data.items()
    ]
    (folder / "train-rle.csv").write_text("\n".join([header, *rows]) + "\n")
    if of_sample is not None:
        sample(folder, header, lambda name: [f"{name[:-4]},{of_sample}"])
    competition, found = inferred(folder, "submission.order=column")
    assert (competition.task, len(found.train), found.problems) == ("segmentation", 20, [])
    assert {id for id, mask in read_all(competition, found).items() if not mask.any()} == empty
    form = competition.submission
    assert form.empty == ("" if of_sample == "1 1" else "-1")
    with SubmissionWriter(tmp_path / "s.csv", form) as writer:
        writer.write("t", "")
        writer.write_packed("u", masks.pack(np.zeros(SIZE, np.bool_)), SIZE[1])
    assert (tmp_path / "s.csv").read_text().splitlines()[1:] == [f"t,{form.empty}", f"u,{form.empty}"]
    assert inspect(tmp_path / "s.csv", form, ["t", "u"], dict.fromkeys("tu", SIZE), lambda *_: None) == []


def test_a_column_that_is_mostly_masks_is_no_target(tmp_path):
    """Beside one mask with a slip in it; and no more guesses are made of what was meant."""
    data = planted(20)
    folder = write(tmp_path / "d", data, "train/{}.jpg", None)
    texts = [rle.encode(labels > 0, "column") for _, labels in data.values()]
    texts[0], texts[3:6] = texts[0][:-2] + "x", texts[6:9]
    rows = [f"{id},{text}" for id, text in zip(data, texts, strict=True)]
    (folder / "train.csv").write_text("\n".join(["id,pixels", *rows]) + "\n")
    with pytest.raises(DataError, match="no targets found"):
        infer(folder, "d")
