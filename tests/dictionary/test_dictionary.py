from __future__ import annotations

import functools
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sklearn.metrics import adjusted_mutual_info_score
from support.backends import same_home

from motifgpu import cli, simulate
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.dictionary import MotifDictionary
from motifgpu.features.patches import extract_patches
from motifgpu.features.zernike import zernike_moments
from motifgpu.io.micrograph import Micrograph
from motifgpu.motifs.find import find_motifs
from motifgpu.pipeline import analyze

# Position error of columns found at these counts, px.
ERROR = {1: 0.69, 3: 0.48, 10: 0.28, 30: 0.18, 100: 0.12}
DEFECTS: dict[str, Any] = {"vacancies": 0.05, "divacancies": 0.015, "dopants": {"W": 0.03}}
STRANGERS = {"W": 0.03, "Fe": 0.015, "Te": 0.015}
INTENSITY, PATTERN, NO_FRAME = 1, 2, 3


def _nearest(truth: Any, inside: np.ndarray) -> list[str]:
    """Kinds of each column and its three nearest, by direction on the crystal."""
    tree = cKDTree(truth.points)
    nearest = tree.query(truth.points[inside], 4)[1]
    along = -np.degrees(np.arctan2(truth.u[0], truth.u[1]))
    result = []
    for own, *others in nearest:
        step = truth.points[others] - truth.points[own]
        angle = (-np.degrees(np.arctan2(step[:, 0], step[:, 1])) - along) % 360
        kinds = [truth.names[truth.labels[others[k]]] for k in np.argsort(angle)]
        result.append(" ".join([truth.names[truth.labels[own]], *kinds]))
    return result


class Columns:
    """Moments of the sites of a simulated micrograph whose patch fits, with what they are."""

    def __init__(self, counts: int, seed: int, shape: tuple[int, int], material: str, **options: Any) -> None:
        truth = simulate.monolayer(material, shape=shape, counts=counts, seed=seed, **{**DEFECTS, **options})
        error = np.random.default_rng(seed).normal(0, ERROR[counts], truth.points.shape).astype(np.float32)
        patches, inside = extract_patches(truth.image, truth.points + error, 38)
        self.moments = zernike_moments(patches)
        self.names = np.array(truth.names)[truth.labels[inside]]
        self.environments = _nearest(truth, inside)
        self.points, self.grain = truth.points[inside], truth.grain[inside]


@functools.lru_cache(maxsize=32)
def _columns(counts, seed, shape, material, options):
    return Columns(counts, seed, shape, material, **dict(options))


def columns(counts=10, seed=0, shape=(360, 360), material="MoSe2", **options):
    frozen = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    if "dopants" in frozen:
        return Columns(counts, seed, shape, material, **options)
    return _columns(counts, seed, shape, material, tuple(sorted(frozen.items())))


@functools.lru_cache(maxsize=4)
def learned(counts=10, micrographs=2):
    parts = [columns(counts, seed).moments for seed in range(micrographs)]
    return MotifDictionary.learn_pooled(np.concatenate(parts), np.cumsum([0, *map(len, parts)]))


def agreement(a, b):
    return adjusted_mutual_info_score(to_numpy(a), to_numpy(b))


def called(names, dictionary=None):
    """Label that columns of each kind have in what was learned, -1 for other kinds."""
    known = columns(10, 0)
    labels = (dictionary or learned()).assign(known.moments).labels
    usual = {kind: np.bincount(labels[known.names == kind] + 1).argmax() - 1 for kind in set(known.names)}
    assert len(set(usual.values())) == 5
    return np.array([usual.get(kind, -1) for kind in names])


def test_half_of_a_set_labels_the_whole_as_the_whole_labels_itself():
    parts = [columns(10, seed) for seed in range(6)]
    limits = np.cumsum([0, *(len(part.moments) for part in parts)])
    moments = np.concatenate([part.moments for part in parts])
    half = MotifDictionary.learn_pooled(moments[: limits[3]], limits[:4])
    found = half.assign(moments, limits)
    assert agreement(find_motifs(moments).labels, found.labels) > 0.97
    whole = MotifDictionary.learn_pooled(moments, limits).assign(moments, limits)
    assert agreement(whole.labels, found.labels) > 0.97
    assert agreement(whole.environments, found.environments) > 0.95
    assert found.unseen.mean() < 0.01


