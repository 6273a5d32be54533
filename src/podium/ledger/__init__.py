"""The ledger: attempts as folders, their verdicts, and an index over them."""
