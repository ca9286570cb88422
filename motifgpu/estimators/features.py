"""Zernike moments as a transformer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags

from motifgpu.core import namespace
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.estimators.validation import STAGE, validated
from motifgpu.features import disc
from motifgpu.features.zernike import rotation_invariants, zernike_indices, zernike_moments


class ZernikeFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Zernike moments of patches.

    Nothing is learned: `fit` checks that the order suits the patches and remembers their size.

    Parameters
    ----------
    order : int
        Highest radial order p; 66 moments for order 10.
    rotation_invariant : bool
        Return the lengths ``|A_p|q||`` instead, which do not change when a patch is turned or mirrored: 36
        for order 10.

    Attributes
    ----------
    n_features_in_ : int
        Pixels of a patch.
    feature_names_in_ : (n_features,) ndarray of str
        Where patches came as rows of a data frame with names.

    See Also
    --------
    motifgpu.zernike_moments : the stage.
    motifgpu.patch_features : other features, for comparison.

    Examples
    --------
    The moments of noisy patches of two kinds, and their names:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((5, 5), gaussian=0.1, size=32, distance=8, sigma=2)
    >>> features = motifgpu.ZernikeFeatures(order=2)
    >>> features.fit_transform(made.patches).shape
    (10, 6)
    >>> features.get_feature_names_out().tolist()
    ['A_0,0', 'A_1,-1', 'A_1,1', 'A_2,-2', 'A_2,0', 'A_2,2']
    """

    def __init__(self, order: int = 10, *, rotation_invariant: bool = False) -> None:
        self.order = order
        self.rotation_invariant = rotation_invariant

    def fit(self, X: Array, y: Any = None) -> ZernikeFeatures:
        """Check that these patches are large enough for moments of this order.

        Parameters
        ----------
        X : (n, s, s) or (n, s * s) array
            Patches, or their pixels row by row.
        y : ignored

        Returns
        -------
        ZernikeFeatures

        Raises
        ------
        ValueError
            If the patches are not square, real and finite, or too small for the order; as a StageError that
            says which order would do.
        """
        patches = self._patches(X, reset=True)
        disc.check_condition(self._checked_order(), patches.shape[1], patches.shape[2])
        return self

    def transform(self, X: Array) -> Array:
        """Return the moments of patches, in the order of `get_feature_names_out`.

        Parameters
        ----------
        X : (n, s, s) or (n, s * s) array
            Of the size that was fitted to, if any.

        Returns
        -------
        (n, n_moments) array
            In the namespace and on the device of `X`; float32 for float32 and float64 otherwise.

        Raises
        ------
        ValueError
            As `fit`.
        """
        patches = self._patches(X, reset=False)
        moments = zernike_moments(patches, self._checked_order())
        return rotation_invariants(moments) if self.rotation_invariant else moments

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return ``A_p,q`` of each moment, sines with negative q; ``|A_p,q|`` of each invariant.

        Parameters
        ----------
        input_features : ignored
            Pixels have no part in the names.

        Returns
        -------
        (n_moments,) ndarray of str objects
        """
        pairs = zernike_indices(self._checked_order()).tolist()
        if self.rotation_invariant:
            return np.array([f"|A_{p},{q}|" for p, q in pairs if q >= 0], object)
        return np.array([f"A_{p},{q}" for p, q in pairs], object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        # Rows must be those of a square, which is no table of any width.
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.requires_fit = False
        tags.array_api_support = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _checked_order(self) -> int:
        return check_integer(self.order, STAGE, "order", 0, disc.MAX_ORDER)

    def _patches(self, X: Any, *, reset: bool) -> Array:
        """Check patches or rows of pixels and return them as (n, s, s)."""
        X = X if hasattr(X, "ndim") else np.asarray(X)
        if X.ndim == 3:
            if X.shape[1] != X.shape[2]:
                raise StageError(STAGE, f"patches have shape {tuple(X.shape)}", "give square ones, (n, s, s)")
            X = namespace.array_namespace(X).reshape(X, (X.shape[0], X.shape[1] * X.shape[2]))
        X = validated(self, X, reset=reset)
        side = math.isqrt(X.shape[1])
        if side * side != X.shape[1]:
            raise StageError(
                STAGE,
                f"X has {X.shape[1]} features, which are no square patch",
                "give patches (n, s, s), or their pixels row by row, (n, s * s)",
            )
        return namespace.array_namespace(X).reshape(X, (X.shape[0], side, side))
