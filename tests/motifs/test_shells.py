from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.motifs.shells import neighbor_shells

A = 22.0
NAMES = ("W", "S2", "V_S", "V_S2", "Fe", "TeS")


def doped(seed=0, error=0.0, **options):
    truth = simulate.monolayer(
        "WS2", counts=None, vacancies=0.05, dopants={"Fe": 0.03, "Te": 0.02}, seed=seed, **options
    )
    error = np.random.default_rng(seed).normal(0, error, truth.points.shape)
    return truth.points + error, truth


def of(truth, name):
    return truth.names.index(name)


@pytest.mark.parametrize("error", [0.0, 0.3, 0.69])
def test_shells_are_those_of_the_lattice(error):
    points, truth = doped(error=error)
    shells = neighbor_shells(points, truth.labels)
    nearest, second, third = A / np.sqrt(3), A, 2 * A / np.sqrt(3)
    assert 0 < shells.radii[0] < nearest < shells.radii[1] < second < shells.radii[2] < third
    metal, chalcogen = of(truth, "W"), of(truth, "S2")
    assert shells.mean[0, metal].sum() == pytest.approx(3, abs=0.01)
    assert shells.mean[1, metal].sum() == pytest.approx(6, abs=0.5)
    assert shells.mean[0, metal, metal] == pytest.approx(0, abs=0.01)
    assert shells.mean[0, metal, chalcogen] == pytest.approx(3 * 0.93, abs=0.1)


def test_dopants_are_fenced_in_as_the_paper_shows():
    points, truth = doped()
    shells = neighbor_shells(points, truth.labels)
    metal, chalcogen, iron, tellurium = (of(truth, n) for n in ("W", "S2", "Fe", "TeS"))
    assert shells.multisets[0][iron][0][0] == (chalcogen,) * 3
    assert shells.multisets[1][iron][0][0] == (metal,) * 6
    assert shells.multisets[0][tellurium][0][0] == (metal,) * 3


def test_counts_agree_with_a_literal_search():
    points, truth = doped(shape=(200, 200), grains=(0, 25))
    shells = neighbor_shells(points, truth.labels)
    low, high = points.min(axis=0), points.max(axis=0)
    for s in range(2):
        found = [Counter() for _ in truth.names]
        for point, label in zip(points, truth.labels, strict=True):
            if min((point - low).min(), (high - point).min()) < shells.radii[s + 1]:
                continue
            distance = np.sqrt(((points - point) ** 2).sum(axis=1))
            within = (distance >= shells.radii[s]) & (distance < shells.radii[s + 1])
            found[label][tuple(sorted(truth.labels[within].tolist()))] += 1
        for label, expected in enumerate(found[: len(shells.columns[s])]):
            assert dict(shells.multisets[s][label]) == dict(expected)
            assert shells.columns[s, label] == sum(expected.values())
            numbers = [n for _, n in shells.multisets[s][label]]
            assert numbers == sorted(numbers, reverse=True)


def test_missing_and_unassigned_columns_do_not_hide_a_shell():
    points, truth = doped()
    seen = truth.occupied.copy()
    seen[::17] = False
    labels = truth.labels.copy()
    labels[5::13] = -1
    shells = neighbor_shells(points[seen], labels[seen])
    whole = neighbor_shells(points, truth.labels)
    assert shells.radii == pytest.approx(whole.radii, abs=0.08 * A)
    metal = of(truth, "W")
    sizes = {len(multiset) for multiset, _ in shells.multisets[0][metal]}
    assert {2, 3} <= sizes
    assert any(-1 in multiset for multiset, _ in shells.multisets[0][metal])
    # Unassigned columns are neighbours, and nothing is said of their own shells.
    assert shells.columns[0].sum() < (labels[seen] >= 0).sum()


def test_square_lattice_and_any_number_of_shells():
    points = np.stack(np.mgrid[0:300:20, 0:300:20], axis=-1).reshape(-1, 2)
    shells = neighbor_shells(points, np.zeros(len(points), int), 4)
    assert shells.mean[:, 0, 0].tolist() == [4.0, 4.0, 4.0, 8.0]


def test_radii_can_be_given():
    points, truth = doped()
    shells = neighbor_shells(points, truth.labels, radii=(1.0, 0.8 * A))
    assert shells.radii.tolist() == [1.0, 0.8 * A]
    assert len(shells.multisets) == 1


def test_lists_and_other_backends_are_taken(xp_array):
    points, truth = doped(shape=(160, 160))
    here = neighbor_shells(points, truth.labels)
    there = neighbor_shells(xp_array(points.astype(np.float32)), xp_array(truth.labels))
    assert there.multisets == here.multisets
    assert neighbor_shells(points.tolist(), truth.labels.tolist()).multisets == here.multisets


@pytest.mark.parametrize("points", [np.zeros((0, 2)), np.zeros((1, 2)), np.zeros((9, 2)), [[0, 0], [0, 5]]])
def test_without_a_lattice_there_are_no_shells(points):
    shells = neighbor_shells(points, np.zeros(len(points), int))
    assert shells.multisets == ()
    assert shells.mean.shape[0] == 0


GRID = np.stack(np.mgrid[0:5, 0:5], axis=-1).reshape(-1, 2)


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((GRID.T, np.zeros(2, int)), {}, "points have shape (2, 25); give (row, col) for each"),
        ((GRID * np.nan, np.zeros(25, int)), {}, "points has 50 of 50 values that are NaN or infinite"),
        ((GRID, np.zeros(24, int)), {}, "labels have shape (24,) and there are 25 columns; give labels of"),
        ((GRID, np.zeros(25)), {}, "labels have dtype float64; give integers, negative where unassigned"),
        ((GRID, np.zeros(25, int), 0), {}, "n_shells is 0; give a whole number of at least 1"),
        ((GRID, np.zeros(25, int)), {"radii": (3.0, 2.0)}, "radii are (3.0, 2.0); give two or more rising"),
        ((GRID, np.zeros(25, int)), {"radii": (3.0,)}, "radii are (3.0,); give two or more rising numbers"),
    ],
)
def test_bad_input_says_what_to_do(arguments, options, text):
    with pytest.raises(StageError, match=r"^shells: ") as caught:
        neighbor_shells(*arguments, **options)
    assert text in str(caught.value)
