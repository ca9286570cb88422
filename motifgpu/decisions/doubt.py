"""Between which motifs there is doubt: how the rest of a column's confidence is shared among the others."""

from __future__ import annotations

import numpy as np

_RIDGE = 1e-6  # of the mean variance, so that a covariance of few columns can be inverted


def shared_doubt(moments: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return to which other motif each column belongs if it does not belong to its own.

    Parameters
    ----------
    moments : (m, n_moments) ndarray
    labels : (m,) int ndarray
        Motif of each, negative for none.
    rows : (k,) int ndarray
        The columns asked about, of some motif.

    Returns
    -------
    (k, c) float64 ndarray
        Probabilities of c motifs, 0 for its own; of Gaussians of one covariance, that within motifs.
    """
    assigned = labels >= 0
    kinds = int(labels.max(initial=-1)) + 1
    counts = np.bincount(labels[assigned], minlength=kinds)
    x = moments[assigned].astype(np.float64)
    member = labels[assigned]
    total = np.stack([np.bincount(member, column, kinds) for column in x.T], axis=1)
    means = total / np.maximum(counts, 1)[:, None]
    within = (left := x - means[member]).T @ left / max(len(x) - kinds, 1)
    within += (_RIDGE * np.trace(within) / len(within) + 1e-300) * np.eye(len(within))
    whiten = np.linalg.inv(np.linalg.cholesky(within)).T
    own, middle = moments[rows] @ whiten, means @ whiten
    apart = (own**2).sum(1)[:, None] - 2 * own @ middle.T + (middle**2).sum(1)
    with np.errstate(divide="ignore"):
        joint = np.log(counts) - 0.5 * apart
    joint[np.arange(len(rows)), labels[rows]] = -np.inf
    if (counts > 0).sum() < 2:
        return np.zeros_like(joint)
    share = np.exp(joint - joint.max(axis=1, keepdims=True))
    found: np.ndarray = share / share.sum(axis=1, keepdims=True)
    return found
