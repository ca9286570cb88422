"""Profiles along lines through class averages, and maps of how units of one kind are distorted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.features.zernike import rotation_invariants


def line_profile(
    picture: Any, start: Sequence[float], stop: Sequence[float], *, width: float = 1.0
) -> tuple[Array, Array]:
    """Return the values of a picture along a line, averaged across it.

    Parameters
    ----------
    picture : (H, W) array
        Class average, or any image.
    start, stop : (float, float)
        Ends of the line, (row, col) px.
    width : float
        Over how many pixels across the line to average, at least 1.

    Returns
    -------
    distance : (m,) array
        From `start`, px, in steps of at most half a pixel.
    values : (m,) array
        By cubic splines.

    Raises
    ------
    StageError
        If the picture is not finite and 2-D, the ends are not two different places inside it, or the width is
        below 1.

    Notes
    -----
    Fig. S16 of Dan et al., Science Advances 8, eabk1005 (2022).
    """
    xp, picture = check_array(picture, "profiles", "picture", 2)
    ends = np.array([start, stop], dtype=np.float64)
    last = np.array(picture.shape) - 1.0
    if ends.shape != (2, 2) or not ((ends >= 0) & (ends <= last)).all() or (ends[0] == ends[1]).all():
        raise StageError(
            "profiles",
            f"the line goes from {tuple(start)} to {tuple(stop)} in a picture of {tuple(picture.shape)} px",
            "give two different places inside it",
        )
    if not 1 <= width < math.inf:
        raise StageError("profiles", f"width is {width}", "give at least 1 pixel")
    length = float(np.hypot(*(ends[1] - ends[0])))
    along = np.linspace(0.0, 1.0, 1 + math.ceil(2 * length))
    across = (np.arange(math.ceil(width)) - (math.ceil(width) - 1) / 2) * (width / math.ceil(width))
    direction = (ends[1] - ends[0]) / length
    normal = np.array([direction[1], -direction[0]])
    places = ends[0] + along[:, None, None] * (ends[1] - ends[0]) + across[None, :, None] * normal
    coordinates = namespace.as_like(np.moveaxis(places, -1, 0).reshape(2, -1), picture)
    values = namespace.ndimage(xp).map_coordinates(picture, coordinates, order=3, mode="mirror")
    values = xp.mean(xp.reshape(values, (len(along), -1)), axis=1)
    return namespace.as_like(along * length, picture), xp.astype(values, picture.dtype)


@dataclass(frozen=True, eq=False)
class Distortion:
    """Principal components of the shapes of units of one kind.

    Attributes
    ----------
    scores : (n, c) array
        Coordinates of each unit, in the unit of the moments; the first varies most.
    explained : (c,) float64 ndarray
        Share of the variance that each component holds.
    """

    scores: Array
    explained: np.ndarray


def distortion(moments: Array, components: int = 2) -> Distortion:
    """Return how units of one kind differ in shape, whatever their orientation.

    Parameters
    ----------
    moments : (n, n_moments) array
        Zernike moments of the units' patches.
    components : int
        Principal components wanted.

    Returns
    -------
    Distortion

    Raises
    ------
    StageError
        If the moments are not those of a whole order or not finite, there are fewer than two units, or more
        components are wanted than there are features.

    Notes
    -----
    Fig. S17 of Dan et al., Science Advances 8, eabk1005 (2022): principal components of rotation-invariant
    features, drawn where the units are by `motifgpu.figures.distortion.plot_distortion`. The mean over the
    disc is left out: a unit is not distorted where the image is brighter. The largest loading of a component
    is positive.
    """
    features = rotation_invariants(moments)[:, 1:]
    xp = namespace.array_namespace(features)
    n, count = features.shape
    if n < 2:
        raise StageError("profiles", f"there are {n} units", "give at least two")
    components = check_integer(components, "profiles", "components", 1, count)
    features = features - xp.mean(features, axis=0)
    covariance = namespace.to_numpy(xp.matmul(xp.matrix_transpose(features), features)).astype(np.float64)
    values, vectors = np.linalg.eigh(covariance)
    axes = vectors[:, ::-1][:, :components]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(components)])
    shares = np.maximum(values[::-1][:components], 0) / max(float(values.sum()), np.finfo(float).tiny)
    return Distortion(xp.matmul(features, namespace.as_like(axes, features)), shares)
