"""What follows from the labels of columns, brought up to date after some of them changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from motifgpu.columns.background import estimate_background
from motifgpu.columns.pixels import Pixels
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.namespace import Array, from_numpy, take_rows, to_numpy
from motifgpu.decisions.environments import environments_after, neighbors_seen
from motifgpu.features.patches import PatchGrid
from motifgpu.features.zernike import reconstruct_patches
from motifgpu.motifs.averages import ClassAverages, mean_rows
from motifgpu.motifs.shells import neighbor_shells
from motifgpu.structure.composition import compose

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


Part = tuple[slice, slice]
# How far beyond a patch pixels are held by a spline through them, to the last bit of float32, px.
_SPLINE = 16


def standard_image(analysis: Analysis, part: Part | None = None) -> StandardImage:
    """Return the micrograph as its columns were searched in, or a part of it; its faults are known."""
    micrograph, here = analysis.micrograph, part or (slice(None), slice(None))
    valid = None if micrograph.valid is None else micrograph.valid[here]
    pixels = Pixels(micrograph.image[here], valid, 0.0, micrograph.left_out)
    return StandardImage.of(pixels, "columns")


def part_around(analysis: Analysis, points: np.ndarray, margin: float) -> Part:
    """Return the part of the micrograph around one point or more (k, 2), up to a margin in px."""
    low = np.maximum(np.floor(points.min(axis=0) - margin).astype(int), 0)
    high = np.minimum(np.ceil(points.max(axis=0) + margin).astype(int) + 1, analysis.micrograph.shape)
    return slice(low[0], high[0]), slice(low[1], high[1])


def patch_grid(analysis: Analysis, points: Array) -> PatchGrid:
    """Return the patches of columns at `points` (n, 2), as those of the analysis were sampled."""
    micrograph, image = analysis.micrograph, analysis.micrograph.image
    samples, length = analysis.parameters["patch_samples"], analysis.patch_size.pixels
    if analysis.parameters["remove_background"]:
        image = image - estimate_background(standard_image(analysis))
    here = part_around(analysis, to_numpy(points), length + _SPLINE)
    valid = None if micrograph.valid is None else micrograph.valid[here]
    origin = namespace.as_like(np.array([[side.start for side in here]]), points)
    return PatchGrid(image[here], points - origin, samples, length, valid)


def with_labels(
    analysis: Analysis,
    labels: np.ndarray,
    names: tuple[str, ...],
    *,
    identities: np.ndarray,
    confidence: np.ndarray,
) -> Analysis:
    """Return an analysis with other labels, and all that follows from them.

    Parameters
    ----------
    analysis : Analysis
    labels, identities : (m,) int ndarray
        Numbers stay, so that those of motifs without columns are free.
    names : tuple of str
    confidence : (m,) ndarray
        Of the labels.

    Returns
    -------
    Analysis
    """
    motifs = analysis.motifs
    kinds = max(int(labels.max(initial=-1)) + 1, len(to_numpy(motifs.counts)))
    counts = np.bincount(labels[labels >= 0], minlength=kinds)
    confidence = np.where(labels >= 0, confidence, 0.0)
    whole = to_numpy(analysis.whole)
    of_whole = np.bincount(labels[whole & (labels >= 0)], minlength=kinds)
    ratio = np.minimum(confidence / np.maximum(to_numpy(motifs.confidence), 1e-9), 1.0)
    changed = replace(
        motifs,
        labels=from_numpy(labels.astype(np.int32), motifs.labels),
        counts=from_numpy(counts, motifs.counts),
        means=mean_rows(take_rows(analysis.moments, analysis.whole), labels[whole], of_whole),
        confidence=namespace.as_like(confidence, motifs.confidence),
        identities=from_numpy(identities.astype(np.int32), motifs.labels),
        identity_confidence=namespace.as_like(
            np.where(labels >= 0, np.maximum(to_numpy(motifs.identity_confidence) * ratio, confidence), 0.0),
            motifs.confidence,
        ),
        names=names,
    )
    shells = analysis.shells
    radii = shells.radii.tolist() if len(shells.radii) > 1 else None
    return with_structure(
        with_environments(
            replace(
                analysis,
                motifs=changed,
                averages=_averages(analysis, labels[whole], of_whole, changed.means),
                shells=neighbor_shells(analysis.points, changed.labels, radii=radii),
            ),
            to_numpy(motifs.labels),
        )
    )


def with_structure(analysis: Analysis) -> Analysis:
    """Return an analysis whose motif-cells and hierarchy are those of its columns and motifs."""
    if not analysis.parameters["structure"] or analysis.parameters["lattice"] == "none":
        return analysis
    motifs = analysis.motifs
    parts = analysis.points, motifs.labels, motifs.identities, motifs.domains
    cells, hierarchy, why = compose(*(take_rows(x, analysis.firm) for x in parts))
    return replace(analysis, cells=cells, hierarchy=hierarchy, no_lattice=why)


def with_environments(analysis: Analysis, before: np.ndarray, beside: np.ndarray | None = None) -> Analysis:
    """Return an analysis whose environments are those of its motifs, which were others `before` (m,).

    The confidence of another environment is that of the column's motif and its neighbours'; `beside` as of
    `environments_after`.
    """
    motifs, labels = analysis.motifs, to_numpy(analysis.motifs.labels)
    order, side = analysis.parameters["order"], analysis.patch_size.pixels
    near = neighbors_seen(to_numpy(analysis.points), labels, to_numpy(motifs.means), order, side)
    found, changed = environments_after(to_numpy(motifs.environments), before, labels, near, beside)
    confidence = to_numpy(motifs.confidence).astype(np.float64)
    sure = np.where(changed, confidence * np.append(confidence, 1.0)[near].prod(axis=1),
                    np.minimum(to_numpy(motifs.environment_confidence), confidence))  # fmt: skip
    return replace(
        analysis,
        motifs=replace(
            motifs,
            environments=from_numpy(found.astype(np.int32), motifs.labels),
            environment_confidence=namespace.as_like(np.where(found >= 0, sure, 0.0), motifs.confidence),
        ),
    )


def _averages(analysis: Analysis, labels: np.ndarray, counts: np.ndarray, means: Array) -> ClassAverages:
    """Return the averages of the whole columns, whose labels are given.

    Of each old motif the columns that stay together are known by its mean; the others alone are sampled.
    """
    before, old = analysis.averages, to_numpy(analysis.motifs.labels)[to_numpy(analysis.whole)]
    heir = np.full(len(to_numpy(before.counts)) + 1, -1)  # the last one is that of no motif
    for label in np.unique(old[old >= 0]):
        now, often = np.unique(labels[old == label], return_counts=True)
        heir[label] = now[often.argmax()]
    moved = np.flatnonzero(labels != heir[old])
    changes = []
    if moved.size:
        patches = whole_patches(analysis, np.flatnonzero(to_numpy(analysis.whole))[moved])
        changes = [(1, patches, labels[moved]), (-1, patches, heir[old[moved]])]
    return averages_after(before, heir[:-1], changes, counts, means)


def whole_patches(analysis: Analysis, rows: np.ndarray) -> Array:
    """Return the patches (k, s, s) of columns, given as rows of `Analysis.points`, that have a whole one."""
    xp = namespace.array_namespace(analysis.points)
    points = xp.take(analysis.points, from_numpy(rows, analysis.points), axis=0)
    return patch_grid(analysis, points).sample(np.ones(points.shape[0], bool))


def averages_after(
    before: ClassAverages,
    heir: np.ndarray,
    changes: Sequence[tuple[int, Array, np.ndarray]],
    counts: np.ndarray,
    means: Array,
) -> ClassAverages:
    """Return averages in which some patches came or went.

    Parameters
    ----------
    before : ClassAverages
        Of c motifs.
    heir : (c,) int ndarray
        Which motif each of them is now, -1 for none.
    changes : sequence of (int, (k, s, s) array, (k,) int ndarray)
        1 for patches that came and -1 for those that went, and their motifs now, -1 for none.
    counts : (d,) int ndarray
        Of whole patches of each motif now.
    means : (d, n_moments) array
        Mean moments.
    """
    size = before.patches.shape[1]
    known = to_numpy(before.patches).astype(np.float64) * to_numpy(before.counts)[:, None, None]
    total = np.zeros((counts.size + 1, size, size))  # the last one takes what belongs to no motif
    np.add.at(total, heir, known)
    for sign, patches, labels in changes:
        total += sign * _sums(patches, labels, counts.size)
    mean = total[:-1] / np.maximum(counts, 1)[:, None, None]
    mean[counts == 0] = 0.0
    return ClassAverages(
        patches=namespace.as_like(mean, before.patches),
        reconstructions=reconstruct_patches(means, size),
        counts=from_numpy(counts, before.counts),
    )


def _sums(patches: Array, labels: np.ndarray, kinds: int) -> np.ndarray:
    """Return the sums (kinds + 1, s, s) of patches by label, the last one of those of no motif."""
    counts = np.bincount(labels % (kinds + 1), minlength=kinds + 1)
    rows = namespace.array_namespace(patches).reshape(
        patches, (patches.shape[0], patches.shape[1] * patches.shape[2])
    )
    means = to_numpy(mean_rows(rows, labels % (kinds + 1), counts)).astype(np.float64)
    sums: np.ndarray = (means * counts[:, None]).reshape(kinds + 1, *patches.shape[1:])
    return sums
