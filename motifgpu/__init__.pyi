"""The public names and where they are; the package loads each when it is first used."""

from . import samples, simulate
from .analysis import Analysis
from .columns.background import estimate_background
from .columns.find import Columns, find_columns
from .columns.given import measure_columns
from .columns.matching import (
    Detection,
    Match,
    match_points,
    score_detection,
)
from .columns.patch_size import PatchSize, estimate_patch_size
from .columns.smoothing import smooth
from .core.errors import MicrographReadError, StageError
from .dataset import RunInterrupted, check, merge, run, watch
from .dataset.results import Run
from .decisions import Decision, read_decisions, write_decisions
from .dictionary import Assignment, MotifDictionary
from .estimators import (
    ForceRelaxation,
    MotifClusterer,
    ZernikeFeatures,
)
from .features.bases import patch_features
from .features.patches import extract_patches
from .features.symmetries import (
    mirror_symmetry,
    mirror_symmetry_map,
    symmetry,
    symmetry_map,
)
from .features.zernike import (
    reconstruct_patches,
    rotate_moments,
    rotation_invariants,
    zernike_basis,
    zernike_moments,
)
from .figures.movie import layout_movie
from .graph.affinity import AffinityGraph, affinity_graph
from .graph.neighbors import nearest_neighbors
from .graph.relaxation import pca_start, relax
from .io.micrograph import Micrograph, read, read_all, signals
from .moire.anchors import (
    given_anchors,
    induce_anchors,
    label_by_anchors,
)
from .moire.divergence import domain_divergence
from .moire.domains import Domains, label_domains
from .moire.twist import twist_angle
from .motifs.averages import ClassAverages, class_averages
from .motifs.find import Motifs, find_motifs
from .motifs.shells import NeighborShells, neighbor_shells
from .occupancy.statistics import occupancy_statistics
from .pipeline import analyze
from .planning.cost import plan
from .reconstruction.rebuild import reconstruct
from .structure.cells import Cells, motif_cells, voronoi_cells
from .structure.hierarchy import Hierarchy, build_hierarchy
from .structure.hierarchy.merge import merge_hierarchies
from .structure.lattice import Lattice, fit_lattice

__version__: str

__all__ = [
    "AffinityGraph",
    "Analysis",
    "Assignment",
    "Cells",
    "ClassAverages",
    "Columns",
    "Decision",
    "Detection",
    "Domains",
    "ForceRelaxation",
    "Hierarchy",
    "Lattice",
    "Match",
    "Micrograph",
    "MicrographReadError",
    "MotifClusterer",
    "MotifDictionary",
    "Motifs",
    "NeighborShells",
    "PatchSize",
    "Run",
    "RunInterrupted",
    "StageError",
    "ZernikeFeatures",
    "__version__",
    "affinity_graph",
    "analyze",
    "build_hierarchy",
    "check",
    "class_averages",
    "domain_divergence",
    "estimate_background",
    "estimate_patch_size",
    "extract_patches",
    "find_columns",
    "find_motifs",
    "fit_lattice",
    "given_anchors",
    "induce_anchors",
    "label_by_anchors",
    "label_domains",
    "layout_movie",
    "match_points",
    "measure_columns",
    "merge",
    "merge_hierarchies",
    "mirror_symmetry",
    "mirror_symmetry_map",
    "motif_cells",
    "nearest_neighbors",
    "neighbor_shells",
    "occupancy_statistics",
    "patch_features",
    "pca_start",
    "plan",
    "read",
    "read_all",
    "read_decisions",
    "reconstruct",
    "reconstruct_patches",
    "relax",
    "rotate_moments",
    "rotation_invariants",
    "run",
    "samples",
    "score_detection",
    "signals",
    "simulate",
    "smooth",
    "symmetry",
    "symmetry_map",
    "twist_angle",
    "voronoi_cells",
    "watch",
    "write_decisions",
    "zernike_basis",
    "zernike_moments",
]
