from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from motifgpu import analyze, estimate_patch_size, find_columns, simulate
from motifgpu.columns import standard_image
from motifgpu.columns.standard_image import StandardImage

IMAGE = simulate.monolayer(shape=(192, 192), counts=20, lattice_constant=16.0, seed=3).image


def test_an_analysis_computes_one_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def counted(x: np.ndarray) -> standard_image.Spectrum:
        computed.append(x.shape)
        return power_spectrum(x)

    power_spectrum = standard_image.power_spectrum
    monkeypatch.setattr(standard_image, "power_spectrum", counted)
    found = analyze(IMAGE, remove_background=True, structure=False)
    assert computed == [IMAGE.shape]
    columns, size = find_columns(IMAGE), estimate_patch_size(IMAGE)
    assert np.array_equal(found.columns.points, columns.points)
    assert found.patch_size.pixels == size.pixels
    assert np.array_equal(found.patch_size.curve[1], size.curve[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_was_asked_is_freed_at_once(dtype: type) -> None:
    image = StandardImage.of(IMAGE.astype(dtype), "columns")
    assert image.single.values.dtype == np.float32
    assert image.ring is not None
    seen = weakref.ref(image)
    gc.disable()  # a reference to itself would be freed by the collector alone
    try:
        del image
        assert seen() is None
    finally:
        gc.enable()
