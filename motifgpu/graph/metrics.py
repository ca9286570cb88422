"""How well a layout keeps what is known about its points."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.graph.neighbors import nearest_neighbors

STAGE = "metrics"


def neighbor_preservation(x: Any, layout: Any, k: int = 9) -> float:
    """Return the share of the k nearest neighbours in feature space that are so in the layout, too.

    Parameters
    ----------
    x : (N, D) array
        Features; neighbours by correlation distance, as the graph has them.
    layout : (N, 2) array
        Neighbours by Euclidean distance; of points that coincide, the lower indices.
    k : int
        Number of neighbours, the point itself not counted.

    Returns
    -------
    float
        1 where all are kept; about k / N for a layout that knows nothing.

    Raises
    ------
    StageError
        If the lengths differ, or as `nearest_neighbors`.
    """
    from sklearn.neighbors import NearestNeighbors

    positions = np.asarray(namespace.to_numpy(check_array(layout, STAGE, "layout", 2)[1]))
    wanted = namespace.to_numpy(nearest_neighbors(x, k).indices)
    if positions.shape[0] != wanted.shape[0]:
        raise StageError(
            STAGE,
            f"there are {wanted.shape[0]} features and {positions.shape[0]} positions",
            "give one for each other",
        )
    found = NearestNeighbors(n_neighbors=k).fit(positions).kneighbors(return_distance=False)
    kept = (wanted[:, :, None] == found[:, None, :]).any(axis=2)
    return float(kept.mean())
