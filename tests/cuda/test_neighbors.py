"""The launcher and the kernels of the neighbour search, run on the CPU, against float64."""

from __future__ import annotations

from itertools import pairwise

import array_api_strict
import numpy as np
import pytest
from host_cuda import device, faults, sanitizers

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.cuda import loader, neighbors

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))


def clouds(counts, dimensions: int = 66, spread: float = 0.1, seed: int = 0, dtype=np.float32) -> tuple:
    """Rows around four centres, one set of them for each graph, and the offsets of the graphs."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    centres = rng.normal(size=(4, dimensions))
    rows = centres[rng.integers(0, 4, offsets[-1])] + spread * rng.normal(size=(offsets[-1], dimensions))
    return rows.astype(dtype), offsets


def exact(x: np.ndarray, k: int, offsets: np.ndarray, unit: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Every distance in float64, nearest first, ties by index."""
    indices, distances = [], []
    for start, stop in pairwise(offsets):
        rows = x[start:stop].astype(np.float64)
        if unit:
            rows -= rows.mean(1, keepdims=True)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        d = 0.5 * ((rows[:, None] - rows[None]) ** 2).sum(-1)
        np.fill_diagonal(d, np.inf)
        order = np.argsort(d, axis=1, kind="stable")[:, :k]
        indices.append(order + start)
        distances.append(np.take_along_axis(d, order, 1))
    return np.concatenate(indices), np.concatenate(distances)


