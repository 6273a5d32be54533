"""Several attempts together: thresholds and post-processing fitted out of fold, blends, stacking."""
