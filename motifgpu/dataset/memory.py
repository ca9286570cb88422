"""How much memory this process has used."""

from __future__ import annotations

import sys


def peak_bytes() -> int:
    """Return the most memory that this process has used, 0 where the system does not say."""
    try:  # what getrusage says on Linux includes what the process was before it became this program
        with open("/proc/self/status", encoding="ascii") as status:
            return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
