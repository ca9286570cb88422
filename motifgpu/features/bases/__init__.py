"""Other features of patches than Zernike moments, for comparison, and one way to choose among them."""

from __future__ import annotations

from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.features.bases.components import principal_components
from motifgpu.features.bases.fourier_bessel import (
    FOURIER_BESSEL,
    fourier_bessel_basis,
    fourier_bessel_moments,
    reconstruct_fourier_bessel,
)
from motifgpu.features.bases.projection import STAGE
from motifgpu.features.bases.pseudo_zernike import (
    PSEUDO_ZERNIKE,
    pseudo_zernike_basis,
    pseudo_zernike_moments,
    reconstruct_pseudo_zernike,
)
from motifgpu.features.zernike import zernike_moments

__all__ = [
    "BASES",
    "fourier_bessel_basis",
    "fourier_bessel_moments",
    "patch_features",
    "principal_components",
    "pseudo_zernike_basis",
    "pseudo_zernike_moments",
    "reconstruct_fourier_bessel",
    "reconstruct_pseudo_zernike",
]

BASES = ("zernike", "pseudo-zernike", "fourier-bessel", "pca", "kernel-pca")


def patch_features(patches: Array, basis: str = "zernike", n_features: int = 66) -> Array:
    """Return features of patches in one of several bases.

    Parameters
    ----------
    patches : (n, s, s) array
        Patches as `motifgpu.extract_patches` gives them.
    basis : {"zernike", "pseudo-zernike", "fourier-bessel", "pca", "kernel-pca"}
        The first three are fixed functions on the disc, on which each patch is projected independently; the
        last two are fitted to all patches together.
    n_features : int
        Largest number of features per patch. Fixed functions are taken up to a whole order: for 66, Zernike
        and Fourier-Bessel give 66 (order 10) and pseudo-Zernike gives 64 (order 7).

    Returns
    -------
    (n, m) array
        In the namespace and on the device of `patches`.

    Raises
    ------
    StageError
        If the basis is unknown, the patches are too small or too few for so many features, or not square,
        real and finite.

    Notes
    -----
    The comparison is that of Fig. S8 of Dan et al., Science Advances 8, eabk1005 (2022). In a scikit-learn
    Pipeline, use ``FunctionTransformer(patch_features, kw_args={"basis": "fourier-bessel"})`` for fixed
    functions, and scikit-learn's own PCA.

    Examples
    --------
    Describe the same patches in different bases, by 15 numbers at most:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((20, 20), gaussian=0.1, size=32, distance=8, sigma=2)
    >>> for basis in ("zernike", "pseudo-zernike", "fourier-bessel", "pca"):
    ...     print(basis, motifgpu.patch_features(made.patches, basis, n_features=15).shape)
    zernike (40, 15)
    pseudo-zernike (40, 9)
    fourier-bessel (40, 15)
    pca (40, 15)
    """
    if basis not in BASES:
        raise StageError(STAGE, f"there is no basis {basis!r}", f"choose one of {', '.join(BASES)}")
    n_features = check_integer(n_features, STAGE, "n_features", 1)
    if basis in ("pca", "kernel-pca"):
        return principal_components(patches, n_features, kernel=basis == "kernel-pca")
    if basis == "pseudo-zernike":
        return pseudo_zernike_moments(patches, PSEUDO_ZERNIKE.largest_order(n_features))
    order = FOURIER_BESSEL.largest_order(n_features)  # Zernike's count is the same
    return (
        fourier_bessel_moments(patches, order)
        if basis == "fourier-bessel"
        else zernike_moments(patches, order)
    )
