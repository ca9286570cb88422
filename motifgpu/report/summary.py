"""An analysis in numbers and sentences: what the command line prints and ``summary.json`` holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.namespace import to_numpy
from motifgpu.report.in_words import in_words

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis
    from motifgpu.motifs.shells import NeighborShells

_LOW_CONFIDENCE = 0.25  # of the patch size, below which a warning says so


def summary(analysis: Analysis) -> dict[str, Any]:
    """Return the main numbers of an analysis as a dict that JSON can hold.

    Parameters
    ----------
    analysis : Analysis

    Returns
    -------
    dict
        A motif that occurs with its number, name, share, density in columns per nm², identities, domains (-1
        for boundaries), number of environments, mean confidence and nearest shell is an entry of
        ``"motifs"``, the unassigned columns the last one, with label -1.
    """
    labels = to_numpy(analysis.motifs.labels)
    environments = to_numpy(analysis.motifs.environments)
    identities, domains = to_numpy(analysis.motifs.identities), to_numpy(analysis.motifs.domains)
    confidence = to_numpy(analysis.motifs.confidence)
    area = analysis.area_nm2
    height, width = analysis.micrograph.shape
    motifs = []
    for label in [*np.unique(labels[labels >= 0]).tolist(), *([-1] if (labels < 0).any() else [])]:
        member = labels == label
        inside = environments[member]
        motifs.append(
            {
                "label": label,
                "name": analysis.motifs.name(label),
                "count": int(member.sum()),
                "fraction": float(member.mean()),
                "per_nm2": float(member.sum() / area) if area else None,
                "identities": sorted(set(identities[member].tolist())),
                "domains": sorted(set(domains[member].tolist())),
                "environments": len(set(inside[inside >= 0].tolist())),
                "confidence": float(confidence[member].mean()) if member.any() else 0.0,
                "shell": nearest_shell(analysis.shells, label, analysis.motifs.name),
            }
        )
    hierarchy = analysis.hierarchy
    return {
        "source": analysis.micrograph.source,
        "shape": [height, width],
        "pixel_size_nm": analysis.micrograph.pixel_size_nm,
        "left_out_px": dict(analysis.micrograph.left_out),
        "columns": len(analysis.columns),
        "points": len(labels),
        "empty_sites": int(to_numpy(analysis.columns.empty).sum()),
        "undecided_sites": int(to_numpy(analysis.columns.undecided).sum()),
        "column_sigma_px": analysis.columns.sigma_px,
        "patch_size_px": analysis.patch_size.pixels,
        "n_motifs": sum(motif["label"] >= 0 for motif in motifs),
        "n_identities": int(identities.max(initial=-1)) + 1,
        "n_domains": int(domains.max(initial=-1)) + 1,
        "at_boundaries": int((domains < 0).sum()),
        "n_environments": len(set(environments[environments >= 0].tolist())),
        "in_words": in_words(analysis, motifs),
        "motifs": motifs,
        "n_motif_cells": None if hierarchy is None else len(hierarchy.nodes),
        "motif_cell_places": None if hierarchy is None else len(hierarchy.occurrences),
        "decisions": [str(decision) for decision in analysis.decisions],
        "warnings": analysis.warnings,
        "parameters": dict(analysis.parameters),
        "timings_s": dict(analysis.timings),
        "versions": dict(analysis.versions),
    }


def warnings(analysis: Analysis) -> list[str]:
    """Return what a reader of an analysis should know: what is unsure in it, left out or missing."""
    found = list(analysis.columns.notes)
    if analysis.patch_size.confidence < _LOW_CONFIDENCE:
        found.append(
            f"the patch size of {analysis.patch_size.pixels:.1f} px has a confidence of only "
            f"{analysis.patch_size.confidence:.2f}; compare the candidates"
        )
    found += analysis.motifs.notes
    unassigned = int(to_numpy(analysis.motifs.labels < 0).sum())
    if unassigned:
        belong = "column belongs" if unassigned == 1 else "columns belong"
        found.append(f"{unassigned:,} {belong} to no motif")
    if analysis.hierarchy is not None:
        found += analysis.hierarchy.warnings
    elif analysis.parameters["structure"] and analysis.parameters.get("lattice") != "none":
        found.append(f"no motif-cells and no hierarchy, because there is no lattice: {analysis.no_lattice}")
    tied = int(to_numpy(analysis.graph.tied).sum())
    if tied:
        found.append(f"{tied:,} columns have neighbours at equal distance, such as duplicates")
    found += [f"a decision does not fit: {decision}" for decision in analysis.decisions if decision.misfit]
    return found


def nearest_shell(shells: NeighborShells, label: int, name: Callable[[int], str]) -> str:
    """Return what the nearest shell of a motif holds most often: ``"3 × V_Se (around 87 % of them)"``, say.

    Parameters
    ----------
    shells : NeighborShells
    label : int
        Whose shell.
    name : callable
        Says what a motif is called.
    """
    if label < 0 or not shells.multisets or not shells.multisets[0][label]:
        return ""
    kinds = shells.multisets[0][label]
    members, number = kinds[0]
    held = {kind: members.count(kind) for kind in sorted(set(members))}
    text = " + ".join(f"{count} × {name(kind)}" for kind, count in held.items())
    total = sum(count for _, count in kinds)
    around = "all" if number == total else f"{min(100 * number / total, 99):.0f} %"
    return f"{text or 'nothing'} (around {around} of them)"
