"""Fits of Gaussian columns on a GPU, for all images of a batch at once: launches ``kernels/refine.cu``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from motifgpu.core import fitting, namespace
from motifgpu.core.lockstep import together
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.core.rows import gathered, parts
from motifgpu.cuda import loader

STAGE = "refine"
THREADS = 256
CONSTANTS: dict[str, int | str] = {
    "THREADS": THREADS,
    "SIDE": 2 * fitting.REACH + 1,
    **{
        name: repr(getattr(fitting, name))
        for name in ("NARROWEST", "WIDEST", "LONGEST", "LEAST", "LEAST_SQUARE")
    },
}


def fit(
    image: Array,
    points: np.ndarray,
    heights: np.ndarray,
    sigma: Any,
    known: Array | None,
    steps: int,
    tether: float,
) -> tuple[np.ndarray, np.ndarray, Any]:
    """Fit position, height, local level and the common width as `motifgpu.cpu.refine.fit`, which see."""
    found: tuple[np.ndarray, np.ndarray, Any] = _fit(image, known, steps, (points, heights, sigma), tether)
    return found


def measure(
    image: Array, points: np.ndarray, heights: np.ndarray, sigma: Any, known: Array | None, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit heights and local levels alone as `motifgpu.cpu.refine.measure`, which see."""
    found: tuple[np.ndarray, np.ndarray] = _measure(image, known, steps, (points, heights, sigma))
    return found


def draw(image: Array, points: np.ndarray, heights: np.ndarray, sigma: Any) -> Array:
    """Return columns drawn together as `motifgpu.cpu.refine.draw`, the same bits in whichever order."""
    return _draw(image, (points, heights, sigma))


class _Stack:
    """Columns of several images on the device, as the kernels take them."""

    def __init__(
        self,
        images: Sequence[Array],
        known: Sequence[Array | None],
        columns: Sequence[Any],
        further: Any = (),
    ) -> None:
        self.images = gathered(images)
        self.xp = namespace.array_namespace(self.images)
        self.known = None if known[0] is None else gathered(known)
        self.dtype = self.images.dtype
        self.images = loader.dense(self.images, self.dtype)
        self.limits = np.cumsum([0, *(len(points) for points, _, _ in columns)])
        self.n, self.b = int(self.limits[-1]), len(columns)
        every = np.empty(3 * self.n + 2 * self.b)
        rows = every[: 3 * self.n].reshape(3, self.n)
        rows[:2] = np.concatenate([points for points, _, _ in columns]).T
        rows[2] = np.concatenate([heights for _, heights, _ in columns])
        every[3 * self.n : 3 * self.n + self.b] = [float(sigma) for _, _, sigma in columns]
        every[3 * self.n + self.b :] = further if len(further) else 0.0
        # One copy for all numbers, and one for where those of each image begin.
        self.there = namespace.from_numpy(every, self.images)
        self.columns = self.there[: 3 * self.n]
        self.sigmas, self.further = (
            self.there[3 * self.n + k * self.b : 3 * self.n + (k + 1) * self.b] for k in (0, 1)
        )
        self.offsets = namespace.from_numpy(self.limits.astype(np.int32), self.images)
        self.units = self.empty(self.images.shape, self.xp.uint64)
        self.shape = np.int32(self.n), *(np.int32(x) for x in self.images.shape[1:])

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.xp.empty(shape, dtype=dtype, device=namespace.device(self.images))

    def launch(self, name: str, *arguments: Any) -> None:
        size = self.images.shape[1] * self.images.shape[2]
        constants = CONSTANTS | {
            "KNOWN": int(self.known is not None),
            "VALUE": "double" if namespace.dtype_name(self.images) == "float64" else "float",
            "INDEX": loader.index_type(max(self.b * size, 6 * self.n, 7 * self.n)),
        }
        loader.kernel(STAGE, name, **constants)((self.b,), (THREADS,), (*arguments, *self.shape))

    def weighted(self) -> tuple[Array, Array, Array]:
        """Return images, weights, of which the kernels read none where all are 1, and offsets."""
        known = self.images if self.known is None else loader.dense(self.known, self.dtype)
        return self.images, known, self.offsets

    def of_images(self, values: np.ndarray) -> list[np.ndarray]:
        """Return values (..., n) by image, in the dtype of the images."""
        dtype = namespace.dtype_name(self.images)
        return [part.astype(dtype) for part in np.split(values, self.limits[1:-1], axis=-1)]


@together
def _fit(calls: Sequence[tuple[Any, ...]]) -> list[tuple[np.ndarray, np.ndarray, Any]]:
    images, known, steps, columns, tethers = zip(*calls, strict=True)
    stack = _Stack(images, known, columns, tethers)
    if stack.n:
        work = stack.empty((6, stack.n), stack.xp.float64)
        state = stack.columns, stack.sigmas, work, stack.units
        strength = np.float64(fitting.ridge(known[0])), np.int32(steps[0])
        stack.launch("fit_columns", *stack.weighted(), stack.further, *state, *strength)
    host = to_numpy(stack.there)
    fitted = stack.of_images(host[: 3 * stack.n].reshape(3, -1))
    sigmas = host[3 * stack.n : 3 * stack.n + stack.b]
    return [
        (np.ascontiguousarray(one[:2].T), one[2], sigma) for one, sigma in zip(fitted, sigmas, strict=True)
    ]


@together
def _measure(calls: Sequence[tuple[Any, ...]]) -> list[tuple[np.ndarray, np.ndarray]]:
    images, known, steps, columns = zip(*calls, strict=True)
    stack = _Stack(images, known, columns)
    result = stack.empty((2, stack.n), stack.xp.float64)
    if stack.n:
        work = stack.empty((4, stack.n), stack.xp.float64)
        state = stack.columns, stack.sigmas, work, stack.units, result[1, :]
        strength = np.float64(fitting.ridge(known[0])), np.int32(steps[0])
        stack.launch("measure_columns", *stack.weighted(), *state, *strength)
        result[0, :] = stack.columns[2 * stack.n :]
    return [(one[0], one[1]) for one in stack.of_images(to_numpy(result))]


@together
def _draw(calls: Sequence[tuple[Any, ...]]) -> Sequence[Array]:
    images, columns = zip(*calls, strict=True)
    stack = _Stack(images, [None] * len(images), columns)
    drawn = stack.empty(stack.images.shape, stack.dtype)
    stack.launch("draw_columns", stack.offsets, stack.columns, stack.sigmas, stack.units, drawn)
    return parts(drawn)
