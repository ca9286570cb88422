"""Devices, streams, events and the runtime of the stand-in: ``cupy.cuda`` without its memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any

from fake_cupy import counts

SHARED_BYTES = 227 * 1024  # that a block may have when asked for, of one H200
WITHOUT_ASKING = 48 * 1024
_state = threading.local()


class CUDARuntimeError(RuntimeError):
    """As of ``cupy.cuda.runtime``."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{message} (status {status})")
        self.status = status


class CUDADriverError(RuntimeError):
    """As of ``cupy.cuda.driver``."""


def count() -> int:
    """Return how many devices this process may use, as CUDA_VISIBLE_DEVICES says."""
    there = int(os.environ.get("FAKE_CUPY_DEVICES", "1"))
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is None:
        return there
    number = 0
    for name in given.split(","):  # what stands before the first entry that is no device
        if not name.strip().isdigit() or int(name) >= there:
            break
        number += 1
    return number


def current() -> int:
    """Return the number of the current device of this thread."""
    number: int = getattr(_state, "device", 0)
    return number


class Device:
    """As ``cupy.cuda.Device``: current inside a ``with`` block."""

    def __init__(self, device: Any = None) -> None:
        self.id = current() if device is None else int(device)
        if not 0 <= self.id < count():
            raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")
        self._before: list[int] = []

    def __int__(self) -> int:
        return self.id

    def __enter__(self) -> Device:
        self._before.append(current())
        _state.device = self.id
        return self

    def __exit__(self, *error: Any) -> None:
        _state.device = self._before.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    def use(self) -> None:
        _state.device = self.id

    def synchronize(self) -> None:
        counts.wait()

    @property
    def mem_info(self) -> tuple[int, int]:
        from fake_cupy import memory

        return memory.TOTAL - memory.pool(self.id).used_bytes(), memory.TOTAL

    @property
    def compute_capability(self) -> str:
        return "90"


class Event:
    """As ``cupy.cuda.Event``: everything is done when it is recorded."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._timed, self._at = not disable_timing, None

    @property
    def done(self) -> bool:
        return True

    def record(self, stream: Stream | None = None) -> None:
        self._at = time.perf_counter()

    def synchronize(self) -> None:
        counts.wait()


def get_elapsed_time(start: Event, stop: Event) -> float:
    """Return milliseconds between two events."""
    if not start._timed or not stop._timed or start._at is None or stop._at is None:
        raise CUDARuntimeError(400, "cudaErrorInvalidResourceHandle: an event without a time")
    return 1e3 * (stop._at - start._at)


class Graph:
    """As ``cupy.cuda.graph.Graph``: launches that were recorded."""

    def __init__(self, launches: list[Callable[[], None]]) -> None:
        self._launches = launches

    def launch(self, stream: Stream | None = None) -> None:
        counts.kernel("graph")
        for launch in self._launches:
            launch()


class Stream:
    """As ``cupy.cuda.Stream``: everything runs at once and in order."""

    null: Stream

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self._before: list[Stream] = []
        self.captured: list[Callable[[], None]] | None = None  # launches, while they are recorded

    def __enter__(self) -> Stream:
        self._before.append(get_current_stream())
        return self.use()

    def __exit__(self, *error: Any) -> None:
        _state.stream = self._before.pop()

    def use(self) -> Stream:
        _state.stream = self
        return self

    @property
    def done(self) -> bool:
        return True

    def synchronize(self) -> None:
        counts.wait()

    def begin_capture(self, mode: int | None = None) -> None:
        if self is Stream.null:
            raise CUDARuntimeError(900, "cudaErrorStreamCaptureUnsupported: the null stream")
        self.captured = []

    def end_capture(self) -> Graph:
        if self.captured is None:
            raise CUDARuntimeError(901, "cudaErrorStreamCaptureInvalidated: no capture was begun")
        graph, self.captured = Graph(self.captured), None
        return graph

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        if event._at is None:
            raise ValueError("the event was never recorded")


Stream.null = Stream(null=True)


def get_current_stream(device_id: int = -1) -> Stream:
    """Return the current stream of this thread."""
    stream: Stream = getattr(_state, "stream", Stream.null)
    return stream


def properties(number: int) -> dict[str, Any]:
    """Return what ``getDeviceProperties`` says of a device."""
    if not 0 <= number < count():
        raise CUDARuntimeError(101, "cudaErrorInvalidDevice: invalid device ordinal")
    from fake_cupy import memory

    return {
        "name": b"stand-in",
        "sharedMemPerBlock": WITHOUT_ASKING,
        "sharedMemPerBlockOptin": SHARED_BYTES,
        "multiProcessorCount": 132,
        "totalGlobalMem": memory.TOTAL,
        "major": 9,
        "minor": 0,
    }
