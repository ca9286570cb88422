"""What a GPU would have been asked for: launches, waits of the host and bytes that cross, by source line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

_TESTS = Path(__file__).resolve().parents[1]
# What is in these asks for others: the line that called it counts.
_SERVANTS = (
    str(Path(__file__).parent),
    *(
        str(_TESTS.parent / "motifgpu" / module)
        for module in (
            *("core/namespace.py", "core/device.py", "core/lockstep.py", "core/rows.py", "core/on_points.py"),
            "cuda/loader.py",
        )
    ),
    "array_api_compat",
    "array_api_extra",
)
_serves: dict[CodeType, bool] = {}


@dataclass
class Counts:
    """Counters by source line, ``motifgpu/columns/refine.py:120`` say."""

    launches: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    up: Counter[str] = field(default_factory=Counter)  # bytes from the host to the device
    down: Counter[str] = field(default_factory=Counter)
    kernels: Counter[str] = field(default_factory=Counter)  # our own, by name

    def table(self, rows: int = 30) -> str:
        """Return the lines that ask for most, as text."""
        places = {*self.launches, *self.waits, *self.up, *self.down}
        weight = {
            at: self.launches[at] + 8 * self.waits[at] + (self.up[at] + self.down[at]) / 1e5 for at in places
        }
        head = f"{'launches':>8} {'waits':>6} {'bytes up':>10} {'down':>10}  line"
        sums = [sum(c.values()) for c in (self.launches, self.waits, self.up, self.down)]
        lines = [head, "{:8d} {:6d} {:10d} {:10d}  all".format(*sums)]
        for at in sorted(places, key=lambda at: -weight[at])[:rows]:
            lines.append(
                f"{self.launches[at]:8d} {self.waits[at]:6d} {self.up[at]:10d} {self.down[at]:10d}  {at}"
            )
        return "\n".join(lines)


_running: list[Counts] = []


@contextmanager
def counted() -> Iterator[Counts]:
    """Count what is asked for inside a ``with`` block, by all threads."""
    mine = Counts()
    _running.append(mine)
    try:
        yield mine
    finally:
        _running.remove(mine)


def _line() -> str:
    """Return the line that asked, as seen from the root of the repository where it is in it."""
    frame = sys._getframe(2)
    while frame.f_back is not None:
        code = frame.f_code
        if code not in _serves:
            path = code.co_filename
            _serves[code] = any(name in path for name in _SERVANTS) and "/test_" not in path
        if not _serves[code]:
            break
        frame = frame.f_back
    name = frame.f_code.co_filename.removeprefix(f"{_TESTS.parent}/")
    return f"{name}:{frame.f_lineno}"


def launch(number: int = 1) -> None:
    """Note launches."""
    if _running and number:
        at = _line()
        for counts in _running:
            counts.launches[at] += number


def wait(number: int = 1) -> None:
    """Note that the host waits for the device."""
    if _running and number:
        at = _line()
        for counts in _running:
            counts.waits[at] += number


def upload(size: int) -> None:
    """Note bytes that go to the device."""
    if _running:
        at = _line()
        for counts in _running:
            counts.up[at] += size


def download(size: int) -> None:
    """Note bytes that come to the host."""
    if _running:
        at = _line()
        for counts in _running:
            counts.down[at] += size


def kernel(name: str) -> None:
    """Note a launch of one of our own kernels."""
    launch()
    for counts in _running:
        counts.kernels[name] += 1
