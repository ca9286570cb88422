"""Whole datasets: thousands of micrographs on one machine or many, killed and resumed."""

from motifgpu.dataset.campaign import RunInterrupted
from motifgpu.dataset.entry import merge, run, watch

__all__ = ["RunInterrupted", "merge", "run", "watch"]
