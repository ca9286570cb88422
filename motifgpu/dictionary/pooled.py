"""Columns of several micrographs as one array, with where each micrograph begins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from motifgpu.core import namespace
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.features.zernike import checked_moments

STAGE = "dictionary"
# Relative difference of patch sizes in nm that calibrations of microscopes may have. The next ring of a
# spectrum is 41 % or more away.
OTHER_RING = 0.15


def _sampled(number: int, total: int, sample: int, seed: int, place: int) -> np.ndarray | None:
    """Return which columns of a micrograph are used, None for all.

    Each micrograph gives its share of the sample: as many of its columns, drawn without replacement, as it
    has of all columns.

    Parameters
    ----------
    number : int
        Columns of the micrograph.
    total : int
        Columns of all of them.
    sample : int
        Columns of all of them that are used.
    seed : int
    place : int
        Place of the micrograph, which with the seed keys the random numbers.
    """
    if total <= sample:
        return None
    share = -(-number * sample // total)
    return np.sort(np.random.default_rng([seed, place]).choice(number, share, replace=False))


def sampled(values: Sequence[np.ndarray], limits: np.ndarray, sample: int, seed: int) -> list[np.ndarray]:
    """Return values of the columns of each micrograph for those that `samples` reads."""
    found = []
    for place, own in enumerate(values):
        rows = _sampled(len(own), int(limits[-1]), sample, seed, place)
        found.append(own if rows is None else own[rows])
    return found


def samples(moments: Any, limits: np.ndarray, sample: int, seed: int) -> Iterator[np.ndarray]:
    """Read the sampled columns of one micrograph after another."""
    order = None
    for place, (begin, end) in enumerate(pairwise(limits.tolist())):
        rows = _sampled(end - begin, int(limits[-1]), sample, seed, place)
        own = moments[begin:end]
        if rows is not None:
            own = namespace.array_namespace(own).take(own, namespace.from_numpy(rows, own), axis=0)
        _, own, found = checked_moments(own)
        if order is not None and order != found:
            raise StageError(STAGE, f"moments of orders {order} and {found} are mixed", "take one order")
        order = found
        yield namespace.to_numpy(own)


def checked(moments: Any, wanted: int) -> Array:
    """Return moments (n, n_moments), checked to be of an order."""
    _, moments, order = checked_moments(moments)
    if order != wanted:
        raise StageError(
            STAGE,
            f"the moments are of order {order} and the dictionary is of order {wanted}",
            f"take moments of order {wanted}, or learn a dictionary from those of order {order}",
        )
    return moments


def sources(sources: Sequence[str] | None, number: int) -> list[str]:
    """Return what the micrographs are called."""
    named = [f"micrograph {i}" for i in range(number)] if sources is None else [str(name) for name in sources]
    if len(named) != number:
        raise StageError(
            STAGE, f"there are {len(named)} sources for {number} micrographs", "give one of each"
        )
    return named


def divided(sources: Sequence[str], matched: Sequence[bool]) -> dict[str, list[str]]:
    """Return the micrographs that a dictionary is of, and those that were left out."""
    parts: dict[str, list[str]] = {"sources": [], "left_out": []}
    for name, match in zip(sources, matched, strict=True):
        parts["sources" if match else "left_out"].append(name)
    return parts


def check_patch(known: float | None, patch_nm: float | None) -> None:
    """Refuse patches of another size in nm than those of a dictionary, where both are known."""
    if known and patch_nm and abs(patch_nm / known - 1) > OTHER_RING:
        raise StageError(
            STAGE,
            f"patches are {patch_nm:.3g} nm wide and the dictionary's are {known:.3g} nm",
            f"analyse with patches of {known:.3g} nm, or correct the pixel size",
        )


def patch_nm(analysis: Any) -> float | None:
    """Return the side of an analysis's patches in nm, None where it is not calibrated."""
    size = analysis.micrograph.pixel_size_nm
    return analysis.patch_size.pixels * size if size else None


def listed(analyses: Any) -> list[Any]:
    """Return one analysis or several as a list."""
    return [analyses] if hasattr(analyses, "moments") else list(analyses)


def of_analyses(analyses: Any) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Return moments, offsets and provenance of analyses that can be compared."""
    analyses = listed(analyses)
    if not analyses:
        raise StageError(STAGE, "there are 0 analyses", "give one at least")
    for name in ("order", "remove_background", "rotation_invariant"):
        values = {analysis.parameters[name] for analysis in analyses}
        if len(values) > 1:
            raise StageError(
                STAGE,
                f"the analyses have {name} {' and '.join(sorted(map(str, values)))}",
                "analyse all with the same",
            )
    sizes = [size for size in map(patch_nm, analyses) if size]
    if sizes and max(sizes) / min(sizes) - 1 > OTHER_RING:
        raise StageError(
            STAGE,
            f"the patches are between {min(sizes):.3g} and {max(sizes):.3g} nm wide",
            "leave out micrographs of other crystals, or correct pixel sizes or patch_size",
        )
    moments = [
        namespace.to_numpy(analysis.moments)[namespace.to_numpy(analysis.whole)] for analysis in analyses
    ]
    more = {name: analyses[0].parameters[name] for name in ("remove_background", "rotation_invariant")}
    more["patches_px"] = [float(analysis.patch_size.pixels) for analysis in analyses]
    more["patch_samples"] = [int(analysis.parameters["patch_samples"]) for analysis in analyses]
    return (
        np.concatenate(moments),
        np.cumsum([0, *map(len, moments)]),
        {
            "patch_nm": float(np.median(sizes)) if sizes else None,
            "sources": [str(analysis.micrograph.source) for analysis in analyses],
            "more": more,
        },
    )
