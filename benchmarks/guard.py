"""Fail where a stage or a command has become much slower: python benchmarks/guard.py [--write].

Each core stage is timed beside a yardstick on the same data, in the same process, on one thread: another
library's way of doing the same, or the slow formula that the tests compare with. Whole commands are timed
beside processes that import and draw with the same libraries, or that compile as many functions. The ratio
depends little on the machine and its load. It must stay below the committed one in results/guard.json, which
--write renews, times `LIMIT`, so that a halving of speed fails, or times `COMMAND_LIMIT`.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
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
LIMIT, COMMAND_LIMIT = 1.8, 1.4
ROUNDS, ATTEMPTS = 5, 4
COMMAND_ROUNDS = 2
SIZE = 38
_DRAWING = """
import bokeh.embed, bokeh.plotting, numba, scipy.ndimage, scipy.spatial
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
for _ in range(12):
    figure = Figure(figsize=(7, 6), layout="constrained", dpi=150)
    figure.add_subplot().plot(range(9))
    FigureCanvasAgg(figure).draw()
"""
_COMPILING = """
import numba, numpy
for _ in range(12):
    @numba.njit
    def apart(x):
        total = numpy.zeros(x.shape[1])
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                total[j] += x[i, j] * max(x[i, 0], 0.0)
        return total
    apart(numpy.ones((3, 3)))
"""

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


def commands(folder: Path) -> dict[str, tuple[Work, Work]]:
    """Return each whole command and its yardstick, as processes that work in `folder`."""
    image = folder / "image.npy"
    np.save(image, simulate.monolayer(counts=10, vacancies=0.05, divacancies=0.015, seed=1).image)
    report = ["-m", "motifgpu", "analyze", "-q", str(image), "-o", str(folder / "out")]

    def process(arguments: list[str], cache: Path) -> None:
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        subprocess.run([sys.executable, *arguments], check=True, env=environment, capture_output=True)

    def first() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as empty:
            process(report, Path(empty))

    return {
        "analyze": (lambda: process(report, folder), lambda: process(["-c", _DRAWING], folder)),
        "first analyze": (first, lambda: process(["-c", _COMPILING], folder)),
    }


def _spent() -> float:
    """Return the CPU time of this process and of those that it waited for, s."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _seconds(work: Work) -> float:
    before = _spent()
    work()
    return _spent() - before


def ratio(ours: Work, yardstick: Work, rounds: int = ROUNDS) -> float:
    """Return the least time of either, ours over the yardstick's, from calls in turn."""
    times = [(_seconds(ours), _seconds(yardstick)) for _ in range(rounds)]
    return min(a for a, _ in times) / min(b for _, b in times)


def main(arguments: list[str]) -> int:
    """Measure all stages and commands and compare, or write what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        return _main(arguments, Path(folder))


def _main(arguments: list[str], folder: Path) -> int:
    warnings.simplefilter("ignore")
    os.environ["MOTIFGPU_THREADS"] = "1"
    write = "--write" in arguments
    committed = {} if write else json.loads(COMMITTED.read_text())
    found: dict[str, float] = {}
    failed: list[str] = []
    works = [(each, ROUNDS, LIMIT) for each in stages().items()]
    works += [(each, COMMAND_ROUNDS, COMMAND_LIMIT) for each in commands(folder).items()]
    with threadpool_limits(1):
        for (name, (ours, yardstick)), rounds, limit in works:
            ours(), yardstick()
            most = limit * committed.get(name, 0.0)
            # A machine that others use may disturb one attempt, hardly all of them.
            for _ in range(ATTEMPTS):
                found[name] = min(ratio(ours, yardstick, rounds), found.get(name, np.inf))
                if not write and found[name] <= most:
                    break
            if not write and found[name] > most:
                failed.append(name)
            print(f"{name}: {found[name]:.4g} of its yardstick, committed {committed.get(name, np.nan):.4g}")
    if write:
        COMMITTED.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")
    if failed:
        print(f"much slower than what is committed: {', '.join(failed)}; mend it or renew with --write")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
