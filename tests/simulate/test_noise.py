from __future__ import annotations

import numpy as np
import pytest

from motifgpu import simulate
from motifgpu.simulate.render import add_columns


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
