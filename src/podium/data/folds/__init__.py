"""Folds: which sample validates in which part, with groups kept together, stored once in `folds.csv`."""

from podium.data.folds.assignment import FoldInput, Folds
from podium.data.folds.choice import Choice, choose
from podium.data.folds.files import read_about, read_folds, read_list, renew_about, write_about, write_folds
from podium.data.folds.hold_out import hold_out_groups
from podium.data.folds.leaks import Check, check, check_leaks
from podium.data.folds.strategies import make_folds

__all__ = [
    "Check",
    "Choice",
    "FoldInput",
    "Folds",
    "check",
    "check_leaks",
    "choose",
    "hold_out_groups",
    "make_folds",
    "read_about",
    "read_folds",
    "read_list",
    "renew_about",
    "write_about",
    "write_folds",
]
