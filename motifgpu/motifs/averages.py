"""Class averages: what the columns of each motif look like together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer, check_labels
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.features.zernike import reconstruct_patches


@dataclass(frozen=True, eq=False)
class ClassAverages:
    """The mean of the columns of each of c motifs.

    Attributes
    ----------
    patches : (c, size, size) array
        Mean of the raw patches, which were cut at sub-pixel centres.
    reconstructions : (c, size, size) array
        The patch that the mean moments describe, zero outside the disc.
    counts : (c,) int64 array
        Columns in each mean.

    Examples
    --------
    Averages have less noise than single patches, and the patches that mean moments describe resemble them:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
    >>> averages = motifgpu.class_averages(patches, motifgpu.zernike_moments(patches), made.labels[inside])
    >>> bool(averages.counts.sum() == inside.sum())
    True
    >>> disc = motifgpu.zernike_basis(0, 28)[0] > 0
    >>> bool(np.corrcoef(averages.patches[0][disc], averages.reconstructions[0][disc])[0, 1] > 0.9)
    True
    """

    patches: Array
    reconstructions: Array
    counts: Array

    __repr__ = one_line


def class_averages(
    patches: Array, moments: Array, labels: Array, *, n_classes: int | None = None
) -> ClassAverages:
    """Average patches and moments by label.

    Parameters
    ----------
    patches : (N, size, size) array
        Patches as `motifgpu.extract_patches` gives them.
    moments : (N, n_moments) array
        Their Zernike moments.
    labels : (N,) integer array
        Class of each, such as `Motifs.labels` or `Motifs.environments`; negative ones are left out.
    n_classes : int, optional
        How many classes there are; by default as many as the largest label says.

    Returns
    -------
    ClassAverages
        For all classes, in the namespace and on the device of `patches`. A label without
        columns has zeros.

    Raises
    ------
    StageError
        If lengths differ, labels are no integers, or an array is not finite or of the wrong shape.

    Examples
    --------
    Average the patches of molybdenum, selenium and vacancies; a vacancy is the darkest in its middle:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
    >>> averages = motifgpu.class_averages(patches, motifgpu.zernike_moments(patches), made.labels[inside])
    >>> averages.patches.shape
    (3, 28, 28)
    >>> made.names[averages.patches[:, 14, 14].argmin()]
    'V_Se'
    """
    xp, patches = check_array(patches, "averages", "patches", 3)
    _, moments = check_array(moments, "averages", "moments", 2)
    host = check_labels(labels, "averages", patches.shape[0])
    if moments.shape[0] != host.size:
        raise StageError(
            "averages",
            f"there are {moments.shape[0]} rows of moments and {host.size} patches",
            "give the moments of these patches",
        )
    least = 0 if n_classes is None else check_integer(n_classes, "averages", "n_classes", 0)
    counts = np.bincount(host[host >= 0], minlength=least)
    size = patches.shape[1]
    means = mean_rows(xp.reshape(patches, (host.size, -1)), host, counts)
    mean_moments = mean_rows(moments, host, counts)
    return ClassAverages(
        patches=xp.reshape(means, (counts.size, *patches.shape[1:])),
        reconstructions=reconstruct_patches(mean_moments, size),
        counts=namespace.from_numpy(counts, patches),
    )


def mean_rows(x: Array, labels: np.ndarray, counts: np.ndarray) -> Array:
    """Return the mean rows (c, d) of x (n, d) for each label; the labels alone go to the device."""
    xp = namespace.array_namespace(x)
    number = xp.arange(counts.size, dtype=xp.int64, device=namespace.device(x))
    member = xp.astype(namespace.from_numpy(labels, x)[None, :] == number[:, None], x.dtype)
    return xp.matmul(member, x) / namespace.as_like(np.maximum(counts, 1)[:, None], x)
