from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.simulations import at, interior

from motifgpu import simulate


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
