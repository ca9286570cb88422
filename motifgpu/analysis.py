"""One micrograph through all stages: `analyze` and what it returns."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import array_api_compat
from threadpoolctl import threadpool_limits

from motifgpu import backend
from motifgpu.affinity import AffinityGraph, affinity_graph
from motifgpu.averages import ClassAverages, class_averages
from motifgpu.backend import Array, to_numpy
from motifgpu.cells import Cells, motif_cells
from motifgpu.columns import Columns, find_columns
from motifgpu.disc import sufficient_size
from motifgpu.errors import StageError
from motifgpu.hierarchy import Hierarchy, build_hierarchy
from motifgpu.lattice import fit_lattice
from motifgpu.micrograph import Micrograph, read
from motifgpu.motifs import Motifs, find_motifs
from motifgpu.neighbors import nearest_neighbors
from motifgpu.patch_size import PatchSize, estimate_patch_size
from motifgpu.patches import extract_patches
from motifgpu.relaxation import pca_start, relax
from motifgpu.shells import NeighborShells, neighbor_shells
from motifgpu.smoothing import estimate_background
from motifgpu.zernike import rotation_invariants, usable_order, zernike_moments

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from motifgpu.occupancy_sites import SiteGrid
    from motifgpu.reconstruction import Reconstruction

STAGES = (
    *("columns", "patch size", "moments", "neighbors", "affinity", "layout", "motifs", "averages"),
    "structure",
)
_COLUMNS = (
    *("row_px", "col_px", "prominence", "occupied"),
    *("motif", "environment", "confidence", "layout_x", "layout_y"),
)
_ORDER, _COARSE_ORDER = 10, 6
_COARSE, _COARSE_SAMPLES = 20, 24  # px a side below which a patch is coarse, and samples it then gets
_LOW_CONFIDENCE = 0.25  # of the patch size, below which the report says so


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that `analyze` found in one micrograph.

    n columns were found, m of them have a patch that fits inside the image.

    Attributes
    ----------
    micrograph : Micrograph
    columns : Columns
        All n columns, predicted empty sites among them.
    mask : (n,) bool array
        Which columns have a patch.
    points : (m, 2) float32 array
        Those columns as (row, col), px.
    moments : (m, n_moments) float32 array
        Zernike moments of their patches, in the order j = (p(p+2)+q)/2.
    graph : AffinityGraph
    layout : (m, 2) float32 array
        Force-relaxed positions.
    motifs : Motifs
        Identity, environment and confidence of each.
    averages : ClassAverages
        Mean patch and rebuilt mean moments of each motif.
    shells : NeighborShells
        What surrounds each motif.
    patch_size : PatchSize
    cells : Cells or None
        Motif-cells of the lattice, which is `cells.lattice`; None where no lattice was found or looked for.
    hierarchy : Hierarchy or None
        What the motif-cells that are not the crystal's grow into; None like `cells`.
    parameters : dict
        Every parameter in force, measured ones included.
    timings : dict of str to float
        Seconds by stage.
    """

    micrograph: Micrograph
    columns: Columns
    mask: Array
    points: Array
    moments: Array
    graph: AffinityGraph
    layout: Array
    motifs: Motifs
    averages: ClassAverages
    shells: NeighborShells
    patch_size: PatchSize
    cells: Cells | None
    hierarchy: Hierarchy | None
    parameters: Mapping[str, Any]
    timings: Mapping[str, float]

    def __repr__(self) -> str:
        return (
            f"<Analysis of {self.micrograph.source}: {len(self.columns)} columns, "
            f"{len(self.motifs.counts)} motifs>"
        )

    @cached_property
    def warnings(self) -> list[str]:
        """What a reader of the results should know."""
        found = []
        if self.patch_size.confidence < _LOW_CONFIDENCE:
            found.append(
                f"the patch size of {self.patch_size.pixels:.1f} px has a confidence of only "
                f"{self.patch_size.confidence:.2f}; compare the candidates"
            )
        unassigned = int(to_numpy(self.motifs.labels < 0).sum())
        if unassigned:
            found.append(f"{unassigned:,} columns belong to no motif")
        if self.hierarchy is not None:
            found += self.hierarchy.warnings
        elif self.parameters["structure"]:
            found.append("the columns form no lattice, so there are no motif-cells and no hierarchy")
        tied = int(to_numpy(self.graph.tied).sum())
        if tied:
            found.append(f"{tied:,} columns have neighbours at equal distance, such as duplicates")
        return found

    def summary(self) -> dict[str, Any]:
        """Return the main numbers as a dict that JSON can hold."""
        labels = to_numpy(self.motifs.labels)
        environments = to_numpy(self.motifs.environments)
        confidence = to_numpy(self.motifs.confidence)
        size = self.micrograph.pixel_size_nm
        height, width = self.micrograph.shape
        motifs = []
        for label in [*range(len(self.motifs.counts)), *([-1] if (labels < 0).any() else [])]:
            member = labels == label
            inside = environments[member]
            motifs.append(
                {
                    "label": label,
                    "count": int(member.sum()),
                    "fraction": float(member.mean()),
                    "per_nm2": float(member.sum() / (height * width * size**2)) if size else None,
                    "environments": len(set(inside[inside >= 0].tolist())),
                    "confidence": float(confidence[member].mean()),
                    "shell": self._shell(label),
                }
            )
        return {
            "source": self.micrograph.source,
            "shape": [height, width],
            "pixel_size_nm": size,
            "columns": len(self.columns),
            "points": len(labels),
            "empty_sites": int((~to_numpy(self.columns.occupied)).sum()),
            "column_sigma_px": self.columns.sigma_px,
            "patch_size_px": self.patch_size.pixels,
            "n_motifs": len(self.motifs.counts),
            "n_environments": len(set(environments[environments >= 0].tolist())),
            "motifs": motifs,
            "n_motif_cells": None if self.hierarchy is None else len(self.hierarchy.nodes),
            "motif_cell_places": None if self.hierarchy is None else len(self.hierarchy.occurrences),
            "warnings": self.warnings,
            "parameters": dict(self.parameters),
            "timings_s": dict(self.timings),
            "versions": vars(backend.versions()),
        }

    def _shell(self, label: int) -> str:
        """Say what the nearest shell of a motif holds most often."""
        if label < 0 or not self.shells.multisets or not self.shells.multisets[0][label]:
            return ""
        kinds = self.shells.multisets[0][label]
        members, number = kinds[0]
        held = {kind: members.count(kind) for kind in sorted(set(members))}
        names = " + ".join(f"{count} × {'?' if kind < 0 else kind}" for kind, count in held.items())
        share = number / sum(count for _, count in kinds)
        return f"{names or 'nothing'} ({100 * share:.0f} %)"

    def reconstruct(self, *, classes: Any = 30, hide: Any = (), weights: str = "auto") -> Reconstruction:
        """Rebuild the micrograph from its motifs; see `motifgpu.reconstruction.reconstruct`."""
        from motifgpu.reconstruction import reconstruct

        # A patch is rebuilt on the image's own pixels, at least three of them.
        size = max(round(self.patch_size.pixels), 3)
        labels = self.motifs.labels
        return reconstruct(
            self.micrograph.image, self.points, labels, size, classes=classes, hide=hide, weights=weights
        )

    def site_grid(self, filled: Any, hollow: Any = ()) -> SiteGrid:
        """Arrange the sites of two motifs as a grid; see `motifgpu.occupancy_sites.site_grid`."""
        from motifgpu.occupancy_sites import site_grid

        return site_grid(self.points, self.motifs.labels, filled, hollow)

    def table(self) -> str:
        """Return all columns as CSV: a row a column, empty fields where it has no patch."""
        points, mask = to_numpy(self.columns.points), to_numpy(self.mask)
        prominence, occupied = to_numpy(self.columns.prominence), to_numpy(self.columns.occupied)
        labels, environments = to_numpy(self.motifs.labels), to_numpy(self.motifs.environments)
        confidence, layout = to_numpy(self.motifs.confidence), to_numpy(self.layout)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        at = 0
        for i, (row, col) in enumerate(points):
            line: list[Any] = [f"{row:.3f}", f"{col:.3f}", f"{prominence[i]:.6g}", int(occupied[i])]
            if mask[i]:
                x, y = layout[at]
                line += [labels[at], environments[at], f"{confidence[at]:.4f}", f"{x:.5f}", f"{y:.5f}"]
                at += 1
            writer.writerow(line + [""] * (len(_COLUMNS) - len(line)))
        return text.getvalue()

    def figures(self) -> dict[str, Figure]:
        """Draw every figure; see `motifgpu.plots.figures`."""
        from motifgpu.plots import figures

        return figures(self)

    def report(self, folder: str | os.PathLike[str]) -> Path:
        """Write report.html, figures, columns.csv, hierarchy.json and summary.json into a folder.

        Parameters
        ----------
        folder : path-like
            Made if missing; files of the same names are replaced.

        Returns
        -------
        Path
            The report.

        Raises
        ------
        OSError
            If the folder cannot be written.
        """
        from motifgpu.hierarchy.export import save_hierarchy
        from motifgpu.report import render, write_text

        folder = Path(folder)
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        drawn = self.figures()
        for name, figure in drawn.items():
            figure.savefig(folder / "figures" / f"{name}.png")
        write_text(folder / "columns.csv", self.table())
        if self.hierarchy is not None:
            save_hierarchy(self.hierarchy, folder / "hierarchy.json")
        write_text(folder / "summary.json", json.dumps(self.summary(), indent=1) + "\n")
        return write_text(folder / "report.html", render(self, drawn))


