"""A stand-in for CuPy, cupyx.scipy and cuCIM on the CPU: what runs on a GPU is tested without one.

Arrays are NumPy's behind CuPy's names. What CuPy refuses is refused: implicit conversion to NumPy, arrays of
the host among arguments, names and keywords that the CuPy that is stood in for does not have, arrays of
another device, empty grids, more shared memory than was asked for, more memory than the pool may take. Memory
that nobody wrote holds NaN, and sums of real numbers by atomic additions come in another order each time.
Kernels run unchanged on the host (`host_cuda`). Launches, waits of the host and bytes that cross are counted
by the line that asked for them (`counts`).

The folder `packages` has the modules that are imported; `environment` puts them before everything else in a
new process. `names` holds what each package has, written by ``ci/cupy_names``.

It cannot show times, races between streams, the memory model, and the last bits of a GPU's arithmetic.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

FOLDER = Path(__file__).parent
TESTS = FOLDER.parent
VERSIONS = sorted(
    re.sub(r"^cupy-", "", path.stem) for path in (FOLDER / "names").glob("cupy-*.json")
)  # that can be stood in for, the oldest first


def environment(version: str, devices: int = 1, without: Sequence[str] = ()) -> dict[str, str]:
    """Return the environment of a process in which CuPy is the stand-in.

    Parameters
    ----------
    version : str
        Of `VERSIONS`: whose names and signatures there are.
    devices : int
        How many GPUs the machine has.
    without : sequence of str
        Packages that cannot be imported, of the folder `absent`.
    """
    path = [
        *(FOLDER / "absent" / name for name in without),
        FOLDER / "packages",
        TESTS,
        TESTS.parent,
        os.environ.get("PYTHONPATH", ""),
    ]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, path)),
        "FAKE_CUPY_VERSION": version,
        "FAKE_CUPY_DEVICES": str(devices),
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
