"""Several folders of images for one folder of masks: the same scenes by other sensors, or with the masks drawn in."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from podium.data.layout import ImageFolder, Pairing, split_words

_IMAGES = re.compile(
    r"(^|[^a-z])(images?|imgs?|photos?|pictures?|rgb|colou?rs?|inputs?|originals?|raw|jpe?gs?|frames?)([^a-z]|$)"
)
_OTHERS = re.compile(
    r"(^|[^a-z])(overlays?|overlaid|previews?|vis(ual\w*)?|blend\w*|edges?|bound\w*|contours?|depth|disparity|normals?|"
    r"gr[ae]y(scale)?|pred\w*|results?|heatmaps?)([^a-z]|$)"
)


def one_for_each_mask(pairs: Sequence[Pairing]) -> tuple[list[Pairing], list[ImageFolder]]:
    """The pairs without those whose masks belong to other images too, and the images that are passed over.

    Of several folders of images the one is kept whose name says so, else the largest that is no drawing.
    """
    of_masks: dict[int, list[Pairing]] = defaultdict(list)
    for pair in pairs:
        of_masks[id(pair.masks)].append(pair)
    passed: dict[int, ImageFolder] = {}
    for alike in of_masks.values():
        for best in sorted(alike, key=_rank):
            if id(best.images) in passed:
                continue
            others = [p for p in alike if p.images is not best.images and _same_scenes(best, p)]
            passed |= {id(p.images): p.images for p in others}
    return [p for p in pairs if id(p.images) not in passed], list(passed.values())


def _same_scenes(a: Pairing, b: Pairing) -> bool:
    """Whether most of the masks are those of images in both folders."""
    ids, others = ({str(p.mask_of(stem)) for stem in p.ids} for p in (a, b))
    return len(ids & others) * 2 > min(len(ids), len(others))


def _rank(pair: Pairing) -> tuple[bool, bool, int, str]:
    own = split_words(pair.images.path.rpartition("/")[2])
    names = split_words(pair.images.path)
    named = _IMAGES.search(own) or (not _OTHERS.search(own) and _IMAGES.search(names))
    return bool(_OTHERS.search(own)), not named, -len(pair.ids), pair.images.path
