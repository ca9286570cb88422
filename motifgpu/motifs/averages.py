"""Class averages: what the columns of each motif look like together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.core import namespace, rows
from motifgpu.core.checks import check_array, check_integer, check_labels
from motifgpu.core.errors import StageError
from motifgpu.core.lockstep import together
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
    _, patches = check_array(patches, "averages", "patches", 3)
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
    return averages_of(patches, namespace.to_numpy(moments), host, counts)


def averages_of(patches: Array, moments: np.ndarray, labels: np.ndarray, counts: np.ndarray) -> ClassAverages:
    """Return `class_averages` of what needs no check, given how many columns each class has."""
    means = mean_patches(patches, labels, counts)
    reconstructions = reconstruct_patches(mean_rows(moments, labels, counts), patches.shape[1])
    there = (namespace.from_numpy(x, patches) for x in (reconstructions, counts))
    return ClassAverages(means, *there)


def mean_patches(patches: Array, labels: np.ndarray, counts: np.ndarray) -> Array:
    """Return the mean patches (c, s, s) for each label."""
    if isinstance(patches, rows.Row):
        return _mean_patches(patches, labels, counts)
    xp = namespace.array_namespace(patches)
    means = mean_rows(xp.reshape(patches, (labels.size, -1)), labels, counts)
    return xp.reshape(means, (counts.size, *patches.shape[1:]))


@together
def _mean_patches(calls: Sequence[tuple[Any, ...]]) -> list[Array]:
    patches, labels, counts = zip(*calls, strict=True)
    every = rows.joined(patches)
    xp, size = namespace.array_namespace(every), every.shape[1:]
    number = [own.size for own in labels]
    most, kinds = max(number), max(own.size for own in counts)
    # As many for each micrograph, some of which have no label: sums are the same bits in any batch.
    first = np.cumsum(number) - number
    place = first[:, None] + np.minimum(np.arange(most), np.maximum(np.array(number)[:, None] - 1, 0))
    kind = np.stack([np.pad(own, (0, most - own.size), constant_values=-1) for own in labels])
    members = np.stack([np.pad(np.maximum(own, 1), (0, kinds - own.size), mode="edge") for own in counts])
    taken = xp.take(
        xp.reshape(every, (every.shape[0], -1)), namespace.from_numpy(place.reshape(-1), every), axis=0
    )
    member = (
        namespace.from_numpy(kind[:, None, :], every)
        == xp.arange(kinds, device=namespace.device(every))[:, None]
    )
    total = xp.matmul(xp.astype(member, every.dtype), xp.reshape(taken, (len(calls), most, -1)))
    means = total / namespace.as_like(members[:, :, None], every)
    means = xp.reshape(means, (len(calls), kinds, *size))
    return [rows.Row(means[k : k + 1, : own.size, ...], 0) for k, own in enumerate(counts)]


def mean_rows(x: Array, labels: np.ndarray, counts: np.ndarray) -> Array:
    """Return the mean rows (c, d) of x (n, d) for each label; the labels alone go to the device."""
    xp = namespace.array_namespace(x)
    number = xp.arange(counts.size, dtype=xp.int64, device=namespace.device(x))
    member = xp.astype(namespace.from_numpy(labels, x)[None, :] == number[:, None], x.dtype)
    return xp.matmul(member, x) / namespace.as_like(np.maximum(counts, 1)[:, None], x)
