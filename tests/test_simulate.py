from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree
from scipy.special import ellipk

from motifgpu import simulate
from motifgpu.errors import StageError
from motifgpu.simulate.render import add_columns

SMALL = (200, 260)


def at(image, points):
    """Intensity at sub-pixel points."""
    return ndimage.map_coordinates(image.astype(float), np.asarray(points, float).T, order=3)


def interior(points, shape, margin):
    return ((points >= margin) & (points <= np.array(shape) - 1 - margin)).all(1)


def same(a, b):
    return all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in dataclasses.fields(a)
    )


def one_to_one(a, b):
    """Whether two labellings are the same partition."""
    pairs = np.unique(np.stack([a, b]), axis=1)
    return pairs.shape[1] == len(np.unique(a)) == len(np.unique(b))


def direction(points, others, degrees):
    """Angle from each point to each other, counter-clockwise as displayed and counted from `degrees`."""
    step = others - points
    return (np.rad2deg(np.arctan2(-step[..., 0], step[..., 1])) - degrees) % 360


# Rendering and noise


@pytest.mark.parametrize("scan", [0.0, 0.8])
def test_columns_add_up_as_the_literal_sum_says(scan):
    rng = np.random.default_rng(0)
    points, heights = rng.uniform(-20, 130, (400, 2)), rng.uniform(0, 2, 400)
    jitter = rng.normal(0, scan, 90) if scan else np.zeros(90)
    row, col = np.mgrid[:90, :110]
    expected = np.zeros((90, 110))
    for (r, c), height in zip(points, heights, strict=True):
        squared = (row - r) ** 2 + (col - c - jitter[:, None]) ** 2
        expected += height * np.exp(-squared / (2 * 2.7**2))
    assert np.abs(add_columns((90, 110), points, heights, 2.7, jitter) - expected).max() < 5e-5


@pytest.mark.parametrize("mean", [0.3, 4.0, 200.0])
def test_poisson_noise_has_variance_and_mean_of_the_expectation(mean):
    counts = simulate.poisson_noise(np.full((400, 500), mean, np.float32), seed=1)
    assert counts.dtype == np.float32
    assert np.array_equal(counts, np.round(counts))
    error = np.sqrt(mean / counts.size)
    assert abs(counts.mean() - mean) < 4 * error
    assert counts.var(dtype=float) == pytest.approx(mean, rel=0.02)


def test_gaussian_noise_is_white_with_its_standard_deviation():
    noise = simulate.gaussian_noise(np.full((400, 500), 2.0), 0.3, seed=1) - 2
    assert abs(noise.mean()) < 4 * 0.3 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(0.3, rel=0.01)
    assert abs((noise[:, 1:] * noise[:, :-1]).mean()) < 4 * 0.09 / np.sqrt(noise.size)


def test_scan_noise_resamples_what_displaced_columns_show():
    rng = np.random.default_rng(3)
    points, heights = rng.uniform(0, 120, (60, 2)), rng.uniform(0.5, 1, 60)
    jitter = np.random.default_rng(5).normal(0, 0.7, 120)
    still = add_columns((120, 120), points, heights, 3.0, np.zeros(120))
    moved = add_columns((120, 120), points, heights, 3.0, jitter)
    resampled = simulate.scan_noise(still, 0.7, seed=5)
    assert np.abs(resampled - moved)[:, 4:-4].max() < 0.003
    assert np.abs(moved - still).max() > 0.2


def test_scan_noise_treats_a_stack_row_by_row_and_leaves_its_input():
    stack = np.random.default_rng(0).random((3, 8, 20), dtype=np.float32)
    copy = stack.copy()
    result = simulate.scan_noise(stack, 1.0, seed=2)
    assert result.dtype == np.float32
    assert np.array_equal(result.reshape(24, 20), simulate.scan_noise(stack.reshape(24, 20), 1.0, seed=2))
    assert np.array_equal(stack, copy)
    assert np.array_equal(simulate.scan_noise(stack, 0.0), stack)


# Everything that is random


