"""Forces of the relaxation, and how long they act: what its code for CPU and GPU shares.

`motifgpu.graph.relaxation` has the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from motifgpu.core.philox import philox

SUBSWEEPS = 16  # in a sweep
SAMPLES = 8  # vertices that all others are pushed away from in a sub-sweep
ENOUGH = 5000  # vertices up to which a stage's number of sweeps holds
EXTENT = 10.0  # largest coordinate of the start
TINY = 1e-20  # squared distance that is added where one is divided by
GOLDEN = 2654435769  # 2^32 divided by the golden ratio: a sub-sweep's step to the next edge of a vertex


class Law(NamedTuple):
    """How the coefficient of a force, which multiplies a difference of positions, depends on its length d.

    It is strength / (1 + d^whole) where `whole` is not negative. Otherwise it is strength d^power / (1 +
    scale d^exponent), divided by d^2 + softening where that is not negative, and at most clip / d.

    Attributes
    ----------
    strength, scale, exponent, power, softening, clip, whole : float
    """

    strength: float
    scale: float
    exponent: float
    power: float
    softening: float
    clip: float
    whole: float


class Stage(NamedTuple):
    """One stage of the relaxation: its forces and how long they act.

    A vertex at distance d is attracted with alpha d^power / (1 + scale d^n) and repelled with beta / (1 +
    scale d^m), the latter divided by d^2 + softening where that is given, all times the difference of
    positions.

    Attributes
    ----------
    alpha, beta, n, m : float
        Strengths and exponents of attraction and repulsion (Methods). Whole exponents from 0 to 5 are fast.
    sweeps : int
        Number of sweeps up to 5,000 vertices; beyond, it grows with the fourth root of their number.
    gamma : float
        Step at the beginning of the stage, from which it falls linearly to zero.
    scale, power, softening : float, float, float or None
        What the laws of LargeVis and UMAP have beyond the paper's.
    """

    alpha: float
    beta: float
    n: float
    m: float
    sweeps: int = 50
    gamma: float = 1.0
    scale: float = 1.0
    power: float = 0.0
    softening: float | None = None

    @classmethod
    def largevis(cls, sweeps: int = 100, gamma: float = 1.0) -> Stage:
        """Return the forces of LargeVis (Table S4)."""
        return cls(2.0, 14.0, 2.0, 2.0, sweeps, gamma, softening=0.1)

    @classmethod
    def umap(cls, sweeps: int = 100, gamma: float = 1.0, a: float = 1.58, b: float = 0.9) -> Stage:
        """Return the forces of UMAP (Table S4)."""
        return cls(2 * a * b, 2 * b, 2 * b, 2 * b, sweeps, gamma, a, 2 * b - 2, 0.001)

    def sweeps_for(self, n: int) -> int:
        """Return the number of sweeps for n vertices."""
        sweeps: int = round(self.sweeps * max(1.0, n / ENOUGH) ** 0.25)
        return sweeps

    def steps(self, total: int) -> np.ndarray:
        """Return the step (total,) float64 of each of `total` sub-sweeps, which falls linearly to zero."""
        return self.gamma * (1 - np.arange(total) / max(total, 1)) / SUBSWEEPS

    def laws(self, clip: float) -> tuple[Law, Law]:
        """Return the laws of attraction and of repulsion, in the simplest form that holds both."""
        plain = self.scale == 1 and self.power == 0 and self.softening is None
        # d / (1 + d^m) is at most 1 from m = 1 on, so there is nothing to clip.
        plain = plain and {self.n, self.m} <= set(range(6)) and self.m >= 1 and self.beta <= clip
        softening = -1.0 if self.softening is None else self.softening
        return (
            Law(self.alpha, self.scale, self.n, self.power, -1.0, clip, self.n if plain else -1.0),
            Law(self.beta, self.scale, self.m, 0.0, softening, clip, self.m if plain else -1.0),
        )


# The two stages of the paper (Methods), and a short cool one whose repulsion reaches further and so spreads
# out what the second has condensed: neighbours are preserved better by 0.03, and no cluster breaks or merges.
STAGES = (
    Stage(1, 1, 0, 2, sweeps=100),
    Stage(5, 1, 2, 5, sweeps=60),
    Stage(5, 0.95, 2, 4, sweeps=15, gamma=0.2),
)


class Span(NamedTuple):
    """A stage as one graph goes through it, sub-sweep by sub-sweep.

    Attributes
    ----------
    attraction, repulsion : Law
    begin, end : int
        First sub-sweep, counted over all stages, and the one after the last.
    fractions : (end - begin, SAMPLES) uint32 ndarray
        Samples as fractions of the number of vertices, times 2^32.
    strengths : (end - begin, 3) float32 ndarray
        Factors of attraction, of repulsion from samples, and of the repulsion of neighbours that is taken
        back.
    """

    attraction: Law
    repulsion: Law
    begin: int
    end: int
    fractions: np.ndarray
    strengths: np.ndarray


def sample_fractions(seed: int, stage: int, count: int) -> np.ndarray:
    """Return the samples of the first `count` sub-sweeps of a stage, one from each part of the vertices.

    Returns
    -------
    (count, SAMPLES) uint32 ndarray
        u of vertex floor(u n / 2^32) for n vertices.
    """
    words = SAMPLES // 4
    counters = np.zeros((count * words, 4), np.int64)
    counters[:, 0] = stage
    counters[:, 1], counters[:, 2] = np.divmod(np.arange(count * words), words)
    parts = np.arange(SAMPLES, dtype=np.uint32) * np.uint32(2**32 // SAMPLES)
    return philox(counters, seed).reshape(count, SAMPLES) // np.uint32(SAMPLES) + parts


@dataclass(frozen=True)
class Forces:
    """What moves the vertices of all graphs of a call.

    Attributes
    ----------
    stages : sequence of Stage
    n_repulsions : float
        Vertices that a vertex is repelled from for each of its edges.
    clip : float
        Longest move of a pair before weight and gamma.
    seed : int
        Of the samples.
    """

    stages: Sequence[Stage]
    n_repulsions: float
    clip: float
    seed: int

    def laws(self) -> list[tuple[Law, Law]]:
        """Return the laws of attraction and repulsion of each stage."""
        return [stage.laws(self.clip) for stage in self.stages]

    def subsweeps(self, counts: np.ndarray) -> np.ndarray:
        """Return the sub-sweeps (m, stages) int32 of each stage for graphs of `counts` (m,) vertices."""
        sweeps = [[stage.sweeps_for(n) for stage in self.stages] for n in counts.tolist()]
        return SUBSWEEPS * np.array(sweeps, np.int32).reshape(counts.size, len(self.stages))

    def schedules(self, counts: np.ndarray) -> list[list[Span]]:
        """Return what each of the graphs of `counts` (m,) vertices goes through."""
        totals = self.subsweeps(counts)
        samples = [
            sample_fractions(self.seed, s, int(longest)) for s, longest in enumerate(totals.max(0, initial=0))
        ]
        known: dict[int, list[Span]] = {}
        for n, own in zip(counts.tolist(), totals.tolist(), strict=True):
            if n not in known:
                factors = [2.0, self.n_repulsions / SAMPLES, self.n_repulsions / max(n, 1)]
                spans: list[Span] = []
                for stage, laws, fractions, total in zip(self.stages, self.laws(), samples, own, strict=True):
                    begin = spans[-1].end if spans else 0
                    strengths = (stage.steps(total)[:, None] * factors).astype(np.float32)
                    spans.append(Span(*laws, begin, begin + total, fractions[:total], strengths))
                known[n] = spans
        return [known[n] for n in counts.tolist()]
