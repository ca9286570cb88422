"""On a GPU: the chain as users call it, alone and in batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.backends import maker

from motifgpu import (
    MotifDictionary,
    affinity_graph,
    analyze,
    extract_patches,
    relax,
    simulate,
    zernike_moments,
)
from motifgpu.core import device, namespace
from motifgpu.core.namespace import to_numpy
from motifgpu.graph.affinity import AffinityGraph
from motifgpu.options import Options
from motifgpu.pipeline import analyze_batch

pytestmark = pytest.mark.gpu
OPTIONS = Options(backend="cupy", structure=False)


@pytest.fixture(scope="module")
def put() -> Any:
    return maker("cupy")


def micrograph(seed: int, side: int = 128) -> np.ndarray:
    made = simulate.monolayer(shape=(side, side + 16), vacancies=0.05, counts=30, angle=5.0 * seed, seed=seed)
    return made.image.astype(np.float32)


def bits(analysis: Any) -> list[bytes]:
    """Return what must be equal to the bit."""
    parts = (
        analysis.points,
        analysis.moments,
        analysis.layout,
        analysis.motifs.labels,
        analysis.averages.patches,
    )
    return [to_numpy(part).tobytes() for part in parts]


def test_alone_and_in_any_batch_the_bits_are_the_same(put) -> None:
    images = [micrograph(seed) for seed in range(3)]
    [first, flat, second, third] = analyze_batch([*images[:1], np.zeros((64, 64)), *images[1:]], OPTIONS)
    assert isinstance(flat, Exception)
    [again, alone] = analyze_batch([images[2], images[0]], OPTIONS)
    assert bits(first) == bits(alone) == bits(analyze(put(images[0]), structure=False))
    assert bits(third) == bits(again)
    assert bits(second) != bits(first)
    pytest.importorskip("motifgpu.cpu.relaxation", exc_type=ImportError)  # where Numba works
    host = analyze(images[0], backend="numpy", structure=False)
    np.testing.assert_allclose(to_numpy(first.points), host.points, atol=2e-3)
    np.testing.assert_array_equal(to_numpy(first.motifs.labels), host.motifs.labels)


def test_each_device_gives_the_same_bits(put) -> None:
    import cupy

    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("a second GPU is not installed")
    image = micrograph(0)
    first = analyze(image, backend="cupy", structure=False)
    with cupy.cuda.Device(1):
        second = analyze(image, backend="cupy", structure=False)
        assert second.moments.device == cupy.cuda.Device(1)
        assert bits(second) == bits(first)


def test_structure_dictionary_and_options_work_there(put) -> None:
    image = micrograph(1, 160)
    found = analyze(put(image))
    assert found.parameters["backend"] == "array_api_compat.cupy"
    assert found.cells is not None
    assert len(found.hierarchy.nodes) > 0
    named = analyze(put(image), dictionary=MotifDictionary.learn([found]), structure=False)
    assert (to_numpy(named.motifs.labels) >= 0).mean() > 0.9
    single = analyze(put(image), lattice="none", rotation_invariant=True, n_motifs=2, metric="euclidean")
    assert single.motifs.counts.shape[0] == 2
    mask = np.ones(image.shape, bool)
    mask[:40, :40] = False
    masked = analyze(put(image), mask=mask, remove_background=True, smoothing="svd", structure=False)
    assert 0 < len(masked.columns) < len(found.columns)
    given = analyze(put(image), points=to_numpy(found.columns.points), structure=False)
    assert len(given.columns) == len(found.columns)
    rebuilt = found.reconstruct()
    assert rebuilt.image.shape == image.shape


def test_nothing_is_as_on_the_cpu(put) -> None:
    image = put(micrograph(0))
    none = put(np.zeros((0, 2), np.float32))
    patches, inside = extract_patches(image, none, 24)
    assert patches.shape == (0, 24, 24)
    assert inside.shape == (0,)
    assert zernike_moments(patches).shape == (0, 66)
    neighbors = put(np.zeros((0, 9), np.int32)), put(np.zeros((0, 9), np.float32))
    graph = affinity_graph(neighbors)
    assert isinstance(graph, AffinityGraph)
    assert to_numpy(graph.indptr).tolist() == [0]
    assert relax(graph, none).shape == (0, 2)


def test_the_namespace_is_one(put) -> None:
    x = put(np.arange(3.0))
    assert namespace.array_namespace(x) is device.select("cupy")
    assert namespace.is_cupy(namespace.array_namespace(x))
