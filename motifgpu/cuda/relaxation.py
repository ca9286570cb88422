"""Force relaxation of layouts on a GPU: launches ``kernels/relaxation.cu``."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.forces import EXTENT, GOLDEN, SAMPLES, TINY, Forces, Law, sample_fractions
from motifgpu.core.namespace import Array
from motifgpu.cuda import loader

STAGE = "relaxation"
THREADS = 256  # of a block of the form for one large graph
MOST_THREADS = 1024  # of a block that relaxes a graph by itself
VERTEX_BYTES = 16  # two copies of a position in shared memory
REGISTERS = 64  # of a thread, at most: 65,536 are there for the threads of all blocks of a multiprocessor
RESERVED = 1024  # bytes of shared memory that each block takes besides its own
BURST = 16  # launches that are recorded together; even, so that positions are where they were
# Seconds of a sub-sweep by the estimates in the kernel: 1,024 vertices in one block, a launch, a vertex.
BLOCK_ROUND, STEP, STEP_VERTEX = 0.63e-6, 2.0e-6, 25e-12
PLAN_BYTES = 4 * (SAMPLES + 4)  # what all vertices need to know of a sub-sweep, in shared memory
CONSTANTS: dict[str, int | str] = {
    "THREADS": THREADS,
    "MOST_THREADS": MOST_THREADS,
    "VERTEX_BYTES": VERTEX_BYTES,
    "PLAN_BYTES": PLAN_BYTES,
    "SAMPLES": SAMPLES,
    "GOLDEN": f"{GOLDEN}u",
    "TINY": loader.single(TINY),
    "LAW": len(Law._fields),
}

_log = logging.getLogger("motifgpu")


def _threads(n: int, graphs: int) -> int:
    """Return how many threads relax a graph of n vertices, so that the most vertices move at a time.

    A multiprocessor holds as many blocks as its registers and its shared memory allow and as there are graphs
    for; a block moves its vertices in rounds of its threads.
    """
    gpu = loader.current_device()
    shared = 2 * PLAN_BYTES + VERTEX_BYTES * n + RESERVED

    def merit(warps: int) -> tuple[float, int, int]:
        room = min(65536 // (32 * warps * REGISTERS), max(1, gpu.shared_bytes // shared))
        blocks = min(room, -(-graphs // gpu.multiprocessors))
        return blocks * n / -(-n // (32 * warps)), -blocks * warps, warps

    return 32 * max(range(1, MOST_THREADS // 32 + 1), key=merit)


def _largest() -> int:
    """Return how many vertices a graph may have to be relaxed by one block."""
    return (loader.current_device().shared_bytes - 2 * PLAN_BYTES) // VERTEX_BYTES


def _by_launches(counts: np.ndarray) -> np.ndarray:
    """Say which graphs take a launch a sub-sweep (m,): those beyond a block, and others if that is quicker.

    Graphs that take launches do so one after another, all others share one launch.
    """
    gpu, order = loader.current_device(), np.argsort(-counts, kind="stable")
    sizes = counts[order]
    launched = np.concatenate([[0.0], np.cumsum(STEP + STEP_VERTEX * sizes)])
    waves = -(-np.arange(sizes.size, -1, -1) // gpu.multiprocessors)
    together = waves * BLOCK_ROUND * -(-np.append(sizes, 0) // MOST_THREADS)
    forced = int(np.count_nonzero(sizes > _largest()))
    number = forced + int(np.argmin((launched + together)[forced:]))
    chosen = np.zeros(counts.size, dtype=bool)
    chosen[order[:number]] = True
    return chosen


class _Run:
    """One call: what all launches share."""

    def __init__(
        self,
        graph: tuple[Array, Array, Array],
        offsets: np.ndarray,
        start: Array,
        forces: Forces,
        one_block: bool,
    ) -> None:
        self.xp, self.like = namespace.array_namespace(start), start
        indptr, indices, weights = graph
        wide = namespace.dtype_name(indptr) == "int64"
        self.graph = (
            loader.dense(indptr, self.xp.int64 if wide else self.xp.int32),
            loader.dense(indices, self.xp.int32),
            loader.dense(weights, self.xp.float32),
        )
        self.offsets, self.counts = offsets, np.diff(offsets)
        lengths = forces.subsweeps(self.counts)
        self.totals = lengths.sum(axis=1)
        self.spans, self.sizes = np.unique(lengths, axis=0, return_inverse=True)
        longest = int(lengths.max(initial=0))
        samples = [sample_fractions(forces.seed, s, longest) for s in range(len(forces.stages))]
        steps = np.zeros((*self.spans.shape, longest))
        for size, spans in enumerate(self.spans.tolist()):
            for number, (stage, total) in enumerate(zip(forces.stages, spans, strict=True)):
                steps[size, number, :total] = stage.steps(total)
        laws = forces.laws()
        self.fractions, self.steps = self.device(np.stack(samples)), self.device(steps)
        self.width, self.repulsions = np.int32(longest), np.float64(forces.n_repulsions)
        self.laws = self.device(np.array(laws, dtype=np.float32))
        whole = (f"{{{int(pull.whole)},{int(push.whole)}}}" for pull, push in laws)
        self.constants = CONSTANTS | {
            "STAGES": len(forces.stages),
            "EXPONENTS": ",".join(whole),
            "INDEX": "long long" if wide else "int",
        }
        self.positions = loader.dense(self.xp.asarray(start, copy=True), self.xp.float32)
        launched = _by_launches(self.counts) if one_block else self.counts > 0
        small = np.flatnonzero(~launched & (self.counts > 0))
        self.small = small[np.argsort(-self.counts[small], kind="stable")]
        self.large = np.flatnonzero(launched)
        self.done = 0
        too_large = int(np.count_nonzero(self.counts > _largest()))
        if too_large and one_block:
            _log.info(
                "relaxation: %d of %d graphs have more than the %d vertices that fit into the shared memory "
                "of a block of %s (the largest %d); they take a launch a sub-sweep instead of one for all",
                too_large,
                self.counts.size,
                _largest(),
                loader.current_device().name,
                self.counts.max(),
            )

    def device(self, a: np.ndarray) -> Array:
        return namespace.from_numpy(np.ascontiguousarray(a), self.like)

    def kernel(self, name: str) -> loader.Launch:
        return loader.kernel(STAGE, name, **self.constants)

    def advance(self, until: int) -> None:
        """Go on to sub-sweep `until`, or as far as each graph goes."""
        if self.small.size:
            largest = int(self.counts[self.small[0]])
            shared = 2 * PLAN_BYTES + VERTEX_BYTES * largest
            loader.check_shared(STAGE, shared, f"a graph of {largest} vertices", "relax it alone")
            numbers = self.offsets, self.small, self.sizes.reshape(-1), self.spans
            self.kernel("relax_graphs")(
                (self.small.size,),
                (_threads(largest, self.small.size),),
                (
                    *(self.positions, *self.graph, *(self.device(a.astype(np.int32)) for a in numbers)),
                    *(self.fractions, self.steps, self.width, self.laws, self.repulsions),
                    *(np.int32(self.done), np.int32(until)),
                ),
                shared,
            )
        for graph in self.large:
            self._advance_large(int(graph), min(until, int(self.totals[graph])))
        self.done = until

    def longest(self) -> int:
        """Return the sub-sweeps of the graph that has most."""
        return int(self.totals[self.counts > 0].max(initial=0))

    def _advance_large(self, graph: int, until: int) -> None:
        first, n = int(self.offsets[graph]), int(self.counts[graph])
        bursts, rest = divmod(max(until - self.done, 0), BURST)
        now = self.xp.asarray(self.positions[first : first + n, :], copy=True)
        then = self.xp.empty_like(now)
        step, advance_clock = self.kernel("relax_graph_step"), self.kernel("advance_clock")
        size = int(self.sizes.reshape(-1)[graph])
        clock, lengths = (self.device(a.astype(np.int32)) for a in (np.array([self.done]), self.spans[size]))
        rows = np.int32(first), np.int32(n)
        plan = self.fractions, self.steps[size, :, :], self.width, self.laws, self.repulsions

        def launch(number: int) -> None:
            for ahead in range(number):
                pair = (now, then) if ahead % 2 == 0 else (then, now)
                arguments: tuple[Any, ...] = (
                    *pair,
                    *self.graph,
                    *rows,
                    clock,
                    np.int32(ahead),
                    lengths,
                    *plan,
                )
                step((-(-n // THREADS),), (THREADS,), arguments, PLAN_BYTES)
            advance_clock((1,), (1,), (clock, np.int32(number)))

        if bursts:
            launch(BURST)  # by the host, so that the kernels are loaded when they are recorded
        if bursts > 1:
            burst = loader.current_device().recorded(lambda: launch(BURST))
            for _ in range(bursts - 1):
                burst()
        launch(rest)
        self.positions[first : first + n, :] = then if rest % 2 else now


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
    indptr (N + 1,) int32 or int64, indices (nnz,) int32, weights (nnz,) float32 : arrays on the device
        The graphs, symmetric, vertices counted over all of them.
    offsets : (m + 1,) int array on the host
        Where each graph begins and ends.
    start : (N, 2) array on the device
    forces : Forces
    callback : callable or None
        Gets the number of the sub-sweep and a layout (N, 2) after every `every` sub-sweeps and the last.

    Returns
    -------
    (N, 2) float32 array on the device
    """
    run = _Run((indptr, indices, weights), offsets, start, forces, one_block=True)
    longest = run.longest()
    for mark in [*range(every, longest, every), longest] if callback else [longest]:
        run.advance(mark)
        if callback:
            callback(mark, run.xp.asarray(run.positions, copy=True))
    return run.positions


