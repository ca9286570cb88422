from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from motifgpu import simulate
from motifgpu.core.namespace import to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.motifs.find import find_motifs

SHAPE = (300, 300)
DEFECTS = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}
ERROR = {3: 0.48, 10: 0.28, 30: 0.18}  # of positions found at these counts, px


def described(image, points, counts, size=38, seed=0):
    """Moments of columns found at these counts, where they are, and which of them have a patch."""
    error = np.random.default_rng(seed).normal(0, ERROR[counts], points.shape)
    points = (points + error).astype(np.float32)
    patches, inside = extract_patches(image.astype(np.float32), points, size)
    return zernike_moments(patches), points[inside], inside


def exposed(clean, counts, gain=1.0, background=0.0, seed=0):
    """An image at these counts whose brightness and background are uneven."""
    expected = (clean / clean.max() + background) * gain
    return simulate.poisson_noise(counts * expected, seed)


def agreement(a, b):
    return adjusted_mutual_info_score(to_numpy(a), to_numpy(b))


def f1(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@functools.cache
def mirror_twin(counts):
    made = simulate.twin_boundary(shape=SHAPE, counts=counts, angle=20.0, seed=2)
    return made, *described(made.image, made.points, counts)


@pytest.mark.parametrize("counts", [3, 30])
def test_a_mirror_twin_is_two_kinds_on_two_sides_and_a_boundary(counts):
    made, moments, points, inside = mirror_twin(counts)
    motifs = find_motifs(moments, points=points)
    identity, side = made.labels[inside], made.grain[inside]
    bulk = motifs.domains >= 0
    assert len(motifs.counts) == 5
    assert agreement(identity[bulk], motifs.identities[bulk]) > 0.95
    assert agreement(side[bulk], motifs.domains[bulk]) > 0.95
    assert agreement(2 * side[bulk] + identity[bulk], motifs.labels[bulk]) > 0.95
    # The row that both sides share is at the boundary, and so are its neighbours, whose patches show it.
    [boundary] = np.unique(motifs.labels[~bulk])
    assert bulk[motifs.labels == boundary].sum() == 0
    assert not bulk[side == 2].any()
    shared = points[side == 2]
    away = np.linalg.norm(points[~bulk][:, None] - shared, axis=2).min(axis=1)
    assert np.mean(away < 23.0) > 0.9
    assert motifs.domain_confidence.mean() > 0.95


@pytest.mark.parametrize("kind", ["grains", pytest.param("tilt", marks=pytest.mark.slow), "stacking"])
def test_grains_and_stackings_are_domains(kind):
    made = simulate.sample(kind, (320, 320), counts=10.0, seed=7)
    patches, inside = extract_patches(made.image, made.points, round(3.0 * made.spacing_px))
    motifs = find_motifs(zernike_moments(patches), points=made.points[inside])
    domain, boundary = made.domain[inside], made.boundary[inside]
    bulk = (motifs.domains >= 0) & ~boundary
    assert motifs.domains.max() == 1
    assert agreement(domain[bulk], motifs.domains[bulk]) > 0.95
    assert f1(boundary, motifs.domains < 0) > 0.75


@pytest.mark.parametrize(("kind", "counts", "seed"), [("phases", 3, 3), ("step", 30, 3)])
def test_phases_of_unlike_brightness_are_domains_and_thicknesses_are_none(kind, counts, seed):
    made = simulate.sample(kind, (320, 320), counts=float(counts), seed=seed)
    patches, inside = extract_patches(made.image, made.points, round(3.0 * made.spacing_px))
    motifs = find_motifs(zernike_moments(patches), points=made.points[inside])
    bulk = (motifs.domains >= 0) & ~made.boundary[inside]
    assert motifs.domains.max() + 1 == len(made.domain_names)
    assert agreement(made.domain[inside][bulk], motifs.domains[bulk]) > 0.95


@pytest.mark.parametrize("counts", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_rings_of_five_and_seven_are_a_boundary(counts):
    made = simulate.sample("honeycomb", (320, 320), counts=float(counts), seed=1)
    moments, points, inside = described(made.image, made.points, counts, round(3.0 * made.spacing_px))
    motifs = find_motifs(moments, points=points)
    boundary = made.boundary[inside]
    assert motifs.domains.max() == 1
    assert (motifs.domains[boundary] < 0).mean() > 0.85
    assert f1(boundary, motifs.domains < 0) > 0.8


ROW, COL = np.mgrid[: SHAPE[0], : SHAPE[1]] / SHAPE[0]
UNEVEN = {
    "slope": {"background": ROW + 0.3 * COL},
    "gain": {"gain": 0.5 + 0.5 * COL},
    "both": {"background": 0.4 + 0.4 * np.sin(6 * COL), "gain": 1 + 0.3 * np.sin(5 * ROW)},
    "contamination": {"background": 0.7 * np.exp(-((ROW - 0.4) ** 2 + (COL - 0.6) ** 2) / 0.06)},
    "step": {"gain": np.where(ROW + 0.3 * COL > 0.6, 1.0, 0.6)},
}


@pytest.mark.parametrize("name", UNEVEN)
@pytest.mark.parametrize("counts", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_a_perfect_crystal_is_not_split_by_uneven_brightness(name, counts):
    made = simulate.monolayer(shape=SHAPE, counts=None, seed=1)
    image = exposed(made.clean, counts, **UNEVEN[name])
    moments, points, inside = described(image, made.points, counts)
    motifs = find_motifs(moments, points=points)
    assert len(motifs.counts) == 2
    assert not motifs.domains.any()
    # A step cuts through columns, which are of no kind then.
    assert agreement(made.labels[inside], motifs.labels) > (0.93 if name == "step" else 0.98)


@pytest.mark.parametrize("name", ["gain", "slope"])
def test_defects_are_found_under_uneven_brightness(name):
    made = simulate.monolayer(shape=SHAPE, counts=None, seed=1, **DEFECTS)
    image = exposed(made.clean, 30, **UNEVEN[name])
    moments, points, inside = described(image, made.points, 30)
    assert agreement(made.labels[inside], find_motifs(moments, points=points).labels) > 0.97


@pytest.mark.parametrize("options", [{}, {"strain": ((0.01, 0.01), (0.0, -0.01)), "drift": (6.0, 10.0)}])
def test_in_one_crystal_positions_change_nothing(options):
    made = simulate.monolayer(shape=SHAPE, counts=10.0, seed=3, **DEFECTS, **options)
    moments, points, _ = described(made.image, made.points, 10)
    motifs, without = find_motifs(moments, points=points), find_motifs(moments)
    for name in ("labels", "environments", "counts", "confidence", "identities", "domains"):
        assert getattr(motifs, name).tolist() == getattr(without, name).tolist()
    assert motifs.labels.tolist() == motifs.identities.tolist()
    assert not motifs.domains.any()


def test_a_number_of_motifs_is_one_of_identities():
    _, moments, points, _ = mirror_twin(30)
    motifs = find_motifs(moments, points=points, n_motifs=2)
    assert len(motifs.counts) == 2
    assert motifs.labels.tolist() == motifs.identities.tolist()
    assert motifs.domains.max() == 1


def test_every_backend_finds_the_same_domains(xp_array):
    _, moments, points, _ = mirror_twin(30)
    here, there = find_motifs(moments, points=points), find_motifs(xp_array(moments), points=points)
    for name in ("labels", "identities", "domains", "environments"):
        assert to_numpy(getattr(there, name)).tolist() == getattr(here, name).tolist()


def test_row_order_changes_no_domain():
    _, moments, points, _ = mirror_twin(3)
    shuffled = np.random.default_rng(0).permutation(len(points))
    a, b = find_motifs(moments, points=points), find_motifs(moments[shuffled], points=points[shuffled])
    assert agreement(a.domains[shuffled], b.domains) == pytest.approx(1.0)
    assert agreement(a.labels[shuffled], b.labels) > 0.98


def test_the_surface_of_a_particle_is_a_boundary():
    made = simulate.sample("particle", (320, 320), counts=30.0, seed=1)
    patches, inside = extract_patches(made.image, made.points, round(2.0 * made.spacing_px))
    moments = zernike_moments(patches, 6) if patches.shape[1] < 24 else zernike_moments(patches)
    motifs = find_motifs(moments, points=made.points[inside])
    assert motifs.domains.max() == 0
    assert f1(made.boundary[inside], motifs.domains < 0) > 0.75


def test_a_few_columns_are_one_domain():
    moments = np.random.default_rng(0).normal(size=(9, 66)).astype(np.float32)
    points = np.random.default_rng(1).uniform(0, 100, (9, 2))
    assert not find_motifs(moments, points=points).domains.any()


def test_a_close_number_of_identities_is_said():
    made = simulate.monolayer("WS2", shape=SHAPE, counts=10.0, seed=1, vacancies=0.01)
    moments, points, _ = described(made.image, made.points, 10)
    [note] = find_motifs(moments, points=points).notes
    assert note == "3 identities are nearly as likely as 2; n_motifs=3 shows them"
    assert len(find_motifs(moments, points=points, n_motifs=3).counts) == 3
    made = simulate.monolayer(shape=SHAPE, counts=10.0, seed=3, vacancies=0.08)
    moments, points, _ = described(made.image, made.points, 10)
    assert find_motifs(moments, points=points).notes == ()
