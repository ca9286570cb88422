"""Twist angles against truth, the nine cases of Fig. S22, and labels by induced anchors."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from scipy.spatial import cKDTree

from benchmarks.results import record
from motifgpu import (
    domain_divergence,
    extract_patches,
    find_columns,
    induce_anchors,
    label_by_anchors,
    label_domains,
    rotation_invariants,
    simulate,
    smooth,
    twist_angle,
    zernike_moments,
)


def test_twist_angles() -> None:
    """Error by split and dose, two sizes of image."""
    figures = []
    for side in (512, 1024):
        for split in (0.6, 1.1, 1.35, 1.5, 1.65, 1.75, 2.0, 3.0, 5.0, 8.0, 12.0):
            twist = math.degrees(2 * math.asin(split * math.sqrt(3) * 20 / (4 * side)))
            for counts in (3.0, 30.0):
                for seed in range(2):
                    truth = simulate.bilayer(
                        shape=(side, side), twist=twist, counts=counts, angle=23.0 * seed, seed=seed
                    )
                    begin = time.process_time()
                    found = twist_angle(truth.image)
                    figures.append(
                        {
                            "side": side,
                            "split": split,
                            "twist": twist,
                            "counts": counts,
                            "error": found.degrees - twist,
                            "standard_error": found.error,
                            "reason": found.reason,
                            "seconds": time.process_time() - begin,
                        }
                    )
    record("twist_angles", figures)
    for row in figures:
        if row["split"] >= 1.7:
            assert abs(row["error"]) < 0.02, row
        elif row["split"] >= 1.3:
            assert math.isnan(row["error"]) or abs(row["error"]) < 0.05, row
        else:
            assert math.isnan(row["error"]), row
            assert row["reason"], row


@pytest.mark.quick
def test_twist_by_search() -> None:
    """The paper's search (Fig. S21) beside the fit."""
    figures = []
    for twist in (1.5, 2.0, 3.15, 5.0, 10.0, 21.79, 29.0):
        image = simulate.bilayer(twist=twist, angle=4.0, seed=1).image
        both = {method: twist_angle(image, method).degrees - twist for method in ("fit", "search")}
        figures.append({"twist": twist, **both})
    record("twist_by_search", figures)


def test_nine_cases() -> None:
    """Fig. S22: twist, divergence between domains of a kind with its null, and labels by induced anchors."""
    figures = []
    for number in range(9):
        truth = simulate.twist_case(number, (1400, 1400), angle=7.0, seed=number)
        twist = twist_angle(truth.image)
        # Where nothing is noise, prominence is all that the choice of columns needs.
        points = find_columns(truth.image, "prominence" if number < 4 else "auto").points
        patches, inside = extract_patches(smooth(truth.image), points, 35)
        points, moments = points[inside], zernike_moments(patches)
        features = rotation_invariants(moments)
        length = float(np.linalg.norm(truth.moire, axis=1).min())
        radius = 0.45 * length
        whole = ((truth.domains > radius + 18) & (truth.domains < 1399 - 18 - radius)).all(axis=1)
        divergence = {}
        for kind, name in enumerate(truth.stacking_names):
            centers = truth.domains[whole & (truth.domain_labels == kind)]
            found = domain_divergence(features, points, centers, radius)
            divergence[name] = {
                "domains": len(centers),
                "points": float(found.counts.mean()),
                "bins": found.bins,
                "mean": found.mean,
                "deviation": found.deviation,
                "null": found.null_mean,
                "null_deviation": found.null_deviation,
                "expected": found.expected,
                "least_p_value": float(found.p_values.min()),
            }
        distance, nearest = cKDTree(truth.domains).query(points)
        domain = truth.domain_labels[nearest]
        anchors = induce_anchors(moments, points)
        stands_for = np.array(
            [np.bincount(domain[anchors.rows[anchors.labels == c]]).argmax() for c in range(3)]
        )
        labels, _ = label_by_anchors(moments, anchors)
        right = stands_for[labels] == domain
        composed = label_domains(points, labels)
        middles = composed.centers[composed.complete]
        away, at = cKDTree(middles).query(truth.domains[whole])
        meant = stands_for[composed.labels[composed.complete]][at] == truth.domain_labels[whole]
        figures.append(
            {
                "case": number,
                **simulate.TWIST_CASES[number]._asdict(),
                "twist_error": twist.degrees - truth.twist,
                "twist_standard_error": twist.error,
                "divergence": divergence,
                "stackings_found": len(set(stands_for.tolist())),
                "labels_right": float(right.mean()),
                "labels_right_in_cores": float(right[distance < 0.25 * length].mean()),
                "domains_whole": int(whole.sum()),
                "domains_found": int((meant & (away < 0.15 * length)).sum()),
            }
        )
    record("nine_cases", figures)
    for row in figures:
        assert abs(row["twist_error"]) < 0.02, row
        assert row["stackings_found"] == 3, row
        assert row["domains_found"] >= 0.85 * row["domains_whole"], row
    assert abs(figures[0]["twist_error"]) < 1e-4
    # Far below the 0.184 of the paper's image: none of these nuisances makes domains differ that much.
    assert max(each["mean"] for row in figures for each in row["divergence"].values()) < 0.1