@pytest.mark.parametrize("counts", [10, 30])
def test_unknown_dopants_are_unseen_and_known_columns_are_not(counts):
    own = columns(counts, 7, (512, 512), dopants=STRANGERS)
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
    [frame] = found.frames
    turn = (frame.turns[0] - options.get("angle", 0.0)) % 120
    assert min(turn, 120 - turn) < 0.6
    assert len(frame.turns) == 1


@pytest.mark.parametrize("angle", [25.0, 60.0])
def test_grains_and_twins_keep_their_names(angle):
    own = columns(10, 5, (400, 400), grains=(0.0, angle))
    found = learned().assign(own.moments)
    assert len(found.frames[0].turns) == 2
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
    assert found.frames[0].gain == pytest.approx(730 * plain.frames[0].gain, rel=1e-3)
    assert found.frames[0].offset == pytest.approx(730 * plain.frames[0].offset - 4e4, abs=30)


@pytest.mark.parametrize("material", ["WS2", "square"])
def test_another_crystal_is_unseen_as_a_whole(material):
    if material == "square":
        truth = simulate.crystal_p4m(shape=(360, 360), counts=30.0, seed=0)
        moments = zernike_moments(extract_patches(truth.image, truth.points, 38)[0])
    else:
        moments = columns(10, 5, material="WS2", dopants={}).moments
    found = learned().assign(moments)
    assert found.unseen.all()
    assert (found.reason == NO_FRAME).all()
    assert (found.labels == -1).all()
    assert (found.environments == -1).all()
    assert np.isinf(found.strangeness).all()
    assert found.frames[0].turns == ()


def test_a_micrograph_has_the_same_bits_in_any_company():
    parts = [columns(10, 5).moments, columns(10, 6, angle=17.0).moments, columns(30, 7).moments]
    limits = np.cumsum([0, *map(len, parts)])
    together = learned().assign(np.concatenate(parts), limits)
    for i, part in enumerate(parts):
        alone = learned().assign(part.copy())
        rows = slice(limits[i], limits[i + 1])
        for name in ("labels", "environments", "confidence", "unseen", "reason", "strangeness"):
            assert getattr(together, name)[rows].tobytes() == getattr(alone, name).tobytes(), name
    some = learned().assign(parts[1][30:77], frames=together.frames[1:2])
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


def test_environments_turn_with_the_crystal():
    turned = [columns(30, 5), columns(30, 6, angle=17.0), columns(30, 7, angle=-31.0)]
    limits = np.cumsum([0, *(len(own.moments) for own in turned)])
    found = learned(30).assign(np.concatenate([own.moments for own in turned]), limits)
    truth = np.concatenate([own.environments for own in turned])
    known = found.environments >= 0
    assert known.mean() > 0.97
    assert agreement(truth[known], found.environments[known]) > 0.97


def test_a_strange_neighbour_makes_a_strange_environment_of_a_known_column():
    own = columns(30, 7, (512, 512), dopants=STRANGERS)
    found = learned(30).assign(own.moments)
    strangers = own.points[np.isin(own.names, ["Fe", "TeSe"])]
    distance = np.hypot(*(own.points[:, None] - strangers).T).min(axis=0)
    beside = (distance > 1) & (distance < 15)
    assert (found.labels[beside] >= 0).mean() > 0.95
    assert (found.environments[beside] == -1).mean() > 0.9
    assert (found.environments[distance > 30] >= 0).mean() > 0.97


