"""The demo: a small competition rendered on the spot, and the whole loop on it."""
