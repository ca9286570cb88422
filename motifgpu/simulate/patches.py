"""The n-fold blob patches of the paper's Table S3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from motifgpu.core.checks import check_integer
from motifgpu.simulate import checks
from motifgpu.simulate.exposure import Exposure, documents_exposure
from motifgpu.simulate.noise import scan_jitter
from motifgpu.simulate.render import add_columns
from motifgpu.simulate.truth import PatchSimulation


@documents_exposure("a Gaussian of height 1")
def patches(
    sizes: Sequence[int] = (500, 500),
    *,
    folds: int | Sequence[int] = 3,
    centers: Sequence[float] = (1.0, 0.8),
    size: int = 128,
    distance: float = 32.0,
    sigma: float = 7.0,
    rotation: bool = False,
    counts: float | None = None,
    gaussian: float = 0.0,
    scan: float = 0.0,
    seed: int = 0,
) -> PatchSimulation:
    """Simulate the n-fold blob patches of the paper's Table S3.

    A patch is one central Gaussian and n around it, all of one width; classes differ in the height of the
    central one, or in n.

    Parameters
    ----------
    sizes : sequence of int
        Number of patches in each class.
    folds : int or sequence of int
        n, for all classes or for each.
    centers : sequence of float
        Height of the central Gaussian in each class; the others have height 1.
    size : int
        Side of a patch, px.
    distance : float
        Distance of the neighbouring Gaussians from the centre, px.
    sigma : float
        Standard deviation of the Gaussians, px.
    rotation : bool
        Turn every patch by a random angle.
    {exposure}

    Returns
    -------
    PatchSimulation
        Patches in class order, (sum(sizes), size, size).

    Raises
    ------
    StageError
        If `centers` or `folds` has another length than `sizes`, or a number is out of range.

    Examples
    --------
    Three patches with four columns around a central one and two with six:

    >>> from motifgpu import simulate
    >>> made = simulate.patches((3, 2), folds=(4, 6), size=64, distance=16, sigma=4)
    >>> made.patches.shape
    (5, 64, 64)
    >>> made.labels.tolist()
    [0, 0, 0, 1, 1]
    """
    each = list(folds) if isinstance(folds, Iterable) else [folds] * len(sizes)
    if len(centers) != len(sizes) or len(each) != len(sizes):
        raise checks.problem(
            f"{len(sizes)} class sizes, {len(centers)} centers, {len(each)} folds",
            "give one of each for every class",
        )
    sizes = [check_integer(count, "simulate", "a class size", 0) for count in sizes]
    each = [check_integer(n, "simulate", "folds", 0) for n in each]
    size = check_integer(size, "simulate", "size", 1)
    sigma = checks.positive(sigma, "sigma")
    exposure = Exposure(counts, gaussian=gaussian, scan=scan)

    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    result = np.empty((len(labels), size, size), np.float32)
    middle = (size - 1) / 2
    shared: dict[int, np.ndarray] = {}
    for index, label in enumerate(map(int, labels)):
        if rotation or scan or label not in shared:
            turn = rng.uniform(0, 2 * np.pi) if rotation else 0.0
            angle = turn + 2 * np.pi * np.arange(each[label]) / each[label]
            ring = middle + distance * np.stack([-np.sin(angle), np.cos(angle)], axis=1)
            points = np.vstack([[middle, middle], ring])
            heights = exposure.peak * np.array([centers[label], *[1.0] * each[label]])
            jitter = scan_jitter(size, scan, rng)
            shared[label] = add_columns((size, size), points, heights, sigma, jitter)
        result[index] = exposure.detect(shared[label], rng)
    return PatchSimulation(result, labels)
