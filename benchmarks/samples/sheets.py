"""Contact sheets: each sample with its truth and with what was found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from motifgpu import Analysis
from motifgpu.simulate import SampleSimulation

Drawn = tuple[str, SampleSimulation, Analysis | None]


def draw(samples: list[Drawn], path: Path) -> None:
    """Draw one row a sample: the image, the truth by identity and domain, and the columns by their label.

    Truth: boundary columns have a red ring, empty sites are crosses. Found: columns without a label are
    white, sites called empty are crosses, undecided ones red crosses.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 5 * len(samples)), layout="constrained")
    axes = figure.subplots(len(samples), 3, squeeze=False)
    for row, (title, truth, analysis) in zip(axes, samples, strict=True):
        low, high = np.percentile(truth.image[truth.valid], [0.5, 99.7])
        for ax in row:
            ax.imshow(truth.image, cmap="gray", vmin=low, vmax=high)
            ax.set_axis_off()
        row[0].set_title(title)
        _truth(row[1], truth)
        if analysis is None:
            row[2].set_title("refused")
        else:
            _found(row[2], analysis)
    figure.savefig(path, dpi=60)


def _scatter(ax: Any, points: np.ndarray, **options: Any) -> None:
    ax.scatter(points[:, 1], points[:, 0], **options)


def _truth(ax: Any, truth: SampleSimulation) -> None:
    joint = truth.labels * (len(truth.domain_names) + 1) + truth.domain
    _, code = np.unique(joint, return_inverse=True)
    _scatter(ax, truth.points, c=code, cmap="tab20", s=14)
    _scatter(ax, truth.points[truth.boundary], facecolors="none", edgecolors="red", s=40, linewidths=0.8)
    _scatter(ax, truth.points[~truth.occupied], c="black", marker="x", s=25)
    ax.set_title(f"{truth.occupied.sum()} columns, {len(np.unique(joint))} classes")


def _found(ax: Any, analysis: Analysis) -> None:
    columns = analysis.columns
    undecided = np.asarray(getattr(columns, "undecided", np.zeros(len(columns), bool)))
    labels = np.full(len(columns), -1)
    labels[np.asarray(analysis.mask)] = analysis.motifs.labels
    named = labels >= 0
    _scatter(ax, columns.points[~named], c="white", s=8)
    _scatter(ax, columns.points[named], c=labels[named] % 20, cmap="tab20", vmin=0, vmax=19, s=14)
    _scatter(ax, columns.points[~columns.occupied & ~undecided], c="black", marker="x", s=25)
    _scatter(ax, columns.points[undecided], c="red", marker="x", s=25)
    ax.set_title(f"{(columns.occupied & ~undecided).sum()} columns, {len(analysis.motifs.counts)} labels")
