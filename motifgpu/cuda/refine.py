"""Fits of Gaussian columns on a GPU: launches ``kernels/refine.cu``."""

from __future__ import annotations

from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.cuda import loader

STAGE = "refine"
THREADS = 128
CONSTANTS: dict[str, int | str] = {"THREADS": THREADS}


class DeviceFit:
    """The windows of all columns, with the sums over their pixels that a fit needs.

    Parameters
    ----------
    image : (H, W) array on the device
        Of which the shape and the dtype are taken.
    points : (n, 2) array on the device
        Centres as (row, col), px.
    heights : (n,) array on the device
    sigma : () array on the device
        Standard deviation of all columns, px.
    known : (H, W) array on the device, or None
        Weight of each pixel.
    reach : int
        Half the side of a window, px.
    """

    def __init__(
        self, image: Array, points: Array, heights: Array, sigma: Array, known: Array | None, reach: int
    ) -> None:
        xp = self._xp = namespace.array_namespace(image)
        self._image, self._n = image, points.shape[0]
        self._points, self._heights = (loader.dense(x, image.dtype) for x in (points, heights))
        self._sigma = loader.dense(xp.reshape(xp.asarray(sigma), (1,)), xp.float64)
        # Without weights the kernels read none.
        self._known = self._points if known is None else loader.dense(known, image.dtype)
        size = image.shape[0] * image.shape[1]
        self._constants = CONSTANTS | {
            "SIDE": 2 * reach + 1,
            "KNOWN": int(known is not None),
            "VALUE": "double" if namespace.dtype_name(image) == "float64" else "float",
            "INDEX": loader.index_type(max(size, 4 * self._n, (2 * reach + 1) * self._n)),
        }
        self._shape = tuple(np.int32(x) for x in (self._n, *image.shape))

    def _launch(self, name: str, threads: int, *arguments: Any) -> None:
        kernel = loader.kernel(STAGE, name, **self._constants)
        kernel((-(-threads // THREADS),), (THREADS,), arguments)

    def _empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        return self._xp.empty(shape, dtype=dtype, device=namespace.device(self._image))

    def model(self, heights: Array) -> Array:
        """All columns drawn together: (H, W), the same bits in whichever order they are drawn."""
        xp, image = self._xp, self._empty(self._image.shape, self._image.dtype)
        units = xp.zeros(image.shape, dtype=xp.uint64, device=namespace.device(image))
        if self._n == 0:
            return xp.astype(units, image.dtype)
        heights = loader.dense(heights, image.dtype)
        scale = xp.max(xp.abs(heights), keepdims=True), np.int32(62 - self._n.bit_length())
        wide = np.int64 if self._constants["INDEX"] == "long long" else np.int32
        size = image.shape[0] * image.shape[1]
        columns = self._points, heights, self._sigma
        side = int(self._constants["SIDE"])
        self._launch("draw_columns", side * self._n, *columns, *scale, units, *self._shape)
        self._launch("to_image", size, units, *scale, image, wide(size))
        return image

    def height_and_level(self) -> Array:
        """Return sums (4, n): of the square by height, of both, by level, and of the first were all known."""
        sums = self._empty((4, self._n), self._xp.float64)
        given = self._points, self._sigma, self._known
        self._launch("height_and_level", self._n, *given, sums, *self._shape)
        return sums

    def project_heights(self, residual: Array) -> Array:
        """Return the inner products (2, n) of the residual (H, W) by height and by level."""
        sums = self._empty((2, self._n), self._xp.float64)
        given = self._points, self._sigma, loader.dense(residual, self._image.dtype), self._known
        self._launch("project_heights", self._n, *given, sums, *self._shape)
        return sums

    def step(self, residual: Array, ridge: float, tether: float, away: Array) -> tuple[Array, Array]:
        """Return a Gauss-Newton step (n, 4) of every column, and that (n,) of the logarithm of its width.

        The parameters are those of the step in `motifgpu.columns.refine`.
        """
        change, wider = (self._empty(shape, self._xp.float64) for shape in ((self._n, 4), (self._n,)))
        residual, away = (loader.dense(x, self._image.dtype) for x in (residual, away))
        given = self._points, self._heights, self._sigma, residual, self._known
        strength = np.float64(ridge), np.float64(tether)
        self._launch("step_columns", self._n, *given, *strength, away, change, wider, *self._shape)
        return change, wider
