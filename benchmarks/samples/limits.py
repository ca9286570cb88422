"""How well positions can be known from the counts, and what an oracle makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.sparse import csc_array
from scipy.spatial import cKDTree

from motifgpu.simulate import SampleSimulation
from motifgpu.simulate.samples import TAIL_WIDTH

_ON_SUPPORT = ("particle", "atoms")
_APART = 2.5  # columns further apart than so many nearest distances hardly overlap


@dataclass(frozen=True)
class Limits:
    """Least variance of position, px², both coordinates together, and of height, counts², of every site."""

    position: np.ndarray
    height: np.ndarray


def limits(truth: SampleSimulation) -> Limits:
    """Return the least variances of a joint fit of all columns, their profile and the smooth background told.

    The Fisher information of rows, columns and heights is inverted for each site together with the sites
    around it, which overlap with it. Pixels beyond the image and without data tell nothing.
    """
    points, heights = truth.points.astype(np.float64), truth.heights.astype(np.float64)
    sigma, tail = truth.sigma_px, truth.tail
    reach = int(np.ceil(5 * sigma))
    window = np.arange(-reach, reach + 1)
    steps = np.stack(np.meshgrid(window, window, indexing="ij"), axis=-1).reshape(-1, 2)
    expected = np.maximum(truth.clean.astype(np.float64), 1e-3 * truth.clean.max())
    weight = np.pad(truth.valid / (expected + _speckle(truth)), reach)

    # A point half a pixel beyond the last one is nearest to that.
    nearest = np.clip(np.round(points).astype(np.int64), 0, np.array(truth.valid.shape) - 1)
    offset = nearest[:, None, :] + steps - points[:, None, :]
    square = (offset**2).sum(-1)
    core = (1 - tail) * np.exp(-0.5 * square / sigma**2)
    wide = tail * np.exp(-0.5 * square / (TAIL_WIDTH * sigma) ** 2)
    slope = heights[:, None] * (core / sigma**2 + wide / (TAIL_WIDTH * sigma) ** 2)
    at = nearest[:, None, :] + steps + reach
    pixel = at[..., 0] * weight.shape[1] + at[..., 1]
    derivatives = np.stack([slope * offset[..., 0], slope * offset[..., 1], core + wide], axis=1)
    derivatives *= np.sqrt(weight.reshape(-1)[pixel])[:, None]
    columns = np.arange(0, derivatives.size + 1, steps.shape[0])
    places = np.repeat(pixel[:, None], 3, axis=1).reshape(-1)
    design = csc_array((derivatives.reshape(-1), places, columns), shape=(weight.size, 3 * len(points)))
    information = (design.T @ design).tocsr()

    position, height = np.zeros(len(points)), np.zeros(len(points))
    tree = cKDTree(points)
    for here, near in enumerate(tree.query_ball_point(points, _APART * truth.spacing_px)):
        group = 3 * np.array([here, *(n for n in near if n != here)])
        own = (group[:, None] + np.arange(3)).reshape(-1)
        part = information[own][:, own].toarray()
        told = np.flatnonzero(np.diag(part) < 1e-9)  # the place of an empty site
        part[told, told] = 1e12
        variance = np.diag(np.linalg.inv(part))[:3]
        position[here], height[here] = variance[0] + variance[1], variance[2]
    return Limits(position, height)


def _speckle(truth: SampleSimulation) -> float:
    """Return the variance, counts², that an amorphous support adds to every pixel, as if it were white.

    That of its mean over a column, times the pixels of a column.
    """
    if truth.kind not in _ON_SUPPORT:
        return 0.0
    rough = truth.background - ndimage.gaussian_filter(truth.background, 4 * truth.sigma_px)
    mean = ndimage.gaussian_filter(rough, truth.sigma_px)[truth.valid]
    return float(mean.var() * 4 * np.pi * truth.sigma_px**2)


def told_labels(truth: SampleSimulation, least: Limits) -> np.ndarray:
    """Return the identities (n,) of an oracle that is told all but which sites have a defect.

    It measures heights as a joint fit does, and knows how high each identity is and how often it occurs on
    the sublattice.
    """
    names = len(truth.names)
    own = [truth.heights[truth.labels == label] for label in range(names)]
    usual = np.array([np.median(heights) if len(heights) else 0.0 for heights in own])
    filled = usual[truth.labels] > 0
    thickness = np.where(filled, truth.heights / np.where(filled, usual[truth.labels], 1), 1)
    error = np.sqrt(least.height)
    measured = np.random.default_rng(1).normal(truth.heights, error)
    often = np.zeros((names, names))
    np.add.at(often, (truth.pristine, truth.labels), 1)
    with np.errstate(divide="ignore"):
        evidence = np.log(often / np.maximum(often.sum(1, keepdims=True), 1))[truth.pristine]
    evidence -= 0.5 * ((measured[:, None] - thickness[:, None] * usual) / error[:, None]) ** 2
    best: np.ndarray = evidence.argmax(1)
    return best


def told(truth: SampleSimulation, least: Limits) -> np.ndarray:
    """Say which sites an oracle takes as occupied that is told places, profile and number of the columns.

    It takes those of the largest heights, which it measures as a joint fit does.
    """
    measured = np.random.default_rng(0).normal(truth.heights, np.sqrt(least.height))
    chosen = np.zeros(len(measured), bool)
    chosen[np.argsort(-measured)[: truth.occupied.sum()]] = True
    return chosen
