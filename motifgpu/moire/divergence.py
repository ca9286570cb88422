"""How different the domains of a moire are, against what chance makes of equal ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.shown import one_line

_LEAST_POINTS = 20


@dataclass(frozen=True, eq=False)
class DomainDivergence:
    """Divergences between the feature histograms of domains; d domains were compared.

    Attributes
    ----------
    matrix : (d, d) float64 ndarray
        Kullback-Leibler divergence of each row's histograms from each column's, nats, mean over the features;
        0 on the diagonal.
    mean, deviation : float
        Over the ordered pairs of different domains.
    null : (d, d) float64 ndarray
        Mean divergence of the same points divided at random between the two domains: what samples of this
        size give where there is no difference.
    null_mean, null_deviation : float
        Mean of `null` over the pairs, and the standard deviation of a pair's divergence under it.
    p_values : (d, d) float64 ndarray
        Share of the random divisions whose divergence is not lower, the observation counted among them; 1 on
        the diagonal.
    expected : float
        (bins - 1) / n for the mean sample size n: about the divergence of two equal samples.
    counts : (d,) int64 ndarray
        Points in each domain.
    domains : (d,) int64 ndarray
        Which of the given centres were compared; the others have too few points.
    bins : int
    radius : float
        Of a domain, px.
    """

    matrix: np.ndarray
    mean: float
    deviation: float
    null: np.ndarray
    null_mean: float
    null_deviation: float
    p_values: np.ndarray
    expected: float
    counts: np.ndarray
    domains: np.ndarray
    bins: int
    radius: float

    __repr__ = one_line


def domain_divergence(
    features: Any,
    points: Any,
    centers: Any,
    radius: float,
    *,
    bins: int = 20,
    permutations: int = 200,
    seed: int = 0,
) -> DomainDivergence:
    """Compare the feature histograms of domains by their Kullback-Leibler divergence.

    Parameters
    ----------
    features : (n, f) array
        Features of the columns, rotation-invariant moments in the paper.
    points : (n, 2) array
        Columns as (row, col), px.
    centers : (m, 2) array
        Centres of domains of one kind, px. Leave out those whose circle reaches beyond the image: what is
        missing there would count as a difference.
    radius : float
        Radius of a domain, px; 0.45 moire lengths leave neighbours apart.
    bins : int
        Bins of each feature's histogram, over the range of all domains' points.
    permutations : int
        Number of random divisions for the null.
    seed : int
        Seed of the random divisions.

    Returns
    -------
    DomainDivergence

    Raises
    ------
    StageError
        If shapes do not fit, a value is not finite, a number is out of range, or fewer than two domains have
        20 points.

    Notes
    -----
    Fig. 5H and S22 of Dan et al., Science Advances 8, eabk1005 (2022), which do not say how many bins were
    used or what empty ones count as; here each bin has half a point added. The null divides single points, as
    if they were independent: neighbouring patches overlap, so a small p-value says that the samples differ,
    not why. On the host.

    Examples
    --------
    Domains of one stacking differ no more than random samples of the same columns do:

    >>> import motifgpu
    >>> made = motifgpu.simulate.bilayer(shape=(256, 256), twist=8.0, lattice_constant=12.0, counts=100.0)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 24, side=20.0)
    >>> features = motifgpu.rotation_invariants(motifgpu.zernike_moments(patches))
    >>> centers = made.domains[made.domain_labels == 0]
    >>> centers = centers[abs(centers - 128).max(axis=1) < 75]
    >>> divergence = motifgpu.domain_divergence(features, made.points[inside], centers, 35.0, permutations=20)
    >>> divergence.matrix.shape == (len(centers), len(centers))
    True
    >>> 0.5 < divergence.mean / divergence.null_mean < 2.0
    True
    """
    _, given = check_array(features, "divergence", "features", 2)
    _, where = check_array(points, "divergence", "points", 2)
    _, middle = check_array(centers, "divergence", "centers", 2)
    values, places, centres = (namespace.to_numpy(a).astype(np.float64) for a in (given, where, middle))
    if places.shape != (len(values), 2) or centres.shape[1:] != (2,):
        raise StageError(
            "divergence",
            f"features have shape {values.shape}, points {places.shape} and centers {centres.shape}",
            "give (row, col) for each column and each domain",
        )
    bins = check_integer(bins, "divergence", "bins", 2)
    permutations = check_integer(permutations, "divergence", "permutations", 1)
    if not 0 < radius < math.inf:
        raise StageError("divergence", f"radius is {radius}", "give a length in pixels above 0")
    members = (
        [np.sort(each) for each in cKDTree(places).query_ball_point(centres, radius)] if len(values) else []
    )
    used = np.array([d for d, each in enumerate(members) if len(each) >= _LEAST_POINTS], np.int64)
    if len(used) < 2:
        raise StageError(
            "divergence",
            f"{len(used)} of {len(centres)} domains have {_LEAST_POINTS} points within {radius:.4g} px",
            "give more domains, or a larger radius",
        )
    rows = [members[d].astype(np.int64) for d in used]
    together = values[np.unique(np.concatenate(rows))]
    low, extent = together.min(axis=0), np.ptp(together, axis=0)
    scaled = (values - low) / np.where(extent > 0, extent, 1.0)
    # Each feature's bins have numbers of their own, so that one count makes all histograms.
    codes = np.clip((scaled * bins).astype(np.int64), 0, bins - 1) + bins * np.arange(values.shape[1])
    return _compare(codes, rows, used, bins, float(radius), permutations, np.random.default_rng(seed))


def _compare(
    codes: np.ndarray,
    rows: list[np.ndarray],
    used: np.ndarray,
    bins: int,
    radius: float,
    permutations: int,
    rng: np.random.Generator,
) -> DomainDivergence:
    """Fill the matrices pair by pair."""
    number = len(rows)
    matrix, null, p_values = np.zeros((number, number)), np.zeros((number, number)), np.ones((number, number))
    spread = []
    counts = np.array([len(each) for each in rows])
    histograms = [_histogram(codes[each], bins) for each in rows]
    for a in range(number):
        for b in range(a + 1, number):
            pooled = np.concatenate([codes[rows[a]], codes[rows[b]]])
            total = histograms[a] + histograms[b]
            observed = _both_ways(histograms[a], histograms[b])
            drawn = np.empty((permutations, 2))
            for sample in range(permutations):
                first = _histogram(pooled[rng.permutation(len(pooled))[: counts[a]]], bins)
                drawn[sample] = _both_ways(first, total - first)
            for way, (row, col) in enumerate(((a, b), (b, a))):
                matrix[row, col] = observed[way]
                null[row, col] = drawn[:, way].mean()
                p_values[row, col] = (1 + (drawn[:, way] >= observed[way]).sum()) / (1 + permutations)
            spread.append(drawn.var(axis=0, ddof=1 if permutations > 1 else 0))
    pairs = ~np.eye(number, dtype=bool)
    return DomainDivergence(
        matrix=matrix,
        mean=float(matrix[pairs].mean()),
        deviation=float(matrix[pairs].std(ddof=1)),
        null=null,
        null_mean=float(null[pairs].mean()),
        null_deviation=math.sqrt(float(np.mean(spread))),
        p_values=p_values,
        expected=(bins - 1) / float(counts.mean()),
        counts=counts,
        domains=used,
        bins=bins,
        radius=radius,
    )


def _histogram(codes: np.ndarray, bins: int) -> np.ndarray:
    """Return counts (f, bins)."""
    length = bins * codes.shape[1]
    return np.bincount(codes.reshape(-1), minlength=length).reshape(-1, bins)


def _both_ways(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Return the divergences of two sets of counts (f, bins) from each other, half a point added to all."""
    p, q = first + 0.5, second + 0.5
    p, q = p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True)
    ratio = np.log(p / q)
    return float((p * ratio).sum(axis=1).mean()), float(-(q * ratio).sum(axis=1).mean())
