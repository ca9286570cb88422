from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from motifgpu import StageError, estimate_patch_size, simulate
from motifgpu.columns.standard_image import StandardImage


@pytest.mark.parametrize("constant", [6, 12, 22, 40, 60])
@pytest.mark.parametrize(("material", "counts"), [("MoSe2", 1), ("WS2", 10)])
def test_hexagonal_lattices(material: str, counts: float, constant: float) -> None:
    truth = simulate.monolayer(
        material, counts=counts, lattice_constant=constant, angle=17, vacancies=0.05, seed=3
    )
    environment = estimate_patch_size(truth.image)
    assert environment.pixels == pytest.approx(np.sqrt(3) * constant, rel=0.02)
    assert environment.pixels == pytest.approx(2 / environment.frequency)
    assert environment.confidence > 0.95
    lattice = estimate_patch_size(truth.image, "lattice")
    assert lattice.pixels == pytest.approx(constant, rel=0.01)
    assert lattice.frequency == environment.frequency
    assert lattice.confidence > 0.8


def square(constant: float, shape: tuple[int, int], tall: float = 1.0) -> np.ndarray:
    """Return columns on a rectangular lattice, `tall` times as long along the rows' axis."""
    rows, cols = (np.arange(n) for n in shape)
    along = [
        np.exp(-0.5 * ((x + c / 2) % c - c / 2) ** 2 / (0.12 * constant) ** 2)
        for x, c in ((rows, tall * constant), (cols, constant))
    ]
    return along[0][:, None] * along[1][None, :]


@pytest.mark.parametrize("shape", [(256, 256), (200, 420), (420, 200)])
def test_square_lattices(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).poisson(5 * square(20, shape))
    assert estimate_patch_size(image).pixels == pytest.approx(40, rel=0.01)
    assert estimate_patch_size(image, "lattice").pixels == pytest.approx(20, rel=0.01)


def test_long_cells() -> None:
    image = np.random.default_rng(0).poisson(20 * square(16, (400, 400), tall=3))
    assert estimate_patch_size(image).pixels == pytest.approx(96, rel=0.03)
    assert estimate_patch_size(image, "lattice").pixels == pytest.approx(16, rel=0.01)


@pytest.mark.parametrize(
    "options",
    [
        {"grains": (0, 25)},
        {"drift": (0, 10)},
        {"background": 4.0},
        {"gaussian": 0.3},
        {"scan": 1.0},
        {"shape": (200, 600)},
    ],
)
def test_disturbed_lattices(options: dict[str, Any]) -> None:
    image = simulate.monolayer(counts=5, angle=8, vacancies=0.05, seed=6, **options).image
    assert estimate_patch_size(image).pixels == pytest.approx(np.sqrt(3) * 22, rel=0.03)
    assert estimate_patch_size(image, "lattice").pixels == pytest.approx(22, rel=0.04)
    assert estimate_patch_size(-image).pixels == estimate_patch_size(image).pixels


def test_curve_and_candidates() -> None:
    size = estimate_patch_size(simulate.monolayer(counts=30, seed=1).image)
    frequency, power = size.curve
    assert frequency.shape == power.shape == (257,)
    assert frequency[-1] == 0.5
    assert (power > 0).all()
    wanted = np.array([1, np.sqrt(3), 2]) * 2 / np.sqrt(3) / 22  # the rings of a hexagonal lattice
    assert 2 / np.array(size.candidates[:3]) == pytest.approx(wanted, rel=0.01)
    assert size.pixels == size.candidates[0]


def test_power_of_white_noise_is_its_variance() -> None:
    image = StandardImage.of(np.random.default_rng(0).normal(size=(200, 300)), "patch_size")
    spectrum = image.spectrum
    assert spectrum.power[5:].mean() == pytest.approx(1, rel=0.02)
    assert spectrum.noise == pytest.approx(1, rel=0.05)
    assert image.ring is None


def test_backends_agree(xp_array: Callable[[Any], Any]) -> None:
    image = simulate.monolayer(shape=(160, 200), counts=5, angle=11, seed=2).image
    for rule in ("environment", "lattice"):
        found, wanted = estimate_patch_size(xp_array(image), rule), estimate_patch_size(image, rule)
        assert found.pixels == pytest.approx(wanted.pixels, rel=1e-5)
        assert found.confidence == pytest.approx(wanted.confidence, rel=1e-4)
        assert isinstance(found.curve[1], np.ndarray)


@pytest.mark.parametrize("shape", [(16, 16), (40, 40), (64, 200), (256, 256)])
def test_noise_has_no_size(shape: tuple[int, int]) -> None:
    for seed in range(20):
        with pytest.raises(StageError) as error:
            estimate_patch_size(np.random.default_rng(seed).normal(size=shape))
        assert str(error.value) == (
            f"patch_size: the power spectrum of the image of shape {shape} has no clear peak from 4 periods "
            "across the image to 2 pixels a period; give the size by hand, or a larger image"
        )


def test_one_blob_has_no_size() -> None:
    row, col = np.mgrid[:128, :128]
    with pytest.raises(StageError, match="has no clear peak"):
        estimate_patch_size(np.exp(-((row - 60) ** 2 + (col - 70) ** 2) / 32))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((0, 5)), "the image has shape (0, 5)"),
        (np.ones((30, 8)), "the image has shape (30, 8); give at least 16 x 16 pixels"),
        (np.zeros((64, 64), bool), "the image is constant (0); give an image with contrast"),
        (np.full((64, 64), np.nan), "no pixel of the image is data; check the mask"),
        (np.ones(64), "the image has shape (64,); give an array of 2 dimensions"),
    ],
)
def test_bad_image(image: np.ndarray, words: str) -> None:
    with pytest.raises(StageError) as error:
        estimate_patch_size(image)
    assert str(error.value).startswith("patch_size: ")
    assert words in str(error.value)


def test_bad_rule() -> None:
    with pytest.raises(StageError, match="there is no rule 'big'; choose environment or lattice"):
        estimate_patch_size(np.eye(64), "big")


@pytest.mark.parametrize(
    ("name", "constant"),
    [("MoSe2_40keV/image.npy", 25.3), ("MoS2_V_doped/image.npy", 18.0), ("DyScO3/image.png", 49.7)],
)
def test_real_micrographs(name: str, constant: float, data_folder: Path) -> None:
    path = data_folder / name
    image = np.load(path) if path.suffix == ".npy" else pytest.importorskip("PIL.Image").open(path)
    size = estimate_patch_size(np.asarray(image, np.float32), "lattice")
    assert size.pixels == pytest.approx(constant, rel=0.02)
    environment = estimate_patch_size(np.asarray(image, np.float32)).pixels
    folds = 2 if name.startswith("DyScO3") else np.sqrt(3)
    assert environment == pytest.approx(folds * constant, rel=0.04)
