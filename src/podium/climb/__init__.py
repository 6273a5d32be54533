"""Climbing: a catalogue of changes worked through by itself, each raced to its verdict, until the budget is spent."""
