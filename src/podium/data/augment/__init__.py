"""Random changes of training samples, on the CPU, as pure functions of a seeded generator."""

from podium.data.augment.mixing import mix, partners
from podium.data.augment.pipeline import augment
from podium.data.augment.plugin import load_extra

__all__ = ["augment", "load_extra", "mix", "partners"]
