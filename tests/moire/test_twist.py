from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.moire.twist import Twist, twist_angle


def split_of(twist: float, side: int, lattice_constant: float = 20.0) -> float:
    """Coefficients between the layers' peaks on the first ring."""
    return 2 * math.sin(math.radians(twist) / 2) * side * 2 / (math.sqrt(3) * lattice_constant)


def test_commensurate_angle_is_recovered() -> None:
    truth = simulate.twist_case(0, seed=1)
    found = twist_angle(truth.image)
    assert found.degrees == pytest.approx(3.14965734, abs=1e-4)
    assert found.degrees == pytest.approx(math.degrees(math.acos(661 / 662)), abs=1e-4)
    assert found.reason == ""
    assert found.moire_px == pytest.approx(np.linalg.norm(truth.moire, axis=1).min(), rel=1e-4)


@pytest.mark.parametrize(
    "number", [pytest.param(k, marks=[pytest.mark.slow] if k % 8 else []) for k in range(9)]
)
def test_cases_of_the_paper(number: int) -> None:
    truth = simulate.twist_case(number, seed=2, angle=5.0)
    found = twist_angle(truth.image)
    assert found.degrees == pytest.approx(truth.twist, abs=0.02)
    assert abs(found.degrees - truth.twist) < 4 * found.error + 1e-4


@pytest.mark.parametrize(
    "twist",
    [3.4, *(pytest.param(twist, marks=pytest.mark.slow) for twist in (5.0, 10.0, 29.0, -21.79)), 30.0],
)
def test_twist_is_right_where_the_split_is_clear(twist: float) -> None:
    side = 512
    truth = simulate.bilayer(shape=(side, side), twist=twist, angle=13.0, seed=3)
    found = twist_angle(truth.image)
    assert split_of(abs(twist), side) > 1.7
    assert found.degrees == pytest.approx(abs(twist), abs=0.02)
    assert found.split == pytest.approx(split_of(found.degrees, side), rel=0.02)
    assert 0 < found.error < 0.02


@pytest.mark.parametrize("twist", [2.6, 2.9, 3.2])
@pytest.mark.parametrize("counts", [1.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_between_it_is_right_or_not_resolved(twist: float, counts: float) -> None:
    side = 512
    truth = simulate.bilayer(shape=(side, side), twist=twist, counts=counts, seed=4)
    assert 1.3 < split_of(twist, side) < 1.7
    found = twist_angle(truth.image)
    assert (math.isnan(found.degrees) and found.reason) or abs(found.degrees - twist) < 0.05


@pytest.mark.parametrize(
    "twist", [*(pytest.param(twist, marks=pytest.mark.slow) for twist in (0.0, 0.5)), 1.0, 2.0, 2.4]
)
def test_what_the_image_cannot_resolve_has_a_reason(twist: float) -> None:
    truth = simulate.bilayer(shape=(512, 512), twist=twist, seed=5)
    found = twist_angle(truth.image)
    assert split_of(twist, 512) < 1.3
    assert math.isnan(found.degrees)
    assert "below 1.3" in found.reason or "one lattice" in found.reason


def test_layers_of_different_constants() -> None:
    truth = simulate.bilayer(("MoS2", "MoSe2"), (768, 768), twist=3.0, seed=6)
    found = twist_angle(truth.image)
    assert found.degrees == pytest.approx(3.0, abs=0.02)
    assert abs(found.mismatch) == pytest.approx(0.04, abs=0.004)


def test_common_distortion_cancels() -> None:
    """A scan that is stretched along its lines turns directions, but not one layer against the other."""
    truth = simulate.bilayer(shape=(1040, 1000), twist=4.0, counts=None, seed=7)
    rows = np.linspace(0, 1039, 1000)
    low = np.floor(rows).astype(int).clip(0, 1038)
    part = (rows - low)[:, None]
    squeezed = truth.image[low] * (1 - part) + truth.image[low + 1] * part
    assert twist_angle(squeezed).degrees == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("shape", [(256, 700), (700, 300)])
def test_long_images(shape: tuple[int, int]) -> None:
    truth = simulate.bilayer(shape=shape, twist=8.0, seed=1)
    assert twist_angle(truth.image).degrees == pytest.approx(8.0, abs=0.02)


def test_background_scan_noise_and_units_do_not_matter() -> None:
    truth = simulate.bilayer(shape=(512, 480), twist=5.0, counts=10.0, scan=0.6, seed=8)
    slow = np.add.outer(np.linspace(0, 3, 512) ** 2, np.linspace(0, 2, 480))
    plain = twist_angle(truth.image).degrees
    assert plain == pytest.approx(5.0, abs=0.02)
    assert twist_angle(1e4 + 1e-3 * (truth.image + 10 * slow)).degrees == pytest.approx(plain, abs=0.01)


def test_every_backend(xp_array: Callable[[Any], Any]) -> None:
    image = simulate.bilayer(shape=(400, 420), twist=6.0, seed=9).image
    found = twist_angle(xp_array(image))
    assert found.degrees == pytest.approx(twist_angle(image).degrees, abs=2e-4)


@pytest.mark.parametrize("seed", [0, *(pytest.param(k, marks=pytest.mark.slow) for k in (1, 2))])
def test_one_layer_has_no_twist(seed: int) -> None:
    truth = simulate.monolayer(counts=10.0, vacancies=0.05, angle=9.0 * seed, seed=seed)
    found = twist_angle(truth.image)
    assert math.isnan(found.degrees)
    assert "only one lattice is seen" in found.reason


def test_drift_is_no_second_layer() -> None:
    found = twist_angle(simulate.monolayer(counts=10.0, drift=(15.0, 15.0), seed=1).image)
    assert math.isnan(found.degrees)
    assert found.reason


def test_noise_has_no_lattice() -> None:
    found = twist_angle(np.random.default_rng(0).normal(size=(128, 128)))
    assert math.isnan(found.degrees)
    assert "no lattice" in found.reason


def test_coarse_sampling_has_a_reason() -> None:
    image = simulate.bilayer(shape=(256, 256), twist=5.0, lattice_constant=4.5, counts=None, sigma=0.2).image
    found = twist_angle(image)
    assert math.isnan(found.degrees)
    assert "beyond what the image samples" in found.reason or "ring" in found.reason


def search(twist: float) -> Twist:
    return twist_angle(simulate.bilayer(twist=twist, seed=10).image, "search")


def test_search_of_the_paper() -> None:
    found = search(3.15)
    assert round(found.degrees, 1) in (3.1, 3.2)
    assert found.degrees == pytest.approx(3.15, abs=0.1)
    assert search(8.0).degrees == pytest.approx(8.0, abs=0.05)
    assert "not parted" in search(1.0).reason


@pytest.mark.parametrize("method", ["fit", "search"])
@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((8, 8)), "the image has shape \\(8, 8\\); give at least 16 x 16 pixels"),
        (np.ones((64, 64)), "constant \\(1\\)"),
        (np.full((64, 64), np.nan), "no pixel of the image is data"),
        (np.zeros(64), "shape \\(64,\\)"),
    ],
)
def test_bad_images_are_named(image: np.ndarray, message: str, method: str) -> None:
    with pytest.raises(StageError, match=f"^moire: .*{message}"):
        twist_angle(image, method)


def test_unknown_method_is_named() -> None:
    with pytest.raises(StageError, match=r"^moire: there is no method 'peaks'; choose fit or search"):
        twist_angle(np.zeros((64, 64)), "peaks")
