"""Faults that are done to runs on purpose, and what must come of each."""
