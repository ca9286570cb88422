"""Pixels that are no data though they are numbers: constant margins, spikes, and lines of the scan.

What is called a fault stands out from what is usual in the same image, by a wide margin and in the shape of a
fault: a spike is one or two pixels wide, a bad line one to three, and columns are wider; where columns are as
narrow as a pixel, all of them are, and none stands out. The tails of Poisson noise, bright dopants and flat
tops of saturated columns stay data.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import ndimage

from motifgpu.columns.filling import box_of, fill
from motifgpu.columns.maxima import dilate, label_touching
from motifgpu.core import namespace
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.core.on_points import positions, values_at
from motifgpu.core.pixels import sample

# A margin holds so many equal pixels in a row along the edge of the frame, and so many in all. It is
# larger by the factor than any patch of its value inside the image: dark gaps between columns, saturated
# tops and the zeros of a low dose are as large inside as at the edge.
_RUN, _LEAST_MARGIN, _LARGER = 8, 24, 4.0
# Share of the outline of a margin that is the frame: a half of bands and corners, less of ragged ones, and
# hardly any of flat ground that comes to the edge.
_AT_FRAME = 0.25
# Data beside a margin differ from it by at least this share of what all data do; a particle fades away.
_ABRUPT = 0.3
# What a margin leaves is in few pieces: of the rest of the frame, the pieces that are at least the first
# share of the frame hold at least the second share.
_PIECE, _PIECES = 0.05, 0.9
_MOST_VALUES = 8  # of margins that are tried
# Quantiles of a deviation and how far beyond the upper one, in their distance, a fault is: an exponential
# tail goes 3.4 times that distance to the last of 250,000 pixels.
_INNER, _OUTER, _BEYOND = 0.9, 0.99, 8.0
# More faults than this share of the pixels are what the image shows.
_MOST = 0.01
# Of its height above the ground a spike has at least this share above its third brightest neighbour: a column
# of a standard deviation of 0.8 px has 0.54, of 1 px 0.39. A cluster has the second share above the ground
# two pixels away, and stands out four times as far.
_STEEP, _CLUSTER, _CLUSTER_BEYOND = 0.6, 0.9, 4.0
# Pixels of a line that are compared with the lines beside it, how far those reach, and by how much a bad one
# differs in units of the usual difference (quantile 0.9), and at least in those of the contrast of the image.
_SEGMENT, _LINES, _BAD_LINE, _FAINTEST_LINE = 64, 3, 6.0, 0.25
_STEEP_LINE, _MOST_LINES = 0.6, 0.05


def find_faults(x: Array, valid: Array | None) -> dict[str, Array]:
    """Find pixels that are no data.

    Parameters
    ----------
    x : (H, W) array
        Not finite nowhere but where it is no data.
    valid : (H, W) bool array or None
        Which pixels are data as far as is known; None where all are.

    Returns
    -------
    dict of str to (H, W) bool array
        By what they are, ``"margin"``, ``"line"`` or ``"spike"``; each pixel once, and no empty mask.
    """
    found: dict[str, Array] = {}
    whole = x if valid is None else fill(x, valid)
    # Each is looked for in what is left by those before it.
    for name, find in (("margin", _margins), ("line", _lines), ("spike", _spikes)):
        faults = find(whole, valid)
        if faults is None:
            continue
        if valid is not None:
            faults = faults & valid
        xp = namespace.array_namespace(x)
        if not bool(xp.any(faults)):
            continue
        found[name] = faults
        valid = ~faults if valid is None else valid & ~faults
        whole = fill(x, valid)
    return found


def _margins(x: Array, valid: Array | None) -> Array | None:
    """Find constant regions at the edge of the frame, of frames that were shifted, turned or padded."""
    box = (slice(0, x.shape[0]), slice(0, x.shape[1])) if valid is None else box_of(valid)
    part = x[box[0], box[1]]
    values = _long_runs([to_numpy(edge) for edge in (part[0, :], part[-1, :], part[:, 0], part[:, -1])])
    if not values:
        return None
    xp = namespace.array_namespace(x)
    unknown = None if valid is None else ~valid[box[0], box[1]]
    margin = part != part
    for value in values:
        equal = part == value
        one = _margin_of(equal if unknown is None else equal | unknown)
        apart = xp.abs(part - value)
        if unknown is not None:
            apart = xp.where(unknown, xp.zeros_like(apart), apart)
        if one is not None and _ends_abruptly(one, apart):
            margin = margin | one
    if unknown is not None:
        margin = margin & ~unknown
    covered = margin if unknown is None else margin | unknown
    if not bool(xp.any(margin)) or bool(xp.all(covered)):
        return None
    # The outermost pixels of what was interpolated are a mixture with the margin.
    wide = dilate(xp.astype(margin, x.dtype)) > 0
    for axis, (length, side) in enumerate(zip(x.shape, box, strict=True)):
        ends = (side.start, length - side.stop)
        parts = [_false(wide, axis, ends[0]), wide, _false(wide, axis, ends[1])]
        wide = xp.concat(parts, axis=axis)
    return wide


def _false(like: Array, axis: int, number: int) -> Array:
    """Return so many rows (axis 0) or columns of False."""
    xp = namespace.array_namespace(like)
    shape = (number, like.shape[1]) if axis == 0 else (like.shape[0], number)
    return xp.zeros(shape, dtype=xp.bool, device=namespace.device(like))


def _long_runs(lines: list[np.ndarray]) -> list[float]:
    """Return the values of which there are long runs, those with most pixels first."""
    total: dict[float, int] = {}
    for line in lines:
        ends = np.flatnonzero(np.append(line[1:] != line[:-1], True)) + 1
        lengths = np.diff(ends, prepend=0)
        for end, length in zip(ends, lengths, strict=True):
            if length >= min(_RUN, len(line)):
                value = float(line[end - 1])
                total[value] = total.get(value, 0) + int(length)
    return sorted(total, key=lambda value: -total[value])[:_MOST_VALUES]


def _opened(mask: Array) -> Array:
    """Return what squares of 3 x 3 pixels cover of a mask (H, W) bool; SciPy takes thirty times as long."""
    xp = namespace.array_namespace(mask)
    rows, cols = mask.shape
    square = mask[2:, :] & mask[1 : rows - 1, :] & mask[: rows - 2, :]
    square = square[:, 2:] & square[:, 1 : cols - 1] & square[:, : cols - 2]
    for axis in (0, 1):
        edge = _false(square, axis, 2)
        longer = xp.concat([edge, square, edge], axis=axis)
        length = longer.shape[axis]
        parts = [slice(k, length - 2 + k) for k in range(3)]
        first, second, third = (longer[part, :] if axis == 0 else longer[:, part] for part in parts)
        square = first | second | third
    return square


def _margin_of(equal: Array) -> Array | None:
    """Return the margin (H, W) bool of one value, `equal` where the image has it; None without one."""
    xp = namespace.array_namespace(equal)
    filters = namespace.ndimage(xp)
    pad = 3

    def total(mask: Array) -> int:
        return int(xp.count_nonzero(mask))

    beyond = equal
    for axis in (0, 1):  # so that a margin of one row is as solid as any
        edge = ~_false(beyond, axis, pad)
        beyond = xp.concat([edge, beyond, edge], axis=axis)
    solid = _opened(beyond)[pad:-pad, pad:-pad]
    if total(solid) < _LEAST_MARGIN:
        return None
    groups, count = label_touching(solid, xp)
    flat = xp.reshape(groups, (-1,))
    sizes = namespace.bincount(flat, None, count + 1)
    frame = xp.concat([groups[0, :], groups[-1, :], groups[:, 0], groups[:, -1]])
    number = xp.arange(count + 1, dtype=xp.int64, device=namespace.device(equal))
    outer = (namespace.bincount(frame, None, count + 1) > 0) & (number > 0)
    inner = xp.where(outer | (number == 0), xp.zeros_like(sizes), sizes)
    large = outer & (sizes >= max(_LEAST_MARGIN, math.ceil(_LARGER * int(xp.max(inner)))))
    if not bool(xp.any(large)):
        return None
    margin = xp.reshape(xp.take(large, flat), equal.shape)
    at_frame = sum(total(side) for side in (margin[0, :], margin[-1, :], margin[:, 0], margin[:, -1]))
    bounds = total(margin[1:, :] != margin[:-1, :]) + total(margin[:, 1:] != margin[:, :-1])
    if not at_frame or at_frame < _AT_FRAME * (at_frame + bounds):
        return None
    rest, count = filters.label(~margin)
    flat = xp.reshape(xp.astype(rest, xp.int64), (-1,))
    areas = namespace.bincount(flat, None, int(count) + 1)[1:]
    pieces = xp.where(areas >= math.ceil(_PIECE * flat.shape[0]), areas, xp.zeros_like(areas))
    if not areas.shape[0] or int(xp.sum(pieces)) < _PIECES * int(xp.sum(areas)):
        return None
    return margin


def _ends_abruptly(margin: Array, apart: Array) -> bool:
    """Say whether data beside a margin differ from it, by `apart`, as others do, unlike a vacuum."""
    xp = namespace.array_namespace(margin)
    near = xp.astype(margin, apart.dtype)
    near = dilate(near)
    far = dilate(dilate(near))
    means = []
    for part in ((far > 0) & ~(near > 0), ~margin):
        weight = xp.astype(part, apart.dtype)
        means.append(float(xp.sum(apart * weight)) / max(float(xp.sum(weight)), 1.0))
    return means[0] >= _ABRUPT * means[1]


def _lines(x: Array, valid: Array | None) -> Array | None:
    """Find rows and columns of pixels, or long parts of them, that differ from those beside them."""
    xp = namespace.array_namespace(x)
    # Of a spike not more is left than a bright column has.
    low, high = np.quantile(sample(x, valid), (1 - _OUTER, _OUTER))
    x = namespace.clip(x, min=float(1.5 * low - 0.5 * high), max=float(1.5 * high - 0.5 * low))
    least = _FAINTEST_LINE * float(high - low)
    rows = _bad_rows(x, least)
    cols = _bad_rows(xp.matrix_transpose(x), least)
    if rows is None and cols is None:
        return None
    bad = np.zeros(x.shape, bool)
    if rows is not None:
        bad |= rows
    if cols is not None:
        bad |= cols.T
    return namespace.from_numpy(bad, x)


def _bad_rows(x: Array, least: float) -> np.ndarray | None:
    """Say which pixels (H, W) lie in bad rows, which differ by `least` or more; None without any."""
    xp = namespace.array_namespace(x)
    height, width = x.shape
    if height < 4 * _LINES:
        return None
    segments = max(1, width // _SEGMENT)
    length = width // segments
    parts = xp.reshape(x[:, : segments * length], (height, segments, length))
    level = to_numpy(xp.mean(parts, axis=2)).astype(np.float64)
    usual = ndimage.median_filter(level, size=(2 * _LINES + 1, 1), mode="mirror")
    apart = level - usual
    bad = np.abs(apart) > max(_BAD_LINE * float(np.quantile(np.abs(apart), _INNER)), least)
    if not bad.any():
        return None
    # The step to the nearest good line on either side is as steep as that of a fault.
    for order in (1, -1):
        bad &= np.sign(apart) * _step(level[::order], bad[::order])[::order] >= _STEEP_LINE * np.abs(apart)
    if not bad.any() or bad.any(axis=1).mean() > _MOST_LINES:
        return None
    bad[bad.mean(axis=1) > 0.5] = True
    bad = ndimage.binary_dilation(bad, np.ones((1, 3)))  # it ends somewhere in the next segment
    pixels = np.repeat(bad, length, axis=1)
    return np.concatenate([pixels, np.repeat(bad[:, -1:], width - pixels.shape[1], axis=1)], axis=1)


def _step(level: np.ndarray, bad: np.ndarray) -> np.ndarray:
    """Return by how much each line (h, s) differs from the nearest one before it that is not bad."""
    before = np.full_like(level, np.nan)
    for back in range(1, _LINES + 1):
        good = np.where(bad[:-back], np.nan, level[:-back])
        before[back:] = np.where(np.isnan(before[back:]), good, before[back:])
    apart: np.ndarray = level - before
    return np.where(np.isnan(apart), level - np.median(level, axis=0), apart)


def _spikes(x: Array, valid: Array | None) -> Array | None:
    """Find pixels far above or below all around them, alone or a few together."""
    some = np.unique(sample(x, valid))
    step = float(np.diff(some).min()) if some.size > 1 else 0.0
    found = np.zeros(0, np.int64)
    for reach, factor, steep in ((1, 1.0, _STEEP), (2, _CLUSTER_BEYOND, _CLUSTER)):
        apart = x - _around(x, reach)
        usual = sample(apart, valid)
        for sign in (1, -1):
            inner, outer = np.quantile(sign * usual, (_INNER, _OUTER))
            least = outer + factor * _BEYOND * max(float(outer - inner), step)
            if least <= 0:
                continue
            flat = positions(sign * apart > float(least))
            if not 0 < flat.shape[0] <= max(4, _MOST * math.prod(x.shape)):
                continue
            there, ring = _ring(x, flat, reach, sign)
            third = ring[:, ring.shape[1] - 3 * reach]  # the third largest of 8, the sixth largest of 16
            # At the frame half of the ring is a mirror image, and the tail of a column beyond is steep.
            third = np.where(_at_frame(x.shape, flat, reach), ring[:, -1], third)
            ground = ring[:, ring.shape[1] // 2 - 1]
            spike = (there - third > steep * (there - ground)) & (there - ground > float(least))
            found = np.concatenate([found, flat[spike]])
    if not found.size:
        return None
    spikes = np.zeros(x.shape, bool)
    spikes.reshape(-1)[found] = True
    return namespace.from_numpy(spikes, x)


def _at_frame(shape: tuple[int, int], flat: np.ndarray, reach: int) -> np.ndarray:
    """Say which pixels `flat` (n,) are less than `reach` from the frame."""
    row, col = flat // shape[1], flat % shape[1]
    rows = (row < reach) | (row >= shape[0] - reach)
    at_frame: np.ndarray = rows | (col < reach) | (col >= shape[1] - reach)
    return at_frame


def _around(x: Array, reach: int) -> Array:
    """Return the mean of the four pixels `reach` rows and columns away, the image continued by reflection."""
    far = 2 * reach
    wide = _reflected(x, reach, 0)
    total = wide[:-far, :] + wide[far:, :]
    wide = _reflected(x, reach, 1)  # one at a time: of a large image each is much of the memory
    total += wide[:, :-far]
    total += wide[:, far:]
    total /= 4
    return total


def _reflected(x: Array, reach: int, axis: int) -> Array:
    """Return an image (H, W) with `reach` rows (axis 0) or columns more at either end, by reflection."""
    xp, length = namespace.array_namespace(x), x.shape[axis]
    ends = [slice(1, reach + 1), slice(length - reach - 1, length - 1)]
    before, after = (xp.flip(x[end, :] if axis == 0 else x[:, end], axis=axis) for end in ends)
    return xp.concat([before, x, after], axis=axis)


def _ring(x: Array, flat: np.ndarray, reach: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels `flat` (n,), and the sorted ones of the square ring `reach` away, (n, 8 reach)."""
    height, width = x.shape
    steps = np.arange(-reach, reach + 1)
    down, right = (s.reshape(-1) for s in np.meshgrid(steps, steps, indexing="ij"))
    ring = np.maximum(np.abs(down), np.abs(right)) == reach
    row, col = (np.abs(p[:, None] + s[ring]) for p, s in ((flat // width, down), (flat % width, right)))
    row, col = np.minimum(row, 2 * (height - 1) - row), np.minimum(col, 2 * (width - 1) - col)
    values = sign * values_at(x, np.concatenate([flat[:, None], row * width + col], axis=1))
    return values[:, 0], np.sort(values[:, 1:], axis=1)
