from __future__ import annotations

import numpy as np
import pytest
from support.backends import same_home
from support.dictionaries import (
    DEFECTS,
    INTENSITY,
    OTHER_CRYSTAL,
    PATTERN,
    STRANGERS,
    agreement,
    called,
    columns,
    learned,
)

from motifgpu import dictionary, simulate
from motifgpu.core.namespace import to_numpy
from motifgpu.dictionary import MotifDictionary
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.pipeline import analyze


@pytest.mark.parametrize("counts", [10, 30])
def test_unknown_dopants_are_unseen_and_known_columns_are_not(counts):
    own = columns(counts, 7, (400, 400), dopants=STRANGERS)
    found = learned(counts).assign(own.moments)
    strangers = np.isin(own.names, ["Fe", "TeSe"])
    assert found.unseen[strangers].mean() >= 0.9
    assert found.unseen[~strangers].mean() <= 0.01
    assert (found.reason[strangers & found.unseen] == INTENSITY).mean() > 0.9
    assert (found.labels[found.unseen] == -1).all()
    assert (found.confidence[found.unseen] == 0).all()
    assert ((found.strangeness > 1) == found.unseen).all()


def test_places_that_are_no_columns_are_unseen_by_their_pattern():
    truth = simulate.monolayer("MoSe2", shape=(360, 360), counts=10, seed=3, **DEFECTS)
    patches, _ = extract_patches(truth.image, truth.points, 38)
    random = np.random.default_rng(0).uniform(20, 340, (150, 2)).astype(np.float32)
    far = np.hypot(*(random[:, None] - truth.points).T).min(axis=0) > 4
    others, _ = extract_patches(truth.image, random[far], 38)
    found = learned().assign(zernike_moments(np.concatenate([patches, others])))
    assert found.unseen[: len(patches)].mean() < 0.01
    assert found.unseen[len(patches) :].mean() > 0.9
    assert (found.reason[len(patches) :] == PATTERN).mean() > 0.85


@pytest.mark.parametrize(
    "options",
    [
        {"angle": 17.0},
        {"angle": 60.0},
        {"angle": -100.0},
        {"background": 0.7},
        {"drift": (5.0, 5.0)},
        {"strain": ((0.02, 0.01), (-0.01, -0.02))},
        {"vacancies": 0.3},
        {"vacancies": 0.0, "divacancies": 0.0, "dopants": {}},
        {"sigma": 0.16},
        {"sigma": 0.12},
        {"counts": 3},
        {"counts": 100},
    ],
    ids=lambda options: " ".join(options),
)
def test_columns_of_other_micrographs_keep_their_names(options):
    own = columns(**{"counts": 10, "seed": 5, **options})
    found = learned().assign(own.moments)
    assert (found.labels == called(own.names)).mean() > 0.985
    [alignment] = found.alignments
    turn = (alignment.turns[0] - options.get("angle", 0.0)) % 120
    assert min(turn, 120 - turn) < 0.6
    assert len(alignment.turns) == 1


@pytest.mark.parametrize("angle", [25.0, 60.0])
def test_grains_and_twins_keep_their_names(angle):
    own = columns(10, 5, (400, 400), grains=(0.0, angle))
    found = learned().assign(own.moments)
    assert len(found.alignments[0].turns) == 2
    others = [own.points[own.grain != grain] for grain in own.grain]
    inner = np.array([np.hypot(*(o - p).T).min() > 40 for o, p in zip(others, own.points, strict=True)])
    right = found.labels == called(own.names)
    assert right[inner].mean() > 0.985
    # Beside the boundary columns are unseen rather than wrong.
    assert found.unseen[~inner].mean() > 3 * found.unseen[inner].mean()
    assert (right | found.unseen)[~inner].mean() > 0.95


def test_gain_and_offset_of_the_detector_change_no_label():
    own = columns(10, 5)
    plain = learned().assign(own.moments)
    changed = 730.0 * own.moments.astype(np.float64)
    changed[:, 0] -= 4e4
    found = learned().assign(changed)
    assert found.labels.tolist() == plain.labels.tolist()
    assert found.alignments[0].gain == pytest.approx(730 * plain.alignments[0].gain, rel=1e-3)
    assert found.alignments[0].offset == pytest.approx(730 * plain.alignments[0].offset - 4e4, abs=30)


