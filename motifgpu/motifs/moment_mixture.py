"""Classes of columns by a Gaussian mixture of their moments, without looking into patches."""

from __future__ import annotations

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.motifs.mixture import best, fit_mixtures

_COMPONENTS = 4  # principal components for the mixture
_SAMPLE = 10_000  # columns that it is fitted to, at least, where there are more


def by_mixture(moments: Array, n_motifs: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Divide columns by a Gaussian mixture on the leading principal components of their moments.

    Parameters
    ----------
    moments : (n, d) array
    n_motifs : int or None
        Number of classes; found when None.

    Returns
    -------
    labels : (n,) int64 ndarray
    confidence : (n,) float64 ndarray
        Posterior probability of the label.

    Raises
    ------
    StageError
        If fewer than `n_motifs` columns differ.
    """
    xp = namespace.array_namespace(moments)
    centred = moments - xp.mean(moments, axis=0)
    covariance = to_numpy(xp.matmul(centred.T, centred)).astype(np.float64)
    axes = np.linalg.eigh(covariance)[1][:, ::-1][:, :_COMPONENTS]
    scores = to_numpy(xp.matmul(centred, namespace.as_like(axes, moments))).astype(np.float64)
    most = 8 if n_motifs is None else max(8, n_motifs)
    fits = fit_mixtures(scores[:: max(1, len(scores) // _SAMPLE)], max_components=most)
    if n_motifs is not None and n_motifs > len(fits):
        raise StageError(
            "motifs",
            f"n_motifs is {n_motifs} and only {len(fits)} columns differ",
            "leave n_motifs out",
        )
    posterior = (best(fits) if n_motifs is None else fits[n_motifs - 1]).posterior(scores)
    return posterior.argmax(axis=1).astype(np.int64), posterior.max(axis=1)
