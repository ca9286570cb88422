"""Smoothing a micrograph.

Both smoothings are filters: the low-pass of the paper (Fig. S29), and the projection of all overlapping
patches on their principal components. Averaged over every patch that a pixel lies in, that projection is a
convolution, so its kernel is computed from the patch covariance alone and no patch is ever stored.
"""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import numpy as np

from motifgpu.columns.band import Band, band_of
from motifgpu.columns.scale import CUTOFF
from motifgpu.columns.standard_image import StandardImage
from motifgpu.core import namespace
from motifgpu.core.choices import SMOOTHINGS, either
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array

# Side of a patch in pixels of the band's grid: one lattice constant (hexagonal). Wider patches leave less
# noise but pull vacancies towards their host: 6, 8 and 12 px part single vacancies in MoSe2 at 3 counts by
# 5.2, 5.3 and 4.6 standard deviations.
PATCH = 8
# Ratio of structure to noise on the band's grid above which the low-pass is as good as the patches.
CLEAN = 10.0


def smooth(image: Any, method: str = "auto", *, fraction: float | None = None) -> Array:
    """Smooth a micrograph, keeping its lattice and its slow background.

    Parameters
    ----------
    image : (H, W) array_like
        Micrograph in any unit; integers and booleans are taken as float32.
    method : {"auto", "fft", "svd"}
        ``"fft"`` keeps a disc of low frequencies. ``"svd"`` shrinks the principal components of overlapping
        patches, about a lattice constant wide, by the part of their variance that is due to white noise,
        which is estimated; it is better up to about 100 counts at the peaks, and equal above. ``"auto"``
        takes ``"fft"`` where the structure is ten times the noise, and ``"svd"`` otherwise.
    fraction : float, optional
        Share of all Fourier coefficients in the disc, which also limits the band of ``"svd"``: the paper's is
        0.10. By default the disc reaches to 3.4 times the first ring of the lattice (10 % at a lattice
        constant of 22 px), and without a lattice to the end of the band that holds structure.

    Returns
    -------
    (H, W) array
        In the namespace, device and, if floating, dtype of `image`.

    Raises
    ------
    StageError
        If the image is not a finite, varying, two-dimensional array of at least 16 x 16 real numbers, the
        method is unknown, the fraction is not above 0 and at most 1, or the image shows nothing but noise and
        no fraction is given.

    Notes
    -----
    "10 % of lowest frequencies" in the supplement (Fig. S29) of Dan et al., Science Advances 8, eabk1005
    (2022), is a share of the coefficients, hence a radius of sqrt(0.10 / pi) = 0.178 cycles per pixel.

    Examples
    --------
    Smoothing takes away more than half of the noise:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128))
    >>> smoothed = motifgpu.smooth(made.image)
    >>> bool((smoothed - made.clean).std() < 0.5 * (made.image - made.clean).std())
    True
    """
    if method not in SMOOTHINGS:
        raise StageError("smoothing", f"there is no method {method!r}", f"choose {either(SMOOTHINGS)}")
    if fraction is not None and not 0 < fraction <= 1:
        raise StageError("smoothing", f"fraction is {fraction}", "give a share above 0 and at most 1")
    standard = StandardImage.of(image, "smoothing")
    if fraction is None:
        lowest, columns = standard.scales
        cutoff = CUTOFF * columns
    else:
        cutoff = math.sqrt(fraction / math.pi)
        lowest = standard.ring.frequency if standard.ring else cutoff / CUTOFF
    band = band_of(standard.values, cutoff, margin=1.5 * PATCH / (2 * cutoff))
    slow, detail = responses(band, lowest, standard.spectrum.noise, method)
    return standard.whole(band.image(slow + detail) * standard.scale + standard.offset)