MAKERS = {
    "monolayer": lambda seed: simulate.monolayer(
        "WS2", SMALL, vacancies=0.1, grains=(0, 20), background=0.3, gaussian=0.1, scan=0.3, seed=seed
    ),
    "patches": lambda seed: simulate.patches((3, 3), size=32, distance=8, sigma=2, counts=5, seed=seed),
    "bilayer": lambda seed: simulate.bilayer(shape=SMALL, disorder=0.05, seed=seed),
    "twist_case": lambda seed: simulate.twist_case(6, SMALL, seed=seed),
    "twin_boundary": lambda seed: simulate.twin_boundary(shape=SMALL, seed=seed),
    "stacking_boundary": lambda seed: simulate.stacking_boundary(shape=SMALL, seed=seed),
    "crystal_p4m": lambda seed: simulate.crystal_p4m(SMALL, gaussian=0.2, seed=seed),
    "stm_lattice": lambda seed: simulate.stm_lattice(SMALL, isolated=3, clusters=1, chains=1, seed=seed),
    "bernoulli": lambda seed: simulate.occupancy_grid(excluded=0.1, seed=seed),
    "ising": lambda seed: simulate.occupancy_grid("ising", (16, 16), coupling=0.2, seed=seed),
    "tiling": lambda seed: simulate.tiling(shape=SMALL, disorder=0.02, seed=seed),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_seed_gives_the_same_bits_and_another_seed_gives_others(name):
    first, again, other = MAKERS[name](4), MAKERS[name](4), MAKERS[name](5)
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("name", ["monolayer", "bilayer", "twist_case", "twin_boundary", "stacking_boundary"])
def test_points_are_in_view_and_in_order_and_arrays_agree(name):
    made = MAKERS[name](0)
    assert made.image.shape == made.clean.shape == made.background.shape == SMALL
    assert made.points.dtype == np.float32
    assert interior(made.points, SMALL, -0.5).all()
    assert np.array_equal(np.lexsort(made.points.T[::-1]), np.arange(len(made.points)))
    for field in ("labels", "occupied", "sublattice"):
        assert len(getattr(made, field)) == len(made.points)
    assert made.labels.max() < len(made.names)


# Monolayers


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


# Patches


@pytest.mark.parametrize("rotation", [False, True])
def test_patches_have_their_blobs_and_classes(rotation):
    made = simulate.patches((4, 6), folds=(3, 5), centers=(1.0, 0.6), rotation=rotation)
    assert made.patches.shape == (10, 128, 128)
    assert made.labels.tolist() == [0] * 4 + [1] * 6
    ring = 63.5 + 32 * np.stack(
        [-np.sin(np.deg2rad(np.arange(720) / 2)), np.cos(np.deg2rad(np.arange(720) / 2))], 1
    )
    for patch, label in zip(made.patches, made.labels, strict=True):
        assert at(patch, [[63.5, 63.5]])[0] == pytest.approx((1.0, 0.6)[label], abs=2e-3)
        around = at(patch, ring)
        assert np.sum((around > np.roll(around, 1)) & (around >= np.roll(around, -1))) == (3, 5)[label]
        assert around.max() == pytest.approx(1, abs=2e-3)
    assert np.array_equal(made.patches[0], made.patches[1]) != rotation


def test_patch_noises_act_on_every_patch_alone():
    for noise in ({"counts": 5.0}, {"gaussian": 0.1}, {"scan": 1.0}):
        made = simulate.patches((2, 0), **noise).patches
        assert not np.array_equal(made[0], made[1])
    counts = simulate.patches((50, 0), counts=5.0).patches
    assert counts.mean(0).max() == pytest.approx(5, rel=0.4)
    assert counts.var(0).mean() == pytest.approx(counts.mean(), rel=0.03)


# Bilayers


@functools.cache
def twisted(stacking="AA'", second="MoS2", twist=3.15):
    return simulate.bilayer(
        ("MoS2", second), (700, 900), twist=twist, stacking=stacking, angle=4, counts=None
    )


@pytest.mark.parametrize(("twist", "second"), [(3.15, "MoS2"), (-2.0, "MoS2"), (6.0, "MoSe2"), (0.0, "WSe2")])
def test_moire_vectors_have_the_length_that_twist_and_mismatch_give(twist, second):
    made = twisted(twist=twist, second=second)
    a = 20.0
    b = a * {"MoS2": 1.0, "MoSe2": 0.3288 / 0.3160, "WSe2": 0.3280 / 0.3160}[second]
    expected = a * b / np.sqrt(a * a + b * b - 2 * a * b * np.cos(np.deg2rad(twist)))
    if second == "MoS2":
        assert expected == pytest.approx(a / (2 * np.sin(np.deg2rad(abs(twist)) / 2)))
    assert np.hypot(*made.moire.T) == pytest.approx([expected, expected])
    first, other = (direction(np.zeros(2), vector, 0) for vector in made.moire)
    assert (other - first) % 360 == pytest.approx(120)


def test_the_second_layer_is_turned_by_the_twist():
    made = twisted()
    angles = []
    for layer in (0, 1):
        metals = made.points[(made.layer == layer) & (made.sublattice == 0)]
        apart, near = cKDTree(metals).query(metals + made.u)
        angles.append(np.median(direction(metals, metals[near], 0)[apart < 5]))
    assert angles[1] - angles[0] == pytest.approx(3.15, abs=1e-3)


@pytest.mark.parametrize("stacking", ["AA'", "A'B", "AB'", "AA", "AB", "BA"])
def test_domain_centres_have_the_stacking_they_are_named_for(stacking):
    made = twisted(stacking)
    middle = np.array([349.5, 449.5])
    wanted = made.stacking_names.index(stacking)
    central = made.domains[made.domain_labels == wanted]
    assert np.hypot(*(central - middle).T).min() < 1e-3
    # what stands over the metal and over the chalcogen of the first layer
    over = {
        "AA'": (1, 0), "A'B": (None, 1), "AB'": (0, None), "AA": (0, 1), "AB": (None, 0), "BA": (1, None),
    }  # fmt: skip
    upper = made.layer == 1
    tree = cKDTree(made.points[upper])
    checked = set()
    for place, label in zip(made.domains, made.domain_labels, strict=True):
        if not interior(place[None], (700, 900), 40)[0]:
            continue
        for sublattice in (0, 1):
            mine = made.points[(made.layer == 0) & (made.sublattice == sublattice)]
            site = mine[np.argmin(np.hypot(*(mine - place).T))]
            distance, near = tree.query(site)
            found = made.sublattice[upper][near] if distance < 2 else None
            assert found == over[made.stacking_names[label]][sublattice]
        checked.add(int(label))
    assert checked == {0, 1, 2}


def test_stacking_of_a_site_is_that_of_the_nearest_domain_centre():
    made = twisted()
    inside = interior(made.points, (700, 900), 220)
    distance, near = cKDTree(made.domains).query(made.points[inside], k=4)
    clear = distance[:, 1] - distance[:, 0] > 1
    assert clear.sum() > 1000
    assert np.array_equal(made.domain_labels[near[clear, 0]], made.stacking[inside][clear])


def test_stackings_look_as_their_columns_add_up():
    made = simulate.twist_case(1, (800, 800))
    brightest = {name: [] for name in made.stacking_names}
    for place, label in zip(made.domains, made.domain_labels, strict=True):
        if interior(place[None], (800, 800), 20)[0]:
            row, col = np.round(place).astype(int)
            brightest[made.stacking_names[label]].append(
                made.clean[row - 14 : row + 15, col - 14 : col + 15].max()
            )
    assert np.allclose(brightest["AA'"], 1.5, atol=0.05)
    assert np.allclose(brightest["A'B"], 1.0, atol=0.05)
    assert np.allclose(brightest["AB'"], 2.0, atol=0.06)


def test_layers_in_registry_have_one_stacking_and_no_moire():
    made = simulate.bilayer(shape=SMALL, twist=0.0, stacking="AB'")
    assert made.moire is None
    assert len(made.domains) == 0
    assert {made.stacking_names[s] for s in made.stacking} == {"AB'"}
    shifted = simulate.bilayer(shape=SMALL, twist=0.0, stacking="AB'", offset=(2 / 3, 1 / 3))
    assert {shifted.stacking_names[s] for s in shifted.stacking} == {"AA'"}


def test_the_cases_of_the_paper_add_up():
    cases = [simulate.twist_case(number, SMALL, seed=1) for number in range(9)]
    assert np.cos(np.deg2rad(cases[0].twist)) == pytest.approx(661 / 662, abs=1e-9)
    assert [case.twist for case in cases[1:]] == [3.2] * 8
    assert np.array_equal(cases[3].image, cases[3].clean)
    assert (cases[4].image - cases[4].clean).std() == pytest.approx(0.05, rel=0.02)
    ideal = cases[4].points
    for case, largest in zip(cases[5:], (0.02, 0.05, 0.10, 0.15), strict=True):
        moved, _ = cKDTree(case.points).query(ideal[interior(ideal, SMALL, 5)])
        assert np.percentile(moved, 90) < 20 * largest * 1.01
        assert np.percentile(moved, 90) > 20 * largest * 0.6
    areas = [np.mean(case.clean) for case in cases[1:4]]
    assert areas[1] / areas[0] == pytest.approx(1.8 / 1.5, rel=0.02)
    assert areas[2] / areas[1] == pytest.approx((8 / 6) ** 2, rel=0.02)


# Boundaries


@pytest.mark.parametrize(("angle", "opening"), [(0, 0.2), (25, 0.0)])
def test_a_twin_is_the_mirror_image_and_shares_a_row(angle, opening):
    made = simulate.twin_boundary(shape=(400, 400), angle=angle, opening=opening, counts=None, seed=1)
    along = np.array([-np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))])
    up = np.array([-along[1], along[0]])
    row = made.points[made.grain == 2]
    line = (row @ up).mean()
    assert np.ptp(row @ up) < 1e-3
    assert abs(line - np.array([199.5, 199.5]) @ up) <= 11.001
    for grain, side in ((0, -1), (1, 1)):
        assert (side * (made.points[made.grain == grain] @ up - line) > 0).all()
    mirrored = made.points - 2 * (made.points @ up - line)[:, None] * up
    seen = interior(mirrored, (400, 400), 1)
    distance, near = cKDTree(made.points).query(mirrored[seen])
    assert distance.max() < 1e-3
    assert np.array_equal(made.labels[near], made.labels[seen])

    tree = cKDTree(made.points)
    inside = interior(made.points, (400, 400), 25)
    bond = np.hypot(0.5, 1 / np.sqrt(12) + opening / 2) * 22 + 0.1
    for site in np.flatnonzero(inside & (made.grain == 2)):
        near = [n for n in tree.query_ball_point(made.points[site], bond) if n != site]
        assert made.names[made.labels[site]] == "Se2"
        assert [made.names[made.labels[n]] for n in near] == ["Mo"] * 4
    bulk = inside & (np.abs(made.points @ up - line) > 25)
    distance, near = tree.query(made.points[bulk], k=4)
    assert distance[:, 1:] == pytest.approx(22 / np.sqrt(3), abs=1e-3)
    assert (made.labels[near[:, 1:]] != made.labels[bulk][:, None]).all()
    assert len(np.unique(made.environments[inside])) == 7


