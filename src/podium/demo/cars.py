"""A small segmentation competition that podium draws itself: cars turned before a studio wall.

In the likeness of Kaggle's Carvana: 16 views of each car, masks as palette GIFs, run lengths in CSV files.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import Image

from podium.cores import usable_cores
from podium.demo.shapes import BODIES, Body, Colour, Floats, Mesh, car_mesh, deck_height, f32
from podium.demo.studio import GRAIN_ZERO, Bytes, Camera, backdrop, floor_marks, grain, paint, shadow
from podium.errors import DataError
from podium.files import MARKER, building, is_complete, write_atomic
from podium.formats import rle
from podium.progress import track

VIEWS = 16
PUBLIC_SHARE = 0.4

NEAR_PAINTS: tuple[tuple[str, Colour], ...] = (
    ("white", (0.84, 0.84, 0.83)),
    ("silver", (0.50, 0.51, 0.52)),
    ("floor grey", (0.37, 0.37, 0.365)),
    ("pearl", (0.70, 0.69, 0.65)),
)
"""Paints about as bright as wall or floor, which a threshold cannot tell from them."""

PAINTS: tuple[tuple[str, Colour], ...] = (
    ("black", (0.012, 0.012, 0.014)),
    ("blue", (0.03, 0.06, 0.30)),
    ("red", (0.34, 0.015, 0.02)),
    ("graphite", (0.085, 0.088, 0.095)),
    ("steel blue", (0.16, 0.21, 0.29)),
    ("green", (0.025, 0.07, 0.045)),
    ("beige", (0.42, 0.36, 0.27)),
    ("orange", (0.62, 0.16, 0.02)),
)


@dataclass(frozen=True)
class Car:
    """One car and how it was photographed; equal cars give equal pictures.

    Attributes:
        id: 12 hexadecimal digits.
        kind: sedan, compact, suv or pick_up.
        paint_name: Name of the paint; see ``near_background``.
        antenna: Foot (x, y, z) and tip of the antenna in metres.
        yaw: By how much the car stands askew on the turntable, in degrees.
        exposure: Factor on the picture's brightness.
        seed: Of marks on the floor and of noise.
    """

    id: str
    kind: str
    body: Body
    paint_name: str
    paint: Colour
    roof: Colour
    rim: Colour
    glass: Colour
    spokes: int
    cladding: bool
    antenna: tuple[Colour, Colour]
    camera: Camera
    yaw: float
    exposure: float
    floor_tint: Colour
    seed: int

    @property
    def near_background(self) -> bool:
        """Whether the paint is about as bright as wall or floor."""
        return self.paint_name in dict(NEAR_PAINTS)

    @property
    def mesh(self) -> Mesh:
        """The car's faces."""
        return car_mesh(
            self.body, self.antenna, self.paint, self.rim, self.glass, self.roof, self.spokes, self.cladding
        )


def make_cars(n: int, seed: int) -> list[Car]:
    """``n`` different cars; the same seed gives the same cars, and more of them begin with the fewer."""
    return [_make_car(np.random.default_rng([seed, i]), seed + i) for i in range(n)]


