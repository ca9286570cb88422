"""The places that a lattice predicts: sites of its average, thinned and completed by its translations.

A site of the average is compared with the sites around it. Those whose surroundings look alike are a lattice
translation apart, in their own grain and with its strain. Every translation from a site to a place where
nothing was taken for a site is a vote for one there; a faint site that its equivalents do not support is
noise. No lattice has to be indexed, and any number of grains may be in the image.

Runs on the host, on two numbers a site and eight that tell the average around it from that around others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from motifgpu.columns.filtered import LEAST_SPACING, FilteredImage
from motifgpu.columns.refine import Peaks
from motifgpu.columns.spacing import disc_of
from motifgpu.core import namespace
from motifgpu.core.cached import cached_property
from motifgpu.core.namespace import Array
from motifgpu.core.on_points import sampled
from motifgpu.cpu.spacing import Nearest

# Reach of the translations that are used and of the surroundings that are compared, in periods of the first
# ring: two lattice constants, and the nearest columns.
_REACH, _SURROUNDINGS = 2.2, 1.1
_SAMPLES = 9  # along a diameter
_COMPONENTS = 8  # that tell surroundings from others
_PAIRS = 1 << 14  # that are compared at once
_STEP = 4  # px of the grid at which it is known where there is a lattice
# Places this far beyond the image, px of the grid, are predicted: their columns are fitted by their rims.
BEYOND = 1.5
# Two sites are equivalent where the difference of their surroundings is below this share of their contrast.
_ALIKE = 0.45
# The same for columns on both sides of an empty site, which spoils the average around.
_EQUAL = 0.62
# A place is where translations meet within this distance, px of the grid.
_TOLERANCE = 1.25
# Least votes for a place where there is no site; least share of those it could have, for a faint site to be
# kept and for a place to be added: at a straight edge of what is there, a third of the translations meet.
_VOTES, _SUPPORT, _SUPPORT_ADDED = 2, 0.5, 0.3
_ROUNDS = 12
_FEW = 6  # equivalents of which a mean is taken, at least
# Upper quartile less the median of values with noise, and the error of a median over that of a mean; with
# some allowance.
_SPREAD, _OF_MEDIAN = 1.5, 1.25
# Two columns that the average shows as one: ends of translations meet beside the site, at least the first and
# at most `LEAST_SPACING` from it, in groups of the second radius, at least the third apart; px of the grid.
_BESIDE, _GROUP, _PARTED = 0.6, 0.8, 1.8
_REFERENCES = 8  # sites nearest to a place, of which the one with most equivalents gives the translations


@dataclass(frozen=True, eq=False)
class Places:
    """Places of a lattice.

    Attributes
    ----------
    points : (n, 2) float64 ndarray
        Px of the grid.
    links : (n, n) sparse array
        1 where two places are a lattice translation apart.
    surroundings : _Surroundings
        What the lattice average shows around them.
    """

    points: np.ndarray
    links: sparse.csr_array
    surroundings: _Surroundings

    def select(self, mask: np.ndarray) -> Places:
        """Return the places where `mask` (n,) is True."""
        index = np.flatnonzero(mask)
        return Places(self.points[index], self.links[index][:, index], self.surroundings)

    @cached_property
    def kind(self) -> np.ndarray:
        """Number (n,) of the kind of each place: those that translations link."""
        number: np.ndarray = sparse.csgraph.connected_components(self.links, directed=False)[1]
        return number.astype(np.int64)

    @cached_property
    def _near(self) -> sparse.csr_array:
        """1 where two places are at most two translations apart, each with itself: (n, n)."""
        near = (self.links + sparse.eye_array(len(self.points))).tocsr()
        near = near @ near  # one product, since sums need room for both of what they add
        near.sort_indices()
        near.data[:] = 1.0
        return near

    def mean_around(self, values: np.ndarray, single: np.ndarray) -> np.ndarray:
        """Return the mean (n,) of each place and its equivalents, up to two translations away.

        Parameters
        ----------
        values : (n,) ndarray
        single : (n,) ndarray
            What is returned where there are too few equivalents for a mean.
        """
        number = self._near.sum(axis=1)
        mean: np.ndarray = np.where(number >= _FEW, (self._near @ values) / number, single)
        return mean

    def share_around(self, members: np.ndarray) -> np.ndarray:
        """Return the share (n,) of equivalents of each, up to two translations away, that are members."""
        others = self._near.sum(axis=1) - 1
        share: np.ndarray = (self._near @ members.astype(np.float64) - members) / np.maximum(others, 1)
        return share

    def mean_of_kind(self, values: np.ndarray) -> np.ndarray:
        """Return the mean (n,) of all places of the kind of each."""
        mean: np.ndarray = (np.bincount(self.kind, values) / np.bincount(self.kind))[self.kind]
        return mean

    def usual(self, values: np.ndarray, errors: np.ndarray | None = None) -> np.ndarray:
        """Return what is usual (n,) at each, by its equivalents up to two translations away.

        It is their median, and the upper quartile where about half of them are far lower, as if vacant.
        As far as its error explains that it differs from place to place, it is what all of a kind have.

        Parameters
        ----------
        values : (n,) ndarray
        errors : (n,) ndarray, optional
            Their standard errors.
        """
        near, place = self._near, np.arange(len(values))
        number = np.diff(near.indptr)
        table = np.full((len(values), int(number.max(initial=1))), np.nan)
        owner = np.repeat(place, number)
        table[owner, np.arange(owner.size) - near.indptr[owner]] = values[near.indices]
        table.sort(axis=1)  # what is no neighbour comes last
        median, high = (table[place, (q * (number - 1)).astype(np.int64)] for q in (0.5, 0.75))
        error = np.zeros(len(values)) if errors is None else errors
        usual: np.ndarray = np.where(median >= np.minimum(0.5 * high, high - _SPREAD * error), median, high)
        if errors is None:
            return usual
        variance = (_OF_MEDIAN * errors) ** 2 / number
        mean = self.mean_of_kind(usual)
        own = np.maximum(self.mean_of_kind((usual - mean) ** 2 - variance), 0.0)
        shrunk: np.ndarray = mean + (usual - mean) * own / np.maximum(own + variance, 1e-30)
        return shrunk

    def between_equals(self, held: np.ndarray) -> np.ndarray:
        """Return which share (n,) of the pairs of opposite equivalents of each place hold equal columns.

        Around a vacancy, and a row of them, nearly all do; where a grain ends, whatever is beyond, few. It is
        1 for places that are held.

        Parameters
        ----------
        held : (n,) bool ndarray
            Which places hold a column.
        """
        vacant = np.flatnonzero(~held)
        around = self.links[vacant].tocoo()
        owner, there = around.row, around.col
        away = self.points[there] - self.points[vacant[owner]]
        # The opposite of each is nearest to where it should be; an error of the place counts twice there.
        wanted = self.points[vacant[owner]] - away
        distance, opposite = cKDTree(self.points).query(wanted, distance_upper_bound=2 * _TOLERANCE)
        paired = np.isfinite(distance)
        owner, there, opposite = owner[paired], there[paired], opposite[paired]
        equal = self.surroundings.alike(self.points, there, opposite, _EQUAL) & (held[there] | held[opposite])
        number = np.bincount(owner, minlength=len(vacant))
        share = np.ones(len(held))
        share[vacant] = np.bincount(owner, equal, len(vacant)) / np.maximum(number, 1)
        return share


def lattice_places(
    image: FilteredImage, average: Array, sites: Peaks, sure: np.ndarray, described: Array
) -> Places:
    """Thin and complete the sites of the lattice average.

    Parameters
    ----------
    image : FilteredImage
    average : (h, w) array
        Its lattice average.
    sites : Peaks
        The m sites of that, faint ones included.
    sure : (m,) bool ndarray
        Which of them stay whatever their equivalents are.
    described : (h, w) bool array
        Where the average describes the image; places are predicted there alone.
    """
    points, fixed = sites.points.astype(np.float64), sure
    area = _Area.of(image, described)
    period = 1 / (image.lowest * (image.band.scale[0] * image.band.scale[1]) ** 0.5)
    surroundings = _Surroundings(average, sites.points, _SURROUNDINGS * period)
    steps = _Translations(surroundings, points, period)
    ends, owner = steps.ends(points)
    links = _linked(points, ends, owner)
    possible = np.bincount(owner, area.holds(ends), minlength=len(points))
    kept = fixed | (_share(links, np.ones(len(points)), possible) >= _SUPPORT)
    kept = fixed | (_share(links, kept, possible) >= _SUPPORT)
    places = _parted(steps, points[kept], ends[kept[owner]], area)
    ends, owner = steps.ends(places)
    alone = ends[Nearest(places).to(ends)[0] > _TOLERANCE]
    for _ in range(_ROUNDS):
        added = steps.agreed(alone, area, _SUPPORT_ADDED, _TOLERANCE)
        if len(added):
            added = added[cKDTree(places).query(added)[0] >= LEAST_SPACING]
        if not len(added):
            break
        more, whose = steps.ends(added)
        ends, owner = np.concatenate([ends, more]), np.concatenate([owner, whose + len(places)])
        places = np.concatenate([places, added])
        alone = np.concatenate([alone, more])
        alone = alone[Nearest(places).to(alone)[0] > _TOLERANCE]
    return Places(places, _linked(places, ends, owner), surroundings)


def _parted(steps: _Translations, places: np.ndarray, ends: np.ndarray, area: _Area) -> np.ndarray:
    """Replace sites that are two columns by these."""
    alone = Nearest(places).to(ends)[0] > _BESIDE
    halves = steps.agreed(ends[alone], area, _SUPPORT, _GROUP)
    if not len(halves):
        return places
    distance, owner = cKDTree(places).query(halves)
    halves, owner = halves[distance < LEAST_SPACING], owner[distance < LEAST_SPACING]
    if len(halves) < 2:
        return places
    first, second = cKDTree(halves).query_pairs(2 * LEAST_SPACING, output_type="ndarray").T
    parted = np.linalg.norm(halves[first] - halves[second], axis=1) >= _PARTED
    pairs = (owner[first] == owner[second]) & parted
    first, second = first[pairs], second[pairs]
    once = np.unique(owner[first], return_index=True)[1]
    both = np.concatenate([halves[first[once]], halves[second[once]]])
    whole = np.ones(len(places), dtype=bool)
    whole[owner[first[once]]] = False
    result: np.ndarray = np.concatenate([places[whole], both])
    return result


def _linked(places: np.ndarray, ends: np.ndarray, owner: np.ndarray) -> sparse.csr_array:
    """Link places that a translation leads from one to another."""
    distance, number = Nearest(places).to(ends)
    met = distance <= _TOLERANCE
    shape = (len(places), len(places))
    pairs = owner[met].astype(np.int32), number[met].astype(np.int32)
    links = sparse.csr_array((np.ones(met.sum()), pairs), shape=shape)
    return links.maximum(links.T)


def _share(links: sparse.csr_array, members: np.ndarray, possible: np.ndarray) -> np.ndarray:
    """Return which share of the translations that are possible lead to a member, for each place."""
    share: np.ndarray = (links @ members.astype(np.float64)) / np.maximum(possible, _VOTES)
    return share


class _Translations:
    """The lattice translations around every site."""

    def __init__(self, surroundings: _Surroundings, points: np.ndarray, period: float) -> None:
        self._tree = cKDTree(points)
        first, second = self._tree.query_pairs(_REACH * period, output_type="ndarray").T
        alike = surroundings.alike(points, first, second, _ALIKE)
        first, second = first[alike], second[alike]
        order = np.argsort(np.concatenate([first, second]), kind="stable")
        self._from = np.concatenate([first, second])[order]
        to = np.concatenate([second, first])[order]
        self._step = points[to] - points[self._from]
        self._number = np.bincount(self._from, minlength=len(points))
        self._begin = np.cumsum(self._number) - self._number

    def ends(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return where translations lead (m, 2) from places, and the place (m,) that each starts from."""
        count = min(_REFERENCES, self._tree.n)
        near = self._tree.query(places, np.arange(1, count + 1))[1]
        best = near[np.arange(len(places)), self._number[near].argmax(axis=1)]
        number = self._number[best]
        owner = np.repeat(np.arange(len(places)), number)
        place = np.arange(owner.size) - np.repeat(np.cumsum(number) - number, number)
        return places[owner] + self._step[np.repeat(self._begin[best], number) + place], owner

    def agreed(self, ends: np.ndarray, area: _Area, support: float, tolerance: float) -> np.ndarray:
        """Return the places (k, 2) in the area at which enough ends of translations meet."""
        ends = ends[area.holds(ends)]
        if not len(ends):
            return ends
        pairs = cKDTree(ends).query_pairs(tolerance, output_type="ndarray")
        graph = sparse.coo_array((np.ones(len(pairs)), pairs.T), shape=(len(ends), len(ends)))
        count, group = sparse.csgraph.connected_components(graph, directed=False)
        votes = np.bincount(group, minlength=count)
        middle = np.stack([np.bincount(group, ends[:, axis], count) / votes for axis in (0, 1)], axis=1)
        middle, votes = middle[votes >= _VOTES], votes[votes >= _VOTES]
        further, owner = self.ends(middle)
        possible = np.bincount(owner, area.holds(further), minlength=len(middle))
        agreed: np.ndarray = middle[votes >= support * possible]
        return agreed


