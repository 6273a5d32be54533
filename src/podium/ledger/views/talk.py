"""The short list of a slide: "More augmentations => YES"."""

from __future__ import annotations

import re

from podium.ledger.views.entries import Entry, Ledger
from podium.ledger.views.words import printable

SPELT = {
    "rmsprop": "RMSprop",
    **{name.lower(): name for name in ("UNet", "SegNet", "PSPNet", "LinkNet", "AlbuNet", "TernausNet", "DeepLab")},
    **{name.lower(): name for name in ("ResNet", "DenseNet", "EfficientNet", "MobileNet", "ConvNeXt", "AdamW", "Adam")},
    **{name.lower(): name for name in ("FCN", "VGG", "TTA", "EMA", "SWA", "BCE", "SGD", "CLAHE", "FPN", "CV", "LR")},
}
"""Names as people write them."""
SAYS_NOTHING = re.compile(r"(a|an|x+|try|test|tmp|new|attempt|idea|run|exp)*[-_]*\d*", re.IGNORECASE)
"""Names that tell no listener what was tried; their change does."""


def talk(ledger: Ledger) -> list[str]:
    """A line for each verdict that stands, in the order in which they were tried."""
    return [f"{spoken(entry)} => {_answer(entry)}" for entry in ledger.entries if entry.judged]


def _answer(entry: Entry) -> str:
    return f"{entry.verdict} (overruled)" if entry.overruled else str(entry.verdict)


def spoken(entry: Entry) -> str:
    """What was tried, as one would say it."""
    if SAYS_NOTHING.fullmatch(entry.name):
        return printable(entry.change)
    words = " ".join(_spelt(word) for word in re.split(r"[-_]+", entry.name) if word)
    return words[:1].upper() + words[1:]


def _spelt(word: str) -> str:
    """`resnet34` -> ResNet34."""
    found = re.fullmatch(r"([a-z]+)(\d*[a-z]*)", word)
    return SPELT[found[1]] + found[2] if found and found[1] in SPELT else SPELT.get(word, word)
