"""Patches sampled from spline coefficients on a GPU: launches ``kernels/patches.cu``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.lockstep import together
from motifgpu.core.namespace import Array
from motifgpu.core.rows import gathered, parts
from motifgpu.core.sampling import TAPS, Sampling
from motifgpu.cuda import loader

STAGE = "patches"
THREADS = 256
GROUP = 4  # samples that a warp computes together
LARGEST_TILE = 64  # samples along a side of what one block computes
CONSTANTS = {"THREADS": THREADS, "TAPS": TAPS, "GROUP": GROUP}
# Pixels after which the impulse response of the prefilter is below the precision of a dtype.
REACH = {"float32": 24, "float64": 48}


@functools.lru_cache(maxsize=2)
def _impulse_response(reach: int) -> np.ndarray:
    """Return what turns values at pixels into coefficients of the quintic B-spline, (2 reach + 1,)."""
    frequency = 2 * np.pi * np.arange(4 * reach) / (4 * reach)
    spectrum = (66 + 52 * np.cos(frequency) + 2 * np.cos(2 * frequency)) / 120
    return np.fft.fftshift(np.fft.ifft(1 / spectrum).real)[reach : 3 * reach + 1]


def coefficients(image: Array) -> Array:
    """Return the coefficients (H, W) of the quintic B-spline through an image that its mirror continues.

    CuPy's recursion runs along a line with one thread, which waits for memory at every pixel. Here the
    impulse response is summed, which falls by 0.43 a pixel and is cut off where the dtype has no digits left.
    """
    filters = namespace.ndimage(namespace.array_namespace(image))
    response = namespace.as_like(_impulse_response(REACH[namespace.dtype_name(image)]), image)
    for axis in (0, 1):
        image = filters.correlate1d(image, response, axis=axis, mode="mirror")
    return image


class _Tables(NamedTuple):
    """What the samples of an axis read, the same along rows and columns, in tiles; all on the host.

    The tables of b samplings stand one after another.
    """

    tile: int
    span: int  # pixels that a group of samples meets
    reach: np.ndarray  # (b * tiles, width) int32: pixels of a tile, counted from the patch's
    slot: np.ndarray  # (b * tiles * tile,) int32: where a sample's taps begin among them
    phase: np.ndarray  # (b * tiles * tile,) float64

    def shared_bytes(self, itemsize: int) -> int:
        """Return what a block needs of shared memory."""
        groups = self.tile // GROUP
        width: int = self.reach.shape[1]
        values = GROUP * (2 * groups * self.span + width * (groups | 1)) + width * (width | 1)
        return values * itemsize + 2 * width * 4


def _tables(samplings: Sequence[Sampling], tile: int) -> _Tables:
    """Lay the samples of an axis out in tiles; those that fill the last one repeat the last sample."""
    size = samplings[0].size
    tile = min(tile, -(-size // GROUP) * GROUP)
    first_tap, phase = (
        np.pad(np.stack(each), ((0, 0), (0, -size % tile)), mode="edge")
        for each in zip(*((one.first_tap, one.phase) for one in samplings), strict=True)
    )
    lines = first_tap.reshape(-1, tile)
    pixels = [np.unique(line[:, None] + np.arange(TAPS)) for line in lines]
    slots = np.stack([np.searchsorted(own, line) for own, line in zip(pixels, lines, strict=True)])
    grouped = slots.reshape(-1, GROUP)
    span = int((grouped[:, -1] - grouped[:, 0]).max()) + TAPS
    width = max(*(own.size for own in pixels), int(grouped[:, 0].max()) + span)
    reach = np.stack([np.pad(own, (0, width - own.size), mode="edge") for own in pixels]) - 2
    return _Tables(tile, span, reach.astype(np.int32), slots.reshape(-1).astype(np.int32), phase.reshape(-1))


def sample(coefficients: Array, pixel: np.ndarray, fraction: np.ndarray, sampling: Sampling) -> Array:
    """Return patches of an image.

    Parameters
    ----------
    coefficients : (H, W) float32 or float64 array on the device
        Of the quintic B-spline that continues the image by its mirror image.
    pixel : (n, 2) integer ndarray
        Pixel at or before the first sample of every patch, (row, col).
    fraction : (n, 2) ndarray
        How far the first sample is beyond it, from 0 to 1, in the dtype of the coefficients.
    sampling : Sampling
        The samples of an axis.

    Returns
    -------
    (n, size, size) array of the dtype of the coefficients
        Within 2e-6 of the largest coefficient (float32) of the CPU's. A patch has the same bits whatever
        others are computed.
    """
    # Images of one batch have samples of one number, and each a distance of its own between them.
    return _sample(coefficients, sampling.size, (pixel, fraction, sampling.spacing))


@together
def _sample(calls: Sequence[tuple[Any, ...]]) -> Sequence[Array]:
    coefficients, (size, *_), given = zip(*calls, strict=True)
    stack = gathered(coefficients)
    xp, dtype, (count, height, length) = namespace.array_namespace(stack), stack.dtype, stack.shape
    limits = [0, *itertools.accumulate(len(pixel) for pixel, _, _ in given)]
    n = limits[-1]
    patches = xp.empty((n, size, size), dtype=dtype, device=namespace.device(stack))
    if n == 0:
        return parts(patches, limits)
    of_image = np.repeat(np.arange(count), np.diff(limits))
    pixel = np.column_stack([np.concatenate([pixel for pixel, _, _ in given]), of_image])
    fraction = np.concatenate([fraction for _, fraction, _ in given])
    samplings = [Sampling(size, spacing) for _, _, spacing in given]
    itemsize = 8 if namespace.dtype_name(stack) == "float64" else 4
    # At most half of the shared memory, so that one block computes while another reads.
    half = loader.current_device().shared_bytes // 2
    tile = LARGEST_TILE
    tables = _tables(samplings, tile)
    while tables.shared_bytes(itemsize) > half and tile > GROUP:
        tile //= 2
        tables = _tables(samplings, tile)
    shared = tables.shared_bytes(itemsize)
    loader.check_shared(STAGE, shared, "a tile of 4 samples", "give fewer samples")
    tiles, width = tables.reach.shape[0] // count, tables.reach.shape[1]
    launch = loader.kernel(
        STAGE,
        "sample_patches",
        **CONSTANTS,
        VALUE="double" if itemsize == 8 else "float",
        BLOCKS=2 if itemsize == 8 else 4,
        INDEX=loader.index_type(max(n * size * size, count * height * length)),
    )
    arguments = (
        loader.dense(stack, dtype),
        namespace.from_numpy(pixel.astype(np.int32), stack),
        namespace.as_like(fraction, stack),
        namespace.from_numpy(tables.reach, stack),
        namespace.from_numpy(tables.slot, stack),
        namespace.as_like(tables.phase, stack),
        patches,
        *(np.int32(value) for value in (height, length, size, tables.tile, tiles, tables.span, width)),
    )
    launch((n, tiles * tiles), (THREADS,), arguments, shared)
    return parts(patches, limits)
