"""Feature rows with clusters, as the graph and the layout take them."""

from __future__ import annotations

import numpy as np


def features(n: int, dimensions: int = 66, spread: float = 0.1, seed: int = 0) -> np.ndarray:
    """Rows around four class means, as float32."""
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(4, dimensions))
    return (means[rng.integers(0, 4, n)] + spread * rng.normal(size=(n, dimensions))).astype(np.float32)
