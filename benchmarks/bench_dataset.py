"""A thousand simulated micrographs with planted defect densities: throughput, memory, and what is recovered.

``pytest benchmarks/bench_dataset.py`` takes about five minutes on two processors with nothing else to do,
``MOTIFGPU_BENCH_MICROGRAPHS=100`` makes it smaller, ``--full`` adds two million columns through a pooled run,
and ``python benchmarks/bench_dataset.py FOLDER NUMBER`` only writes the micrographs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.bench_chain import _motif_learn as motif_learn_chain
from benchmarks.results import record
from motifgpu import Run, match_points, simulate
from motifgpu.dataset.plan import plan_run

NUMBER, SIDE, COUNTS = 1000, 512, 30.0
MANY = 1600  # micrographs that hold two million columns
PLANTED = ({}, {"vacancies": 0.01}, {"vacancies": 0.03}, {"vacancies": 0.06, "divacancies": 0.01})
SHARED = 25  # micrographs that differ in their noise alone
PEER = 6  # micrographs that the peer gets


def generate(folder: Path, number: int) -> None:
    """Write micrographs, and the truth of each group of `SHARED` of them.

    Columns are placed and rendered once a group, noise is drawn for each: 14 ms a micrograph.
    """
    folder.mkdir(parents=True, exist_ok=True)
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


_RUN = """
import json, resource, sys, time
from motifgpu import dataset
from motifgpu.dataset.memory import peak_bytes
begun = time.perf_counter()
run = dataset.run(sys.argv[1], sys.argv[2], **json.loads(sys.argv[3]))
used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    "wall_s": time.perf_counter() - begun,
    "cpu_s": sum(u.ru_utime + u.ru_stime for u in used),
    "own_peak_mb": peak_bytes() / 1e6,
    "worker_peak_mb": run.about["last_call"]["peak_bytes"] / 1e6,
}))
"""


def _run(paths: str, out: Path, **options: Any) -> dict[str, float]:
    """Run in a process of its own, so that its memory and processor time are its own."""
    command = [sys.executable, "-c", _RUN, paths, str(out), json.dumps({"workers": 2, **options})]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _peer_seconds(folder: Path, number: int) -> float:
    """Return the seconds that the peer's chain takes for a file, in one process and one thread."""
    files = sorted(folder.glob("scan*.npz"))[:: max(1, number // PEER)][:PEER]
    seconds = []
    with threadpool_limits(1):
        for path in [files[0], *files]:  # the first one compiles
            begun = time.process_time()
            with np.load(path) as archive:
                motif_learn_chain(archive["image"], 22.0)
            seconds.append(time.process_time() - begun)
    return statistics.median(seconds[1:])


def _densities(run: Run, folder: Path) -> list[dict[str, float]]:
    """Return planted, true and found densities of single vacancies for each group of micrographs.

    A motif of the dictionary is called what most of its columns are; what is counted is the motif, whatever
    its columns are.
    """
    held: dict[int, list[tuple[int, dict[int, int], float]]] = {}
    kinds: dict[int, Counter[str]] = {}
    for row in run.micrographs.to_pylist():
        group = int(Path(row["source"]).stem.removeprefix("scan")) // SHARED
        with np.load(folder / f"truth{group:04d}.npz") as archive:
            points, names = archive["points"], archive["names"]
        table = run.columns(row["micrograph"])
        table = table.filter(pc.is_valid(table["motif"]))
        labels = table["motif"].to_numpy()
        pairs = match_points(np.column_stack([table["row_px"], table["col_px"]]), points, 4.0)
        for label, name in zip(labels[pairs.found].tolist(), names[pairs.reference].tolist(), strict=True):
            kinds.setdefault(label, Counter())[name] += 1
        border = row["patch_size_px"] / 2
        inside = np.all((points >= border - 0.5) & (points <= SIDE - 0.5 - border), axis=1)
        true = int((names[inside] == "V_Se").sum())
        held.setdefault(group, []).append((true, Counter(labels.tolist()), row["area_nm2"]))
    vacancy = {label for label, names in kinds.items() if names.most_common(1)[0][0] == "V_Se"}
    result = []
    for group, found in sorted(held.items()):
        area = sum(a for _, _, a in found)
        result.append(
            {
                "planted": PLANTED[group % len(PLANTED)].get("vacancies", 0.0),
                "true_per_nm2": sum(t for t, _, _ in found) / area,
                "found_per_nm2": sum(counts[label] for _, counts, _ in found for label in vacancy) / area,
                # Micrographs of a group share their vacancies: those of one are what was drawn.
                "drawn": found[0][0],
            }
        )
    return result


def _same_labels(one: Run, other: Run) -> bool:
    """Say whether every micrograph of a run has the same columns, to the byte, in another one."""
    return all(
        path.read_bytes() == (other.path / "columns" / path.name).read_bytes()
        for path in (one.path / "columns").iterdir()
    )


def test_dataset(tmp_path: Path) -> None:
    number = int(os.environ.get("MOTIFGPU_BENCH_MICROGRAPHS", NUMBER))
    folder = tmp_path / "in"
    begun = time.process_time()
    generate(folder, number)
    figures: dict[str, Any] = {"micrographs": number, "generate_s": time.process_time() - begun}
    everything, some = f"{folder}/scan*.npz", f"{folder}/scan000[0-9][0-9].npz"
    learned = _run(some, tmp_path / "learned.motif", pooled=True)
    options = {"dictionary": str(tmp_path / "learned.motif" / "dictionary.npz")}
    predicted = plan_run(everything, workers=2, **options)
    figures |= {
        "learned": learned,
        "planned": predicted.summary() | {"probed": len(predicted.probed)},
        "hundred": _run(some, tmp_path / "hundred.motif", **options),
        "all": _run(everything, tmp_path / "all.motif", **options),
        "again": _run(everything, tmp_path / "all.motif", **options),
        "peer_s": _peer_seconds(folder, number),
    }
    run = Run(tmp_path / "all.motif")
    seconds = figures["all"]["wall_s"]
    peaks = ("own_peak_mb", "worker_peak_mb")
    figures |= {
        "s_per_micrograph": seconds / number,
        "ratio_to_peer": figures["peer_s"] * number / seconds,
        "cores_busy": figures["all"]["cpu_s"] / (2 * seconds),
        "peak_to_hundred": {who: figures["all"][who] / figures["hundred"][who] for who in peaks},
        "columns": run.about["found"]["columns"],
        "store_mb": sum(p.stat().st_size for p in run.path.rglob("*") if p.is_file()) / 1e6,
        "planned_to_taken": predicted.seconds / seconds,
        "densities": _densities(run, folder),
    }
    print(json.dumps(figures, indent=1))
    record("dataset" if number >= NUMBER else "dataset_quick", figures)
    assert len(run.micrographs) == number
    assert _same_labels(Run(tmp_path / "hundred.motif"), run)
    assert figures["again"]["wall_s"] < 0.02 * seconds + 1
    for row in figures["densities"]:
        allowed = max(0.10 * row["true_per_nm2"], row["true_per_nm2"] / np.sqrt(max(row["drawn"], 1)))
        assert abs(row["found_per_nm2"] - row["true_per_nm2"]) <= allowed + 1e-3
    if number >= NUMBER:  # on processors that have nothing else to do
        assert figures["ratio_to_peer"] >= 10
        assert max(figures["peak_to_hundred"].values()) <= 1.2
        assert figures["cores_busy"] >= 0.85
        assert 1 / 1.5 <= figures["planned_to_taken"] <= 1.5


def test_two_million_columns(tmp_path: Path, full: bool) -> None:
    if not full:
        pytest.skip("takes five minutes of both processors; --full runs it")
    generate(tmp_path / "in", MANY)
    paths = f"{tmp_path}/in/scan*.npz"
    predicted = plan_run(paths, workers=2, pooled=True)
    taken = _run(paths, tmp_path / "out.motif", pooled=True)
    memory = taken["own_peak_mb"] + 2 * taken["worker_peak_mb"]
    about = Run(tmp_path / "out.motif").about
    figures = {
        "micrographs": MANY,
        "columns": about["found"]["columns"],
        "planned": predicted.summary(),
        "taken": taken,
        "memory_mb": memory,
        "planned_to_taken_s": predicted.seconds / taken["wall_s"],
        "planned_to_taken_memory": predicted.memory_bytes / 1e6 / memory,
    }
    print(json.dumps(figures, indent=1))
    record("dataset_two_million", figures)
    assert figures["columns"] >= 2_000_000
    assert memory < 24_000
    for what in ("planned_to_taken_s", "planned_to_taken_memory"):
        assert 1 / 1.5 <= figures[what] <= 1.5


if __name__ == "__main__":
    generate(Path(sys.argv[1]), int(sys.argv[2]))
