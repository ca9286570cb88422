"""How a micrograph's moments compare with those of a dictionary: detector, orientation and noise.

Two micrographs of one crystal differ by the gain and offset of the detector, by how the crystal is turned,
and by dose. All three are found from the micrograph's own columns: orientation from the angle at which
patches correlate best with the dictionary's sublattices; gain and offset from the usual patch of each
sublattice, then from the mean intensities of known columns, which defects do not move; dose from how these
scatter.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.dictionary.chapter import MAX_DEVIATION, Chapter, Named, Scatter
from motifgpu.dictionary.similarity import usual_patches
from motifgpu.features import disc
from motifgpu.features.zernike import rotate_moments
from motifgpu.motifs.identity import Classified, IdentityModel
from motifgpu.motifs.sublattices import resolution

SAMPLE = 4096  # columns of a micrograph that its alignment is found from
_TURNED = 512  # columns that an orientation is found from
# Least share of the contrast of usual patches that the dictionary explains. Micrographs of the same crystal
# have 0.98 and more on simulations from 1 count on, columns up to 20 % wider; WS2 and MoSe2 have 0.70, and
# images of two detectors taken at once, on which other columns are the bright ones, 0.95.
_AGREEMENT, _SURE = 0.975, 0.99
_OTHER_GAIN = 0.25  # relative difference of gains that two grains of one micrograph cannot have
_POWER, _ANGLES = 16, 12  # how sharply columns choose angles, and how many of these are tried
_STEP = 2  # degrees between the angles tried first
_OWN = 0.95  # share of a column's best correlation at an angle that may be its own
_ALIKE = 0.003  # orientations that agree as well are the same to a symmetric crystal
_FEWEST, _SHARE = 12, 0.02  # columns for which another orientation is searched for: at least, and of all
_CLEARLY = 0.25  # by how much better they fit there, 1 being the limit of what is known
_MOST_TURNS = 8
_ROUNDS = 2
_IN_STEP = 1.5  # how much more intensities may be widened than the noise of patches is
_QUIETEST = 0.25  # noise of patches in units of the learned one, at least


@dataclass(frozen=True, eq=False)
class Alignment:
    """How the moments of one micrograph become those of a dictionary.

    Attributes
    ----------
    gain, offset : float
        Intensity in the micrograph = gain x intensity in the dictionary + offset.
    turns : tuple of float
        Angles in degrees, counter-clockwise, by which crystals are turned against the dictionary's, the
        commonest first, one per grain. Empty where the dictionary's crystal was not found.
    scatter : Scatter
        How columns scatter around what they are.
    agreement : float
        Share of the mean patterns that the dictionary's explain, 0 to 1.
    """

    gain: float
    offset: float
    turns: tuple[float, ...]
    scatter: Scatter
    agreement: float

    __repr__ = one_line

    def normalised(self, moments: Array, turn: float) -> Array:
        """Return moments (n, n_moments) in the intensities and the orientation of the dictionary."""
        first = namespace.as_like(np.eye(1, moments.shape[1])[0] * self.offset, moments)
        moments = (moments - first) / self.gain
        return rotate_moments(moments, -turn) if turn else moments


def own_alignment(model: IdentityModel) -> Alignment:
    """Return the alignment of a micrograph with the dictionary that is learned from it.

    Parameters
    ----------
    model : IdentityModel
        Fitted to it.

    Notes
    -----
    The gaps between columns have intensity 0 there, and the mean patch of some sublattice a standard
    deviation of 1 over its disc.
    """
    contrast = float(np.linalg.norm(model.means[:, 1:], axis=1).max())
    dark = float((model.means * model.gaps).sum(axis=1).mean())
    usual = np.ones(len(model.means))
    return Alignment(contrast or 1.0, dark, (0.0,), Scatter(usual, usual, model.means, model.slope), 1.0)


def find_alignment(moments: Array, chapter: Chapter) -> Alignment:
    """Compare a micrograph with the first chapter of a dictionary.

    Parameters
    ----------
    moments : (n, n_moments) array
        All columns of the micrograph; of more than 4,096 as many are used, evenly spread.
    chapter : Chapter

    Returns
    -------
    Alignment
        Without turns if the dictionary's crystal is not there.
    """
    xp = namespace.array_namespace(moments)
    if moments.shape[0] > SAMPLE:
        index = namespace.from_numpy(_spread(moments.shape[0], SAMPLE), moments)
        moments = xp.take(moments, index, axis=0)
    sample = namespace.to_numpy(moments).astype(np.float64)
    looked_at = sample[_spread(len(sample), _TURNED)]
    oriented = _oriented(looked_at, chapter, None)
    if oriented is None:
        return Alignment(1.0, 0.0, (), chapter.scatter, 0.0)
    alignment, own = oriented
    if alignment.agreement < _AGREEMENT:
        return replace(alignment, turns=())
    alignment = _with_grains(sample, _noisy(looked_at[own], alignment, chapter), chapter)
    for _ in range(_ROUNDS):
        alignment = _refined(*name_columns(sample, alignment, chapter), alignment, chapter)
    return _with_grains(sample, replace(alignment, turns=alignment.turns[:1]), chapter)


def _spread(number: int, most: int) -> np.ndarray:
    """Return the indices of at most so many of a number of columns, evenly spread."""
    return np.arange(min(number, most), dtype=np.int64) * number // max(min(number, most), 1)


def name_columns(moments: Array, alignment: Alignment, chapter: Chapter) -> tuple[Array, Named]:
    """Say what the columns of a micrograph are, each under the orientation that suits it best.

    Parameters
    ----------
    moments : (n, n_moments) array
        As they are in the micrograph.
    alignment : Alignment
        Of the micrograph, with one turn at least.
    chapter : Chapter
        Of the dictionary.

    Returns
    -------
    moments : (n, n_moments) array
        In the intensities and the orientation of the dictionary.
    named : Named
    """
    xp = namespace.array_namespace(moments)
    first, *others = alignment.turns
    best = alignment.normalised(moments, first)
    named = chapter.name(best, alignment.scatter)
    cost = _cost(best, named, alignment, chapter) if others else None
    for turn in others:
        turned = alignment.normalised(moments, turn)
        again = chapter.name(turned, alignment.scatter)
        other = _cost(turned, again, alignment, chapter)
        better = other < cost
        best = xp.where(better[:, None], turned, best)
        found = map(partial(xp.where, better), again.classified, named.classified)
        named = Named(
            Classified(*found),
            xp.where(better, again.intensity, named.intensity),
            xp.where(better, again.pattern, named.pattern),
        )
        cost = xp.minimum(other, cost)
    return best, named


def _cost(moments: Array, named: Named, alignment: Alignment, chapter: Chapter) -> Array:
    """Return how badly columns (n,) fit an orientation; about 1 and less are good.

    The neighbours count here: a twin has the other sublattice's patterns with bright and dark exchanged.
    """
    xp = namespace.array_namespace(moments)
    widening = float(np.mean(alignment.scatter.widening)) * MAX_DEVIATION
    ring = chapter.patterns.ring(moments, named.classified.sublattice) / widening
    return xp.maximum(xp.hypot(named.intensity, ring), named.pattern)


def _correlations(sample: np.ndarray, means: np.ndarray, order: int) -> np.ndarray:
    """Return correlations (n, s, a) of patches with the patterns of sublattices at each of a angles."""
    q = disc.indices(order)[:, 1]
    cosine = np.flatnonzero(q >= 0)
    sine = cosine - q[cosine]
    turning = np.where(q[cosine] > 0, 1.0, 0.0)

    def as_complex(v: np.ndarray) -> np.ndarray:
        pattern = v[:, cosine] + 1j * turning * v[:, sine]
        pattern[:, 0] = 0.0
        length = np.linalg.norm(pattern, axis=1, keepdims=True)
        unit: np.ndarray = pattern / np.where(length > 0, length, 1.0)
        return unit

    a, b = as_complex(sample), as_complex(means)
    spectrum = np.stack(
        [a[:, q[cosine] == f] @ np.conj(b[:, q[cosine] == f]).T for f in range(order + 1)], axis=2
    )
    phase = np.radians(np.outer(np.arange(order + 1), np.arange(0, 360, _STEP)))
    correlation: np.ndarray = spectrum.real @ np.cos(phase) + spectrum.imag @ np.sin(phase)
    return correlation


def _oriented(
    sample: np.ndarray, chapter: Chapter, known: Alignment | None
) -> tuple[Alignment, np.ndarray] | None:
    """Return the alignment of a crystal by usual patches, and which columns (n,) may be of it.

    None where no orientation has any. With an alignment known, its gain and offset are kept.
    """
    means = chapter.patterns.means
    correlation = _correlations(sample, means, chapter.model.order)
    # At each angle, how near a column is to its best. The power is for grains: no angle between two may win.
    best = correlation.max(axis=1)
    fits = np.clip(best / np.maximum(best.max(axis=1, keepdims=True), 1e-300), 0.0, 1.0)
    score = (fits**_POWER).sum(axis=0)
    angles = np.flatnonzero((score >= np.roll(score, 1)) & (score >= np.roll(score, -1)))
    angles = angles[np.argsort(-score[angles], kind="stable")][:_ANGLES]
    found = []
    for place in angles.tolist():
        left, middle, right = (score[(place + step) % score.size] for step in (-1, 0, 1))
        curvature = left - 2 * middle + right
        turn = _STEP * (place + (0.5 * (left - right) / curvature if curvature < 0 else 0.0))
        turn = float((turn + 180) % 360 - 180)
        # All columns if they agree, else those that may be of a grain turned so.
        for own in (fits[:, place] >= 0.0, fits[:, place] >= _OWN):
            turned = rotate_moments(sample[own], -turn)
            sublattice = correlation[own, :, place].argmax(axis=1)
            fit = chapter.learned_patches.compare(*usual_patches(turned, sublattice, len(means)))
            if fit is None or (known is not None and abs(fit.gain / known.gain - 1) > _OTHER_GAIN):
                continue
            gain, offset = (fit.gain, fit.offset) if known is None else (known.gain, known.offset)
            found.append((Alignment(gain, offset, (turn,), chapter.scatter, fit.agreement), own))
            if fit.agreement >= _SURE:
                break
    if not found:
        return None
    best = max(candidate.agreement for candidate, _ in found)
    alike = (f for f in found if f[0].agreement >= best - _ALIKE)
    return min(alike, key=lambda f: abs(f[0].turns[0]))


def _noisy(sample: np.ndarray, alignment: Alignment, chapter: Chapter) -> Alignment:
    """Return an alignment whose scatter is that of the noise outside the span of patterns."""
    moments = alignment.normalised(sample, alignment.turns[0])
    found = chapter.model.classify(moments)
    outside = chapter.patterns.outside(moments, found.sublattice)
    noise = np.ones(len(chapter.patterns.scales))
    for s in range(len(noise)):
        own = outside[found.sublattice == s]
        if own.size:
            noise[s] = np.quantile(own, 0.25) / chapter.patterns.scales[s]
    noise = np.maximum(noise, _QUIETEST)
    return replace(alignment, scatter=alignment.scatter._replace(widening=noise, noise=noise))


def _refined(moments: np.ndarray, named: Named, alignment: Alignment, chapter: Chapter) -> Alignment:
    """Return an alignment whose gain, offset and scatter are those of known columns."""
    found = named.classified
    known = (named.intensity < 0.75) & (named.pattern < 1.0)
    measured = []
    widening, noise, means = (array.copy() for array in alignment.scatter[:3])
    slope, shared, varied = alignment.scatter.slope, 0.0, 0.0
    outside = chapter.patterns.outside(moments, found.sublattice, means)
    for s, kinds in enumerate(chapter.kinds):
        own = found.sublattice == s
        for label, kind in kinds.items():
            members = found.intensity[own & known & (found.labels == label)]
            if members.size >= _FEWEST:
                measured.append((kind.median, float(np.median(members)), members.size**0.5))
        if not kinds:
            continue
        label, kind = max(kinds.items(), key=lambda item: item[1].share)
        usual = own & known & (found.labels == label)
        if np.count_nonzero(usual) < _FEWEST:
            continue
        intensity = found.intensity[usual]
        dark = moments[usual] @ chapter.model.gaps[s]
        shared += float((dark - dark.mean()) @ (intensity + slope * dark))
        varied += float(((dark - dark.mean()) ** 2).sum())
        low, high = np.quantile(intensity, (0.25, 0.75))
        noise[s] = max(np.quantile(outside[own], 0.25) / chapter.patterns.scales[s], _QUIETEST)
        # Intensities that scatter by more than noise does are of other columns: of a twin, say.
        spread = min((high - low) / 1.349 / kind.spread, _IN_STEP * noise[s])
        narrowest = resolution(chapter.patterns.means[s]) / kind.spread
        widening[s] = max(spread, narrowest)
        means[s] = np.median(moments[usual], axis=0)
    gain, offset = _line(np.array(measured).reshape(-1, 3))
    # Of an offset the intensity of a column shows what the rule for backgrounds leaves.
    offset /= max(1.0 - slope, 0.3)
    return replace(
        alignment,
        gain=alignment.gain * gain,
        offset=alignment.offset + alignment.gain * offset,
        scatter=Scatter(widening, noise, means, min(max(shared / max(varied, 1e-300), 0.0), 1.0)),
    )


def _line(measured: np.ndarray) -> tuple[float, float]:
    """Return slope and intercept through rows (learned, measured, weight), (1, 0) where they say nothing."""
    if len(measured) < 2:
        return 1.0, 0.0
    learned, seen, weight = measured.T
    weight = weight / weight.sum()
    centre, height = weight @ learned, weight @ seen
    variance = weight @ (learned - centre) ** 2
    if variance < 1e-4:
        return 1.0, 0.0
    slope = float(weight @ ((learned - centre) * (seen - height)) / variance)
    if not 0.5 < slope < 2.0:
        return 1.0, 0.0
    return slope, float(height - slope * centre)


def _with_grains(sample: np.ndarray, alignment: Alignment, chapter: Chapter) -> Alignment:
    """Add the orientations of columns that the ones before leave unexplained."""
    least = max(_FEWEST, _SHARE * len(sample))
    moments, named = name_columns(sample, alignment, chapter)
    cost = _cost(moments, named, alignment, chapter)
    while len(alignment.turns) < _MOST_TURNS and np.count_nonzero(cost > 1.0) >= least:
        strange = sample[cost > 1.0]
        oriented = _oriented(strange[_spread(len(strange), _TURNED)], chapter, alignment)
        if oriented is None or oriented[0].agreement < _AGREEMENT:
            break
        turn = oriented[0].turns[0]
        moments = alignment.normalised(sample, turn)
        other = _cost(moments, chapter.name(moments, alignment.scatter), alignment, chapter)
        if np.count_nonzero((other < 1.0) & (other < cost - _CLEARLY)) < least:
            break
        alignment = replace(alignment, turns=(*alignment.turns, turn))
        cost = np.minimum(cost, other)
    return alignment
