from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from support.simulations import at, interior, same

from motifgpu import simulate
from motifgpu.core.errors import StageError

SHAPE = (160, 200)
JOINED = {
    "twin", "mirror_twin", "grains", "stacking", "tilt", "dumbbell_tilt", "dumbbells", "phases", "honeycomb"
}  # fmt: skip
TROUBLE = {"slope": 0.5, "contamination": 0.5, "distortion": 3.0, "scan": 0.2, "margin": 0.1, "spikes": 3}


@pytest.mark.parametrize("kind", simulate.SAMPLES)
def test_columns_stand_where_the_truth_says_and_domains_meet_at_boundary_columns(kind):
    made = simulate.sample(kind, SHAPE, seed=1)
    assert same(made, simulate.sample(kind, SHAPE, seed=1))
    assert interior(made.points, SHAPE, -0.5).all()
    assert np.array_equal(np.lexsort(made.points.T[::-1]), np.arange(len(made.points)))
    assert made.labels.max() < len(made.names)
    assert made.domain.max() < len(made.domain_names)

    tree = cKDTree(made.points)
    nearest = tree.query(made.points, k=2)[0][:, 1]
    if kind != "atoms":
        assert np.median(nearest) == pytest.approx(made.spacing_px, rel=0.08)
    assert nearest.min() > 0.55 * made.spacing_px
    clear = interior(made.points, SHAPE, made.spacing_px) & made.occupied
    turns = np.deg2rad(np.arange(0, 360, 30))
    ring = made.points[:, None] + made.spacing_px / 2 * np.stack([np.sin(turns), np.cos(turns)], axis=1)
    around = at(made.clean, ring.reshape(-1, 2)).reshape(ring.shape[:2]).mean(1)
    sign = -1 if kind == "dark_perovskite" else 1
    assert (sign * (at(made.clean, made.points) - around)[clear] > 0).all()

    assert set(np.unique(made.domain)) - {-1} == set(range(2 if kind in JOINED else 1))
    assert made.boundary.any() == (kind in JOINED or kind == "particle")
    assert made.boundary[made.domain == -1].all()
    if kind in JOINED:
        others = [cKDTree(made.points[made.domain == domain]) for domain in (0, 1)]
        away = np.maximum(*(other.query(made.points)[0] for other in others))
        assert away[made.boundary].max() < 3.2 * made.spacing_px
        assert made.boundary[away < 0.8 * made.spacing_px].all()


def test_a_recording_has_what_was_asked_for_and_the_truth_follows():
    plain = simulate.sample("grains", SHAPE, seed=2)
    made = simulate.sample("grains", SHAPE, seed=2, **TROUBLE)
    outside = ~made.valid
    assert 0.05 < outside.mean() < 0.4
    assert (made.image[outside] == 0).mean() > 0.99
    assert (made.image > 20 * 10).sum() == 3
    nearest = np.round(made.points).astype(int)
    assert made.valid[nearest[:, 0], nearest[:, 1]].all()
    assert len(made.points) < len(plain.points)
    # The truth follows the drift, by at most what was asked for.
    moved = cKDTree(plain.points).query(made.points)[0]
    assert 0.5 < moved.max() < np.hypot(3, 1.5) + 1
    spread = np.ptp(made.background[made.valid])
    assert 0.5 * 10 < spread < 1.01 * 10
    assert np.ptp(plain.background) == 0


def test_seeds_are_other_samples():
    made = [simulate.sample("perovskite", SHAPE, seed=seed) for seed in range(6)]
    assert len({each.names for each in made}) > 1
    assert np.ptp([each.spacing_px for each in made]) > 3
    brightest = [at(each.clean - each.background, each.points).max() / 10 for each in made]
    assert min(brightest) > 0.9


@pytest.mark.parametrize("kind", simulate.NOTHING)
def test_images_of_nothing_vary_and_are_finite(kind):
    image, again, other = (simulate.nothing(kind, SHAPE, seed=seed) for seed in (3, 3, 4))
    assert image.shape == SHAPE
    assert np.isfinite(image).all()
    assert image.std() > 0
    assert np.array_equal(image, again)
    assert not np.array_equal(image, other)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: simulate.sample("glass"), "the kind 'glass' is not known; choose one of monolayer, twin"),
        (lambda: simulate.sample("twin", (40, 100)), "give at least 64 rows"),
        (lambda: simulate.sample("twin", counts=0), "counts is 0"),
        (lambda: simulate.sample("twin", margin=0.5), "margin is 0.5; give a share from 0 to 0.3"),
        (lambda: simulate.sample("twin", spikes=-1), "spikes is -1"),
        (lambda: simulate.sample("twin", slope=-1), "slope is -1"),
        (lambda: simulate.nothing("twin"), "the kind 'twin' is not known; choose one of white"),
    ],
)
def test_what_cannot_be_simulated_is_said(call, message):
    with pytest.raises(StageError, match=message.replace("(", r"\(")):
        call()
