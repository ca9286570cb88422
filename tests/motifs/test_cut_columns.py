"""Every column gets a motif, also where its patch is cut."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from motifgpu import Analysis, Micrograph, analyze, match_points, simulate
from motifgpu.features.cut_patches import Modes, seen_of
from motifgpu.features.patches import PatchGrid
from motifgpu.motifs.cut_columns import with_cut_columns
from motifgpu.motifs.find import find_motifs


def against_truth(analysis: Analysis, truth: simulate.Simulation) -> tuple[np.ndarray, ...]:
    """Return the true kinds and the motifs of columns with cut patches."""
    spacing = float(np.sqrt(truth.image.size / len(truth.points)))
    match = match_points(analysis.points, truth.points, spacing / 3)
    cut = ~analysis.whole[match.found]
    return truth.labels[match.reference][cut], analysis.motifs.labels[match.found][cut]


@pytest.mark.parametrize(("counts", "least"), [(10, 0.97), (3, 0.93)])
def test_columns_at_the_frame_are_what_they_are(counts: float, least: float) -> None:
    scores = []
    for seed in (104,):
        truth = simulate.monolayer(
            "MoSe2", (300, 300), counts=counts, angle=7 * seed % 60, vacancies=0.05, seed=seed
        )
        analysis = analyze(truth.image, structure=False)
        assert analysis.mask.all()
        kinds, motifs = against_truth(analysis, truth)
        assert len(kinds) > 60
        scores.append(adjusted_mutual_info_score(kinds, motifs))
    assert np.mean(scores) >= least


def test_they_change_nothing_for_the_others() -> None:
    truth = simulate.monolayer("MoSe2", (256, 256), counts=10, vacancies=0.06, seed=2)
    valid = np.ones(truth.image.shape, bool)
    whole = analyze(truth.image)
    row, col = np.rint(whole.points[~whole.whole].mean(axis=0)).astype(int)
    valid[row - 30 : row + 30, col - 30 : col + 30] = False
    holed = analyze(Micrograph.from_array(truth.image, mask=valid))
    match = match_points(holed.points, whole.points, 0.5)
    both = holed.whole[match.found] & whole.whole[match.reference]
    assert both.sum() > 100
    same = holed.motifs.labels[match.found] == whole.motifs.labels[match.reference]
    assert same[both].all()
    # What the hole cuts is named as it is in the image without the hole.
    beside = ~holed.whole[match.found] & whole.whole[match.reference]
    assert beside.sum() > 5
    assert same[beside].mean() > 0.9
    assert len(whole.motifs.counts) == len(holed.motifs.counts)


def test_what_is_said_of_them() -> None:
    truth = simulate.monolayer("MoSe2", (256, 256), counts=3, vacancies=0.06, seed=6)
    analysis = analyze(truth.image)
    cut = ~analysis.whole
    motifs = analysis.motifs
    assert (motifs.environments[cut] == -1).all()
    assert (motifs.environments[~cut] >= 0).mean() > 0.95
    assert motifs.counts.tolist() == np.bincount(motifs.labels[motifs.labels >= 0]).tolist()
    assert ((motifs.confidence >= 0) & (motifs.confidence <= 1)).all()
    assert np.isfinite(analysis.moments).all()
    assert analysis.averages.counts.sum() == (motifs.labels[~cut] >= 0).sum()
    # In the layout they stand with their motif.
    centre = np.stack([analysis.layout[~cut & (motifs.labels == k)].mean(axis=0) for k in range(2)])
    nearest = np.hypot(*(analysis.layout[cut][:, None] - centre).transpose(2, 0, 1)).argmin(axis=1)
    common = motifs.labels[cut] < 2
    assert (nearest == motifs.labels[cut])[common].mean() > 0.95


def test_a_column_gets_the_motif_of_its_own_side() -> None:
    # Two motifs of one pattern and one intensity, left and right, told apart by their place alone.
    truth = simulate.monolayer("MoSe2", (220, 220), counts=30, seed=3)
    analysis = analyze(truth.image, structure=False)
    size = analysis.averages.patches.shape[1]
    grid = PatchGrid(truth.image, analysis.points, size, analysis.patch_size.pixels, None)
    patches, moments = grid.sample(grid.whole), analysis.moments[analysis.whole]
    modes = Modes.of(patches, moments, analysis.patch_size.pixels)
    rows = np.flatnonzero(~grid.whole)
    seen = seen_of(grid.sample(~grid.whole), grid.present(rows), modes)
    motifs = find_motifs(moments)
    right = (analysis.points[:, 1] > 110).astype(np.int32)
    sided = replace(motifs, labels=2 * motifs.labels + right[analysis.whole], counts=np.zeros(4, np.int64))
    found = with_cut_columns(sided, moments, seen, analysis.points, analysis.whole)
    far = ~analysis.whole & (np.abs(analysis.points[:, 1] - 110) > 60)
    assert (found.labels[far] % 2 == right[far]).mean() > 0.95
