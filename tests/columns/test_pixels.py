"""What is no data: found, left out of everything, and said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from motifgpu import (
    Micrograph,
    StageError,
    analyze,
    estimate_background,
    find_columns,
    match_points,
    simulate,
)
from motifgpu.columns.filling import fill
from motifgpu.columns.pixels import Pixels
from motifgpu.core.namespace import to_numpy

TRUTH = simulate.monolayer(
    shape=(256, 256), lattice_constant=18.0, counts=50, angle=7, vacancies=0.05, seed=5
)
IMAGE = TRUTH.image
COLUMNS = find_columns(IMAGE)
RNG = np.random.default_rng(0)


def changed(places: Any, value: float) -> np.ndarray:
    image = IMAGE.copy()
    image[places] = value
    return image


def left_out(image: Any) -> dict[str, int]:
    return dict(Pixels.of(image, "columns").left_out)


SOME = (RNG.integers(0, 256, 60), RNG.integers(0, 256, 60))


@pytest.mark.parametrize(
    ("places", "value", "reason"),
    [
        ((100, 200), 65535, "spike"),
        ((0, 0), 300 * IMAGE.max(), "spike"),
        (SOME, 65535, "spike"),
        ((slice(50, 53), slice(60, 63)), 65535, "spike"),
        ((100, slice(None)), 20 * IMAGE.max(), "line"),
        (([100, 101, 200], slice(None)), 65535, "line"),
        ((slice(None), 77), 20 * IMAGE.max(), "line"),
        ((40, slice(64, 192)), 20 * IMAGE.max(), "line"),
        ((slice(60, 61), slice(None)), np.nan, "given"),
    ],
)
def test_faults_cost_no_columns(places: Any, value: float, reason: str) -> None:
    columns = find_columns(changed(places, value))
    match = match_points(columns.points, COLUMNS.points, radius=1.0)
    assert len(match.found) == len(columns) == len(COLUMNS)
    assert np.array_equal(columns.occupied[match.found], COLUMNS.occupied[match.reference])
    assert set(left_out(changed(places, value))) == {reason}
    (note,) = columns.notes
    assert note.startswith("left out: ")


@pytest.mark.parametrize("value", [0.0, float(IMAGE.mean()), 65535.0, np.nan])
def test_margins_hold_nothing(value: float) -> None:
    image = np.full((330, 310), value, np.float32)
    image[20:276, 33:289] = IMAGE
    columns = find_columns(image)
    points = columns.points - [20, 33]
    # The outermost pixels are left out with a margin that was found.
    inner = COLUMNS.points[(np.abs(COLUMNS.points - 127.5) < 122).all(axis=1)]
    assert len(match_points(points, inner, radius=1.0).found) == len(inner)
    assert len(inner) < len(columns) <= len(COLUMNS)
    assert (np.abs(points - 127.5) < 128).all()
    assert int((~columns.occupied).sum()) == int((~COLUMNS.occupied).sum())


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_corners_of_a_turned_frame(value: float) -> None:
    turned = ndimage.rotate(IMAGE, 12, reshape=False, order=1, cval=value)
    columns = find_columns(turned)
    cosine, sine = np.cos(np.deg2rad(12)), np.sin(np.deg2rad(12))
    expected = (COLUMNS.points - 127.5) @ np.array([[cosine, sine], [-sine, cosine]]) + 127.5
    within = (np.abs(expected - 127.5) < 124).all(axis=1) & (np.abs(COLUMNS.points - 127.5) < 124).all(axis=1)
    apart = np.hypot(*(columns.points[:, None] - expected).transpose(2, 0, 1))
    assert apart[:, within].min(axis=0).max() < 2.0
    assert np.median(apart.min(axis=1)) < 0.5
    assert (apart.min(axis=1) > 3).sum() <= 2  # where half a column is seen
    assert columns.occupied.all()


@pytest.mark.parametrize(
    "image",
    [
        *(simulate.monolayer(shape=(192, 192), counts=pk, seed=3).image for pk in (0.3, 1, 5)),
        np.minimum(IMAGE, 30),
        np.clip(2 * IMAGE - 40, 0, 255).astype(np.uint8),
        simulate.monolayer(
            shape=(192, 192), lattice_constant=5.0, counts=30, dopants={"W": 0.02}, seed=3
        ).image,
        RNG.poisson(0.1, (256, 256)),
        RNG.normal(size=(256, 256)).cumsum(axis=1),
        simulate.monolayer(shape=(192, 192), seed=3).clean,
        ndimage.gaussian_filter(np.pad(np.eye(20), 60), 4).round(3),
    ],
    ids=["0.3", "1", "5", "saturated", "clipped", "narrow", "sparse", "walk", "clean", "vacuum"],
)
def test_data_stay_data(image: np.ndarray) -> None:
    assert left_out(image) == {}


def test_masks_from_everywhere() -> None:
    known = np.ones(IMAGE.shape, bool)
    known[:40] = False
    spoiled = np.where(known, IMAGE, 1e5 * RNG.random(IMAGE.shape)).astype(np.float32)
    expected = find_columns(IMAGE[40:]).points + np.float32([40, 0])
    for columns in (
        find_columns(spoiled, mask=known),
        find_columns(np.where(known, spoiled, np.nan)),
        find_columns(np.ma.array(spoiled, mask=~known)),
    ):
        np.testing.assert_allclose(columns.points, expected, atol=1e-3)


def test_holes_of_any_shape(xp_array: Callable[[Any], Any]) -> None:
    row, col = np.mgrid[:256, :256]
    known = np.hypot(row - 120, col - 130) < 100
    columns = find_columns(xp_array(np.where(known, IMAGE, np.nan)))
    points = to_numpy(columns.points)
    assert known[tuple(np.rint(points).astype(int).T)].mean() > 0.99
    inside = COLUMNS.points[np.hypot(*(COLUMNS.points - [120, 130]).T) < 98]
    apart = np.hypot(*(points[:, None] - inside).transpose(2, 0, 1)).min(axis=0)
    assert np.quantile(apart, 0.95) < 1.0
    assert apart.max() < 2.5
    # A background that is asked for is one of the whole micrograph.
    background = to_numpy(estimate_background(xp_array(np.where(row < 200, IMAGE, np.nan))))
    assert background.shape == IMAGE.shape
    assert np.isfinite(background).all()


@pytest.mark.parametrize(
    ("dtype", "pedestal"),
    [("int32", 2**30), ("uint32", 2**31), ("int64", -(2**52)), ("uint64", 2**60), ("float64", 2.0**40)],
)
def test_pedestals_change_nothing(dtype: str, pedestal: float) -> None:
    image = IMAGE.astype(dtype) + np.asarray(pedestal).astype(dtype)
    micrograph = Micrograph.from_array(image)
    assert micrograph.image.dtype == np.float32
    np.testing.assert_array_equal(micrograph.image - micrograph.image[0, 0], IMAGE - IMAGE[0, 0])
    assert float(micrograph.image[0, 0]) + micrograph.offset == pytest.approx(float(image[0, 0]), rel=1e-15)
    np.testing.assert_allclose(find_columns(image).points, COLUMNS.points, atol=1e-3)
    assert Micrograph.from_array(IMAGE.astype(np.uint16)).offset == 0


def test_an_analysis_says_what_it_left_out() -> None:
    image = changed(slice(0, 30), -7.5)
    image[100, 100] = 65535
    found, cropped = analyze(image, structure=False), analyze(IMAGE[31:], structure=False)
    assert found.summary()["left_out_px"] == {"margin": 31 * 256, "spike": 1}
    assert "left out: constant margin 7,936 px, spikes 1 px" in found.warnings
    assert len(found.motifs.counts) == len(cropped.motifs.counts)
    assert abs(len(found.points) - len(cropped.points)) <= 8  # discs cut by less than 3.5 %
    assert found.micrograph.valid.sum() == image.size - 31 * 256 - 1
    assert found.micrograph.image.max() <= IMAGE.max()


def test_filling_is_smooth(xp_array: Callable[[Any], Any]) -> None:
    row, col = np.mgrid[:64, :80]
    plane = 3 + 0.5 * row - 0.2 * col
    known = RNG.random(plane.shape) > 0.1
    known[20], known[:, 70:] = False, False
    found = to_numpy(fill(xp_array(np.where(known, plane, np.nan)), xp_array(known)))
    assert np.array_equal(found[known], plane.astype(found.dtype)[known])
    assert np.abs(found - plane)[:, :65].max() < 1.0
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.ones((3, 3), bool), "the mask has shape (3, 3) and the image (256, 256)"),
        (np.full((256, 256), 0.5), "the mask has dtype float64"),
        (np.zeros((256, 256), bool), "no pixel of the image is data; check the mask (True where"),
        (np.eye(256) > 0, None),
        (np.arange(256)[:, None] + np.zeros(256) < 5, "what is data in the image has shape (5, 256)"),
    ],
)
def test_bad_masks(mask: np.ndarray, words: str | None) -> None:
    with pytest.raises(StageError) as error:
        find_columns(IMAGE, mask=mask)
    assert str(error.value).startswith("columns: ")
    assert words is None or words in str(error.value)
