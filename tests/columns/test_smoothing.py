from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from support.backends import same_home

from motifgpu import StageError, simulate, smooth
from motifgpu.columns.background import estimate_background
from motifgpu.columns.band import band_of
from motifgpu.columns.pixels import SMALLEST_IMAGE
from motifgpu.columns.smoothing import PATCH, patch_response
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core.namespace import to_numpy


@pytest.fixture(scope="module")
def micrograph() -> simulate.Simulation:
    return simulate.monolayer(shape=(150, 190), counts=5, angle=11, vacancies=0.05, seed=2)


def low_pass(image: np.ndarray, radius: float) -> np.ndarray:
    """Keep a disc of frequencies of the image continued by reflection."""
    band = band_of(image, radius, margin=1.5 * PATCH / (2 * radius))
    sides = [(p, n - p - m) for p, n, m in zip(band.pad, band.extended, image.shape, strict=True)]
    padded = np.pad(image.astype(np.float64), sides, mode="reflect")
    f = np.hypot(*np.meshgrid(*(np.fft.fftfreq(n) for n in padded.shape), indexing="ij"))
    kept = np.fft.ifft2(np.fft.fft2(padded) * (f <= radius)).real
    return kept[tuple(slice(p, p + m) for p, m in zip(band.pad, image.shape, strict=True))]


def decibel(found: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((found - truth) ** 2)))


@pytest.mark.parametrize("method", ["fft", "svd"])
def test_backends_agree(xp_array: Callable[[Any], Any], micrograph: simulate.Simulation, method: str) -> None:
    image = xp_array(micrograph.image)
    result = smooth(image, method)
    assert same_home(result, image)
    assert result.dtype == image.dtype
    assert np.allclose(to_numpy(result), smooth(micrograph.image, method), atol=1e-4)
    background = estimate_background(image)
    assert same_home(background, image)
    assert np.allclose(to_numpy(background), estimate_background(micrograph.image), atol=1e-4)


def test_fft_is_the_literal_low_pass() -> None:
    image = np.random.default_rng(0).normal(size=(96, 131)) + 5
    for fraction in (0.02, 0.10, 0.4):
        wanted = low_pass(image, np.sqrt(fraction / np.pi))
        assert np.allclose(smooth(image, "fft", fraction=fraction), wanted, atol=1e-9)


def test_fft_keeps_what_lies_in_the_disc() -> None:
    row, col = np.mgrid[:90, :200]
    for f, kept in ((0.05, True), (0.15, True), (0.2, False), (0.4, False)):
        # The diagonal wave has its frequency per axis below the disc's radius and in sum above it.
        wave = np.cos(2 * np.pi * (f * row + f * col) / np.sqrt(2))
        error = smooth(wave + 3.0, "fft", fraction=0.10) - wave * kept - 3
        assert np.abs(error[30:-30, 30:-30]).mean() < 0.05


def test_svd_is_the_projection_of_all_patches() -> None:
    rng = np.random.default_rng(1)
    x = StandardImage.of(ndimage.gaussian_filter(rng.normal(size=(40, 46)), 1.2), "smoothing").values
    band = band_of(x, 0.3, margin=40)
    detail, variance = band.grid(1 - band.background_response(0.09)), 0.05
    found = band.inverse(band.transform(detail) * patch_response(band, detail, variance))

    inside = band.inside.astype(bool)
    lags = range(-PATCH + 1, PATCH)
    correlation = {}
    for r in lags:
        for c in lags:
            pair = inside & np.roll(inside, (r, c), (0, 1))
            correlation[r, c] = (detail * np.roll(detail, (r, c), (0, 1)))[pair].mean()
    pixels = [(r, c) for r in range(PATCH) for c in range(PATCH)]
    covariance = np.array([[correlation[a[0] - b[0], a[1] - b[1]] for b in pixels] for a in pixels])
    values, vectors = np.linalg.eigh(covariance)
    projection = vectors * np.maximum(0, 1 - variance / values) @ vectors.T
    wrapped = np.pad(detail, PATCH, mode="wrap")
    patches = np.lib.stride_tricks.sliding_window_view(wrapped, (PATCH, PATCH))
    total = np.zeros_like(wrapped)
    for r in range(1, patches.shape[0]):
        for c in range(1, patches.shape[1]):
            projected = (projection @ patches[r, c].reshape(-1)).reshape(PATCH, PATCH)
            total[r : r + PATCH, c : c + PATCH] += projected / PATCH**2
    inner = np.s_[PATCH : PATCH + 20, PATCH : PATCH + 20]
    assert np.abs(found[:20, :20] - total[inner]).max() < 1e-5 * np.abs(found).max()


@pytest.mark.parametrize(("counts", "gain"), [(1.0, 5.0), (10.0, 3.0)])
def test_svd_beats_the_low_pass_in_noise(counts: float, gain: float) -> None:
    truth = simulate.monolayer(shape=(256, 256), counts=counts, angle=7, vacancies=0.05, seed=4)
    svd, fft, auto = (decibel(smooth(truth.image, m), truth.clean) for m in ("svd", "fft", "auto"))
    assert svd > fft + gain
    assert auto == svd
    assert fft > decibel(truth.image, truth.clean) + 5


