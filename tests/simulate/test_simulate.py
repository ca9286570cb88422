from __future__ import annotations

import numpy as np
import pytest
from support.simulations import SMALL, interior, same

from motifgpu import simulate
from motifgpu.core.errors import StageError

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
