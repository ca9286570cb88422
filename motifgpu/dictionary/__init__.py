"""Motifs that keep their names from one micrograph to the next."""

from motifgpu.dictionary.alignment import Frame
from motifgpu.dictionary.dictionary import MotifDictionary
from motifgpu.dictionary.naming import Assignment

__all__ = ["Assignment", "Frame", "MotifDictionary"]
