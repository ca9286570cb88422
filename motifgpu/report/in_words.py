"""What is special in a sample, in a few sentences made of the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.core.text import counted, percent
from motifgpu.features.windows import gaps, window

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_RARE = 0.1  # share of the columns below which a motif is rare
_MOST = 4  # rare motifs that are described
_ALIKE = 0.5  # correlation of the mean patches of motifs on sites of one kind
_SAME = 0.05  # relative difference of brightness that is none
_UNSURE = 0.9  # mean confidence below which it is said


def in_words(analysis: Analysis, motifs: Sequence[Mapping[str, Any]]) -> str:
    """Return what is special in a sample.

    Parameters
    ----------
    analysis : Analysis
    motifs : sequence of mapping
        As in the summary.

    Returns
    -------
    str
        How many columns and motifs, which are common, which rare ones stand on the sites of which and how
        much dimmer or brighter they are, how sure that is, domains and sites without an atom.
    """
    found = [motif for motif in motifs if motif["label"] >= 0]
    total = len(to_numpy(analysis.motifs.labels))
    columns = counted(total, "atom column")
    if not found:
        return f"{columns}, none of which has a motif."
    common = [motif for motif in found if motif["fraction"] >= _RARE] or found[:1]
    rare = sorted((motif for motif in found if motif not in common), key=lambda motif: -motif["count"])
    names = listed([motif["name"] for motif in common])
    if len(found) == 1:
        members = "all" if common[0]["count"] == total else f"{common[0]['count']:,} of them"
        text = f"{columns}, {members} of one motif: {names}."
    elif not rare:
        text = f"{columns} in {len(found)} motifs, none of them rare: {names}."
    else:
        share = min(100 * sum(motif["fraction"] for motif in common), 99.9)  # beside rare ones never all
        text = f"{columns} in {len(found)} motifs. {share:.1f} % are {names}."
        text += " Rare: " + "; ".join(_described(analysis, motif, common) for motif in rare[:_MOST])
        left = sum(motif["count"] for motif in rare[_MOST:])
        text += f"; and {left:,} of {counted(len(rare) - _MOST, 'more motif')}." if left else "."
    domains = int(to_numpy(analysis.motifs.domains).max(initial=-1)) + 1
    if domains > 1:
        apart = int((to_numpy(analysis.motifs.domains) < 0).sum())
        beside = f"{apart:,}" if apart else "none"
        text += f" The columns are in {domains} domains, {beside} of them at boundaries."
    empty = int(to_numpy(analysis.columns.empty).sum())
    if empty:
        text += f" At {counted(empty, 'site')} of the lattice no atom is seen."
    return text


def listed(names: Sequence[str]) -> str:
    """Return names in words: with commas, and before the last one *and*."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _described(analysis: Analysis, motif: Mapping[str, Any], common: Sequence[Mapping[str, Any]]) -> str:
    """Say what a rare motif is beside the common one on whose sites it stands."""
    text = f"{motif['count']:,} {motif['name']} ({percent(motif['fraction'])}"
    if motif["per_nm2"]:
        text += f", {motif['per_nm2']:.2g} per nm²"
    text += ")"
    means = to_numpy(analysis.motifs.means).astype(np.float64)
    own = means[motif["label"]]
    patterns = {other["label"]: _correlation(own[1:], means[other["label"]][1:]) for other in common}
    host = max(common, key=lambda other: patterns[other["label"]])
    order = analysis.parameters["order"]
    usual = means[host["label"]]
    if patterns[host["label"]] > _ALIKE and usual.any():
        middle, dark = window(order), gaps(usual, order)
        height = float(usual @ (middle - dark))
        apart = float((own - usual) @ (middle - dark)) / height if height else 0.0
        text += f" on sites of {host['name']}, {_brightness(apart)}"
    if motif["confidence"] < _UNSURE:
        text += f", with a confidence of only {motif['confidence']:.2f}"
    return text


def _brightness(apart: float) -> str:
    """Say how bright a motif is beside another, by which part of its height they are apart."""
    if abs(apart) <= _SAME:
        return "as bright"
    if apart <= -1:
        return "as dark as what is between columns"
    return f"{100 * abs(apart):.0f} % {'brighter' if apart > 0 else 'dimmer'}"


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / length if length else 0.0