def test_extending_keeps_old_numbers_and_appends_new_ones():
    own = columns(10, 7, (512, 512), dopants=STRANGERS)
    old = learned()
    before = old.assign(own.moments)
    new = old.extended_pooled(own.moments, sources=["strangers"])
    after = new.assign(own.moments)
    named = before.labels >= 0
    assert (after.labels[named] == before.labels[named]).all()
    environments = before.environments >= 0
    assert (after.environments[environments] == before.environments[environments]).all()
    assert new.names == (*old.names, "motif 5", "motif 6")
    assert new.digest != old.digest
    assert new.provenance["sources"][-1] == "strangers"
    for kind in ("Fe", "TeSe"):
        members = after.labels[own.names == kind]
        assert np.bincount(members[members >= 0]).argmax() >= len(old.names)
        assert (members == np.bincount(members[members >= 0]).argmax()).mean() >= 0.9
    other = columns(10, 8, (512, 512), dopants=STRANGERS, angle=17.0)
    assert new.assign(other.moments).unseen[np.isin(other.names, ["Fe", "TeSe"])].mean() < 0.1
    # Nothing new in what is known.
    assert len(old.extended_pooled(columns(10, 9).moments).names) == len(old.names)


def test_a_new_pattern_becomes_a_motif_when_it_comes_again():
    own = columns(10, 5)
    other = simulate.patches((40,), folds=4, centers=(1.0,), distance=10.0, size=38, sigma=3.0, counts=10)
    frame = learned().assign(own.moments).frames[0]
    strangers = zernike_moments(other.patches)
    moments = np.concatenate([own.moments, strangers])
    before = learned().assign(moments)
    assert (before.reason[-40:] == PATTERN).all()
    new = learned().extended_pooled(moments)
    after = new.assign(moments)
    assert set(after.labels[-40:][after.labels[-40:] >= 0].tolist()) == {len(learned().names)}
    assert (after.labels[-40:] >= 0).mean() > 0.9
    assert after.environments[-40:].max() == -1
    assert frame.turns


