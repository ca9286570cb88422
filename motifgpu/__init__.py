"""Motifs and their hierarchies in atomic-resolution micrographs, on a GPU when there is one.

The public names are loaded when they are first used, so that importing the package is quick.
"""

from __future__ import annotations

import importlib
from typing import Any

_HOME = {
    "AffinityGraph": "affinity",
    "Analysis": "analysis",
    "Assignment": "dictionary",
    "Cells": "cells",
    "ClassAverages": "averages",
    "Columns": "columns",
    "Detection": "matching",
    "Domains": "domains",
    "ForceRelaxation": "estimators",
    "Hierarchy": "hierarchy",
    "Lattice": "lattice",
    "Match": "matching",
    "Micrograph": "micrograph",
    "MicrographReadError": "errors",
    "MotifClusterer": "estimators",
    "MotifDictionary": "dictionary",
    "Motifs": "motifs",
    "NeighborShells": "shells",
    "PatchSize": "patch_size",
    "Run": "store",
    "RunInterrupted": "dataset",
    "StageError": "errors",
    "ZernikeFeatures": "estimators",
    "affinity_graph": "affinity",
    "analyze": "pipeline",
    "build_hierarchy": "hierarchy",
    "class_averages": "averages",
    "domain_divergence": "divergence",
    "estimate_background": "smoothing",
    "estimate_patch_size": "patch_size",
    "extract_patches": "patches",
    "find_columns": "columns",
    "find_motifs": "motifs",
    "fit_lattice": "lattice",
    "given_anchors": "anchors",
    "induce_anchors": "anchors",
    "label_by_anchors": "anchors",
    "label_domains": "domains",
    "layout_movie": "movie",
    "match_points": "matching",
    "merge": "dataset",
    "merge_hierarchies": "hierarchy.merge",
    "mirror_symmetry": "symmetries",
    "mirror_symmetry_map": "symmetries",
    "motif_cells": "cells",
    "nearest_neighbors": "neighbors",
    "neighbor_shells": "shells",
    "occupancy_statistics": "occupancy",
    "patch_features": "bases",
    "pca_start": "relaxation",
    "plan": "planning",
    "read": "micrograph",
    "read_all": "micrograph",
    "reconstruct": "reconstruction",
    "reconstruct_patches": "zernike",
    "relax": "relaxation",
    "rotate_moments": "zernike",
    "rotation_invariants": "zernike",
    "run": "dataset",
    "score_detection": "matching",
    "signals": "micrograph",
    "simulate": "simulate",
    "smooth": "smoothing",
    "symmetry": "symmetries",
    "symmetry_map": "symmetries",
    "twist_angle": "moire",
    "voronoi_cells": "cells",
    "watch": "dataset",
    "zernike_basis": "zernike",
    "zernike_moments": "zernike",
}
_MODULES = {"simulate"}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("motifgpu")
    if name not in _HOME:
        raise AttributeError(f"module 'motifgpu' has no attribute {name!r}")
    module = importlib.import_module(f"motifgpu.{_HOME[name]}")
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
