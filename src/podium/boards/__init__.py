"""Boards: where submissions go and scores come from: this machine, Kaggle, a podium host. No torch here."""

from podium.boards.base import Board, Limits, Receipt, Standing

__all__ = ["Board", "Limits", "Receipt", "Standing"]