def test_saved_and_loaded_it_is_the_same(tmp_path):
    dictionary = learned().renamed({0: "Mo", 1: "Se2"})
    path = dictionary.save(tmp_path / "mose2.motifs")
    assert path == tmp_path / "mose2.motifs"
    copy = MotifDictionary.load(path)
    assert copy.names == dictionary.names == ("Mo", "Se2", "motif 2", "motif 3", "motif 4")
    assert copy.digest == dictionary.digest == learned().digest
    assert copy.provenance == dictionary.provenance
    assert copy.counts.tolist() == dictionary.counts.tolist()
    own = columns(10, 5, grains=(0.0, 60.0)).moments
    a, b = dictionary.assign(own), copy.assign(own)
    for name in ("labels", "environments", "confidence", "strangeness"):
        assert getattr(a, name).tobytes() == getattr(b, name).tobytes()
    again = dictionary.save(tmp_path / "again")
    assert again.read_bytes() == path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "mose2.motifs"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = learned().save(tmp_path / "d")
    old = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        learned(30).save(path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["d"]


def _pickled(path: Path, good: bytes) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("about.npy", buffer.getvalue())


def _other_schema(path: Path, good: bytes) -> None:
    with np.load(io.BytesIO(good)) as archive:
        arrays = dict(archive)
    text = arrays["about"].tobytes().replace(b'"schema": 1', b'"schema": 9')
    arrays["about"] = np.frombuffer(text, np.uint8)
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _changed(path: Path, good: bytes) -> None:
    with np.load(io.BytesIO(good)) as archive:
        arrays = dict(archive)
    arrays["chapter0.model.means"] = arrays["chapter0.model.means"] * 1.01
    with open(path, "wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (lambda path, good: path.write_bytes(b""), "is no motif dictionary or is damaged"),
        (lambda path, good: path.write_bytes(b"PK\x03\x04 nonsense"), "is no motif dictionary or is damaged"),
        (lambda path, good: path.write_bytes(good[: len(good) // 2]), "is no motif dictionary or is damaged"),
        (lambda path, good: path.write_text("# Motifs"), "is no motif dictionary or is damaged"),
        (_pickled, "is no motif dictionary or is damaged"),
        (_other_schema, "has schema 9 and this version reads schema 1; read it with the version"),
        (_changed, "is damaged: its contents are not those that were saved"),
    ],
)
def test_a_bad_file_is_refused_in_words(tmp_path, damage, text):
    path = learned().save(tmp_path / "d")
    damage(path, path.read_bytes())
    with pytest.raises(StageError, match=r"^dictionary: ") as caught:
        MotifDictionary.load(path)
    assert text in str(caught.value)


def test_mutated_files_are_refused_or_the_same(tmp_path):
    good = learned().save(tmp_path / "d").read_bytes()
    random = np.random.default_rng(0)
    for _ in range(80):
        data = bytearray(good)
        for place in random.integers(0, len(data), 3):
            data[place] = random.integers(0, 256)
        (tmp_path / "bad").write_bytes(data)
        try:
            loaded = MotifDictionary.load(tmp_path / "bad")
        except StageError:
            continue
        assert loaded.digest == learned().digest


def test_the_former_name_of_the_environments_works_and_is_deprecated():
    with pytest.warns(DeprecationWarning, match="surroundings is now called environments"):
        former = learned().surroundings
    assert former is learned().environments


def test_a_missing_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        MotifDictionary.load(tmp_path / "none")


@functools.lru_cache(maxsize=1)
def analysed():
    def one(seed, **options):
        truth = simulate.monolayer(
            "MoSe2", shape=(320, 320), seed=seed, **{"counts": 10, **DEFECTS, **options}
        )
        return analyze(Micrograph.from_array(truth.image, truth.pixel_size_nm), structure=False)

    return [one(0), one(1, angle=11.0, lattice_constant=30.0)]


def test_analyses_of_different_magnification_make_one_dictionary():
    dictionary = MotifDictionary.learn(analysed())
    assert dictionary.provenance["patch_nm"] == pytest.approx(0.57, abs=0.01)
    assert dictionary.provenance["order"] == dictionary.order == 10
    assert dictionary.provenance["left_out"] == []
    for analysis in analysed():
        found = dictionary.assign(analysis)
        assert found.labels.shape == analysis.motifs.labels.shape
        big = np.isin(analysis.motifs.labels, np.flatnonzero(analysis.motifs.counts > 5))
        assert agreement(analysis.motifs.labels[big], found.labels[big]) > 0.97
    assert len(dictionary.extended(analysed()[1]).names) == len(dictionary.names)


def test_analyze_names_columns_by_a_dictionary():
    dictionary = MotifDictionary.learn(analysed())
    truth = simulate.monolayer(
        "MoSe2", shape=(320, 320), seed=4, counts=10, **{**DEFECTS, "dopants": STRANGERS}
    )
    analysis = analyze(truth.image, dictionary=dictionary)
    assert analysis.parameters["dictionary"] == dictionary.digest
    assert analysis.motifs.labels.tolist() == dictionary.assign(analysis).labels.tolist()
    assert analysis.motifs.counts.shape[0] <= len(dictionary.names)
    assert np.isfinite(analysis.averages.patches).all()
    assert all(np.isfinite(motif["confidence"]) for motif in analysis.summary()["motifs"])
    assert analyze(truth.image, structure=False).parameters["dictionary"] is None


def test_patches_are_as_large_as_the_period_says_unless_that_is_another_ring():
    dictionary = MotifDictionary.learn(analysed())
    assert dictionary.patch_pixels(40.0, None) == 40.0
    side = dictionary.patch_nm
    assert side is not None
    assert dictionary.patch_pixels(40.0, side / 42.0) == 40.0
    assert dictionary.patch_pixels(40.0, side / 60.0) == pytest.approx(60.0)


def test_a_sample_is_drawn_by_the_seed_and_said():
    parts = [columns(10, seed).moments for seed in range(3)]
    moments, limits = np.concatenate(parts), np.cumsum([0, *map(len, parts)])
    a, b, c = (
        MotifDictionary.learn_pooled(moments, limits, sample=900, seed=seed).digest for seed in (0, 0, 1)
    )
    assert a == b != c
    dictionary = MotifDictionary.learn_pooled(moments, limits, sample=900)
    assert dictionary.provenance["columns"] == len(moments)
    assert 900 <= dictionary.provenance["columns_looked_at"] <= 903
    assert agreement(dictionary.assign(moments, limits).labels, find_motifs(moments).labels) > 0.95


def test_moments_on_disk_are_read_a_micrograph_at_a_time(tmp_path):
    parts = [columns(10, seed).moments for seed in range(2)]
    np.save(tmp_path / "moments.npy", np.concatenate(parts))
    on_disk = np.load(tmp_path / "moments.npy", mmap_mode="r")
    limits = np.cumsum([0, *map(len, parts)])
    assert MotifDictionary.learn_pooled(on_disk, limits).digest == learned().digest


def test_micrographs_of_other_doses_and_crystals_are_learned_together_or_left_out():
    parts = [columns(10, 0), columns(100, 1), columns(3, 2), columns(10, 3, material="WS2", dopants={})]
    moments = np.concatenate([part.moments for part in parts])
    limits = np.cumsum([0, *(len(part.moments) for part in parts)])
    dictionary = MotifDictionary.learn_pooled(moments, limits, sources=["a", "b", "c", "d"])
    assert dictionary.provenance["left_out"] == ["d"]
    assert dictionary.provenance["sources"] == ["a", "b", "c"]
    for part in (columns(10, 5), columns(100, 6)):
        labels = dictionary.assign(part.moments).labels
        assert (labels == called(part.names, dictionary)).mean() > 0.98


GOOD = np.random.default_rng(0).normal(size=(30, 66)).astype(np.float32)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: MotifDictionary.learn([]), "there are 0 analyses; give one at least"),
        (
            lambda: MotifDictionary.learn_pooled(np.zeros((0, 66))),
            "no micrograph has 3 columns (the largest has 0)",
        ),
        (
            lambda: MotifDictionary.learn_pooled(GOOD, [0, 20]),
            "offsets go from 0 to 20; let them",
        ),
        (
            lambda: MotifDictionary.learn_pooled(GOOD, [0, 20, 10, 30]),
            "dictionary: offsets fall after number 1; let them rise from 0",
        ),
        (
            lambda: MotifDictionary.learn_pooled(GOOD, sources=["a", "b"]),
            "there are 2 sources for 1 micrographs",
        ),
        (lambda: MotifDictionary.learn_pooled(GOOD, sample=0), "sample is 0; give a whole number"),
        (lambda: MotifDictionary.learn_pooled(GOOD, min_size=0), "min_size is 0; give a whole number"),
        (
            lambda: learned().assign(np.ones((4, 28))),
            "the moments are of order 6 and the dictionary is of order 10; take moments of order 10",
        ),
        (
            lambda: learned().assign(GOOD, frames=[]),
            "there are 0 frames for 1 micrographs; give one of each",
        ),
        (lambda: learned().renamed({9: "W"}), "the number of a motif is 9; give a whole number from 0 to 4"),
        (
            lambda: learned().extended_pooled(np.ones((4, 28))),
            "the moments are of order 6 and the dictionary is of order 10",
        ),
    ],
)
def test_bad_input_says_what_to_do(call, text):
    with pytest.raises(StageError, match=r"^dictionary: ") as caught:
        call()
    assert text in str(caught.value)


