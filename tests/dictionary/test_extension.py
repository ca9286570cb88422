from __future__ import annotations

import numpy as np
from support.dictionaries import PATTERN, STRANGERS, columns, learned

from motifgpu import simulate
from motifgpu.features.zernike import zernike_moments


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
    alignment = learned().assign(own.moments).alignments[0]
    strangers = zernike_moments(other.patches)
    moments = np.concatenate([own.moments, strangers])
    before = learned().assign(moments)
    assert (before.reason[-40:] == PATTERN).all()
    new = learned().extended_pooled(moments)
    after = new.assign(moments)
    assert set(after.labels[-40:][after.labels[-40:] >= 0].tolist()) == {len(learned().names)}
    assert (after.labels[-40:] >= 0).mean() > 0.9
    assert after.environments[-40:].max() == -1
    assert alignment.turns
