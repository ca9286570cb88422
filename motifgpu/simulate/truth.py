"""What is true about a simulation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motifgpu.core.shown import one_line


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated micrograph and its truth; the arrays of length n have one row per site in view.

    Attributes
    ----------
    image : (H, W) float32 ndarray
        Counts, or arbitrary units where no dose was given.
    clean : (H, W) float32 ndarray
        The expectation of `image` given the displacements of its scan lines, background included.
    background : (H, W) float32 ndarray
        The part of `clean` that is not due to columns; zero where no background was given.
    points : (n, 2) float32 ndarray
        Sites as (row, col) in pixels, empty sites included, sorted by row and then column. Displacements by
        scan noise are not included.
    labels : (n,) int32 ndarray
        Identity of the site: an index into `names`.
    names : tuple of str
        Names of the identities, including those that do not occur.
    occupied : (n,) bool ndarray
        False where no atom is left.
    u, v : (2,) float64 ndarray
        Lattice vectors before strain and drift, as (row, col) in pixels, v counter-clockwise from u as
        displayed.
    pixel_size_nm : float or None
        Pixel size that gives the material its lattice constant; None where there is no material.

    Examples
    --------
    The signal without noise, and the difference that noise makes:

    >>> from motifgpu import simulate
    >>> made = simulate.crystal_p4m(shape=(96, 96), gaussian=0.1)
    >>> made.image.shape, made.clean.shape
    ((96, 96), (96, 96))
    >>> round(float((made.image - made.clean).std()), 1)
    0.1
    >>> made.points.shape == (len(made.labels), 2)
    True
    """

    image: np.ndarray
    clean: np.ndarray
    background: np.ndarray
    points: np.ndarray
    labels: np.ndarray
    names: tuple[str, ...]
    occupied: np.ndarray
    u: np.ndarray
    v: np.ndarray
    pixel_size_nm: float | None

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class MonolayerSimulation(Simulation):
    """A micrograph of one layer, or of layers in registry, in which sites have a sublattice and a grain.

    Attributes
    ----------
    environments : (n,) int32 ndarray
        Identity of the site together with those of the nearest sites, each in its direction within the grain;
        a neighbour removed at a grain boundary counts as one more identity. Numbered without gaps.
    sublattice : (n,) int8 ndarray
        0 for metal sites, 1 for chalcogen sites.
    grain : (n,) int32 ndarray
        Grain of the site; `u` and `v` are those of grain 0.

    Examples
    --------
    Selenium columns by what is left in them:

    >>> from motifgpu import simulate
    >>> made = simulate.monolayer("MoSe2", (128, 128), vacancies=0.1, divacancies=0.05, seed=1)
    >>> selenium = made.sublattice == 1
    >>> sorted({made.names[label] for label in made.labels[selenium]})
    ['Se2', 'V_Se', 'V_Se2']
    >>> {made.names[label] for label in made.labels[~made.occupied]}  # where no atom is left
    {'V_Se2'}
    """

    pixel_size_nm: float
    environments: np.ndarray
    sublattice: np.ndarray
    grain: np.ndarray

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class BilayerSimulation(Simulation):
    """A micrograph of two layers that are rotated, scaled or shifted against each other.

    `points` holds the sites of both layers, so that two of them may coincide in projection; `u` and `v` are
    those of the first layer.

    Attributes
    ----------
    layer : (n,) int8 ndarray
        0 for the first layer, 1 for the second.
    sublattice : (n,) int8 ndarray
        0 for metal sites, 1 for chalcogen sites.
    stacking : (n,) int32 ndarray
        The high-symmetry stacking nearest to the local one at each site: an index into `stacking_names`.
    stacking_names : tuple of str
        AA', A'B and AB' for antiparallel layers; AA, AB and BA for parallel ones.
    twist : float
        Rotation of the second layer against the named stacking, degrees counter-clockwise.
    moire : (2, 2) float64 ndarray or None
        The two moire vectors in its rows, as (row, col) in pixels; None where the layers are commensurate
        with equal cells.
    domains : (m, 2) float32 ndarray
        Centres of the domains in view, as (row, col) in pixels.
    domain_labels : (m,) int32 ndarray
        Stacking at each domain centre: an index into `stacking_names`.

    Examples
    --------
    Without a twist the two layers have one stacking everywhere, and there is no moire lattice:

    >>> from motifgpu import simulate
    >>> made = simulate.bilayer(shape=(96, 96), twist=0.0, stacking="A'B")
    >>> {made.stacking_names[k] for k in made.stacking}
    {"A'B"}
    >>> made.moire is None
    True
    """

    layer: np.ndarray
    sublattice: np.ndarray
    stacking: np.ndarray
    stacking_names: tuple[str, ...]
    twist: float
    moire: np.ndarray | None
    domains: np.ndarray
    domain_labels: np.ndarray

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class DefectSimulation(Simulation):
    """A micrograph of a lattice whose missing sites belong to defects.

    Attributes
    ----------
    defect : (n,) int32 ndarray
        Number of the defect that the site belongs to, -1 for none.

    Examples
    --------
    How many sites does each defect take?

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> made = simulate.stm_lattice(shape=(256, 256), isolated=2, clusters=2, chains=0)
    >>> sorted(np.bincount(made.defect[made.defect >= 0]).tolist())
    [1, 1, 3, 3]
    """

    defect: np.ndarray

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class SampleSimulation(Simulation):
    """A micrograph of a sample that may have domains, boundaries and pixels that are no data.

    `points` and `background` are where columns stand and what is seen beside them, drift of the scan and
    contamination included; sites on pixels without data are left out. `u` and `v` are those of the first
    domain, 0 where there is no lattice.

    Attributes
    ----------
    kind : str
        One of `SAMPLES`.
    domain : (n,) int32 ndarray
        Grain, orientation, side of a twin, stacking, polarity or phase of the site: an index into
        `domain_names`; -1 where two domains share the site.
    domain_names : tuple of str
    pristine : (n,) int32 ndarray
        Identity of the site in the crystal without defects.
    boundary : (n,) bool ndarray
        Sites whose nearest neighbours are arranged as in none of the domains.
    heights : (n,) float32 ndarray
        Height of the column above what is beside it, counts; of a dark column its depth.
    spacing_px, sigma_px : float
        Distance of nearest columns, and standard deviation of a column, px.
    tail : float
        Share of the height of a column that is due to the tails of the probe, a Gaussian twice as wide.
    valid : (H, W) bool ndarray
        Pixels that are data.

    Examples
    --------
    Atoms in the rings of five and seven at a grain boundary of graphene, and none outside a particle:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> made = simulate.sample("honeycomb", (192, 192))
    >>> bool(0 < made.boundary.sum() < len(made.points) / 2)
    True
    >>> made = simulate.sample("particle", (192, 192))
    >>> bool(np.linalg.norm(made.points - 95.5, axis=1).max() < 120)
    True
    """

    kind: str
    domain: np.ndarray
    domain_names: tuple[str, ...]
    pristine: np.ndarray
    boundary: np.ndarray
    heights: np.ndarray
    spacing_px: float
    sigma_px: float
    tail: float
    valid: np.ndarray

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class TilingSimulation(Simulation):
    """A micrograph of a pentagonal tiling; the arrays of length m have one row per pentagon centre in view.

    `points` holds the columns: pentagon corners and what stands in filled and excluded pentagons. `u` and `v`
    are the sides of the square cell of four pentagons.

    Attributes
    ----------
    centers : (m, 2) float32 ndarray
        Pentagon centres, the means of their corners, as (row, col) in pixels, sorted by row and then column.
    corners : (m, 5, 2) float32 ndarray
        Corners of each pentagon, in order around it; the first two are the ends of its short edge.
    states : (m,) int8 ndarray
        0 hollow, 1 filled, `EXCLUDED` for pentagons that are neither.
    indices : (m, 2) int32 ndarray
        Row and column of each pentagon in the grid of states; they continue beyond the grid where the view is
        larger: ``states == grid[tuple((indices % grid.shape).T)]``.
    grid : (I, J) int8 ndarray
        The grid of states, which repeats.

    Examples
    --------
    Filled pentagons hold a column at their centre:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> made = simulate.tiling(np.ones((4, 4), dtype=int), shape=(128, 128))
    >>> made.names
    ('corner', 'filled', 'excluded')
    >>> bool((made.labels == 1).sum() == (made.states == 1).sum())
    True
    """

    centers: np.ndarray
    corners: np.ndarray
    states: np.ndarray
    indices: np.ndarray
    grid: np.ndarray

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class OccupancySimulation:
    """A grid of occupancies and what is known about it.

    Attributes
    ----------
    grid : (I, J) int8 ndarray
        0, 1, or `EXCLUDED`.
    fraction : float
        Expected fraction of ones among the sites that are not excluded.
    entropy_level2, entropy_level3 : float
        Shannon entropy of the 2 x 2 and 4 x 4 windows of the unlimited grid without exclusions, in nats, with
        windows that slide by one site.

    Examples
    --------
    The fraction of ones is that of the sites that are not excluded:

    >>> from motifgpu import simulate
    >>> made = simulate.occupancy_grid("bernoulli", (64, 64), fraction=0.379, excluded=0.05)
    >>> counted = made.grid[made.grid != simulate.EXCLUDED]
    >>> bool(abs(counted.mean() - made.fraction) < 0.05)
    True
    """

    grid: np.ndarray
    fraction: float
    entropy_level2: float
    entropy_level3: float

    __repr__ = one_line


@dataclass(frozen=True, eq=False)
class PatchSimulation:
    """Simulated patches and the class of each.

    Attributes
    ----------
    patches : (n, size, size) float32 ndarray
    labels : (n,) int32 ndarray

    Examples
    --------
    The patches of one class:

    >>> from motifgpu import simulate
    >>> made = simulate.patches((2, 2), size=64, distance=16, sigma=4)
    >>> made.patches[made.labels == 1].shape
    (2, 64, 64)
    """

    patches: np.ndarray
    labels: np.ndarray

    __repr__ = one_line
