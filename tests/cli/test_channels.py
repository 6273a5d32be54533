"""Images of other than three channels of 8 bits, from a folder to a trained fold, by the commands that a user types."""

import cv2
import numpy as np
import pytest
from PIL import Image

from podium.workspace import Workspace

QUICK = ["train.epochs=1", "train.batch_size=4", "augment.noise=0.5", "augment.gamma=0.2", "augment.rotate=20"]


def draw(folder, kind, n=12, size=(40, 48)):
    """Discs on a noisy ground; what tells them apart is in the lower 8 bits, or in the fourth channel, alone."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    y, x = np.mgrid[: size[0], : size[1]]
    for i in range(n):
        mask = (y - rng.uniform(12, 28)) ** 2 + (x - rng.uniform(12, 36)) ** 2 < 64
        if kind == "16 bits":
            pixels = (rng.integers(0, 60, size) + 180 * mask).astype(np.uint16)
            Image.fromarray(pixels).save(folder / "images" / f"{i}.tif")
        else:
            bgra = rng.integers(0, 255, (*size, 4)).astype(np.uint8)
            bgra[..., 3] = 40 + 180 * mask
            cv2.imwrite(str(folder / "images" / f"{i}.png"), bgra)
        Image.fromarray(mask.astype(np.uint8) * 255).save(folder / "masks" / f"{i}.png")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "stored"), [("16 bits", (1, 16)), ("4 channels", (4, 8))])
def test_all_channels_and_bits_reach_the_network(tmp_path, kind, stored):
    space = Workspace.new(tmp_path / "space", draw(tmp_path / "source", kind), settings=["folds.k=2"])
    assert space.recipe().input.channels == ("file" if kind == "16 bits" else "rgb")
    attempt = space.baseline("smoke", [*QUICK, 'input.channels="file"'])
    images = space.prepare(attempt.recipe).stores.images
    assert images.pixel_kinds(range(12)) == {stored}
    assert len({image.tobytes() for image in map(images.image, range(12))}) == 12
    assert [bool(np.isfinite(run.score)) for run in attempt.runs] == [True] * 4  # two folds, two seeds
