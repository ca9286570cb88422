"""Samples of crystals in projection: perovskites, dumbbells, layered oxides, metals and their boundaries."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from motifgpu.simulate import lattice
from motifgpu.simulate.materials import column_intensity
from motifgpu.simulate.sample_sites import PADDING, Sites, crystal, half_plane, substitute

Rng = np.random.Generator
Shape = tuple[int, int]

# A and B of a perovskite, its lattice constant in nm, and what may replace them.
_PEROVSKITES = (
    ("Sr", "Ti", 0.3905, "Ba", "Nb"),
    ("Sr", "Ti", 0.3905, "La", "Mn"),
    ("Ba", "Ti", 0.3992, "Sr", "Zr"),
    ("La", "Mn", 0.3880, "Sr", "Ru"),
    ("Pb", "Ti", 0.3950, "Sr", "Zr"),
    ("Ca", "Ti", 0.3820, "Sr", "Nb"),
)
# Two of them with their lattice constants across the interface in nm.
_PHASES = (
    (("Sr", "Ti", 0.3905), ("Pb", "Ti", 0.4070)),
    (("Sr", "Ti", 0.3905), ("Sr", "Ru", 0.3950)),
    (("La", "Mn", 0.3880), ("Sr", "Ti", 0.3905)),
    (("Ba", "Ti", 0.4030), ("Sr", "Ru", 0.3950)),
    (("Sr", "Ti", 0.3905), ("Ca", "Ti", 0.3820)),
)
# Two elements on the sites of zincblende, and the lattice constant in nm.
_ZINCBLENDES = (("Zn", "Te", 0.6104), ("Cd", "Se", 0.6050), ("In", "As", 0.6058), ("Ga", "P", 0.5451))
_METALS = (("Al", 0.4050), ("Cu", 0.3615), ("Pd", 0.3891), ("Ag", 0.4086), ("Au", 0.4078), ("Pt", 0.3924))
# Along [110], in lattice vectors a [001] and a [1-10] / 2: the halves of a dumbbell are a quarter apart.
_DUMBBELLS = ((0.0, 0.0), (0.5, 0.5), (0.25, 0.0), (0.75, 0.5))
_METAL_110: tuple[tuple[float, float], ...] = ((0.0, 0.0), (0.5, 0.5))
# Of YBa2Cu3O7 along the chains, in b and c: barium, yttrium, copper of the planes and of the chains.
_CHAIN_OXIDE = ((0.5, 0.184), (0.5, 0.816), (0.5, 0.5), (0.0, 0.356), (0.0, 0.644), (0.0, 0.0))
_CHAIN_ATOMS = (("Ba",), ("Y",), ("Cu",), ("Cu",), ())


def perovskite(shape: Shape, rng: Rng) -> Sites:
    """Return a perovskite along [001] in a dark field, columns of both kinds partly replaced."""
    sites, intensity = _perovskite(shape, rng, rng.uniform(1.5, 1.8))
    _replaced(sites, (rng.uniform(0.02, 0.12), rng.uniform(0.02, 0.12)), rng)
    return _lit(sites, intensity)


def dark_perovskite(shape: Shape, rng: Rng) -> Sites:
    """Return the same as dark columns on a bright ground, oxygen among them."""
    sites, intensity = _perovskite(shape, rng, rng.uniform(0.5, 0.7), oxygen=True)
    _replaced(sites, (rng.uniform(0.02, 0.12), rng.uniform(0.02, 0.12)), rng)
    sites.dark = True
    return _lit(sites, intensity)


def step(shape: Shape, rng: Rng) -> Sites:
    """Return a perovskite that is thicker on one side of a line."""
    sites, intensity = _perovskite(shape, rng, rng.uniform(1.5, 1.8))
    _replaced(sites, (rng.uniform(0.02, 0.08), 0.0), rng)
    sites = _lit(sites, intensity)
    degrees, offset = _line(rng, shape)
    thin = rng.uniform(0.65, 0.85)
    sites.heights *= np.where(half_plane(sites.points, shape, degrees, offset), 1.0, thin)
    thickness = np.where(half_plane(_pixels(shape), shape, degrees, offset), 1.0, thin).reshape(shape)
    sites.support = rng.uniform(0.1, 0.3) * ndimage.gaussian_filter(thickness, sites.sigma)
    return sites


def phases(shape: Shape, rng: Rng) -> Sites:
    """Return two perovskites that share a straight interface along their axes."""
    (a, b, first_nm), (other_a, other_b, second_nm) = _PHASES[rng.integers(len(_PHASES))]
    constant = rng.uniform(11, 24)
    degrees = rng.uniform(0, 360)
    along, across = (constant * lattice.direction(degrees + turn) for turn in (0, 90))
    stretch = second_nm / first_nm  # beyond the interface cells are as wide as those of the substrate
    shift = np.array([rng.uniform(), 0.0])
    basis = ((0.0, 0.25), (0.5, 0.75))
    offset = rng.uniform(-0.12, 0.12, 2) * shape
    parts = []
    for side, v in enumerate((across, across * stretch)):
        points, slot = crystal(along, v, basis, shape, shift)
        above = (points - lattice.image_centre(shape)) @ lattice.direction(degrees + 90) > 0
        keep = above == bool(side)
        parts.append((points[keep] + offset, slot[keep] + 2 * side))
    points = np.concatenate([part[0] for part in parts])
    slot = np.concatenate([part[1] for part in parts])
    names = tuple(dict.fromkeys((a, b, other_a, other_b)))
    labels = np.array([names.index(name) for name in (a, b, other_a, other_b)])[slot]
    exponent = rng.uniform(1.5, 1.8)
    sites = Sites(
        points=points,
        labels=labels,
        pristine=labels,
        slot=slot,
        domain=slot // 2,
        heights=np.ones(len(points)),
        names=names,
        domain_names=(f"{a}{b}O3", f"{other_a}{other_b}O3"),
        occupied=np.ones(len(points), bool),
        u=along,
        v=across,
        spacing=constant / np.sqrt(2),
        sigma=constant * rng.uniform(0.12, 0.17),
        reach=0.85 * constant,
        pixel_size_nm=first_nm / constant,
    )
    return _lit(sites, np.array([column_intensity((name,), exponent) for name in names]))


def dumbbells(shape: Shape, rng: Rng) -> Sites:
    """Return a zincblende crystal along [110] whose polarity is inverted beyond a line."""
    sites, heights = _zincblende(shape, rng, rng.uniform(0, 360))
    sites.domain = half_plane(sites.points, shape, *_line(rng, shape))
    sites.labels = sites.pristine = np.where(sites.domain == 1, 1 - sites.labels, sites.labels)
    sites.domain_names = tuple("-".join(names) for names in (sites.names, sites.names[::-1]))
    return _lit(sites, heights)


def dumbbell_tilt(shape: Shape, rng: Rng) -> Sites:
    """Return two zincblende grains along [110], tilted against each other."""
    angle, tilt = rng.uniform(0, 360), rng.uniform(10, 20)
    state = rng.bit_generator.state
    grains = []
    for turn in (0.0, tilt):
        rng.bit_generator.state = state  # the same crystal, turned
        grains.append(_zincblende(shape, rng, angle + turn))
    sites = _joined([grain for grain, _ in grains], shape, 0.8, rng)
    return _lit(sites, grains[0][1])


def tilt(shape: Shape, rng: Rng) -> Sites:
    """Return two grains of a metal along [001], tilted against each other."""
    element, nm = _METALS[rng.integers(len(_METALS))]
    spacing, width = rng.uniform(8, 17), rng.uniform(0.18, 0.25)
    angle, turn = rng.uniform(0, 360), rng.uniform(10, 20)
    grains = []
    for degrees in (angle, angle + turn):
        u, v = (spacing * lattice.direction(degrees + more) for more in (0, 90))
        points, slot = crystal(u, v, ((0.0, 0.0),), shape, rng.uniform(0, 1, 2))
        grains.append(
            _one(points, slot, slot, (element,), u, v, spacing, width, 1.2, nm / np.sqrt(2) / spacing)
        )
    return _joined(grains, shape, 0.7, rng)


def layered_oxide(shape: Shape, rng: Rng) -> Sites:
    """Return a layered cuprate seen along its copper chains, of which some are missing."""
    b = rng.uniform(11, 18)
    c = b * 1.168 / 0.385
    degrees = rng.uniform(0, 360)
    u, v = b * lattice.direction(degrees), c * lattice.direction(degrees + 90)
    shift = rng.uniform(0, 1, 2)
    points, slot = crystal(u, v, _CHAIN_OXIDE, shape, shift)
    width = rng.uniform(0.17, 0.24)
    labels = np.array([0, 0, 1, 2, 2, 3])[slot]
    sites = _one(
        points, slot, labels, ("Ba", "Y", "Cu2", "Cu1", "V_Cu1"), u, v, 0.65 * b, width, 1.0, 0.385 / b
    )
    # Runs of missing chains along the layers.
    cell = np.round((points - lattice.image_centre(shape)) @ np.linalg.inv(np.stack([u, v])) - shift)
    cell = cell.astype(np.int64)
    share = rng.uniform(0.05, 0.2)
    missing = np.zeros(len(points), bool)
    chains = np.flatnonzero(slot == 5)
    for start in chains[rng.random(len(chains)) < share / 2.5]:
        length = rng.integers(1, 5)
        along = cell[chains] - cell[start]
        missing[chains[(along[:, 1] == 0) & (along[:, 0] >= 0) & (along[:, 0] < length)]] = True
    sites.labels = np.where(missing, 4, labels)
    exponent = rng.uniform(1.5, 1.8)
    return _lit(sites, np.array([column_intensity(atoms, exponent) for atoms in _CHAIN_ATOMS]))


def particle(shape: Shape, rng: Rng) -> Sites:
    """Return a particle of a metal along [110] or [001] on an amorphous support."""
    element, nm = _METALS[rng.integers(len(_METALS))]
    spacing, width = rng.uniform(8, 14), rng.uniform(0.18, 0.24)
    degrees = rng.uniform(0, 360)
    if rng.random() < 0.5:
        u, v = (spacing * lattice.direction(degrees + more) for more in (0, 90))
        basis, constant, reach = _METAL_110[:1], spacing * np.sqrt(2), 1.2
    else:
        constant = spacing * 2 / np.sqrt(1.5)  # nearest columns are a sqrt(3/8) apart
        u = constant * lattice.direction(degrees)
        v = constant / np.sqrt(2) * lattice.direction(degrees + 90)
        basis, reach = _METAL_110, 1.25  # four neighbours, and two a little further
    points, slot = crystal(u, v, basis, shape, rng.uniform(0, 1, 2))
    # Facets: the particle is where a few half planes meet.
    middle = lattice.image_centre(shape) + rng.uniform(-0.08, 0.08, 2) * shape
    radius = min(shape) * rng.uniform(0.27, 0.36)
    facets = degrees + 60 * np.arange(6) + rng.uniform(-8, 8, 6)
    normals = np.stack([lattice.direction(facet) for facet in facets])
    depth = (radius * rng.uniform(0.85, 1.15, 6) - (points - middle) @ normals.T).min(1)
    keep = depth > 0
    sites = _one(
        points[keep], slot[keep], 0 * slot[keep], (element,), u, v, spacing, width, reach, nm / constant
    )
    sites.heights = 0.55 + 0.45 * np.sqrt(np.clip(depth[keep] / (0.8 * radius), 0, 1))
    sites.support = _amorphous(shape, rng)
    return sites


def atoms(shape: Shape, rng: Rng) -> Sites:
    """Return single heavy atoms at random places of an amorphous support."""
    apart, width = rng.uniform(8, 14), rng.uniform(0.18, 0.24)
    extent = np.array(shape) + 2 * PADDING
    tried = int(rng.uniform(0.15, 0.4) * extent.prod() / apart**2)
    places = rng.uniform(-PADDING, extent - PADDING, (tried, 2))
    points = places[lattice.apart(places, np.arange(len(places)), apart)]
    none = np.zeros(len(points), np.int64)
    element = str(rng.choice(["Re", "Pt", "Au"]))
    sites = _one(points, none, none, (element,), np.zeros(2), np.zeros(2), apart, width, 1.0, 0.25 / apart)
    sites.domain_names, sites.boundary = ("support",), none > 0
    sites.support = _amorphous(shape, rng)
    return sites


def _amorphous(shape: Shape, rng: Rng) -> np.ndarray:
    """Return an amorphous support, in peaks."""
    speckle = ndimage.gaussian_filter(rng.normal(size=shape), rng.uniform(0.6, 1.5))
    support: np.ndarray = rng.uniform(0.06, 0.14) * (2 + speckle / speckle.std()).clip(0)
    return support


def _line(rng: Rng, shape: Shape) -> tuple[float, float]:
    """Return direction, degrees, and offset from the middle, px, of a boundary through the image."""
    return float(rng.uniform(0, 180)), float(rng.uniform(-0.12, 0.12) * min(shape))


def _pixels(shape: Shape) -> np.ndarray:
    rows, cols = np.indices(shape, dtype=np.float64)
    return np.stack([rows.reshape(-1), cols.reshape(-1)], axis=1)


def _one(
    points: np.ndarray,
    slot: np.ndarray,
    labels: np.ndarray,
    names: tuple[str, ...],
    u: np.ndarray,
    v: np.ndarray,
    spacing: float,
    width: float,
    reach: float,
    pixel_size_nm: float,
) -> Sites:
    """Return one domain; `width` and `reach` are in the distance of nearest columns."""
    return Sites(
        points=points,
        labels=labels,
        pristine=labels,
        slot=slot,
        domain=np.zeros(len(points), np.int64),
        heights=np.ones(len(points)),
        names=names,
        domain_names=("crystal",),
        occupied=np.ones(len(points), bool),
        u=u,
        v=v,
        spacing=spacing,
        sigma=width * spacing,
        reach=reach * spacing,
        pixel_size_nm=pixel_size_nm,
    )


def _lit(sites: Sites, intensity: np.ndarray) -> Sites:
    """Give the columns their heights by identity; those of the perfect crystal are at most 1."""
    sites.heights = intensity[sites.labels] / intensity[np.unique(sites.pristine)].max()
    sites.occupied = intensity[sites.labels] > 0
    return sites


def _perovskite(shape: Shape, rng: Rng, exponent: float, oxygen: bool = False) -> tuple[Sites, np.ndarray]:
    """Return a perovskite and the intensities of A, B, columns of both that are partly replaced, and O."""
    a, b, nm, for_a, for_b = _PEROVSKITES[rng.integers(len(_PEROVSKITES))]
    constant = rng.uniform(16, 25) if oxygen else rng.uniform(10, 25)
    degrees = rng.uniform(0, 360)
    u, v = (constant * lattice.direction(degrees + more) for more in (0, 90))
    basis = ((0.0, 0.0), (0.5, 0.5), (0.5, 0.0), (0.0, 0.5))[: 4 if oxygen else 2]
    points, slot = crystal(u, v, basis, shape, rng.uniform(0, 1, 2))
    labels = np.array([0, 1, 4, 4])[slot]
    spacing = constant / 2 if oxygen else constant / np.sqrt(2)
    width = rng.uniform(0.2, 0.26) if oxygen else rng.uniform(0.16, 0.24)
    names = (a, b, f"{a}+{for_a}", f"{b}+{for_b}", *(["O"] if oxygen else []))
    share = rng.uniform(0.5, 1.0)  # of the atoms of a column are replaced

    def mixed(one: str, other: str) -> float:
        return (1 - share) * column_intensity((one,), exponent) + share * column_intensity((other,), exponent)

    o = column_intensity(("O",), exponent)  # columns of B hold oxygen too
    intensity = np.array([mixed(a, a), mixed(b, b) + o, mixed(a, for_a), mixed(b, for_b) + o, o])
    return _one(points, slot, labels, names, u, v, spacing, width, 1.2, nm / constant), intensity


def _replaced(sites: Sites, fractions: tuple[float, float], rng: Rng) -> None:
    """Replace fractions of the columns of A and of B."""
    for site, fraction in enumerate(fractions):
        sites.labels = substitute(sites.labels, site, site + 2, fraction, rng)


def _zincblende(shape: Shape, rng: Rng, degrees: float) -> tuple[Sites, np.ndarray]:
    """Return a crystal of dumbbells and the intensities of their two halves."""
    first, second, nm = _ZINCBLENDES[rng.integers(len(_ZINCBLENDES))]
    halves = rng.uniform(6.5, 11)  # distance of the halves of a dumbbell, px
    constant = 4 * halves
    u = constant * lattice.direction(degrees)
    v = constant / np.sqrt(2) * lattice.direction(degrees + 90)
    points, slot = crystal(u, v, _DUMBBELLS, shape, rng.uniform(0, 1, 2))
    labels = (slot >= 2).astype(np.int64)
    exponent = rng.uniform(1.5, 1.8)
    width = rng.uniform(0.27, 0.36)
    sites = _one(points, slot, labels, (first, second), u, v, halves, width, 2.1, nm / constant)
    return sites, np.array([column_intensity((name,), exponent) for name in (first, second)])


def _joined(grains: list[Sites], shape: Shape, distance: float, rng: Rng) -> Sites:
    """Cut two grains at a line; of two columns nearer than `distance` spacings the second grain's goes."""
    first = grains[0]
    degrees, offset = _line(rng, shape)
    parts = []
    for number, grain in enumerate(grains):
        overlap = (1 - 2 * number) * 0.3 * first.spacing  # no gap is left between the grains
        keep = half_plane(grain.points, shape, degrees, offset + overlap) == number
        chosen = [x[keep] for x in (grain.points, grain.labels, grain.slot)]
        parts.append([*chosen, np.full(keep.sum(), number)])
    points, labels, slot, domain = (np.concatenate(each) for each in zip(*parts, strict=True))
    keep = lattice.apart(points, domain, distance * first.spacing)
    first.points, first.slot, first.domain = points[keep], slot[keep], domain[keep]
    first.labels = first.pristine = labels[keep]
    first.heights, first.occupied = np.ones(keep.sum()), np.ones(keep.sum(), bool)
    first.domain_names = ("first grain", "second grain")
    return first
