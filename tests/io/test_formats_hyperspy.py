"""Signals in memory: objects with the attributes of HyperSpy's, since HyperSpy itself is not needed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from motifgpu import Micrograph, StageError

PICTURE = np.random.default_rng(0).random((20, 30))


def signal(
    data: Any, signal_axes: int = 2, scale: Any = 0.02, units: Any = "nm", title: str = "HAADF"
) -> SimpleNamespace:
    """Return what looks like a HyperSpy signal; its axes are listed from x on, as HyperSpy does."""
    axes = [
        SimpleNamespace(size=length, scale=scale, units=units, index_in_array=index)
        for index, length in enumerate(data.shape)
    ]
    split = len(axes) - signal_axes
    manager = SimpleNamespace(
        navigation_axes=tuple(axes[:split][::-1]), signal_axes=tuple(axes[split:][::-1])
    )
    general = SimpleNamespace(title=title)
    return SimpleNamespace(data=data, axes_manager=manager, metadata=SimpleNamespace(General=general))


def test_an_image_with_its_calibration_and_title() -> None:
    micrograph = Micrograph.of(signal(PICTURE))
    np.testing.assert_array_equal(micrograph.image, PICTURE.astype(np.float32))
    assert micrograph.pixel_size_nm == 0.02
    assert micrograph.title == "HAADF"


@pytest.mark.parametrize(
    ("scale", "units", "expected"),
    [
        (0.2, "Å", 0.02),
        (0.2, "$\\AA$", 0.02),
        (2e-5, "$\\mu m$", 0.02),
        (1.0, "<undefined>", None),
        (1.0, object(), None),  # traits.Undefined
        (0.02, "1/nm", None),
        (float("nan"), "nm", None),
    ],
)
def test_units(scale: float, units: Any, expected: float | None) -> None:
    size = Micrograph.of(signal(PICTURE, scale=scale, units=units)).pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))


def test_pixels_that_are_not_square_have_no_size() -> None:
    source = signal(PICTURE)
    source.axes_manager.signal_axes[0].scale = 0.03
    assert Micrograph.of(source).pixel_size_nm is None
    source = signal(PICTURE)
    del source.axes_manager.signal_axes[0].scale  # an axis given by a table
    assert Micrograph.of(source).pixel_size_nm is None


def test_axes_of_length_one_and_maps_over_a_scan() -> None:
    assert Micrograph.of(signal(PICTURE[None])).shape == (20, 30)
    assert Micrograph.of(signal(PICTURE, signal_axes=0)).shape == (20, 30)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(StageError, match=r"holds 3 images; give one of them, signal\.inav\[0\]"):
        Micrograph.of(signal(np.stack([PICTURE] * 3)))
    with pytest.raises(StageError, match="2 navigation and 1 signal axes; give an image"):
        Micrograph.of(signal(np.zeros((4, 5, 60)), signal_axes=1))
    with pytest.raises(StageError, match="2 navigation and 2 signal axes; give an image"):
        Micrograph.of(signal(np.zeros((4, 5, 6, 7))))
    with pytest.raises(StageError, match="1 navigation and 1 signal axes; give an image"):
        Micrograph.of(signal(PICTURE, signal_axes=1))
    with pytest.raises(StageError, match="dtype complex128"):
        Micrograph.of(signal(PICTURE * 1j))


def test_lazy_data_are_computed() -> None:
    array = pytest.importorskip("dask.array")
    micrograph = Micrograph.of(signal(array.from_array(PICTURE, chunks=10)))
    assert isinstance(micrograph.image, np.ndarray)
    np.testing.assert_array_equal(micrograph.image, PICTURE.astype(np.float32))


def test_a_signal_without_metadata() -> None:
    source = signal(PICTURE)
    del source.metadata
    assert Micrograph.of(source).title == ""


def test_a_real_signal() -> None:
    hyperspy = pytest.importorskip("hyperspy.api", reason="HyperSpy is not installed")
    source = hyperspy.signals.Signal2D(PICTURE)
    assert Micrograph.of(source).pixel_size_nm is None
    for axis in source.axes_manager.signal_axes:
        axis.scale, axis.units = 0.2, "Å"
    assert Micrograph.of(source).pixel_size_nm == pytest.approx(0.02)
