"""What rare defects are measured against: a linear oracle, reliability, and micrographs by multislice."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from benchmarks.bench_motifs import A, Case, simulated
from motifgpu import estimate_patch_size, extract_patches, find_columns, match_points, zernike_moments

EDGES = (0.0, 0.5, 0.7, 0.85, 0.95, 0.99, 1.0001)
IDENTITIES = ("metal", "chalcogens", "V_chalcogen", "V_chalcogen2", "dopant")  # of the cells
CELLS = Path(__file__).parent / "multislice.npz"


def oracle(cases: list[Case]) -> LinearDiscriminantAnalysis:
    """Train linear discriminant analysis on the moments and the truth of columns that were found."""
    moments = np.concatenate([case.moments[case.rows] for case in cases])
    return LinearDiscriminantAnalysis().fit(moments, np.concatenate([case.identity for case in cases]))


def right(case: Case, labels: np.ndarray) -> np.ndarray:
    """Say of each matched column whether it is what most of its class are."""
    found = labels[case.rows]
    result = np.zeros(found.size, bool)
    for label in np.unique(found[found >= 0]):
        own = found == label
        result[own] = case.identity[own] == np.bincount(case.identity[own]).argmax()
    return result


def reliability(confidence: np.ndarray, correct: np.ndarray) -> list[dict[str, float]]:
    """Return, for each range of confidence, its mean and the share that is right."""
    rows = []
    for low, high in pairwise(EDGES):
        within = (confidence >= low) & (confidence < high)
        if within.any():
            rows.append(
                {
                    "from": low,
                    "columns": int(within.sum()),
                    "confidence": float(confidence[within].mean()),
                    "right": float(correct[within].mean()),
                }
            )
    return rows


def recalls(case: Case, labels: np.ndarray) -> dict[str, float]:
    """Return for each identity that occurs its recall by the class that holds most of it."""
    found = labels[case.rows]
    result = {}
    for identity, name in enumerate(case.names):
        true = (case.identity == identity) & (found >= 0)
        if (case.identity == identity).any():
            most = np.bincount(found[true]).max() if true.any() else 0
            result[name] = float(most / np.sum(case.identity == identity))
    return result


def pooled(counts: float, seeds: range, **options: Any) -> Case:
    """Return the columns of several micrographs as those of one."""
    cases = [simulated(counts, seed, **options) for seed in seeds]
    first = np.cumsum([0, *(len(case.moments) for case in cases)])

    def joined(name: str) -> np.ndarray:
        return np.concatenate([getattr(case, name) for case in cases])

    return Case(
        moments=joined("moments"),
        small=joined("small"),
        rows=np.concatenate([case.rows + begin for case, begin in zip(cases, first[:-1], strict=True)]),
        identity=joined("identity"),
        environment=joined("environment"),
        undirected=joined("undirected"),
        names=cases[0].names,
        expected=joined("expected"),
    )


def multislice_cell(material: str, cell: int, constant: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a periodic image of a cell that `multislice_cells.py` computed, its sites and their identities.

    It has the pixels of a lattice constant of `constant` px and is convolved with a source of 0.08 lattice
    constants; the peaks of its brighter pristine columns are 1.
    """
    with np.load(CELLS) as file:
        image, size, truth = (file[f"{material}_{cell}{part}"] for part in ("", "_cell", "_truth"))
        angstrom = float(file[f"{material}_constant"])
    shape = np.round(size / angstrom * constant).astype(int)
    row, col = (np.rint(np.fft.fftfreq(n) * n).astype(int) for n in image.shape)
    squared = (row[:, None] / size[0]) ** 2 + (col / size[1]) ** 2
    seen = np.ix_(2 * np.abs(row) < shape[0], 2 * np.abs(col) < shape[1])  # finer than the pixels is not
    spectrum = np.zeros(shape, complex)
    source = np.exp(-2 * (np.pi * 0.08 * angstrom) ** 2 * squared)
    rows, cols = row[seen[0].reshape(-1)], col[seen[1].reshape(-1)]
    spectrum[np.ix_(rows, cols)] = (np.fft.fft2(image.astype(float)) * source)[seen]
    clean = np.maximum(np.fft.ifft2(spectrum).real, 0.0)
    labels = truth[:, 2].astype(int)
    places = truth[:, :2] / size * shape
    corner = np.round(places).astype(int) % shape
    clean /= max(clean[tuple(corner[labels == kind].T)].mean() for kind in (0, 1))
    return clean, places, labels


def multislice(material: str, cell: int, counts: float, seed: int) -> Case:
    """Return the columns found in a micrograph of cells that `multislice_cells.py` computed.

    The cell is repeated 4 x 4 times on the pixels of a lattice constant of 22 px.
    """
    clean, places, labels = multislice_cell(material, cell, A)
    clean *= counts
    shape = np.array(clean.shape)
    picture = np.random.default_rng([cell, seed]).poisson(np.tile(clean, (4, 4))).astype(np.float32)
    points = np.concatenate([places + np.array([i, j]) * shape for i in range(4) for j in range(4)])
    labels = np.tile(labels, 16)

    columns = find_columns(picture)
    side = round(estimate_patch_size(picture).pixels)
    patches, inside = extract_patches(picture, columns.points, side)
    match = match_points(columns.points[inside], points, A / np.sqrt(3) / 3)
    half = (side - 1) / 2
    fits = ((points >= half) & (points <= np.array(picture.shape) - 1 - half)).all(axis=1)
    fits[match.reference] = True
    identity = labels[match.reference]
    return Case(
        moments=zernike_moments(patches),
        small=np.zeros((0, 66)),
        rows=match.found,
        identity=identity,
        environment=identity,
        undirected=identity,
        names=IDENTITIES,
        expected=fits & (labels == 2),
    )
