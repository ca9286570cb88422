"""Write figures with the hardware and versions they were measured on."""

from __future__ import annotations

import datetime
import json
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
    content = json.loads(path.read_text()) if path.exists() else {}
    content[name] = {
        "date": datetime.date.today().isoformat(),
        "processor": processor(),
        "processors": os.cpu_count(),
        "device": device,
        "python": platform.python_version(),
        "versions": vars(backend.versions()),
        "figures": figures,
    }
    path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    return path
