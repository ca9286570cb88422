"""Plane lattices without a named material: the p4m crystal of Fig. S1 and an STM image with vacancies."""

from __future__ import annotations

import numpy as np

from motifgpu.core.checks import check_integer
from motifgpu.simulate import checks, lattice
from motifgpu.simulate.exposure import Exposure, documents_exposure
from motifgpu.simulate.truth import DefectSimulation, Simulation

# The six nearest sites as steps in (i, j), in the order of their directions.
_STEPS = np.array([[1, 0], [1, 1], [0, 1], [-1, 0], [-1, -1], [0, -1]])
_LONGEST = 6  # sites of a chain
_TRIES = 200  # places tried for a defect before the image counts as full


@documents_exposure("a blob of height 1")
def crystal_p4m(
    shape: tuple[int, int] = (512, 512),
    *,
    spacing: float = 32.0,
    heights: tuple[float, float] = (0.8, 1.0),
    sigma: float = 7.0,
    angle: float = 0.0,
    counts: float | None = None,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> Simulation:
    """Simulate the crystal of the paper's Fig. S1: two kinds of blobs that alternate on a square lattice.

    Its plane group is p4m; each blob has four nearest neighbours of the other kind. Fig. S2 has `gaussian`
    from 0 to 0.8.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns, px.
    spacing : float
        Distance of nearest blobs, px.
    heights : (float, float)
        Peak heights of the two kinds.
    sigma : float
        Standard deviation of a blob, px.
    angle : float
        Direction of a row of alternating blobs, degrees counter-clockwise from +col.
    {exposure}

    Returns
    -------
    Simulation
        Its names are ``dim`` and ``bright``, for the first and the second of `heights`. The lattice vectors
        join nearest blobs of one kind.

    Raises
    ------
    StageError
        If a number is out of range.

    Examples
    --------
    A crystal of two kinds of blobs; nearest ones of one kind are sqrt(2) of the spacing apart:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> made = simulate.crystal_p4m(shape=(192, 192), spacing=32.0)
    >>> made.names
    ('dim', 'bright')
    >>> round(float(np.linalg.norm(made.u)) / 32.0, 3)
    1.414
    """
    exposure = Exposure(counts, gaussian=gaussian, scan=scan)
    shape = checks.image_shape(shape)
    spacing = checks.positive(spacing, "spacing")
    sigma = checks.positive(sigma, "sigma")
    peaks = np.array(
        [checks.not_negative(height, "a height") for height in checks.vector(heights, "heights")]
    )
    rng = np.random.default_rng(seed)
    right, up = spacing * lattice.direction(angle), spacing * lattice.direction(angle + 90)
    i, j = lattice.covering_indices(right, up, lattice.half_diagonal(shape) + 5 * sigma)
    shift = rng.uniform(0, 1, 2)
    points = (i + shift[0]).reshape(-1, 1) * right + (j + shift[1]).reshape(-1, 1) * up
    points += lattice.image_centre(shape)
    labels = ((i + j) % 2).reshape(-1).astype(np.int32)
    recording = exposure.record(shape, points, peaks[labels], sigma, rng)
    seen = lattice.in_view(points, shape)
    return Simulation(
        **recording._asdict(),
        points=points[seen].astype(np.float32),
        labels=labels[seen],
        names=("dim", "bright"),
        occupied=peaks[labels[seen]] > 0,
        u=right - up,
        v=right + up,
        pixel_size_nm=None,
    )


@documents_exposure("an atom")
def stm_lattice(
    shape: tuple[int, int] = (512, 512),
    *,
    lattice_constant: float = 16.0,
    angle: float = 0.0,
    sigma: float = 0.3,
    isolated: int = 12,
    clusters: int = 6,
    chains: int = 8,
    gaussian: float = 0.1,
    scan: float = 0.0,
    seed: int = 0,
) -> DefectSimulation:
    """Simulate a tunnelling micrograph of a triangular lattice with vacancies, of the kind of Fig. S28.

    Every atom of the surface (Te of PtTe2) is a bump and every vacancy a missing one. Vacancies are
    isolated, in compact clusters of three, or in straight chains of two to six along a lattice vector;
    between two defects there is always an atom.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns, px.
    lattice_constant : float
        Distance of nearest atoms, px.
    angle : float
        Direction of the first lattice vector, degrees counter-clockwise from +col.
    sigma : float
        Standard deviation of a bump, in lattice constants.
    isolated, clusters, chains : int
        Numbers of defects.
    {exposure}

    Returns
    -------
    DefectSimulation
        Its names are ``Te``, ``isolated``, ``cluster`` and ``chain``; the length of a chain is how often its
        number occurs in `defect`. All defects lie in view.

    Raises
    ------
    StageError
        If a number is out of range, or the defects find no room.

    Examples
    --------
    A surface with four isolated vacancies, one cluster of three and one chain:

    >>> import numpy as np
    >>> from motifgpu import simulate
    >>> made = simulate.stm_lattice(shape=(256, 256), isolated=4, clusters=1, chains=1)
    >>> for name in ("isolated", "cluster", "chain"):
    ...     vacancies = made.labels == made.names.index(name)
    ...     print(name, len(np.unique(made.defect[vacancies])))
    isolated 4
    cluster 1
    chain 1
    """
    exposure = Exposure(gaussian=gaussian, scan=scan)
    shape = checks.image_shape(shape)
    a = checks.positive(lattice_constant, "lattice_constant")
    width = checks.positive(sigma, "sigma") * a
    wanted = [
        check_integer(number, "simulate", name, 0)
        for name, number in (("isolated", isolated), ("clusters", clusters), ("chains", chains))
    ]
    rng = np.random.default_rng(seed)
    u, v = lattice.hexagonal_vectors(a, angle)
    # Wide enough that a defect which starts in view does not leave the grid.
    i, j = lattice.covering_indices(u, v, lattice.half_diagonal(shape) + 5 * width + (_LONGEST + 1) * a)
    shift = rng.uniform(0, 1, 2)
    places = (i + shift[0])[..., None] * u + (j + shift[1])[..., None] * v + lattice.image_centre(shape)
    inside = ((places >= -0.5) & (places < np.array(shape) - 0.5)).all(-1)
    labels, defect = _vacancies(inside, wanted, rng)

    points, labels, defect = places.reshape(-1, 2), labels.reshape(-1), defect.reshape(-1)
    heights = (labels == 0).astype(np.float64)
    recording = exposure.record(shape, points, heights, width, rng)
    seen = lattice.in_view(points, shape)
    return DefectSimulation(
        **recording._asdict(),
        points=points[seen].astype(np.float32),
        labels=labels[seen],
        names=("Te", "isolated", "cluster", "chain"),
        occupied=labels[seen] == 0,
        u=u,
        v=v,
        pixel_size_nm=None,
        defect=defect[seen],
    )


def _vacancies(
    inside: np.ndarray, wanted: list[int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Place defects on the sites of a grid that are `inside`: (I, J) labels and numbers of the defects."""
    labels = np.zeros(inside.shape, np.int32)
    defect = np.full(inside.shape, -1, np.int32)
    free = inside.copy()
    starts = np.argwhere(inside)
    total = int(np.sum(wanted))
    if len(starts) == 0 and total:
        raise checks.problem("no site of the lattice is in view", "give a larger shape")
    number = 0
    # Large defects first, while there is room.
    for label in (3, 2, 1):
        for _ in range(wanted[label - 1]):
            for _ in range(_TRIES):
                turn = rng.integers(6)
                length = rng.integers(2, _LONGEST + 1) if label == 3 else label
                sites = starts[rng.integers(len(starts))] + np.arange(length)[:, None] * _STEPS[turn]
                if label == 2:
                    sites = np.vstack([sites, sites[0] + _STEPS[(turn + 1) % 6]])
                if free[tuple(sites.T)].all():
                    break
            else:
                raise checks.problem(
                    f"{total} defects do not fit {len(starts)} sites in view", "ask for fewer of them"
                )
            labels[tuple(sites.T)], defect[tuple(sites.T)] = label, number
            free[tuple(sites.T)] = False
            for step in _STEPS:
                free[tuple((sites + step).T)] = False
            number += 1
    return labels, defect
