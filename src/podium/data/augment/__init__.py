"""Random changes of training samples, on the CPU, as pure functions of a seeded generator."""

from podium.data.augment.mixing import Partners, mix, mixup_share, partners
from podium.data.augment.pipeline import augment
from podium.data.augment.plugin import load_extra

__all__ = ["Partners", "augment", "load_extra", "mix", "mixup_share", "partners"]
