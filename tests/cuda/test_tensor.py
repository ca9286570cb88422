"""What the host models of tensor cores: products of 16-bit floats, and what feeds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from host_cuda import device, sanitizers

from motifgpu.cuda import loader

FIXTURES = Path(device.__file__).parent / "fixtures"
pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))
PLACES = {0: (4, 23), 1: (8, 24), 2: (16, 25)}  # by schedule: products added at a time, binary places kept


def product(a, b, start, *faults: str, schedule: int = 0) -> np.ndarray:
    """Return start + a b^T of 16 and 8 rows, from a kernel on the host."""
    a, b = (np.asarray(x, np.float16) for x in (a, b))
    depth = a.shape[1]
    code = loader.specialised("tensor", dict.fromkeys(faults, 1) | {"DEPTH": depth}, FIXTURES)
    launch = device.HostDevice(schedule=schedule).compile(code, "product")
    out = np.array(start, np.float32)
    launch((1,), (32,), (a.view(np.uint32), b.view(np.uint32), out), 24 * 2 * depth)
    return out


def literal(a, b, start, schedule: int) -> np.ndarray:
    """Add exact products in whole numbers of a grid that the largest term sets, as known GPUs do."""
    a, b = (np.asarray(x, np.float16).astype(float) for x in (a, b))
    group, places = PLACES[schedule]
    out = np.array(start, float)
    for k in range(0, a.shape[1], group):
        for i, j in np.ndindex(out.shape):
            terms = [out[i, j], *(a[i, k : k + group] * b[j, k : k + group])]
            largest = max(map(abs, terms))
            if largest == 0:
                continue
            grid = 2.0 ** (np.floor(np.log2(largest)) - places)
            exact = sum(int(term / grid) for term in terms) * grid
            near = np.float32(exact)
            out[i, j] = np.nextafter(near, np.float32(0)) if abs(float(near)) > abs(exact) else near
    return out


@pytest.mark.parametrize("schedule", PLACES)
@pytest.mark.parametrize("depth", [8, 16, 40])
def test_product_is_that_of_the_literal_rule_and_close_to_the_exact_one(schedule: int, depth: int) -> None:
    rng = np.random.default_rng(depth)
    sizes = 2.0 ** rng.integers(-20, 4, (24, depth))
    a, b = np.split(np.float16(rng.normal(size=(24, depth)) * sizes), [16])
    start = rng.normal(size=(16, 8)).astype(np.float32)
    found = product(a, b, start, schedule=schedule)
    np.testing.assert_array_equal(found, literal(a, b, start, schedule))
    norms = np.linalg.norm(a.astype(float), axis=1)[:, None] * np.linalg.norm(b.astype(float), axis=1)
    bound = 24 * -(-depth // 16) * 2.0**-23 * (norms + np.abs(start))
    assert (np.abs(found - (start + a.astype(float) @ b.astype(float).T)) < bound).all()


def test_whole_numbers_are_exact_and_in_their_places() -> None:
    a, b = np.arange(16 * 24).reshape(16, 24) % 37, np.arange(8 * 24).reshape(8, 24) % 29
    start = np.arange(128).reshape(16, 8)
    np.testing.assert_array_equal(product(a, b, start), start + a @ b.T)


@pytest.mark.parametrize(("schedule", "kept"), [(0, 0), (1, 3 * 2**-23), (2, 3 * 2**-23)])
def test_sums_are_cut_off_and_not_rounded(schedule: int, kept: float) -> None:
    a = np.zeros((16, 16))
    a[:, 0], a[:, 1:8] = 1.0, 2.0**-24  # 1 + 3.5 of the last places of a float32
    found = product(a, np.ones((8, 16)), np.zeros((16, 8)), schedule=schedule)
    assert (found == 1 + kept).all()


def test_least_floats_are_not_flushed() -> None:
    a, b = np.full((16, 8), 2.0**-24), np.full((8, 8), 2.0**-24)
    np.testing.assert_array_equal(product(a, b, np.zeros((16, 8))), np.full((16, 8), 2.0**-45))


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("FAULT_COPY", "cp.async: thread 5 gives an address that is not on 16 bytes"),
        ("FAULT_ROW", "ldmatrix: thread 7 gives an address that is not on 16 bytes"),
    ],
)
def test_addresses_that_are_not_aligned_are_reported(fault: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=reason):
        product(np.ones((16, 8)), np.ones((8, 8)), np.zeros((16, 8)), fault)


def test_copy_that_is_not_waited_for_has_not_come() -> None:
    ones = np.ones((16, 8)), np.ones((8, 8)), np.zeros((16, 8))
    assert (product(*ones) == 8).all()
    assert np.isnan(product(*ones, "FAULT_NO_WAIT")).all()


def sanitized_case(*faults: str) -> None:
    """Run in a child process."""
    for schedule in (0, 1):
        product(np.ones((16, 24)), np.ones((8, 24)), np.zeros((16, 8)), *faults, schedule=schedule)
    print("finished")


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["", "FAULT_NO_BARRIER"])
def test_matrix_instructions_order_no_memory(fault: str) -> None:
    done = sanitizers.run("thread", f"{__file__}:sanitized_case", *filter(None, [fault]))
    assert ("data race" in done.stderr) == bool(fault), done.stderr
    assert done.returncode == (sanitizers.FOUND if fault else 0), done.stderr
