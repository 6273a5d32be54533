"""Metrics: pure functions over counts and arrays, each with the direction that is better."""

from podium.metrics.boundary import boundary_counts
from podium.metrics.compare import compare_maps, compare_masks, compare_objects
from podium.metrics.instances import hits
from podium.metrics.measured import Measured
from podium.metrics.multiclass import confusion
from podium.metrics.overlap import Counts
from podium.metrics.registry import METRICS, Kind, Metric, get_metric, of_each

__all__ = [
    "METRICS",
    "Counts",
    "Kind",
    "Measured",
    "Metric",
    "boundary_counts",
    "compare_maps",
    "compare_masks",
    "compare_objects",
    "confusion",
    "get_metric",
    "hits",
    "of_each",
]