def test_a_stacking_boundary_has_a_honeycomb_on_one_side_and_three_columns_on_the_other():
    made = simulate.stacking_boundary(shape=(500, 500), angle=10, counts=50, seed=2)
    assert made.names == ("Mo+Se2", "Mo", "Se2")
    assert set(made.labels[made.grain == 0]) == {0}
    third = np.bincount(made.labels[made.grain == 1]) / np.sum(made.grain == 1)
    assert third == pytest.approx([1 / 3] * 3, abs=0.03)
    molybdenum, selenium = 42**1.7, 34**1.7
    expected = 50 * np.array([1, molybdenum / (molybdenum + 2 * selenium), 0])
    expected[2] = 50 - expected[1]
    inside = interior(made.points, (500, 500), 8)
    assert np.abs(at(made.clean, made.points) - expected[made.labels])[inside].max() < 0.5
    distance, _ = cKDTree(made.points).query(made.points[inside], k=2)
    assert distance[:, 1] == pytest.approx(22 / np.sqrt(3), abs=1e-3)
    row = made.points[made.grain == 2]
    assert set(made.labels[made.grain == 2]) == {0}
    assert np.ptp(row @ np.array([np.cos(np.deg2rad(10)), np.sin(np.deg2rad(10))])) < 1e-3