def _make_car(rng: np.random.Generator, i: int) -> Car:
    # types and paints take turns, so that a small set has them all
    kind = list(BODIES)[(i + i // 4) % 4]
    body = _varied(BODIES[kind], rng)
    paints = NEAR_PAINTS if i % 5 in (1, 3) else PAINTS
    name, colour = paints[(i + i // len(paints)) % len(paints)]
    r, g, blue = np.clip(np.array(colour) * rng.uniform(0.88, 1.12) * rng.uniform(0.97, 1.03, 3), 0, 0.9).tolist()
    tone = (r, g, blue)
    rim = (0.5, 0.5, 0.51) if rng.random() < 0.7 else (0.07, 0.07, 0.075)
    clear = float(rng.choice([0.02, 0.05, 0.12, 0.30]))
    return Car(
        id=rng.bytes(6).hex(),
        kind=kind,
        body=body,
        paint_name=name,
        paint=tone,
        roof=(0.02, 0.02, 0.022) if rng.random() < 0.12 else tone,
        rim=rim,
        glass=(clear, clear * 1.03, clear * 1.02),
        spokes=int(rng.choice([5, 6, 7, 10])),
        cladding=kind in ("suv", "pick_up") and bool(rng.random() < 0.6),
        antenna=_antenna(body, rng),
        camera=Camera(
            distance=float(rng.uniform(7.4, 7.9)),
            height=float(rng.uniform(1.56, 1.68)),
            aim=float(rng.uniform(0.78, 0.9)),
            zoom=float(rng.uniform(1.04, 1.18)),
            pan=float(rng.uniform(-0.02, 0.02)),
        ),
        yaw=float(rng.uniform(-3, 3)),
        exposure=float(rng.uniform(0.96, 1.04)),
        floor_tint=(1.0, float(rng.uniform(0.99, 1.005)), float(rng.uniform(0.97, 1.02))),
        seed=int(rng.integers(2**31)),
    )


def _varied(body: Body, rng: np.random.Generator) -> Body:
    """A body a little longer, wider, higher or rounder than its type's."""
    longer, wider, higher, bigger = rng.uniform((0.94, 0.97, 0.96, 0.95), (1.06, 1.03, 1.05, 1.08))
    return replace(
        body,
        length=body.length * float(longer),
        wheelbase=body.wheelbase * float(longer),
        half_width=body.half_width * float(wider),
        height=body.height * float(higher),
        wheel=body.wheel * float(bigger),
        cabin_x=(body.cabin_x[0] + float(rng.uniform(-0.02, 0.015)), body.cabin_x[1]),
        roof_x=(body.roof_x[0] + float(rng.uniform(-0.02, 0.015)), body.roof_x[1] + float(rng.uniform(-0.015, 0.02))),
        roundness=body.roundness * float(rng.uniform(0.88, 1.15)),
    )


def _antenna(body: Body, rng: np.random.Generator) -> tuple[Colour, Colour]:
    if rng.random() < 0.4:  # a whip on the front fender
        x, y = body.cabin_x[0] * body.length + 0.15, -body.half_width * 0.86
        z = float(deck_height(body, np.array([x]))[0])
        return (x, y, z), (x - 0.12, y, z + float(rng.uniform(0.6, 0.85)))
    x, tall = body.roof_x[1] * body.length + 0.25, float(rng.uniform(0.12, 0.3))
    return (x, 0.0, body.height), (x - tall * 0.8, 0.0, body.height + tall)


def render_car(car: Car, view: int, size: tuple[int, int]) -> tuple[Bytes, npt.NDArray[np.bool_]]:
    """Photograph a car.

    Args:
        car: Which one, from `make_cars`.
        view: 1 to 16, each turned on by 22.5 degrees; 1 is the front, 5 the left side, 9 the tail.
        size: Height and width in pixels.

    Returns:
        The picture, uint8 RGB (height, width, 3), and the mask of pixels at least half covered by the car.
    """
    rng = np.random.default_rng([car.seed, view])
    layer = paint(car.mesh, view, car.yaw, car.camera, size)
    layer = np.asarray(cv2.resize(layer, (size[1], size[0]), interpolation=cv2.INTER_AREA), np.uint8)
    mask = layer[..., 3] >= 127
    studio = backdrop(car.camera, car.floor_tint, car.seed, size).copy()
    floor_marks(studio, view, car.yaw, car.camera, car.seed)
    light = shadow(_outline(car.body), view, car.yaw, car.camera, size)
    _compose(studio, layer, light)
    top, left = rng.integers(0, 64, 2)
    noise = grain(size)[top : top + size[0], left : left + size[1]]
    picture = cv2.addWeighted(studio, car.exposure * rng.uniform(0.985, 1.015), noise, 1, -GRAIN_ZERO)
    return np.asarray(picture, np.uint8), mask


def _compose(studio: Bytes, layer: Bytes, light: Floats) -> None:
    """Put the car, its shadow and its reflection into the ``studio``; only what is near the car is touched."""
    x, y, w, h = cv2.boundingRect(layer[..., 3])
    pad = 6 + w // 10  # room for the reflection's blur
    x, w = max(x - pad, 0), min(x + w + pad, layer.shape[1]) - max(x - pad, 0)
    shade_x, shade_y, shade_w, shade_h = cv2.boundingRect((light < 0.998).view(np.uint8))
    y1, x1 = max(y + h + h // 2, shade_y + shade_h), max(x + w, shade_x + shade_w)
    y0, x0 = min(y, shade_y), min(x, shade_x)
    near = studio[y0:y1, x0:x1] * light[y0:y1, x0:x1, None]
    near_layer = layer[y0:y1, x0:x1]
    car, foot = slice(x - x0, x - x0 + w), y - y0 + h
    _reflect(near[foot:, car], near_layer[foot - h : foot, car])
    near *= (255 - near_layer[..., 3:]) * f32(1 / 255)
    near += near_layer[..., :3]
    studio[y0:y1, x0:x1] = near + 0.5


@lru_cache(maxsize=16)
def _outline(body: Body) -> Floats:
    turn = np.linspace(0, 2 * np.pi, 40)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.4 * body.length * 0.48
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.4 * body.half_width * 0.96
    return f32(np.stack([x, y, np.zeros_like(x)], axis=-1))


def _reflect(floor: Floats, car: Bytes) -> None:
    """The dull image of the ``car`` in the polished floor just below it."""
    reach = min(len(floor), len(car) // 2)
    if reach < 8:
        return
    small = f32(cv2.resize(car[-reach:][::-1], (car.shape[1] // 4, reach // 4), interpolation=cv2.INTER_AREA))
    small *= np.linspace(0.16, 0, len(small), dtype=np.float32)[:, None, None]
    image = f32(cv2.resize(cv2.GaussianBlur(small, (0, 0), 1.5), (car.shape[1], reach)))
    floor[:reach] *= 1 - image[..., 3:] * f32(1 / 255)
    floor[:reach] += image[..., :3]


def make_competition(
    folder: Path,
    solution: Path,
    *,
    train_cars: int = 16,
    test_cars: int = 8,
    size: tuple[int, int] = (320, 480),
    seed: int = 0,
) -> Path:
    """Draw a competition and write it as Kaggle would hand it out.

    A folder that was finished with the same settings is kept; a killed one is drawn again.

    Args:
        folder: Gets ``train/``, ``train_masks/``, ``train_masks.csv``, ``test/`` and ``sample_submission.csv``.
        solution: The hidden answers, a CSV file outside ``folder``: img, rle_mask, height, width, Usage.
        train_cars: Cars with masks, 16 images each.
        test_cars: Cars without; about 40 % of them count for the public score.
        size: Height and width of the images.
        seed: The same seed gives the same bytes.

    Returns:
        ``folder``.

    Raises:
        DataError: if ``solution`` lies inside ``folder``, or ``folder`` holds something else.
    """
    note = f"podium demo cars: {train_cars} train, {test_cars} test, {size[0]} x {size[1]}, seed {seed}\n"
    if _is_finished(folder, solution, note):
        return folder
    cars = make_cars(train_cars + test_cars, seed)
    with building(folder, note) as unfinished:
        for name in ("train", "train_masks", "test"):
            (unfinished / name).mkdir()
        rows = _draw_all(unfinished, cars, train_cars, size)
        train, test = rows[: train_cars * VIEWS], rows[train_cars * VIEWS :]
        write_atomic(unfinished / "train_masks.csv", _csv("img,rle_mask", train))
        write_atomic(unfinished / "sample_submission.csv", _csv("img,rle_mask", [(img, "1 1") for img, _ in test]))
        usage = _usage(cars[train_cars:], seed)
        answers = [(img, runs, str(size[0]), str(size[1]), usage[img[:12]]) for img, runs in test]
        write_atomic(solution, _csv("img,rle_mask,height,width,Usage", answers))
    return folder


def _is_finished(folder: Path, solution: Path, note: str) -> bool:
    if solution.resolve().is_relative_to(folder.resolve()):
        raise DataError(
            "the solution would lie among the files that competitors get",
            where=solution,
            expected=f"a path outside {folder}",
        )
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    written = (folder / MARKER).read_text() if is_complete(folder) else ""
    if not written.startswith("podium demo cars"):
        raise DataError(
            "the folder holds something other than the demo",
            where=folder,
            expected="a new or empty folder, or one that the demo made",
            remedy="name another folder",
        )
    return written == note and solution.is_file()


def _draw_all(folder: Path, cars: Sequence[Car], train_cars: int, size: tuple[int, int]) -> list[tuple[str, str]]:
    """Write all images, and masks of the first ``train_cars``; the rows img, rle_mask in order."""

    def draw(i: int) -> list[tuple[str, str]]:
        return [_draw(folder, cars[i], view, size, train=i < train_cars) for view in range(1, VIEWS + 1)]

    with ThreadPoolExecutor(max_workers=min(usable_cores(), 8)) as pool:  # a car a thread shares its backdrop
        drawn = track(pool.map(draw, range(len(cars))), "drawing cars", len(cars))
        return [row for rows in drawn for row in rows]


def _draw(folder: Path, car: Car, view: int, size: tuple[int, int], *, train: bool) -> tuple[str, str]:
    picture, mask = render_car(car, view, size)
    name = f"{car.id}_{view:02d}"
    jpeg = simplejpeg.encode_jpeg(picture, quality=87, colorsubsampling="420")
    (folder / ("train" if train else "test") / f"{name}.jpg").write_bytes(jpeg)
    if train:
        (folder / "train_masks" / f"{name}_mask.gif").write_bytes(_gif(mask))
    return f"{name}.jpg", rle.encode(mask, "row")


def _gif(mask: npt.NDArray[np.bool_]) -> bytes:
    """A palette image of values 0 and 1, black and white, like Carvana's."""
    image = Image.fromarray(mask.astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    out = BytesIO()
    image.save(out, format="GIF", optimize=False)
    return out.getvalue()


def _usage(cars: Sequence[Car], seed: int) -> dict[str, str]:
    """Public or Private for each test car: whole cars, so that the public score tells nothing about the others."""
    public = min(max(round(PUBLIC_SHARE * len(cars)), 1), max(len(cars) - 1, 0))
    order = np.random.default_rng([seed, len(cars)]).permutation(len(cars))
    return {cars[i].id: "Public" if place < public else "Private" for place, i in enumerate(order)}


def _csv(header: str, rows: Sequence[Sequence[str]]) -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"
