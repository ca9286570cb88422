"""Columns that a person adds or takes away, and what follows from it."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.columns.find import DARK, Columns
from motifgpu.columns.given import measure_columns
from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, from_numpy, take_rows, to_numpy
from motifgpu.decisions.decision import STAGE
from motifgpu.decisions.following import (
    patch_grid,
    standard_image,
    with_averages,
    with_structure,
)
from motifgpu.decisions.places import find_rows
from motifgpu.features.cut_patches import LARGEST_CUT, Modes, seen_of
from motifgpu.features.zernike import rotation_invariants, zernike_moments
from motifgpu.graph.affinity import AffinityGraph, affinity_graph
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.motifs.averages import mean_rows
from motifgpu.motifs.cut_columns import with_cut_columns, with_cut_moments, with_cut_places
from motifgpu.motifs.find import Motifs

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


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
    grid = patch_grid(analysis, columns.points)
    mask = np.zeros(len(columns), bool)
    mask[old] = to_numpy(analysis.mask)
    mask |= ~known & (to_numpy(grid.missing) <= LARGEST_CUT)

    def joined(values: Array, new: Array) -> Array:
        """Return values of the columns with a patch: the old ones, and the new ones in their places."""
        xp = namespace.array_namespace(values)
        place = np.empty(int(mask.sum()), np.int64)
        inside = known[mask]
        place[inside] = np.arange(int(inside.sum()))
        place[~inside] = int(inside.sum()) + np.arange(int((~inside).sum()))
        every = xp.concat([values, xp.astype(new, values.dtype)], axis=0)
        return xp.take(every, from_numpy(place, values), axis=0)

    fresh = from_numpy(mask & ~known, grid.missing)
    changed = replace(
        analysis,
        columns=columns,
        mask=from_numpy(mask, analysis.mask),
        points=take_rows(columns.points, from_numpy(mask, columns.points)),
        missing=joined(analysis.missing, take_rows(grid.missing, fresh)),
        whole=joined(analysis.whole, take_rows(grid.whole, fresh)),
    )
    if not (mask & ~known).any():
        return with_structure(changed)

    at_hand = np.zeros(len(columns), bool)
    at_hand[old] = _whole_of_all(analysis)
    inside = from_numpy(known[mask], analysis.whole)
    own = take_rows(analysis.moments, analysis.whole)
    modes = Modes.of(grid.sample(from_numpy(at_hand, grid.missing)), own, analysis.patch_size.pixels)
    xp = namespace.array_namespace(grid.missing)
    patches = grid.sample(fresh)
    seen = seen_of(patches, grid.present(xp.nonzero(fresh)[0]), modes)
    motifs = with_cut_columns(analysis.motifs, analysis.moments, seen, changed.points, inside)
    moments = with_cut_moments(analysis.moments, seen, inside)
    # Whole patches have moments of their own.
    exact = zernike_moments(patches, analysis.parameters["order"])
    certain = changed.whole & ~inside
    moments = xp.where(certain[:, None], joined(analysis.moments, exact), moments)
    layout = with_cut_places(analysis.layout, moments, motifs.labels, inside, modes)
    return _followed(replace(changed, motifs=motifs, moments=moments, layout=layout))


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
    return _followed(
        replace(
            analysis,
            columns=analysis.columns.select(from_numpy(stay, analysis.columns.points)),
            mask=from_numpy(mask[stay], analysis.mask),
            motifs=replace(analysis.motifs, **named),
            **changed,
        )
    )


def _measured(analysis: Analysis, places: np.ndarray) -> tuple[Columns, np.ndarray]:
    """Return all columns with those that are added, and where the old ones are among them."""
    before = analysis.columns
    host = to_numpy(before.points).astype(np.float64)
    invert = analysis.parameters["invert"]
    dark = DARK in before.notes if invert is None else bool(invert)
    found = measure_columns(
        standard_image(analysis),
        np.concatenate([host, places]),
        refine=True,
        smoothing=analysis.parameters["smoothing"],
        invert=dark,
    )
    # Where the fit went elsewhere, a column stays where the person saw it.
    fitted = to_numpy(found.points).astype(np.float64)
    row = find_rows(fitted, places)
    on_data = np.flatnonzero(row >= 0)
    if not on_data.size:
        raise StageError(STAGE, f"no column can be added at {tuple(places[0])}", "choose places on data")
    new = np.where((row >= 0)[:, None], fitted[row], places)
    prominence = np.where(row >= 0, to_numpy(found.prominence)[row], 0.0)
    order = np.lexsort(np.concatenate([host, new])[:, ::-1].T)
    xp = namespace.array_namespace(before.points)
    index = from_numpy(order, before.points)

    def joined(values: Array, more: np.ndarray) -> Array:
        every = xp.concat([values, xp.astype(from_numpy(more, values), values.dtype)], axis=0)
        return xp.take(every, index, axis=0)

    columns = replace(
        before,
        points=joined(before.points, new.astype(np.float32)),
        prominence=joined(before.prominence, prominence.astype(np.float32)),
        occupied=joined(before.occupied, np.ones(len(new), bool)),
        probability=joined(before.probability, np.ones(len(new), np.float32)),
    )
    return columns, np.argsort(order)[: len(host)]


def _whole_of_all(analysis: Analysis) -> np.ndarray:
    """Return which of all columns (n,) have a whole patch."""
    whole = np.zeros(len(analysis.columns), bool)
    whole[to_numpy(analysis.mask)] = to_numpy(analysis.whole)
    return whole


def _followed(analysis: Analysis) -> Analysis:
    """Return an analysis of other columns with what follows from them; the layout is as it is."""
    motifs, whole = analysis.motifs, to_numpy(analysis.whole)
    labels, kinds = to_numpy(motifs.labels), len(to_numpy(motifs.counts))
    moments = take_rows(analysis.moments, analysis.whole)
    of_whole = np.bincount(labels[whole & (labels >= 0)], minlength=kinds)
    counts = np.bincount(labels[labels >= 0], minlength=kinds)
    motifs = replace(
        motifs,
        counts=from_numpy(counts, motifs.counts),
        means=mean_rows(moments, labels[whole], of_whole),
    )
    changed = replace(analysis, motifs=motifs, graph=_graph(moments, analysis.parameters))
    return with_structure(with_averages(changed))


def _graph(moments: Array, parameters: Any) -> AffinityGraph:
    """Return the neighbour graph of whole columns."""
    features = rotation_invariants(moments) if parameters["rotation_invariant"] else moments
    k = min(parameters["n_neighbors"], moments.shape[0]) - 1
    return affinity_graph(nearest_neighbors(features, k, metric=parameters["metric"]))
