"""Whole datasets: thousands of micrographs on one machine or many, killed and resumed."""

from motifgpu.dataset.runner import merge, run, watch
from motifgpu.dataset.session import RunInterrupted

__all__ = ["RunInterrupted", "merge", "run", "watch"]
