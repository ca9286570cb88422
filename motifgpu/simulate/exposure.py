"""How a simulated micrograph is recorded: dose, background, noise and the displacement of scan lines."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from scipy import ndimage

from motifgpu.simulate import checks
from motifgpu.simulate.noise import gaussian_noise, poisson_noise, scan_jitter
from motifgpu.simulate.render import add_columns

# The parameters of an exposure in the docstrings of all simulations: type and meaning.
_PARAMETERS = {
    "counts": (
        "float or None",
        "Expected counts per pixel at the peak of {peak}; None for no Poisson noise.",
    ),
    "background": (
        "float",
        "Height of a slowly varying background, as a fraction of the peak of {peak}.",
    ),
    "gaussian": (
        "float",
        "Standard deviation of added Gaussian noise, as a fraction of the peak of {peak}.",
    ),
    "scan": (
        "float",
        "Standard deviation of the random displacement of each scan line along the columns, px.",
    ),
    "seed": ("int", "Seed of the random numbers; the same seed gives the same bits."),
}
_WIDTH = 110  # of a line

Function = TypeVar("Function", bound=Callable[..., object])


class Recording(NamedTuple):
    """An image with its expectation and its background, (H, W) float32 each."""

    image: np.ndarray
    clean: np.ndarray
    background: np.ndarray


@dataclass(frozen=True)
class Exposure:
    """The parameters with which a micrograph is recorded, checked.

    Attributes
    ----------
    counts : float or None
        Expected counts per pixel at one peak, which is that of the brightest pristine column; None for no
        Poisson noise and peaks of 1.
    background, gaussian : float
        Height of a slow background, and standard deviation of Gaussian noise, in peaks.
    scan : float
        Standard deviation of the displacement of the scan lines, px.

    Raises
    ------
    StageError
        If one is out of range.
    """

    counts: float | None = None
    background: float = 0.0
    gaussian: float = 0.0
    scan: float = 0.0

    def __post_init__(self) -> None:
        if self.counts is not None and not 0 < self.counts < np.inf:
            raise checks.problem(
                f"counts is {self.counts}", "give a positive number, or None for no Poisson noise"
            )
        for name in ("background", "gaussian", "scan"):
            checks.not_negative(getattr(self, name), name)

    @property
    def peak(self) -> float:
        """Height of one peak in the image."""
        return 1.0 if self.counts is None else float(self.counts)

    def record(
        self,
        shape: Sequence[int],
        points: np.ndarray,
        heights: np.ndarray,
        sigma: float,
        rng: np.random.Generator,
        brightest: float = 1.0,
    ) -> Recording:
        """Render columns on a background and record them.

        Parameters
        ----------
        shape : (int, int)
        points : (n, 2) ndarray
        heights : (n,) ndarray
            Peak heights, in units of the caller's.
        sigma : float
            Standard deviation of a column, px.
        rng : numpy.random.Generator
        brightest : float
            Height of the brightest pristine column: one peak.

        Returns
        -------
        Recording
        """
        jitter = scan_jitter(shape[0], self.scan, rng)
        clean = add_columns(shape, points, self.peak * heights / brightest, sigma, jitter)
        layer = np.zeros(shape)
        if self.background:
            slow = ndimage.gaussian_filter(rng.normal(size=shape), min(shape) / 6, mode="nearest")
            layer = self.background * self.peak * (slow - slow.min()) / (np.ptp(slow) + 1e-30)
            clean = clean + layer
        return Recording(self.detect(clean, rng), clean.astype(np.float32), layer.astype(np.float32))

    def detect(self, clean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return `clean` as recorded, as float32: Poisson counts if there is a dose, then Gaussian noise."""
        image = clean if self.counts is None else poisson_noise(clean, rng)
        if self.gaussian:
            image = gaussian_noise(image, self.gaussian * self.peak, rng)
        return image.astype(np.float32)


def documents_exposure(peak: str) -> Callable[[Function], Function]:
    """Return a decorator that describes the parameters of an exposure at ``{exposure}`` in a docstring.

    The function, its signature and its types stay as they are.

    Parameters
    ----------
    peak : str
        What has a height of one peak.
    """

    def document(function: Function) -> Function:
        if function.__doc__ is None:  # under python -OO
            return function
        before, _, after = function.__doc__.partition("{exposure}")
        indent = before.rpartition("\n")[2]
        lines = []
        for name in inspect.signature(function).parameters:
            if name in _PARAMETERS:
                kind, meaning = _PARAMETERS[name]
                wrapped = textwrap.wrap(meaning.format(peak=peak), _WIDTH - len(indent) - 4)
                lines += [f"{name} : {kind}", *(f"    {line}" for line in wrapped)]
        function.__doc__ = before + f"\n{indent}".join(lines) + after
        return function

    return document
