"""Motif-cells composed into a hierarchy: what is connected to what, how often, and what contains what."""

from __future__ import annotations

from motifgpu.structure.hierarchy.build import Hierarchy, Occurrences, build_hierarchy

__all__ = ["Hierarchy", "Occurrences", "build_hierarchy"]