def relax_by_launches(
    indptr: Array, indices: Array, weights: Array, offsets: np.ndarray, start: Array, forces: Forces
) -> Array:
    """Return what `relax` does, with a launch a sub-sweep also for the graphs that fit into a block."""
    run = _Run((indptr, indices, weights), offsets, start, forces, one_block=False)
    run.advance(run.longest())
    return run.positions


def pca_start(x: Array, offsets: np.ndarray) -> Array:
    """Return the first two principal components (N, 2) float32 of each graph's rows, up to `EXTENT`."""
    xp, where = namespace.array_namespace(x), namespace.device(x)
    number = np.diff(offsets)
    layouts, order = [xp.zeros((1, 2), dtype=xp.float32, device=where)], np.zeros(x.shape[0], np.int64)
    # Graphs of about one size are padded with rows of zeros and computed together.
    for size in np.unique(np.frexp(number[number > 1])[1]):
        graphs = np.flatnonzero((np.frexp(number)[1] == size) & (number > 1))
        most = int(number[graphs].max())
        step = np.arange(most)
        held = step < number[graphs, None]
        place = offsets[graphs, None] + np.where(held, step, 0)
        order[place[held]] = np.flatnonzero(held) + sum(layout.shape[0] for layout in layouts)
        at = namespace.from_numpy(place.reshape(-1), x)
        there = namespace.from_numpy(held[:, :, None].astype(np.float64), x)
        rows = xp.reshape(xp.astype(xp.take(x, at, axis=0), xp.float64), (graphs.size, most, -1)) * there
        count = namespace.from_numpy(number[graphs, None, None].astype(np.float64), x)
        centred = (rows - xp.sum(rows, axis=1, keepdims=True) / count) * there
        products = xp.matmul(xp.matrix_transpose(centred), centred)
        axes = xp.flip(xp.linalg.eigh(products).eigenvectors, axis=-1)[:, :, :2]
        largest = xp.take_along_axis(axes, xp.argmax(xp.abs(axes), axis=1)[:, None, :], axis=1)
        layout = xp.matmul(centred, xp.where(largest < 0, -axes, axes))
        reach = xp.max(xp.abs(layout), axis=(1, 2), keepdims=True)
        layout = layout * (EXTENT / xp.where(reach > 0, reach, xp.ones_like(reach)))
        layout = xp.reshape(xp.astype(layout, xp.float32), (graphs.size * most, -1))
        none = xp.zeros((layout.shape[0], 2 - layout.shape[1]), dtype=xp.float32, device=where)
        layouts.append(xp.concat([layout, none], axis=1))
    return xp.take(xp.concat(layouts), namespace.from_numpy(order, x), axis=0)
