"""A one-file HTML report of an analysis: the linked view first, then pictures, numbers and parameters."""

from motifgpu.report.page import render

__all__ = ["render"]
