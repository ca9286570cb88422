from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.backends import same_home

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.reconstruction.rebuild import reconstruct

SIZE = 38  # 1.73 lattice constants of 22 px


def psnr(rebuilt: np.ndarray, clean: np.ndarray, covered: np.ndarray) -> float:
    return 10 * math.log10(np.ptp(clean) ** 2 / np.mean((rebuilt - clean)[covered] ** 2))


@pytest.mark.parametrize(
    ("counts", "least"),
    [
        (1.0, 30.4),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((3.0, 33.6), (10.0, 37.3))),
        (30.0, 41.2),
    ],
)
def test_thirty_classes_give_the_clean_image_back(counts: float, least: float) -> None:
    truth = simulate.monolayer(counts=counts, vacancies=0.03, divacancies=0.01, dopants={"W": 0.02}, seed=5)
    found = reconstruct(truth.image, truth.points, truth.labels, SIZE)
    assert psnr(found.image, truth.clean, found.covered) >= least
    assert found.uncovered < 0.1
    assert found.averages.shape == (30, SIZE, SIZE)
    assert 0.9 < found.ssim <= 1


def literal(
    image: np.ndarray, points: np.ndarray, classes: np.ndarray, size: int, weights: str
) -> tuple[np.ndarray, np.ndarray]:
    """Overlap average for points on whole pixels and an odd size, one pixel at a time."""
    half = size // 2
    patches = [image[r - half : r + half + 1, c - half : c + half + 1] for r, c in points]
    averages = [np.mean([p for p, k in zip(patches, classes, strict=True) if k == c], axis=0) for c in (0, 1)]
    total, weight = np.zeros(image.shape), np.zeros(image.shape)
    for (r, c), kind in zip(points, classes, strict=True):
        for i in range(size):
            for j in range(size):
                rho = math.hypot(i - half, j - half) * 2 / size
                if rho < 1:
                    w = math.cos(rho * math.pi / 2) ** 2 if weights == "hann" else 1.0
                    total[r - half + i, c - half + j] += w * averages[kind][i, j]
                    weight[r - half + i, c - half + j] += w
    covered = weight > 1e-3
    return np.where(covered, total / np.maximum(weight, 1e-3), 0), covered


@pytest.mark.parametrize("weights", ["hann", "flat"])
def test_overlap_average_is_the_literal_one(xp_array: Callable[[Any], Any], weights: str) -> None:
    rng = np.random.default_rng(0)
    image = rng.normal(size=(48, 52)).astype("float32")
    points = np.array([[12, 13], [14, 24], [22, 15], [30, 33], [33, 20], [20, 40]])
    classes = np.array([0, 1, 0, 1, 1, 0])
    there = xp_array(image)
    found = reconstruct(
        there,
        xp_array(points),
        xp_array(0 * classes),
        11,
        classes=xp_array(classes),
        weights=weights,
        smoothed=there,
    )
    expected, covered = literal(image, points, classes, 11, weights)
    for array in (found.image, found.covered, found.residual, found.classes, found.averages):
        assert same_home(array, there)
    np.testing.assert_array_equal(to_numpy(found.covered), covered)
    np.testing.assert_allclose(to_numpy(found.image)[covered], expected[covered], atol=2e-3)
    residual = np.where(covered, image - expected, 0)
    np.testing.assert_allclose(to_numpy(found.residual), residual, atol=2e-3)
    assert found.uncovered == pytest.approx(1 - covered.mean(), abs=1e-6)
    noise = 10 * math.log10(np.ptp(image) ** 2 / np.mean(residual[covered] ** 2))
    assert found.psnr == pytest.approx(noise, abs=0.01)


def test_averages_are_shifted_to_sub_pixel_positions() -> None:
    truth = simulate.monolayer(shape=(160, 160), counts=None, seed=2)
    found = reconstruct(
        truth.image, truth.points, truth.labels, SIZE, classes=truth.labels, smoothed=truth.image
    )
    assert found.psnr > 60
    assert found.ssim > 0.9999
    moved = reconstruct(
        truth.image, np.round(truth.points), truth.labels, SIZE, classes=truth.labels, smoothed=truth.image
    )
    assert moved.psnr < 45


def test_columns_at_the_border_are_placed_when_their_class_is_known() -> None:
    truth = simulate.monolayer(shape=(160, 160), counts=None, seed=3)
    options: dict[str, Any] = {"smoothed": truth.image}
    known = reconstruct(truth.image, truth.points, truth.labels, SIZE, classes=truth.labels, **options)
    assert known.uncovered == 0
    assert (known.classes == truth.labels).all()
    found = reconstruct(truth.image, truth.points, truth.labels, SIZE, classes=4, **options)
    assert found.uncovered > 0
    assert (found.classes == -1).any()
    assert set(found.classes.tolist()) <= {-1, 0, 1, 2, 3}


