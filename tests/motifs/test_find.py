from __future__ import annotations

import functools

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score
from support.backends import same_home

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import array_namespace, to_numpy
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import rotation_invariants, zernike_moments
from motifgpu.motifs.find import find_motifs

# Position error of columns found at these counts, px.
ERROR = {1: 0.69, 3: 0.48, 10: 0.28, 30: 0.18, 100: 0.12, None: 0.0}
DEFECTS = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}


@functools.lru_cache(maxsize=16)
def columns(counts, seed=0, shape=(360, 360), material="MoSe2", size=38, perfect=False, **options):
    """Moments, identities and environments of the columns whose patch fits."""
    defects = {} if perfect else DEFECTS
    truth = simulate.monolayer(material, shape=shape, counts=counts, seed=seed, **defects, **options)
    error = np.random.default_rng(seed).normal(0, ERROR[counts], truth.points.shape).astype(np.float32)
    patches, inside = extract_patches(truth.image, truth.points + error, size)
    return zernike_moments(patches), truth.labels[inside], truth.environments[inside]


@functools.cache
def found(counts):
    """The motifs of `columns`."""
    return find_motifs(columns(counts)[0])


def islands(labels, seed=0):
    """A layout in which each label is an island."""
    angle = 2 * np.pi * labels / (labels.max() + 1)
    centres = 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (centres + np.random.default_rng(seed).normal(size=centres.shape)).astype(np.float32)


def agreement(a, b):
    return adjusted_mutual_info_score(to_numpy(a), to_numpy(b))


def nested(coarse, fine):
    coarse, fine = to_numpy(coarse), to_numpy(fine)
    pairs = np.unique(np.stack([coarse, fine])[:, fine >= 0], axis=1)
    return pairs.shape[1] == np.unique(fine[fine >= 0]).size and (fine[coarse < 0] < 0).all()


@pytest.mark.parametrize("counts", [3, 10, 100, None])
def test_columns_and_their_environments_are_found_without_being_told_how_many(counts):
    _, identity, environment = columns(counts)
    motifs = found(counts)
    assert len(motifs.counts) == 5
    assert agreement(identity, motifs.labels) > 0.98
    assert agreement(environment, motifs.environments) > 0.95
    assert motifs.confidence.min() > 0.3
    assert motifs.confidence.mean() > 0.99


@pytest.mark.parametrize("material", ["MoSe2", "WS2"])
@pytest.mark.parametrize("counts", [1, 10, 100])
def test_a_perfect_crystal_has_its_two_columns(material, counts):
    moments, identity, _ = columns(counts, 0, (256, 256), material, perfect=True)
    motifs = find_motifs(moments)
    assert agreement(identity, motifs.labels) == 1.0
    assert agreement(identity, motifs.environments) == 1.0


@pytest.mark.parametrize("counts", [1, 10])
def test_a_lattice_of_one_column_has_one_motif(counts):
    rows, cols = np.mgrid[0:240, 0:240]
    clean = counts * np.exp(-((rows % 20 - 10.0) ** 2 + (cols % 20 - 10.0) ** 2) / 18)
    image = np.random.default_rng(0).poisson(clean).astype(np.float32)
    points = np.stack(np.mgrid[10:240:20, 10:240:20], axis=-1).reshape(-1, 2).astype(np.float32)
    patches, _ = extract_patches(image, points, 40)
    motifs = find_motifs(zernike_moments(patches))
    assert motifs.counts.tolist() == [patches.shape[0]]
    assert not motifs.environments.any()


def test_identity_does_not_depend_on_orientation():
    moments, identity, _ = columns(10, grains=(0.0, 25.0))
    motifs = find_motifs(moments)
    assert agreement(identity, motifs.labels) > 0.97
    # Seen in the image, though, neighbours stand in other directions.
    assert motifs.environments.max() + 1 >= 4


def test_twins_have_the_same_columns():
    # Turned by 60 degrees, each sublattice has the pattern of the other one of the first grain.
    moments, identity, _ = columns(10, grains=(0.0, 60.0))
    assert agreement(identity, find_motifs(moments).labels) > 0.9


def test_a_dopant_as_bright_as_the_other_sublattice_is_no_part_of_it():
    # With this exponent a tungsten atom is as bright as two selenium atoms.
    truth = simulate.monolayer(shape=(300, 300), exponent=0.8916, seed=1, dopants={"W": 0.05})
    patches, inside = extract_patches(truth.image, truth.points, 38)
    moments, identity = zernike_moments(patches), truth.labels[inside]
    motifs = find_motifs(moments)
    assert len(motifs.counts) == 3
    assert agreement(identity, motifs.labels) == 1.0


def test_a_slow_background_does_not_move_columns_between_classes():
    moments, identity, environment = columns(10, background=1.0)
    motifs = find_motifs(moments)
    assert len(motifs.counts) == 5
    assert agreement(identity, motifs.labels) > 0.97
    assert agreement(environment, motifs.environments) > 0.95


