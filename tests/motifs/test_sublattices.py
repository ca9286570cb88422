from __future__ import annotations

import numpy as np
import pytest
from support.backends import same_home

from motifgpu import simulate
from motifgpu.features.patches import extract_patches
from motifgpu.features.windows import window
from motifgpu.features.zernike import zernike_moments
from motifgpu.motifs.sublattices import Sublattices, find_sublattices

SIZE = 38


def monolayer(counts, seed=0, **options):
    """Moments of true columns whose patch fits, and the simulation with the mask of those."""
    truth = simulate.monolayer("MoSe2", shape=(256, 256), counts=counts, seed=seed, **options)
    patches, inside = extract_patches(truth.image, truth.points, SIZE)
    return zernike_moments(patches), truth, inside


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"vacancies": 0.3, "divacancies": 0.05, "dopants": {"W": 0.3}},
        {"dopants": {"Ti": 0.5}},
        {"background": 0.5},
        {"strain": ((0.02, 0.01), (-0.01, -0.02))},
    ],
    ids=["perfect", "defective", "alloy", "background", "strained"],
)
@pytest.mark.parametrize("counts", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_sublattices_are_the_true_ones(options, counts):
    moments, truth, inside = monolayer(counts, **options)
    sublattice = find_sublattices(moments, 10, 3)
    assert set(sublattice) == {0, 1}
    assert np.unique(np.stack([sublattice, truth.sublattice[inside]]), axis=1).shape[1] == 2


@pytest.mark.parametrize("angle", [25, 60])
def test_turned_grains_have_other_sublattices(angle):
    moments, truth, inside = monolayer(10, grains=(0, angle))
    sublattice = find_sublattices(moments, 10, 3)
    truly = 2 * truth.grain[inside] + truth.sublattice[inside]
    agree = sum(np.bincount(truly[sublattice == s]).max() for s in np.unique(sublattice))
    assert sublattice.max() + 1 == 4
    assert agree / len(sublattice) > 0.95  # the rest stands on the boundary


def test_every_backend_finds_the_same_sublattices(xp_array):
    moments, *_ = monolayer(3, vacancies=0.1)
    on_backend = xp_array(moments)
    sublattices = Sublattices(on_backend, 10, 3)
    here = Sublattices(moments, 10, 3)
    assert sublattices.of_column.tolist() == here.of_column.tolist()
    assert all(same_home(index, on_backend) for index in sublattices._there)
    assert sublattices.background == pytest.approx(here.background, abs=1e-4)
    for s, rows in enumerate(sublattices.rows):
        there = here._products(s, window(10)[:, None]) - here.background[rows, None]
        assert sublattices.read(s) == pytest.approx(there, abs=1e-4)


@pytest.mark.parametrize(("counts", "least"), [(3, 0.3), (30, 0.7)])  # less the more noise the gaps hold
def test_background_is_followed_where_there_is_one(counts, least):
    moments, *_ = monolayer(counts, vacancies=0.05)
    assert not Sublattices(moments, 10, 3).background.any()
    moments, truth, inside = monolayer(counts, vacancies=0.05, background=0.7)
    clean = simulate.monolayer("MoSe2", shape=(256, 256), counts=counts, vacancies=0.05).clean
    slow = extract_patches(truth.clean - clean, truth.points, SIZE)[0].mean(axis=(1, 2))
    followed = np.polyfit(slow, Sublattices(moments, 10, 3).background, 1)[0]
    assert least < followed < 1.05


@pytest.mark.parametrize(
    "moments",
    [np.zeros((30, 66), np.float32), np.ones((30, 66), np.float32), np.full((1, 66), 2.0, np.float32)],
    ids=["empty", "equal", "one"],
)
def test_equal_patches_are_one_sublattice(moments):
    assert not find_sublattices(moments, 10, 3).any()
