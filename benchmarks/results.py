"""Write figures with the hardware and versions they were measured on."""

from __future__ import annotations

import datetime
import json
import math
import os
import platform
import re
from pathlib import Path
from typing import Any

from motifgpu import backend

FOLDER = Path(__file__).parent / "results"


def processor() -> str:
    """Return the name of the CPU."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match.group(1).strip() if match else platform.machine()


def _plain(value: Any) -> Any:
    """Return `value` as strict JSON holds it: None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def record(name: str, figures: Any, device: str = "cpu") -> Path:
    """Merge `figures` under `name` into the result file of this device and return the file.

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
    path = FOLDER / (re.sub(r"[^A-Za-z0-9]+", "-", device).strip("-").lower() + ".json")
    path.parent.mkdir(exist_ok=True)
    content = _plain(json.loads(path.read_text())) if path.exists() else {}
    content[name] = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "device": device,
        "python": platform.python_version(),
        "versions": vars(backend.versions()),
        "figures": _plain(figures),
    }
    path.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n")
    return path
