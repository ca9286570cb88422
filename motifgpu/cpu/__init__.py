"""The stages with code of their own for the CPU, and the threads they run on.

Each module has the name and the function signatures of its counterpart in `motifgpu.cuda`. Arrays may be of
any namespace, and results come back in it; what is compiled by Numba works on the host.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from motifgpu.core import device

_log = logging.getLogger("motifgpu")

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compiled(*, needed: bool = False, **options: Any) -> Callable[[_Function], _Function]:
    """Return `numba.njit` with these options, its results kept on disk where Numba finds a folder to write.

    There is none where the package is installed read-only for a user without a home, as on many nodes of
    clusters; each process compiles for itself there.

    Where Numba does not work, as with a NumPy that is too new for it, functions run as they are, slowly: a
    GPU does the heavy stages and the host what is left. Those that a GPU has kernels for are `needed`: their
    modules cannot be imported then.
    """
    try:
        from numba import njit
    except ImportError as error:
        if needed:
            raise
        _warn_once(str(error))
        return lambda function: function

    def compile_(function: _Function) -> _Function:
        try:
            return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
        except RuntimeError:
            return njit(**options)(function)  # type: ignore[no-any-return]

    return compile_


@functools.cache
def _warn_once(problem: str) -> None:
    _log.warning(
        "what Numba would compile runs as Python, which may take a hundred times as long: %s", problem
    )


def run(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> None:
    """Call `function` with the arguments of every task, on as many threads as may be used.

    The function must release the interpreter lock to gain from it. When a task fails or the user interrupts,
    tasks that have not begun are dropped.
    """
    run_rounds(function, [tasks])


def run_rounds(function: Callable[..., Any], rounds: Sequence[Sequence[tuple[Any, ...]]]) -> None:
    """Do as `run` for the tasks of every round, each round after all of the round before."""
    workers = min(device.threads(), max(map(len, rounds), default=0))
    if workers <= 1:
        for tasks in rounds:
            for task in tasks:
                function(*task)
        return
    with ThreadPoolExecutor(workers) as pool:
        try:
            for tasks in rounds:
                for future in [pool.submit(function, *task) for task in tasks]:
                    future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
