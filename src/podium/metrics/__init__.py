"""Metrics: pure functions over counts and arrays, each with the direction that is better."""

from podium.metrics.boundary import boundary_counts
from podium.metrics.instances import hits
from podium.metrics.multiclass import confusion
from podium.metrics.overlap import Counts
from podium.metrics.registry import METRICS, Kind, Metric, get_metric

__all__ = ["METRICS", "Counts", "Kind", "Metric", "boundary_counts", "confusion", "get_metric", "hits"]
