"""The memory of the stand-in: what arrays hold of it, the limit of the pool, pinned memory."""

from __future__ import annotations

import math
import threading
import weakref
from typing import Any

import numpy as np

from fake_cupy import device

TOTAL = 8 * 2**30  # bytes of a device
_UNIT = 512  # bytes, that an allocation is rounded up to


class OutOfMemoryError(MemoryError):
    """As of ``cupy.cuda.memory``."""

    def __init__(self, size: int, total: int, limit: int) -> None:
        super().__init__(
            f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes, "
            f"limit set to: {limit:,} bytes)."
        )


class MemoryPool:
    """As ``cupy.cuda.MemoryPool``: counts what the arrays of a device hold. Freed memory is not kept."""

    def __init__(self) -> None:
        self._used, self._limit, self.peak = 0, 0, 0
        self._lock = threading.RLock()  # a garbage collection may free while memory is taken

    def used_bytes(self) -> int:
        return self._used

    def total_bytes(self) -> int:
        return self._used

    def free_bytes(self) -> int:
        return 0

    def n_free_blocks(self) -> int:
        return 0

    def free_all_blocks(self, stream: Any = None) -> None:
        pass

    def get_limit(self) -> int:
        return self._limit

    def set_limit(self, size: int | None = None, fraction: float | None = None) -> None:
        self._limit = int(fraction * TOTAL) if fraction is not None else int(size or 0)

    def take(self, size: int) -> None:
        with self._lock:
            limit = min(self._limit or TOTAL, TOTAL)
            if self._used + size > limit:
                raise OutOfMemoryError(size, self._used, limit)
            self._used += size
            self.peak = max(self.peak, self._used)

    def give_back(self, size: int) -> None:
        with self._lock:
            self._used -= size


_pools: dict[int, MemoryPool] = {}
_held: dict[int, weakref.ref[np.ndarray]] = {}


def pool(number: int | None = None) -> MemoryPool:
    """Return the pool of a device, the current one by default."""
    return _pools.setdefault(device.current() if number is None else number, MemoryPool())


def hold(host: np.ndarray, number: int) -> None:
    """Count the memory of an array, once for all of its views, until nothing uses it.

    Raises
    ------
    OutOfMemoryError
        If the pool may not take as much.
    """
    owner = host
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    key, size = id(owner), -(-owner.nbytes // _UNIT) * _UNIT
    if size == 0 or key in _held:
        return
    mine = pool(number)
    mine.take(size)

    def release(_: Any) -> None:
        _held.pop(key, None)
        mine.give_back(size)

    _held[key] = weakref.ref(owner, release)


def unwritten(shape: Any, dtype: Any, order: str = "C") -> np.ndarray:
    """Return memory that nobody wrote: NaN, or numbers that no one would want."""
    host = np.empty(shape, dtype, order)
    if host.dtype.kind in "fc":
        host.fill(np.nan)
    elif host.dtype.kind in "iu":
        host.fill(np.iinfo(host.dtype).max - 5)
    return host


class PinnedMemoryPointer(bytearray):
    """As ``cupy.cuda.PinnedMemoryPointer``: a buffer of the host."""

    def size(self) -> int:
        return len(self)


def alloc_pinned_memory(size: int) -> PinnedMemoryPointer:
    """As ``cupy.cuda.alloc_pinned_memory``."""
    return PinnedMemoryPointer(max(int(size), 1))


def empty_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """As ``cupyx.empty_pinned``."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    number = math.prod(shape)
    flat = np.frombuffer(alloc_pinned_memory(number * np.dtype(dtype).itemsize), dtype, number)
    return flat.reshape(shape, order=order)


def zeros_pinned(shape: Any, dtype: Any = float, order: str = "C") -> np.ndarray:
    """As ``cupyx.zeros_pinned``."""
    host = empty_pinned(shape, dtype, order)
    host[...] = 0
    return host