def test_bad_moments_are_refused():
    for bad in (np.full((5, 66), np.nan), np.ones((5, 65)), np.ones(66)):
        with pytest.raises(StageError):
            learned().assign(bad)
        with pytest.raises(StageError):
            MotifDictionary.learn_pooled(bad)


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_a_few_columns_are_unseen_and_no_error(rows):
    found = learned().assign(columns(10, 5).moments[:rows])
    assert found.labels.shape == (rows,)
    assert found.unseen.shape == (rows,)
    equal = learned().assign(np.ones((rows, 66)))
    assert equal.unseen.all()


def test_patches_of_another_size_are_refused():
    dictionary = MotifDictionary.learn(analysed())
    truth = simulate.monolayer("MoSe2", shape=(320, 320), seed=4, counts=10)
    micrograph = Micrograph.from_array(truth.image, truth.pixel_size_nm)
    small = analyze(micrograph, patch_size=24.0, structure=False)
    with pytest.raises(StageError, match=r"patches are 0.359 nm wide and the dictionary's are 0.57 nm"):
        dictionary.assign(small)
    with pytest.raises(StageError, match=r"the patches are between 0.359 and 0.57\d? nm wide"):
        MotifDictionary.learn([analysed()[0], small])
    with pytest.raises(StageError, match="the analyses have order 10 and 6"):
        MotifDictionary.learn([analysed()[0], analyze(micrograph, order=6, structure=False)])


