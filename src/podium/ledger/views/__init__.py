"""The ledger read back: as a tree and a table, as a slide, a paper's table, and each attempt beside its parent.

Nothing here trains or imports torch, and nothing is written but pictures in `reports/`.
"""

from podium.ledger.views.entries import Entry, Ledger

__all__ = ["Entry", "Ledger"]
