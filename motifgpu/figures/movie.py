"""The layout relaxing, as a movie (Movie S1 of the paper): a frame every few sweeps, coloured by motif."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from motifgpu.core.checks import check_integer, check_labels
from motifgpu.core.errors import StageError
from motifgpu.core.files import replacing
from motifgpu.core.namespace import Array, take_rows, to_numpy
from motifgpu.features.zernike import rotation_invariants
from motifgpu.figures.layout import dot_area
from motifgpu.figures.palette import motif_color
from motifgpu.figures.sample import LIMIT, drawn_columns
from motifgpu.graph.relaxation import STAGES, Stage, pca_start, relax

if TYPE_CHECKING:
    from matplotlib.animation import AbstractMovieWriter

    from motifgpu.analysis import Analysis
    from motifgpu.graph.affinity import AffinityGraph

STAGE = "movie"
_MOST_NAMES = 12  # in the legend
_INCHES, _DPI = 5.4, 100  # 540 pixels along each side: an even number, as H.264 requires
_MARGIN = 1.12  # of the frame over the extent of the layout
_FOLLOW = 0.8  # of the last frame's view that stays in the next, so that the view does not jump
_HOLD = 1.5  # seconds that the last frame stays
_CODEC, _CODEC_OPTIONS = "h264", ["-pix_fmt", "yuv420p"]  # what every player knows


def layout_movie(
    graph: AffinityGraph,
    start: Array,
    path: str | os.PathLike[str],
    *,
    labels: Array | None = None,
    stages: Sequence[Stage] = STAGES,
    seed: int = 0,
    frames: int = 90,
    frames_per_second: int = 15,
    limit: int = LIMIT,
    **options: Any,
) -> Array:
    """Relax a layout and write a movie of it.

    Parameters
    ----------
    graph : AffinityGraph
        Of one micrograph.
    start : (N, 2) array
        Initial positions.
    path : path-like
        Ends in ``.gif``, or in ``.mp4`` where ffmpeg is installed. A file of that name is replaced.
    labels : (N,) int array, optional
        Motif of each vertex, which sets its colour; one colour without.
    stages, seed
        As of `motifgpu.relax`.
    frames : int
        Approximate number of pictures.
    frames_per_second : int
    limit : int
        Largest number of vertices drawn; see `motifgpu.figures.sample.drawn_columns`.
    **options
        Further ones of `motifgpu.relax`.

    Returns
    -------
    (N, 2) float32 array
        The relaxed layout, the same as without a movie.

    Raises
    ------
    StageError
        If the graph is not that of one micrograph, the labels do not fit, the path ends in something else,
        ffmpeg is missing, or the layout cannot be relaxed.
    OSError
        If the file cannot be written.

    Examples
    --------
    A short movie of the layout of patches of two kinds:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> made = motifgpu.simulate.patches(
    ...     (30, 30), centers=(1.0, 0.5), gaussian=0.1, size=32, distance=8, sigma=2
    ... )
    >>> moments = motifgpu.zernike_moments(made.patches)
    >>> graph = motifgpu.affinity_graph(motifgpu.nearest_neighbors(moments))
    >>> start = motifgpu.pca_start(moments)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     movie = Path(folder) / "layout.gif"
    ...     layout = motifgpu.layout_movie(graph, start, movie, frames=3, frames_per_second=1)
    ...     movie.stat().st_size > 0
    True
    >>> layout.shape
    (60, 2)
    """
    path = Path(path)
    n = int(graph.indptr.shape[0]) - 1
    if len(graph.offsets) != 2 or not n:
        raise StageError(
            STAGE,
            f"the graph holds {len(graph.offsets) - 1} micrographs and {n} vertices",
            "give that of one micrograph, such as analysis.graph",
        )
    kinds = np.zeros(n, np.int64) if labels is None else check_labels(labels, STAGE, n)
    frames = check_integer(frames, STAGE, "frames", 2)
    writer = _writer(path, check_integer(frames_per_second, STAGE, "frames_per_second", 1, 100))
    rows = drawn_columns(kinds, limit)
    ends = list(accumulate(Stage(*stage).sweeps_for(n) for stage in stages))
    kept: list[tuple[int, np.ndarray]] = []

    def keep(sweep: int, layout: Array) -> None:
        kept.append((sweep, np.array(to_numpy(layout)[rows])))

    every = max(1, round(ends[-1] / frames)) if ends else 1
    options |= {"stages": stages, "seed": seed, "callback": keep, "callback_every": every}
    relaxed = relax(graph, start, **options)
    kept = [(0, to_numpy(start)[rows]), *kept, *[kept[-1]] * round(_HOLD * frames_per_second)]
    picture = _Picture(kinds[rows], ends, n)
    with TemporaryDirectory() as folder:
        made = Path(folder) / f"movie{path.suffix.lower()}"
        with writer.saving(picture.figure, made, _DPI):
            for sweep, layout in kept:
                picture.show(sweep, layout)
                writer.grab_frame()
        with replacing(path) as file, open(made, "rb") as movie:
            shutil.copyfileobj(movie, file)
    return relaxed


def analysis_movie(analysis: Analysis, path: str | os.PathLike[str], **options: Any) -> Path:
    """Write how the layout of an analysis relaxed; see `motifgpu.Analysis.movie`."""
    turned = analysis.parameters["rotation_invariant"]
    moments = take_rows(analysis.moments, analysis.whole)  # the others take no part
    features = rotation_invariants(moments) if turned else moments
    with threadpool_limits(limits=1, user_api="blas"):  # the start that `analyze` had, to the bit
        start = pca_start(features)
    labels = take_rows(analysis.motifs.labels, analysis.whole)
    known = {"labels": labels, "seed": analysis.parameters["seed"]}
    layout_movie(analysis.graph, start, path, **known, **options)
    return Path(path)


def _writer(path: Path, frames_per_second: int) -> AbstractMovieWriter:
    from matplotlib.animation import FFMpegWriter, PillowWriter

    ending = path.suffix.lower()
    if ending == ".gif":
        return PillowWriter(fps=frames_per_second)
    if ending != ".mp4":
        raise StageError(STAGE, f"{path.name} ends in neither .gif nor .mp4", "choose one of those")
    if not FFMpegWriter.isAvailable():
        raise StageError(
            STAGE, "an .mp4 needs ffmpeg, which is not on the path", "install it, or write a .gif"
        )
    return FFMpegWriter(fps=frames_per_second, codec=_CODEC, extra_args=_CODEC_OPTIONS)


class _Picture:
    """One frame after the other, on the same axes."""

    def __init__(self, kinds: np.ndarray, ends: list[int], n: int) -> None:
        self.figure = Figure(figsize=(_INCHES, _INCHES), dpi=_DPI)
        self._ax = self.figure.add_axes((0.01, 0.01, 0.98, 0.92), aspect="equal", xticks=[], yticks=[])
        colors = {kind: motif_color(kind) for kind in set(kinds.tolist())}
        self._dots = self._ax.scatter(
            np.zeros(len(kinds)),
            np.zeros(len(kinds)),
            s=2 * dot_area(len(kinds)),
            c=[colors[kind] for kind in kinds.tolist()],
            linewidths=0,
        )
        for kind in sorted(colors)[:_MOST_NAMES]:
            name = "unassigned" if kind < 0 else f"motif {kind}"
            self._ax.scatter([], [], color=colors[kind], s=30, linewidths=0, label=name)
        if len(colors) > 1:
            self._ax.legend(loc="upper left", fontsize=8, frameon=False, handletextpad=0.2)
        shown = f"{len(kinds):,} of {n:,} columns" if len(kinds) < n else f"{n:,} columns"
        self._shown, self._ends = shown, ends
        self._view: np.ndarray | None = None  # middle and half width

    def show(self, sweep: int, layout: np.ndarray) -> None:
        """Draw a layout and say which sweep of which stage it is from."""
        low, high = layout.min(axis=0), layout.max(axis=0)
        half = max(float((high - low).max()) / 2 * _MARGIN, 1e-6)
        view = np.array([*(low + high) / 2, half])
        self._view = view if self._view is None else _FOLLOW * self._view + (1 - _FOLLOW) * view
        x, y, half = self._view.tolist()
        self._dots.set_offsets(layout)
        self._ax.set(xlim=(x - half, x + half), ylim=(y - half, y + half))
        stage = 1 + int(np.searchsorted(self._ends, sweep)) if sweep else 0
        where = f"stage {stage} of {len(self._ends)}" if stage else "start: principal components"
        self._ax.set_title(f"sweep {sweep} of {self._ends[-1]}, {where}; {self._shown}", fontsize=9)
