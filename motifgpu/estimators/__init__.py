"""The stages as scikit-learn estimators: patches -> moments -> layout or motifs.

They follow the array namespace and device of their input, whether or not scikit-learn's array API dispatch is
on, and join in a Pipeline: ``make_pipeline(ZernikeFeatures(), MotifClusterer())`` labels patches.
"""

from __future__ import annotations

from motifgpu.estimators.clusterer import MotifClusterer
from motifgpu.estimators.features import ZernikeFeatures
from motifgpu.estimators.layout import ForceRelaxation

__all__ = ["ForceRelaxation", "MotifClusterer", "ZernikeFeatures"]
