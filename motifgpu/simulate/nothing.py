"""Images that show no atoms: noise of several kinds, gradients, pickup and text."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
from scipy import ndimage

from motifgpu.simulate import checks

# Letters of a typeface 7 pixels high: columns from left to right, the lowest bit on top.
_LETTERS = (
    (126, 9, 9, 126), (127, 73, 73, 54), (62, 65, 65, 34), (127, 65, 65, 62), (127, 73, 73, 65),
    (127, 9, 9, 1), (62, 65, 73, 58), (127, 8, 8, 127), (65, 127, 65), (127, 8, 20, 99), (127, 64, 64),
    (127, 2, 12, 2, 127), (127, 4, 8, 127), (62, 65, 65, 62), (127, 9, 9, 6), (127, 9, 25, 102),
    (38, 73, 73, 50), (1, 127, 1), (63, 64, 64, 63), (31, 96, 31), (127, 32, 24, 32, 127), (99, 28, 99),
)  # fmt: skip


def _white(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    noise: np.ndarray = rng.poisson(rng.uniform(1, 50), shape).astype(np.float64)
    return noise


def _scan_lines(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Noise of a spectrum 1/f along each line, which has an offset of its own."""
    frequency = np.fft.rfftfreq(shape[1])
    frequency[0] = frequency[1]
    wave = rng.normal(size=(shape[0], len(frequency), 2)) @ np.array([1, 1j])
    lines = np.fft.irfft(wave * frequency ** -rng.uniform(0.4, 1.2), shape[1], axis=1)
    lines = lines / lines.std() + rng.uniform(0, 1) * rng.normal(size=(shape[0], 1))
    noisy: np.ndarray = lines + rng.uniform(0, 0.5) * rng.normal(size=shape)
    return noisy


def _speckle(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """An amorphous film, with the ring that defocus gives its spectrum in about half of the images."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.8, 5))
    if rng.random() < 0.5:
        noise -= ndimage.gaussian_filter(noise, rng.uniform(3, 8))
    speckle: np.ndarray = rng.poisson(rng.uniform(2, 30) * np.clip(3 + noise / noise.std(), 0, None))
    return speckle.astype(np.float64)


def _gradient(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    rows, cols = (axis / max(shape) for axis in np.indices(shape))
    a, b, c = rng.normal(size=3)
    smooth: np.ndarray = a * rows + b * cols + c * (rows - rng.random()) * (cols - rng.random())
    return smooth + float(rng.choice([0.003, 0.03, 0.3])) * rng.normal(size=shape)


def _pickup(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Interference of the scan: stripes of a few frequencies on noise."""
    rows, cols = np.indices(shape)
    image = rng.normal(size=shape)
    for _ in range(rng.integers(1, 3)):
        per_line, phase = rng.uniform(10, 120), rng.uniform(0, 2 * np.pi)
        turn = per_line / shape[1] * cols + rng.uniform(-0.05, 0.05) * rows
        image += rng.uniform(0.3, 1.5) * np.sin(2 * np.pi * turn + phase)
    return image


def _text(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Lines of words in a proportional typeface."""
    scale = int(rng.integers(1, 4))
    small = np.zeros((shape[0] // scale + 1, shape[1] // scale + 1))
    row = int(rng.integers(2, 8))
    while row + 7 < small.shape[0]:
        col = int(rng.integers(2, 8))
        while col + 6 < small.shape[1]:
            letter = np.array(_LETTERS[rng.integers(len(_LETTERS))])
            part = small[row : row + 7, col : col + len(letter)]
            part += (letter >> np.arange(7)[:, None] & 1)[:, : part.shape[1]]
            col += len(letter) + (1 if rng.random() < 0.8 else 4)
        row += int(rng.integers(9, 13))
    large = np.kron(small, np.ones((scale, scale)))[: shape[0], : shape[1]]
    printed: np.ndarray = ndimage.gaussian_filter(large, 0.5)
    return printed + rng.uniform(0.02, 0.2) * rng.normal(size=shape)


_KINDS: dict[str, Callable[[tuple[int, int], np.random.Generator], np.ndarray]] = {
    "white": _white,
    "scan_lines": _scan_lines,
    "speckle": _speckle,
    "gradient": _gradient,
    "pickup": _pickup,
    "text": _text,
}
NOTHING = tuple(_KINDS)


def nothing(kind: str, shape: tuple[int, int] = (384, 384), *, seed: int = 0) -> np.ndarray:
    """Simulate an image in which there are no atom columns.

    Parameters
    ----------
    kind : {"white", "scan_lines", "speckle", "gradient", "pickup", "text"}
        White noise; noise that is correlated along scan lines; an amorphous film; a gradient with noise;
        stripes by interference with the scan; printed words. Strength and scale are drawn from the seed.
    shape : (int, int)
        Rows and columns, px.
    seed : int
        Seed of the random numbers; the same seed gives the same bits.

    Returns
    -------
    (H, W) float32 ndarray

    Raises
    ------
    StageError
        If the kind is unknown or the shape is none.

    Examples
    --------
    Nothing may be found in white noise:

    >>> import motifgpu
    >>> image = motifgpu.simulate.nothing("white", (128, 128))
    >>> try:
    ...     motifgpu.find_columns(image)
    ... except motifgpu.StageError as error:
    ...     print(error.stage)
    columns
    """
    checks.choice(kind, "kind", NOTHING)
    shape = checks.image_shape(shape)
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    return _KINDS[kind](shape, rng).astype(np.float32)