@dataclass(frozen=True, eq=False)
class _Area:
    """Where a lattice average describes an image.

    Attributes
    ----------
    low, high : (2,) ndarray
        Limits of the image, a little beyond it, px of the grid.
    described : (h // 4, w // 4) bool ndarray
        Every fourth pixel of the grid along rows and columns: it changes over the reach of the average alone.
    """

    low: np.ndarray
    high: np.ndarray
    described: np.ndarray

    @classmethod
    def of(cls, image: FilteredImage, described: Array) -> _Area:
        """Bring to the host what has to be known of the area that `described` (h, w) is True on."""
        scale, pad = np.array(image.band.scale), np.array(image.band.pad)
        low, high = (pad - 1) / scale - BEYOND, (pad + np.array(image.band.shape)) / scale + BEYOND
        return cls(low, high, namespace.to_numpy(described[::_STEP, ::_STEP]))

    def holds(self, points: np.ndarray) -> np.ndarray:
        """Say which points (n, 2) are in it: (n,) bool."""
        inside = ((points > self.low) & (points < self.high)).all(axis=1)
        limit = np.array(self.described.shape) - 1
        row, col = np.clip(np.round(points / _STEP).astype(np.int64), 0, limit).T
        held: np.ndarray = inside & self.described[row, col]
        return held


