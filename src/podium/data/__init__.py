"""Competition data: what it is, reading it, caching its pixels, folds, augmentation, batches."""
