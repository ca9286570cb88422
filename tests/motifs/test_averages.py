from __future__ import annotations

import numpy as np
import pytest
from support.backends import same_home

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features.zernike import reconstruct_patches, zernike_moments
from motifgpu.motifs.averages import class_averages

TRUTH = simulate.patches((6, 3, 2), centers=(1.0, 0.8, 0.5), size=32, distance=8.0, sigma=2.0, counts=50)
MOMENTS = zernike_moments(TRUTH.patches)
LABELS = np.where(np.arange(11) == 4, -1, TRUTH.labels)


def test_averages_are_means_over_each_class(xp_array):
    patches = xp_array(TRUTH.patches)
    averages = class_averages(patches, xp_array(MOMENTS), xp_array(LABELS))
    for name in ("patches", "reconstructions", "counts"):
        assert same_home(getattr(averages, name), patches)
    assert averages.patches.dtype == patches.dtype
    assert to_numpy(averages.counts).tolist() == [5, 3, 2]
    for k in range(3):
        rows = k == LABELS
        assert to_numpy(averages.patches)[k] == pytest.approx(TRUTH.patches[rows].mean(axis=0), rel=1e-5)
        rebuilt = reconstruct_patches(MOMENTS[rows].mean(axis=0, keepdims=True), 32)[0]
        assert to_numpy(averages.reconstructions)[k] == pytest.approx(rebuilt, abs=1e-3)


def test_the_average_of_many_is_free_of_noise():
    truth = simulate.patches((2000,), size=32, distance=8.0, sigma=2.0, counts=1, centers=(1.0,))
    clean = simulate.patches((1,), size=32, distance=8.0, sigma=2.0, centers=(1.0,)).patches[0]
    averages = class_averages(truth.patches, zernike_moments(truth.patches), truth.labels)
    assert np.abs(averages.patches[0] - clean).max() < 6 / np.sqrt(2000)


def test_a_label_without_columns_has_zeros():
    averages = class_averages(TRUTH.patches, MOMENTS, np.where(LABELS == 1, 3, LABELS))
    assert averages.counts.tolist() == [5, 0, 2, 3]
    assert not averages.patches[1].any()
    assert not averages.reconstructions[1].any()


def test_nothing_assigned_is_no_average():
    averages = class_averages(TRUTH.patches, MOMENTS, np.full(11, -1))
    assert averages.patches.shape == averages.reconstructions.shape == (0, 32, 32)
    assert averages.counts.shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            (TRUTH.patches, MOMENTS, LABELS[:-1]),
            "labels have shape (10,) and there are 11 columns; give labels",
        ),
        ((TRUTH.patches, MOMENTS, LABELS * 1.0), "labels have dtype float64; give integers, negative where"),
        (
            (TRUTH.patches, MOMENTS[:-1], LABELS),
            "there are 10 rows of moments and 11 patches; give the moments",
        ),
        ((TRUTH.patches[0], MOMENTS, LABELS), "patches has shape (32, 32); give an array of 3 dimensions"),
        ((TRUTH.patches * np.nan, MOMENTS, LABELS), "patches has 11264 of 11264 values that are NaN"),
    ],
)
def test_bad_input_says_what_to_do(arguments, text):
    with pytest.raises(StageError, match=r"^averages: ") as caught:
        class_averages(*arguments)
    assert text in str(caught.value)
