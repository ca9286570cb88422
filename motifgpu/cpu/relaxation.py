"""Force relaxation and its start on the CPU; `motifgpu.graph.relaxation` says what is computed.

Vertices are worked on in blocks of 64, whose forces are vector arithmetic on one scratch array in one fixed
order, so the bits do not depend on who computes a block. A vertex takes about 3 ns per sub-sweep on one core
of an AMD EPYC of 2024, two thirds of it for the edge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numba.extending import overload

from motifgpu import cpu
from motifgpu.core import device, namespace
from motifgpu.core.forces import EXTENT, GOLDEN, TINY, Forces, Law, Span
from motifgpu.core.namespace import Array

BLOCK = 64
CHUNK = 2**24  # vertices moved between two chances to interrupt: about 50 ms
WIDE = 2**16  # vertices from which on one graph is shared by all threads
# Where each quantity of a block stands in the scratch array.
_PUSH_X, _PUSH_Y, _STIFF, _X, _Y, _WEIGHT = range(0, 6 * BLOCK, BLOCK)
_ONE, _HALF, _TINY = np.float32(1), np.float32(0.5), np.float32(TINY)
_GOLDEN, _WORD, _LOW = np.uint64(GOLDEN), np.uint64(32), np.uint64(0xFFFFFFFF)
_FAST = {"contract", "nsz"}
_Numbers = tuple[np.float32 | bool, ...]  # a law as `_coefficient` takes it


def _coefficient(d2: Any, law: Any) -> Any:
    """Return the coefficient of a force at a squared distance, by one of two forms of `law`."""


@overload(_coefficient, jit_options={"fastmath": _FAST, "error_model": "numpy"})  # type: ignore[untyped-decorator]
def _coefficient_of(d2: Any, law: Any) -> Callable[[Any, Any], Any]:
    def integer(d2: Any, law: Any) -> Any:
        # strength / (1 + d^m) for a whole m from 0 to 5: each factor is d2, d or 1.
        strength, once, twice, odd = law
        power = d2 * once + (_ONE - once)
        power *= d2 * twice + (_ONE - twice)
        if odd:
            power *= np.sqrt(d2)
        return strength / (_ONE + power)

    def general(d2: Any, law: Any) -> Any:
        # strength d^p / (1 + scale d^m), by choice divided by d^2 + softening, and at most clip / d.
        strength, scale, exponent, power, softening, clip = law
        d2 += _TINY
        c = strength / (_ONE + scale * d2 ** (_HALF * exponent))
        if power != 0:
            c *= d2 ** (_HALF * power)
        if softening >= 0:
            c /= d2 + softening
        return min(c, clip / np.sqrt(d2))

    return integer if len(law) == 4 else general


@cpu.compiled(nogil=True, error_model="numpy", fastmath=_FAST)
def _sweep(
    positions: np.ndarray,
    n: int,
    first: np.ndarray,
    degree: np.ndarray,
    share: np.ndarray,
    indices: np.ndarray,
    weights: np.ndarray,
    base: int,
    fractions: np.ndarray,
    strengths: np.ndarray,
    pull: _Numbers,
    push: _Numbers,
    clip: np.float32,
    done: int,
    turn: int,
    begin: int,
    end: int,
) -> None:
    """Move the blocks begin ... end-1 through sub-sweeps; more than one only if these are all blocks.

    `positions` (2, 2, padded) holds two copies of x and y, of which `done` tells by its parity which is the
    current one. Sub-sweeps are rows of `fractions` and `strengths`, the first of them number `turn` of its
    stage.
    """
    s = np.empty(6 * BLOCK, np.float32)
    for q in range(fractions.shape[0]):
        now, then = positions[(done + q) & 1], positions[(done + q + 1) & 1]
        all_x, all_y = now[0], now[1]
        word = np.uint64(turn + q) * _GOLDEN & _LOW
        pulling, pushing, sparing = strengths[q, 0], strengths[q, 1], strengths[q, 2]
        for block in range(begin, end):
            low, high = block * BLOCK, (block + 1) * BLOCK
            x, y = all_x[low:high], all_y[low:high]
            for v in range(3 * BLOCK):
                s[_PUSH_X + v] = 0
            for k in range(fractions.shape[1]):
                z = np.uint64(fractions[q, k]) * np.uint64(n) >> _WORD
                zx, zy = all_x[z], all_y[z]
                for v in range(BLOCK):
                    dx, dy = x[v] - zx, y[v] - zy
                    c = _coefficient(dx * dx + dy * dy, push)
                    s[_PUSH_X + v] += c * dx
                    s[_PUSH_Y + v] += c * dy
                    s[_STIFF + v] += c
            row, counts, shares = first[low:high], degree[low:high], share[low:high]
            for v in range(BLOCK):
                e = np.uint64(row[v]) + (word * np.uint64(counts[v]) >> _WORD)
                j = np.uint64(indices[e] - base)
                s[_X + v], s[_Y + v], s[_WEIGHT + v] = all_x[j], all_y[j], weights[e]
            for v in range(BLOCK):
                dx, dy = s[_X + v] - x[v], s[_Y + v] - y[v]
                d2, count = dx * dx + dy * dy, np.float32(counts[v])
                c = min(_coefficient(d2, pull), clip / np.sqrt(d2 + _TINY)) * pulling * s[_WEIGHT + v]
                c = (c + _coefficient(d2, push) * sparing * shares[v]) * count
                f = pushing * shares[v]
                damped = _ONE / (_ONE + c + (f + f) * s[_STIFF + v])
                s[_X + v] = x[v] + (c * dx + f * s[_PUSH_X + v]) * damped
                s[_Y + v] = y[v] + (c * dy + f * s[_PUSH_Y + v]) * damped
            # Assigning slices instead would triple the time it takes to compile this.
            to_x, to_y = then[0, low:high], then[1, low:high]
            for v in range(BLOCK):
                to_x[v] = s[_X + v]
            for v in range(BLOCK):
                to_y[v] = s[_Y + v]


class _Layout:
    """One graph's positions while they relax."""

    def __init__(
        self,
        start: np.ndarray,
        indptr: np.ndarray,
        indices: np.ndarray,
        weights: np.ndarray,
        base: int,
        schedule: Sequence[Span],
        clip: float,
    ) -> None:
        n = start.shape[0]
        self.n, self.base, self.clip = n, base, np.float32(clip)
        self.schedule = schedule if indptr[-1] > indptr[0] else ()
        self.indices, self.weights = indices, weights
        self.blocks = -(-n // BLOCK)
        self.positions = np.zeros((2, 2, self.blocks * BLOCK), np.float32)
        self.positions[0, :, :n] = start.T
        # Lanes beyond the last vertex look at the first edge, times their degree of zero.
        self.first = np.full(self.blocks * BLOCK, indptr[0], np.int64)
        self.degree = np.zeros(self.blocks * BLOCK, np.int32)
        self.share = np.zeros(self.blocks * BLOCK, np.float32)
        self.degree[:n] = np.diff(indptr)
        self.first[:n] = np.where(self.degree[:n] > 0, indptr[:-1], indptr[0])
        self.share[:n] = self.degree[:n] + (indptr[-1] - indptr[0]) / n
        self.done = 0

    def _move(self, span: Span, rows: slice, turn: int, begin: int, end: int) -> None:
        pull, push = _numbers(span.attraction), _numbers(span.repulsion)
        _sweep(
            self.positions, self.n, self.first, self.degree, self.share, self.indices, self.weights,
            self.base, span.fractions[rows], span.strengths[rows], pull, push, self.clip,
            self.done, turn, begin, end,
        )  # fmt: skip

    def advance(self, until: int, pool: ThreadPoolExecutor | None = None, workers: int = 1) -> None:
        """Go on to sub-sweep `until` of the schedule, or to its end."""
        for span in self.schedule:
            last = min(until, span.end)
            cuts = np.linspace(0, self.blocks, workers + 1).astype(int)
            step = 1 if pool else max(1, CHUNK // self.positions.shape[2])
            while self.done < last:
                turn = self.done - span.begin
                rows = slice(turn, turn + min(step, last - self.done))
                if pool:
                    list(pool.map(partial(self._move, span, rows, turn), cuts[:-1], cuts[1:]))
                else:
                    self._move(span, rows, turn, 0, self.blocks)
                self.done += rows.stop - rows.start

    def current(self) -> np.ndarray:
        """Return the layout (n, 2) as it is now."""
        return self.positions[self.done & 1, :, : self.n].T


def _numbers(law: Law) -> _Numbers:
    """Return a law as `_coefficient` takes it, in the simpler of its forms where that holds it."""
    number = np.float32
    if law.whole >= 0:
        return number(law.strength), number(law.whole >= 2), number(law.whole >= 4), bool(law.whole % 2)
    return tuple(map(number, law[:-1]))


def relax(
    indptr: Array,
    indices: Array,
    weights: Array,
    offsets: np.ndarray,
    start: Array,
    forces: Forces,
    callback: Callable[[int, Array], None] | None,
    every: int,
) -> Array:
    """Return the relaxed layout of many graphs.

    Parameters
    ----------
    indptr (N + 1,) int32 or int64, indices (nnz,) int32, weights (nnz,) float32 : arrays
        The graphs, symmetric, vertices counted over all of them.
    offsets : (m + 1,) int array on the host
        Where each graph begins and ends.
    start : (N, 2) array
    forces : Forces
    callback : callable or None
        Gets the number of the sub-sweep and a layout (N, 2) after every `every` sub-sweeps and the last.

    Returns
    -------
    (N, 2) float32 array
    """
    begin, indptr = namespace.to_numpy(start), namespace.to_numpy(indptr)
    indices = np.require(namespace.to_numpy(indices), np.int32, ["C", "W"])
    weights = np.require(namespace.to_numpy(weights), np.float32, ["C", "W"])
    schedules = forces.schedules(np.diff(offsets))
    layouts = [
        _Layout(begin[a:b], indptr[a : b + 1], indices, weights, a, schedule, forces.clip)
        for a, b, schedule in zip(offsets[:-1], offsets[1:], schedules, strict=True)
        if b > a
    ]
    longest = max((span.end for layout in layouts for span in layout.schedule), default=0)
    marks = [*range(every, longest, every), longest] if callback else [longest]
    small = [layout for layout in layouts if layout.n < WIDE]
    wide = [layout for layout in layouts if layout.n >= WIDE]
    workers = device.threads()
    for mark in marks:
        cpu.run(_Layout.advance, [(layout, mark) for layout in small])
        if wide and workers > 1:
            with ThreadPoolExecutor(workers) as pool:
                for layout in wide:
                    layout.advance(mark, pool, workers)
        else:
            for layout in wide:
                layout.advance(mark)
        if callback:
            callback(mark, namespace.from_numpy(_together(layouts), start))
    return namespace.from_numpy(_together(layouts), start)


def _together(layouts: Sequence[_Layout]) -> np.ndarray:
    """Return the layouts (N, 2) of all graphs as they are now."""
    return np.concatenate([layout.current() for layout in layouts] or [np.empty((0, 2), np.float32)])


def pca_start(x: Array, offsets: np.ndarray) -> Array:
    """Return the first two principal components (N, 2) float32 of each graph's rows, up to `EXTENT`."""
    host = np.require(namespace.to_numpy(x), requirements=["C", "W"])
    start = np.zeros((host.shape[0], 2))
    for a, b in pairwise(offsets):
        if b - a < 2:
            continue
        rows = host[a:b].astype(np.float64)
        rows -= rows.mean(axis=0)
        axes = np.zeros((2, host.shape[1]))
        # Without BLAS, whose last bits depend on its threads.
        leading = np.linalg.eigh(np.einsum("ni,nj->ij", rows, rows))[1].T[::-1][:2]
        axes[: leading.shape[0]] = leading
        axes *= np.where(axes[np.arange(2), np.abs(axes).argmax(axis=1)] < 0, -1.0, 1.0)[:, None]
        start[a:b] = np.einsum("ni,ai->na", rows, axes)
        largest = np.abs(start[a:b]).max()
        if largest > 0:
            start[a:b] *= EXTENT / largest
    return namespace.from_numpy(start.astype(np.float32), x)
