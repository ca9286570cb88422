"""One micrograph through all stages: `analyze`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import array_api_compat
from threadpoolctl import threadpool_limits

from motifgpu import backend
from motifgpu.affinity import affinity_graph
from motifgpu.analysis import Analysis
from motifgpu.averages import class_averages
from motifgpu.backend import Array, to_numpy
from motifgpu.cells import Cells, motif_cells
from motifgpu.columns import find_columns
from motifgpu.disc import sufficient_size
from motifgpu.errors import StageError
from motifgpu.hierarchy import Hierarchy, build_hierarchy
from motifgpu.lattice import fit_lattice
from motifgpu.micrograph import Micrograph, read
from motifgpu.motifs import find_motifs
from motifgpu.neighbors import nearest_neighbors
from motifgpu.patch_size import estimate_patch_size
from motifgpu.patches import extract_patches
from motifgpu.relaxation import pca_start, relax
from motifgpu.shells import neighbor_shells
from motifgpu.smoothing import estimate_background
from motifgpu.zernike import rotation_invariants, usable_order, zernike_moments

STAGES = (
    *("columns", "patch size", "moments", "neighbors", "affinity", "layout", "motifs", "averages"),
    "structure",
)
_ORDER, _COARSE_ORDER = 10, 6
_COARSE, _COARSE_SAMPLES = 20, 24  # px a side below which a patch is coarse, and samples it then gets


class _Stopwatch:
    """Times the stages and tells the caller which one comes."""

    def __init__(self, progress: Callable[[str, float], None] | None) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        if self._progress:
            self._progress(name, 0.9 * STAGES.index(name) / len(STAGES))
        begun = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begun


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


def _structure(points: Array, labels: Array) -> tuple[Cells | None, Hierarchy | None, str]:
    """Return motif-cells and hierarchy; None where the columns form no lattice, and why not."""
    try:
        lattice = fit_lattice(points, labels=labels)
    except StageError as error:
        return None, None, error.problem
    cells = motif_cells(lattice, labels)
    return cells, build_hierarchy(cells), ""


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
        with watch.stage("columns"):
            columns = find_columns(micrograph.image, smoothing=smoothing)
        with watch.stage("patch size"):
            size = estimate_patch_size(micrograph.image)
            if patch_size is not None:
                size = replace(size, pixels=float(patch_size), confidence=1.0)
        with watch.stage("moments"):
            image = micrograph.image
            if remove_background:
                image = image - estimate_background(image)
            samples, order = _sampling(size.pixels, order)
            patches, mask = extract_patches(image, columns.points, samples, side=size.pixels)
            if patches.shape[0] == 0:
                raise StageError(
                    "patches",
                    f"no patch of {size.pixels:.1f} px around the {len(columns)} columns is inside the image",
                    "give a smaller patch_size or a larger image",
                )
            moments = zernike_moments(patches, order)
            features = rotation_invariants(moments) if rotation_invariant else moments
        with watch.stage("neighbors"):
            neighbors = nearest_neighbors(features, n_neighbors - 1)
        with watch.stage("affinity"):
            graph = affinity_graph(neighbors)
        with watch.stage("layout"):
            layout = relax(graph, pca_start(features), seed=seed)
        with watch.stage("motifs"):
            motifs = find_motifs(moments, layout, n_motifs=n_motifs)
        with watch.stage("averages"):
            averages = class_averages(patches, moments, motifs.labels)
            inside = columns.select(mask).points
            shells = neighbor_shells(inside, motifs.labels)
        cells, hierarchy, no_lattice = None, None, "not looked for"
        if structure:
            with watch.stage("structure"):
                cells, hierarchy, no_lattice = _structure(inside, motifs.labels)
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
        no_lattice=no_lattice,
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