def responses(band: Band, lowest: float, noise: float, method: str) -> tuple[Array, Array]:
    """Return what passes the background, and what passes the rest, smoothed: both (h, w // 2 + 1).

    Parameters
    ----------
    band : Band
        Its cutoff is the radius of the disc of ``"fft"``.
    lowest : float
        Radius of the first ring, cycles per pixel.
    noise : float
        Variance of white noise in a pixel of the image.
    method : {"auto", "fft", "svd"}
    """
    slow = band.background_response(lowest)
    xp = namespace.array_namespace(slow)
    variance = noise * band.noise_gain
    detail = band.grid(1 - slow)
    if method == "auto":
        structure = float(xp.sum(detail**2 * band.inside) / xp.sum(band.inside)) - variance
        method = "fft" if structure > CLEAN**2 * variance else "svd"
    if method == "fft":
        smoothing = xp.astype(band.frequency <= band.cutoff, slow.dtype)
    else:
        smoothing = patch_response(band, detail, variance)
    return slow, (1 - slow) * smoothing


def patch_response(band: Band, detail: Array, variance: float) -> Array:
    """Return the response of projecting all overlapping patches on their principal components.

    The covariance of the patches is Toeplitz in both directions, so the autocorrelation holds it. A component
    of eigenvalue l is multiplied by max(0, 1 - variance / l), the factor of least expected error for it; no
    rank has to be chosen.

    Parameters
    ----------
    band : Band
    detail : (h, w) array
        The band without its background.
    variance : float
        Of the white noise on the grid.

    Returns
    -------
    (h, w // 2 + 1) array
    """
    xp = namespace.array_namespace(detail)
    side = min(PATCH, min(band.size) // 2)
    width = 2 * side - 1
    row, col = np.divmod(np.arange(side**2), side)
    step = (row[:, None] - row + side - 1) * width + col[:, None] - col + side - 1
    lag = namespace.from_numpy(step.reshape(-1), detail)
    covariance = xp.take(_autocorrelation(band, detail, side, xp), lag, axis=0)
    values, vectors = xp.linalg.eigh(xp.reshape(covariance, (side**2, side**2)))
    # Where the noise is nearly nil, rounding makes eigenvalues that are not positive: they hold nothing.
    floor = max(variance, 1e-6 * float(values[-1]))
    factors = xp.where(values > floor, 1 - floor / namespace.clip(values, min=floor), 0)
    projection = xp.reshape((vectors * factors) @ xp.matrix_transpose(vectors), (-1,))
    kernel = namespace.bincount(lag, projection, width**2) / side**2
    return _even_transform(band, xp.reshape(kernel, (width, width)), xp)


def _autocorrelation(band: Band, detail: Array, side: int, xp: ModuleType) -> Array:
    """Autocorrelation of the image's inside at lags below `side` in both directions, ((2 side - 1)**2,)."""

    def at_small_lags(grid: Array) -> Array:
        full = band.autocorrelation(grid)
        rows = xp.concat([full[-side + 1 :, :], full[:side, :]], axis=0)
        return xp.concat([rows[:, -side + 1 :], rows[:, :side]], axis=1)

    pairs = namespace.clip(at_small_lags(band.inside), min=1.0)
    return xp.reshape(at_small_lags(detail * band.inside) / pairs, (-1,))


def _even_transform(band: Band, kernel: Array, xp: ModuleType) -> Array:
    """Transform (h, w // 2 + 1) of a small kernel that is even under inversion: a sum of cosines."""
    side = kernel.shape[0] // 2
    steps = np.arange(-side, side + 1)
    rows = 2 * np.pi * np.outer(np.fft.fftfreq(band.size[0]), steps)
    cols = 2 * np.pi * np.outer(steps, np.fft.rfftfreq(band.size[1]))
    even = namespace.as_like(np.cos(rows), kernel) @ kernel @ namespace.as_like(np.cos(cols), kernel)
    odd = namespace.as_like(np.sin(rows), kernel) @ kernel @ namespace.as_like(np.sin(cols), kernel)
    return even - odd