def test_number_of_motifs_is_the_dictionary_s():
    with pytest.raises(StageError, match="dictionary: n_motifs is 3; leave it out"):
        analyze(np.zeros((64, 64)), dictionary=learned(), n_motifs=3)


@pytest.fixture
def scans(tmp_path):
    for seed, dopants in ((0, {"W": 0.03}), (1, STRANGERS)):
        truth = simulate.monolayer(
            "MoSe2", shape=(300, 300), counts=30, seed=seed, vacancies=0.05, dopants=dopants
        )
        np.save(tmp_path / f"scan{seed}.npy", truth.image)
    return tmp_path


def test_a_dictionary_is_learned_extended_and_shown_on_the_command_line(scans, capsys):
    file, first, second = (str(scans / name) for name in ("d.motifs", "scan0.npy", "scan1.npy"))
    assert cli.main(["dictionary", "learn", file, first, "-q", "--pixel-size", "0.015", "--json"]) == 0
    learnt = json.loads(capsys.readouterr().out)
    dictionary = MotifDictionary.load(file)
    assert learnt["digest"] == dictionary.digest
    assert [motif["count"] for motif in learnt["motifs"]] == dictionary.counts.tolist()
    assert learnt["sources"] == [first]
    assert cli.main(["dictionary", "learn", file, first, "-q"]) == 1
    assert "exists; extend it, or give another name" in capsys.readouterr().err

    (scans / "bad.npy").write_bytes(b"no image")
    bad = str(scans / "bad.npy")
    assert cli.main(["dictionary", "extend", file, second, bad, "-q", "--json"]) == 3
    longer = json.loads(capsys.readouterr().out)
    assert [failure["source"] for failure in longer["failed"]] == [bad]
    assert longer["sources"] == [first, second]
    assert len(longer["motifs"]) > len(learnt["motifs"])

    assert cli.main(["dictionary", "show", file]) == 0
    shown = capsys.readouterr().out
    assert f"{len(longer['motifs'])} motifs" in shown
    assert "motif 0" in shown


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["show", "d", "scan.npy"], "show: give no micrographs"),
        (["learn", "d"], "learn: give micrographs to learn from"),
        (["learn", "d", "scan.npy", "--motifs", "3"], "a dictionary finds the number of its motifs itself"),
    ],
)
def test_the_command_says_what_it_wants(arguments, text, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main(["dictionary", *arguments])
    assert caught.value.code == 2
    assert text in capsys.readouterr().err


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
    assert (dictionary.assign(second).reason == NO_FRAME).all()


def test_kinds_too_rare_for_a_name_are_unassigned_and_not_unseen():
    dictionary = MotifDictionary.learn_pooled(columns(10, 0).moments, min_size=40)
    own = columns(10, 5)
    found = dictionary.assign(own.moments)
    rare = np.isin(own.names, ["V_Se2", "W"])
    assert (found.labels[rare] == -1).all()
    assert not found.unseen[rare].any()
    assert (found.confidence[rare] == 0).all()
    assert (found.environments[rare] == -1).all()
    assert (found.labels[~rare & (own.names != "V_Se")] >= 0).mean() > 0.99


def test_a_micrograph_of_another_crystal_is_analysed_without_motifs(tmp_path):
    truth = simulate.monolayer("WS2", shape=(300, 300), counts=10, seed=1)
    analysis = analyze(truth.image, dictionary=learned())
    assert analysis.motifs.counts.tolist() == []
    assert (analysis.motifs.labels == -1).all()
    assert analysis.report(tmp_path).exists()
