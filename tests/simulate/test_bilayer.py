from __future__ import annotations

import functools

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.simulations import SMALL, direction, interior

from motifgpu import simulate


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
