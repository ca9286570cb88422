"""The image rebuilt from its motifs, and what of the micrograph they leave unexplained.

Each column is replaced by the average of its class, shifted to the column's sub-pixel position; where such
patches overlap, their weighted mean is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from motifgpu.columns.smoothing import smooth
from motifgpu.core import namespace
from motifgpu.core.checks import check_array, check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import usable_order, zernike_moments
from motifgpu.motifs.kmeans import kmeans

# Averages reach this far beyond the disc, so that shifting them needs nothing from outside.
_MARGIN = 7
# Side of the window of structural similarity, px.
_SSIM_WINDOW = 7
_LEAST_WEIGHT = 1e-3
# Noise over structure, as standard deviations, above which patches are weighted alike.
_NOISY = 0.6


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """An image rebuilt from motifs.

    Attributes
    ----------
    image : (H, W) float32 array
        The rebuilt image; pixels that no patch covers hold the least value of the averages.
    covered : (H, W) bool array
        Which pixels a patch covers.
    uncovered : float
        Fraction of the pixels that none covers.
    residual : (H, W) float32 array
        Smoothed image minus rebuilt image, 0 where not covered: structure that the classes do not explain.
    psnr : float
        Peak signal-to-noise ratio against the smoothed image over the covered pixels, dB; the peak is the
        range of the smoothed image. Infinite where they are equal.
    ssim : float
        Mean structural similarity with the smoothed image over windows of 7 x 7 covered pixels; NaN where no
        window is covered.
    classes : (n,) int32 array
        The class whose average is placed at each point; -1 for points that were not placed.
    averages : (k, size, size) float32 array
        Class averages; zero for a class without a patch.
    """

    image: Array
    covered: Array
    uncovered: float
    residual: Array
    psnr: float
    ssim: float
    classes: Array
    averages: Array

    __repr__ = one_line


def reconstruct(
    image: Any,
    points: Any,
    labels: Any,
    size: int,
    *,
    classes: Any = 30,
    hide: int | Sequence[int] = (),
    weights: str = "auto",
    smoothed: Any = None,
    seed: int = 0,
) -> Reconstruction:
    """Rebuild a micrograph from class averages.

    Parameters
    ----------
    image : (H, W) array
        Micrograph, raw.
    points : (n, 2) array
        Columns as (row, col), px.
    labels : (n,) array of int
        Motif of each column, which `hide` refers to; columns labelled -1 are not placed.
    size : int
        Side of the patches, px; the paper's patch size is a good choice.
    classes : int or (n,) array of int
        A number of classes, which k-means then finds among the Zernike moments of the patches, or the class
        of each column. Thirty classes resolve environments that a few motifs average over:
        with a few motifs the PSNR is lower by less than 1 dB at 1 count per pixel, by 5 dB at 10 counts and
        by 8 dB from 30 counts on. Columns of class -1 are not placed.
    hide : int or sequence of int
        Motifs that are left out, such as those of the dominant crystal.
    weights : {"auto", "hann", "flat"}
        Weight of a patch across its disc: falling to its rim, or the same everywhere, which averages over
        more patches and is better by up to 0.3 dB at 1 and 3 counts at the peaks, and worse by 0.5 to 3 dB
        from 30 counts on. ``"auto"`` takes ``"flat"`` where the noise is more than 0.6 of the structure.
    smoothed : (H, W) array, optional
        The smoothed micrograph, which averages are taken from and the result is compared with; by default
        `motifgpu.smooth` of the image.
    seed : int
        Of k-means.

    Returns
    -------
    Reconstruction
        Its arrays are in the namespace and on the device of `image`.

    Raises
    ------
    StageError
        If the image, the points or the labels do not fit together, hold NaN, or are empty; if a motif to hide
        does not occur, nothing is left to place, no patch fits inside the image, or an option is unknown.

    Notes
    -----
    After Fig. 3B and C of Dan et al., Science Advances 8, eabk1005 (2022). Points, labels and classes, a few
    numbers per column, are handled on the host.

    Examples
    --------
    Rebuild a noisy image from 4 class averages; the rebuilt image resembles the one without noise:

    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0, seed=0)
    >>> rebuilt = motifgpu.reconstruct(made.image, made.points, made.labels, size=28, classes=4)
    >>> rebuilt.averages.shape
    (4, 28, 28)
    >>> seen = rebuilt.covered
    >>> bool(np.corrcoef(rebuilt.image[seen], made.clean[seen])[0, 1] > 0.9)
    True
    """
    if weights not in ("auto", "hann", "flat"):
        raise StageError("reconstruction", f"there are no weights {weights!r}", "choose auto, hann or flat")
    size = check_integer(size, "reconstruction", "size", 3)
    xp, image = check_array(image, "reconstruction", "image", 2)
    _, points = check_array(points, "reconstruction", "points", 2)
    if points.shape[1] != 2 or points.shape[0] == 0:
        raise StageError(
            "reconstruction", f"points have shape {tuple(points.shape)}", "give (row, col) of at least one"
        )
    points = namespace.as_like(namespace.to_numpy(points), image)
    count = points.shape[0]
    motif = _labels(labels, count, "labels")
    smoothed = (
        smooth(image) if smoothed is None else check_array(smoothed, "reconstruction", "smoothed", 2)[1]
    )
    if tuple(smoothed.shape) != tuple(image.shape):
        raise StageError(
            "reconstruction",
            f"smoothed has shape {tuple(smoothed.shape)} and the image {tuple(image.shape)}",
            "give the smoothed image of this micrograph",
        )
    smoothed = xp.astype(smoothed, image.dtype)
    if weights == "auto":
        noisy = float(xp.std(image - smoothed)) > _NOISY * float(xp.std(smoothed))
        weights = "flat" if noisy else "hann"
    if isinstance(classes, int | float | np.integer):
        kind = _find_classes(smoothed, points, size, motif >= 0, classes, seed)
    else:
        kind = _labels(classes, count, "classes")
    placed = (kind >= 0) & (motif >= 0) & ~np.isin(motif, _hidden(hide, motif))
    members = np.where(motif >= 0, kind, -1)

    averages, held = _averages(smoothed, points, members, size, xp)
    placed &= np.where(kind >= 0, held[np.maximum(kind, 0)], False)
    if not placed.any():
        raise StageError(
            "reconstruction",
            f"of {count} columns none is left to place",
            "hide fewer motifs, or give columns whose patch lies inside the image",
        )
    kind = np.where(placed, kind, -1).astype(np.int32)
    used = np.flatnonzero(placed)
    chosen = namespace.from_numpy(used, image)
    total, weight = _overlap(image, averages, xp.take(points, chosen, axis=0), kind[used], size, weights, xp)
    covered = weight > _LEAST_WEIGHT
    inner = averages[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    least = xp.min(xp.take(inner, namespace.from_numpy(np.unique(kind[used]), image), axis=0))
    rebuilt = xp.where(covered, total / xp.where(covered, weight, xp.ones_like(weight)), least)
    residual = xp.where(covered, smoothed - rebuilt, xp.zeros_like(smoothed))
    psnr, ssim = _agreement(rebuilt, smoothed, covered, xp)
    return Reconstruction(
        xp.astype(rebuilt, xp.float32),
        covered,
        1.0 - float(xp.mean(xp.astype(covered, xp.float32))),
        xp.astype(residual, xp.float32),
        psnr,
        ssim,
        namespace.from_numpy(kind, image),
        xp.astype(inner, xp.float32),
    )


def _labels(labels: Any, count: int, name: str) -> np.ndarray:
    """Return labels as a host array after a check."""
    host = namespace.to_numpy(labels) if not isinstance(labels, list | tuple) else np.asarray(labels)
    if host.shape != (count,) or host.dtype.kind not in "iu":
        raise StageError(
            "reconstruction",
            f"{name} have shape {host.shape} and dtype {host.dtype} for {count} points",
            "give one whole number for each point, -1 for none",
        )
    return host.astype(np.int64)


def _hidden(hide: int | Sequence[int], motif: np.ndarray) -> np.ndarray:
    hidden = np.atleast_1d(np.asarray(hide, dtype=np.int64))
    missing = np.setdiff1d(hidden, motif)
    if missing.size:
        raise StageError(
            "reconstruction",
            f"there is no motif {missing[0]} to hide",
            f"choose among {np.unique(motif[motif >= 0]).tolist()}",
        )
    return hidden


def _find_classes(
    smoothed: Array, points: Array, size: int, wanted: np.ndarray, count: Any, seed: int
) -> np.ndarray:
    """Return k-means classes of the moments, -1 where a patch does not fit or is not wanted."""
    count = check_integer(count, "reconstruction", "classes", 1)
    patches, inside = extract_patches(smoothed, points, size)
    fits = namespace.to_numpy(inside)
    rows = wanted[fits]
    kind = np.full(len(wanted), -1, np.int64)
    if not rows.any():
        raise StageError(
            "reconstruction",
            f"of {len(wanted)} patches of {size} px none that is labelled lies inside the image",
            "take a smaller patch or a larger image",
        )
    # The mean over the disc stays in, a feature like the others: vacancies are darker.
    moments = zernike_moments(patches, usable_order(size))
    chosen = namespace.from_numpy(np.flatnonzero(rows), moments)
    moments = namespace.array_namespace(moments).take(moments, chosen, axis=0)
    # Noise-free patches may be fewer than classes; then some classes are empty.
    found = namespace.to_numpy(kmeans(moments, min(count, int(rows.sum())), seed=seed).labels)
    kind[np.flatnonzero(fits)[rows]] = found
    return kind


def _averages(
    image: Array, points: Array, members: np.ndarray, size: int, xp: ModuleType
) -> tuple[Array, np.ndarray]:
    """Return class averages (k, size + margins, size + margins) and which classes have one."""
    count = max(int(members.max()) + 1, 1)
    side = size + 2 * _MARGIN
    _, inside = extract_patches(image, points, size)
    chosen = np.flatnonzero(namespace.to_numpy(inside) & (members >= 0))
    framed = _mirror_frame(image, xp)
    total = xp.zeros((count, side * side), dtype=image.dtype, device=namespace.device(image))
    for part in _chunks(len(chosen), side, xp):
        rows = chosen[part]
        places = xp.take(points, namespace.from_numpy(rows, points), axis=0) + float(_MARGIN)
        patches, _ = extract_patches(framed, places, side)
        belongs = namespace.as_like(np.arange(count)[:, None] == members[rows], image)
        total += belongs @ xp.reshape(patches, (-1, side * side))
    numbers = np.bincount(members[chosen], minlength=count)
    total = total / namespace.as_like(np.maximum(numbers, 1)[:, None], image)
    return xp.reshape(total, (count, side, side)), numbers > 0


def _mirror_frame(image: Array, xp: ModuleType) -> Array:
    """Continue an image by its mirror image on all sides, so that averages with a margin fit."""
    for axis, length in enumerate(image.shape):
        index = np.abs(np.arange(-_MARGIN, length + _MARGIN))
        index = np.abs(length - 1 - np.abs(length - 1 - index))
        image = xp.take(image, namespace.from_numpy(index, image), axis=axis)
    return image


def _chunks(count: int, side: int, xp: ModuleType) -> Iterator[slice]:
    step = max(1, 8 * namespace.block_size(xp) // side**2)
    for begin in range(0, count, step):
        yield slice(begin, min(begin + step, count))


def _overlap(
    image: Array, averages: Array, points: Array, kind: np.ndarray, size: int, weights: str, xp: ModuleType
) -> tuple[Array, Array]:
    """Return the weighted sum (H, W) of the averages, shifted to their points, and the sum of the weights."""
    height, width = image.shape
    side = averages.shape[1]
    sheet = xp.reshape(averages, (-1, side))  # one above the other, so that one call shifts them all
    across = size + 1 - size % 2
    step = xp.arange(across, dtype=points.dtype, device=namespace.device(points)) - (across - 1) / 2
    pixel = xp.astype(step, xp.int64)
    nearest = xp.round(points)
    shift = points - nearest
    base = xp.astype(nearest, xp.int64)
    first = namespace.as_like(kind * side + (side - 1) / 2, points)
    centres = xp.stack([first - shift[:, 0], (side - 1) / 2 - shift[:, 1]], axis=1)
    total, weight = (
        xp.zeros(height * width, dtype=image.dtype, device=namespace.device(image)) for _ in range(2)
    )
    for part in _chunks(points.shape[0], across, xp):
        shifted, _ = extract_patches(sheet, centres[part, :], across)
        rows = base[part, 0][:, None] + pixel[None, :]
        cols = base[part, 1][:, None] + pixel[None, :]
        seen = ((rows >= 0) & (rows < height))[:, :, None] & ((cols >= 0) & (cols < width))[:, None, :]
        squared = (step[None, :] - shift[part, 0][:, None])[:, :, None] ** 2
        squared = squared + (step[None, :] - shift[part, 1][:, None])[:, None, :] ** 2
        radius = xp.sqrt(squared) * (2.0 / size)
        share = xp.cos(xp.clip(radius, max=1.0) * (np.pi / 2)) ** 2 if weights == "hann" else radius**0.0
        share = xp.where(seen & (radius < 1.0), share, xp.zeros_like(share))
        index = xp.clip(rows, 0, height - 1)[:, :, None] * width + xp.clip(cols, 0, width - 1)[:, None, :]
        index = xp.reshape(index, (-1,))
        total += namespace.bincount(index, xp.reshape(share * shifted, (-1,)), height * width)
        weight += namespace.bincount(index, xp.reshape(share, (-1,)), height * width)
    return xp.reshape(total, (height, width)), xp.reshape(weight, (height, width))


def _agreement(rebuilt: Array, smoothed: Array, covered: Array, xp: ModuleType) -> tuple[float, float]:
    """Return PSNR in dB and mean structural similarity over the covered pixels."""
    extent = float(xp.max(smoothed) - xp.min(smoothed))
    squared = xp.where(covered, (rebuilt - smoothed) ** 2, xp.zeros_like(rebuilt))
    mean_square = float(xp.sum(squared)) / float(xp.sum(xp.astype(covered, squared.dtype)))
    psnr = 10.0 * np.log10(extent**2 / mean_square) if mean_square > 0 else np.inf
    if min(rebuilt.shape) < _SSIM_WINDOW or extent == 0:
        return float(psnr), np.nan
    alike = xp.where(covered, rebuilt, smoothed)
    measured = namespace.skimage(xp, "metrics").structural_similarity(
        smoothed, alike, win_size=_SSIM_WINDOW, data_range=extent, full=True
    )
    whole = (
        namespace.ndimage(xp).uniform_filter(xp.astype(covered, xp.float32), _SSIM_WINDOW, mode="constant")
        > 1.0 - 0.5 / _SSIM_WINDOW**2
    )
    number = float(xp.sum(xp.astype(whole, xp.float32)))
    total = float(xp.sum(xp.where(whole, measured[1], xp.zeros_like(measured[1]))))
    return float(psnr), total / number if number else np.nan
