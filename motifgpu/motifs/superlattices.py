"""Kinds of columns that take turns on what looks like one sublattice.

Where two kinds of columns differ little, as Ba and Ti in bright field or the two coppers of a cuprate, their
patches have nearly one pattern, and noise is more than the difference. They are told apart by their places:
the patches of columns a lattice translation apart are then alike or unlike, depending on the translation.
Translations are compared that are longer than a patch is wide, so that no two patches share a pixel or a
defect. Where patterns do not say it, the brightness of the columns alone may: of a superlattice it has a
Bragg peak at half or a third of the lattice of all columns.

Runs on the host, on a few numbers per column.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from motifgpu.cpu.spacing import Nearest
from motifgpu.features.windows import gaps, window
from motifgpu.motifs.regions import SMALLEST, gap, separated, valley

_AXES = 8  # principal components of the patterns that are compared
_SHORTEST, _LONGEST = 1.7, 4.0  # translations, in the distance of the eighth neighbour; patches are 1.6 wide
_COMMON, _MOST = 0.3, 24  # least share of the columns that a translation takes onto others, and most of them
_SAME = 0.2  # distance of displacements that are one translation, in that of nearest columns
_NEAR = 7  # columns over which it is averaged how much they take turns
# Sublattices nearer than so many standard deviations of what they look like are told apart by places, if that
# agrees with at least this share of what they look like and neither is below the third share of both.
_CLEAR, _AGREED, _EQUAL = 5.0, 0.8, 0.3
_SAMPLE = 400  # columns whose displacements are looked at
# Patches are unlike across a translation below this correlation along some axis, and this many times below
# that of noise; so many of all translations then are as like or half as unlike as that one.
_UNLIKE, _NOISE, _SHARE = -0.12, 5.0, 0.6
# Two kinds: their distance in standard deviations, and the density between them in that of the lower one.
_APART, _VALLEY = 4.0, 0.25
# Superlattices of brightness: reciprocal places, in the lattice of the columns, by how many standard
# deviations of noise the brightness of columns must agree with one, and how much of all correlations that
# must explain. Of a single kind with random defects at 3 and 10 counts at most 10, half of it; 12, a third,
# where a sublattice mixes two domains.
_PLACES = np.array(
    [(0, 1 / 2), (1 / 2, 0), (1 / 2, 1 / 2), (0, 1 / 3), (1 / 3, 0), (1 / 3, 1 / 3), (1 / 3, -1 / 3)]
)
_AGREEING, _EXPLAINED = 12.0, 0.6
# Tolerance of an index, and least length of a lattice vector in the distance of nearest columns.
_ON_LATTICE, _APART_ON_LATTICE = 0.25, 0.6
_BESIDE = 4  # nearest columns of a label
# Pairs of columns by which a superlattice of brightness is searched, for each column; and the least share of
# the columns of a motif that have four of another between them and the next of their own.
_PAIRS, _BETWEEN = 17, 0.7


class _Translation(NamedTuple):
    """Pairs of columns (m,) of which one is the other, moved by a step (2,)."""

    first: np.ndarray
    second: np.ndarray
    step: np.ndarray


def taking_turns(
    looks: np.ndarray, brightness: np.ndarray, points: np.ndarray, label: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Divide columns of each label that take turns with others of it.

    Parameters
    ----------
    looks : (n, k) ndarray
        What columns look like.
    brightness : (n,) ndarray
        Of each, above what is around it.
    points : (n, 2) ndarray
        Positions, px.
    label : (n,) int64 ndarray
        Sublattice of each.

    Returns
    -------
    turns : (n,) int64 ndarray
        Labels, further ones after those that there were.
    pattern : (n,) int64 ndarray
        The labels that there were, those being one that noise alone told apart.
    """
    distance = cKDTree(points).query(points, min(9, len(points)))[0]
    spacing, reach = float(np.median(distance[:, 1])), float(np.median(distance[:, -1]))

    def second(rows: np.ndarray) -> np.ndarray | None:
        found = _translations(points[rows], spacing, reach)
        if not found:
            return None
        near = cKDTree(points[rows]).query(points[rows], _NEAR)[1]
        kinds = _by_looks(looks[rows], found, near)
        return _by_brightness(brightness[rows], found, near, spacing) if kinds is None else kinds

    label, pattern = label.copy(), label.copy()
    for first, other in itertools.combinations(np.unique(label).tolist(), 2):
        rows = np.flatnonzero((label == first) | (label == other))
        if _overlap(looks[rows], label[rows] == other):
            kinds = second(rows)
            if kinds is not None:
                kinds = kinds == (np.mean(kinds == (label[rows] == other)) > 0.5)
                if np.mean(kinds == (label[rows] == other)) > _AGREED:
                    label[rows], pattern[rows] = np.where(kinds, other, first), first
    return separated(label, second), pattern


