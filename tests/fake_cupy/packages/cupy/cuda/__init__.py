"""Stands in for cupy.cuda, see ``fake_cupy``."""

from typing import Any

from fake_cupy import surface as _surface
from fake_cupy.device import Device as Device
from fake_cupy.device import Event as Event
from fake_cupy.device import Stream as Stream
from fake_cupy.device import current as get_device_id
from fake_cupy.device import get_current_stream as get_current_stream
from fake_cupy.device import get_elapsed_time as get_elapsed_time
from fake_cupy.memory import MemoryPool as MemoryPool
from fake_cupy.memory import PinnedMemoryPointer as PinnedMemoryPointer
from fake_cupy.memory import alloc_pinned_memory as alloc_pinned_memory

from cupy.cuda import device as device
from cupy.cuda import memory as memory
from cupy.cuda import nvrtc as nvrtc
from cupy.cuda import runtime as runtime

__all__ = ["Device", "Event", "MemoryPool", "PinnedMemoryPointer", "Stream", "get_device_id"]


def is_available() -> bool:
    """Say whether there is a device."""
    return runtime.getDeviceCount() > 0


def __getattr__(name: str) -> Any:
    raise _surface.missing("cupy.cuda", name)
