"""Tasks in step are asked for together, and arrays of theirs are what they are alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat.numpy as library
import numpy as np
import pytest

from motifgpu.core import lockstep, namespace, rows
from motifgpu.core.lockstep import together

CALLS: list[list[int]] = []


@together
def doubled(calls: Sequence[tuple[int]]) -> list[int]:
    CALLS.append([int(value) for (value,) in calls])
    return [2 * value for (value,) in calls]


@pytest.fixture(autouse=True)
def none_before() -> None:
    CALLS.clear()


def test_a_question_of_all_is_asked_once() -> None:
    assert lockstep.run([lambda k=k: doubled(float(k)) + 1 for k in range(4)]) == [1, 3, 5, 7]
    assert CALLS == [[0, 1, 2, 3]]
    assert doubled(5.0) == 10  # alone
    assert CALLS[1:] == [[5]]


def test_tasks_that_part_meet_again() -> None:
    def task(k: int) -> int:
        for _ in range(k):
            doubled(float(k))
        if k == 2:
            doubled(-1.0)
        return int(doubled(float(10 + k)))

    assert lockstep.run([lambda k=k: task(k) for k in range(3)]) == [20, 22, 24]
    assert CALLS == [[1, 2], [2], [-1], [10, 11, 12]]


def test_what_one_raises_is_its_own_and_others_go_on() -> None:
    @together
    def refused(calls: Sequence[tuple[float]]) -> list[float]:
        if any(value == 1 for (value,) in calls):
            raise ValueError("one")
        return [value for (value,) in calls]

    def task(k: int) -> Any:
        try:
            return refused(float(k))
        except ValueError as error:
            return error

    first, second, third = lockstep.run([lambda k=k: task(k) for k in range(3)])
    assert (first, third) == (0.0, 2.0)
    assert isinstance(second, ValueError)
    with pytest.raises(ValueError, match="one"):
        lockstep.run([lambda k=k: refused(float(k)) for k in range(3)])
    assert not [thread for thread in threading.enumerate() if thread.name == "motifgpu-step"]


IMAGES = [np.random.default_rng(k).normal(size=(6, 8)).astype(np.float32) for k in range(3)]


def in_step(function: Callable[[Any, int], Any]) -> list[np.ndarray]:
    def task(k: int) -> np.ndarray:
        return namespace.to_numpy(function(rows.upload(IMAGES[k], library), k))

    return lockstep.run([lambda k=k: task(k) for k in range(3)])


CASES: dict[str, Callable[[Any, Any, int], Any]] = {
    "numbers": lambda xp, x, k: (x * (k + 0.5) - 1) / 2 + x[1:2, :] ** 2,
    "no dimensions": lambda xp, x, k: x - xp.mean(x) + xp.sum(x, axis=0),
    "compared": lambda xp, x, k: xp.where((x > 0.1 * k) & (x < 1.0), x, -x),
    "of a side": lambda xp, x, k: x + namespace.as_like(np.arange(8.0) * k, x),
    "sorted": lambda xp, x, k: xp.sort(xp.reshape(x, (-1,)))[3:9],
    "taken": lambda xp, x, k: xp.take(x, namespace.from_numpy(np.array([k, 0, 5 - k]), x), axis=0),
    "of columns": lambda xp, x, k: xp.take(x, namespace.from_numpy(np.array([k, 7]), x), axis=1),
    "joined": lambda xp, x, k: xp.concat([x[:2, :], xp.flip(x, axis=1)], axis=0),
    "layers": lambda xp, x, k: xp.sum(xp.stack([x, 2 * x, xp.ones_like(x)]), axis=(0, 2)),
    "products": lambda xp, x, k: x @ x.T @ x[:, 0] + xp.matmul(x[0, :], xp.permute_dims(x, (1, 0))),
    "transform": lambda xp, x, k: xp.real(
        namespace.fft(xp).irfftn(namespace.fft(xp).rfftn(x, axes=(0, 1)) * 2)
    ),
    "largest": lambda xp, x, k: (
        xp.astype(xp.any(x > 2, axis=1), xp.float32) + xp.max(x, axis=1) + xp.argmax(x)
    ),
    "counted": lambda xp, x, k: namespace.bincount(xp.astype(x > 0, xp.int64)[0, :], x[0, :], 2),
    "where": lambda xp, x, k: xp.take(x[0, :], xp.nonzero(x[0, :] > 0)[0]),
    "median": lambda xp, x, k: namespace.upper_median(x[:, 0], x[:, 0] < 10),
    "filtered": lambda xp, x, k: namespace.ndimage(xp).gaussian_filter(x, 1.2 + k, mode="mirror"),
}


@pytest.mark.parametrize("name", CASES)
def test_arrays_are_what_they_are_alone(name: str) -> None:
    case = CASES[name]
    found = in_step(lambda x, k: case(namespace.array_namespace(x), x, k))
    for k, image in enumerate(IMAGES):
        alone = case(namespace.array_namespace(image), image, k)
        np.testing.assert_allclose(found[k], alone, rtol=2e-6, atol=2e-6)
        assert found[k].dtype == alone.dtype


def test_arrays_of_several_lengths_are_computed_row_by_row_at_once() -> None:
    def task(k: int) -> np.ndarray:
        x = namespace.from_numpy(IMAGES[k][: k + 1], rows.upload(IMAGES[k], library))
        return namespace.to_numpy(rows.piecewise(lambda y: 3 * y, x))

    found = lockstep.run([lambda k=k: task(k) for k in range(3)])
    for k, one in enumerate(found):
        np.testing.assert_array_equal(one, 3 * IMAGES[k][: k + 1])


def test_values_are_put_into_the_array_of_one_task() -> None:
    def put(x: Any, k: int) -> Any:
        made = namespace.array_namespace(x).zeros((2, 8), dtype=np.float32)
        made[k % 2 : k % 2 + 1, :] = x[k : k + 1, :]
        return made

    for k, one in enumerate(in_step(put)):
        np.testing.assert_array_equal(one[k % 2], IMAGES[k][k])
        assert not one[1 - k % 2].any()


def test_results_hold_no_rows() -> None:
    def pair(x: Any, k: int) -> Any:
        return x

    [row, *_] = lockstep.run([lambda k=k: pair(rows.upload(IMAGES[k], library), k) for k in range(3)])
    assert isinstance(row, rows.Row)
    np.testing.assert_array_equal(rows.settled((row, 1))[0], IMAGES[0])
