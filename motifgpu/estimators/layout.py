"""The force relaxation as an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.estimators.validation import STAGE, correlatable, seed_of, validated
from motifgpu.graph.affinity import affinity_graph
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.graph.relaxation import STAGES, Stage, pca_start, relax

_NEVER = 2**31  # sweeps


class ForceRelaxation(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Two-dimensional layout of features by force relaxation of their neighbour graph.

    Parameters
    ----------
    n_neighbors : int
        Neighbours of a point in feature space, the point itself included, as in other packages.
    random_state : int, RandomState or None
        Of the samples that points are repelled from; an int gives the same layout every time.
    stages : sequence of Stage
        Forces and numbers of sweeps, see `motifgpu.relax`; ``[Stage.largevis()]`` and
        ``[Stage.umap()]`` are the force laws of those methods.
    n_repulsions : float
        k' of the paper, see `motifgpu.relax`.
    metric : {"correlation", "euclidean"}
        Distance of two rows, see `motifgpu.nearest_neighbors`.
    combine : {"union", "sum"}
        How two directions of an edge become one weight, see `motifgpu.affinity_graph`.
    history_every : int or None
        Number of sweeps between two layouts that are kept; None keeps none between start and end.

    Attributes
    ----------
    layout_ : (N, 2) float32 array
    graph_ : AffinityGraph
    history_ : list of (int, (N, 2) float32 array)
        Sweep and layout, from the start (sweep 0) to the end.
    n_features_in_ : int

    See Also
    --------
    nearest_neighbors, affinity_graph, pca_start, relax : the stages it joins.

    Examples
    --------
    A layout of patches of two kinds. Nearly all neighbours in the layout are of the same kind:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches(
    ...     (40, 40), centers=(1.0, 0.5), gaussian=0.1, size=32, distance=8, sigma=2
    ... )
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> layout = motifgpu.ForceRelaxation(n_neighbors=8, random_state=0).fit_transform(moments)
    >>> layout.shape
    (80, 2)
    >>> neighbors, _ = motifgpu.nearest_neighbors(layout, 3, metric="euclidean")
    >>> bool((made.labels[neighbors] == made.labels[:, None]).mean() > 0.9)
    True
    """

    def __init__(
        self,
        n_neighbors: int = 10,
        random_state: Any = None,
        *,
        stages: Sequence[Stage] = STAGES,
        n_repulsions: float = 10,
        metric: str = "correlation",
        combine: str = "union",
        history_every: int | None = None,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.random_state = random_state
        self.stages = stages
        self.n_repulsions = n_repulsions
        self.metric = metric
        self.combine = combine
        self.history_every = history_every

    def fit(self, X: Array, y: Any = None) -> ForceRelaxation:
        """Compute the layout of the rows of `X` (N, D) and return the estimator.

        Raises
        ------
        ValueError
            As `nearest_neighbors` and `relax` (StageError), for instance for fewer rows than `n_neighbors`;
            or if `X` is not two-dimensional, real and finite.
        """
        n_neighbors = check_integer(self.n_neighbors, STAGE, "n_neighbors", 2)
        X = validated(self, X, reset=True, samples=2, features=2)
        if self.metric == "correlation":
            X = correlatable(X)
        neighbors = nearest_neighbors(X, n_neighbors - 1, metric=self.metric)
        graph = affinity_graph(neighbors, combine=self.combine)
        start = pca_start(X)
        history = [(0, start)]
        layout = relax(
            graph,
            start,
            stages=self.stages,
            n_repulsions=self.n_repulsions,
            seed=seed_of(self.random_state),
            callback=lambda *step: history.append(step),
            callback_every=_NEVER if self.history_every is None else self.history_every,
        )
        self.graph_, self.layout_, self.history_ = graph, layout, history
        return self

    def fit_transform(self, X: Array, y: Any = None, **fit_params: Any) -> Array:
        """Compute and return the layout (N, 2) of the rows of `X` (N, D), as `fit`."""
        if fit_params:
            raise StageError(STAGE, f"there is no fit parameter {', '.join(fit_params)}", "leave it out")
        return self.fit(X).layout_

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the two coordinates; features of the input have no part in them."""
        return np.array(["layout_x", "layout_y"], object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags
