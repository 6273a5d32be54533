"""From a data folder to `competition.toml`: what is inferred, and from what, so that a person can correct it."""

from podium.data.infer.competition import infer, infer_with
from podium.data.infer.draft import Inference
from podium.data.infer.rle_tables import id_column

__all__ = ["Inference", "id_column", "infer", "infer_with"]
