"""Fail where a stage has become much slower: python benchmarks/guard.py [--write].

Each core stage is timed beside a yardstick on the same data, in the same process, on one thread: another
library's way of doing the same, or the slow formula that the tests compare with. Their ratio depends little
on the machine and its load. It must stay below `LIMIT` times the committed one in results/guard.json, which
--write renews; so a halving of speed fails.
"""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage
from scipy.spatial import Delaunay
from skimage.feature import blob_log
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from motifgpu import (
    affinity_graph,
    build_hierarchy,
    extract_patches,
    find_columns,
    find_motifs,
    fit_lattice,
    motif_cells,
    nearest_neighbors,
    pca_start,
    relax,
    simulate,
    zernike_moments,
)
from tests.support import oracles

COMMITTED = Path(__file__).parent / "results" / "guard.json"
LIMIT = 1.8
ROUNDS, ATTEMPTS = 5, 4
SIZE = 38

Work = Callable[[], Any]


def stages() -> dict[str, tuple[Work, Work]]:
    """Return each stage and its yardstick, on one micrograph of 1,250 columns."""
    made = simulate.monolayer(counts=10, vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=1)
    image = made.image
    points = find_columns(image).points
    patches, inside = extract_patches(image, points, SIZE)
    points = points[inside]
    moments = zernike_moments(patches)
    neighbors = nearest_neighbors(moments, 9)
    few = oracles.nearest(moments[:150], 9)
    brute = NearestNeighbors(n_neighbors=9, metric="correlation", algorithm="brute")
    flat = patches.reshape(len(patches), -1)
    graph, start = affinity_graph(neighbors), pca_start(moments)
    labels = find_motifs(moments).labels
    step = np.arange(SIZE) - (SIZE - 1) / 2
    grid = np.stack(np.meshgrid(step, step, indexing="ij")).reshape(2, 1, -1) + points.T[:, :, None]

    def structure() -> None:
        build_hierarchy(motif_cells(fit_lattice(points, labels=labels), labels))

    return {
        "columns": (
            lambda: find_columns(image),
            lambda: blob_log(image, min_sigma=2, max_sigma=4, num_sigma=3),
        ),
        "patches": (
            lambda: extract_patches(image, points, SIZE),
            lambda: ndimage.map_coordinates(image, grid),
        ),
        "moments": (lambda: zernike_moments(patches), lambda: PCA(66, random_state=0).fit_transform(flat)),
        "neighbors": (lambda: nearest_neighbors(moments, 9), lambda: brute.fit(moments).kneighbors()),
        "affinity": (lambda: affinity_graph(neighbors), lambda: oracles.affinities(*few, np.log2(10), True)),
        "layout": (
            lambda: relax(graph, start),
            lambda: oracles.sequential_relaxation(graph, start, sweeps=5),
        ),
        "motifs": (
            lambda: find_motifs(moments),
            lambda: GaussianMixture(5, n_init=2, max_iter=20, tol=0, random_state=0).fit(moments[:, :20]),
        ),
        "structure": (structure, lambda: [Delaunay(points) for _ in range(3)]),
    }


def _seconds(work: Work) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def ratio(ours: Work, yardstick: Work) -> float:
    """Return the least time of either, ours over the yardstick's, from calls in turn."""
    times = [(_seconds(ours), _seconds(yardstick)) for _ in range(ROUNDS)]
    return min(a for a, _ in times) / min(b for _, b in times)


def slower(measured: float, committed: float) -> bool:
    """Say whether a ratio has grown by more than noise."""
    return measured > LIMIT * committed


def main(arguments: list[str]) -> int:
    """Measure all stages and compare, or write what was measured."""
    warnings.simplefilter("ignore")
    os.environ["MOTIFGPU_THREADS"] = "1"
    write = "--write" in arguments
    committed = {} if write else json.loads(COMMITTED.read_text())
    found, failed = {}, []
    with threadpool_limits(1):
        for name, (ours, yardstick) in stages().items():
            ours(), yardstick()
            # A machine that others use may disturb one attempt, hardly all of them.
            for _ in range(ATTEMPTS):
                found[name] = min(ratio(ours, yardstick), found.get(name, np.inf))
                if not write and not slower(found[name], committed[name]):
                    break
            if not write and slower(found[name], committed[name]):
                failed.append(name)
            print(f"{name}: {found[name]:.4g} of its yardstick, committed {committed.get(name, np.nan):.4g}")
    if write:
        COMMITTED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    if failed:
        print(
            f"slower than {LIMIT} times what is committed: {', '.join(failed)}; mend it or renew with --write"
        )
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
