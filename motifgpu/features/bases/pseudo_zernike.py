"""Pseudo-Zernike moments: Zernike's disc polynomials without the rule that p - q be even.

There are (p + 1)^2 of them up to order p, nearly twice as many as of Zernike's, the additional ones crowded
at the rim. A. B. Bhatia and E. Wolf, Math. Proc. Camb. Phil. Soc. 50, 40 (1954); as moments of images C.-H.
Teh and R. T. Chin, IEEE Trans. Pattern Anal. Mach. Intell. 10, 496 (1988). One of the fixed bases of Fig. S8
of the paper.
"""

from __future__ import annotations

import numpy as np
from scipy.special import eval_jacobi

from motifgpu.core.namespace import Array
from motifgpu.features.bases.projection import DiscBasis


class PseudoZernike(DiscBasis):
    """Pseudo-Zernike functions in the order of j = p^2 + p + q."""

    name = "pseudo-Zernike"

    def count(self, order: int) -> int:
        """Return (order + 1)^2."""
        return (order + 1) ** 2

    def indices(self, order: int) -> np.ndarray:
        """Return (p, q) with p up to the order and q from -p to p."""
        return np.array([(p, q) for p in range(order + 1) for q in range(-p, p + 1)], dtype=np.int64)

    def radial(self, p: int, q: int, rho: np.ndarray) -> np.ndarray:
        """Return rho^q P_(p-q)^(0, 2q+1)(2 rho - 1) with Jacobi's P, free of sums of factorials."""
        values: np.ndarray = rho**q * eval_jacobi(p - q, 0, 2 * q + 1, 2 * rho - 1)
        return values

    def mean_square(self, p: int, q: int) -> float:
        """Return 1 / (p + 1)."""
        return 1.0 / (p + 1)


PSEUDO_ZERNIKE = PseudoZernike()


def pseudo_zernike_basis(order: int, size: int) -> np.ndarray:
    """Return the pseudo-Zernike functions on the pixels of a patch.

    Parameters
    ----------
    order : int
        Highest radial order p, at most 100.
    size : int
        Side of the patch in pixels.

    Returns
    -------
    ((order + 1)^2, size, size) float64 ndarray
        In the order of j = p^2 + p + q, zero outside the disc; mean square 1 over it; sines have negative q.

    Raises
    ------
    StageError
        If `order` or `size` is no whole number or out of range.

    Examples
    --------
    Order 7 has 8 x 8 functions:

    >>> from motifgpu.features.bases import pseudo_zernike_basis
    >>> pseudo_zernike_basis(7, 32).shape
    (64, 32, 32)
    """
    return PSEUDO_ZERNIKE.basis(order, size)


def pseudo_zernike_moments(patches: Array, order: int = 7) -> Array:
    """Return the pseudo-Zernike moments of patches, by least squares.

    Parameters
    ----------
    patches : (n, s, s) array
        As `motifgpu.extract_patches` gives them.
    order : int
        Highest radial order p; order 7 has 64 moments, about as many as Zernike's order 10.

    Returns
    -------
    (n, (order + 1)^2) array
        In the namespace and on the device of `patches`; float64 for float64 patches and float32 otherwise.

    Raises
    ------
    StageError
        If the patches are not square, real and finite, or too small to distinguish the functions.

    Examples
    --------
    Describe five patches by 64 numbers each:

    >>> import motifgpu
    >>> from motifgpu.features.bases import pseudo_zernike_moments
    >>> made = motifgpu.simulate.patches((5,), centers=(1.0,), size=32, distance=8, sigma=2)
    >>> pseudo_zernike_moments(made.patches).shape
    (5, 64)
    """
    return PSEUDO_ZERNIKE.moments(patches, order)


def reconstruct_pseudo_zernike(moments: Array, size: int) -> Array:
    """Return the patches (n, size, size) that pseudo-Zernike moments describe.

    Parameters
    ----------
    moments : (n, (order + 1)^2) array
    size : int
        Side of the patches in pixels. Any size is possible.

    Raises
    ------
    StageError
        If the moments are not finite or not those of a whole order, or `size` is no whole number above 0.

    Examples
    --------
    A patch rebuilt from moments has these moments:

    >>> import numpy as np
    >>> from motifgpu.features.bases import pseudo_zernike_moments, reconstruct_pseudo_zernike
    >>> moments = np.eye(64)[:3]
    >>> patches = reconstruct_pseudo_zernike(moments, 32)
    >>> patches.shape
    (3, 32, 32)
    >>> np.allclose(pseudo_zernike_moments(patches), moments, atol=1e-6)
    True
    """
    return PSEUDO_ZERNIKE.reconstruct(moments, size)
