from __future__ import annotations

import numpy as np
import pytest

from motifgpu.simulate.render import add_columns


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
