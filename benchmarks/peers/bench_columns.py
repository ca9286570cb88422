"""Columns by atomap beside ours, on the same simulated images.

atomap is called as its documentation says: positions with PCA, background and intensity corrected, then
refined by centre of mass and by two-dimensional Gaussians. It needs a separation, and gets the best of four,
told the truth.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest

from benchmarks.bench_columns import CONSTANT, DEFECTS, _mean, _ours, _score, _simulated
from benchmarks.peers.packages import atomap_candidates, atomap_refined
from benchmarks.results import record

SEPARATIONS = (5, 7, 9, 11)

pytestmark = pytest.mark.usefixtures("one_thread")


def quality(truth: Any, xy: np.ndarray) -> dict[str, float]:
    score = _score(truth, xy[:, ::-1])
    return {"precision": score.precision, "recall": score.recall, "rms_px": score.rms}


def by_atomap(truth: Any, separation: int) -> dict[str, float]:
    start = time.process_time()
    found = atomap_refined(truth.image, atomap_candidates(truth.image, separation))
    return quality(truth, found) | {"cpu_s": time.process_time() - start}


def test_columns_by_atomap(seeds: range) -> None:
    hyperspy = pytest.importorskip("hyperspy.api", reason="atomap is not installed")
    hyperspy.set_log_level("ERROR")  # a warning for every fit that does not converge
    figures = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for counts in (1, 10, 100):
            truths = [_simulated("MoSe2", counts, seed, **DEFECTS) for seed in seeds[:3]]
            tried = {
                separation: quality(truths[0], atomap_candidates(truths[0].image, separation))
                for separation in SEPARATIONS
            }
            best = max(tried, key=lambda s: tried[s]["precision"] * tried[s]["recall"])
            theirs = [by_atomap(truth, best) for truth in truths]
            ours = [_ours(truth, truth.image) for truth in truths]
            figures.append(
                {
                    "counts": counts,
                    "seeds": len(truths),
                    "lattice_constant_px": CONSTANT,
                    "separation_px": best,
                }
                | {"atomap": _mean(theirs), "motifgpu": _mean(ours)}
            )
            print(figures[-1])
    record("columns_by_atomap", figures)
    for row in figures:
        assert row["motifgpu"]["precision"] >= row["atomap"]["precision"] - 0.01, row
