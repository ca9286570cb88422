"""A stand-in for a GPU: kernels compiled by g++, launched on arrays in host memory."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

HEADER = Path(__file__).with_name("cuda_on_host.h")
FLAGS = [
    *("-std=c++17", "-fPIC", "-shared", "-fvisibility=default", "-fno-gnu-unique"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Wno-unused-parameter"),
    "-ffp-contract=off",  # as the kernels are compiled for a GPU
]
_LINES = ["-O1", "-g"]  # reports name lines; a few plain launches do not earn back what -O1 takes to compile
SANITIZERS = {
    "": [],
    "address": [*_LINES, "-fsanitize=address", "-fsanitize-sections=cuda_shared"],
    "undefined": [*_LINES, "-fsanitize=undefined", "-fno-sanitize-recover=undefined", "-static-libubsan"],
    "thread": [*_LINES, "-fsanitize=thread"],
}
KERNEL = re.compile(r"__global__\s+void\s+(?:__launch_bounds__\s*\(([^)]*)\)\s*)?(\w+)\s*\(")
UNBOUND = "256"  # threads, at up to 255 of 65,536 registers each, of a kernel that has no launch bounds
COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def missing() -> str | None:
    """Say why kernels cannot run on this machine's CPU, or return None."""
    return None if shutil.which("g++") else "g++ is not installed"


def active_kernels(code: str, flags: list[str]) -> dict[str, str]:
    """Return the kernels that are left in `code` after preprocessing, and the launch bounds of each."""
    done = subprocess.run(
        ["g++", "-E", "-P", "-x", "c++", "-D__global__=__global__", *flags, "-"],
        input=code.encode(),
        capture_output=True,
        check=True,
    )
    found = KERNEL.findall(COMMENT.sub("", done.stdout.decode()))
    return {name: bounds or UNBOUND for bounds, name in found}


@functools.cache
def library(code: str, sanitizer: str) -> ctypes.CDLL:
    """Compile `code` and load it; what was compiled before is kept in the temporary folder."""
    flags = [*FLAGS, *SANITIZERS[sanitizer]]
    key = hashlib.sha256(repr((code, flags)).encode() + HEADER.read_bytes()).hexdigest()[:24]
    folder = Path(tempfile.gettempdir()) / f"motifgpu-host-cuda-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"{key}.so"
    if not target.exists():
        kernels = active_kernels(code, ["-std=c++17"])
        exports = "".join(f"HOST_EXPORT({name}, {bounds})\n" for name, bounds in kernels.items())
        unfinished = target.with_suffix(f".{os.getpid()}")
        done = subprocess.run(
            ["g++", *flags, "-include", str(HEADER), "-x", "c++", "-", "-o", str(unfinished)],
            input=f"{code}\n{exports}".encode(),
            capture_output=True,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        unfinished.rename(target)
    return ctypes.CDLL(str(target))


def memory(x: Any) -> np.ndarray:
    """Return the NumPy array whose memory `x` (NumPy or array-api-strict) uses."""
    return x if isinstance(x, np.ndarray) else x._array


class HostDevice:
    """What `motifgpu.cuda.loader` asks of a device, done on the CPU.

    Parameters
    ----------
    sanitizer : {"", "address", "undefined", "thread"}
        Compile with this sanitizer; the process must have been started by `sanitizers.run`.
    schedule : int
        Order of threads and of blocks: 0 ascending, 1 descending, any other number a shuffle of its own.
    shared_bytes, multiprocessors : int
        What the device says of itself.
    """

    name = "host"
    tensor_cores = True

    def __init__(
        self,
        sanitizer: str | None = None,
        schedule: int = 0,
        shared_bytes: int = 227 * 1024,
        multiprocessors: int = 2,
    ) -> None:
        self.sanitizer = os.environ.get("HOST_CUDA_SANITIZER", "") if sanitizer is None else sanitizer
        self.schedule, self.shared_bytes, self.multiprocessors = schedule, shared_bytes, multiprocessors
        self.launches: list[str] = []

    def compile(self, code: str, kernel: str) -> Callable[..., None]:
        """Return kernel `kernel` of `code` as a callable (grid, block, arguments, shared bytes)."""
        loaded = library(code, self.sanitizer)
        function, describe = getattr(loaded, f"launch_{kernel}"), getattr(loaded, f"signature_{kernel}")
        function.restype = describe.restype = ctypes.c_char_p
        types = describe().decode().split(",")[:-1]

        def launch(
            grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared: int = 0
        ) -> None:
            self.launches.append(kernel)
            held = self._arguments(kernel, types, args)
            pointers = (ctypes.c_void_p * len(held))(*map(ctypes.addressof, held))
            shape = (ctypes.c_uint * 6)(*(*grid, 1, 1)[:3], *(*block, 1, 1)[:3])
            sizes = ctypes.c_size_t(shared), ctypes.c_size_t(self.shared_bytes)
            error = function(shape, *sizes, ctypes.c_uint(self.schedule), pointers)
            if error:
                raise RuntimeError(f"{kernel}: {error.decode()}")

        return launch

    def recorded(self, launches: Callable[[], None]) -> Callable[[], None]:
        """Return the launches themselves."""
        return launches

    @staticmethod
    def _arguments(kernel: str, types: list[str], args: tuple[Any, ...]) -> list[Any]:
        """Turn arguments into C values, refusing what a GPU would silently misread."""
        if len(args) != len(types):
            raise TypeError(f"{kernel} takes {len(types)} arguments, not {len(args)}")
        held: list[Any] = []
        for position, (wanted, given) in enumerate(zip(types, args, strict=True)):
            place = f"{kernel}, argument {position} ({wanted})"
            if wanted.endswith("*"):
                array = memory(given)
                if str(array.dtype) != wanted.removeprefix("const ")[:-1]:
                    raise TypeError(f"{place}: an array of {array.dtype}")
                if not array.flags.c_contiguous:
                    raise ValueError(f"{place}: not C-contiguous")
                if not wanted.startswith("const ") and not array.flags.writeable:
                    raise ValueError(f"{place}: read-only")
                held.append(ctypes.c_void_p(array.ctypes.data))
            elif not isinstance(given, np.generic) or str(given.dtype) != wanted:
                raise TypeError(f"{place}: {given!r} of type {type(given).__name__}")
            else:
                held.append((ctypes.c_char * given.nbytes).from_buffer_copy(given.tobytes()))
        return held
