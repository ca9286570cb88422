"""Principal components of patches, by scikit-learn: features that are fitted to the patches themselves."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.features.bases.projection import STAGE


def principal_components(patches: Array, number: int = 66, *, kernel: bool = False) -> Array:
    """Return the principal components of patches.

    Parameters
    ----------
    patches : (n, s, s) array
    number : int
        Number of components, at most the number of patches and, without a kernel, of pixels.
    kernel : bool
        Kernel PCA with a Gaussian kernel of the distances d between patches,
        ``exp(-d^2 / (pixels x variance))``, instead of PCA. It stores n x n numbers: 800 MB for 10,000
        patches.

    Returns
    -------
    (n, number) array
        In the namespace and on the device of `patches`; computed on the host. Unlike moments they depend on
        which patches are given together.

    Raises
    ------
    StageError
        If the patches are not finite, or fewer than `number`, or all equal.

    See Also
    --------
    sklearn.decomposition.PCA, sklearn.decomposition.KernelPCA : used here with their default solvers.

    Examples
    --------
    Two classes of patches that differ in the height of the central column differ in the first component:

    >>> import motifgpu
    >>> from motifgpu.features.bases import principal_components
    >>> kinds = {"sizes": (20, 20), "centers": (1.0, 0.5)}
    >>> made = motifgpu.simulate.patches(**kinds, gaussian=0.05, size=32, distance=8, sigma=2)
    >>> components = principal_components(made.patches, 2)
    >>> components.shape
    (40, 2)
    >>> first = components[:, 0]
    >>> bool(first[:20].min() > first[20:].max() or first[:20].max() < first[20:].min())
    True
    """
    _, patches = check_array(patches, STAGE, "patches", 3)
    rows = namespace.to_numpy(patches).reshape(patches.shape[0], patches.shape[1] * patches.shape[2])
    most = len(rows) if kernel else min(rows.shape)
    number = check_integer(number, STAGE, "number", 1)
    if number > most:
        raise StageError(
            STAGE,
            f"{number} components are requested and patches of shape {tuple(patches.shape)} have {most}",
            f"give {most} or fewer",
        )
    if not (rows != rows[0]).any():
        raise StageError(STAGE, f"all {len(rows)} patches are equal", "give patches that differ")
    found = _kernel(rows, number) if kernel else _linear(rows, number)
    return namespace.as_like(found, patches)


def _linear(rows: np.ndarray, number: int) -> np.ndarray:
    from sklearn.decomposition import PCA

    scores: np.ndarray = PCA(number, random_state=0).fit_transform(rows)
    return scores


def _kernel(rows: np.ndarray, number: int) -> np.ndarray:
    from sklearn.decomposition import KernelPCA

    gamma = 1.0 / (rows.shape[1] * float(rows.var()))
    model: Any = KernelPCA(number, kernel="rbf", gamma=gamma, random_state=0)
    scores: np.ndarray = model.fit_transform(rows)
    return scores
