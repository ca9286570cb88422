"""The stages with code of their own for the CPU, and the threads they run on.

Each module has the name and the function signatures of its twin in `motifgpu.cuda`. Arrays may be of any
namespace, and results come back in it; what is compiled by Numba works on the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from motifgpu.core import device


def run(function: Callable[..., Any], tasks: Sequence[tuple[Any, ...]]) -> None:
    """Call `function` with the arguments of every task, on as many threads as may be used.

    The function must release the interpreter lock to gain from it. When a task fails or the user interrupts,
    tasks that have not begun are dropped.
    """
    workers = min(device.threads(), len(tasks))
    if workers <= 1:
        for task in tasks:
            function(*task)
        return
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(function, *task) for task in tasks]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
