"""Expectation maximisation of mixtures of numbers, on the CPU: the loop of `motifgpu.motifs.mixture`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from motifgpu import cpu

# A density below this share of the highest, in logarithms, changes no sum of double precision.
_NEGLIGIBLE = -40.0


def expectation_maximization(
    x: np.ndarray,
    counts: np.ndarray,
    mixture: tuple[np.ndarray, np.ndarray, np.ndarray],
    floor: float,
    prior: float,
    iterations: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Fit a mixture from where it starts.

    Parameters
    ----------
    x : (n,) float64 ndarray
        Samples.
    counts : (n,) float64 ndarray
        How often each was seen.
    mixture : tuple of (k,) float64 ndarray
        Weights, means and variances.
    floor : float
        What is added to variances.
    prior : float
        Pseudo-observations that draw variances to the mean one.
    iterations : int

    Returns
    -------
    weights, means, variances : (k,) float64 ndarray
    pooled : float
        The mean variance.
    """
    state = np.stack(mixture)
    pooled = _maximize(
        x, counts, counts.sum(), state, np.empty((6, state.shape[1])), floor, prior, iterations
    )
    return state[0], state[1], state[2], pooled


@cpu.compiled(nogil=True, error_model="numpy")
def _maximize(
    x: Any, counts: Any, total: float, state: Any, work: Any, floor: float, prior: float, iterations: int
) -> float:
    weights, means, variances = state[0], state[1], state[2]
    top, joint, members, first, second, steep = work[0], work[1], work[2], work[3], work[4], work[5]
    pooled = floor
    for _ in range(iterations):
        for j in range(means.size):
            top[j] = math.log(weights[j]) - 0.5 * math.log(variances[j])
            steep[j] = -0.5 / variances[j]
            members[j], first[j], second[j] = 1e-12 * total, 0.0, 0.0
        # Sums are taken about the means before, from which those after are not far.
        for i in range(x.size):
            highest, density = -math.inf, 0.0
            for j in range(means.size):
                away = x[i] - means[j]
                joint[j] = top[j] + steep[j] * away * away
                highest = max(highest, joint[j])
            for j in range(means.size):
                lower = joint[j] - highest
                joint[j] = math.exp(lower) if lower > _NEGLIGIBLE else 0.0
                density += joint[j]
            scale = counts[i] / density
            for j in range(means.size):
                share, away = joint[j] * scale, x[i] - means[j]
                members[j] += share
                first[j] += share * away
                second[j] += share * away * away
        everyone, pooled = 0.0, floor
        for j in range(means.size):
            step = first[j] / members[j]
            means[j] += step
            second[j] -= step * first[j]
            everyone += members[j]
            pooled += second[j] / total
        for j in range(means.size):
            weights[j] = members[j] / everyone
            variances[j] = (second[j] + prior * pooled) / (weights[j] * total + prior) + floor
    return pooled
