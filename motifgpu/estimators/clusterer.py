"""Motifs as a clusterer."""

from __future__ import annotations

from typing import Any

from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.utils import Tags

from motifgpu.core import namespace
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.estimators.validation import STAGE, correlatable, seed_of, validated
from motifgpu.features.zernike import rotation_invariants
from motifgpu.graph.affinity import affinity_graph
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.graph.relaxation import pca_start, relax
from motifgpu.motifs.find import ENVIRONMENTS, IDENTITIES, find_motifs

_LEAST_ORDER = 4  # of moments that "auto" takes for moments: fewer numbers may well be something else


class MotifClusterer(ClusterMixin, BaseEstimator):  # type: ignore[misc]
    """Labels columns by identity: moments -> neighbours -> layout -> motifs, as `motifgpu.analyze` does.

    Parameters
    ----------
    n_motifs : int or None
        Number of motifs; found by default.
    method : {"auto", "columns", "mixture", "regions", "hdbscan", "kmeans"}
        See `motifgpu.find_motifs`. ``"auto"`` is ``"columns"`` for Zernike moments of order 4 or more
        (15, 21, 28 ... 66 features, not all positive) and ``"mixture"`` for any other features.
    environments : {"auto", "neighbors", "regions", "hdbscan"}
        See `motifgpu.find_motifs`; ``"auto"`` is ``"neighbors"`` with ``"columns"`` and ``"regions"``
        otherwise.
    rotation_invariant : bool
        Build the neighbour graph from the lengths ``|A_p|q||`` only, so that rotated copies of a patch are
        alike in the layout; for moments.
    n_neighbors : int
        Neighbours in the graph, the column itself included; all columns where there are fewer.
    min_size : int
        Smallest number of columns of a motif; columns of smaller ones are unassigned. Without effect where
        `n_motifs` is given.
    random_state : int, RandomState or None
        Of the layout; an int gives the same one every time.

    Attributes
    ----------
    labels_ : (n,) int32 array
        Motif of each sample, 0 the largest, -1 unassigned.
    environments_ : (n,) int32 array
        A finer partition inside the motifs, by the neighbours of each column.
    confidence_ : (n,) array
        Posterior probability of the label, see `motifgpu.Motifs`.
    means_ : (c, D) array
        Mean features of each motif.
    layout_ : (n, 2) float32 array
        Force-relaxed positions.
    n_features_in_ : int

    Notes
    -----
    ``make_pipeline(ZernikeFeatures(order), MotifClusterer(random_state=seed))`` gives the patches of an
    analysis the labels that the analysis has.

    Examples
    --------
    From patches to motifs in one pipeline. Patches of two kinds get two labels:

    >>> import motifgpu
    >>> from sklearn.pipeline import make_pipeline
    >>> made = motifgpu.simulate.patches(
    ...     (60, 40), centers=(1.0, 0.5), gaussian=0.1, size=32, distance=8, sigma=2
    ... )
    >>> pipeline = make_pipeline(motifgpu.ZernikeFeatures(), motifgpu.MotifClusterer(random_state=0))
    >>> labels = pipeline.fit_predict(made.patches)
    >>> bool((labels == made.labels).all())
    True
    """

    def __init__(
        self,
        n_motifs: int | None = None,
        *,
        method: str = "auto",
        environments: str = "auto",
        rotation_invariant: bool = False,
        n_neighbors: int = 10,
        min_size: int = 3,
        random_state: Any = None,
    ) -> None:
        self.n_motifs = n_motifs
        self.method = method
        self.environments = environments
        self.rotation_invariant = rotation_invariant
        self.n_neighbors = n_neighbors
        self.min_size = min_size
        self.random_state = random_state

    def fit(self, X: Array, y: Any = None) -> MotifClusterer:
        """Label the rows of `X` (n, D), moments or other features, and return the estimator.

        Parameters
        ----------
        X : (n, D) array
        y : ignored

        Returns
        -------
        MotifClusterer
            Its arrays in the namespace and on the device of `X`.

        Raises
        ------
        ValueError
            As the stages (StageError), for instance for a method that needs moments and features that are
            none; or if `X` is not two-dimensional, real and finite.
        """
        n_neighbors = check_integer(self.n_neighbors, STAGE, "n_neighbors", 2)
        X = validated(self, X, reset=True, samples=2, features=2)
        method, environments = self._chosen(X)
        features = correlatable(rotation_invariants(X) if self.rotation_invariant else X)
        neighbors = nearest_neighbors(features, min(n_neighbors, X.shape[0]) - 1)
        self.layout_ = relax(affinity_graph(neighbors), pca_start(features), seed=seed_of(self.random_state))
        motifs = find_motifs(
            X,
            self.layout_,
            method=method,
            environments=environments,
            n_motifs=self.n_motifs,
            min_size=self.min_size,
        )
        self.labels_, self.environments_ = motifs.labels, motifs.environments
        self.confidence_, self.means_ = motifs.confidence, motifs.means
        return self

    def _chosen(self, X: Array) -> tuple[str, str]:
        """Return the methods for identities and environments."""
        for name, choice, known in (
            ("method", self.method, IDENTITIES),
            ("environments", self.environments, ENVIRONMENTS),
        ):
            if choice not in ("auto", *known):
                raise StageError(STAGE, f"{name} is {choice!r}", f"choose one of auto, {', '.join(known)}")
        method = self.method
        if method == "auto":
            method = "columns" if _look_like_moments(X) else "mixture"
        environments = self.environments
        if environments == "auto":
            environments = "neighbors" if method == "columns" else "regions"
        return method, environments

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags


def _look_like_moments(X: Array) -> bool:
    """Say whether features are as many as Zernike moments of a whole order, and some of them negative."""
    order = 0
    while (order + 1) * (order + 2) // 2 < X.shape[1]:
        order += 1
    whole = (order + 1) * (order + 2) // 2 == X.shape[1] and order >= _LEAST_ORDER
    return whole and bool(namespace.array_namespace(X).any(X < 0))