def test_auto_is_the_low_pass_without_noise() -> None:
    truth = simulate.monolayer(shape=(256, 256), counts=None, seed=4)
    assert np.array_equal(smooth(truth.image), smooth(truth.image, "fft"))
    assert decibel(smooth(truth.image), truth.clean) > 35


@pytest.mark.parametrize("method", ["fft", "svd"])
def test_follows_unit_and_orientation(micrograph: simulate.Simulation, method: str) -> None:
    image = micrograph.image.astype(np.float64)
    once = smooth(image, method)
    assert np.allclose(smooth(3e-7 * image - 1e3, method), 3e-7 * once - 1e3, atol=1e-12)
    assert np.allclose(smooth(image.T, method).T, once, atol=5e-3)
    offset = smooth(micrograph.image + np.float32(2**20), method)  # 16 steps of float32 to a count up there
    assert np.allclose(offset - 2**20, once, atol=0.2)


def test_background_is_found_and_holds_no_lattice() -> None:
    flat, bright = (
        simulate.monolayer(counts=30, background=b, vacancies=0.05, seed=5).clean for b in (0.0, 1.5)
    )
    slow = bright - flat
    found = estimate_background(bright)
    inner = np.s_[30:-30, 30:-30]
    error = (found - found.mean() - slow + slow.mean())[inner]
    assert error.std() < 0.08 * slow.std()
    assert found.mean() == pytest.approx(bright.mean(), rel=1e-3)
    before, after = (StandardImage.of(x, "smoothing") for x in (bright, found))
    assert before.ring is not None
    at = np.argmin(np.abs(before.spectrum.frequency - before.ring.frequency))
    assert after.spectrum.power[at] < 1e-3 * before.spectrum.power[at]


def test_extremes_stay_bounded(micrograph: simulate.Simulation) -> None:
    mean = micrograph.image.mean()
    assert np.allclose(smooth(micrograph.image, fraction=1e-9), mean, atol=0.5)
    assert np.allclose(estimate_background(micrograph.image, period=1e9), mean, atol=0.5)
    assert np.allclose(smooth(micrograph.image, "fft", fraction=1), micrograph.image, atol=2.5)


def test_background_of_a_given_period() -> None:
    col = np.arange(300)
    image = np.cos(2 * np.pi * col / 100) + np.cos(2 * np.pi * col / 12) + np.zeros((120, 1))
    found = estimate_background(image, period=40)
    assert np.abs(found - np.cos(2 * np.pi * col / 100))[:, 40:-40].max() < 0.06


@pytest.mark.parametrize("function", [smooth, estimate_background])
@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 0)), "the image has shape (0, 0)"),
        (np.ones((8, 8)), f"shape (8, 8); give at least {SMALLEST_IMAGE} x {SMALLEST_IMAGE} pixels"),
        (np.ones((1017, 2)), "the image has shape (1017, 2); give at least"),
        (np.arange(300.0)[None, :], "the image has shape (1, 300); give at least"),
        (np.full((64, 64), 7), "the image is constant (7); give an image with contrast"),
        (np.zeros((64, 64)), "the image is constant (0)"),
        (np.where(np.eye(64) > 0, np.nan, 1), "the image is constant (1)"),
        (np.full((64, 64), np.nan), "no pixel of the image is data"),
        (np.ones((3, 64, 64)), "shape (3, 64, 64); give an array of 2 dimensions"),
        (np.full((64, 64), "a"), "the image has dtype <U1; give real numbers"),
        (np.where(np.eye(64) > 0, 1e38, 0), "the image has a value of 1.0e+38; scale the image down"),
        (1e16 * np.random.default_rng(0).random((64, 64)), "the image has a value of 1.0e+16; scale"),
        (
            np.random.default_rng(0).normal(size=(64, 64)),
            "the image shows no structure above its noise; check",
        ),
    ],
)
def test_bad_image(function: Callable[[Any], Any], image: np.ndarray, words: str) -> None:
    with pytest.raises(StageError) as error:
        function(image)
    assert str(error.value).startswith("smoothing: ")
    assert words in str(error.value)


def test_bad_options(micrograph: simulate.Simulation) -> None:
    with pytest.raises(StageError, match="there is no method 'wiener'; choose auto, fft or svd"):
        smooth(micrograph.image, "wiener")
    for fraction in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(StageError, match=f"fraction is {fraction}; give a share above 0 and at most 1"):
            smooth(micrograph.image, fraction=fraction)
    with pytest.raises(StageError, match="period is 2; give a length above 2 pixels"):
        estimate_background(micrograph.image, period=2)


def test_noise_may_be_smoothed_when_told_how() -> None:
    noise = np.random.default_rng(0).normal(size=(64, 64))
    assert smooth(noise, "fft", fraction=0.1).std() < 0.4


@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float16])
def test_other_dtypes_become_float32(micrograph: simulate.Simulation, dtype: type) -> None:
    image = micrograph.image.astype(dtype)
    result = smooth(image)
    assert result.dtype == np.float32
    assert np.array_equal(result, smooth(image.astype(np.float32)))
