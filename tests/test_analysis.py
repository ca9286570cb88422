from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score
from support.backends import same_home

from motifgpu import Analysis, Micrograph, MicrographReadError, StageError, analyze, simulate
from motifgpu.columns.matching import match_points
from motifgpu.core import device, namespace
from motifgpu.options import Options
from motifgpu.pipeline import STAGES

TRUTH = simulate.monolayer(
    "MoSe2", (224, 240), counts=30, angle=7, vacancies=0.06, dopants={"W": 0.03}, seed=3
)


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyze(Micrograph(TRUTH.image, TRUTH.pixel_size_nm, "a/scan.npy", "scan"), backend="numpy")


def test_every_intermediate_is_there_and_aligned(analysis: Analysis) -> None:
    n, m = len(analysis.columns), len(analysis.points)
    assert analysis.mask.shape == (n,)
    assert m == int(analysis.mask.sum()) > 100
    np.testing.assert_array_equal(analysis.points, analysis.columns.points[analysis.mask])
    assert analysis.points.dtype == np.float32
    assert analysis.moments.shape == (m, 66)
    assert analysis.layout.shape == (m, 2)
    assert analysis.motifs.labels.shape == analysis.motifs.environments.shape == (m,)
    assert analysis.whole.shape == analysis.missing.shape == (m,)
    assert analysis.graph.indptr.shape == (int(analysis.whole.sum()) + 1,)
    assert set(analysis.timings) == set(STAGES)
    for name in ("moments", "layout"):
        assert np.isfinite(getattr(analysis, name)).all()


def test_labels_are_the_truth(analysis: Analysis) -> None:
    match = match_points(analysis.points, TRUTH.points, 4.0)
    labels, truth = analysis.motifs.labels[match.found], TRUTH.labels[match.reference]
    assert len(labels) > 0.93 * len(analysis.points)  # the truth ends at the frame
    assert analysis.mask.all()
    assert adjusted_mutual_info_score(truth, labels) > 0.9


def test_same_again_and_by_every_way_in(analysis: Analysis, tmp_path: Path) -> None:
    np.savez(tmp_path / "scan.npz", image=TRUTH.image, pixel_size_nm=TRUTH.pixel_size_nm)
    for source in (tmp_path / "scan.npz", str(tmp_path / "scan.npz"), TRUTH.image):
        other = analyze(source)
        np.testing.assert_array_equal(other.layout, analysis.layout)
        np.testing.assert_array_equal(other.motifs.labels, analysis.motifs.labels)
    assert analyze(tmp_path / "scan.npz").micrograph.pixel_size_nm == pytest.approx(TRUTH.pixel_size_nm)
    assert analyze(tmp_path / "scan.npz", pixel_size_nm=0.5).micrograph.pixel_size_nm == 0.5


def test_other_backends_stay_at_home_and_agree(xp_array: Callable[[Any], Any], analysis: Analysis) -> None:
    image = xp_array(TRUTH.image)
    other = analyze(image)
    for result in (other.points, other.moments, other.layout, other.motifs.labels, other.averages.patches):
        assert same_home(result, image)
    match = match_points(other.points, analysis.points, 1.0)
    assert len(match.found) == len(analysis.points) == len(namespace.to_numpy(other.points))
    labels = namespace.to_numpy(other.motifs.labels)
    assert adjusted_mutual_info_score(labels, analysis.motifs.labels) > 0.99


def test_options_reach_their_stages() -> None:
    small = analyze(TRUTH.image, patch_size=22.0, order=6, n_motifs=3, seed=5, rotation_invariant=True)
    assert small.patch_size.pixels == 22.0
    assert small.moments.shape[1] == 28
    assert len(small.motifs.counts) == 3
    assert small.parameters["rotation_invariant"] is True
    assert small.parameters["seed"] == 5


def test_signature_and_options_are_the_same() -> None:
    """Names, order, types and defaults stand in `Options`; what else `analyze` takes is no option."""
    parameters = inspect.signature(analyze).parameters
    signature = {name: (p.default, p.annotation) for name, p in parameters.items()}
    options = {o.name: (o.default, o.type) for o in dataclasses.fields(Options)}
    assert {name: signature[name] for name in signature if name not in ("source", "progress")} == options
    assert [*signature] == ["source", *options, "progress"]


