"""Gaussian mixtures whose number of components is found.

The fit starts with more components than are expected, and takes away one at a time by merging the pair that
the data miss least. Of the fits on this way the integrated completed likelihood chooses (C. Biernacki,
G. Celeux, G. Govaert, IEEE Trans. Pattern Anal. Mach. Intell. 22, 719, 2000). It is BIC with a penalty for
overlap, and so counts clusters, where BIC counts the Gaussians that a density needs: of 2,000 samples of a
uniform distribution it makes one class, and BIC several.

A class need not be one Gaussian, and of a common one with a long tail that likelihood loses what is rare
beside it. `fit_classes` therefore also uses the density that BIC chooses (C. Hennig, Adv. Data Anal.
Classif. 4, 3, 2010): its modes are classes where there are at least as many of them, each with all its
Gaussians; a class that is only a shoulder of another one takes the likelihood to be seen.

Everything here runs on the host, on a few numbers per column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from motifgpu.cpu.mixture import expectation_maximization

_ITERATIONS = 40
# Pseudo-observations that draw a component's covariance to the mean one: a class of ten columns has no
# covariance of its own, one of a thousand keeps it.
_PRIOR = 5.0
_TINY = 1e-300
# A mode is higher than the pass to a higher one by more than this, in logarithms.
_DYNAMIC = 0.7
_PLACES = 2048  # places at which a density is evaluated


@dataclass(frozen=True, eq=False)
class Mixture:
    """A Gaussian mixture and how well it separates what it was fitted to.

    Attributes
    ----------
    weights : (k,) float64 ndarray
        Shares of the components.
    means : (k, d) float64 ndarray
    covariances : (k, d, d) float64 ndarray
    criterion : float
        Integrated completed likelihood on the scale of BIC; less is better.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    criterion: float

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """Return the probability (n, k) that each row of `x` (n, d) belongs to each component."""
        log_joint = _log_joint(x, self.weights, self.means, self.covariances)
        joint = np.exp(log_joint - log_joint.max(axis=0))
        probability: np.ndarray = (joint / joint.sum(axis=0)).T
        return probability


def best(fits: Sequence[Mixture]) -> Mixture:
    """Return the mixture of the least criterion."""
    return min(fits, key=lambda fit: fit.criterion)


