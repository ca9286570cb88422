"""Fourier-Bessel moments: the standing waves of a disc whose rim is free.

The functions are J_q(z rho) times cos(q theta) or sin(q theta), where z is a zero of J_q', the derivative;
they are harmonics of the disc: like plane waves each has one frequency, z over the radius. With a free rim
the constant is one of them, and patches need not vanish at the rim, as they would with zeros of J_q itself.
Pixels distinguish them better than polynomials: order 10 on 14 pixels has condition number 1.5, where
Zernike's has 10.7.

They are named as Zernike functions are, by (p, q): the radial part of q has (p - |q|) / 2 nodes. So there are
as many up to an order, in the same places, and `motifgpu.rotation_invariants` and `rotate_moments`
hold for these moments too. S. C. Verrall and R. Kakarala, J. Opt. Soc. Am. A 15, 389 (1998). One of the fixed
bases of Fig. S8 of the paper.
"""

from __future__ import annotations

import functools

import numpy as np
from scipy.special import jnp_zeros, jv

from motifgpu.core.namespace import Array
from motifgpu.features import disc
from motifgpu.features.bases.projection import DiscBasis


@functools.lru_cache(maxsize=256)
def frequency(p: int, q: int) -> float:
    """Return z of the function (p, q), q >= 0: number (p - q) / 2 of the zeros of J_q', 0 one of J_0'."""
    node = (p - q) // 2
    if q == 0:
        return float(jnp_zeros(0, node)[-1]) if node else 0.0
    return float(jnp_zeros(q, node + 1)[-1])


class FourierBessel(DiscBasis):
    """Fourier-Bessel functions of a free rim, in the order of Zernike's j = (p (p + 2) + q) / 2."""

    name = "Fourier-Bessel"

    def count(self, order: int) -> int:
        """Return (order + 1)(order + 2) / 2."""
        return disc.n_moments(order)

    def indices(self, order: int) -> np.ndarray:
        """Return (p, q) as Zernike functions have them."""
        return disc.indices(order)

    def radial(self, p: int, q: int, rho: np.ndarray) -> np.ndarray:
        """Return J_q(z rho) / J_q(z)."""
        z = frequency(p, q)
        values: np.ndarray = jv(q, z * rho) / jv(q, z)
        return values

    def mean_square(self, p: int, q: int) -> float:
        """Return 1 - q^2 / z^2."""
        return 1.0 - (q / frequency(p, q)) ** 2 if q else 1.0


FOURIER_BESSEL = FourierBessel()


def fourier_bessel_basis(order: int, size: int) -> np.ndarray:
    """Return the Fourier-Bessel functions on the pixels of a patch.

    Parameters
    ----------
    order : int
        Highest order p, at most 100.
    size : int
        Side of the patch in pixels.

    Returns
    -------
    (n_moments, size, size) float64 ndarray
        In the order of `motifgpu.features.zernike.zernike_indices`, zero outside the disc; mean square 1 over
        it.

    Raises
    ------
    StageError
        If `order` or `size` is no whole number or out of range.

    Examples
    --------
    Order 10 has as many functions as Zernike's:

    >>> from motifgpu.features.bases import fourier_bessel_basis
    >>> fourier_bessel_basis(10, 32).shape
    (66, 32, 32)
    """
    return FOURIER_BESSEL.basis(order, size)


def fourier_bessel_moments(patches: Array, order: int = 10) -> Array:
    """Return the Fourier-Bessel moments of patches, by least squares.

    Parameters
    ----------
    patches : (n, s, s) array
        As `motifgpu.extract_patches` gives them.
    order : int
        Highest order p; order 10 has 66 moments.

    Returns
    -------
    (n, n_moments) array
        In the namespace and on the device of `patches`; float64 for float64 patches and float32 otherwise.

    Raises
    ------
    StageError
        If the patches are not square, real and finite, or too small to distinguish the functions.

    Examples
    --------
    Describe five patches by 66 numbers each:

    >>> import motifgpu
    >>> from motifgpu.features.bases import fourier_bessel_moments
    >>> made = motifgpu.simulate.patches((5,), centers=(1.0,), size=32, distance=8, sigma=2)
    >>> fourier_bessel_moments(made.patches).shape
    (5, 66)
    """
    return FOURIER_BESSEL.moments(patches, order)


def reconstruct_fourier_bessel(moments: Array, size: int) -> Array:
    """Return the patches (n, size, size) that Fourier-Bessel moments describe.

    Parameters
    ----------
    moments : (n, n_moments) array
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
    >>> from motifgpu.features.bases import fourier_bessel_moments, reconstruct_fourier_bessel
    >>> moments = np.eye(66)[:3]
    >>> patches = reconstruct_fourier_bessel(moments, 32)
    >>> patches.shape
    (3, 32, 32)
    >>> np.allclose(fourier_bessel_moments(patches), moments, atol=1e-6)
    True
    """
    return FOURIER_BESSEL.reconstruct(moments, size)
