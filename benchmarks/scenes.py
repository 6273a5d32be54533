"""Made-up data of the sizes that competitions have."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


def car_size(tiny: bool) -> tuple[int, int]:
    """(height, width): Carvana's, or a small one that is no multiple of 8 wide."""
    return (96, 141) if tiny else (1280, 1918)


def car_mask(tiny: bool, seed: int = 0) -> Pixels:
    """A blob with a rough outline, uint8 of 0 and 1; at Carvana's size about 12,000 characters of runs."""
    h, w = car_size(tiny)
    rng = np.random.default_rng(seed)
    mask = np.zeros((h, w), np.float32)
    cv2.ellipse(mask, (w // 2 + int(rng.integers(-9, 10)), h // 2), (int(w * 0.37), int(h * 0.26)), 5, 0, 360, 1.0, -1)
    noise = rng.standard_normal((max(h // 6, 1), max(w // 6, 1))).astype(np.float32)
    rough = cv2.resize(noise, (w, h), interpolation=cv2.INTER_CUBIC)
    return (cv2.GaussianBlur(mask, (0, 0), 14) + 0.09 * rough > 0.5).astype(np.uint8)


def photo(tiny: bool, seed: int = 0) -> Pixels:
    """A smooth picture with some grain, uint8 RGB; as JPEG of quality 84 about the size that Carvana's files have."""
    h, w = car_size(tiny)
    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (max(h // 80, 2), max(w // 80, 2), 3)).astype(np.float32)
    picture = cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.standard_normal((h, w)).astype(np.float32), (0, 0), 1.2)
    return np.clip(picture + 1.3 * grain[:, :, None], 0, 255).astype(np.uint8)


def class_maps(tiny: bool) -> tuple[Pixels, Pixels]:
    """Truth and prediction of 12 classes in patches, about a tenth of the pixels wrong, all of them near borders."""
    h, w = (36, 48) if tiny else (360, 480)
    rng = np.random.default_rng(0)

    def field() -> npt.NDArray[Any]:
        planes = rng.standard_normal((12, 9, 12)).astype(np.float32)
        return np.stack([cv2.resize(p, (w, h), interpolation=cv2.INTER_CUBIC) for p in planes])

    truth = field()
    return truth.argmax(axis=0).astype(np.uint8), (truth + 0.12 * field()).argmax(axis=0).astype(np.uint8)


def nuclei(tiny: bool) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Label maps of true and predicted ellipses, 110 of them at 520x696, each a little off."""
    rows, columns = (2, 3) if tiny else (10, 11)
    h, w = rows * 52, columns * 63 + 3
    truth, predicted = np.zeros((h, w), np.int32), np.zeros((h, w), np.int32)
    rng = np.random.default_rng(0)
    for label in range(1, rows * columns + 1):
        y, x = 52 * ((label - 1) // columns) + 26, 63 * ((label - 1) % columns) + 32
        turn = int(rng.integers(180))
        cv2.ellipse(truth, (x, y), (22, 16), turn, 0, 360, label, -1)
        dx, dy, more = rng.integers(-4, 5, 3)
        cv2.ellipse(predicted, (x + int(dx), y + int(dy)), (21, 16), turn + 3 * int(more), 0, 360, label, -1)
    return truth, predicted
