"""Stain normalisation: the colours of a haematoxylin and eosin slide, whatever laboratory and scanner it comes from."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from podium.errors import DataError

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

LIGHT = 240.0
"""Intensity of light that no stain weakened."""
TISSUE = 0.15
"""A pixel is stained where the optical density of each channel is at least this."""
ANGLES = (1.0, 99.0)
"""Percentiles of the angle in the stain plane that stand for pure stains, and of a stain's highest concentration."""
REFERENCE_STAINS: Floats = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]])
"""Optical densities (R, G, B) of haematoxylin and of eosin, of length 1 each."""
REFERENCE_CONCENTRATIONS: Floats = np.array([1.9705, 1.0308])
"""Highest (99th percentile) concentrations of the two."""
SAMPLE = 50_000
"""Pixels that are looked at to find the stains; the change is made to all."""
FEWEST = 50
SMALLEST_ANGLE = 2.0
"""Degrees between the two stains found; below it there is one colour, hence nothing to tell apart."""

_DENSITY = -np.log((np.arange(256, dtype=np.float64) + 1) / LIGHT)


def macenko(image: Pixels) -> Pixels:
    """An image with its stains replaced by the reference's.

    An image in which the two stains cannot be told apart (blank, of one colour, not H&E) is returned as it is.

    Args:
        image: uint8 (H, W, 3), RGB, on a light ground.

    Source: Macenko et al. 2009, "A method for normalizing histology slides for quantitative analysis"; reference
    stains of the authors' circle, as published with M. Veta's implementation of it.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise DataError(f"stain normalisation needs RGB images of 8 bits, not {image.dtype} {image.shape}")
    found = stains(image)
    if found is None:
        return image
    own, highest = found
    change = REFERENCE_STAINS @ np.diag(REFERENCE_CONCENTRATIONS / highest) @ np.linalg.pinv(own)
    density = _DENSITY.astype(np.float32)[image]
    return np.asarray((LIGHT * cv2.exp(-cv2.transform(density, change))).clip(0, 255).round().astype(np.uint8))


def stains(image: Pixels) -> tuple[Floats, Floats] | None:
    """The stains of an image: (3, 2) densities of length 1, haematoxylin first; (2,) highest concentrations.

    None where there is no telling: hardly any tissue, one colour only, or two of which one is nearer to the other's
    reference than to its own (a slide without eosin, whose nuclei would come out inverted).
    """
    pixels = image.reshape(-1, 3)
    if len(pixels) > SAMPLE:
        pixels = pixels[np.random.default_rng(0).integers(len(pixels), size=SAMPLE)]
    density = _DENSITY[pixels]
    tissue = density[(density >= TISSUE).all(axis=1)]
    if len(tissue) < max(FEWEST, len(density) // 1000):
        return None
    _, vectors = np.linalg.eigh(np.cov(tissue.T))
    plane = vectors[:, :0:-1]  # the two directions of most variance
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)  # densities are positive: so is their main direction
    seen = tissue @ plane
    least, most = np.radians(np.percentile(np.degrees(np.arctan2(seen[:, 1], seen[:, 0])), ANGLES))
    if np.degrees(most - least) < SMALLEST_ANGLE:
        return None
    ends = plane @ np.array([[np.cos(least), np.cos(most)], [np.sin(least), np.sin(most)]])
    own = ends[:, ::-1] if ends[0, 0] < ends[0, 1] else ends  # haematoxylin takes more of the red
    nearer = (own / np.linalg.norm(own, axis=0)).T @ REFERENCE_STAINS  # cosines: a stain a row, a reference a column
    if nearer[0, 0] < nearer[0, 1] or nearer[1, 1] < nearer[1, 0]:
        return None
    highest = np.percentile(tissue @ np.linalg.pinv(own).T, ANGLES[1], axis=0)
    if (highest <= 0).any():
        return None
    return own, highest
