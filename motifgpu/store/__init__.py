"""What a run over a dataset leaves on the disk, and how to open it: `Run`."""

from motifgpu.store.run import Run

__all__ = ["Run"]
