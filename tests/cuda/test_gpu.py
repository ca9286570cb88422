"""On a GPU: every kernel against its counterpart on the CPU, and the whole chain."""

from __future__ import annotations

import numpy as np
import pytest
from support.backends import STAND_IN

from motifgpu import analyze, extract_patches, simulate, zernike_moments
from motifgpu.core import device, namespace
from motifgpu.core.forces import STAGES, Forces
from motifgpu.cuda import affinity, loader, neighbors, relaxation, warmup
from motifgpu.graph.relaxation import pca_start
from motifgpu.motifs.kmeans import kmeans

pytestmark = pytest.mark.gpu
FEWER = 32 if STAND_IN else 1  # a processor that stands in for a GPU gets fewer rows
ROWS = 20_000 // FEWER


@pytest.fixture(scope="module")
def cupy():
    problem = device.gpu_problem()
    if problem:
        pytest.skip(f"no usable GPU: {problem}")
    return pytest.importorskip("cupy")


def cpu_twin(stage: str):
    """Return a stage's code for the CPU; skip where Numba does not work, as where it refuses this NumPy."""
    return pytest.importorskip(f"motifgpu.cpu.{stage}", exc_type=ImportError)


def clouds(counts, spread: float = 0.1, dimensions: int = 66) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    centres = rng.normal(size=(4, dimensions))
    x = centres[rng.integers(0, 4, offsets[-1])] + spread * rng.normal(size=(offsets[-1], dimensions))
    return x.astype(np.float32), offsets