def test_results_agree_on_every_backend(xp_array):
    moments, *_ = columns(10)
    expected = found(10)
    on_backend = xp_array(moments)
    motifs = find_motifs(on_backend)
    for name in ("labels", "environments", "counts", "means", "confidence"):
        assert same_home(getattr(motifs, name), on_backend), name
    xp = array_namespace(on_backend)
    assert motifs.labels.dtype == motifs.environments.dtype == xp.int32
    assert motifs.means.dtype == motifs.confidence.dtype == on_backend.dtype
    assert to_numpy(motifs.labels).tolist() == expected.labels.tolist()
    assert to_numpy(motifs.environments).tolist() == expected.environments.tolist()
    assert to_numpy(motifs.means) == pytest.approx(expected.means, abs=1e-4)


@pytest.mark.parametrize("method", ["columns", "mixture", "regions", "hdbscan", "kmeans"])
@pytest.mark.parametrize("environments", ["neighbors", "regions", "hdbscan"])
def test_labels_are_canonical_and_environments_nested(method, environments):
    moments, identity, environment = columns(10)
    n_motifs = 5 if method == "kmeans" else None
    motifs = find_motifs(
        moments,
        islands(identity if method != environments else environment),
        method=method,
        environments=environments,
        n_motifs=n_motifs,
    )
    labels, counts = motifs.labels, motifs.counts
    assert nested(motifs.labels, motifs.environments)
    assert counts.tolist() == np.bincount(labels[labels >= 0]).tolist()
    for partition in (labels, motifs.environments):
        sizes = np.bincount(partition[partition >= 0])
        first = np.array([np.flatnonzero(partition == k)[0] for k in range(sizes.size)])
        assert (np.lexsort((first, -sizes)) == np.arange(sizes.size)).all()
    confidence = motifs.confidence
    assert ((confidence >= 0) & (confidence <= 1 + 1e-6)).all()
    assert (confidence[labels < 0] == 0).all()
    for k in range(counts.size):
        assert motifs.means[k] == pytest.approx(moments[labels == k].mean(axis=0), abs=1e-3)


@pytest.mark.parametrize("method", ["regions", "hdbscan", "kmeans"])
def test_islands_of_the_layout_are_motifs(method):
    moments, identity, environment = columns(10)
    motifs = find_motifs(
        moments,
        islands(identity),
        method=method,
        environments="regions",
        n_motifs=5 if method == "kmeans" else None,
    )
    big = np.bincount(identity)[identity] >= 15
    assert agreement(identity[big], motifs.labels[big]) > 0.98


def test_mixture_of_small_patches_finds_the_columns():
    moments, identity, _ = columns(10, size=18)
    motifs = find_motifs(moments, islands(identity), method="mixture", environments="regions")
    assert agreement(identity, motifs.labels) > 0.95


def test_features_that_are_no_moments_can_be_clustered():
    moments, identity, _ = columns(10, size=18)
    invariants = rotation_invariants(moments)
    motifs = find_motifs(invariants, islands(identity), method="mixture", environments="regions")
    assert motifs.means.shape == (len(motifs.counts), 36)


def test_sites_without_neighbours_are_divided_by_the_layout():
    truth = simulate.patches((300, 40), folds=3, centers=(1.0, 1.0), distance=200.0, size=48, counts=30)
    layout = islands(truth.labels)
    motifs = find_motifs(zernike_moments(truth.patches), layout)
    assert motifs.counts.tolist() == [340]
    assert agreement(truth.labels, motifs.environments) == 1.0
    assert not find_motifs(zernike_moments(truth.patches)).environments.any()


@pytest.mark.parametrize(
    "n_motifs", [2, pytest.param(3, marks=pytest.mark.slow), 5, pytest.param(7, marks=pytest.mark.slow)]
)
def test_number_of_motifs_can_be_told(n_motifs):
    moments, identity, _ = columns(10)
    for method in ("columns", "mixture"):
        motifs = find_motifs(moments, method=method, n_motifs=n_motifs)
        assert len(motifs.counts) == n_motifs
    if n_motifs == 5:
        assert agreement(identity, find_motifs(moments, n_motifs=5).labels) > 0.98


def test_small_classes_are_unassigned():
    moments, identity, _ = columns(10)
    sizes = np.sort(np.bincount(identity))
    motifs = find_motifs(moments, min_size=int(sizes[1]) + 1)
    assert motifs.counts.tolist() == sizes[:1:-1].tolist()
    lost = motifs.labels < 0
    assert lost.sum() == sizes[:2].sum()
    assert (motifs.environments[lost] == -1).all()
    assert (motifs.confidence[lost] == 0).all()


