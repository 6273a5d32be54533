"""From a trained attempt to a submission file."""
