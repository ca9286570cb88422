"""Runs all of scikit-learn's checks on the estimators named and prints, as JSON, which each failed.

A program, because SCIPY_ARRAY_API must be set before SciPy is imported.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from sklearn.utils.estimator_checks import check_estimator

from motifgpu.core import namespace
from motifgpu.estimators import ForceRelaxation, MotifClusterer, ZernikeFeatures
from motifgpu.estimators.validation import validated


class AnyWidth(ZernikeFeatures):
    """Moments of rows of any width, repeated or cut to 36 pixels: all is checked but what a patch is."""

    def __init__(self, order: int = 1, *, rotation_invariant: bool = False) -> None:
        super().__init__(order, rotation_invariant=rotation_invariant)

    def _patches(self, X: Any, *, reset: bool) -> Any:
        X = validated(self, X, reset=reset)
        xp = namespace.array_namespace(X)
        wide = xp.concat([X] * (36 // X.shape[1] + 1), axis=1)[:, :36]
        return xp.reshape(wide, (X.shape[0], 6, 6))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        return tags


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found = {}
    every = {
        type(one).__name__: one
        for one in (ForceRelaxation(), MotifClusterer(), ZernikeFeatures(), AnyWidth())
    }
    for estimator in (every[name] for name in sys.argv[1:]):
        results = check_estimator(estimator, on_skip=None, on_fail=None)
        found[type(estimator).__name__] = {
            "passed": [r["check_name"] for r in results if r["status"] == "passed"],
            "failed": [r["check_name"] for r in results if r["status"] not in ("passed", "skipped")],
            "skipped": sorted({str(r["exception"]) for r in results if r["status"] == "skipped"}),
        }
    print(json.dumps(found))
