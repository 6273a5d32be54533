"""Formats: run-length masks, mask and image files, CSV tables, submission files. No torch, no heavy imports here."""
