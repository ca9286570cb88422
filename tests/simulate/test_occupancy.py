from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ellipk

from motifgpu import simulate


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


@pytest.mark.parametrize(
    "coupling", [0.3, 0.4407, *(pytest.param(coupling, marks=pytest.mark.slow) for coupling in (0.6, -0.3))]
)
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
