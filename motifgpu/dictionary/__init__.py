"""Motifs that keep their names from one micrograph to the next."""

from typing import TYPE_CHECKING

from motifgpu.core.deprecation import warn_renamed
from motifgpu.dictionary.alignment import Alignment
from motifgpu.dictionary.dictionary import MotifDictionary
from motifgpu.dictionary.naming import Assignment

__all__ = ["Alignment", "Assignment", "MotifDictionary"]


if TYPE_CHECKING:
    Frame = Alignment  # deprecated
else:

    def __getattr__(name: str) -> object:
        if name == "Frame":
            warn_renamed("motifgpu.dictionary.Frame", "Alignment")
            return Alignment
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
