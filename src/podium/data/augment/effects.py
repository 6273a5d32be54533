"""The costlier changes of the image alone: blur, motion, noise, holes, JPEG; the mask stays."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from podium.data.augment.draws import Draws, between, generator
from podium.recipe import AugmentConfig

Pixels = NDArray[Any]

NORMAL = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)])
"""256 equally likely values of a standard normal: a random byte looks one up."""


def disturb(config: AugmentConfig, draws: Draws, come: frozenset[str], image: Pixels) -> Pixels:
    """The image after those of the changes that come; the same array if none does."""
    if "blur" in come:
        sd = between(draws["blur_size"], 0.1 * config.blur_size, config.blur_size)
        image = _shaped(cv2.GaussianBlur(image, (0, 0), sd, borderType=cv2.BORDER_REFLECT_101), image)
    if "motion" in come:
        length = between(draws["motion_size"], min(3.0, config.motion_size), config.motion_size)
        kernel = motion_kernel(length, draws["motion_angle"] * math.pi)
        image = _shaped(cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101), image)
    if "noise" in come:
        sd = 255 * between(draws["noise_size"], 0.1 * config.noise_size, config.noise_size)
        image = _noisy(image, sd, generator(draws, "noise_seed"))
    if "jpeg" in come:
        image = _compressed(image, round(between(draws["jpeg_quality"], config.jpeg_quality, 95)))
    if "dropout" in come:
        image = _with_holes(config, image, generator(draws, "dropout_seed"))
    return image


def motion_kernel(length: float, angle: float) -> NDArray[np.float32]:
    """A line of ``length`` pixels through the middle, summing to 1."""
    side = 2 * math.ceil(length / 2) + 1
    half, middle = np.array([math.cos(angle), math.sin(angle)]) * (length - 1) / 2, side // 2
    begin, end = (np.round((middle + sign * half) * 256).astype(int).tolist() for sign in (-1, 1))
    kernel = cv2.line(np.zeros((side, side), np.uint8), begin, end, 255, 1, cv2.LINE_AA, 8).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _noisy(image: Pixels, sd: float, rng: np.random.Generator) -> Pixels:
    if image.dtype == np.uint16:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(257 * sd)
        return np.asarray((image + noise).round().clip(0, 65535), np.uint16)
    random = np.frombuffer(rng.bytes(image.size), np.uint8).reshape(image.shape)
    table = (NORMAL * sd).round()
    up, down = (cv2.LUT(random, np.clip(sign * table, 0, 255).astype(np.uint8)) for sign in (1, -1))
    return _shaped(cv2.subtract(cv2.add(np.ascontiguousarray(image), up), down), image)


def _compressed(image: Pixels, quality: int) -> Pixels:
    if image.dtype == np.uint16:  # JPEG has 8 bits: what it changes is changed, the bits below stay
        eight = (image >> 8).astype(np.uint8)
        change = _compressed(eight, quality).astype(np.int32) - eight
        return np.asarray((image + 256 * change).clip(0, 65535), np.uint16)
    if image.shape[2:] == (3,):
        data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=quality, colorsubsampling="420")
        return np.asarray(simplejpeg.decode_jpeg(data))
    channels = [np.ascontiguousarray(c)[..., None] for c in np.moveaxis(np.atleast_3d(image), 2, 0)]
    coded = [simplejpeg.encode_jpeg(c, quality=quality, colorspace="GRAY") for c in channels]
    return np.concatenate([simplejpeg.decode_jpeg(c, colorspace="GRAY") for c in coded], 2).reshape(image.shape)


def _with_holes(config: AugmentConfig, image: Pixels, rng: np.random.Generator) -> Pixels:
    out, (h, w) = np.array(image), image.shape[:2]
    for _ in range(int(rng.integers(1, config.dropout_holes + 1))):
        tall, wide = (max(1, round(side * config.dropout_size * rng.uniform(0.5, 1))) for side in (h, w))
        top, left = int(rng.integers(h - tall + 1)), int(rng.integers(w - wide + 1))
        out[top : top + tall, left : left + wide] = 127 if out.dtype == np.uint8 else 127 * 257
    return out


def _shaped(out: object, image: Pixels) -> Pixels:
    return np.asarray(out, image.dtype).reshape(image.shape)
