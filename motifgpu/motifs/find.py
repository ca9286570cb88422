"""Motifs: what column each one is, in which domain, and in what environment.

The *identity* of a column says what stands there: on a dichalcogenide a metal atom, a dopant, a chalcogen
pair, a vacancy. Its *domain* is the grain, the side of a twin boundary, the stacking or the phase that it is
in, or none where it stands at a boundary between them. Its *environment* says in addition what its neighbours
are, each in its direction. The *label* combines identity and domain as far as they differ in a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, from_numpy, to_numpy
from motifgpu.core.shown import notebook_table, one_line
from motifgpu.core.text import counted
from motifgpu.features.zernike import checked_moments
from motifgpu.motifs.averages import mean_rows
from motifgpu.motifs.environments import by_neighbors
from motifgpu.motifs.in_domains import Answer, what_stands_where
from motifgpu.motifs.layout_clusters import METHODS as LAYOUT_METHODS
from motifgpu.motifs.layout_clusters import layout_regions
from motifgpu.motifs.moment_mixture import by_mixture
from motifgpu.motifs.numbering import numbered
from motifgpu.motifs.sublattices import Sublattices

IDENTITIES = ("columns", "mixture", *LAYOUT_METHODS)
ENVIRONMENTS = ("neighbors", "regions", "hdbscan")


@dataclass(frozen=True, eq=False)
class Motifs:
    """The motif of every column, for N columns and c motifs.

    Attributes
    ----------
    labels : (N,) int32 array
        Motif: the identity in samples of one domain, otherwise identity and domain together, with one motif
        of all columns at boundaries. 0 is the largest class, ties by first index; -1 unassigned.
    environments : (N,) int32 array
        A finer partition, each environment inside one motif; ordered likewise, -1 unassigned.
    counts : (c,) int64 array
        Columns of each motif.
    means : (c, n_moments) array
        Mean moments of each motif.
    confidence : (N,) array
        Probability of the label: that of the identity times that of the domain; 1 for clusters of the layout,
        and 0 where unassigned.
    identities : (N,) int32 array
        What stands in the centre, wherever it is; ordered likewise, -1 unassigned.
    domains : (N,) int32 array
        Grain, side of a twin boundary, stacking or phase; ordered likewise, -1 for columns at a boundary.
    identity_confidence : (N,) array
        Posterior probability of the identity among those of the column's sublattice, or of the mixture. It
        does not allow for a class that was not found: of simulated columns with 0.9, about nine in ten are
        right where the image shows its classes (MoSe2 from 1 count at the peaks on), and fewer where noise
        hides one of them.
    domain_confidence : (N,) array
        Probability of the domain given its neighbours', or that the column is at a boundary.
    environment_confidence : (N,) array
        Probability of the environment, that of the label included.
    notes : tuple of str
        What was a close choice, and how the alternative is had.
    names : tuple of str
        Of the motifs, where a dictionary or a person gave them names; empty for those without.

    Examples
    --------
    How sure are the labels, and which motifs have several environments? Molybdenum stands beside vacancies or
    not; selenium and vacancies have molybdenum around them only:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
    >>> motifs = motifgpu.find_motifs(motifgpu.zernike_moments(patches))
    >>> bool(motifs.confidence.min() > 0.9)
    True
    >>> [len(set(motifs.environments[motifs.labels == motif].tolist())) > 1 for motif in range(3)]
    [True, False, False]
    """

    labels: Array
    environments: Array
    counts: Array
    means: Array
    confidence: Array
    identities: Array
    domains: Array
    identity_confidence: Array
    domain_confidence: Array
    environment_confidence: Array
    notes: tuple[str, ...]
    names: tuple[str, ...] = ()

    __repr__ = one_line

    def on_device_of(self, like: Array) -> Motifs:
        """Return motifs that are on the host in the namespace and on the device of `like`."""
        if isinstance(like, np.ndarray):
            return self
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        arrays: dict[str, Any] = {
            n: from_numpy(x, like) for n, x in held.items() if isinstance(x, np.ndarray)
        }
        return replace(self, **arrays)

    def name(self, label: int) -> str:
        """Return what a motif is called: its name, or its number where it has none.

        Examples
        --------
        Motifs have numbers until someone names them:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> patches, _ = motifgpu.extract_patches(made.image, made.points, 28)
        >>> motifgpu.find_motifs(motifgpu.zernike_moments(patches)).name(1)
        'motif 1'
        """
        if label < 0:
            return "unassigned"
        return (self.names[label] if label < len(self.names) else "") or f"motif {label}"

    def _repr_html_(self) -> str:
        labels, environments = to_numpy(self.labels), to_numpy(self.environments)
        confidence = to_numpy(self.confidence)
        rows = []
        for motif, count in enumerate(to_numpy(self.counts).tolist()):
            if not count:
                continue
            member = labels == motif
            kinds = len(np.unique(environments[member & (environments >= 0)]))
            called = self.name(motif) if any(self.names) else motif
            rows.append((called, count, count / len(labels), kinds, confidence[member].mean()))
        head = ("motif", "columns", "fraction", "environments", "mean confidence")
        return notebook_table(
            f"{counted(len(rows), 'motif')} of {counted(len(labels), 'column')}", head, rows
        )


def find_motifs(
    moments: Array,
    layout: Array | None = None,
    *,
    points: Array | None = None,
    method: str = "columns",
    environments: str = "neighbors",
    n_motifs: int | None = None,
    min_size: int = 3,
) -> Motifs:
    """Label columns by identity, domain and environment; the number of classes is found from the data.

    Parameters
    ----------
    moments : (N, n_moments) array
        Zernike moments of patches of the paper's size, 2/f0, which hold the column and its neighbours; not
        rotation-invariant, with A_00, and preferably of the raw image: a slow background is estimated in the
        gaps between columns and corrected for, and smoothing or filtering removes part of the differences
        between columns.
    layout : (N, 2) array, optional
        Force-relaxed positions. Needed by the methods that cluster the layout; and with
        ``environments="neighbors"``, sublattices in whose patches no neighbour is seen are divided by its
        regions.
    points : (N, 2) array, optional
        Positions of the columns as (row, col), px. With them, and the method ``"columns"``, domains are found
        and uneven background and brightness are corrected for; without them all is one domain.
    method : {"columns", "mixture", "regions", "hdbscan", "kmeans"}
        How motifs are found.

        ``"columns"``
            Columns are divided by the pattern of their patches into sublattices, and each sublattice by the
            intensity in the middle of the patch into the number of classes with the best integrated completed
            likelihood; a class is a Gaussian, or several where it has a tail
            (`motifgpu.motifs.mixture.fit_classes`). Where one sublattice is a rotated copy of another, their
            classes of equal intensity and, after rotation, equal mean patch are merged: orientation is not
            part of the identity.
        ``"mixture"``
            The same kind of mixture, on the first four principal components of the moments. For moments of
            patches of 0.8 lattice constants, or features that are not moments.
        ``"regions"``, ``"hdbscan"``, ``"kmeans"``
            Clusters of the layout, see `motifgpu.motifs.layout_clusters`; k-means needs `n_motifs`.
    environments : {"neighbors", "regions", "hdbscan"}
        How identities are divided further: by the classes of the intensities where the mean patch of the
        sublattice shows its neighbours, or by clusters of the layout. Neighbours are distinguished by
        direction in the image, so a rotated crystal has different environments.
    n_motifs : int, optional
        Number of identities; found when not given. Not for ``"regions"`` and
        ``"hdbscan"``.
    min_size : int
        Smallest number of columns of a motif; columns of smaller classes are unassigned. Without effect where
        `n_motifs` is given.

    Returns
    -------
    Motifs
        Arrays in the namespace and on the device of `moments`.

    Raises
    ------
    StageError
        If the moments are empty, not finite, or, for the methods that read patches, not those of a whole
        order; the layout is missing where needed or not (N, 2); a method is unknown; or `n_motifs` is more
        than there are columns, fewer than there are sublattices, or cannot be reached.

    Notes
    -----
    Runs on the host: of a column there are its moments, and two numbers of its place and of its layout. The
    order of the rows affects the order of labels of equal size, and rounding.

    Examples
    --------
    Three motifs are found without being told how many there are: molybdenum, selenium and vacancies:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    >>> patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
    >>> motifs = motifgpu.find_motifs(motifgpu.zernike_moments(patches))
    >>> len(motifs.counts)
    3
    >>> float((motifs.labels == made.labels[inside]).mean())
    1.0
    """
    _, given = check_array(moments, "motifs", "moments", 2)
    moments = to_numpy(given)
    number = moments.shape[0]
    if number == 0:
        raise StageError("motifs", "there are 0 columns", "give the moments of at least one")
    for name, choice, known in (
        ("method", method, IDENTITIES),
        ("environments", environments, ENVIRONMENTS),
    ):
        if choice not in known:
            raise StageError("motifs", f"{name} is {choice!r}", f"choose one of {', '.join(known)}")
    min_size = check_integer(min_size, "motifs", "min_size", 1)
    if n_motifs is not None:
        n_motifs = check_integer(n_motifs, "motifs", "n_motifs", 1)
        if n_motifs > number:
            raise StageError(
                "motifs",
                f"n_motifs is {n_motifs} and there are {number} columns",
                "give n_motifs of at most the number of columns, or leave it out",
            )
        if method in ("regions", "hdbscan"):
            raise StageError(
                "motifs",
                f"n_motifs is {n_motifs} and the method {method!r} finds the number itself",
                "leave n_motifs out or choose columns, mixture or kmeans",
            )
    elif method == "kmeans":
        raise StageError("motifs", "n_motifs is None", "give n_motifs, or choose the method columns")
    host_layout = _checked_layout(layout, number, method, environments)

    host_points = _checked_pairs(points, number, "points")
    others: list[int] = []

    if method == "columns":
        identities, domains, around, others = what_stands_where(
            moments, _checked_order(moments), host_points, host_layout, min_size, n_motifs
        )
        # A number of motifs that was asked for is one of identities.
        several = n_motifs is None and bool((domains.labels != 0).any())
        labels = identities.labels
        if several:
            combined = 1 + labels.astype(np.int64) * (domains.labels.max() + 1) + domains.labels
            labels = np.where(labels >= 0, np.where(domains.labels >= 0, combined, 0), -1)
        alone = np.where(domains.labels >= 0, identities.confidence, 1.0)
        confidence = alone * domains.confidence if several else identities.confidence
    else:
        if method == "mixture":
            labels, confidence = by_mixture(moments, n_motifs)
        else:
            assert host_layout is not None
            labels = layout_regions(host_layout, method, n_motifs)
            confidence = (labels >= 0).astype(np.float64)
        labels = numbered(labels, min_size if n_motifs is None else 1)
        identities = Answer(labels, np.where(labels >= 0, confidence, 0.0))
        domains = Answer(np.zeros_like(labels), np.ones(number))
    labels = numbered(labels, min_size if n_motifs is None else 1)
    confidence = np.where(labels >= 0, confidence, 0.0)

    if environments != "neighbors":
        assert host_layout is not None
        regions = layout_regions(host_layout, environments)
        around = Answer(regions, (regions >= 0) * confidence)
    elif method != "columns":
        sublattices = Sublattices(moments, _checked_order(moments), min_size)
        around = Answer(*by_neighbors(sublattices, host_layout))
    assigned = (labels >= 0) & (around.labels >= 0)
    finer = np.where(assigned, labels.astype(np.int64) * (around.labels.max() + 1) + around.labels, -1)

    counts = np.bincount(labels[labels >= 0])
    found = Motifs(
        labels=labels,
        environments=numbered(finer, 1),
        counts=counts,
        means=mean_rows(moments, labels, counts),
        confidence=confidence.astype(moments.dtype),
        identities=identities.labels,
        domains=domains.labels,
        identity_confidence=identities.confidence.astype(moments.dtype),
        domain_confidence=domains.confidence.astype(moments.dtype),
        environment_confidence=np.where(assigned, around.confidence, 0.0).astype(moments.dtype),
        notes=_notes(int(identities.labels.max()) + 1, others),
    )
    return found.on_device_of(given)


def _notes(number: int, others: list[int]) -> tuple[str, ...]:
    """Return the sentence on numbers of identities, so many more, that are as likely as the one found."""
    numbers = [number + more for more in others if number + more > 0]
    if not numbers:
        return ()
    many = " or ".join(map(str, numbers))
    are, them = ("identity is", "it") if numbers == [1] else ("identities are", "them")
    return (f"{many} {are} nearly as likely as {number}; n_motifs={numbers[0]} shows {them}",)


def _checked_layout(layout: Any, number: int, method: str, environments: str) -> np.ndarray | None:
    """Return the layout on the host, None where there is none and none is needed."""
    if layout is None:
        needs = [choice for choice in (method, environments) if choice in LAYOUT_METHODS]
        if needs:
            raise StageError(
                "motifs", f"layout is None and {needs[0]!r} clusters it", "give the layout of relax"
            )
        return None
    return _checked_pairs(layout, number, "layout")


def _checked_pairs(pairs: Any, number: int, name: str) -> np.ndarray | None:
    """Return an (N, 2) array on the host, None where there is none."""
    if pairs is None:
        return None
    _, pairs = check_array(pairs, "motifs", name, 2)
    if tuple(pairs.shape) != (number, 2):
        raise StageError(
            "motifs",
            f"{name} has shape {tuple(pairs.shape)} and there are {number} columns",
            f"give one of shape ({number}, 2)",
        )
    return to_numpy(pairs)


def _checked_order(moments: Array) -> int:
    """Return the order of moments that patches can be rebuilt from."""
    remedy = 'give the moments themselves, or choose method="mixture" and environments="regions"'
    try:
        xp, moments, order = checked_moments(moments)
    except StageError as error:
        problem = f"moments have shape {tuple(moments.shape)}, no whole order, so no patch can be rebuilt"
        raise StageError("motifs", problem, remedy) from error
    # Invariants of order 10 are as many as moments of order 7; their signs distinguish them.
    if order and bool(xp.all(moments >= 0)) and bool(xp.any(moments[:, 1:] > 0)):
        raise StageError("motifs", "no moment is negative, as if they were rotation invariants", remedy)
    return order