@pytest.mark.parametrize("material", ["WS2", "square"])
def test_another_crystal_is_unseen_as_a_whole(material):
    if material == "square":
        truth = simulate.crystal_p4m(shape=(360, 360), counts=30.0, seed=0)
        moments = zernike_moments(extract_patches(truth.image, truth.points, 38)[0])
    else:
        moments = columns(10, 5, material="WS2", dopants={}).moments
    found = learned().assign(moments)
    assert found.unseen.all()
    assert (found.reason == OTHER_CRYSTAL).all()
    assert (found.labels == -1).all()
    assert (found.environments == -1).all()
    assert np.isinf(found.strangeness).all()
    assert found.alignments[0].turns == ()


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_few_columns_are_unseen_and_no_error(rows):
    found = learned().assign(columns(10, 5).moments[:rows])
    assert found.labels.shape == (rows,)
    assert found.unseen.shape == (rows,)
    equal = learned().assign(np.ones((rows, 66)))
    assert equal.unseen.all()


def test_a_micrograph_has_the_same_bits_in_any_company():
    parts = [columns(10, 5).moments, columns(10, 6, angle=17.0).moments, columns(30, 7).moments]
    limits = np.cumsum([0, *map(len, parts)])
    together = learned().assign(np.concatenate(parts), limits)
    for i, part in enumerate(parts):
        alone = learned().assign(part.copy())
        rows = slice(limits[i], limits[i + 1])
        for name in ("labels", "environments", "confidence", "unseen", "reason", "strangeness"):
            assert getattr(together, name)[rows].tobytes() == getattr(alone, name).tobytes(), name
    some = learned().assign(parts[1][30:77], alignments=together.alignments[1:2])
    assert some.confidence.tobytes() == together.confidence[limits[1] + 30 : limits[1] + 77].tobytes()


def test_every_backend_says_the_same(xp_array):
    own = columns(10, 5, grains=(0.0, 60.0))
    here = learned().assign(own.moments)
    on_backend = xp_array(own.moments)
    found = learned().assign(on_backend)
    for name in ("labels", "environments", "confidence", "unseen", "reason", "strangeness"):
        assert same_home(getattr(found, name), on_backend), name
    assert to_numpy(found.labels).tolist() == here.labels.tolist()
    assert to_numpy(found.environments).tolist() == here.environments.tolist()
    assert to_numpy(found.confidence) == pytest.approx(here.confidence, abs=1e-3)
    again = learned().motifs(on_backend)
    assert to_numpy(again.labels).tolist() == here.labels.tolist()
    assert to_numpy(again.counts).tolist() == np.bincount(here.labels[here.labels >= 0]).tolist()


@pytest.mark.slow
def test_half_of_a_real_micrograph_names_the_whole_and_not_another_detector(data_folder):
    first, second = (
        analyze(data_folder / "TiWSe2" / name, structure=False) for name in ("adf1.dm4", "adf2.dm4")
    )
    left = first.points[:, 1] < np.median(first.points[:, 1])
    dictionary = MotifDictionary.learn_pooled(first.moments[left])
    found = dictionary.assign(first.moments)
    assert agreement(first.motifs.labels, found.labels) > 0.97
    assert found.unseen.mean() < 0.01
    # The other detector has chalcogens bright and metal dim.
    assert (dictionary.assign(second).reason == OTHER_CRYSTAL).all()


def test_the_former_names_of_alignments_work_and_are_deprecated():
    own = columns(30, 5).moments
    found = learned().assign(own)
    with pytest.warns(DeprecationWarning, match="Assignment.frames is now called alignments"):
        former = found.frames
    assert former is found.alignments
    with pytest.warns(
        DeprecationWarning, match="argument frames of MotifDictionary.assign is now called align"
    ):
        again = learned().assign(own[:40], frames=former)
    assert again.alignments == found.alignments
    with pytest.warns(DeprecationWarning, match="Frame is now called Alignment"):
        assert dictionary.Frame is dictionary.Alignment
