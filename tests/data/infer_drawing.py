"""What the tests of inference share: drawn data, and the way from a folder to its samples."""

from __future__ import annotations

import numpy as np
from PIL import Image

from drawing import draw
from podium.data.competition import Competition
from podium.data.infer import infer
from podium.data.samples import list_samples
from podium.data.targets import read_target

SIZE = (24, 32)


def inferred(folder, *settings):
    """The competition after a round trip through its file, and its samples."""
    inference = infer(folder, "drawn").with_settings(settings)
    path = folder.parent / "competition.toml"
    path.write_text(inference.toml(), encoding="utf-8")
    competition = Competition.load(path)
    assert competition == inference.competition
    told = set(dict(inference.why))
    tree = competition.tree()
    for key in ("task", "metric", "data.train_images"):
        assert inference.why[key], key
    for key in told:  # a reason is given for what is there, and for nothing else
        section, _, leaf = key.rpartition(".")
        assert leaf in (tree[section] if section else tree), key
    return competition, list_samples(competition, folder)


def save(path, pixels, **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(path, **kwargs)


def planted(n=10, seed=0, classes=1):
    """{id: (image, labels)}; labels are 0 to ``classes``, all in every image."""
    rng = np.random.default_rng(seed)
    out = {}
    for i in range(n):
        image, mask = draw(rng, SIZE)
        labels = mask.astype(np.uint8)
        for c in range(2, classes + 1):
            labels[:3, 3 * c : 3 * c + 3] = c
        out[f"{'kmqz'[i % 4]}{i * 37 + 11}"] = (image, labels)
    return out


def write(folder, data, images="images/{}.png", masks="masks/{}.png", change=lambda labels: labels * np.uint8(255)):
    for id, (image, labels) in data.items():
        save(folder / images.format(id), image)
        if masks:
            save(folder / masks.format(id), change(labels))
    return folder


def read_all(competition, found):
    return {s.id: read_target(competition, s, SIZE) for s in found.train}


def check_masks(competition, found, data, of=lambda labels: labels > 0):
    assert found.problems == []
    read = read_all(competition, found)
    assert read.keys() == data.keys()
    for id, (_, labels) in data.items():
        np.testing.assert_array_equal(read[id], of(labels))


def table(folder, text_of, n=24, ending="", name="train.csv", header="id,label", images="images/{}.png"):
    """Images of numbers and a table with a row each."""
    ids = [f"{'abcd'[i % 4]}{i:03}x" for i in range(n)]
    rng = np.random.default_rng(0)
    for id in ids:
        save(folder / images.format(id), rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
    rows = [f"{id}{ending},{text_of(i)}" for i, id in enumerate(ids)]
    (folder / name).write_text("\n".join([header, *rows]) + "\n")
    return ids


ONE = ["cat", "dog", "eel"]
