"""A small run whose folder is damaged, what can be read of it, and what two folders must agree in."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu import Run, dataset, simulate
from motifgpu.core.errors import StageError
from motifgpu.store import layout

FILES = 3
# Who ran when is in these, so they differ from run to run; and locks hold no result.
OF_THE_CALL = (layout.RUN, layout.RUN_COPY, layout.LOCKS, *layout.SEALED, "sample.motif")


def write_inputs(folder: Path) -> Path:
    """Write a few micrographs, one of them twice, and one file that is none."""
    folder.mkdir(parents=True)
    for seed in range(FILES):
        made = simulate.monolayer(shape=(128, 128), counts=30, vacancies=0.06, angle=4.0 * seed, seed=seed)
        np.savez(folder / f"scan{seed}.npz", image=made.image, pixel_size_nm=made.pixel_size_nm)
    shutil.copy(folder / "scan0.npz", folder / "twin.npz")
    (folder / "damaged.npy").write_bytes(b"\x93NUMPY no more")
    return folder


def make(inputs: Path, out: Path) -> Run:
    """Run over the inputs, with a dictionary that all micrographs share."""
    return dataset.run(inputs, out, workers=1, pooled=True)


def contents(root: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a run that does not say when it was called."""
    return {
        name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not (name := path.relative_to(root).as_posix()).startswith(OF_THE_CALL)
    }


def values(root: Path) -> dict[str, Any]:
    """Return all that can be read of a run, each as its value or as the StageError that it gives."""
    asked: dict[str, Callable[[Run], Any]] = {
        "about": lambda run: [run.about[name] for name in ("parameters", "found", "versions", "schema")],
        "micrographs": lambda run: run.micrographs.to_pylist(),
        "counts": lambda run: run.counts.to_pylist(),
        "motifs": lambda run: run.motifs.to_pylist(),
        "occurrences": lambda run: run.occurrences.to_pylist(),
        "columns": lambda run: run.columns().to_pylist(),
        "hierarchy": lambda run: run.hierarchy and (run.hierarchy.nodes, run.hierarchy.warnings),
        "quarantine": lambda run: run.quarantine,
    }
    for name in [f"scan{seed}.npz" for seed in range(FILES)] + ["twin.npz"]:
        asked[f"moments of {name}"] = lambda run, name=name: np.array(run.moments(name)).tobytes()
        asked[f"columns of {name}"] = lambda run, name=name: run.columns(name).to_pylist()
        asked[f"thumbnail of {name}"] = lambda run, name=name: run.thumbnail(name)
    found: dict[str, Any] = {}
    for name, ask in asked.items():
        try:
            found[name] = ask(Run(root))
        except StageError as error:
            found[name] = error
    return found
