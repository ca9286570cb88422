"""Stands in for cupyx.scipy, see ``fake_cupy``."""
