from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score
from support.backends import same_home

from motifgpu import simulate
from motifgpu.core import packing
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.motifs.find import find_motifs
from motifgpu.motifs.identity import IdentityModel
from motifgpu.motifs.mixture import Mixture
from motifgpu.motifs.sublattices import Split

DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}
CASES: list[dict[str, Any]] = [{}, {"background": 1.0}, {"grains": (0.0, 25.0)}, {"grains": (0.0, 60.0)}]


@functools.lru_cache(maxsize=8)
def columns(counts, seed=0, **options):
    truth = simulate.monolayer("MoSe2", shape=(300, 300), counts=counts, seed=seed, **DEFECTS, **options)
    patches, inside = extract_patches(truth.image, truth.points, 38)
    return zernike_moments(patches), truth.labels[inside]


@pytest.mark.parametrize("options", CASES, ids=["plain", "background", "grains", "twins"])
@pytest.mark.parametrize("counts", [pytest.param(1, marks=pytest.mark.slow), 10])
def test_columns_of_the_fit_are_classified_as_in_the_fit(counts, options):
    moments, _ = columns(counts, **options)
    model, identities = IdentityModel.fit(moments)
    found = find_motifs(moments)
    assert identities.labels.tolist() == found.labels.tolist()
    again = model.classify(moments)
    assert again.labels.tolist() == found.labels.tolist()
    assert again.confidence == pytest.approx(found.confidence, abs=1e-4)


@pytest.mark.parametrize("counts", [3, 10, 100])
def test_columns_never_seen_are_classified(counts):
    model, _ = IdentityModel.fit(columns(counts)[0])
    moments, truth = columns(counts, seed=1)
    found = model.classify(moments)
    assert adjusted_mutual_info_score(truth, found.labels) > 0.98
    assert np.abs(found.deviation).mean() == pytest.approx(0.8, abs=0.2)


def test_a_column_has_the_same_bits_in_any_company():
    moments, _ = columns(10, grains=(0.0, 60.0))
    model, _ = IdentityModel.fit(moments)
    whole = model.classify(moments)
    for part in (slice(0, 1), slice(3, 40), slice(7, None)):
        for a, b in zip(whole, model.classify(moments[part]), strict=True):
            assert a[part].tobytes() == b.tobytes()
    empty = model.classify(moments[:0])
    assert [a.shape for a in empty] == [(0,)] * 6


def test_its_arrays_are_the_whole_model():
    moments, _ = columns(10, grains=(0.0, 60.0))
    model, _ = IdentityModel.fit(moments)
    types = IdentityModel, Mixture, Split
    _, arrays = packing.pack(model, types, stage="test", where="model", plain=True)
    assert all(array.dtype.kind in "if" for array in arrays.values())
    outline = packing.outline(IdentityModel, arrays, "model")
    copy = packing.unpack(outline, types, arrays.__getitem__)
    for a, b in zip(model.classify(moments), copy.classify(moments), strict=True):
        assert a.tobytes() == b.tobytes()


def test_classes_that_are_too_small_are_unassigned_in_the_model_too():
    moments, _ = columns(10)
    model, identities = IdentityModel.fit(moments, min_size=30)
    assert (identities.labels == -1).any()
    again = model.classify(moments)
    assert again.labels.tolist() == identities.labels.tolist()
    assert (again.confidence[again.labels < 0] == 0).all()


def test_every_backend_classifies_alike(xp_array):
    moments, _ = columns(10, grains=(0.0, 60.0))
    model, identities = IdentityModel.fit(moments)
    on_backend = xp_array(moments)
    found = model.classify(on_backend)
    assert all(same_home(part, on_backend) for part in found)
    assert to_numpy(found.labels).tolist() == identities.labels.tolist()


def test_moments_of_another_order_are_refused():
    model, _ = IdentityModel.fit(columns(10)[0])
    with pytest.raises(StageError, match="moments are of order 2 and the model is of order 10; take moments"):
        model.classify(np.ones((4, 6)))
