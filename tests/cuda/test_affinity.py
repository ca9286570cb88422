"""The launchers and kernels of the affinity graph, run on the CPU, against literal oracles."""

from __future__ import annotations

import math

import array_api_strict
import numpy as np
import pytest
import scipy.sparse
from host_cuda import device, faults, sanitizers

from motifgpu.core import namespace
from motifgpu.cpu import affinity as cpu
from motifgpu.cuda import affinity, loader

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))


def directed(n: int, k: int, hubs: int = 0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A random directed graph; every vertex lists the first `hubs` vertices."""
    rng = np.random.default_rng(seed)
    rank = rng.random((n, n)) + (np.arange(n) >= hubs)
    np.fill_diagonal(rank, 9)
    neighbors = rng.permuted(np.argsort(rank, axis=1)[:, :k], axis=1).astype(np.int32)
    return neighbors, rng.random((n, k)).astype(np.float32)


def dense(neighbors: np.ndarray, weights: np.ndarray, union: bool) -> scipy.sparse.csr_matrix:
    n, k = neighbors.shape
    q = np.zeros((n, n), np.float32)
    q[np.repeat(np.arange(n), k), neighbors.ravel()] = weights.ravel()
    return scipy.sparse.csr_matrix(q + q.T - q * q.T if union else q + q.T)


def symmetrize(neighbors, weights, union: bool, schedule: int = 0):
    with loader.running_on(device.HostDevice(schedule=schedule)):
        return affinity.symmetrize(neighbors, weights, union)


@pytest.mark.parametrize("k", [2, 9, 64])
def test_rows_sum_to_the_target_and_agree_with_the_cpu(k: int) -> None:
    rng = np.random.default_rng(k)
    distances = np.sort(0.1 * rng.random((300, k)) ** 3, axis=1).astype(np.float32)
    distances[3:6] = [[0.0], [0.2], [1e-8]]  # all neighbours equally near: tied
    distances[6, : -(-k // 2)] = distances[6, 0]
    target = math.log2(k + 1)
    with loader.running_on(device.HostDevice()):
        weights, sigma, tied = affinity.solve(distances, target)
    wanted = cpu.solve(distances, target)
    np.testing.assert_array_equal(tied, wanted[2])
    assert tied[3:6].all()
    np.testing.assert_allclose(weights.sum(1)[~tied], target, atol=2e-5)
    np.testing.assert_allclose(weights, wanted[0], atol=1e-5)
    np.testing.assert_allclose(sigma, wanted[1], rtol=1e-4)


@pytest.mark.parametrize("union", [True, False])
@pytest.mark.parametrize(("n", "k", "hubs"), [(2, 1, 0), (10, 9, 0), (33, 9, 1), (300, 9, 3), (70, 64, 0)])
def test_symmetric_rows_are_those_of_a_dense_matrix(n: int, k: int, hubs: int, union: bool) -> None:
    neighbors, weights = directed(n, k, hubs)
    wanted = dense(neighbors, weights, union)
    for schedule in (0, 1, 7):
        indptr, indices, values = symmetrize(neighbors, weights, union, schedule)
        np.testing.assert_array_equal(indptr, wanted.indptr)
        np.testing.assert_array_equal(indices, wanted.indices)
        np.testing.assert_array_equal(values, wanted.data)


def test_wide_positions_give_the_same_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    neighbors, weights = directed(120, 9, 2)
    narrow = symmetrize(neighbors, weights, True)
    monkeypatch.setattr(loader, "_WIDE", 1)
    wide = symmetrize(neighbors, weights, True)
    assert wide[0].dtype == np.int64
    for mine, reference in zip(wide, narrow, strict=True):
        np.testing.assert_array_equal(mine, reference)


def test_arrays_of_another_namespace_stay_on_their_device() -> None:
    neighbors, weights = directed(60, 9)
    there = array_api_strict.Device("device1")
    strict = symmetrize(*(array_api_strict.asarray(a, device=there) for a in (neighbors, weights)), True)
    for mine, reference in zip(strict, symmetrize(neighbors, weights, True), strict=True):
        assert mine.device == there
        np.testing.assert_array_equal(namespace.to_numpy(mine), reference)


def sanitized_case() -> None:
    """Run in a child process."""
    symmetrize(*directed(120, 9, 2), True)
    with loader.running_on(device.HostDevice()):
        affinity.solve(np.sort(np.random.default_rng(0).random((300, 9), np.float32), axis=1), math.log2(10))
    print("finished")


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_nothing_for_the_sanitizers(sanitizer: str) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout


def case_without_barrier(number: str) -> None:
    """Run in a child process."""
    with faults.without_barrier("affinity", int(number)):
        symmetrize(*directed(60, 9, 2), True)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(2))
def test_every_barrier_is_missed(number: int) -> None:
    assert len(faults.barriers("affinity")) == 2
    done = sanitizers.run("thread", f"{__file__}:case_without_barrier", str(number))
    assert done.returncode == sanitizers.FOUND, done.stderr
    assert "data race" in done.stderr
