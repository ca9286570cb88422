"""Stands in for cupy.cuda.memory, see ``fake_cupy``."""

from fake_cupy.memory import MemoryPool as MemoryPool
from fake_cupy.memory import OutOfMemoryError as OutOfMemoryError