# Lattices without a material


@pytest.mark.parametrize("angle", [0, 17])
def test_the_p4m_crystal_alternates_and_has_the_symmetry_of_its_group(angle):
    made = simulate.crystal_p4m((400, 500), angle=angle)
    inside = interior(made.points, (400, 500), 40)
    peak = at(made.image, made.points[inside])
    assert peak == pytest.approx(np.array([0.8, 1.0])[made.labels[inside]], abs=1e-3)
    tree = cKDTree(made.points)
    distance, near = tree.query(made.points[inside], k=5)
    assert distance[:, 1:] == pytest.approx(32, abs=1e-3)
    assert (made.labels[near[:, 1:]] != made.labels[inside][:, None]).all()
    deep = interior(made.points, (400, 500), 60)
    for step in (made.u, made.v):
        apart, where = tree.query(made.points[deep] + step)
        assert apart.max() < 1e-3
        assert np.array_equal(made.labels[where], made.labels[deep])
    # four-fold rotation and a mirror about every site
    site = made.points[deep][0]
    axes = np.array([[-np.sin(np.deg2rad(angle)), np.cos(np.deg2rad(angle))]])
    offsets = np.random.default_rng(0).uniform(-30, 30, (50, 2))
    here = at(made.clean, site + offsets)
    turned = np.stack([-offsets[:, 1], offsets[:, 0]], 1)
    mirrored = 2 * (offsets @ axes.T) * axes - offsets
    assert at(made.clean, site + turned) == pytest.approx(here, abs=1e-3)
    assert at(made.clean, site + mirrored) == pytest.approx(here, abs=1e-3)


