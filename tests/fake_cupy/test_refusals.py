"""What CuPy refuses, the stand-in refuses."""

from __future__ import annotations

import threading

import cupy
import cupyx
import numpy as np
import pytest
from cupyx.scipy import ndimage

from fake_cupy import counts, memory, surface
from motifgpu.core import device, namespace

pytestmark = pytest.mark.gpu
HOST = np.arange(6.0)
OLD = surface.VERSION.startswith("13.")


@pytest.fixture
def x() -> cupy.ndarray:
    return cupy.asarray(HOST)


@pytest.mark.parametrize(
    "convert",
    [
        np.asarray,
        np.sum,
        lambda x: np.concatenate([x, HOST]),
        lambda x: HOST + x,
        lambda x: x * HOST,
        lambda x: cupy.sum(HOST),
        lambda x: cupy.where(x > 1, HOST, x),
        lambda x: cupy.concatenate([x, HOST]),
        lambda x: x.__setitem__(slice(0, 6), HOST),
        lambda x: cupy.maximum(x, [1, 2, 3, 4, 5, 6]),
        lambda x: cupy.repeat(x, cupy.arange(6)),
        lambda x: ndimage.gaussian_filter(HOST, 1.0),
        lambda x: cupy.random.default_rng(0).poisson(HOST),
    ],
)
def test_arrays_of_the_host_are_refused(x: cupy.ndarray, convert) -> None:
    if convert is np.sum:  # NumPy hands it on
        assert isinstance(convert(x), cupy.ndarray)
    else:
        with pytest.raises((TypeError, ValueError)):
            convert(x)


def test_what_the_old_one_lacks_is_missing(x: cupy.ndarray) -> None:
    square = x.reshape(2, 3)
    if OLD:
        with pytest.raises(AttributeError, match="mT"):
            square.mT  # noqa: B018
        with pytest.raises(TypeError, match="kind"):
            x.sort(kind="stable")
    else:
        assert square.mT.shape == (3, 2)
    assert hasattr(cupy, "matrix_transpose") != OLD
    with pytest.raises(AttributeError, match=r"has no attribute 'permutation'"):
        cupy.random.default_rng(0).permutation(3)
    with pytest.raises(AttributeError, match="does not have it yet"):
        cupy.ElementwiseKernel  # noqa: B018
    with pytest.raises(TypeError, match="where"):
        cupy.add(x, 1, where=x > 1)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        cupy.quantile(x, 0.5, weights=x)


def test_memory_is_limited_and_given_back(x: cupy.ndarray) -> None:
    pool = cupy.get_default_memory_pool()
    before = pool.used_bytes()
    big = cupy.zeros(10_000)
    view = big[5:].reshape(5, -1)
    assert pool.used_bytes() == before + 80_384  # in units of 512 bytes, views for nothing
    pool.set_limit(before + 100_000)
    try:
        with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="Out of memory allocating 80,384 bytes"):
            big + 1
        del big
        assert pool.used_bytes() == before + 80_384
        del view
        assert pool.used_bytes() == before
        cupy.zeros(10_000)
    finally:
        pool.set_limit(0)
    assert cupy.isnan(cupy.empty(3)).all()


def test_a_device_does_not_take_arrays_of_another(x: cupy.ndarray) -> None:
    if cupy.cuda.runtime.getDeviceCount() < 2:
        with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="invalid device ordinal"):
            cupy.cuda.Device(1)
        return
    with cupy.cuda.Device(1):
        there = cupy.arange(3)
        assert there.device == cupy.cuda.Device(1)
        with pytest.raises(ValueError, match="array device = 0 while current = 1"):
            x + 1
        seen: list[int] = []
        other = threading.Thread(target=lambda: seen.append(cupy.cuda.runtime.getDevice()))
        other.start()
        other.join()
        assert seen == [0]  # a thread begins with the first
    with pytest.raises(ValueError, match="array device = 1 while current = 0"):
        cupy.sum(there)
    assert memory.pool(1) is not memory.pool(0)


KERNEL = 'extern "C" __global__ void one(int* x) { x[blockIdx.x] = 1; }'


@pytest.mark.parametrize(
    ("grid", "block", "shared"),
    [((0,), (1,), 0), ((1, 65536), (1,), 0), ((1,), (2048,), 0), ((1,), (1,), 49153)],
)
def test_launches_that_a_gpu_refuses(grid, block, shared) -> None:
    kernel = cupy.RawKernel(KERNEL, "one")
    with pytest.raises(RuntimeError, match="CUDA_ERROR_INVALID_VALUE"):
        kernel(grid, block, (cupy.zeros(2, cupy.int32),), shared_mem=shared)


