"""The studio: camera, light, wall with letters, turntable, and the painting of a mesh into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from podium.demo.shapes import (
    ANTENNA,
    CABIN,
    CABIN_TRIM,
    GAPS,
    MIRRORS,
    SHELL,
    SHELL_TRIM,
    UNDERBODY,
    Floats,
    Mesh,
    f32,
)

Bytes = npt.NDArray[np.uint8]

OVERSAMPLING = 2
"""Faces are painted this much larger and averaged down: smooth edges, and masks exact to the pixel."""

GRAIN_ZERO = 16
"""What stands for no noise in `grain`."""

_SHIFT = 4  # fractional bits of OpenCV's integer coordinates
_TABLE, _WALL = 3.4, 13.0  # radii in metres, both round the turntable's middle


@dataclass(frozen=True)
class Camera:
    """A camera on a tripod before the turntable, looking along -x.

    Attributes:
        distance: From the turntable's middle, in metres.
        height: Above the floor, in metres.
        aim: Height it looks at over the turntable's middle, in metres.
        zoom: Focal length in image widths.
        pan: Shift of the picture to the right, in image widths.
    """

    distance: float = 7.6
    height: float = 1.6
    aim: float = 0.82
    zoom: float = 1.1
    pan: float = 0.0

    def project(self, points: Floats, size: tuple[int, int]) -> tuple[Floats, Floats]:
        """Where world ``points`` (..., 3) appear: pixels (..., 2) as x, y with (0, 0) the picture's corner; depths."""
        height, width = size
        slope = np.arctan2(self.height - self.aim, self.distance)
        ahead, up = self.distance - points[..., 0], points[..., 2] - self.height
        depth = np.maximum(ahead * np.cos(slope) - up * np.sin(slope), 0.2)
        rise = ahead * np.sin(slope) + up * np.cos(slope)
        focal = min(self.zoom * width, self.zoom * 1.5 * height)  # wide pictures show more floor, never less car
        x = width * (0.5 + self.pan) + focal * points[..., 1] / depth
        y = height * 0.5 - focal * rise / depth
        return f32(np.stack([x, y], axis=-1)), f32(depth)


def turned(points: Floats, view: int, yaw: float) -> Floats:
    """``points`` on the turntable in position ``view`` (1: facing the camera, 5: facing left); ``yaw`` in degrees."""
    angle = -np.deg2rad((view - 1) * 22.5 + yaw)
    c, s = np.cos(angle), np.sin(angle)
    turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
    return points @ turn


def paint(mesh: Mesh, view: int, yaw: float, camera: Camera, size: tuple[int, int]) -> Bytes:
    """The car alone, (height, width, 4): RGB weighted with the coverage in the last channel, both oversampled."""
    quads = turned(mesh.quads, view, yaw)
    normal = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-9
    middle = quads.mean(axis=1)
    away = np.array([camera.distance, 0, camera.height], np.float32) - middle
    far = np.linalg.norm(away, axis=1)
    facing = (normal * away).sum(1) / far
    # a door gap on a side that is all but turned away lies behind the body's swell
    seen = np.flatnonzero(facing > np.where(mesh.part == GAPS, 0.35, 0))
    rank = _ranks(mesh, middle, camera)[mesh.part]
    # trim keeps the order it was built in, for later pieces lie on earlier ones
    flat = np.isin(mesh.part, (SHELL_TRIM, GAPS, CABIN_TRIM)) | (mesh.part < UNDERBODY)
    order = seen[np.lexsort((np.where(flat, 0, -far)[seen], rank[seen]))]
    colours = _light(
        mesh.colour[order], mesh.gloss[order], normal[order], away[order] / far[order, None], middle[order]
    )
    canvas = np.zeros((size[0] * OVERSAMPLING, size[1] * OVERSAMPLING, 4), np.uint8)
    pixels, _ = camera.project(quads[order], size)
    corners = _fixed(pixels * OVERSAMPLING - 0.5)
    for corner, colour in zip(corners, colours.tolist(), strict=True):
        cv2.fillConvexPoly(canvas, corner, colour, cv2.LINE_8, _SHIFT)
    return canvas


