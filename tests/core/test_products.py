from __future__ import annotations

import numpy as np
import pytest
from support.backends import same_home

from motifgpu.core.namespace import to_numpy
from motifgpu.core.products import row_products


def test_products_of_rows(xp_array):
    rng = np.random.default_rng(0)
    x, weights = rng.normal(size=(100, 66)).astype(np.float32), rng.normal(size=(5, 66))
    given = xp_array(x)
    found = row_products(given, weights)
    assert same_home(found, given)
    assert found.dtype == given.dtype
    np.testing.assert_allclose(to_numpy(found), x @ weights.T, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("m", "k"), [(66, 1), (66, 5), (722, 36), (1, 0)])
def test_a_row_has_the_same_bits_in_any_company(m, k, dtype):
    rng = np.random.default_rng(1)
    x, weights = rng.normal(size=(3000, m)).astype(dtype), rng.normal(size=(k, m))
    together = row_products(x, weights)
    order = rng.permutation(3000)
    np.testing.assert_array_equal(row_products(x[order], weights), together[order])
    for begin, end in ((0, 1), (7, 24), (2990, 3000), (5, 5)):
        np.testing.assert_array_equal(row_products(x[begin:end], weights), together[begin:end])
    np.testing.assert_array_equal(row_products(x, np.asfortranarray(weights)), together)
