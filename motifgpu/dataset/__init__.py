"""Whole datasets: thousands of micrographs on one machine or many, killed and resumed."""

from motifgpu.dataset.checking import check
from motifgpu.dataset.merging import merge
from motifgpu.dataset.runner import run
from motifgpu.dataset.session import RunInterrupted
from motifgpu.dataset.watching import watch

__all__ = ["RunInterrupted", "check", "merge", "run", "watch"]