def unseen_turns(moments: np.ndarray, order: int, points: np.ndarray, label: np.ndarray) -> list[str]:
    """Say which motifs of dark columns may be two kinds that take turns and look alike.

    As A and B of a perovskite along [001], where oxygen is seen: they have four columns of another motif
    beside them, and behind these four of their own.

    Parameters
    ----------
    moments : (n, n_moments) ndarray
    order : int
        Highest radial order of the moments.
    points : (n, 2) ndarray
        Positions, px.
    label : (n,) int ndarray
        Motif of each; -1 for none.

    Returns
    -------
    list of str
        A sentence for each, with the difference of brightness from which on two kinds would be found.
    """
    found: list[str] = []
    if len(points) <= 2 * _BESIDE:
        return found
    near = label[cKDTree(points).query(points, 2 * _BESIDE + 1)[1]]
    own = near == label[:, None]
    fits = ~own[:, 1 : 1 + _BESIDE].any(axis=1) & (own[:, 1 + _BESIDE :].sum(axis=1) >= _BESIDE - 1)
    for each in np.unique(label[label >= 0]).tolist():
        members = np.flatnonzero(label == each)
        if len(members) < SMALLEST or fits[members].mean() < _BETWEEN:
            continue
        mean = moments[members].astype(np.float64).mean(axis=0)
        weights = gaps(-mean, order) - window(order)  # the ground is bright
        brightness, height = moments[members] @ weights, float(mean @ weights)
        beside = moments[label == np.bincount(near[members, 1][near[members, 1] >= 0]).argmax()]
        if height <= max(float((beside @ weights).mean()), 0.0):
            continue  # the darker of the two
        # What columns beside each other differ by is twice as much as either does from their mean.
        least = (1.25 * _AGREEING) ** 0.5 / (_PAIRS * len(members)) ** 0.25
        percent = 100 * least * float(brightness.std()) / height
        found.append(
            f"motif {each} may be two kinds of columns that take turns, such as A and B of a perovskite; in "
            f"this image they are told apart where their brightness differs by about {percent:.1f} % or more"
        )
    return found


def _overlap(looks: np.ndarray, other: np.ndarray) -> bool:
    """Say whether what two sublattices look like is divided with errors."""
    if min(other.mean(), 1.0 - other.mean()) < _EQUAL or len(looks) < 2 * SMALLEST:
        return False
    along = looks @ (looks[other].mean(axis=0) - looks[~other].mean(axis=0))
    one, two = along[~other], along[other]
    return bool(two.mean() - one.mean() < _CLEAR * np.sqrt(0.5 * (one.var() + two.var())))