def _ranks(mesh: Mesh, middle: Floats, camera: Camera) -> npt.NDArray[np.int64]:
    """The order in which parts are painted, far ones first.

    Within a part faces hide no other that faces the camera, and the camera stands above the waist, so that an order of
    parts is all the hidden-surface removal a car needs.
    """
    rank = np.zeros(ANTENNA + 1, np.int64)
    rank[[UNDERBODY, SHELL, SHELL_TRIM, GAPS, CABIN, CABIN_TRIM]] = 10, 40, 41, 42, 50, 51
    eye = np.array([camera.distance, 0], np.float32)
    centres = {part: middle[mesh.part == part, :2].mean(0) for part in (0, 1, 2, 3, MIRRORS, MIRRORS + 1)}
    by_depth = sorted(range(4), key=lambda part: -float(np.linalg.norm(eye - centres[part])))
    for left, right in ((0, 1), (2, 3), (MIRRORS, MIRRORS + 1)):
        across = centres[left] - centres[right]
        for part, outward in ((left, across), (right, -across)):
            near = float(outward @ (eye - centres[part])) > 0
            rank[part] = (60 if near else 30) if part >= MIRRORS else (20 if near else 0) + by_depth.index(part)
    antenna = mesh.part == ANTENNA
    on_visible_roof = 1.3 < mesh.quads[antenna, :, 2].min() < camera.height
    rank[ANTENNA] = 30 if middle[antenna, 0].mean() < -0.1 and not on_visible_roof else 61
    return rank


def _light(colour: Floats, gloss: Floats, normal: Floats, to_eye: Floats, middle: Floats) -> Floats:
    """sRGB bytes and full coverage (N, 4) of faces under soft boxes in a white room with a grey floor."""
    facing = (normal * to_eye).sum(1)
    mirror = 2 * facing[:, None] * normal - to_eye
    diffuse = 0.50 + 0.38 * normal[:, 2] + 0.16 * normal[:, 0] - 0.05 * normal[:, 1]
    diffuse *= np.clip(0.62 + 0.5 * middle[:, 2], 0.5, 1)  # it is darker near the floor
    up = mirror[:, 2]
    room = np.interp(up, (-1, -0.25, -0.02, 0.04, 0.3, 0.75, 1), (0.12, 0.36, 0.42, 0.22, 0.85, 1.0, 0.7))
    room += 0.5 * np.exp(-(((up - 0.62) / 0.07) ** 2)) + 0.25 * np.exp(-(((mirror[:, 1] - 0.5) / 0.1) ** 2)) * (
        up > 0.2
    )
    fresnel = 0.045 + 0.8 * (1 - facing) ** 5
    share = np.clip(gloss * (0.06 + fresnel), 0, 0.75)
    linear = colour * (diffuse * (1 - share))[:, None] + (share * room)[:, None]
    srgb = 255 * np.clip(linear, 0, 1) ** (1 / 2.2)
    return f32(np.concatenate([srgb, np.full((len(srgb), 1), 255)], axis=1))


def _fixed(pixels: Floats) -> npt.NDArray[np.int32]:
    """Pixel coordinates as OpenCV takes them with ``_SHIFT``."""
    return np.rint(pixels * (1 << _SHIFT)).astype(np.int32)


@lru_cache(maxsize=8)
def backdrop(camera: Camera, tint: tuple[float, float, float], seed: int, size: tuple[int, int]) -> Bytes:
    """The empty studio, (height, width, 3) RGB."""
    height, width = size
    rng = np.random.default_rng(seed)
    edge = _circle(camera, size, _WALL)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    wall = np.broadcast_to(252 - 12 * down + 4 * np.exp(-(((down - 0.4) / 0.07) ** 2)), size)
    wall = np.repeat(wall[..., None], 3, axis=2).astype(np.uint8)
    _letters(wall, camera, size)
    floor = np.repeat(np.broadcast_to(182 - 14 * down, size)[..., None], 3, axis=2).astype(np.float32)
    floor += cv2.resize(rng.normal(0, 2.2, (9, 14)).astype(np.float32), (width, height))[..., None]
    floor *= f32(tint)
    table = _fill(size, _circle(camera, size, _TABLE)) * 0.05
    floor *= 1 - table[..., None] * f32([-0.4, 0.1, 0.7])
    lower = np.concatenate([edge[np.argsort(edge[:, 0])], [[width + 9, 0], [width + 9, height + 9], [-9, height + 9]]])
    lower[-3, 1] = lower[-4, 1]
    on_floor = cv2.GaussianBlur(_fill(size, lower), (0, 0), max(width / 700, 0.5))[..., None]
    picture = wall * (1 - on_floor) + floor * on_floor
    across = np.linspace(-1, 1, width, dtype=np.float32)[None]
    picture *= (1 - 0.10 * across**2 - 0.05 * (2 * down - 1) ** 2)[..., None]
    result: Bytes = np.clip(picture, 0, 255).astype(np.uint8)
    ring = _fixed(_circle(camera, size, _TABLE))
    cv2.polylines(result, [ring], False, (138, 137, 134), 1, cv2.LINE_AA, _SHIFT)
    result.flags.writeable = False
    return result


def _circle(camera: Camera, size: tuple[int, int], radius: float) -> Floats:
    """The visible part of a circle on the floor, in pixels, from left to right round the back for a large one."""
    reach = np.pi * 0.62 if radius > 5 else np.pi
    turn = np.linspace(np.pi - reach, np.pi + reach, 90)[::-1]
    ring = np.stack([radius * np.cos(turn), radius * np.sin(turn), np.zeros_like(turn)], axis=-1)
    return camera.project(f32(ring), size)[0]