def test_shared_memory_is_that_of_the_function_and_not_of_the_object() -> None:
    x = cupy.zeros(1, cupy.int32)
    first, second = (cupy.RawModule(code=KERNEL).get_function("one") for _ in range(2))
    first.max_dynamic_shared_size_bytes = 100_000
    second((1,), (1,), (x,), shared_mem=90_000)
    second.max_dynamic_shared_size_bytes = 60_000
    with pytest.raises(RuntimeError, match="90000 bytes for one"):
        first((1,), (1,), (x,), shared_mem=90_000)
    # So our own launcher asks once, for all there is.
    second.max_dynamic_shared_size_bytes = 49_152
    launch = device.cuda_device().compile(KERNEL, "one")
    for size in (100_000, 50_000, 200_000):
        launch((1,), (1,), (x,), size)


def test_recorded_launches_run_when_the_graph_does() -> None:
    x = cupy.zeros(2, cupy.int32)
    launch = device.cuda_device().compile(KERNEL, "one")
    again = device.cuda_device().recorded(lambda: [launch((n,), (1,), (x,)) for n in (1, 2)])
    assert x.get().tolist() == [0, 0]
    again()
    assert x.get().tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="StreamCaptureUnsupported"):
        cupy.cuda.Stream.null.begin_capture()


def test_streams_events_and_pinned_memory(x: cupy.ndarray) -> None:
    pinned = cupyx.zeros_pinned(6)
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        assert cupy.cuda.get_current_stream() is stream
        x.get(stream=stream, out=pinned, blocking=False)
        done = stream.record()
    cupy.cuda.Stream.null.wait_event(done)
    np.testing.assert_array_equal(pinned, HOST)
    start, stop = cupy.cuda.Event(), cupy.cuda.Event()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError):
        cupy.cuda.get_elapsed_time(start, stop)
    start.record()
    stop.record()
    assert cupy.cuda.get_elapsed_time(start, stop) >= 0
    with pytest.raises(ValueError, match="Shape mismatch"):
        x.get(out=np.zeros(5))


def test_what_is_asked_for_is_counted_by_line(x: cupy.ndarray) -> None:
    with counts.counted() as seen:
        y = x + 1
        assert bool(y[0] == 1)
        mask = y > 3
        y[mask]
        cupy.asarray(np.zeros(10, np.float32))
        y.get()
    assert sum(seen.launches.values()) == 1 + 1 + 1 + 3
    assert sum(seen.waits.values()) == 3
    assert sum(seen.up.values()) == 40
    assert sum(seen.down.values()) == 48 + 1
    assert all(line.startswith("tests/fake_cupy/test_refusals.py:") for line in seen.launches)
    assert "tests/fake_cupy/test_refusals.py" in seen.table()


def test_our_sums_do_not_depend_on_an_order_and_clip_does_not_wait(x: cupy.ndarray) -> None:
    rng = np.random.default_rng(0)
    index, weights = rng.integers(0, 50, 20_000), rng.normal(size=20_000) ** 3
    there = cupy.asarray(index), cupy.asarray(weights)
    own = [cupy.bincount(there[0], there[1], 50).get() for _ in range(2)]
    assert (own[0] != own[1]).any()  # atomic additions: a GPU's order is another one each time
    with counts.counted() as seen:
        sums = [namespace.bincount(*there, 50) for _ in range(2)]
        number = namespace.bincount(there[0], None, 50)
        clipped = namespace.array_namespace(x).clip(x, min=1.5, max=3.0)
    assert not seen.waits
    np.testing.assert_array_equal(*(each.get() for each in sums))
    np.testing.assert_allclose(sums[0].get(), np.bincount(index, weights, 50), atol=1e-7)
    single = namespace.bincount(there[0], there[1].astype(cupy.float32), 50)
    assert single.dtype == cupy.float32
    np.testing.assert_array_equal(number.get(), np.bincount(index, minlength=50))
    np.testing.assert_array_equal(clipped.get(), np.clip(HOST, 1.5, 3.0))
    for nothing in (cupy.zeros(20_000, cupy.float32), cupy.zeros(0, cupy.float32)):
        assert not namespace.bincount(there[0][: nothing.size], nothing, 50).get().any()