def test_coarse_images_are_sampled_finer() -> None:
    coarse = simulate.monolayer("MoSe2", (96, 96), lattice_constant=8.0, counts=100, seed=1)
    found = analyze(coarse.image)
    assert found.patch_size.pixels < 15
    assert found.parameters["patch_samples"] == 24
    assert found.parameters["order"] == 6
    assert found.moments.shape[1] == 28
    assert analyze(coarse.image, order=12).moments.shape[1] == 91


def test_progress_names_the_stages_in_order() -> None:
    calls: list[tuple[str, float]] = []
    analyze(TRUTH.image, progress=lambda stage, done: calls.append((stage, done)))
    assert [stage for stage, _ in calls] == list(STAGES)
    fractions = [done for _, done in calls]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < fractions[-1] < 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((0, 0)), "micrograph: the image has shape"),
        (np.zeros((64, 64)), "columns: the image is constant"),
        (np.ones((6, 6)), "columns: the image has shape \\(6, 6\\); give at least 16 x 16"),
        (np.full((64, 64), np.nan), "no pixel of the image is data"),
        (np.zeros((4, 64, 64)), "micrograph: the image has shape \\(4, 64, 64\\); give an array of 2"),
        (np.random.default_rng(0).normal(size=(128, 128)), "columns: the image shows no structure"),
        (TRUTH.image[:40, :40], "columns: the image has no lattice"),
        (np.array([["a", "b"]]), "micrograph: the image has dtype <U1"),
    ],
)  # fmt: skip
def test_bad_images_are_refused_in_words(image: np.ndarray, message: str) -> None:
    with pytest.raises(StageError, match=message):
        analyze(image)


def test_no_lattice_and_a_given_patch_size() -> None:
    rng = np.random.default_rng(0)
    rows, cols = np.mgrid[:200, :200]
    image = sum(
        np.exp(-((rows - r) ** 2 + (cols - c) ** 2) / 18) for r, c in rng.uniform(5, 195, (120, 2))
    ) + 0.05 * rng.normal(size=(200, 200))
    with pytest.raises(StageError, match="the image has no lattice"):
        analyze(image)
    found = analyze(image, lattice="none")
    assert found.patch_size.pixels == pytest.approx(8 * found.columns.sigma_px)
    assert found.cells is None
    assert not [text for text in found.warnings if "lattice" in text]
    found = analyze(image, patch_size=24.0, lattice="none")
    assert found.patch_size.frequency is None
    assert found.patch_size.pixels == 24.0
    assert len(found.points) > 50
    assert found.plot.patch_size().get_title().startswith("patch 24.0 px")


def test_patches_larger_than_the_image() -> None:
    for pixels in (400.0, 10_000.0):
        with pytest.raises(StageError, match=f"patches: a patch of {pixels} px is larger than the image"):
            analyze(TRUTH.image, patch_size=pixels)
    with pytest.raises(StageError, match=r"patches: no patch of \d+.0 px around .* is inside the image"):
        analyze(TRUTH.image, patch_size=min(TRUTH.image.shape) - 1.0)


def test_missing_file_and_gpu() -> None:
    with pytest.raises(MicrographReadError, match="no such file"):
        analyze("nowhere.npy")
    if device.gpu_problem():
        with pytest.raises(device.GpuMissingError, match="no GPU can be used"):
            analyze(TRUTH.image, backend="cupy")


def test_both_sides_of_a_twin_are_crystal():
    made = simulate.sample("mirror_twin", (256, 256), seed=1)
    motifs, hierarchy = (analysis := analyze(made.image)).motifs, analysis.hierarchy
    assert motifs.domains.max() == 1
    sides = [
        {motifs.domains[motifs.labels == k].max() for k in cell if k >= 0} for cell in hierarchy.dominant
    ]
    assert sorted(map(tuple, sides)) == [(0,), (1,)]
    # What is no crystal is one component, the boundary, which the border of the image cuts.
    assert not hierarchy.nodes
    assert hierarchy.truncated == 1


def test_motifs_are_classes_to_rebuild_an_image_from() -> None:
    made = simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.05)
    analysis = analyze(made.image, structure=False)
    assert not analysis.whole.all()
    rebuilt = analysis.reconstruct(classes=analysis.motifs.labels)
    assert rebuilt.image.shape == made.image.shape
