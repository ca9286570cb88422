"""Columns that a person adds or takes away, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.columns.find import DARK, Columns
from motifgpu.columns.given import measure_columns
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, from_numpy, take_rows, to_numpy
from motifgpu.decisions.decision import STAGE
from motifgpu.decisions.environments import NOTHING
from motifgpu.decisions.following import (
    averages_after,
    part_around,
    patch_grid,
    standard_image,
    whole_patches,
    with_environments,
    with_structure,
)
from motifgpu.decisions.graph import with_vertices
from motifgpu.decisions.places import find_rows
from motifgpu.features.cut_patches import LARGEST_CUT, Modes, seen_of
from motifgpu.features.zernike import zernike_moments
from motifgpu.motifs.averages import mean_rows
from motifgpu.motifs.cut_columns import with_cut_columns, with_cut_moments, with_cut_places
from motifgpu.motifs.find import Motifs
from motifgpu.motifs.shells import neighbor_shells

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_AROUND = 8  # sides of a patch: how much of the micrograph around a new column it is fitted in
_NOISE = 500  # whole patches nearest to new columns that noise is measured in


def with_columns(analysis: Analysis, places: np.ndarray) -> Analysis:
    """Return an analysis with further columns, placed into the layout as it is.

    Their motifs are those of the columns that are most like them; none of the others changes its motif or its
    place in the layout.

    Parameters
    ----------
    analysis : Analysis
    places : (k, 2) ndarray
        Where they are, (row, col) px, to the nearest pixel or better: they are fitted to the image.

    Raises
    ------
    StageError
        If a place is outside the image or none is on data.
    """
    columns, old = _measured(analysis, places)
    known = np.zeros(len(columns), bool)
    known[old] = True
    grid = patch_grid(analysis, take_rows(columns.points, from_numpy(~known, columns.points)))
    patched = grid.missing <= LARGEST_CUT
    mask = np.empty(len(columns), bool)
    mask[old], mask[~known] = to_numpy(analysis.mask), patched
    inside = from_numpy(known[mask], analysis.whole)
    had, new = np.flatnonzero(known[mask]), np.flatnonzero(~known[mask])
    of_one = _joined(np.argsort(np.concatenate([had, new])))
    changed = replace(
        analysis,
        columns=columns,
        mask=from_numpy(mask, analysis.mask),
        points=take_rows(columns.points, from_numpy(mask, columns.points)),
        missing=of_one(analysis.missing, from_numpy(grid.missing[patched], analysis.missing)),
        whole=of_one(analysis.whole, from_numpy(grid.whole[patched], analysis.whole)),
    )
    if not patched.any():
        return with_structure(changed)

    patches = grid.sample(patched)
    modes = _modes(analysis, grid.points[patched].mean(axis=0))
    seen = seen_of(patches, grid.present(np.flatnonzero(patched)), modes)
    motifs = with_cut_columns(analysis.motifs, analysis.moments, seen, changed.points, inside)
    moments = with_cut_moments(analysis.moments, seen, inside)
    # Whole patches have moments of their own.
    exact = zernike_moments(patches, analysis.parameters["order"])
    certain = changed.whole & ~inside
    xp = namespace.array_namespace(moments)
    moments = xp.where(certain[:, None], of_one(analysis.moments, exact), moments)
    layout = with_cut_places(analysis.layout, moments, motifs.labels, inside, modes)
    came = from_numpy(grid.whole[patched], analysis.whole)
    labels = to_numpy(take_rows(motifs.labels, certain))
    return _followed(
        analysis,
        replace(changed, motifs=motifs, moments=moments, layout=layout),
        np.where(known[mask], np.cumsum(known[mask]) - 1, -1),
        [(1, take_rows(patches, came), labels)],
    )


def _joined(order: np.ndarray) -> Callable[[Array, Array], Array]:
    """Return what makes one array, in an order (n,), of values of the old columns and then the new ones."""

    def join(values: Array, new: Array) -> Array:
        xp = namespace.array_namespace(values)
        every = xp.concat([values, xp.astype(new, values.dtype)], axis=0)
        return xp.take(every, from_numpy(order, values), axis=0)

    return join


def _modes(analysis: Analysis, middle: np.ndarray) -> Modes:
    """Return how whole patches differ; the noise is that of the patches around a place (row, col)."""
    whole = np.flatnonzero(to_numpy(analysis.whole))
    apart = np.linalg.norm(to_numpy(analysis.points)[whole] - middle, axis=1)
    near = np.sort(np.argsort(apart, kind="stable")[:_NOISE])
    moments = take_rows(analysis.moments, analysis.whole)
    patches = whole_patches(analysis, whole[near])
    return Modes.of(patches, moments, analysis.patch_size.pixels, from_numpy(near, moments))


def without_columns(analysis: Analysis, rows: np.ndarray) -> Analysis:
    """Return an analysis without some of its columns; the others keep motif and place.

    Parameters
    ----------
    analysis : Analysis
    rows : (k,) int ndarray
        Which of `Analysis.columns`.

    Raises
    ------
    StageError
        If no column with a whole patch would be left.
    """
    stay = np.ones(len(analysis.columns), bool)
    stay[rows] = False
    mask = to_numpy(analysis.mask)
    kept = stay[mask]
    if not (kept & to_numpy(analysis.whole)).any():
        raise StageError(STAGE, "all columns with a whole patch are chosen", "keep one at least")
    here = from_numpy(kept, analysis.whole)
    named: dict[str, Any] = {
        field.name: take_rows(getattr(analysis.motifs, field.name), here)
        for field in fields(Motifs)
        if field.name not in ("counts", "means", "notes", "names")
    }
    one_by_one = ("points", "whole", "missing", "moments", "layout")
    changed: dict[str, Any] = {name: take_rows(getattr(analysis, name), here) for name in one_by_one}
    went = np.flatnonzero(~kept & to_numpy(analysis.whole))
    lost = [(-1, whole_patches(analysis, went), to_numpy(analysis.motifs.labels)[went])] if went.size else []
    return _followed(
        analysis,
        replace(
            analysis,
            columns=analysis.columns.select(from_numpy(stay, analysis.columns.points)),
            mask=from_numpy(mask[stay], analysis.mask),
            motifs=replace(analysis.motifs, **named),
            **changed,
        ),
        np.flatnonzero(kept),
        lost,
    )


def _measured(analysis: Analysis, places: np.ndarray) -> tuple[Columns, np.ndarray]:
    """Return all columns with those that are added, and where the old ones are among them."""
    before = analysis.columns
    host = to_numpy(before.points).astype(np.float64)
    invert = analysis.parameters["invert"]
    dark = DARK in before.notes if invert is None else bool(invert)
    here = part_around(analysis, places, _AROUND * analysis.patch_size.pixels)
    first, last = np.array([(side.start, side.stop - 1) for side in here]).T
    there = ((host >= first - 0.5) & (host <= last + 0.5)).all(axis=1)
    among = np.concatenate([host[there], places])
    found = measure_columns(
        standard_image(analysis, here),
        among - first,
        refine=True,
        smoothing=analysis.parameters["smoothing"],
        invert=dark,
    )
    # Where the fit went elsewhere, a column stays where the person saw it.
    fitted = to_numpy(found.points).astype(np.float64) + first
    row = find_rows(fitted, places)
    on_data = np.flatnonzero(row >= 0)
    if not on_data.size:
        raise StageError(STAGE, f"no column can be added at {tuple(places[0])}", "choose places on data")
    new = np.where((row >= 0)[:, None], fitted[row], places)
    prominence = np.where(row >= 0, to_numpy(found.prominence)[row], 0.0)
    order = np.lexsort(np.concatenate([host, new])[:, ::-1].T)
    join = _joined(order)
    ones = np.ones(len(new), np.float32)
    columns = replace(
        before,
        points=join(before.points, from_numpy(new.astype(np.float32), before.points)),
        prominence=join(before.prominence, from_numpy(prominence.astype(np.float32), before.points)),
        occupied=join(before.occupied, from_numpy(ones > 0, before.points)),
        probability=join(before.probability, from_numpy(ones, before.points)),
    )
    return columns, np.argsort(order)[: len(host)]


def _followed(
    before: Analysis, after: Analysis, origin: np.ndarray, changes: Sequence[tuple[int, Array, np.ndarray]]
) -> Analysis:
    """Return an analysis of other columns with what follows from them; the layout is as it is.

    Parameters
    ----------
    before, after : Analysis
    origin : (m,) int ndarray
        Which of the points before each one is, -1 for those that are new.
    changes : sequence
        Whole patches that came or went, see `averages_after`.
    """
    motifs, whole = after.motifs, to_numpy(after.whole)
    labels, kinds = to_numpy(motifs.labels), len(to_numpy(motifs.counts))
    moments = take_rows(after.moments, after.whole)
    of_whole = np.bincount(labels[whole & (labels >= 0)], minlength=kinds)
    counts = np.bincount(labels[labels >= 0], minlength=kinds)
    means = mean_rows(moments, labels[whole], of_whole)
    vertex = np.cumsum(to_numpy(before.whole)) - 1
    vertices = np.where(origin >= 0, vertex[origin], -1)[whole]
    environments = to_numpy(motifs.environments)
    new = (origin < 0) & whole & (labels >= 0)  # of an environment that is to be found
    environments = np.where(new, environments.max(initial=-1) + 1, environments)
    motifs = replace(
        motifs,
        counts=from_numpy(counts, motifs.counts),
        means=means,
        environments=from_numpy(environments.astype(np.int32), motifs.labels),
    )
    followed = replace(
        after,
        motifs=motifs,
        averages=averages_after(before.averages, np.arange(kinds), changes, of_whole, means),
        shells=neighbor_shells(after.points, motifs.labels),
        graph=with_vertices(before.graph, vertices, moments, after.parameters),
    )
    gone = np.delete(to_numpy(before.points), origin[origin >= 0], axis=0)
    apart, _ = cKDTree(gone).query(to_numpy(after.points)) if len(gone) else (np.full(len(origin), np.inf), 0)
    earlier = np.where(origin >= 0, labels, NOTHING)
    return with_structure(with_environments(followed, earlier, apart < 0.5 * after.patch_size.pixels))