def test_noise_of_the_p4m_crystal_is_in_units_of_its_bright_blobs():
    made = simulate.crystal_p4m(gaussian=0.4)
    assert (made.image - made.clean).std() == pytest.approx(0.4, rel=0.01)


def test_vacancies_of_the_stm_lattice_have_the_shapes_of_their_names():
    made = simulate.stm_lattice(isolated=10, clusters=7, chains=9, gaussian=0.0, seed=3)
    assert np.array_equal(made.occupied, made.defect < 0)
    assert np.array_equal(made.occupied, made.labels == 0)
    kinds = []
    tree = cKDTree(made.points)
    for number in range(made.defect.max() + 1):
        mine = np.flatnonzero(made.defect == number)
        name = {made.names[label] for label in made.labels[mine]}
        assert len(name) == 1
        kinds.append(*name)
        apart = np.hypot(*(made.points[mine, None] - made.points[mine]).transpose(2, 0, 1))
        if kinds[-1] == "isolated":
            assert len(mine) == 1
        elif kinds[-1] == "cluster":
            assert apart[~np.eye(3, dtype=bool)] == pytest.approx(16, abs=1e-3)
        else:
            assert 2 <= len(mine) <= 6
            assert apart.max() == pytest.approx(16 * (len(mine) - 1), abs=1e-3)
        around = np.unique(np.concatenate(tree.query_ball_point(made.points[mine], 17)).astype(int))
        assert set(made.defect[around]) <= {-1, number}
    assert sorted(kinds) == ["chain"] * 9 + ["cluster"] * 7 + ["isolated"] * 10
    inside = interior(made.points, made.image.shape, 14)
    height = at(made.clean, made.points)
    assert height[inside & made.occupied].min() > height[inside & ~made.occupied].max() + 0.5


# Occupancy


def windows(grid, side, step=1):
    """Numbers of the states of the windows of a grid that repeats."""
    bits = [np.roll(grid, (-r, -c), (0, 1)).astype(np.int64) for r in range(side) for c in range(side)]
    return sum(bit << place for place, bit in enumerate(bits))[::step, ::step].reshape(-1)


def entropy(codes):
    p = np.unique(codes, return_counts=True)[1] / len(codes)
    return -(p * np.log(p)).sum()


@pytest.mark.parametrize("fraction", [0.25, 0.75])
def test_perfect_order_has_the_entropies_it_says(fraction):
    made = simulate.occupancy_grid("ordered", (32, 48), fraction=fraction, seed=1)
    assert made.grid.mean() == fraction
    for side, known in ((2, made.entropy_level2), (4, made.entropy_level3)):
        assert entropy(windows(made.grid, side)) == pytest.approx(known) == pytest.approx(np.log(4))
        assert entropy(windows(made.grid, side, step=side)) == 0


@pytest.mark.parametrize("p", [0.1, 0.379, 0.5])
def test_independent_sites_have_the_entropies_of_their_fraction(p):
    made = simulate.occupancy_grid("bernoulli", (600, 600), fraction=p, seed=2)
    single = -p * np.log(p) - (1 - p) * np.log(1 - p)
    assert (made.entropy_level2, made.entropy_level3) == pytest.approx((4 * single, 16 * single))
    assert made.grid.mean() == pytest.approx(p, abs=4 * np.sqrt(p * (1 - p) / 360_000))
    assert entropy(windows(made.grid, 2)) == pytest.approx(made.entropy_level2, abs=0.01)


def test_excluded_sites_are_marked_and_as_many_as_asked():
    made = simulate.occupancy_grid(shape=(300, 300), excluded=0.043)
    assert np.mean(made.grid == simulate.EXCLUDED) == pytest.approx(0.043, abs=0.003)
    assert np.mean(made.grid == 1) == pytest.approx(0.363, abs=0.01)
    assert np.mean(made.grid == 0) == pytest.approx(0.594, abs=0.01)


