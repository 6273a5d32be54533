"""Metrics: pure functions over counts and arrays, each with the direction that is better."""

from podium.metrics.overlap import Counts
from podium.metrics.registry import METRICS, Metric, get_metric

__all__ = ["METRICS", "Counts", "Metric", "get_metric"]
