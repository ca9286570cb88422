"""Force relaxation: the two-dimensional layout of a weighted graph.

The paper moves one pair of vertices after another, each seeing the moves before it. Here all vertices move at
once, from one copy of the layout to another, in many small sub-sweeps. In sub-sweep q of the Q of a stage,
with R = 16 sub-sweeps per sweep and S = 8 samples::

    gamma = stage.gamma (1 - q / Q)
    e     = the edge of vertex i, of its deg_i, at floor(deg_i frac(q 0.618...)); j is its other end
    a(d)  = min(alpha / (1 + d^n), clip / d)        b(d) = min(beta / (1 + d^m), clip / d)
    p     = gamma k' / R  (deg_i + mean deg)
    c     = deg_i (2 gamma / R  w_e a(d_ij) + p / N  b(d_ij))
    r     = p / S  sum over S samples z of  b(d_iz) (y_i - z)
    s     = 2 p / S  sum over S samples z of  b(d_iz)
    y_i  <- y_i + (c (y_j - y_i) + r) / (1 + c + s)

so that the mean over a sweep is what the paper's sequence does to a vertex: every edge is visited twice and
moves both of its ends, which gives the 2; k' vertices are repelled at every visit, as one who repels (deg_i)
and as one who is repelled (mean deg); neighbours are not repelled, so what the samples gave them on average
is taken back in the last term of c.

One snapshot with all forces added diverges. Dividing by the stiffness keeps a step from overshooting: c is
that of the edge and s that of the samples, twice because they move as well. Without s the second stage is
chaotic, though its clusters are the same: a change of the start by 1e-6 grew to a tenth of the layout, and
with it to at most 1e-4. The samples are the same for all vertices, so the force they make is smooth in the
plane and does not pull neighbours apart; one is drawn from each S-th part of the vertices, by Philox4x32-10
counted by (seed, stage, q).

A sweep moves every vertex 16 times by one edge, and not once by all of them, because single edges bring
vertices together as fast as the sequence does: with all edges at once, real data of 8,000 points shattered
into 40 clusters where there are 10, with 4 sub-sweeps it took four times the sweeps.

How many sweeps: a stage's number holds up to 5,000 vertices and grows with the fourth root of their number.
That much keeps clusters whole from 1,000 to 100,000 vertices and on real data of 8,000; half of it breaks
some at 20,000, and four times as much joins one or two more (benchmarks/bench_relaxation.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer, check_offsets
from motifgpu.core.errors import StageError
from motifgpu.core.forces import STAGES, SUBSWEEPS, Forces, Stage
from motifgpu.core.namespace import Array
from motifgpu.graph.affinity import AffinityGraph

__all__ = ["STAGES", "Stage", "pca_start", "relax"]

STAGE = "relaxation"


def _checked_stages(stages: Sequence[Stage]) -> list[Stage]:
    result = []
    for index, values in enumerate(stages):
        stage = Stage(*values)
        if stage.sweeps != round(stage.sweeps) or stage.sweeps < 1 or not 0 < stage.gamma <= 1:
            raise StageError(
                STAGE,
                f"stage {index} has sweeps {stage.sweeps} and gamma {stage.gamma}",
                "give at least one sweep and a gamma above 0 and up to 1",
            )
        softening = 1.0 if stage.softening is None else stage.softening
        strengths = (stage.alpha, stage.beta, stage.n, stage.m, stage.scale)
        if (
            not np.isfinite([*strengths, stage.power, softening]).all()
            or min(strengths) < 0
            or softening <= 0
        ):
            raise StageError(
                STAGE,
                f"stage {index} is {stage}",
                "give finite strengths and exponents of at least 0 and a softening above 0",
            )
        result.append(stage)
    if not result:
        raise StageError(STAGE, "there are no stages", "give at least one")
    return result


def relax(
    graph: AffinityGraph,
    start: Array,
    *,
    stages: Sequence[Stage] = STAGES,
    n_repulsions: float = 10,
    clip: float = 4.0,
    seed: int = 0,
    offsets: Array | None = None,
    callback: Callable[[int, Array], None] | None = None,
    callback_every: int = 10,
) -> Array:
    """Relax a layout under attraction along the edges of a graph and repulsion between all vertices.

    The result is the same bits for any number of threads, and for a graph alone or in a batch. It depends on
    the order of the vertices through the random numbers.

    Parameters
    ----------
    graph : AffinityGraph
        From `affinity_graph`; the graphs of its micrographs are relaxed independently.
    start : (N, 2) array
        Initial positions of the vertices, for instance from `pca_start`.
    stages : sequence of Stage
        By default the paper's two and a short third one; `Stage` also makes those of LargeVis and UMAP. The
        paper gives its two stages in this order in the Methods and in the opposite order in the supplement,
        which mixes the classes.
    n_repulsions : float
        k': number of vertices that repel a vertex for each of its edges (5 or 10 in the paper's figures).
    clip : float
        Longest displacement by one pair, before weight and gamma; infinity for the paper's literal forces.
    seed : int
        Seed of the samples.
    offsets : (m + 1,) array of int, optional
        Where each graph begins and ends; those of `graph` by default, to which they must be equal.
    callback : callable, optional
        Called as ``callback(sweep, layout)`` after every `callback_every` sweeps and after the last, counted
        over all stages. Smaller graphs of a batch finish earlier and do not change afterwards.
    callback_every : int

    Returns
    -------
    (N, 2) float32 array
        In the namespace and on the device of `start`.

    Raises
    ------
    StageError
        If the start has another length than the graph or is not finite, or an option is out of range.

    References
    ----------
    Dan et al., Science Advances 8, eabk1005 (2022), Methods and supplement ("Force-relaxed Clustering").

    Examples
    --------
    The layout of patches of two kinds. Almost every patch has one of its own kind nearest to it:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches(
    ...     (30, 30), centers=(1.0, 0.5), gaussian=0.1, size=32, distance=8, sigma=2
    ... )
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> graph = motifgpu.affinity_graph(motifgpu.nearest_neighbors(moments))
    >>> layout = motifgpu.relax(graph, motifgpu.pca_start(moments))
    >>> nearest, _ = motifgpu.nearest_neighbors(layout, 1, metric="euclidean")
    >>> bool((made.labels[nearest[:, 0]] == made.labels).mean() > 0.95)
    True
    """
    xp, start = check_array(start, STAGE, "start", 2)
    n = int(graph.indptr.shape[0]) - 1
    if start.shape != (n, 2):
        raise StageError(
            STAGE,
            f"start has shape {tuple(start.shape)} and the graph {n} vertices",
            "give one row (x, y) per vertex",
        )
    limits = check_offsets(graph.offsets, n, STAGE)
    if offsets is not None and not np.array_equal(check_offsets(offsets, n, STAGE), limits):
        raise StageError(
            STAGE, "offsets differ from those of the graph", "leave them out, or build the graph with them"
        )
    stages = _checked_stages(stages)
    for name, value in (("n_repulsions", n_repulsions), ("clip", clip)):
        if not value > 0 or (name == "n_repulsions" and not np.isfinite(value)):
            raise StageError(STAGE, f"{name} is {value}", "give a positive number")
    seed = check_integer(seed, STAGE, "seed", 0, 2**64 - 1)
    every = SUBSWEEPS * check_integer(callback_every, STAGE, "callback_every", 1)

    def report(subsweep: int, layout: Array) -> None:
        if callback:
            callback(subsweep // SUBSWEEPS, layout)

    if namespace.is_cupy(xp):
        from motifgpu.cuda.relaxation import relax as compute
    else:
        from motifgpu.cpu.relaxation import relax as compute
    forces = Forces(stages, n_repulsions, float(clip), seed)
    return compute(
        graph.indptr, graph.indices, graph.weights, limits, start, forces, report if callback else None, every
    )


def pca_start(x: Array, offsets: Array | None = None) -> Array:
    """Return the start of a relaxation: two principal components of each micrograph's rows.

    The largest loading of a component is positive, so that its sign is the same on every machine, and the
    largest coordinate is 10. Rows that are all the same start at zero.

    Parameters
    ----------
    x : (N, D) array
        Features, such as moments.
    offsets : (m + 1,) array of int, optional
        Where each micrograph's rows begin and end; one micrograph without.

    Returns
    -------
    (N, 2) float32 array
        In the namespace and on the device of `x`.

    Raises
    ------
    StageError
        If the rows are not finite.

    Examples
    --------
    The start of a layout of 60 patches; its largest coordinate is 10:

    >>> import motifgpu
    >>> made = motifgpu.simulate.patches((30, 30), size=32, distance=8, sigma=2, gaussian=0.1)
    >>> start = motifgpu.pca_start(motifgpu.zernike_moments(made.patches))
    >>> start.shape, round(float(abs(start).max()), 3)
    ((60, 2), 10.0)
    """
    xp, x = check_array(x, STAGE, "x", 2)
    limits = check_offsets(offsets, int(x.shape[0]), STAGE)
    if namespace.is_cupy(xp):
        from motifgpu.cuda.relaxation import pca_start as compute
    else:
        from motifgpu.cpu.relaxation import pca_start as compute
    return compute(x, limits)
