"""Simulated twins of a real micrograph: titanium-doped WSe2 as two annular detectors saw it at once.

Lattice constant, widths and heights of the columns, their scatter, vacancies and slow brightness are as in
the micrograph, whose brightest columns have about 50 counts a pixel.
"""

from __future__ import annotations

import zlib

import numpy as np
from scipy import ndimage

from motifgpu import simulate
from motifgpu.simulate.noise import scan_jitter
from motifgpu.simulate.render import add_columns

# Heights of W, Se2, V_Se and V_Se2, of dopants on W, and the width in lattice constants, by detector.
_HEIGHTS = {
    "TiWSe2_adf1": ((1.0, 0.88, 0.49, 0.0, 0.35), 0.162),
    "TiWSe2_adf2": ((0.69, 1.0, 0.45, 0.0, 0.4), 0.172),
}
KINDS = tuple(_HEIGHTS)
# Px; standard deviations of heights, of places in lattice constants, and of the lines of the scan, px.
_CONSTANT, _SCATTER, _DISPLACED, _SCAN = 8.1, 0.11, 0.012, 0.2
_VACANCIES, _DOPED, _GROUND, _SLOW = 0.09, 0.005, 0.3, 0.06


def sample(kind: str, size: int, counts: float, seed: int) -> simulate.SampleSimulation:
    """Return a monolayer with single vacancies, recorded as one of the detectors did."""
    heights, width = _HEIGHTS[kind]
    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    made = simulate.monolayer(
        "WSe2",
        (size, size),
        lattice_constant=_CONSTANT,
        angle=float(rng.uniform(0, 360)),
        vacancies=_VACANCIES,
        dopants={"Ti": _DOPED},
        counts=None,
        seed=int(rng.integers(2**31)),
    )
    points = made.points + rng.normal(0, _DISPLACED * _CONSTANT, made.points.shape)
    scatter = rng.normal(1, _SCATTER, len(points))
    height = counts * np.array(heights)[made.labels] * scatter
    sigma = width * _CONSTANT
    columns = add_columns((size, size), points, height, sigma, scan_jitter(size, _SCAN, rng))
    slow = ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 10, mode="wrap")
    ground = counts * (_GROUND + _SLOW * slow / slow.std())
    expected = columns + np.maximum(ground, 0)
    return simulate.SampleSimulation(
        image=rng.poisson(expected).astype(np.float32),
        clean=expected.astype(np.float32),
        background=ground.astype(np.float32),
        points=points.astype(np.float32),
        labels=made.labels,
        names=made.names,
        occupied=made.occupied,
        u=made.u,
        v=made.v,
        pixel_size_nm=made.pixel_size_nm,
        kind=kind,
        domain=np.zeros(len(points), np.int32),
        domain_names=("crystal",),
        pristine=made.sublattice.astype(np.int32),
        boundary=np.zeros(len(points), bool),
        heights=height.astype(np.float32),
        spacing_px=_CONSTANT / np.sqrt(3),
        sigma_px=sigma,
        tail=0.0,
        valid=np.ones((size, size), bool),
    )
