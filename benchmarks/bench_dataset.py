"""A thousand simulated micrographs with planted defect densities: throughput, memory, and what is recovered.

``pytest benchmarks/bench_dataset.py`` makes the thousand and takes about five minutes on two idle cores;
``python benchmarks/bench_dataset.py FOLDER NUMBER`` only writes micrographs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from results import record

from motifgpu import analyze, simulate
from motifgpu.matching import match_points
from motifgpu.store import Run

NUMBER, SIDE, COUNTS = 1000, 512, 30.0
PLANTED = ({}, {"vacancies": 0.01}, {"vacancies": 0.03}, {"vacancies": 0.06, "divacancies": 0.01})
SHARED = 25  # micrographs that differ in their noise alone
PEER = 6  # micrographs that the peer gets


def generate(folder: Path, number: int) -> list[dict[str, float]]:
    """Write micrographs and return the planted fractions of defects, one entry a group of `SHARED` of them.

    Columns are placed and rendered once a group, noise is drawn for each: 8 ms a micrograph.
    """
    folder.mkdir(parents=True, exist_ok=True)
    planted = []
    for first in range(0, number, SHARED):
        group = first // SHARED
        defects = PLANTED[group % len(PLANTED)]
        made = simulate.monolayer(
            "MoSe2", (SIDE, SIDE), counts=COUNTS, angle=7.0 * group, seed=group, **defects
        )
        names = np.array(made.names)[made.labels]
        truth = {"points": made.points, "names": names, "pixel_size_nm": made.pixel_size_nm}
        np.savez(folder / f"truth{group:04d}", **truth)
        rng = np.random.default_rng([1, group])
        for k in range(first, min(first + SHARED, number)):
            image = rng.poisson(made.clean).astype(np.float32)
            np.savez(folder / f"scan{k:05d}.npz", image=image, pixel_size_nm=made.pixel_size_nm)
        planted.append(dict(defects))
    return planted


_RUN = """
import json, resource, sys, time
from motifgpu import dataset
from motifgpu.dataset.worker import peak_bytes
options = json.loads(sys.argv[3])
begun = time.perf_counter()
run = dataset.run(sys.argv[1], sys.argv[2], **options)
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    "wall_s": time.perf_counter() - begun,
    "cpu_s": sum(u.ru_utime + u.ru_stime for u in used),
    "own_peak_mb": peak_bytes() / 1e6,
    "worker_peak_mb": run.about["last_call"]["peak_bytes"] / 1e6,
    "work_s": run.about["last_call"]["seconds"],
}))
"""


def _run(paths: str, out: Path, **options: Any) -> dict[str, float]:
    """Run in a process of its own, so that its memory and processor time are its own."""
    command = [sys.executable, "-c", _RUN, paths, str(out), json.dumps({"workers": 2, **options})]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def _peer_seconds(folder: Path) -> float:
    """Return the seconds that the peer's chain takes for a file, in one process and one thread."""
    from bench_chain import _motif_learn
    from threadpoolctl import threadpool_limits

    files = sorted(folder.glob("scan*.npz"))[:: max(1, NUMBER // PEER)][:PEER]
    seconds = []
    with threadpool_limits(1):
        for path in [files[0], *files]:  # the first one compiles
            begun = time.process_time()
            with np.load(path) as archive:
                _motif_learn(archive["image"], 22.0)
            seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:])


def _densities(run: Run, folder: Path) -> list[dict[str, float]]:
    """Return planted, true and found densities of single vacancies for each group of micrographs.

    A motif is called what most of its columns are; what is counted is the motif, whatever its columns are.
    """
    held: dict[int, list[tuple[int, int, float]]] = {}
    for row in run.micrographs.to_pylist():
        group = int(Path(row["source"]).stem[4:]) // SHARED
        with np.load(folder / f"truth{group:04d}.npz") as archive:
            points, names = archive["points"], archive["names"]
        table = run.columns(row["micrograph"]).to_pandas().dropna(subset=["motif"])
        pairs = match_points(table[["row_px", "col_px"]].to_numpy(), points, 4.0)
        labels = table.motif.to_numpy(int)[pairs.found]
        truth = names[pairs.reference]
        vacancies = 0
        for motif in set(labels[labels >= 0].tolist()):
            kinds, number = np.unique(truth[labels == motif], return_counts=True)
            if kinds[np.argmax(number)] == "V_Se":
                vacancies += int((table.motif == motif).sum())
        border = row["patch_size_px"] / 2
        inside = np.all((points >= border - 0.5) & (points <= SIDE - 0.5 - border), axis=1)
        true = int((names[inside] == "V_Se").sum())
        held.setdefault(group, []).append((true, vacancies, row["area_nm2"]))
    result = []
    for group, found in sorted(held.items()):
        area = sum(a for _, _, a in found)
        true, seen = sum(t for t, _, _ in found), sum(v for _, v, _ in found)
        result.append(
            {
                "planted": PLANTED[group % len(PLANTED)].get("vacancies", 0.0),
                "true_per_nm2": true / area,
                "found_per_nm2": seen / area,
                # Micrographs of a group share their vacancies, so those of one are the number of draws.
                "true_each": true / len(found),
            }
        )
    return result


def test_dataset(tmp_path: Path) -> None:
    number = int(os.environ.get("MOTIFGPU_BENCH_MICROGRAPHS", NUMBER))
    folder = tmp_path / "in"
    begun = time.process_time()
    generate(folder, number)
    figures: dict[str, Any] = {"micrographs": number, "generate_s": time.process_time() - begun}

    tenth = str(folder / "scan000[0-9][0-9].npz") if number >= 1000 else str(folder / "scan0000[0-9].npz")
    _run(tenth, tmp_path / "warm.motif")
    figures["tenth"] = _run(tenth, tmp_path / "tenth.motif")
    figures["all"] = _run(f"{folder}/scan*.npz", tmp_path / "all.motif")
    figures["again"] = _run(f"{folder}/scan*.npz", tmp_path / "all.motif")
    peer = _peer_seconds(folder)
    one = analyze(folder / "scan00000.npz")
    figures["peer_s_per_micrograph"] = peer
    figures["s_per_micrograph"] = figures["all"]["wall_s"] / number
    figures["throughput_ratio"] = peer / figures["s_per_micrograph"]
    figures["cores_busy"] = figures["all"]["cpu_s"] / (2 * figures["all"]["wall_s"])
    figures["memory_ratio"] = {
        who: figures["all"][f"{who}_peak_mb"] / figures["tenth"][f"{who}_peak_mb"]
        for who in ("own", "worker")
    }
    figures["columns_of_one"] = len(one.columns)
    run = Run(tmp_path / "all.motif")
    figures["densities"] = _densities(run, folder)
    print(json.dumps(figures, indent=1))
    record("dataset" if number >= NUMBER else f"dataset_{number}", figures)
    assert len(run.micrographs) == number
    assert figures["again"]["wall_s"] < 0.1 * figures["all"]["wall_s"] + 2
    for row in figures["densities"]:
        counting = 1 / max(np.sqrt(row["true_each"]), 1e-9)
        error = abs(row["found_per_nm2"] - row["true_per_nm2"]) / max(row["true_per_nm2"], 1e-9)
        assert row["planted"] == 0 or error <= max(0.10, counting)
    if number >= NUMBER:
        assert figures["throughput_ratio"] >= 10
        assert max(figures["memory_ratio"].values()) <= 1.2
        assert figures["cores_busy"] >= 0.85


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]))