class _Stopwatch:
    """Times the stages and tells the caller which one comes."""

    def __init__(self, progress: Callable[[str, float], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._begun = time.perf_counter()

    def enter(self, stage: str) -> None:
        if self._progress:
            self._progress(stage, 0.9 * STAGES.index(stage) / len(STAGES))
        self._begun = time.perf_counter()

    def leave(self, stage: str) -> None:
        self.seconds[stage] = time.perf_counter() - self._begun


def _micrograph(source: Any, pixel_size_nm: float | None, chosen: str) -> Micrograph:
    """Return the source as a micrograph on the backend that was chosen."""
    micrograph = source
    if isinstance(source, (str, os.PathLike)):
        micrograph = read(source)
    elif not isinstance(source, Micrograph):
        micrograph = Micrograph.from_array(source)
    size = micrograph.pixel_size_nm if pixel_size_nm is None else pixel_size_nm
    image = micrograph.image
    # An array that lives on some device stays there unless told otherwise.
    if chosen != "auto" or array_api_compat.is_numpy_array(image):
        xp = backend.select(chosen)
        image = xp.asarray(image if array_api_compat.is_cupy_namespace(xp) else to_numpy(image))
    return Micrograph.from_array(image, size, source=micrograph.source, title=micrograph.title)


def _structure(points: Array, labels: Array) -> tuple[Cells | None, Hierarchy | None]:
    """Return motif-cells and hierarchy, None where the columns form no lattice."""
    try:
        lattice = fit_lattice(points, labels=labels)
    except StageError:
        return None, None
    cells = motif_cells(lattice, labels)
    return cells, build_hierarchy(cells)


def _sampling(side: float, order: int | None) -> tuple[int, int]:
    """Return samples along a patch of `side` pixels, and the Zernike order."""
    samples = max(round(side), 1)
    if order is None:
        order = _COARSE_ORDER if samples < _COARSE else _ORDER
    if samples < _COARSE:
        samples = _COARSE_SAMPLES
    if usable_order(samples, order) < order:
        samples = max(samples, sufficient_size(order))
    return samples, order


def analyze(
    source: Any,
    *,
    pixel_size_nm: float | None = None,
    smoothing: str = "auto",
    remove_background: bool = False,
    patch_size: float | None = None,
    order: int | None = None,
    rotation_invariant: bool = False,
    n_neighbors: int = 10,
    n_motifs: int | None = None,
    structure: bool = True,
    seed: int = 0,
    backend: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> Analysis:
    """Find the atom columns of one micrograph, their moments, layout and motifs.

    Parameters
    ----------
    source : path-like, Micrograph or (H, W) array
        The micrograph, raw.
    pixel_size_nm : float, optional
        Pixel size in nm, instead of the one that the file states.
    smoothing : {"auto", "fft", "svd"}
        How the image is smoothed to find the columns.
    remove_background : bool
        Take the slow background off before the moments. Off by default: the motifs allow for a background
        themselves, and the filter costs contrast of defects (WS2 at 10 counts: AMI 0.96 against 0.98).
    patch_size : float, optional
        Side of a patch, px; the paper's size by default (`estimate_patch_size`).
    order : int, optional
        Highest Zernike order; by default 10, and 6 in coarse images, whose patches are less than 20 px wide.
    rotation_invariant : bool
        Let the neighbour graph see the lengths |A_p|q|| alone, so that turned patches are alike.
    n_neighbors : int
        Neighbours in the graph, the column itself counted.
    n_motifs : int, optional
        Number of motifs; found by default.
    structure : bool
        Also fit the lattice and compose the motifs into motif-cells and their hierarchy, where there is one.
    seed : int
        Of the random numbers of the layout.
    backend : {"auto", "numpy", "cupy"}
        Where to compute; ``"auto"`` takes a GPU where one is usable and leaves an array that is on a device
        where it is.
    progress : callable, optional
        Called as ``progress(stage, fraction)`` before each stage.

    Returns
    -------
    Analysis

    Raises
    ------
    MicrographReadError
        If the file cannot be read.
    StageError
        If a stage cannot work on what it is given; the message names it, the value and a remedy.

    Notes
    -----
    The stages are those of Dan et al., Science Advances 8, eabk1005 (2022), Fig. 1. In coarse images patches
    are sampled at 24 points a side. Measured on TiWSe2 (patches of 15 px, published labels): identity AMI
    0.905 with the 15 px as they are and order 10, 0.921 with 24 samples, 0.925 with 24 samples and order 6;
    on simulations of that sampling at 10 counts order 6 finds two thirds of the vacancies, order 10 half.
    """
    watch = _Stopwatch(progress)
    micrograph = _micrograph(source, pixel_size_nm, backend)
    # One thread a matrix product, because the number of threads changes the last bits.
    with threadpool_limits(limits=1, user_api="blas"):
        watch.enter("columns")
        columns = find_columns(micrograph.image, smoothing=smoothing)
        watch.leave("columns")

        watch.enter("patch size")
        size = estimate_patch_size(micrograph.image)
        if patch_size is not None:
            size = replace(size, pixels=float(patch_size), confidence=1.0)
        watch.leave("patch size")

        watch.enter("moments")
        image = micrograph.image
        if remove_background:
            image = image - estimate_background(image)
        samples, order = _sampling(size.pixels, order)
        patches, mask = extract_patches(image, columns.points, samples, side=size.pixels)
        if patches.shape[0] == 0:
            raise StageError(
                "patches",
                f"none of the {len(columns)} columns has a patch of {size.pixels:.1f} px inside the image",
                "give a smaller patch_size or a larger image",
            )
        moments = zernike_moments(patches, order)
        features = rotation_invariants(moments) if rotation_invariant else moments
        watch.leave("moments")

        watch.enter("neighbors")
        neighbors = nearest_neighbors(features, n_neighbors - 1)
        watch.leave("neighbors")
        watch.enter("affinity")
        graph = affinity_graph(neighbors)
        watch.leave("affinity")
        watch.enter("layout")
        layout = relax(graph, pca_start(features), seed=seed)
        watch.leave("layout")

        watch.enter("motifs")
        motifs = find_motifs(moments, layout, n_motifs=n_motifs)
        watch.leave("motifs")

        watch.enter("averages")
        averages = class_averages(patches, moments, motifs.labels)
        inside = columns.select(mask).points
        shells = neighbor_shells(inside, motifs.labels)
        watch.leave("averages")

        cells, hierarchy = None, None
        if structure:
            watch.enter("structure")
            cells, hierarchy = _structure(inside, motifs.labels)
            watch.leave("structure")
    return Analysis(
        micrograph=micrograph,
        columns=columns,
        mask=mask,
        points=inside,
        moments=moments,
        graph=graph,
        layout=layout,
        motifs=motifs,
        averages=averages,
        shells=shells,
        patch_size=size,
        cells=cells,
        hierarchy=hierarchy,
        parameters={
            "smoothing": smoothing,
            "remove_background": remove_background,
            "patch_size_px": size.pixels,
            "patch_samples": samples,
            "order": order,
            "rotation_invariant": rotation_invariant,
            "n_neighbors": n_neighbors,
            "n_motifs": n_motifs,
            "structure": structure,
            "seed": seed,
            "backend": array_api_compat.array_namespace(micrograph.image).__name__,
        },
        timings=watch.seconds,
    )