def onsager(coupling):
    """Correlation of nearest sites of the Ising model on the plane (Onsager 1944)."""
    k = abs(coupling)
    modulus = 2 * np.sinh(2 * k) / np.cosh(2 * k) ** 2
    value = (1 + 2 / np.pi * (2 * np.tanh(2 * k) ** 2 - 1) * ellipk(modulus**2)) / (2 * np.tanh(2 * k))
    return np.sign(coupling) * value


@pytest.mark.parametrize("coupling", [0.1, 0.3, -0.3])
def test_transfer_matrix_agrees_with_the_exact_solution(coupling):
    p = simulate.ising_window_probabilities(coupling, 2)
    spins = 2 * (np.arange(16)[:, None] >> np.arange(4) & 1) - 1
    assert p @ (spins[:, 0] * spins[:, 1]) == pytest.approx(onsager(coupling), abs=3e-4)
    assert p @ (spins[:, 0] * spins[:, 2]) == pytest.approx(onsager(coupling), abs=3e-4)


def test_windows_of_all_sides_belong_together():
    def marginal(p, side, inner):
        bits = np.arange(2 ** (side * side))[:, None] >> np.arange(side * side) & 1
        kept = bits.reshape(-1, side, side)[:, :inner, :inner].reshape(-1, inner * inner)
        return np.bincount(kept @ (1 << np.arange(inner * inner)), p)

    four = simulate.ising_window_probabilities(0.35, 4)
    assert four.sum() == pytest.approx(1)
    assert four == pytest.approx(four[::-1], rel=1e-6)  # no field
    for inner in (1, 2, 3):
        expected = simulate.ising_window_probabilities(0.35, inner)
        assert marginal(four, 4, inner) == pytest.approx(expected, rel=1e-6)
    free = simulate.ising_window_probabilities(0.0, 3)
    assert free == pytest.approx(np.full(512, 1 / 512))


@pytest.mark.parametrize("coupling", [0.3, 0.4407, 0.6, -0.3])
def test_ising_samples_have_the_exact_energy(coupling):
    values = []
    for seed in range(3):
        spins = (
            2 * simulate.occupancy_grid("ising", (96, 96), coupling=coupling, seed=seed).grid.astype(int) - 1
        )
        values.append(np.mean([spins * np.roll(spins, 1, axis) for axis in (0, 1)]))
    assert np.mean(values) == pytest.approx(onsager(coupling), abs=0.02)


def test_ising_samples_have_the_window_entropy_of_the_transfer_matrix():
    made = simulate.occupancy_grid("ising", (200, 200), coupling=0.3)
    assert entropy(windows(made.grid, 2)) == pytest.approx(made.entropy_level2, abs=0.01)
    assert made.entropy_level2 < 4 * np.log(2)
    assert made.entropy_level3 < 4 * made.entropy_level2


# Tiling


def test_pentagons_are_those_of_the_cairo_tiling():
    made = simulate.tiling(shape=(500, 600), cell=64, angle=12, counts=None)
    edges = np.hypot(*(np.roll(made.corners, -1, axis=1) - made.corners).transpose(2, 0, 1)) / 64
    short, long = (np.sqrt(3) - 1) * np.sqrt(2) / np.sqrt(12), 1 / np.sqrt(6)
    assert edges == pytest.approx(np.tile([short, long, long, long, long], (len(edges), 1)), abs=1e-4)
    to_next, to_last = (np.roll(made.corners, step, axis=1) - made.corners for step in (-1, 1))
    cosine = (to_next * to_last).sum(-1) / np.sqrt((to_next**2).sum(-1) * (to_last**2).sum(-1))
    angles = np.rad2deg(np.arccos(cosine))
    assert angles == pytest.approx(np.tile([120, 120, 90, 120, 90], (len(angles), 1)), abs=0.01)
    row, col = made.corners[..., 0], made.corners[..., 1]
    area = np.abs((row * np.roll(col, -1, 1) - col * np.roll(row, -1, 1)).sum(1)) / 2
    assert area == pytest.approx(64**2 / 4, rel=1e-4)
    assert made.centers == pytest.approx(made.corners.mean(1), abs=1e-3)
    inside = made.corners[interior(made.centers, (500, 600), 40)].reshape(-1, 2)
    distance, near = cKDTree(made.points).query(inside)
    assert distance.max() < 1e-3
    assert (made.labels[near] == 0).all()


