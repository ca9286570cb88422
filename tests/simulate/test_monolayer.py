from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.simulations import SMALL, at, direction, interior, one_to_one

from motifgpu import simulate


def test_columns_are_as_bright_as_their_atoms_say():
    made = simulate.monolayer(
        "MoSe2",
        (700, 500),
        counts=100,
        vacancies=0.1,
        divacancies=0.05,
        dopants={"W": 0.05, "Te": 0.05},
        strain=((0.02, 0.01), (-0.01, 0.0)),
        drift=(10, -15),
        grains=(10, 35),
    )
    z = {"Mo": 42, "Se": 34, "W": 74, "Te": 52}
    atoms = {
        "Mo": ["Mo"],
        "Se2": ["Se", "Se"],
        "V_Se": ["Se"],
        "V_Se2": [],
        "W": ["W"],
        "TeSe": ["Te", "Se"],
    }
    assert made.names == tuple(atoms)
    heights = np.array([sum(z[a] ** 1.7 for a in atoms[name]) for name in made.names])
    expected = 100 * heights / heights[:2].max()
    # Sites that a strange neighbour at the boundary outshines are left out.
    lonely = np.array([len(found) == 1 for found in cKDTree(made.points).query_ball_point(made.points, 11)])
    inside = interior(made.points, made.image.shape, 8) & lonely
    error = at(made.clean, made.points)[inside] - expected[made.labels[inside]]
    assert inside.sum() > 1000
    assert np.abs(error).max() < 0.5
    assert np.array_equal(made.occupied, made.labels != 3)
    assert np.array_equal(made.sublattice == 1, np.isin(made.labels, [1, 2, 3, 5]))


def test_defects_occur_as_often_as_asked():
    made = simulate.monolayer(
        "WS2", (1200, 1200), vacancies=0.05, divacancies=0.015, dopants={"Fe": 0.03, "Te": 0.02}, counts=None
    )
    for name, site, fraction in [("V_S", 1, 0.05), ("V_S2", 1, 0.015), ("Fe", 0, 0.03), ("TeS", 1, 0.02)]:
        count = np.sum(made.labels == made.names.index(name))
        total = np.sum(made.sublattice == site)
        assert abs(count - fraction * total) < 4 * np.sqrt(fraction * total)


def test_lattice_vectors_and_pixel_size_belong_to_the_material():
    made = simulate.monolayer("MoS2", SMALL, lattice_constant=20, angle=13)
    assert made.pixel_size_nm * 20 == pytest.approx(0.3160)
    assert np.hypot(*made.u) == pytest.approx(20)
    assert direction(np.zeros(2), made.u, 0) == pytest.approx(13)
    assert direction(np.zeros(2), made.v, 0) == pytest.approx(133)
    distance, _ = cKDTree(made.points).query(made.points, k=2)
    assert np.median(distance[:, 1]) == pytest.approx(20 / np.sqrt(3), abs=1e-4)
    for step in (made.u, made.v):
        metals = made.points[(made.sublattice == 0) & interior(made.points, SMALL, 22)]
        apart, where = cKDTree(made.points).query(metals + step)
        assert apart.max() < 1e-3
        assert (made.sublattice[where] == 0).all()


def test_environments_are_the_identities_of_the_three_nearest_sites_by_direction():
    made = simulate.monolayer(
        "MoSe2", (400, 400), angle=7, vacancies=0.1, divacancies=0.03, dopants={"W": 0.1}
    )
    inside = np.flatnonzero(interior(made.points, (400, 400), 14))
    _, near = cKDTree(made.points).query(made.points[inside], k=4)
    angle = direction(made.points[inside, None], made.points[near[:, 1:]], 7)
    order = np.argsort(angle, axis=1)
    code = np.column_stack([made.labels[inside], np.take_along_axis(made.labels[near[:, 1:]], order, axis=1)])
    literal = np.unique(code, axis=0, return_inverse=True)[1].reshape(-1)
    assert one_to_one(literal, made.environments[inside])


@pytest.mark.parametrize("grains", [(0, 21), (0, 12, 40, 25)])
def test_grains_have_their_rotation_and_keep_apart(grains):
    made = simulate.monolayer(shape=(600, 600), grains=grains, angle=5, seed=2)
    spacing = 22 / np.sqrt(3)
    assert set(made.grain) == set(range(len(grains)))
    for grain, rotation in enumerate(grains):
        mine = made.points[made.grain == grain]
        others = made.points[made.grain != grain]
        assert cKDTree(others).query(mine)[0].min() >= 0.6 * spacing - 1e-3
        _, near = cKDTree(mine).query(mine, k=2)
        angle = direction(mine, mine[near[:, 1]], 5 + rotation)
        assert np.median(np.abs((angle + 15) % 30 - 15)) < 1e-2


