"""Pictures of samples for the page of `podium look`: small, with the target drawn in, from the stores."""

from __future__ import annotations

import base64

import cv2
import numpy as np
import simplejpeg

from podium.data.facts import Facts
from podium.data.objects import INSIDE, RIM
from podium.data.prepare import TrainStores
from podium.data.store import Pixels, Store
from podium.data.targets import class_order

PICTURE = 240
"""Longer side of a picture in the page, in pixels."""
LINE, SHADE = (180, 255, 0), (0, 0, 0)
TINT = 0.45
"""How much of a pixel is the colour of its class."""
COLOURS = """e6194b 3cb44b ffe119 4363d8 f58231 911eb4 46f0f0 f032e6 bcf60c fabebe
008080 e6beff 9a6324 fffac8 800000 aaffc3 808000 ffd8b1 000075 808080"""
"""Source: Trubetskoy 2017, List of 20 simple, distinct colors."""
SPECK = 12
"""A mask smaller than this many pixels of the picture gets a ring around it."""


class Pictures:
    """Pictures as data URIs: masks by their edges, classes and objects by colours; nothing is decoded again."""

    def __init__(self, facts: Facts, stores: TrainStores, tested: Store | None = None) -> None:
        self.images, self.masks = stores.images, stores.masks
        self.others = dict(stores.views) | ({"test": tested} if tested else {})
        self.shapes = {id: (h, w) for id, h, w in facts.train.select("id", "height", "width").rows() if h}
        self.legend = legend(facts)

    def get(self, name: str) -> str | None:
        """The picture of a sample (12), of one of its views (kitchen/12) or of a test image (test/12).

        None if it could not be read.
        """
        part, _, id = name.rpartition("/")
        if part in self.others:
            store = self.others[part]
            i = store.row.get(id, -1)
            return as_uri(scaled(store.image(i), _source_shape(store, i))) if i >= 0 and store.kinds[i] else None
        if name not in self.shapes:
            return None
        i = self.images.row[name]
        picture = scaled(self.images.image(i), self.shapes[name])
        return as_uri(self._drawn(picture, i) if self.masks.shape(i) != (0, 0) else picture)

    def _drawn(self, picture: Pixels, i: int) -> Pixels:
        kind = self.masks.kinds[i]
        if kind == "mask":
            return outlined(picture, np.asarray(self.masks.mask(i), np.uint8))
        if kind == "masks":
            colours = np.array([colour for _, colour in self.legend], np.uint8).reshape(-1, 3)
            for plane, colour in zip(self.masks.mask(i), colours, strict=False):
                picture = tinted(picture, plane.astype(np.uint16), np.stack([colour * 0, colour]), {1})
            return picture
        labels = self.masks.labels(i)
        if self.legend:
            shown = {n for n, (name, _) in enumerate(self.legend) if name != "background"}
            return tinted(picture, labels, np.array([colour for _, colour in self.legend], np.uint8), shown)
        cores = cv2.connectedComponents((labels == INSIDE).astype(np.uint8))[1]
        colours = np.array([colour_of(n) for n in range(12)], np.uint8)
        picture = tinted(picture, np.where(cores > 0, cores % 11 + 1, 0), colours, set(range(1, 12)))
        rims = ((labels & RIM) > 0).astype(np.uint8)
        return tinted(picture, rims, np.array([SHADE, LINE], np.uint8), {1})


def legend(facts: Facts) -> list[tuple[str, tuple[int, int, int]]]:
    """(class, colour) in the order of their numbers, where masks hold several."""
    spec = facts.competition
    if spec.task != "segmentation" or spec.binary:
        return []
    return [(name, colour_of(n)) for n, name in enumerate(class_order(spec))]


def colour_of(n: int) -> tuple[int, int, int]:
    """The n-th of twenty colours that are far apart, and again from the first."""
    code = COLOURS.split()[n % len(COLOURS.split())]
    return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)


def tinted(picture: Pixels, labels: Pixels, colours: Pixels, shown: set[int]) -> Pixels:
    """A picture, uint8 (H, W, 3), with the pixels of each label in ``shown`` towards ``colours[label]``."""
    size = (picture.shape[1], picture.shape[0])
    small = cv2.resize(np.ascontiguousarray(labels.astype(np.uint16)), size, interpolation=cv2.INTER_NEAREST)
    where = np.isin(small, list(shown))
    out = picture.astype(np.float32)
    out[where] = (1 - TINT) * out[where] + TINT * colours[small[where]]
    return np.asarray(out.round(), np.uint8)


def outlined(image: Pixels, mask: Pixels | None) -> Pixels:
    """The image, uint8 (H, W, 3), with the edge of a mask of any size drawn over it."""
    out = np.ascontiguousarray(image).copy()
    if mask is not None and mask.any():
        share = _resized(mask * np.uint8(255), (out.shape[0], out.shape[1]))
        level = min(127, int(share.max()) - 1)  # a mask too small for the picture is shown all the same
        edges, _ = cv2.findContours((share > level).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        x, y, w, h = cv2.boundingRect(np.concatenate(edges))
        for colour, width in ((SHADE, 4), (LINE, 2)):
            cv2.drawContours(out, edges, -1, colour, width)
            if max(w, h) < SPECK:
                cv2.circle(out, (x + w // 2, y + h // 2), SPECK, colour, width)
    return out


def scaled(image: Pixels, shape: tuple[int, int]) -> Pixels:
    """A stored image, uint8 or uint16 (H, W, C), as a picture of the aspect of ``shape``."""
    scale = PICTURE / max(shape)
    colour = image[..., :3] if image.shape[2] >= 3 else np.repeat(image[..., :1], 3, 2)
    if colour.dtype != np.uint8:
        colour = (colour >> 8).astype(np.uint8)
    return _resized(np.ascontiguousarray(colour), (max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))))


def as_uri(picture: Pixels) -> str:
    """A picture as a data URI."""
    jpeg = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _source_shape(store: Store, i: int) -> tuple[int, int]:
    return int(store.index["source_height"][i]), int(store.index["source_width"][i])


def _resized(pixels: Pixels, shape: tuple[int, int]) -> Pixels:
    shrinks = shape[0] <= pixels.shape[0]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, shape[::-1], interpolation=kind), np.uint8)