def test_pentagon_centres_are_as_bright_as_their_states_say():
    made = simulate.tiling(shape=(700, 700), counts=100, seed=2)
    inside = interior(made.centers, (700, 700), 20)
    vanadium = 100 * (23 / 42) ** 1.7
    expected = np.select([made.states == 1, made.states == simulate.EXCLUDED], [100.0, vanadium], 0.0)
    assert np.abs(at(made.clean, made.centers) - expected)[inside].max() < 0.5
    assert set(made.states) == {0, 1, simulate.EXCLUDED}
    assert np.sum(made.labels == 1) == np.sum(made.states == 1)
    corners = (made.labels == 0) & interior(made.points, (700, 700), 20)
    assert at(made.clean, made.points[corners]) == pytest.approx(np.full(corners.sum(), 100.0), abs=0.5)


def test_states_of_a_tiling_have_the_fractions_of_the_paper():
    made = simulate.tiling(shape=(1800, 1800), cell=40, counts=None, seed=1)
    assert np.mean(made.states == 0) == pytest.approx(0.594, abs=0.015)
    assert np.mean(made.states == 1) == pytest.approx(0.363, abs=0.015)
    assert np.mean(made.states == simulate.EXCLUDED) == pytest.approx(0.043, abs=0.006)


@pytest.mark.parametrize("angle", [0, 33])
def test_indices_of_pentagons_lead_to_their_states_and_neighbours(angle):
    grid = simulate.occupancy_grid("ordered", (14, 18), excluded=0.1, seed=3).grid
    made = simulate.tiling(grid, (700, 700), angle=angle, disorder=0.03, seed=4)
    assert np.array_equal(made.states, grid[tuple((made.indices % grid.shape).T)])
    place = {tuple(index): n for n, index in enumerate(made.indices)}
    assert len(place) == len(made.indices)
    middle = np.argsort(np.hypot(*(made.centers - 349.5).T))[:4]
    assert {tuple(index) for index in made.indices[middle]} == {(6, 8), (6, 9), (7, 8), (7, 9)}
    whole = 0
    for (i, j), n in place.items():
        below, right = place.get((i + 1, j)), place.get((i, j + 1))
        if below is None or right is None:
            continue
        for other in (below, right):  # neighbours in the grid share an edge
            shared = cKDTree(made.corners[n]).query(made.corners[other])[0] < 1e-3
            assert shared.sum() == 2
        if angle == 0:
            assert made.centers[below, 0] > made.centers[n, 0]
            assert made.centers[right, 1] > made.centers[n, 1]
        whole += 1
    assert whole > 300


def test_a_tiling_of_the_size_of_its_grid_shows_it_once():
    grid = simulate.occupancy_grid(shape=(10, 14), seed=5).grid
    made = simulate.tiling(grid, (10 * 32, 14 * 32), cell=64)
    shown = np.zeros_like(grid)
    shown[tuple(made.indices.T)] = made.states
    assert len(made.states) == grid.size
    assert np.array_equal(shown, grid)


def test_disorder_distorts_pentagons_up_to_its_limit():
    plain = simulate.tiling(shape=(400, 400), counts=None)
    made = simulate.tiling(shape=(400, 400), counts=None, disorder=0.05)
    corners = interior(plain.points, (400, 400), 5) & (plain.labels == 0)
    moved, _ = cKDTree(made.points).query(plain.points[corners])
    assert moved.max() <= 0.05 * 64 + 1e-3
    assert np.median(moved) == pytest.approx(0.05 * 64 / np.sqrt(2), rel=0.1)


# Bad input