def test_row_order_changes_no_class():
    moments, *_ = columns(3)
    shuffled = np.random.default_rng(0).permutation(len(moments))
    a, b = found(3), find_motifs(moments[shuffled])
    assert a.counts.tolist() == b.counts.tolist()
    assert agreement(a.labels[shuffled], b.labels) == pytest.approx(1.0)
    assert agreement(a.environments[shuffled], b.environments) == pytest.approx(1.0)


def test_gain_and_offset_of_the_detector_change_nothing():
    moments, *_ = columns(10)
    changed = 730.0 * moments.astype(np.float64)
    changed[:, 0] -= 4e4
    assert find_motifs(changed).labels.tolist() == found(10).labels.tolist()


def test_duplicated_columns_share_their_labels():
    moments, identity, _ = columns(10)
    motifs = find_motifs(np.concatenate([moments, moments[:50]]))
    assert motifs.labels[:50].tolist() == motifs.labels[-50:].tolist()
    assert agreement(identity, motifs.labels[:-50]) > 0.98


SIGNS = np.resize(np.array([1.0, -1.0], np.float32), 66)


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_equal_patches_are_one_motif(value):
    for n in (3, 40, 2000):
        motifs = find_motifs(np.full((n, 66), value, np.float32) * SIGNS, np.zeros((n, 2)))
        assert motifs.counts.tolist() == [n]
        assert not motifs.environments.any()
        assert (motifs.confidence == 1).all()
        assert (motifs.means == value * SIGNS).all()


def test_too_few_columns_for_a_motif_are_unassigned():
    motifs = find_motifs(np.ones((2, 66), np.float32) * SIGNS)
    assert motifs.labels.tolist() == motifs.environments.tolist() == [-1, -1]
    assert motifs.means.shape == (0, 66)
    assert find_motifs(np.ones((1, 66)) * SIGNS, min_size=1).labels.tolist() == [0]


GOOD = np.random.default_rng(0).normal(size=(30, 66)).astype(np.float32)


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((np.zeros((0, 66)),), {}, "there are 0 columns; give the moments of at least one"),
        ((GOOD[0],), {}, "moments has shape (66,); give an array of 2 dimensions"),
        ((np.full((5, 66), np.nan),), {}, "moments has 330 of 330 values that are NaN or infinite"),
        (
            (GOOD, np.zeros((29, 2))),
            {},
            "layout has shape (29, 2) and there are 30 columns; give one of shape",
        ),
        ((GOOD, np.full((30, 2), np.inf)), {}, "layout has 60 of 60 values that are NaN or infinite"),
        (
            (GOOD,),
            {"method": "gmm"},
            "method is 'gmm'; choose one of columns, mixture, regions, hdbscan, kmeans",
        ),
        (
            (GOOD,),
            {"environments": "all"},
            "environments is 'all'; choose one of neighbors, regions, hdbscan",
        ),
        (
            (GOOD,),
            {"method": "regions"},
            "layout is None and 'regions' clusters it; give the layout of relax",
        ),
        ((GOOD,), {"environments": "hdbscan"}, "layout is None and 'hdbscan' clusters it"),
        ((GOOD,), {"method": "kmeans"}, "n_motifs is None; give n_motifs, or choose the method columns"),
        ((GOOD,), {"n_motifs": 31}, "n_motifs is 31 and there are 30 columns; give n_motifs of at most"),
        ((GOOD,), {"n_motifs": 0}, "n_motifs is 0; give a whole number of at least 1"),
        ((GOOD,), {"n_motifs": 2.5}, "n_motifs is 2.5; give a whole number of at least 1"),
        ((GOOD,), {"min_size": 0}, "min_size is 0; give a whole number of at least 1"),
        (
            (GOOD, GOOD[:, :2]),
            {"method": "regions", "n_motifs": 2},
            "n_motifs is 2 and the method 'regions' finds",
        ),
        (
            (GOOD[:, :65],),
            {},
            "moments have shape (30, 65), no whole order, so no patch can be rebuilt; give",
        ),
        (
            (np.abs(GOOD[:, :36]),),
            {},
            "no moment is negative, as if they were rotation invariants; give the mom",
        ),
        (
            (np.ones((30, 66)) * SIGNS,),
            {"n_motifs": 2},
            "n_motifs is 2 and the columns of 1 sublattices make at most 1",
        ),
        (
            (np.ones((30, 66)) * SIGNS,),
            {"n_motifs": 2, "method": "mixture"},
            "n_motifs is 2 and only 1 columns differ",
        ),
    ],
)
def test_bad_input_says_what_to_do(arguments, options, text):
    with pytest.raises(StageError, match=r"^motifs: ") as caught:
        find_motifs(*arguments, **options)
    assert text in str(caught.value)


def test_fewer_motifs_than_sites_is_an_error():
    moments, *_ = columns(10)
    with pytest.raises(StageError, match="n_motifs is 1 and the columns of 2 sublattices make at least 2"):
        find_motifs(moments, n_motifs=1)
