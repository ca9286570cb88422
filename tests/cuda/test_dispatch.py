"""The public functions on a device that runs kernels: what they launch, and what they bring to the host."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest
from host_cuda import device

from motifgpu import affinity_graph, nearest_neighbors, pca_start, relax
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.forces import Stage
from motifgpu.cuda import loader

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))

STAGES = (Stage(1, 1, 0, 2, sweeps=2), Stage(5, 1, 2, 5, sweeps=1))
OFFSETS = np.array([0, 30, 90])


def layout(x, seen: list | None = None):
    neighbors = nearest_neighbors(x, 9, offsets=OFFSETS)
    graph = affinity_graph(neighbors, offsets=OFFSETS)
    callback = None if seen is None else lambda sweep, y: seen.append((sweep, y))
    return relax(graph, pca_start(x, OFFSETS), stages=STAGES, callback=callback, callback_every=2)


@pytest.fixture
def on_device(monkeypatch: pytest.MonkeyPatch):
    """Let array-api-strict's device1 pass for a GPU, and note how much is brought to the host."""
    moved: list[int] = []
    original = namespace.to_numpy

    def counting(x):
        result = original(x)
        if result is not x:
            moved.append(result.size)
        return result

    monkeypatch.setattr(namespace, "is_cupy", lambda xp: xp is array_api_strict)
    monkeypatch.setattr(namespace, "to_numpy", counting)
    host = device.HostDevice()
    with loader.running_on(host):
        yield host, moved, lambda a: array_api_strict.asarray(a, device=array_api_strict.Device("device1"))


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(3, 66))[rng.integers(0, 3, 90)] + 0.3 * rng.normal(size=(90, 66))).astype("f4")


def test_from_features_to_layout_on_the_device(on_device, x: np.ndarray) -> None:
    host, moved, put = on_device
    seen: list = []
    layout(put(x), [])  # tensor cores are tried
    moved.clear()
    result = layout(put(x), seen)
    assert {"shortlist_tensor", "solve_rows", "sort_rows", "relax_graphs"} <= set(host.launches)
    assert result.device == put(x).device
    assert sum(moved) == 0  # nothing but scalars comes to the host
    assert [sweep for sweep, _ in seen] == [2, 3]
    wanted = layout(x)
    np.testing.assert_allclose(result._array, wanted, atol=1e-3 * np.abs(wanted).max())


def test_constant_rows_are_named_as_on_the_cpu(on_device, x: np.ndarray) -> None:
    x[[4, 47]] = 3
    messages = []
    for given in (on_device[2](x), x):
        with pytest.raises(StageError, match="neighbors: rows 4, 47 of x are constant") as error:
            nearest_neighbors(given, 9, offsets=OFFSETS)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_more_neighbours_than_the_kernels_hold_are_refused(on_device, x: np.ndarray) -> None:
    with pytest.raises(StageError, match="k is 70 and the search on a GPU goes to 64"):
        nearest_neighbors(on_device[2](x), 70)