class _Surroundings:
    """What a lattice average shows around places, as a few numbers each.

    These are the components of most power; what is left is noise, most of it.
    """

    def __init__(self, average: Array, sites: np.ndarray, radius: float) -> None:
        xp = namespace.array_namespace(average)
        self._average = average
        self._around = disc_of(np.linspace(-radius, radius, _SAMPLES)).astype(sites.dtype)
        seen = self._seen(sites)
        self._main = xp.linalg.eigh(xp.matrix_transpose(seen) @ seen)[1][:, -_COMPONENTS:]

    def _seen(self, points: np.ndarray) -> Array:
        """Sample the average around points (n, 2), less its mean there: (n, m)."""
        seen = sampled(self._average, points, self._around)
        return seen - namespace.array_namespace(seen).mean(seen, axis=1, keepdims=True)

    def alike(self, points: np.ndarray, first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
        """Say of which pairs of points the surroundings differ by less than a share of their contrast."""
        used = np.zeros(len(points), dtype=bool)
        used[first] = used[second] = True
        place = np.cumsum(used) - 1
        first, second = place[first], place[second]
        seen = self._seen(points[used].astype(self._around.dtype)) @ self._main
        main = namespace.to_numpy(seen).astype(np.float64)
        contrast = (main**2).sum(axis=1)
        found = np.empty(len(first), dtype=bool)
        for begin in range(0, len(first), _PAIRS):
            part = slice(begin, begin + _PAIRS)
            one, other = first[part], second[part]
            apart = ((main[one] - main[other]) ** 2).sum(axis=1)
            found[part] = apart < share**2 * np.maximum(contrast[one], contrast[other])
        return found
