"""Dictionaries of analyses, and analyses with a dictionary."""

from __future__ import annotations

import numpy as np
import pytest
from support.dictionaries import DEFECTS, STRANGERS, agreement, analysed, learned, learned_of_analyses

from motifgpu import simulate
from motifgpu.core.errors import StageError
from motifgpu.dictionary import MotifDictionary
from motifgpu.io.micrograph import Micrograph
from motifgpu.pipeline import analyze


def test_analyses_of_different_magnification_make_one_dictionary():
    dictionary = learned_of_analyses()
    assert dictionary.provenance["patch_nm"] == pytest.approx(0.57, abs=0.01)
    assert dictionary.provenance["order"] == dictionary.order == 10
    assert dictionary.provenance["left_out"] == []
    for analysis in analysed():
        found = dictionary.assign(analysis)
        assert found.labels.shape == analysis.motifs.labels.shape
        big = analysis.whole & np.isin(analysis.motifs.labels, np.flatnonzero(analysis.motifs.counts > 5))
        assert agreement(analysis.motifs.labels[big], found.labels[big]) > 0.97
    assert len(dictionary.extended(analysed()[1]).names) == len(dictionary.names)


def test_analyze_names_columns_by_a_dictionary():
    dictionary = learned_of_analyses()
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


@pytest.mark.usefixtures("little_drawn")
def test_a_micrograph_of_another_crystal_is_analysed_without_motifs(tmp_path):
    truth = simulate.monolayer("WS2", shape=(220, 220), counts=10, seed=1)
    analysis = analyze(truth.image, dictionary=learned())
    assert analysis.motifs.counts.tolist() == []
    assert (analysis.motifs.labels == -1).all()
    assert analysis.report(tmp_path).exists()


def test_patches_are_as_large_as_the_period_says_unless_that_is_another_ring():
    dictionary = learned_of_analyses()
    assert dictionary.patch_pixels(40.0, None) == 40.0
    side = dictionary.patch_nm
    assert side is not None
    assert dictionary.patch_pixels(40.0, side / 42.0) == 40.0
    assert dictionary.patch_pixels(40.0, side / 60.0) == pytest.approx(60.0)


def test_patches_of_another_size_are_refused():
    dictionary = learned_of_analyses()
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


def test_names_of_a_person_are_learned_and_what_was_merged_is_one() -> None:
    made = [
        analyze(
            simulate.monolayer(
                "MoSe2", (200, 200), lattice_constant=16.0, vacancies=0.08, dopants={"W": 0.06}, seed=seed
            ).image,
            structure=False,
        )
        for seed in (1, 2)
    ]
    number = len(made[0].motifs.counts)
    assert number == 4
    brightness = made[0].motifs.means[:, 0]
    first = made[0].rename(
        {0: "Mo", 1: "Se2", 2: "V_Se", 3: "W"}
        if brightness[3] > brightness[2]
        else {0: "Mo", 1: "Se2", 2: "W", 3: "V_Se"}
    )
    known = MotifDictionary.learn([first, made[1]])
    assert set(known.names) == {"Mo", "Se2", "V_Se", "W"}
    other = analyze(made[1].micrograph.image, structure=False, dictionary=known)
    assert {motif["name"] for motif in other.summary()["motifs"]} >= {"Mo", "Se2", "V_Se", "W"}
    same = known.assign(made[0]).labels == [
        known.names.index(first.motifs.name(k)) for k in first.motifs.labels
    ]
    assert same.mean() > 0.97

    sites = first.merge([1, first.motifs.names.index("V_Se")], "Se site")
    known = MotifDictionary.learn(sites)
    assert len(known.names) == 3
    labels = known.assign(sites).labels
    assert ((labels == known.names.index("Se site")) == (sites.motifs.labels == 1)).mean() > 0.97
    assert "not_learned" not in known.provenance

    odd = first.assign(np.flatnonzero(first.motifs.labels == 0)[:4], "odd")
    assert MotifDictionary.learn(odd).provenance["not_learned"] == ["odd"]
    half = MotifDictionary.learn(made[0]).extended(first)
    assert len(half.names) == number
