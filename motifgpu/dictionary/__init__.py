"""Motifs that keep their names from one micrograph to the next."""

from motifgpu.dictionary.core import Assignment, MotifDictionary
from motifgpu.dictionary.frames import Frame

__all__ = ["Assignment", "Frame", "MotifDictionary"]
