"""Images rebuilt from class averages, against the noise-free truth."""

from __future__ import annotations

import time

import numpy as np

from benchmarks.results import record
from motifgpu import find_columns, reconstruct, simulate, smooth

SIZE = 38  # 1.73 lattice constants of 22 px
LEAST = {1.0: 30.4, 3.0: 33.6, 10.0: 37.3, 30.0: 41.2, 100.0: 41.2}


def psnr(image: np.ndarray, clean: np.ndarray, covered: np.ndarray) -> float:
    return float(10 * np.log10(np.ptp(clean) ** 2 / np.mean((image - clean)[covered] ** 2)))


def test_reconstruction_against_truth() -> None:
    """Thirty classes, true and found columns, both weights; smoothing alone and five true classes beside."""
    figures = []
    for counts, least in LEAST.items():
        for seed in range(3):
            truth = simulate.monolayer(
                counts=counts, vacancies=0.03, divacancies=0.01, dopants={"W": 0.02}, seed=seed
            )
            smoothed = smooth(truth.image)
            found_points = find_columns(truth.image).points
            row: dict[str, object] = {"counts": counts, "seed": seed, "least": least}
            for name, points in (("true", truth.points), ("found", found_points)):
                for weights in ("auto", "hann", "flat"):
                    labels = np.zeros(len(points), int)
                    begin = time.process_time()
                    found = reconstruct(truth.image, points, labels, SIZE, weights=weights, smoothed=smoothed)
                    row[f"{name}_{weights}"] = psnr(found.image, truth.clean, found.covered)
                    row["seconds"] = time.process_time() - begin
                    row["uncovered"], row["ssim_to_smoothed"] = found.uncovered, found.ssim
            row["smoothing"] = psnr(smoothed, truth.clean, found.covered)
            five = reconstruct(
                truth.image, truth.points, truth.labels, SIZE, classes=truth.labels, smoothed=smoothed
            )
            row["five_true_classes"] = psnr(five.image, truth.clean, found.covered)
            raw = reconstruct(
                truth.image, truth.points, 0 * truth.labels, SIZE, smoothed=truth.image, weights="flat"
            )
            row["averages_of_raw_patches"] = psnr(raw.image, truth.clean, raw.covered)
            figures.append(row)
    record("reconstruction_against_truth", figures)
    for row in figures:
        assert row["true_auto"] >= row["least"], row
        assert row["found_auto"] >= row["least"], row