def fit_mixtures(
    x: np.ndarray,
    *,
    counts: np.ndarray | None = None,
    max_components: int = 8,
    resolution: float = 0.0,
) -> list[Mixture]:
    """Fit mixtures of one component to `max_components`.

    Parameters
    ----------
    x : (n, d) float64 ndarray
        Samples.
    counts : (n,) ndarray, optional
        How often each sample was seen.
    max_components : int
        Most components tried.
    resolution : float
        Least standard deviation of a component, in units of `x`.

    Returns
    -------
    list of Mixture
        The mixture of k components at place k - 1; as many as there are distinct starting points.

    Notes
    -----
    Deterministic: the start is farthest-first traversal from the sample nearest to the mean, which finds
    rare classes that lie apart. Rows in another order change rounding alone.
    """
    n, d = x.shape
    counts = np.ones(n) if counts is None else counts.astype(np.float64)
    total = counts.sum()
    centre = counts @ x / total
    variance = float(counts @ ((x - centre) ** 2).sum(axis=1) / (total * d))
    floor = max(resolution**2, 1e-6 * variance, _TINY) * np.eye(d)
    means = _farthest_first(x, centre, max_components)
    nearest = np.argmin(((x[:, None] - means) ** 2).sum(axis=2), axis=1)
    share = counts * (nearest == np.arange(len(means))[:, None])
    weights, means, scatter = _moments(x, share, total)
    covariances = np.repeat((scatter.sum(axis=0) / total + floor)[None], len(means), axis=0)

    fits: list[Mixture] = []
    while True:
        weights, means, covariances, pooled = _fitted(x, counts, (weights, means, covariances), floor)
        log_joint = _log_joint(x, weights, means, covariances)
        cost = float(_cost(log_joint, counts)) + _prior_cost(covariances, pooled)
        parameters = len(means) * (1 + d + d * (d + 1) // 2) - 1
        fits.append(Mixture(weights, means, covariances, cost + parameters * np.log(total)))
        if len(means) == 1:
            return fits[::-1]
        weights, means, covariances = _merged(x, counts, log_joint, weights, means, covariances)


def _fitted(
    x: np.ndarray,
    counts: np.ndarray,
    mixture: tuple[np.ndarray, np.ndarray, np.ndarray],
    floor: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return weights, means and covariances after expectation maximisation, and the mean covariance."""
    if x.shape[1] == 1:
        flat = mixture[0], mixture[1][:, 0], mixture[2][:, 0, 0]
        weights, means, variances, pooled = expectation_maximization(
            x[:, 0], counts, flat, float(floor[0, 0]), _PRIOR, _ITERATIONS
        )
        return weights, means[:, None], variances[:, None, None], np.array([[pooled]])
    (weights, means, covariances), total = mixture, counts.sum()
    for _ in range(_ITERATIONS):
        log_joint = _log_joint(x, weights, means, covariances)
        joint = np.exp(log_joint - log_joint.max(axis=0))
        weights, means, scatter = _moments(x, joint / joint.sum(axis=0) * counts, total)
        mean = scatter.sum(axis=0) / total + floor
        members = (weights * total)[:, None, None]
        covariances = (scatter + _PRIOR * mean) / (members + _PRIOR) + floor
    return weights, means, covariances, mean


def fit_mixture(
    x: np.ndarray, *, max_components: int = 8, resolution: float = 0.0, max_samples: int = 512
) -> list[Mixture]:
    """Fit mixtures to numbers, to their histogram where they are many.

    Parameters
    ----------
    x : (n,) ndarray
    max_components, resolution
        As for `fit_mixtures`.
    max_samples : int
        Above this many, a histogram of as many bins is fitted instead.

    Returns
    -------
    list of Mixture
        With d = 1.
    """
    samples, counts, width = _binned(x, max_samples)
    return fit_mixtures(
        samples, counts=counts, max_components=max_components, resolution=max(resolution, width)
    )


@dataclass(frozen=True, eq=False)
class Classes:
    """Classes of numbers, each of them one Gaussian or several.

    Attributes
    ----------
    mixture : Mixture
        Of k components, d = 1.
    classes : (k,) int64 ndarray
        Class of each component, 0 to c - 1.
    criterion : float
        Integrated completed likelihood of c Gaussians, on the scale of BIC; less is better.
    """

    mixture: Mixture
    classes: np.ndarray
    criterion: float

    def posterior(self, x: np.ndarray) -> np.ndarray:
        """Return the probability (n, c) that each number of `x` (n,) belongs to each class."""
        member = self.classes[:, None] == np.arange(self.classes.max() + 1)
        probability: np.ndarray = self.mixture.posterior(x[:, None]) @ member.astype(np.float64)
        return probability


def fit_classes(
    x: np.ndarray, *, max_classes: int = 8, resolution: float = 0.0, max_samples: int = 512
) -> tuple[list[Classes], int]:
    """Divide numbers into classes, which need not be Gaussian.

    Parameters
    ----------
    x : (n,) ndarray
    max_classes : int
        Most classes tried.
    resolution, max_samples
        As for `fit_mixture`.

    Returns
    -------
    divisions : list of Classes
        That into c classes at place c - 1: the modes of the density that stand out most, or as many Gaussians
        where it has fewer.
    best : int
        Place of the one with as many classes as there are.
    """
    samples, counts, width = _binned(x, max_samples)
    fits = fit_mixtures(samples, counts=counts, max_components=max_classes, resolution=max(resolution, width))
    joints = [_log_joint(samples, fit.weights, fit.means, fit.covariances) for fit in fits]
    criteria: list[float] = []
    for k, (fit, joint) in enumerate(zip(fits, joints, strict=True)):
        # A Gaussian that is nowhere the likeliest is no class: no better than without it.
        everywhere = np.unique(joint.argmax(axis=0)).size > k
        criteria.append(fit.criterion if everywhere else max(fit.criterion, criteria[-1]))
    # What BIC spares is the overlap of the components.
    overlap = [float(_cost(joint, counts)) + 2.0 * float(_log_sum(joint) @ counts) for joint in joints]
    dense = fits[int(np.argmin([fit.criterion - extra for fit, extra in zip(fits, overlap, strict=True)]))]
    modes, apart = _modes(dense)
    divisions = [
        Classes(dense, modes[k], criterion) if k < len(modes) else Classes(fit, np.arange(k + 1), criterion)
        for k, (fit, criterion) in enumerate(zip(fits, criteria, strict=True))
    ]
    return divisions, max(int(np.argmin(criteria)), apart - 1)


def _modes(mixture: Mixture) -> tuple[list[np.ndarray], int]:
    """Divide the components of a density by its modes.

    Returns
    -------
    modes : list of (k,) int64 ndarray
        Mode of each component when the c that stand out most are kept, at place c - 1.
    apart : int
        How many of them do stand out.
    """
    means = mixture.means[:, 0]
    low, high = means.min(), means.max()
    place = np.unique(np.concatenate([means, np.linspace(low, high, _PLACES)]))
    density = _log_sum(_log_joint(place[:, None], mixture.weights, mixture.means, mixture.covariances))
    inner = np.flatnonzero((density[1:-1] < density[:-2]) & (density[1:-1] <= density[2:])) + 1
    borders = place[inner].tolist()
    result = [np.searchsorted(np.array(borders), means)]
    apart = 0
    while True:
        edges = np.searchsorted(place, [low, *borders, high])
        peaks = np.array([density[a : b + 1].max() for a, b in pairwise(edges)])
        depth = np.minimum(peaks[:-1], peaks[1:]) - density[edges[1:-1]]
        if not apart and (not depth.size or depth.min() > _DYNAMIC):
            apart = len(borders) + 1
        if not borders:
            break
        del borders[int(np.argmin(depth))]
        result.append(np.searchsorted(np.array(borders), means))
    # Modes without a mean of their own are none.
    return [np.unique(mode, return_inverse=True)[1].reshape(-1) for mode in result[::-1]], apart


def _binned(x: np.ndarray, max_samples: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return numbers as samples (m, 1), their counts (m,) and the width of a bin; 0 where they are few."""
    x = x.astype(np.float64)
    if x.size <= max_samples:
        return x[:, None], np.ones(x.size), 0.0
    # A few values far off, hot pixels say, must not take the bins from all others.
    low, high = np.quantile(x, (0.001, 0.999))
    reach = 5.0 * (high - low) or np.ptp(x)
    counts, edges = np.histogram(np.clip(x, low - reach, high + reach), bins=max_samples)
    seen = counts > 0
    middle = 0.5 * (edges[1:] + edges[:-1])
    return middle[seen, None], counts[seen].astype(np.float64), float(edges[1] - edges[0])


def _farthest_first(x: np.ndarray, centre: np.ndarray, count: int) -> np.ndarray:
    """Return up to `count` samples, each the one farthest from all before it."""
    chosen = [x[np.argmin(((x - centre) ** 2).sum(axis=1))]]
    distance = ((x - chosen[0]) ** 2).sum(axis=1)
    while len(chosen) < count and distance.max() > 0:
        chosen.append(x[np.argmax(distance)])
        distance = np.minimum(distance, ((x - chosen[-1]) ** 2).sum(axis=1))
    return np.array(chosen)


def _moments(x: np.ndarray, share: np.ndarray, total: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights (k,), means (k, d) and scatter matrices (k, d, d) of the shares (k, n)."""
    members = share.sum(axis=1) + 1e-12 * total
    means = share @ x / members[:, None]
    from_mean = x - means[:, None]
    scatter = np.swapaxes(from_mean * share[:, :, None], 1, 2) @ from_mean
    return members / members.sum(), means, scatter


def _log_density(x: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return log densities (k, n) of Gaussians."""
    if x.shape[1] == 1:  # without matrices of one number
        variance = covariances[:, 0]
        square, log_det = (x[:, 0] - means) ** 2 / variance, -0.5 * np.log(variance[:, 0])
    else:
        whiten = np.linalg.inv(np.linalg.cholesky(covariances))
        square = ((whiten @ np.swapaxes(x - means[:, None], 1, 2)) ** 2).sum(axis=1)
        log_det = np.log(np.diagonal(whiten, axis1=1, axis2=2)).sum(axis=1)
    density: np.ndarray = -0.5 * square + (log_det - 0.5 * x.shape[1] * np.log(2 * np.pi))[:, None]
    return density


def _log_joint(x: np.ndarray, weights: np.ndarray, means: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    joint: np.ndarray = np.log(weights)[:, None] + _log_density(x, means, covariances)
    return joint


def _log_sum(log_joint: np.ndarray) -> np.ndarray:
    """Return the logarithm of the density (n,) of each sample."""
    top = log_joint.max(axis=0)
    logarithm: np.ndarray = top + np.log(np.exp(log_joint - top).sum(axis=0))
    return logarithm


def _cost(log_joint: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return -2 log likelihood + 2 entropy of the assignment, which is -2 sum r log(joint)."""
    joint = np.exp(log_joint - log_joint.max(axis=0))
    cost: np.ndarray = -2.0 * ((joint * log_joint).sum(axis=0) / joint.sum(axis=0)) @ counts
    return cost


def _prior_cost(covariances: np.ndarray, pooled: np.ndarray) -> float:
    """Return -2 log of the covariances' prior, zero for the pooled one."""
    relative = np.linalg.solve(pooled, covariances)
    log_det = np.linalg.slogdet(relative)[1]
    trace = np.trace(np.linalg.inv(relative), axis1=1, axis2=2)
    return float(_PRIOR * (log_det + trace - pooled.shape[0]).sum())


def _merged(
    x: np.ndarray,
    counts: np.ndarray,
    log_joint: np.ndarray,
    weights: np.ndarray,
    means: np.ndarray,
    covariances: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Replace by one Gaussian of their moments the two components for which that costs least."""
    k = len(means)
    first, second = np.triu_indices(k, 1)
    weight = weights[first] + weights[second]
    part = (weights[first] / weight)[:, None]
    mean = part * means[first] + (1 - part) * means[second]
    apart = means[first] - means[second]
    covariance = (
        part[..., None] * covariances[first]
        + (1 - part)[..., None] * covariances[second]
        + (part * (1 - part))[..., None] * apart[:, :, None] * apart[:, None, :]
    )
    # All pairs at once: what remains of the sums over components, plus the merged one.
    new = np.log(weight)[:, None] + _log_density(x, mean, covariance)
    top = np.maximum(log_joint.max(axis=0), new.max(axis=0))
    joint, merged = np.exp(log_joint - top), np.exp(new - top)
    stays = np.ones((len(first), k))
    stays[np.arange(len(first)), first] = stays[np.arange(len(first)), second] = 0.0
    density = stays @ joint + merged
    expected = stays @ (joint * log_joint) + merged * new
    best = int(np.argmax((expected / np.maximum(density, _TINY)) @ counts))
    keep = stays[best] > 0
    return (
        np.append(weights[keep], weight[best]),
        np.concatenate([means[keep], mean[best : best + 1]]),
        np.concatenate([covariances[keep], covariance[best : best + 1]]),
    )
