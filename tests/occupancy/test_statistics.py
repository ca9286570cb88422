from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.figures.occupancy import plot_arrows, plot_pattern_map, plot_patterns
from motifgpu.occupancy.statistics import EXCLUDED, OccupancyStatistics, occupancy_statistics


def literal(grid: np.ndarray, side: int, stride: int) -> Counter[tuple[int, ...]]:
    """Count windows one by one."""
    seen: Counter[tuple[int, ...]] = Counter()
    for row in range(0, grid.shape[0] - side + 1, stride):
        for col in range(0, grid.shape[1] - side + 1, stride):
            window = grid[row : row + side, col : col + side]
            if (window != EXCLUDED).all():
                seen[tuple(window.reshape(-1).tolist())] += 1
    return seen


def literal_entropy(seen: Counter[tuple[int, ...]]) -> float:
    total = sum(seen.values())
    return -sum(n / total * math.log(n / total) for n in seen.values())


def entropy_of(probabilities: np.ndarray) -> float:
    p = probabilities[probabilities > 0]
    return float(-(p * np.log(p)).sum())


@pytest.mark.parametrize(("level", "stride"), [(2, 1), (2, 2), (3, 1), (3, 3), (3, 4)])
def test_windows_are_those_counted_one_by_one(level: int, stride: int) -> None:
    grid = simulate.occupancy_grid(shape=(23, 31), excluded=0.02, seed=1).grid
    found = occupancy_statistics(grid, level, stride, samples=3)
    expected = literal(grid, found.side, stride)
    patterns = [tuple(pattern.reshape(-1).tolist()) for pattern in found.patterns]
    assert dict(zip(patterns, found.counts.tolist(), strict=True)) == dict(expected)
    assert found.windows == sum(expected.values())
    assert found.windows + found.dropped == found.ranks.size
    assert found.entropy == pytest.approx(literal_entropy(expected), abs=1e-12)
    assert (np.diff(found.counts) <= 0).all()
    np.testing.assert_allclose(found.top, np.cumsum(found.counts) / found.windows)
    for row, col in itertools.product(*map(range, found.ranks.shape)):
        window = grid[row * stride :, col * stride :][: found.side, : found.side]
        rank = found.ranks[row, col]
        assert ((window == EXCLUDED).any()) if rank < 0 else (window == found.patterns[rank]).all()


def test_grid_of_every_backend(xp_array: Callable[[Any], Any]) -> None:
    grid = simulate.occupancy_grid(shape=(20, 20), excluded=0.05, seed=2).grid
    here, there = occupancy_statistics(grid), occupancy_statistics(xp_array(grid))
    assert here.entropy == there.entropy
    np.testing.assert_array_equal(here.ranks, there.ranks)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 0.1), st.sampled_from([2, 3]))
def test_entropy_is_between_zero_and_its_ceiling(
    seed: int, fraction: float, excluded: float, level: int
) -> None:
    grid = simulate.occupancy_grid(shape=(16, 19), fraction=fraction, excluded=excluded, seed=seed).grid
    try:
        found = occupancy_statistics(grid, level, samples=2)
    except StageError:
        assert not literal(grid, 2 ** (level - 1), 1)
        return
    assert 0 <= found.entropy <= found.ceiling + 1e-12
    assert found.top[-1] == pytest.approx(1)
    turned = occupancy_statistics(np.rot90(grid), level, samples=2)
    assert turned.entropy == pytest.approx(found.entropy, abs=1e-12)
    swapped = occupancy_statistics(np.where(grid < 0, grid, 1 - grid), level, samples=2)
    assert swapped.entropy == pytest.approx(found.entropy, abs=1e-12)


@pytest.mark.parametrize("level", [2, 3])
@pytest.mark.parametrize("fraction", [0.1, 0.379, 0.5])
def test_entropy_of_independent_sites_is_the_theory(level: int, fraction: float) -> None:
    truth = simulate.occupancy_grid(shape=(700, 700), fraction=fraction, seed=4)
    found = occupancy_statistics(truth.grid, level, samples=1)
    theory = (truth.entropy_level2, truth.entropy_level3)[level - 2]
    bias = 0.004 if level == 3 else 0.0  # what is left of it with 7 windows a pattern
    assert abs(found.corrected - theory) < 4 * found.error + bias


@pytest.mark.parametrize("coupling", [pytest.param(0.25, marks=pytest.mark.slow), -0.3])
def test_entropy_of_the_ising_model_is_the_theory(coupling: float) -> None:
    truth = simulate.occupancy_grid("ising", (200, 200), coupling=coupling, seed=7)
    found = occupancy_statistics(truth.grid, 2, samples=1)
    expected = simulate.ising_window_probabilities(coupling, 2)
    assert found.entropy == pytest.approx(entropy_of(expected), abs=4 * found.error + 2e-4)
    np.testing.assert_allclose(np.sort(found.counts / found.windows), np.sort(expected), atol=8e-3)


