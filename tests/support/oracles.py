"""Slow, literal versions of what the library computes fast, to compare with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

PAPER_STAGES = ((1.0, 1.0, 0.0, 2.0), (5.0, 1.0, 2.0, 5.0))  # alpha, beta, n, m; the Methods' order


def correlation_distances(x: np.ndarray) -> np.ndarray:
    """All correlation distances (N, N), by difference in float64; infinite to the point itself."""
    unit = x.astype(np.float64)
    unit -= unit.mean(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    distances = np.stack([0.5 * ((unit - row) ** 2).sum(axis=1) for row in unit])
    np.fill_diagonal(distances, np.inf)
    return distances


def euclidean_distances(x: np.ndarray) -> np.ndarray:
    """All Euclidean distances (N, N) in float64; infinite to the point itself."""
    distances = np.stack([np.linalg.norm(x.astype(np.float64) - row, axis=1) for row in x])
    np.fill_diagonal(distances, np.inf)
    return distances


DISTANCES = {"correlation": correlation_distances, "euclidean": euclidean_distances}


def nearest(x: np.ndarray, k: int, metric: str = "correlation") -> tuple[np.ndarray, np.ndarray]:
    """Indices and distances (N, k) by sorting all distances."""
    distances = DISTANCES[metric](x)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return indices, np.take_along_axis(distances, indices, axis=1)


def affinities(
    indices: np.ndarray, distances: np.ndarray, target: float, union: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric weights as a dense matrix (N, N), and sigma (N,), which every row must have, by bisection."""
    n, k = indices.shape
    directed, sigmas = np.zeros((n, n)), np.empty(n)
    for i in range(n):
        excess = distances[i].astype(np.float64) - distances[i, 0]
        low, high = 0.0, 1e6 * excess.max()
        for _ in range(200):
            sigmas[i] = (low + high) / 2
            if np.exp(-excess / sigmas[i]).sum() > target:
                high = sigmas[i]
            else:
                low = sigmas[i]
        directed[i, indices[i]] = np.exp(-excess / sigmas[i])
    both = directed + directed.T
    return (both - directed * directed.T if union else both), sigmas


@numba.njit(error_model="numpy")  # kept on no disk: benchmarks import this module by another name
def _sequential(y, sources, targets, weights, indptr, stages, sweeps, n_repulsions, clip, rng):
    n = y.shape[0]
    for s in range(stages.shape[0]):
        alpha, beta, exponent, repulsion = stages[s]
        for t in range(sweeps):
            gamma = 1.0 - t / sweeps
            for e in range(sources.size):
                i, j = sources[e], targets[e]
                dx, dy = y[i, 0] - y[j, 0], y[i, 1] - y[j, 1]
                d = math.sqrt(dx * dx + dy * dy)
                force = alpha / (1.0 + d**exponent)
                if force * d > clip:
                    force = clip / d
                force *= gamma * weights[e]
                y[i, 0] -= force * dx
                y[i, 1] -= force * dy
                y[j, 0] += force * dx
                y[j, 1] += force * dy
                for _ in range(n_repulsions):
                    z = rng.integers(0, n)
                    allowed = z != i
                    for other in range(indptr[i], indptr[i + 1]):
                        allowed = allowed and targets[other] != z
                    if not allowed:
                        continue
                    dx, dy = y[i, 0] - y[z, 0], y[i, 1] - y[z, 1]
                    d = math.sqrt(dx * dx + dy * dy)
                    force = beta / (1.0 + d**repulsion)
                    if force * d > clip:
                        force = clip / d
                    force *= gamma
                    y[i, 0] += force * dx
                    y[i, 1] += force * dy
                    y[z, 0] -= force * dx
                    y[z, 1] -= force * dy


def sequential_relaxation(
    graph: Any,
    start: np.ndarray,
    *,
    stages: Sequence[Sequence[float]] = PAPER_STAGES,
    sweeps: int = 50,
    n_repulsions: int = 10,
    clip: float = 4.0,
    seed: int = 0,
) -> np.ndarray:
    """The paper's force relaxation, one pair after another, each seeing the moves before it.

    `sweeps` are of each stage: 50 is the authors' package's 100 iterations. The paper has no clip and k' = 5,
    the package 4 and 10.
    """
    y = np.array(start, np.float64)
    sources = np.repeat(np.arange(len(y)), np.diff(graph.indptr))
    _sequential(
        y,
        sources,
        graph.indices.astype(np.int64),
        graph.weights.astype(np.float64),
        graph.indptr.astype(np.int64),
        np.array(stages, np.float64),
        sweeps,
        n_repulsions,
        clip,
        np.random.default_rng(seed),
    )
    return y


def philox(counter: Sequence[int], key: Sequence[int]) -> list[int]:
    """Philox4x32-10 in Python's integers."""
    a, b, c, d = counter
    first, second = key
    for _ in range(10):
        left, right = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (
            (right >> 32) ^ b ^ first,
            right & 0xFFFFFFFF,
            (left >> 32) ^ d ^ second,
            left & 0xFFFFFFFF,
        )
        first, second = (first + 0x9E3779B9) & 0xFFFFFFFF, (second + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


def batched_relaxation(
    graph: Any,
    start: np.ndarray,
    stages: Sequence[Any],
    *,
    n_repulsions: float = 10,
    clip: float = 4.0,
    seed: int = 0,
) -> np.ndarray:
    """The scheme of `motifgpu.graph.relaxation` as its docstring has it, vertex by vertex in float64, for one
    graph.

    Forces are those of the paper; sweeps are not scaled with the number of vertices.
    """
    y = np.array(start, np.float64)
    n = len(y)
    indptr, indices, weights = (np.asarray(a) for a in (graph.indptr, graph.indices, graph.weights))
    mean_degree = len(indices) / n

    def repulsion(stage, d):
        return min(stage.beta / (1 + d**stage.m), clip / d if d else math.inf)

    for number, stage in enumerate(stages):
        total = 16 * stage.sweeps
        for q in range(total):
            gamma = stage.gamma * (1 - q / total)
            words = philox((number, q, 0, 0), (seed, 0)) + philox((number, q, 1, 0), (seed, 0))
            samples = [((word // 8 + part * 2**29) * n) >> 32 for part, word in enumerate(words)]
            moved = np.empty_like(y)
            for i in range(n):
                degree = int(indptr[i + 1] - indptr[i])
                share = degree + mean_degree
                pressure = gamma * n_repulsions / 16 * share
                push, stiffness = np.zeros(2), 0.0
                for z in samples:
                    b = repulsion(stage, math.dist(y[i], y[z]))
                    push += pressure / 8 * b * (y[i] - y[z])
                    stiffness += 2 * pressure / 8 * b
                e = int(indptr[i]) + (((q * 2654435769) % 2**32) * degree >> 32)
                j = int(indices[e])
                d = math.dist(y[i], y[j])
                a = min(stage.alpha / (1 + d**stage.n), clip / d if d else math.inf)
                c = degree * (2 * gamma / 16 * float(weights[e]) * a + pressure / n * repulsion(stage, d))
                moved[i] = y[i] + (c * (y[j] - y[i]) + push) / (1 + c + stiffness)
            y = moved
    return y