@pytest.fixture(autouse=True, params=[True, False], ids=["tensor", "float32"])
def tensor_cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run every test on a device that has tensor cores and on one that has none."""
    monkeypatch.setattr(device.HostDevice, "tensor_cores", request.param)
    return request.param


def search(x, k: int, offsets, schedule: int = 0, unit: bool = True, memory: int = neighbors.MEMORY):
    host = device.HostDevice(schedule=schedule)
    with pytest.MonkeyPatch.context() as patch, loader.running_on(host):
        patch.setattr(neighbors, "MEMORY", memory)
        indices, distances = neighbors.nearest(x, k, offsets, unit)
    return indices, distances, host.launches


def passes(launches: list[str]) -> list[str]:
    """Return in which forms a search went over rows."""
    return [name for name in launches if name.startswith("shortlist")]


def agrees(x: np.ndarray, k: int, offsets: np.ndarray, unit: bool = True) -> list[str]:
    """Assert that a search finds what float64 finds, and return in which forms it went over rows."""
    indices, distances, launches = search(x, k, offsets, unit=unit)
    wanted, wanted_distances = exact(x, k, offsets, unit)
    assert indices.dtype == np.int32
    assert distances.dtype == np.float32
    assert (np.sort(indices, 1)[:, 1:] != np.sort(indices, 1)[:, :-1]).all()
    # the unit rows are float32: a distance d is known to about 1e-7 sqrt(d)
    allowed = 1e-5 * wanted_distances + 1e-7 * np.sqrt(wanted_distances)
    assert (np.abs(distances - wanted_distances) < allowed).all()
    different = indices != wanted
    assert different.mean() < 0.003
    return passes(launches)


@pytest.fixture
def first(tensor_cores: bool) -> str:
    """Return the kernel that goes over all rows."""
    return "shortlist_tensor" if tensor_cores else "shortlist"


def test_equals_float64_for_sizes_around_a_tile(first: str) -> None:
    x, offsets = clouds([10, 33, 127, 128, 129, 260])
    assert agrees(x, 9, offsets)[-1] == first


def test_many_neighbours_few_values_and_float64() -> None:
    x, offsets = clouds([65, 150], dimensions=10, spread=0.5, dtype=np.float64)
    agrees(x, 64, offsets)


@pytest.mark.parametrize("spread", [1e-2, 0.1, 1.0])
def test_rows_as_they_are(spread: float) -> None:
    x, offsets = clouds([33, 200], spread=spread)
    x[3] = 0.5  # a constant row is one like others
    agrees(x / 4, 9, offsets, unit=False)


def test_tight_clusters_are_searched_again_by_difference(first: str) -> None:
    x, offsets = clouds([200], spread=1e-4, seed=1)
    agrees(x, 9, offsets)  # tensor cores are tried
    again = ["shortlist"] * 2 if first == "shortlist_tensor" else ["shortlist"]
    assert agrees(x, 9, offsets) == [first, *again]


def test_spread_clusters_are_proven_at_once(first: str) -> None:
    x, offsets = clouds([200], spread=1.0, seed=1)
    agrees(x, 9, offsets)
    assert agrees(x, 9, offsets) == [first]


@pytest.mark.parametrize("tensor_cores", [True], indirect=True)
def test_tiles_beyond_their_ball_are_left_out_and_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    rng, place = np.random.default_rng(3), np.arange(1024)
    kind = (place // 128 + place) % 8  # as many of each as a tile holds; rows 0, 128 ... are of unlike kinds
    x = rng.normal(size=(8, 8))[kind] + 0.02 * rng.normal(size=(1024, 8))
    x, offsets = x.astype(np.float32), np.array([0, 1024])
    monkeypatch.setitem(neighbors.CONSTANTS, "FEWEST", 2)
    monkeypatch.setattr(neighbors, "PIVOTS", 8)
    found = []
    for ordered, schedule in ((2**14, 0), (1000, 0), (1000, 5)):
        monkeypatch.setattr(neighbors, "ORDERED", ordered)
        with loader.running_on(device.HostDevice(schedule=schedule)):
            tried = neighbors._Search(x, 9, offsets, unit=False)
            tried.run(*neighbors.FORMS)
        found.append(tried)
    for tried in found[1:]:
        np.testing.assert_array_equal(tried.indices, found[0].indices)
        np.testing.assert_array_equal(tried.distances, found[0].distances)
    mixed, apart, again = (tried.visited.tolist() for tried in found)
    assert mixed == [8] * 8
    assert (
        apart == again == [3] * 8
    )  # thresholds are known from the second tile on, the third is on its way then


@pytest.mark.parametrize("tensor_cores", [True], indirect=True)
def test_tensor_cores_that_do_not_agree_are_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    x, offsets = clouds([150], dimensions=24)
    wanted = search(x, 9, offsets)
    compiled = device.HostDevice.compile

    def without_a_product(self, code: str, kernel: str):
        return compiled(self, code.replace("product < 3", "product < 1"), kernel)

    monkeypatch.setattr(device.HostDevice, "compile", without_a_product)
    monkeypatch.setattr(device.HostDevice, "name", "imprecise")
    found = search(x, 9, offsets)
    assert "the tensor cores of imprecise find other neighbours" in caplog.text
    np.testing.assert_array_equal(found[0], wanted[0])
    assert passes(search(x, 9, offsets)[2])[0] == "shortlist"


def test_duplicates_are_taken_in_the_order_of_their_index() -> None:
    x, offsets = clouds([170], seed=2)
    x[20:120:2] = x[20]  # fifty copies, more than a shortlist holds
    indices, distances, _ = search(x, 9, offsets)
    copies = np.arange(20, 120, 2)
    for row in copies:
        np.testing.assert_array_equal(indices[row], copies[copies != row][:9])
        np.testing.assert_array_equal(distances[row], 0)


def test_same_bits_in_any_order_of_threads_and_for_any_memory() -> None:
    x, offsets = clouds([40, 150], spread=1e-3, seed=3)
    reference = search(x, 9, offsets)
    orders = ((schedule, memory) for schedule in (1, 5) for memory in (neighbors.MEMORY, 1))
    for result in (search(x, 9, offsets, schedule, memory=memory) for schedule, memory in orders):
        np.testing.assert_array_equal(result[0], reference[0])
        np.testing.assert_array_equal(result[1], reference[1])


def test_same_bits_alone_and_in_a_batch() -> None:
    x, offsets = clouds([150, 12, 131], spread=1e-2, seed=4)
    together = search(x, 9, offsets)
    for start, stop in pairwise(offsets):
        alone = search(x[start:stop], 9, np.array([0, stop - start]))
        np.testing.assert_array_equal(alone[0] + start, together[0][start:stop])
        np.testing.assert_array_equal(alone[1], together[1][start:stop])


def test_wide_indices_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    x, offsets = clouds([140], spread=1e-3, seed=5)
    narrow = search(x, 9, offsets)
    monkeypatch.setattr(loader, "_WIDE", 1)
    wide = search(x, 9, offsets)
    np.testing.assert_array_equal(wide[0], narrow[0])
    np.testing.assert_array_equal(wide[1], narrow[1])


def test_arrays_of_another_namespace_stay_on_their_device() -> None:
    x, offsets = clouds([90], spread=1e-3)
    there = array_api_strict.Device("device1")
    strict = search(array_api_strict.asarray(x, device=there), 9, offsets)
    plain = search(x, 9, offsets)
    for mine, reference in zip(strict[:2], plain[:2], strict=True):
        assert mine.device == there
        np.testing.assert_array_equal(namespace.to_numpy(mine), reference)


def test_too_many_values_for_shared_memory_is_said_before_the_launch() -> None:
    x, offsets = clouds([20], dimensions=200)
    with (
        loader.running_on(device.HostDevice(shared_bytes=48 * 1024)),
        pytest.raises(
            StageError, match=r"neighbors: a search over 200 values per row needs .* give fewer values"
        ),
    ):
        neighbors.nearest(x, 9, offsets)


def sanitized_case() -> None:
    """Run in a child process: all forms, several graphs and groups, copies early and late."""
    x, offsets = clouds([10, 140], dimensions=24, spread=1e-4, seed=1)
    neighbors.tensor_cores_agree = lambda like, k: True  # trying them would take most of the time
    for schedule in (0, 1):
        search(x, 9, offsets, schedule, memory=1)
    print("finished")


@pytest.mark.slow
@pytest.mark.parametrize("tensor_cores", [True], indirect=True)
@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_nothing_for_the_sanitizers(sanitizer: str) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case")
    assert done.returncode == 0, done.stderr
    assert "finished" in done.stdout


def case_without_barrier(number: str) -> None:
    """Run in a child process: over 32 values per row, and only row 0 fills its buffer in the last tile."""
    rng = np.random.default_rng(0)
    first, last = rng.normal(size=(2, 40))
    x = 0.1 * rng.normal(size=(230, 40)) + first
    x[[0, *range(128, 230)]] += last - first
    x, offsets = x.astype(np.float32), np.array([0, 230])
    with faults.without_barrier("neighbors", int(number)):
        neighbors.tensor_cores_agree = lambda like, k: True
        for device.HostDevice.tensor_cores in (False, True):
            search(x, 9, offsets)


@pytest.mark.slow
@pytest.mark.parametrize("tensor_cores", [True], indirect=True)
@pytest.mark.parametrize("number", range(13))
def test_every_barrier_is_missed(number: int) -> None:
    assert len(faults.barriers("neighbors")) == 13
    done = sanitizers.run("thread", f"{__file__}:case_without_barrier", str(number))
    assert done.returncode == sanitizers.FOUND, done.stderr
    assert "data race" in done.stderr