BAD = [
    (lambda: simulate.monolayer("MoTe2"), "the material 'MoTe2' is not known; choose one of MoS2"),
    (lambda: simulate.monolayer(shape=(0, 5)), "an entry of shape is 0"),
    (lambda: simulate.monolayer(shape=(5, 5, 5)), "shape is (5, 5, 5); give the numbers of rows"),
    (lambda: simulate.monolayer(lattice_constant=0), "lattice_constant is 0"),
    (lambda: simulate.monolayer(sigma=float("nan")), "sigma is nan"),
    (lambda: simulate.monolayer(counts=-3), "counts is -3; give a positive number, or None"),
    (lambda: simulate.monolayer(vacancies=1.5), "vacancies is 1.5; give a fraction"),
    (lambda: simulate.monolayer(vacancies=0.6, divacancies=0.5), "sum to 1.1"),
    (lambda: simulate.monolayer(dopants={"Xx": 0.1}), "the dopant 'Xx' is not known"),
    (lambda: simulate.monolayer(dopants={"Mo": 0.1}), "the dopant 'Mo' is of the material"),
    (lambda: simulate.monolayer(dopants={"W": 2}), "the fraction of W is 2"),
    (lambda: simulate.monolayer(strain=((0, 0),)), "give a 2 x 2 displacement gradient"),
    (lambda: simulate.monolayer(strain=((-1, 0), (0, 0))), "keep it below 0.5"),
    (lambda: simulate.monolayer(drift=(-100, 0)), "drift is (-100, 0) on 512 rows"),
    (lambda: simulate.monolayer(drift=(float("inf"), 0)), "give two finite numbers"),
    (lambda: simulate.monolayer(grains=()), "there are no grains"),
    (lambda: simulate.monolayer(scan=-1), "scan is -1"),
    (lambda: simulate.monolayer(gaussian=-0.1), "gaussian is -0.1"),
    (lambda: simulate.monolayer(background=-1), "background is -1"),
    (lambda: simulate.patches((5, 5), centers=(1,)), "2 class sizes, 1 centers, 2 folds"),
    (lambda: simulate.patches((5, -5)), "a class size is -5"),
    (lambda: simulate.patches(counts=0), "counts is 0"),
    (lambda: simulate.patches(folds=2.5), "folds is 2.5"),
    (lambda: simulate.bilayer("MoS2"), "give one material for each of the two layers"),
    (lambda: simulate.bilayer(("MoS2", "NbS2")), "the material 'NbS2' is not known"),
    (lambda: simulate.bilayer(stacking="ABC"), "the stacking 'ABC' is not known; choose one of AA'"),
    (lambda: simulate.bilayer(twist=57), "twist is 57; give -30 to 30 degrees"),
    (lambda: simulate.bilayer(offset=(1,)), "offset is (1,)"),
    (lambda: simulate.bilayer(disorder=-1), "disorder is -1"),
    (lambda: simulate.twist_case(9), "number is 9; give a whole number from 0 to 8"),
    (lambda: simulate.twin_boundary("X"), "the material 'X' is not known"),
    (lambda: simulate.twin_boundary(opening=-1), "opening is -1"),
    (lambda: simulate.stacking_boundary(lattice_constant=-2), "lattice_constant is -2"),
    (lambda: simulate.crystal_p4m(spacing=0), "spacing is 0"),
    (lambda: simulate.crystal_p4m(heights=(1,)), "heights is (1,)"),
    (lambda: simulate.stm_lattice(clusters=-1), "clusters is -1"),
    (lambda: simulate.stm_lattice((60, 60), isolated=100), "do not fit"),
    (lambda: simulate.stm_lattice((2, 2), lattice_constant=90), "no site of the lattice is in view"),
    (lambda: simulate.occupancy_grid("potts"), "the model 'potts' is not known"),
    (lambda: simulate.occupancy_grid(fraction=2), "fraction is 2"),
    (lambda: simulate.occupancy_grid(coupling=0.3), "coupling is 0.3 for the model 'bernoulli'"),
    (lambda: simulate.occupancy_grid("ordered", fraction=0.5), "give the fraction 0.25 or 0.75"),
    (lambda: simulate.occupancy_grid("ordered", (5, 4)), "even numbers of rows and columns"),
    (lambda: simulate.occupancy_grid("ising"), "give a coupling"),
    (lambda: simulate.occupancy_grid("ising", coupling=99), "coupling is 99"),
    (lambda: simulate.occupancy_grid("ising", (5, 6), coupling=-0.2), "order does not close on the torus"),
    (lambda: simulate.ising_window_probabilities(0.1, 5), "side is 5; give a whole number from 1 to 4"),
    (lambda: simulate.tiling(np.zeros(4)), "the grid has shape (4,)"),
    (lambda: simulate.tiling(np.full((4, 4), 7)), "the grid has the state 7; give 0, 1 or -1"),
    (lambda: simulate.tiling(cell=-1), "cell is -1"),
    (lambda: simulate.poisson_noise([[np.nan]]), "NaN or infinite"),
    (lambda: simulate.poisson_noise([[1e20]]), "1e+20 counts are expected in a pixel"),
    (lambda: simulate.gaussian_noise(np.zeros((3, 3)), -1), "sigma is -1"),
    (lambda: simulate.scan_noise(np.zeros(3), 1), "the image has shape (3,)"),
    (lambda: simulate.scan_noise(np.zeros((3, 3)), -1), "scan is -1"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_says_what_is_wrong_and_what_to_do(call, message):
    with pytest.raises(StageError) as caught:
        call()
    assert str(caught.value).startswith("simulate: ")
    assert message in str(caught.value)
    assert caught.value.remedy