@pytest.mark.parametrize("fraction", [0.25, 0.75])
@pytest.mark.parametrize("level", [2, 3])
def test_entropy_of_order_is_exact(level: int, fraction: float) -> None:
    grid = simulate.occupancy_grid("ordered", (41 * 2 + 2, 60), fraction=fraction).grid
    side = 2 ** (level - 1)
    # As many windows of each phase: the sliding ones then have equal shares.
    sliding = occupancy_statistics(grid[: 40 + side - 1, : 40 + side - 1], level, samples=2)
    assert sliding.entropy == pytest.approx(math.log(4), abs=1e-12)
    assert len(sliding.counts) == 4
    tiled = occupancy_statistics(grid, level, side, samples=2)
    assert tiled.entropy == 0
    assert tiled.corrected == pytest.approx(0, abs=2 / tiled.windows)
    assert tiled.null.p_value == pytest.approx(1 / 3)


def test_null_is_what_independent_sites_give() -> None:
    grid = simulate.occupancy_grid(shape=(60, 60), excluded=0.04, seed=3).grid
    found = occupancy_statistics(grid, 3, samples=200)
    assert abs(found.entropy - found.null.entropy) < 4 * found.null.deviation
    assert 0.005 <= found.null.p_value <= 1
    assert found.null.samples.shape == (200,)
    np.testing.assert_allclose(found.top, found.null.top, atol=0.05)
    again = occupancy_statistics(grid, 3, samples=200)
    np.testing.assert_array_equal(again.null.samples, found.null.samples)


def test_null_of_tiled_windows_is_the_multinomial_one() -> None:
    n, p = 400, 0.3
    grid = simulate.occupancy_grid(shape=(40, 40), fraction=p, seed=5).grid
    found = occupancy_statistics(grid, 2, 2, samples=400)
    ones = np.array([bin(code).count("1") for code in range(16)])
    q = found.fraction**ones * (1 - found.fraction) ** (4 - ones)
    k = np.arange(1, n + 1)
    log_choose = np.array([math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) for i in k])
    chance = np.exp(log_choose + k * np.log(q[:, None]) + (n - k) * np.log1p(-q[:, None]))
    expected = float((chance * (-(k / n) * np.log(k / n))).sum())
    assert found.null.entropy == pytest.approx(expected, abs=4 * found.null.deviation / 20)


def test_fifty_random_windows_look_ordered() -> None:
    """The trap: few windows give the paper's figures whatever the order, and the null says so."""
    grid = simulate.occupancy_grid(shape=(28, 32), fraction=0.379, seed=1).grid
    found = occupancy_statistics(grid, 3, 4, samples=100)
    assert found.windows == 56
    assert found.entropy < 4.1 < 16 * 0.66
    assert found.ceiling == pytest.approx(math.log(56))
    assert found.null.p_value > 0.05


def test_order_lies_below_the_null() -> None:
    grid = simulate.occupancy_grid("ising", (40, 40), coupling=0.4, seed=6).grid
    found = occupancy_statistics(grid, 2)
    assert found.null.p_value == pytest.approx(1 / 201)
    assert found.entropy < found.null.entropy - 5 * found.null.deviation


@pytest.mark.parametrize(
    ("grid", "options", "message"),
    [
        (np.zeros((3, 9), int), {"level": 3}, "the grid has 3 x 9 sites and a window 4 x 4"),
        (np.full((9, 9), EXCLUDED), {}, "each of the 64 windows of 2 x 2 sites holds an excluded site"),
        (np.full((9, 9), 2), {}, "holds the value 2; give 0"),
        (np.full((9, 9), 0.5), {}, "holds the value 0.5"),
        (np.full((9, 9), np.nan), {}, "81 of 81 values that are NaN"),
        (np.zeros((0, 4)), {}, "the grid has 0 x 4 sites"),
        (np.zeros((4, 0)), {}, "shape \\(4, 0\\)"),
        (np.zeros(4), {}, "shape \\(4,\\)"),
        (np.zeros((4, 4)), {"level": 4}, "level is 4; give a whole number from 2 to 3"),
        (np.zeros((4, 4)), {"stride": 0}, "stride is 0"),
        (np.zeros((4, 4)), {"samples": 1.5}, "samples is 1.5"),
    ],
)
def test_bad_input_is_named(grid: np.ndarray, options: dict[str, Any], message: str) -> None:
    with pytest.raises(StageError, match=f"^occupancy: .*{message}"):
        occupancy_statistics(grid, **options)


def drawn(found: OccupancyStatistics, centers: np.ndarray) -> list[Any]:
    return [plot_patterns(found), plot_pattern_map(found, centers).figure]


@pytest.mark.parametrize("level", [2, 3])
def test_figures_show_patterns_and_places(level: int) -> None:
    grid = simulate.occupancy_grid("ordered", (14, 14)).grid[:13, :13]
    centers = 10.0 * np.stack(np.meshgrid(np.arange(13), np.arange(13), indexing="ij"), axis=-1)
    found = occupancy_statistics(grid, level, samples=2)
    patterns, places = drawn(found, centers)
    assert "entropy 1.39" in patterns._suptitle.get_text()
    assert len(patterns.axes) == 4
    polygons = sum(len(c.get_paths()) for c in places.axes[0].collections)
    assert polygons == found.windows
    for figure in (patterns, places):
        figure.canvas.draw()
    ax = plot_arrows(grid, centers, np.zeros((120, 120)))
    squares, arrows = ax.collections
    assert len(squares.get_paths()) == 36
    assert arrows.N == 36  # one filled site of four in each square
    directions = np.stack([arrows.U, arrows.V], axis=1)
    assert np.allclose(np.abs(directions), 0.75 * 5)
