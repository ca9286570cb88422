"""Samples of many kinds, drawn at random from a seed, with what may trouble a recording."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import ndimage

from motifgpu.core.checks import check_integer
from motifgpu.simulate import checks, lattice, sample_crystals, sample_layers
from motifgpu.simulate.exposure import Exposure
from motifgpu.simulate.noise import scan_jitter
from motifgpu.simulate.render import add_columns
from motifgpu.simulate.sample_rings import honeycomb
from motifgpu.simulate.sample_sites import PADDING, Sites, at_boundary
from motifgpu.simulate.truth import SampleSimulation

_KINDS: dict[str, Callable[[tuple[int, int], np.random.Generator], Sites]] = {
    "monolayer": sample_layers.defects,
    "twin": partial(sample_layers.grains, rotation=60.0),
    "mirror_twin": sample_layers.mirror_twin,
    "grains": partial(sample_layers.grains, rotation=25.0),
    "stacking": sample_layers.stackings,
    "tilt": sample_crystals.tilt,
    "dumbbell_tilt": sample_crystals.dumbbell_tilt,
    "dumbbells": sample_crystals.dumbbells,
    "perovskite": sample_crystals.perovskite,
    "dark_perovskite": sample_crystals.dark_perovskite,
    "phases": sample_crystals.phases,
    "layered_oxide": sample_crystals.layered_oxide,
    "honeycomb": honeycomb,
    "particle": sample_crystals.particle,
    "step": sample_crystals.step,
    "atoms": sample_crystals.atoms,
}
SAMPLES = tuple(_KINDS)

TAIL_WIDTH = 2.0  # of the tails of the probe, in the width of its core


def sample(
    kind: str,
    shape: tuple[int, int] = (384, 384),
    *,
    counts: float = 10.0,
    slope: float = 0.0,
    contamination: float = 0.0,
    distortion: float = 0.0,
    scan: float = 0.0,
    margin: float = 0.0,
    spikes: int = 0,
    seed: int = 0,
) -> SampleSimulation:
    """Simulate a micrograph of a kind of sample; what is not given is drawn from the seed.

    Elements, fractions of defects, orientation, scale (columns 6 to 18 px from their nearest), width and
    tails of the probe, contrast and the place of boundaries differ from seed to seed. Columns are displaced
    at random by 1 % of the nearest distance, and stand on a flat ground of 2 to 15 % of a peak.

    Parameters
    ----------
    kind : str
        One of `SAMPLES`. ``monolayer``: a dichalcogenide with vacancies, double vacancies and dopants.
        ``twin``, ``grains``: two grains of one, 60 or 25 degrees apart. ``mirror_twin``: two that are mirror
        images. ``stacking``: a bilayer, 2H and 3R. ``tilt``: two grains of a metal along [001].
        ``dumbbell_tilt``, ``dumbbells``: zincblende along [110], two grains or two polarities.
        ``perovskite``: along [001] with replaced columns. ``dark_perovskite``: the same in bright field with
        oxygen, columns dark. ``phases``: two perovskites. ``layered_oxide``: a cuprate of which chains are
        missing. ``honeycomb``: graphene with a grain boundary of rings of five and seven. ``particle``: a
        metal on an amorphous support. ``step``: a perovskite of two thicknesses.
        ``atoms``: single atoms on an amorphous support.
    shape : (int, int)
        Rows and columns, px; at least 64.
    counts : float
        Expected counts per pixel at the peak of the brightest pristine column; with dark columns those that
        the darkest pristine column lacks.
    slope : float
        Height of a linear slope of the background across the image, in peaks.
    contamination : float
        Height of smooth blobs of contamination, in peaks.
    distortion : float
        Largest displacement by slow drift of the scan, px; the points follow it.
    scan : float
        Standard deviation of the random displacement of each scan line, px.
    margin : float
        Share of each side that a rotated and shifted frame leaves without data, 0 to 0.3; such pixels are 0.
    spikes : int
        Number of pixels that hold 20 to 2000 peaks.
    seed : int
        Seed of the random numbers; the same seed gives the same bits.

    Returns
    -------
    SampleSimulation

    Raises
    ------
    StageError
        If the kind is unknown, or a number is out of range.

    Examples
    --------
    A mirror twin of a dichalcogenide: columns by the side on which they stand, and those at the boundary:

    >>> from motifgpu import simulate
    >>> made = simulate.sample("mirror_twin", (192, 192), seed=3)
    >>> made.domain_names
    ('right', 'left')
    >>> bool(made.boundary.any()), bool((made.domain[~made.boundary] >= 0).all())
    (True, True)
    """
    checks.choice(kind, "kind", SAMPLES)
    shape = checks.image_shape(shape)
    if min(shape) < 64:
        raise checks.problem(f"shape is {shape}", "give at least 64 rows and columns")
    exposure = Exposure(checks.positive(counts, "counts"), scan=scan)
    for value, name in ((slope, "slope"), (contamination, "contamination"), (distortion, "distortion")):
        checks.not_negative(value, name)
    if not 0 <= margin <= 0.3:
        raise checks.problem(f"margin is {margin}", "give a share from 0 to 0.3")
    spikes = check_integer(spikes, "simulate", "spikes", 0)

    rng = np.random.default_rng([zlib.crc32(kind.encode()), seed])
    sites = _KINDS[kind](shape, rng)
    boundary = sites.boundary if sites.boundary is not None else at_boundary(sites, shape)
    points = sites.points + rng.normal(0, 0.01 * sites.spacing, sites.points.shape)
    points = points + _drift(points[:, 0], shape[0], distortion, rng)

    tail = rng.uniform(0, 0.2)
    columns = _columns(shape, points, sites, tail, scan_jitter(shape[0], exposure.scan, rng))
    background = _ground(shape, slope, contamination, rng)
    if sites.support is not None:
        background = background + sites.support
    if sites.dark:
        columns, background = -columns, background + columns.max() * rng.uniform(1.1, 1.6)
    clean, background = ((counts * layer) for layer in (columns + background, background))
    valid = _frame(shape, margin, rng)
    image = np.where(valid, exposure.detect(clean, rng), 0)
    hot = rng.choice(image.size, spikes, replace=False)
    image.reshape(-1)[hot] += counts * 10 ** rng.uniform(np.log10(20), np.log10(2000), spikes)

    seen = lattice.in_view(points, shape)
    nearest = np.round(points[seen]).astype(np.int64)
    seen = seen[valid[nearest[:, 0], nearest[:, 1]]]
    return SampleSimulation(
        image=image.astype(np.float32),
        clean=np.where(valid, clean, 0).astype(np.float32),
        background=np.where(valid, background, 0).astype(np.float32),
        points=points[seen].astype(np.float32),
        labels=sites.labels[seen].astype(np.int32),
        names=sites.names,
        occupied=sites.occupied[seen],
        u=sites.u,
        v=sites.v,
        pixel_size_nm=sites.pixel_size_nm,
        kind=kind,
        domain=sites.domain[seen].astype(np.int32),
        domain_names=sites.domain_names,
        pristine=sites.pristine[seen].astype(np.int32),
        boundary=boundary[seen],
        heights=(counts * sites.heights[seen]).astype(np.float32),
        spacing_px=float(sites.spacing),
        sigma_px=float(sites.sigma),
        tail=tail,
        valid=valid,
    )


def _columns(
    shape: tuple[int, int], points: np.ndarray, sites: Sites, tail: float, jitter: np.ndarray
) -> np.ndarray:
    """Return the columns alone, in peaks; the probe is a Gaussian with wider tails."""
    near = ((points > -PADDING) & (points < np.array(shape) + PADDING)).all(1)
    points, heights = points[near], sites.heights[near]
    core: np.ndarray = add_columns(shape, points, (1 - tail) * heights, sites.sigma, jitter)
    core += add_columns(shape, points, tail * heights, TAIL_WIDTH * sites.sigma, jitter)
    return core


def _drift(rows: np.ndarray, height: int, largest: float, rng: np.random.Generator) -> np.ndarray:
    """Return the displacement (n, 2) of points on these rows by drift that changes slowly down the image."""
    knots = np.arange(-PADDING, height + PADDING + 1)
    walk = ndimage.gaussian_filter1d(rng.normal(size=(len(knots), 2)), height / 8, axis=0)
    walk -= walk.mean(0)
    walk *= largest / np.abs(walk).max() * np.array([0.5, 1.0])  # rows are scanned faster than they follow
    return np.stack([np.interp(rows, knots, walk[:, axis]) for axis in (0, 1)], axis=1)


def _ground(
    shape: tuple[int, int], slope: float, contamination: float, rng: np.random.Generator
) -> np.ndarray:
    """Return a flat ground, its slope and contamination, in peaks."""
    rows, cols = np.indices(shape)
    ground = np.full(shape, rng.uniform(0.02, 0.15))
    along = lattice.direction(rng.uniform(0, 360))
    ramp = rows * along[0] + cols * along[1]
    ground += slope * (ramp - ramp.min()) / np.ptp(ramp)
    size = min(shape)
    blobs = np.zeros(shape)
    for _ in range(rng.integers(2, 6)):
        row, col = rng.uniform(0, 1, 2) * shape
        width = rng.uniform(0.06, 0.18, 2) * size
        blobs += rng.uniform(0.4, 1) * np.exp(
            -0.5 * (((rows - row) / width[0]) ** 2 + ((cols - col) / width[1]) ** 2)
        )
    return ground + contamination * np.minimum(blobs, 1)


def _frame(shape: tuple[int, int], margin: float, rng: np.random.Generator) -> np.ndarray:
    """Return where a rotated and shifted frame has data."""
    turn = np.deg2rad(rng.choice([-1, 1]) * rng.uniform(2, 8))
    shift = rng.uniform(-0.5, 0.5, 2) * margin * shape
    rows, cols = np.indices(shape) - lattice.image_centre(shape)[:, None, None] - shift[:, None, None]
    if margin == 0:
        return np.ones(shape, bool)
    half = (0.5 - margin / 2) * np.array(shape)
    inside: np.ndarray = (np.abs(rows * np.cos(turn) - cols * np.sin(turn)) <= half[0]) & (
        np.abs(rows * np.sin(turn) + cols * np.cos(turn)) <= half[1]
    )
    return inside
