from __future__ import annotations

import numpy as np
import pytest
from support.simulations import at

from motifgpu import simulate


@pytest.mark.parametrize("rotation", [False, True])
def test_patches_have_their_blobs_and_classes(rotation):
    made = simulate.patches((4, 6), folds=(3, 5), centers=(1.0, 0.6), rotation=rotation)
    assert made.patches.shape == (10, 128, 128)
    assert made.labels.tolist() == [0] * 4 + [1] * 6
    ring = 63.5 + 32 * np.stack(
        [-np.sin(np.deg2rad(np.arange(720) / 2)), np.cos(np.deg2rad(np.arange(720) / 2))], 1
    )
    for patch, label in zip(made.patches, made.labels, strict=True):
        assert at(patch, [[63.5, 63.5]])[0] == pytest.approx((1.0, 0.6)[label], abs=2e-3)
        around = at(patch, ring)
        assert np.sum((around > np.roll(around, 1)) & (around >= np.roll(around, -1))) == (3, 5)[label]
        assert around.max() == pytest.approx(1, abs=2e-3)
    assert np.array_equal(made.patches[0], made.patches[1]) != rotation


def test_patch_noises_act_on_every_patch_alone():
    for noise in ({"counts": 5.0}, {"gaussian": 0.1}, {"scan": 1.0}):
        made = simulate.patches((2, 0), **noise).patches
        assert not np.array_equal(made[0], made[1])
    counts = simulate.patches((50, 0), counts=5.0).patches
    assert counts.mean(0).max() == pytest.approx(5, rel=0.4)
    assert counts.var(0).mean() == pytest.approx(counts.mean(), rel=0.03)
