"""What the GPU takes, each figure with the floor of its work on that GPU and the percentage reached.

Run by ci/gpu. Floors come from ceilings that are measured first: float32 and float16 arithmetic (a large
matrix product) and memory (a large copy). The same rows are given to CuPy's own functions, PyTorch, FAISS,
cuVS, cuML, FlashLib and TorchDR, each where it is installed and with a word where not.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import importlib.util
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import results
from motifgpu import affinity_graph, extract_patches, nearest_neighbors, relax, simulate, zernike_moments
from motifgpu.core import device, namespace
from motifgpu.core.forces import STAGES, SUBSWEEPS

TEMPLATES = 6  # of noise-free patches, from as many simulated micrographs


def seconds(work: Callable[[], Any], repeats: int = 5, warm: bool = True) -> float:
    """Return the median time of `work` on the device, between two events."""
    import cupy

    if warm:
        work()
    times = []
    for _ in range(repeats):
        start, stop = cupy.cuda.Event(), cupy.cuda.Event()
        start.record()
        work()
        stop.record()
        stop.synchronize()
        times.append(cupy.cuda.get_elapsed_time(start, stop) / 1e3)
    return statistics.median(times)


def ceilings(quick: bool) -> dict[str, float]:
    """Measure float32 and float16 operations and bytes a second."""
    import cupy

    rates = {}
    for name, n in (("float32", 2048 if quick else 8192), ("float16", 512 if quick else 8192)):
        a, b = (cupy.random.standard_normal((n, n), dtype=cupy.float32).astype(name) for _ in range(2))
        out = cupy.empty_like(a)
        work = functools.partial(cupy.matmul, a, b, out=out)
        rates[f"{name}_per_s"] = 2 * n**3 / seconds(work)
    x = cupy.random.random(2**26 if quick else 2**30, dtype=cupy.float32)
    y = cupy.empty_like(x)
    copied = 2 * x.nbytes / seconds(lambda: cupy.copyto(y, x))
    return rates | {"bytes_per_s": copied}


def figure(measured: float, floor: float | None, target: float | None = None, **more: Any) -> dict[str, Any]:
    """Put a time beside its floor and what was aimed at."""
    return {
        "seconds": measured,
        "floor_s": floor,
        "percent_of_floor": None if floor is None else round(100 * floor / measured, 1),
        "target_s": target,
        "met": None if target is None else bool(measured <= target),
        **more,
    }


def moments(n: int, counts: float = 30.0, size: int = 38, seed: int = 0) -> Any:
    """Return (n, 66) moments of simulated patches with Poisson noise of their own, on the device."""
    import cupy

    clean = []
    for i in range(TEMPLATES):
        made = simulate.monolayer(
            shape=(512, 512),
            counts=None,
            vacancies=0.05,
            divacancies=0.015,
            dopants={"W": 0.03},
            seed=seed + i,
        )
        # On the device, since the host's code may need a Numba that does not work here.
        image, points = (cupy.asarray(x, dtype=cupy.float32) for x in (made.image, made.points))
        clean.append(extract_patches(image, points, size)[0])
    templates = cupy.maximum(cupy.concatenate(clean), 0)
    templates /= templates.max()
    project = zernike_moments(cupy.eye(size * size, dtype=cupy.float32).reshape(-1, size, size))
    random, out = cupy.random.default_rng(seed), cupy.empty((n, project.shape[1]), cupy.float32)
    for start in range(0, n, 100_000):
        stop = min(n, start + 100_000)
        chosen = templates[random.integers(0, templates.shape[0], stop - start)]
        noisy = random.poisson(chosen * counts).astype(cupy.float32) / counts
        out[start:stop] = noisy.reshape(stop - start, -1) @ project
    return out


def neighbours(n: int, ceiling: dict[str, float], target: float | None) -> dict[str, Any]:
    """Time exact neighbours and count how many of 1,000 rows agree with float64."""
    import cupy

    x = moments(n)
    found: list[Any] = []

    def work() -> None:
        found[:] = nearest_neighbors(x, 9)

    took = seconds(work, repeats=3 if n <= 2_000_000 else 1, warm=n <= 2_000_000)
    unit = x.astype(cupy.float64)
    unit -= unit.mean(1, keepdims=True)
    unit /= cupy.linalg.norm(unit, axis=1, keepdims=True)
    hits, sample = 0, np.random.default_rng(1).permutation(n)[:1000]
    for row in sample:
        distance = 0.5 * ((unit - unit[row]) ** 2).sum(1)
        distance[row] = cupy.inf
        exact = cupy.argpartition(distance, 9)[:9]
        hits += int(cupy.isin(exact, found[0][int(row)]).sum())
    return figure(
        took,  # three products in float16 or one in float32, whichever takes less
        2.0 * n * n * x.shape[1] / max(ceiling["float32_per_s"], ceiling["float16_per_s"] / 3),
        target,
        rows=n,
        recall=hits / (9 * sample.size),
    )


def graph_and_layout(n: int, ceiling: dict[str, float], counts: list[int] | None = None) -> dict[str, Any]:
    """Time the affinity graph and the layout of one large graph or of a batch."""
    import cupy

    x = moments(n)
    offsets = None if counts is None else np.concatenate([[0], np.cumsum(counts)])
    neighbors = nearest_neighbors(x, 9, offsets=offsets)
    made: list[Any] = []

    def build() -> None:
        made[:] = [affinity_graph(neighbors, offsets=offsets)]

    took = seconds(build, repeats=3)
    graph = made[0]
    result = 8.0 * graph.indices.shape[0]
    out = {"affinity": figure(took, (8.0 * 9 * n + 2 * result) / ceiling["bytes_per_s"], rows=n)}
    start = cupy.random.default_rng(2).standard_normal((n, 2), dtype=cupy.float32)
    took = seconds(lambda: relax(graph, start), repeats=3)
    sweeps = sum(stage.sweeps_for(counts[0] if counts else n) for stage in STAGES)
    steps = SUBSWEEPS * sweeps
    # In a batch all stays on the chip and 224 instructions a vertex remain (the ceiling counts a fused one as
    # two operations); a large graph moves 88 bytes a vertex, its gathers by sectors.
    floor = 448.0 / ceiling["float32_per_s"] if counts else 88.0 / ceiling["bytes_per_s"]
    target = 0.1 * sweeps / 160 if counts else 1e-3 * steps
    out["layout"] = figure(took, floor * n * steps, target, rows=n, sweeps=sweeps, sub_sweeps=steps)
    return out


def from_the_image(n: int, size: int, ceiling: dict[str, float]) -> dict[str, Any]:
    """Time the moments of n patches of one large micrograph, and its two parts: sampling and projection."""
    import cupy

    side = max(1024, int(8 * n**0.5))  # columns 8 px apart
    random = cupy.random.default_rng(3)
    image = random.random((side, side), dtype=cupy.float32)
    points = size + (side - 2 * size) * random.random((n, 2), dtype=cupy.float32)
    # Patches, both halves folded and what CuPy keeps of them: in as many parts as fit the memory.
    part = min(n, int(cupy.cuda.Device().mem_info[0] // (4 * 4 * size * size)))
    parts = [points[begin : begin + part] for begin in range(0, n, part)]
    kept: list[Any] = []

    def sample() -> None:
        kept[:] = [extract_patches(image, parts[0], size)[0]]

    def project() -> None:
        zernike_moments(kept[0])

    def both() -> None:
        for some in parts:
            zernike_moments(extract_patches(image, some, size)[0])

    sampling, projection = seconds(sample, repeats=3), seconds(project, repeats=3)
    kept.clear()
    took = seconds(both, repeats=3)
    values = 4.0 * size * size  # bytes of a patch
    # Six taps along either axis; the projection of half a patch, since it is folded.
    taps = 12.0 * size * (2 * size + 6)
    products = 66.0 * size * size
    arithmetic = (taps + products) / ceiling["float32_per_s"]
    traffic = (2.0 * image.nbytes / n + 4.0 * 66) / ceiling["bytes_per_s"]  # if patches never left the chip
    first = max(taps / ceiling["float32_per_s"], values / ceiling["bytes_per_s"])
    second = max(products / ceiling["float32_per_s"], values / ceiling["bytes_per_s"])
    more = {"patches": n, "size": size, "image": side}
    return {
        "moments from the image": figure(took, n * max(arithmetic, traffic), 0.05 * n / 1e6, **more),
        "patches": figure(sampling, part * first, patches=part, size=size),
        "moments of patches": figure(projection, part * second, patches=part, size=size),
    }


def chain(batch: int, side: int) -> dict[str, Any]:
    """Time square micrographs from host memory to motifs, one and a batch, and compare with the CPU."""
    from sklearn.metrics import adjusted_mutual_info_score

    from motifgpu import analyze
    from motifgpu.options import Options
    from motifgpu.pipeline import analyze_batch

    made = simulate.monolayer(shape=(side, side), lattice_constant=44.0, vacancies=0.05, seed=0)
    found: list[Any] = []

    def one() -> None:
        found[:] = [analyze(made.image, backend="cupy")]

    def several() -> None:
        found[:] = analyze_batch([made.image] * batch, Options(backend="cupy"))

    alone, together = seconds(one, repeats=3), seconds(several, repeats=1)
    stages = {stage: round(took, 5) for stage, took in found[0].timings.items()}
    columns = int(found[0].points.shape[0])
    try:
        host = analyze(made.image, backend="numpy")
    except ImportError:  # a Numba that refuses this NumPy
        score = None
    else:
        labels = [namespace.to_numpy(analysis.motifs.labels) for analysis in (host, found[0])]
        score = adjusted_mutual_info_score(*labels) if len(labels[0]) == len(labels[1]) else None
    return {
        "alone": figure(alone, None, side=side, columns=columns, ami_with_cpu=score),
        "in a batch, each": figure(together / batch, None, 0.02, batch=batch, stages=stages),
    }


def _cupy_knn(unit: Any) -> Any:
    import cupy

    found = cupy.empty((unit.shape[0], SAME), cupy.int64)
    for start in range(0, unit.shape[0], 4096):
        scores = unit[start : start + 4096] @ unit.T
        found[start : start + 4096] = cupy.argpartition(scores, -SAME, axis=1)[:, -SAME:]
    return found


def _torch_knn(unit: Any) -> Any:
    import torch

    torch.backends.cuda.matmul.allow_tf32 = False
    rows = torch.from_dlpack(unit)
    found = [(rows[start : start + 4096] @ rows.T).topk(SAME).indices for start in range(0, len(rows), 4096)]
    return torch.cat(found)


def _faiss_knn(unit: Any) -> Any:
    import faiss

    host = np.ascontiguousarray(unit.get())
    index = faiss.index_cpu_to_all_gpus(faiss.IndexFlatIP(host.shape[1]))
    index.add(host)
    return index.search(host, SAME)[1]


def _cuvs_knn(unit: Any) -> Any:
    from cuvs.neighbors import brute_force

    return brute_force.search(brute_force.build(unit, metric="sqeuclidean"), unit, SAME)[1]


def _cuvs_descent(unit: Any) -> Any:
    from cuvs.neighbors import nn_descent

    return nn_descent.build(nn_descent.IndexParams(metric="sqeuclidean"), unit).graph


def _cuml_knn(unit: Any) -> Any:
    from cuml.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=SAME, algorithm="brute", metric="euclidean")
    return search.fit(unit).kneighbors(unit, return_distance=False)


def _flashlib_knn(unit: Any) -> Any:
    import flashlib
    import torch

    rows = torch.from_dlpack(unit)
    return flashlib.NearestNeighbors(n_neighbors=SAME).fit(rows).kneighbors(rows)[1]


def _cuml_umap(unit: Any) -> Any:
    from cuml.manifold import UMAP

    return UMAP(n_neighbors=SAME).fit_transform(unit)


def _flashlib_umap(unit: Any) -> Any:
    import flashlib
    import torch

    return flashlib.UMAP(n_neighbors=SAME).fit_transform(torch.from_dlpack(unit))


def _torchdr_umap(unit: Any) -> Any:
    import torch
    from torchdr import UMAP

    return UMAP(n_neighbors=SAME).fit_transform(torch.from_dlpack(unit))


def _layout(unit: Any) -> Any:
    return relax(affinity_graph(nearest_neighbors(unit, SAME - 1)), unit[:, :2])


SAME = 10  # neighbours that others return, the row itself being the first
OTHERS: dict[str, tuple[str, Callable[[Any], Any]]] = {  # by what they are: the package, and its search
    "CuPy: products and argpartition": ("cupy", _cupy_knn),
    "PyTorch: products and topk": ("torch", _torch_knn),
    "FAISS: flat, from the host": ("faiss", _faiss_knn),
    "cuVS: brute force": ("cuvs", _cuvs_knn),
    "cuVS: NN-descent, approximate": ("cuvs", _cuvs_descent),
    "cuML: brute force": ("cuml", _cuml_knn),
    "FlashLib: kNN": ("flashlib", _flashlib_knn),
}
OTHER_LAYOUTS: dict[str, tuple[str, Callable[[Any], Any]]] = {  # neighbours, graph and layout
    "cuML: UMAP": ("cuml", _cuml_umap),
    "FlashLib: UMAP": ("flashlib", _flashlib_umap),
    "TorchDR: UMAP": ("torchdr", _torchdr_umap),
}


def _measured(package: str, work: Callable[[], Any], **more: Any) -> dict[str, Any]:
    """Time a package, or say why it is not timed."""
    missing = [name for name in (package, *(["torch"] * (package == "flashlib"))) if not _installed(name)]
    if missing:
        return {"skipped": f"{missing[0]} is not installed"}
    try:
        return figure(seconds(work, repeats=1), None, **more)
    except Exception as error:  # another library, at a version that we did not choose
        return {"not measured": f"{type(error).__name__}: {str(error)[:200]}"}


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def peers(n: int) -> dict[str, Any]:
    """Give the same rows to other libraries, where they are installed, and to ours in the same run."""
    import cupy

    x = moments(n)
    unit = x - x.mean(1, keepdims=True)
    unit /= (unit**2).sum(1, keepdims=True) ** 0.5
    kept: list[Any] = []

    def keep(search: Callable[[Any], Any]) -> None:
        kept[:] = [search(unit)]

    exact = nearest_neighbors(unit, SAME - 1).indices[:1000]
    ours: tuple[str, Callable[[Any], Any]] = "cupy", lambda rows: nearest_neighbors(rows, SAME - 1).indices
    out: dict[str, Any] = {}
    for name, (package, search) in {"motifgpu: exact": ours, **OTHERS}.items():
        kept.clear()
        out[name] = _measured(package, lambda search=search: keep(search), rows=n)
        if kept and "seconds" in out[name]:
            own = kept[0] if package != "torch" and package != "flashlib" else cupy.from_dlpack(kept[0])
            found = cupy.asarray(own)[:1000]
            hits = (found[:, :, None] == exact[:, None, :]).any(axis=1)
            out[name]["recall"] = round(float(hits.mean()), 4)
    layouts = {"motifgpu: FR": ("cupy", _layout), **OTHER_LAYOUTS}
    for name, (package, search) in layouts.items():
        out[name] = _measured(package, lambda search=search: keep(search), rows=n)
    return out


def main() -> int:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, no targets, about a minute")
    parser.add_argument("--rows", type=int, metavar="N", help="of the largest graph; 1,000,000 or 20,000")
    parser.add_argument("--only", nargs="+", metavar="STUDY", help="some of the studies")
    parser.add_argument("--folder", type=Path, metavar="FOLDER", help="for the results (benchmarks/results)")
    parser.add_argument(
        "--ten-million", action="store_true", help="also 10,000,000 rows, which takes minutes"
    )
    arguments = parser.parse_args()
    problem = device.gpu_problem()
    if problem:
        print(f"bench_gpu: {problem}", file=sys.stderr)
        return 4
    if arguments.folder:
        results.FOLDER = arguments.folder
    million = arguments.rows or (20_000 if arguments.quick else 1_000_000)
    batch = [min(1200, million)] * (1000 if million >= 1_000_000 else max(2, million // 1000))
    side = 2048 if million >= 20_000 else 256
    ceiling = ceilings(arguments.quick)
    studies: dict[str, Callable[[], Any]] = {  # ci/gpu has their names and time limits
        "ceilings": lambda: ceiling,
        "neighbors": lambda: neighbours(million, ceiling, None if arguments.quick else 0.8),
        "batch": lambda: graph_and_layout(sum(batch), ceiling, batch),
        "large": lambda: graph_and_layout(million, ceiling),
        "moments": lambda: from_the_image(million, 64, ceiling),
        "chain": lambda: chain(4 if arguments.quick else 32, side),
        "peers": lambda: peers(million // 5),
    }
    if arguments.ten_million:
        studies["neighbors_ten_million"] = lambda: neighbours(10_000_000, ceiling, 75.0)
    hardware = f"{device.gpu_name()} {datetime.date.today().isoformat()}"
    failed = 0
    for name in arguments.only or studies:
        try:
            figures = studies[name]()
        except Exception as error:  # one study that fails must not cost the others their machine time
            figures, failed = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}, 1
        print(name, figures, flush=True)
        results.record(f"gpu_{name}" + ("_quick" if arguments.quick else ""), figures, hardware)
    return failed


if __name__ == "__main__":
    sys.exit(main())
