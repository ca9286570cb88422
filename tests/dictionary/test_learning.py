from __future__ import annotations

import numpy as np
import pytest
from support.dictionaries import agreement, called, columns, learned

from motifgpu.core.errors import StageError
from motifgpu.dictionary import MotifDictionary
from motifgpu.motifs.find import find_motifs


def test_half_of_a_set_labels_the_whole_as_the_whole_labels_itself():
    parts = [columns(10, seed) for seed in range(4)]
    limits = np.cumsum([0, *(len(part.moments) for part in parts)])
    moments = np.concatenate([part.moments for part in parts])
    found = learned().assign(moments, limits)
    assert agreement(find_motifs(moments).labels, found.labels) > 0.97
    whole = MotifDictionary.learn_pooled(moments, limits).assign(moments, limits)
    assert agreement(whole.labels, found.labels) > 0.97
    assert agreement(whole.environments, found.environments) > 0.95
    assert found.unseen.mean() < 0.01


def test_a_sample_is_drawn_by_the_seed_and_said():
    parts = [columns(10, seed).moments for seed in range(3)]
    moments, limits = np.concatenate(parts), np.cumsum([0, *map(len, parts)])
    dictionary, again, other = (
        MotifDictionary.learn_pooled(moments, limits, sample=600, seed=seed) for seed in (0, 0, 1)
    )
    assert dictionary.digest == again.digest != other.digest
    assert dictionary.provenance["columns"] == len(moments)
    assert 600 <= dictionary.provenance["columns_looked_at"] <= 603
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
            lambda: learned().assign(GOOD, alignments=[]),
            "there are 0 alignments for 1 micrographs; give one of each",
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