def test_hidden_motifs_leave_the_rest() -> None:
    truth = simulate.monolayer(shape=(256, 256), counts=30.0, vacancies=0.05, seed=4)
    pristine = [0, 1]
    found = reconstruct(truth.image, truth.points, truth.labels, SIZE, hide=pristine)
    placed = to_numpy(found.classes) >= 0
    assert set(truth.labels[placed].tolist()) == {2}
    distance = np.linalg.norm(
        np.indices(truth.image.shape).reshape(2, -1).T[:, None] - truth.points[placed], axis=2
    ).min(axis=1)
    inside = distance.reshape(truth.image.shape) < SIZE / 2 - 1.5
    assert found.covered[inside].all()
    assert not found.covered[distance.reshape(truth.image.shape) > SIZE / 2 + 1].any()
    assert found.uncovered == pytest.approx(1 - found.covered.mean(), abs=1e-6)
    assert np.ptp(found.image[~found.covered]) == 0


def test_residual_shows_what_the_classes_do_not_explain() -> None:
    truth = simulate.monolayer(shape=(256, 256), counts=30.0, seed=6)
    image = truth.image.copy()
    image[120:128, 120:128] += 40.0
    found = reconstruct(image, truth.points, truth.labels, SIZE, classes=truth.labels)
    place = np.unravel_index(np.argmax(found.residual), image.shape)
    assert np.hypot(place[0] - 123.5, place[1] - 123.5) < 5


def test_unassigned_columns_are_not_placed() -> None:
    truth = simulate.monolayer(shape=(160, 160), counts=None, seed=3)
    labels = truth.labels.copy()
    labels[::3] = -1
    found = reconstruct(truth.image, truth.points, labels, SIZE, classes=5, smoothed=truth.image)
    assert (found.classes[::3] == -1).all()


def test_more_classes_than_patches_are_as_many_as_there_are() -> None:
    truth = simulate.monolayer(shape=(100, 100), counts=30.0, seed=3)
    found = reconstruct(truth.image, truth.points, truth.labels, SIZE, classes=500, smoothed=truth.image)
    assert len(found.averages) == (found.classes >= 0).sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "box"}, "there are no weights 'box'; choose auto, hann or flat"),
        ({"size": 2}, "size is 2"),
        ({"points": np.zeros((0, 2))}, "points have shape \\(0, 2\\)"),
        ({"points": np.full((4, 2), np.nan), "labels": np.zeros(4, int)}, "8 of 8 values that are NaN"),
        ({"labels": np.zeros(3, int)}, "labels have shape \\(3,\\)"),
        ({"labels": np.zeros(4)}, "dtype float64 for 4 points"),
        ({"classes": np.zeros(7, int)}, "classes have shape \\(7,\\)"),
        ({"classes": 0}, "classes is 0"),
        ({"classes": 2.5}, "classes is 2.5"),
        ({"hide": 9}, "there is no motif 9 to hide; choose among \\[0, 1\\]"),
        ({"hide": [0, 1]}, "of 4 columns none is left to place"),
        ({"points": np.full((4, 2), 2.0)}, "of 4 patches of 11 px none that is labelled lies inside"),
        ({"smoothed": np.zeros((5, 5))}, "smoothed has shape \\(5, 5\\) and the image \\(64, 64\\)"),
        ({"image": np.full((64, 64), np.nan)}, "image has 4096 of 4096 values that are NaN"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str) -> None:
    image = np.random.default_rng(0).normal(size=(64, 64))
    arguments: dict[str, Any] = {
        "image": image,
        "points": np.array([[20.0, 20], [20, 40], [40, 20], [40, 40]]),
        "labels": np.array([0, 1, 0, 1]),
        "size": 11,
        "classes": 2,
        "smoothed": image,
    }
    with pytest.raises(StageError, match=f"^reconstruction: .*{message}"):
        reconstruct(**(arguments | change))


def test_patch_larger_than_the_image_is_named() -> None:
    image = np.random.default_rng(0).normal(size=(20, 20))
    with pytest.raises(StageError, match=r"^patches: a patch of 38 samples spans 38 px"):
        reconstruct(image, np.full((4, 2), 10.0), np.zeros(4, int), 38, smoothed=image)
