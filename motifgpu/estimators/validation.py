"""What scikit-learn expects of the input of every estimator, on the host and on devices."""

from __future__ import annotations

import warnings
from typing import Any

import array_api_compat
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_n_features, validate_data

from motifgpu.core import namespace
from motifgpu.core.checks import check_array
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

STAGE = "estimators"


def validated(estimator: BaseEstimator, X: Any, *, reset: bool, samples: int = 1, features: int = 1) -> Array:
    """Check samples (n, D) and return them as float32 or float64 in their namespace.

    Parameters
    ----------
    estimator : estimator
        Gets `n_features_in_` and, of data frames, `feature_names_in_` when `reset`; else the input must have
        as many.
    X : (n, D) array_like
    reset : bool
    samples, features : int
        Fewest n and D that will do.

    Raises
    ------
    ValueError
        If they are not two-dimensional, real and finite, or not as many as they must be.
    TypeError
        If they are sparse.
    """
    if array_api_compat.is_array_api_obj(X) and not isinstance(X, np.ndarray):
        _, X = check_array(X, STAGE, "X", 2)
        if X.shape[0] < samples or X.shape[1] < features:
            raise StageError(
                STAGE,
                f"X has shape {tuple(X.shape)}",
                f"give at least {samples} samples (rows) of at least {features} features",
            )
        _check_n_features(estimator, X, reset=reset)
        return X
    return validate_data(
        estimator,
        X,
        reset=reset,
        dtype=[np.float64, np.float32],
        order="C",
        ensure_min_samples=samples,
        ensure_min_features=features,
    )


def correlatable(X: Array) -> Array:
    """Give constant rows of (n, D) features, whose correlation is undefined, the mean of the others; warn."""
    xp = namespace.array_namespace(X)
    flat = xp.max(X, axis=1) == xp.min(X, axis=1)
    number = int(xp.sum(xp.astype(flat, xp.int32)))
    if number in (0, X.shape[0]):
        return X
    warnings.warn(
        f"{number} of {X.shape[0]} rows of X are constant, so that no correlation with others is defined; in "
        "the neighbour graph they count as the mean of the other rows",
        UserWarning,
        stacklevel=3,
    )
    mean = xp.mean(namespace.take_rows(X, ~flat), axis=0)
    return xp.where(flat[:, None], mean[None, :], X)


def seed_of(random_state: Any) -> int:
    """Return an integer as it is, and one drawn from anything else that scikit-learn takes for a state."""
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31))
