"""Do faults to runs on purpose and see what comes of each.

python benchmarks/faults                    all of them; their outcomes go into benchmarks/results/faults.json
python benchmarks/faults --quick            a part of each kind, without a record
python benchmarks/faults --kinds damage     one kind, whose outcomes take the place of those of before

It fails where something else was read than what was written, a result was lost, or the same command did not
give the same bytes.
"""

from __future__ import annotations

import argparse
import functools
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import results
from benchmarks.faults import damage, environments, hostile, kills, scenarios
from motifgpu.core.device import versions

FILE = results.FOLDER / "faults.json"
Campaign = Callable[[Path], dict[str, Any]]


def campaigns(quick: bool) -> dict[str, Campaign]:
    """Return what is done of each kind."""
    part = functools.partial
    if quick:
        return {
            "damage": part(damage.campaign, flips=12, cuts=8),
            "scenarios": part(scenarios.campaign, number=4),
            "kills": part(kills.campaign, number=5),
            "environments": part(environments.campaign, number=6),
            "hostile": part(hostile.campaign, number=6),
        }
    return {
        "damage": part(damage.campaign, flips=200, cuts=100),
        "scenarios": part(scenarios.campaign, number=len(scenarios.BETWEEN)),
        "kills": part(kills.campaign, number=40),
        "environments": part(environments.campaign, number=1000),
        "hostile": part(hostile.campaign, number=1000),
    }


def main() -> int:
    """Run the campaigns and return 1 where one of them failed."""
    parser = argparse.ArgumentParser(prog="python benchmarks/faults", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a part of each kind")
    parser.add_argument("--kinds", nargs="+", choices=list(campaigns(True)), help="these kinds alone")
    options = parser.parse_args()
    chosen = campaigns(options.quick)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="motifgpu-faults-") as folder:
        for name in options.kinds or chosen:
            (Path(folder) / name).mkdir()
            found[name] = chosen[name](Path(folder) / name)
            print(json.dumps({name: found[name]}, indent=1), flush=True)
    if not options.quick:
        kept = json.loads(FILE.read_text()) if FILE.exists() else {}
        FILE.write_text(json.dumps({**kept, "version": versions().motifgpu, **found}, indent=1) + "\n")
    return int(any(one["failures"] for one in found.values()))


if __name__ == "__main__":
    sys.exit(main())
