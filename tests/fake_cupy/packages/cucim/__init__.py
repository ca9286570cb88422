"""Stands in for cuCIM, see ``fake_cupy``."""
