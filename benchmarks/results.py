"""The result files: figures with the hardware and versions they were measured on."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from motifgpu.core.device import versions

FOLDER = Path(__file__).parent / "results"
QUICK = "MOTIFGPU_BENCH_QUICK"  # set by conftest.py where pytest was called with --quick
PEERS = ("motif-learn", "umap-learn", "openTSNE", "pacmap", "pynndescent", "scikit-learn")


def processor() -> str:
    """Return the name of the CPU."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match.group(1).strip() if match else platform.machine()


def peer_versions() -> dict[str, str | None]:
    """Return the version of each package that motifgpu is compared with, None where it is absent."""
    found: dict[str, str | None] = {}
    for name in PEERS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _plain(value: Any) -> Any:
    """Return `value` as strict JSON holds it: None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from the file `path` meanwhile, where the system has file locks."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with (Path(tempfile.gettempdir()) / f"motifgpu-{os.getuid()}-{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def record(name: str, figures: Any, device: str = "cpu") -> Path:
    """Merge `figures` under `name` into the result file of this device and return the file.

    Other processes may do so at the same time. Figures of a quick run go to a file of their own.

    Parameters
    ----------
    name : str
        Name of the study, which is the name of its test function without ``test_``.
    figures : JSON-serialisable
        What was measured.
    device : str
        ``"cpu"``, or the name of the GPU.

    Returns
    -------
    Path
    """
    quick = bool(os.environ.get(QUICK))
    stem = re.sub(r"[^A-Za-z0-9]+", "-", device).strip("-").lower()
    path = FOLDER / ("quick.json" if quick else f"{stem}.json")
    path.parent.mkdir(exist_ok=True)
    entry = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "device": device,
        "python": platform.python_version(),
        "versions": vars(versions()) | peer_versions(),
        "figures": _plain(figures),
    }
    if quick:
        entry["quick"] = True
    with _alone(path):
        content = _plain(json.loads(path.read_text())) if path.exists() else {}
        content[name] = entry
        scratch = path.with_suffix(f".{os.getpid()}.part")
        scratch.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")
        scratch.replace(path)
    return path


def load(quick: bool = False) -> dict[str, Any]:
    """Return all studies measured on a CPU by name, a quick run's in place of the full one's if asked."""
    studies: dict[str, Any] = json.loads((FOLDER / "cpu.json").read_text())
    if quick and (FOLDER / "quick.json").exists():
        studies |= json.loads((FOLDER / "quick.json").read_text())
    return studies