def test_two_grains_meet_in_a_straight_line_through_the_middle():
    made = simulate.monolayer(shape=(500, 500), grains=(0, 21), seed=3)
    angle = np.deg2rad(np.arange(360))
    side = (made.points - 250) @ np.stack([np.sin(angle), np.cos(angle)])
    agreement = ((side > 0) == (made.grain == 1)[:, None]).mean(0)
    assert agreement.max() > 0.995


def test_sites_that_lost_a_neighbour_to_the_boundary_have_environments_of_their_own():
    made = simulate.monolayer(shape=(500, 500), grains=(0, 21), seed=3)
    whole = np.zeros(len(made.points), bool)
    for grain in (0, 1):
        mine = made.grain == grain
        distance, _ = cKDTree(made.points[mine]).query(made.points[mine], k=4)
        whole[mine] = distance[:, 3] < 13.5
    inside = interior(made.points, (500, 500), 14)
    assert set(made.environments[inside & whole]).isdisjoint(made.environments[inside & ~whole])
    assert len(set(made.environments[inside & whole])) == 2
    assert (inside & ~whole).sum() > 10


def test_strain_and_drift_move_the_sites_they_name():
    strain, drift = np.array([[0.03, 0.02], [-0.01, -0.04]]), np.array([6.0, 18.0])
    plain = simulate.monolayer(shape=(500, 400), seed=1)
    made = simulate.monolayer(shape=(500, 400), seed=1, strain=strain, drift=drift)
    centre = np.array([249.5, 199.5])
    moved = centre + (plain.points - centre) @ (np.eye(2) + strain).T
    moved = moved + np.square(moved[:, :1].clip(0) / 500) * drift
    seen = interior(moved, (500, 400), 0)
    distance, where = cKDTree(made.points).query(moved[seen])
    assert distance.max() < 1e-3
    assert np.array_equal(made.labels[where], plain.labels[seen])


@pytest.mark.parametrize(
    "how",
    [
        {"strain": ((-0.3, 0), (0, -0.3))},
        {"drift": (-60, 0)},
        {"drift": (200, 300)},
        {"shape": (60, 900), "drift": (-7, 0)},
    ],
)
def test_the_whole_image_is_covered_whatever_the_distortion(how):
    made = simulate.monolayer(**{"shape": (500, 500), **how})
    pixels = np.stack(np.mgrid[: made.image.shape[0] : 5, : made.image.shape[1] : 5], -1).reshape(-1, 2)
    inside = interior(pixels, made.image.shape, 8)
    tree = cKDTree(made.points)
    assert tree.query(pixels[inside])[0].max() < 22
    spacing = tree.query(made.points, k=2)[0][:, 1]
    assert spacing.min() > 5  # nothing is folded over


def test_dose_scan_and_background_change_the_image_and_not_the_sites():
    plain = simulate.monolayer(shape=SMALL, counts=10, seed=6)
    scanned = simulate.monolayer(shape=SMALL, counts=10, seed=6, scan=0.8)
    hazy = simulate.monolayer(shape=SMALL, counts=10, seed=6, background=0.5)
    for made in (scanned, hazy):
        assert np.array_equal(made.points, plain.points)
        assert np.array_equal(made.labels, plain.labels)
    assert np.abs(hazy.clean - hazy.background - plain.clean).max() < 1e-5
    assert np.ptp(hazy.background) == pytest.approx(5, rel=1e-5)
    assert not plain.background.any()
    assert plain.clean.max() == pytest.approx(10, rel=0.02)
    residual = (plain.image - plain.clean) / np.sqrt(np.maximum(plain.clean, 1))
    assert residual[plain.clean > 3].std() == pytest.approx(1, rel=0.05)


def test_scan_noise_displaces_rows_by_its_standard_deviation():
    plain = simulate.monolayer(shape=(600, 300), counts=None, seed=6).clean
    made = simulate.monolayer(shape=(600, 300), counts=None, seed=6, scan=0.5).clean
    slope = np.gradient(plain.astype(float), axis=1)
    shift = -((made - plain) * slope).sum(1) / (slope**2).sum(1)
    assert shift[slope.any(1)].std() == pytest.approx(0.5, rel=0.15)
    assert abs(np.corrcoef(shift[1:], shift[:-1])[0, 1]) < 0.15


def test_no_dose_and_no_noise_give_the_expectation_with_a_peak_of_one():
    made = simulate.monolayer(shape=SMALL, counts=None)
    assert np.array_equal(made.image, made.clean)
    assert made.clean.max() == pytest.approx(1, rel=0.02)