def _fill(size: tuple[int, int], polygon: Floats) -> Floats:
    out = np.zeros(size, np.uint8)
    cv2.fillPoly(out, [_fixed(polygon)], 255, cv2.LINE_AA, _SHIFT)
    return f32(out) * np.float32(1 / 255)


def _arc(start: float, end: float, x: float, y: float, rx: float, ry: float) -> list[tuple[float, float]]:
    return [(x + rx * np.cos(a), y + ry * np.sin(a)) for a in np.deg2rad(np.linspace(start, end, 24))]


_LETTERS: tuple[tuple[float, list[list[tuple[float, float]]]], ...] = (
    (0.07, [[(0, 0), (0, 1), (0.3, 1), *_arc(90, -90, 0.3, 0.72, 0.3, 0.28), (0, 0.44)]]),
    (0.07, [_arc(0, 360, 0.45, 0.5, 0.45, 0.5)]),
    (0.07, [[(0, 0), (0, 1), (0.25, 1), *_arc(90, -90, 0.25, 0.5, 0.5, 0.5), (0, 0)]]),
    (0.17, [[(0.05, 0), (0.05, 1)]]),
    (0.17, [[(0, 1), (0, 0.4), *_arc(180, 360, 0.33, 0.36, 0.33, 0.36), (0.66, 1)]]),
    (0.17, [[(0, 0), (0, 1), (0.42, 0.3), (0.84, 1), (0.84, 0)]]),
)
"""P O D I U M: stroke width and strokes, one unit high."""


def _letters(wall: Bytes, camera: Camera, size: tuple[int, int]) -> None:
    pen, tall, left = 0.0, 2.35, -8.0
    for weight, strokes in _LETTERS:
        for stroke in strokes:
            x, y = np.array(stroke).T
            turn = np.pi - (left + (pen + x) * tall) / _WALL
            world = np.stack([_WALL * np.cos(turn), _WALL * np.sin(turn), 0.1 + tall * y], axis=-1)
            line = camera.project(f32(world), size)[0]
            thick = max(round(weight * tall * size[1] * camera.zoom / (camera.distance + _WALL)), 1)
            cv2.polylines(wall, [_fixed(line)], False, (118, 117, 116), thick, cv2.LINE_AA, _SHIFT)
        pen += max(p[0] for s in strokes for p in s) + 0.6


def floor_marks(picture: Bytes, view: int, yaw: float, camera: Camera, seed: int) -> None:
    """Seams and scuffs of the turntable, which turn with the car; painted into ``picture``."""
    rng = np.random.default_rng(seed)
    size = (picture.shape[0], picture.shape[1])
    turn = np.arange(8) * np.pi / 4
    arms = np.stack([np.cos(turn), np.sin(turn), np.zeros_like(turn)], axis=-1)
    seams = np.stack([arms * 1.2, arms * _TABLE], axis=1)
    at = rng.uniform(-2.6, 2.6, (14, 1, 3))
    scuffs = at + rng.uniform(-0.25, 0.25, (14, 2, 3))
    lines = np.concatenate([seams, scuffs])
    lines[..., 2] = 0
    pixels = _fixed(camera.project(turned(f32(lines), view, yaw), size)[0])
    cv2.polylines(picture, list(pixels[:8]), False, (150, 149, 146), 1, cv2.LINE_AA, _SHIFT)
    cv2.polylines(picture, list(pixels[8:]), False, (141, 139, 136), 1, cv2.LINE_AA, _SHIFT)


def shadow(outline: Floats, view: int, yaw: float, camera: Camera, size: tuple[int, int]) -> Floats:
    """The share of light left on the floor around a car with this ``outline`` (N, 3)."""
    small = (max(size[0] // 4, 8), max(size[1] // 4, 8))
    scale = f32([small[1] / size[1], small[0] / size[0]])
    dark = np.zeros(small, np.float32)
    for grow, depth, blur in ((1.2, 0.24, 0.03), (0.97, 0.6, 0.008)):
        ring = camera.project(turned(f32(outline * (grow, grow, 0)), view, yaw), size)[0] * scale
        dark = np.maximum(dark, depth * cv2.GaussianBlur(_fill(small, ring), (0, 0), max(blur * small[1], 0.5)))
    return f32(cv2.resize(1 - dark, (size[1], size[0]), interpolation=cv2.INTER_LINEAR))


@lru_cache(maxsize=4)
def grain(size: tuple[int, int]) -> Bytes:
    """Sensor noise round `GRAIN_ZERO`, larger than ``size``, to cut a picture's own piece out of."""
    noise = np.random.default_rng(7).normal(GRAIN_ZERO, 1.7, (size[0] + 64, size[1] + 64, 3))
    result = np.rint(noise).astype(np.uint8)
    result.flags.writeable = False
    return result