def exact_distances(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    unit = x.astype(np.float64)
    unit -= unit.mean(1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    d = np.stack([0.5 * ((unit - unit[row]) ** 2).sum(1) for row in rows])
    d[np.arange(rows.size), rows] = np.inf
    return d


@pytest.mark.parametrize("spread", [1e-4, 1e-2, 1.0])
def test_neighbours_are_those_of_float64(cupy, spread: float) -> None:
    x, offsets = clouds([ROWS], spread)
    indices, distances = neighbors.nearest(cupy.asarray(x), 9, offsets)
    rows = np.arange(0, ROWS, 97)
    d = exact_distances(x, rows)
    wanted = np.sort(d, axis=1)[:, :9]
    found = np.take_along_axis(d, indices.get()[rows], 1)
    allowed = 1e-5 * wanted + 1e-7 * np.sqrt(wanted)
    assert (np.abs(found - wanted) < allowed).all()
    assert (np.abs(distances.get()[rows] - wanted) < allowed).all()


def test_neighbours_do_not_depend_on_batch_memory_or_width(cupy, monkeypatch: pytest.MonkeyPatch) -> None:
    x, offsets = clouds([1200 // FEWER, 10, 333, 5000 // FEWER], 1e-3)
    there = cupy.asarray(x)
    reference = [a.get() for a in neighbors.nearest(there, 9, offsets)]
    first = offsets[1]
    alone = neighbors.nearest(there[first : first + 10], 9, np.array([0, 10]))
    results = []
    for module, name in ((neighbors, "MEMORY"), (loader, "_WIDE")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, 1)
            results.append(neighbors.nearest(there, 9, offsets))
    for result in results:
        for mine, wanted in zip(result, reference, strict=True):
            np.testing.assert_array_equal(mine.get(), wanted)
    np.testing.assert_array_equal(alone[0].get() + first, reference[0][first : first + 10])


def test_duplicates_are_taken_in_the_order_of_their_index(cupy) -> None:
    x, offsets = clouds([3000 // FEWER])
    end = 10 + 1000 // FEWER
    x[10:end] = x[10]
    indices, distances = neighbors.nearest(cupy.asarray(x), 9, offsets)
    np.testing.assert_array_equal(indices.get()[end - 1], np.arange(10, 19))
    assert not distances.get()[10:end].any()


def test_symmetric_graph_is_that_of_scipy(cupy) -> None:
    import scipy.sparse

    rng = np.random.default_rng(1)
    n, k = ROWS // 4, 9
    listed = np.stack([rng.choice(n - 1, k, replace=False) for _ in range(n)])
    listed[:, 0] = np.where((listed[:, 1:] == 0).any(1), listed[:, 0], 0)  # a hub
    listed = (listed + (listed >= np.arange(n)[:, None])).astype(np.int32)
    weights = rng.random((n, k)).astype(np.float32)
    q = scipy.sparse.csr_matrix((weights.ravel(), listed.ravel(), np.arange(0, n * k + 1, k)), (n, n))
    wanted = (q + q.T - q.multiply(q.T)).tocsr()
    wanted.sort_indices()
    indptr, indices, values = affinity.symmetrize(cupy.asarray(listed), cupy.asarray(weights), True)
    np.testing.assert_array_equal(indptr.get(), wanted.indptr)
    np.testing.assert_array_equal(indices.get(), wanted.indices)
    np.testing.assert_array_equal(values.get(), wanted.data)


def test_both_forms_of_the_relaxation_give_the_same_bits_and_agree_with_the_cpu(cupy) -> None:
    cpu = cpu_twin("relaxation")
    x, offsets = clouds([900 // FEWER, 333, 12, 5000 // FEWER], 0.3)
    there = cupy.asarray(x)
    indices, distances = neighbors.nearest(there, 9, offsets)
    weights, _, _ = affinity.solve(distances, np.log2(10.0))
    graph = affinity.symmetrize(indices, weights, True)
    start = cupy.random.default_rng(2).standard_normal((x.shape[0], 2), dtype=cupy.float32)
    short = [stage._replace(sweeps=1) for stage in STAGES]
    for stages in (short,) if STAND_IN else (short, STAGES):
        forces = Forces(stages, n_repulsions=10.0, clip=4.0, seed=7)
        layout, again = (relaxation.relax(*graph, offsets, start, forces, None, 16).get() for _ in range(2))
        launched = relaxation.relax_by_launches(*graph, offsets, start, forces).get()
        np.testing.assert_array_equal(layout, again)
        np.testing.assert_array_equal(layout, launched)
        if stages is short:
            host = cpu.relax(*(a.get() for a in graph), offsets, start.get(), forces, None, 16)
            np.testing.assert_allclose(layout, host, atol=1e-3 * np.abs(host).max())


def test_rows_sum_to_the_target(cupy) -> None:
    rng = np.random.default_rng(3)
    distances = 0.1 * (np.arange(9, dtype=np.float32) + rng.random((ROWS // 4, 9), np.float32)) ** 3
    weights, _, tied = affinity.solve(cupy.asarray(distances), np.log2(10.0))
    assert not tied.get().any()
    np.testing.assert_allclose(weights.get().sum(1), np.log2(10.0), atol=2e-5)


def test_start_is_that_of_the_cpu(cupy) -> None:
    cpu_twin("relaxation")
    x, offsets = clouds([900, 333, 12], 0.3)
    mine = relaxation.pca_start(cupy.asarray(x), offsets).get()
    np.testing.assert_allclose(mine, pca_start(x, offsets), atol=1e-3)


def test_warm_up_compiles_everything(cupy) -> None:
    warmup.run(cupy.zeros(1))
    before = loader.compiled()
    assert warmup.run(cupy.zeros(1)) == 0
    image = simulate.monolayer(shape=(128, 144), counts=30, seed=0).image
    analyze(cupy.asarray(image.astype(np.float32)))
    assert loader.compiled() == before


@pytest.mark.parametrize(("size", "side"), [(38, 37.4), (64, 64.0), (24, 14.0), (100, 100.0), (9, 70.0)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_patches_and_moments_are_those_of_the_cpu(cupy, size: int, side: float, dtype: str) -> None:
    rng = np.random.default_rng(5)
    image = rng.normal(size=(300, 340)).astype(dtype)
    points = rng.uniform(0, 300, (500, 2)).astype(dtype)
    wanted, inside = extract_patches(image, points, size, side=side)
    found, seen = extract_patches(cupy.asarray(image), cupy.asarray(points), size, side=side)
    np.testing.assert_array_equal(seen.get(), inside)
    tolerance = 3e-5 if dtype == "float32" else 1e-10
    np.testing.assert_allclose(found.get(), wanted, atol=tolerance)
    order = 3 if size == 9 else 10
    np.testing.assert_allclose(
        zernike_moments(found, order).get(), zernike_moments(wanted, order), atol=tolerance
    )


def test_patches_and_moments_do_not_depend_on_their_company(cupy) -> None:
    rng = np.random.default_rng(6)
    image, points = (
        cupy.asarray(a, dtype=cupy.float32)
        for a in (rng.normal(size=(600, 700)), rng.uniform(40, 560, (30_000 // FEWER, 2)))
    )
    patches, _ = extract_patches(image, points, 38)
    alone, _ = extract_patches(image, points[777:790], 38)
    np.testing.assert_array_equal(alone.get(), patches[777:790].get())
    moments = zernike_moments(patches)
    np.testing.assert_array_equal(zernike_moments(alone).get(), moments[777:790].get())


def test_kmeans_is_as_good_as_on_the_cpu(cupy) -> None:
    x, _ = clouds([5000], 0.5)
    host, there = kmeans(x, 12), kmeans(cupy.asarray(x), 12)
    assert there.inertia == pytest.approx(host.inertia, rel=0.01)
    np.testing.assert_array_equal(there.labels.get(), kmeans(cupy.asarray(x), 12).labels.get())


def test_chain_agrees_with_the_cpu(cupy) -> None:
    cpu_twin("relaxation")
    from sklearn.metrics import adjusted_mutual_info_score

    from motifgpu import analyze

    made = simulate.monolayer(vacancies=0.05, divacancies=0.015, dopants={"W": 0.03}, seed=1)
    host, there = (analyze(made.image, backend=name) for name in ("numpy", "cupy"))
    assert len(host.points) == len(there.points)
    labels = [namespace.to_numpy(a.motifs.labels) for a in (host, there)]
    assert adjusted_mutual_info_score(*labels) >= 0.99