def _translations(points: np.ndarray, spacing: float, reach: float) -> list[_Translation]:
    """Return the translations that take many columns onto others."""
    tree = cKDTree(points)
    some = np.arange(0, len(points), max(1, len(points) // _SAMPLE))
    near = cKDTree(points[some]).sparse_distance_matrix(tree, _LONGEST * reach, output_type="ndarray")
    step = points[near["j"]] - points[some[near["i"]]]
    length = np.hypot(step[:, 0], step[:, 1])
    # One of each pair of opposite ones.
    kept = (length > _SHORTEST * reach) & ((step[:, 0] > 0) | ((step[:, 0] == 0) & (step[:, 1] > 0)))
    step = step[kept]
    found: list[_Translation] = []
    if not len(step):
        return found
    cell = np.round(step / (_SAME * spacing)).astype(np.int64)
    cell -= cell.min(axis=0)
    _, first, counts = np.unique(
        cell[:, 0] * (cell[:, 1].max() + 1) + cell[:, 1], return_index=True, return_counts=True
    )
    often = counts > _COMMON / 4 * len(some)  # the displacements of one translation may meet in four cells
    candidates = step[first[often]][np.argsort(-counts[often], kind="stable")]
    step, middles = step[np.argsort(step[:, 0])].T.copy(), np.empty((0, 2))
    scale = 1.5 / (2 * _SAME * spacing)  # to the reach of what finds the nearest
    columns = Nearest(points * scale)
    for middle in candidates:
        for _ in range(2):
            within = slice(*np.searchsorted(step[0], middle[0] + _SAME * spacing * np.array([-1, 1])))
            down, right = step[0, within] - middle[0], step[1, within] - middle[1]
            members = np.flatnonzero(down * down + right * right <= (_SAME * spacing) ** 2)
            middle = middle + np.array([down[members].mean(), right[members].mean()])
        known = (np.linalg.norm(middles - middle, axis=1) < 2 * _SAME * spacing).any()
        if known or len(members) < _COMMON * len(some):
            continue
        middles = np.append(middles, middle[None], axis=0)
        apart, other = columns.to((points + middle) * scale)
        pairs = np.flatnonzero(apart < 1.5)
        found.append(_Translation(pairs, other[pairs], middle))
        if len(found) == _MOST:
            break
    return found


def _by_looks(looks: np.ndarray, translations: list[_Translation], near: np.ndarray) -> np.ndarray | None:
    """Return which columns are of the second of two kinds, None where there is one.

    Where kinds take turns in part of the sample alone, those in that part.
    """
    centred = looks - looks.mean(axis=0)
    size, axes = np.linalg.eigh(centred.T @ centred / len(looks))
    scores = centred @ axes[:, ::-1][:, :_AXES] / np.sqrt(np.maximum(size[::-1][:_AXES], 1e-300))
    alike = np.stack([scores[t.first].T @ scores[t.second] / max(len(t.first), 1) for t in translations])
    alike = 0.5 * (alike + np.swapaxes(alike, 1, 2))
    least, turned = np.linalg.eigh(alike)
    noise = np.array([len(t.first) for t in translations]) ** -0.5
    at = int(np.argmin(least[:, 0] / np.maximum(-_UNLIKE, _NOISE * noise)))
    if least[at, 0] > min(_UNLIKE, -_NOISE * noise[at]):
        return None
    # Once more along the axis on which all translations together differ most.
    axis = turned[at, :, 0]
    for _ in range(3):
        signs = np.einsum("i,tij,j->t", axis, alike, axis)
        axis = np.linalg.eigh(np.einsum("t,tij->ij", signs, alike))[1][:, -1]
    signs = np.einsum("i,tij,j->t", axis, alike, axis)
    if signs.min() > 0 or np.mean(np.abs(signs) > 0.4 * np.abs(signs).max()) < _SHARE:
        return None
    for _ in range(3):
        kinds = _kinds(_turn(scores @ axis, signs, translations))
        if kinds is None:
            return None
        # Once more along the direction in which the two kinds differ.
        axis = scores[kinds].mean(axis=0) - scores[~kinds].mean(axis=0)
        axis /= max(float(np.linalg.norm(axis)), 1e-300)
        signs = np.einsum("i,tij,j->t", axis, alike, axis)
    return _halves(scores @ axis, _turn(scores @ axis, signs, translations), near)


def _by_brightness(
    brightness: np.ndarray, translations: list[_Translation], near: np.ndarray, spacing: float
) -> np.ndarray | None:
    """Return the same by brightness alone, the superlattice of two or three columns that fits it best."""
    index = _on_lattice(np.stack([t.step for t in translations]), _APART_ON_LATTICE * spacing)
    fits = (np.abs(index - np.round(index)) < _ON_LATTICE).all(axis=1)
    own = [t for t, fit in zip(translations, fits, strict=True) if fit]
    x = np.clip(brightness, *np.quantile(brightness, (0.05, 0.95)))
    x = x - x[near[:, 1 : 1 + _BESIDE]].mean(axis=1)  # beside one kind stands the other
    x = (x - x.mean()) / max(float(x.std()), 1e-300)
    number = np.array([len(t.first) for t in own])
    alike = np.array([x[t.first] @ x[t.second] for t in own])
    waves = np.cos(2 * np.pi * _PLACES @ np.round(index[fits]).T)
    # What changes slowly is alike along all translations.
    waves -= (waves @ number / max(number.sum(), 1))[:, None]
    alike -= number * alike.sum() / max(number.sum(), 1)
    agreeing = waves @ alike / np.sqrt(np.maximum(waves**2 @ number, 1e-300))
    best = agreeing.argmax()
    if agreeing[best] < max(_AGREEING, (_EXPLAINED * (alike**2 / number).sum()) ** 0.5):
        return None
    wave, turn = waves[best], x
    for _ in range(2):
        turn = _turn(turn, wave, own)
        kinds = _halves(x, turn, near)
        if kinds is not None:
            return kinds
    return None


def _on_lattice(steps: np.ndarray, least: float) -> np.ndarray:
    """Return steps (n, 2) in units of the shortest two vectors, of a least length, that they differ by."""
    sums = [(steps[:, None] + sign * steps).reshape(-1, 2) for sign in (1, -1)]
    vectors = np.concatenate([steps, *sums])
    length = np.hypot(vectors[:, 0], vectors[:, 1])
    first = vectors[np.where(length > least, length, np.inf).argmin()]
    across = np.abs(vectors @ (first[::-1] * (1, -1))) / np.hypot(*first)
    second = vectors[np.where(across > least, length, np.inf).argmin()]
    index: np.ndarray = steps @ np.linalg.pinv(np.stack([first, second]))
    return index


def _halves(along: np.ndarray, turn: np.ndarray, near: np.ndarray) -> np.ndarray | None:
    """Return which columns are of the second kind, by themselves and by what others say that each is (n,)."""
    kinds = _kinds(turn, _VALLEY)
    if kinds is None or min(kinds.sum(), (~kinds).sum()) < SMALLEST:
        return None
    apart = turn[kinds].mean() - turn[~kinds].mean()
    width = (0.5 * (turn[kinds].var() + turn[~kinds].var())) ** 0.5
    if apart > _APART * width:
        return kinds
    turned = (along - np.median(along)) * np.sign(turn - np.median(turn))
    return gap(np.median(turned[near], axis=1)[:, None], near)


def _turn(along: np.ndarray, signs: np.ndarray, translations: list[_Translation]) -> np.ndarray:
    """Return what the columns a translation away say that each is, (n,)."""
    along = np.clip(along, *np.quantile(along, (0.05, 0.95)))  # some are defects
    total, weight = np.zeros(len(along)), np.full(len(along), 1e-12)
    for sign, (first, second, _) in zip(signs, translations, strict=True):
        for here, there in ((first, second), (second, first)):
            np.add.at(total, here, sign * along[there])
            np.add.at(weight, here, abs(sign))
    turn: np.ndarray = total / weight
    return turn


def _kinds(turn: np.ndarray, most: float = 1.0) -> np.ndarray | None:
    """Halve numbers by two-means and at the valley between, None where it is not as deep as `most`."""
    middle = float(np.median(turn))
    low, high = float(turn[turn <= middle].mean()), float(turn[turn > middle].mean())
    for _ in range(20):
        other = turn > 0.5 * (low + high)
        if not 0 < other.sum() < other.size:
            return None
        low, high = float(turn[~other].mean()), float(turn[other].mean())
    border, depth = valley(turn, low, high)
    other = turn > border
    return other if depth <= most and 0 < other.sum() < other.size else None
