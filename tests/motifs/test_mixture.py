from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm

from motifgpu.cpu.mixture import expectation_maximization
from motifgpu.motifs.mixture import Classes, fit_classes, fit_mixture, fit_mixtures


def best(fits):
    return min(fits, key=lambda fit: fit.criterion)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_separate_classes_are_counted_and_recovered(d):
    rng = np.random.default_rng(d)
    truth = np.repeat([0, 1, 2], [600, 40, 8])
    centres = np.array([0.0, 7.0, -9.0])[:, None] * np.eye(d)[0]
    x = centres[truth] + rng.normal(size=(truth.size, d))
    chosen = best(fit_mixtures(x))
    assert len(chosen.weights) == 3
    labels = chosen.posterior(x).argmax(axis=1)
    for k in range(3):
        assert np.unique(labels[truth == k]).size == 1
    order = np.argsort(-chosen.weights)
    assert chosen.weights[order] * truth.size == pytest.approx([600, 40, 8], abs=0.5)
    assert np.abs(chosen.means[order] - centres).max() < 1.2  # three standard errors of the mean of eight


@pytest.mark.parametrize("n", [30, 500, 20_000])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.normal(5.0, 0.1, n),
        lambda rng, n: rng.gamma(40.0, size=n),  # as skewed as 40 counts are
        lambda rng, n: rng.uniform(size=n),
    ],
    ids=["normal", "skewed", "uniform"],
)
def test_one_class_is_not_split(draw, n):
    for seed in range(3):
        fits = fit_mixture(draw(np.random.default_rng(seed), n))
        assert len(best(fits).weights) == 1


def test_fits_are_one_of_each_number_and_agree_with_the_definitions():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(4, 0.5, (50, 2))])
    fits = fit_mixtures(x, max_components=5)
    assert [len(fit.weights) for fit in fits] == [1, 2, 3, 4, 5]
    for fit in fits:
        joint = np.stack(
            [
                w * multivariate_normal(m, c).pdf(x)
                for w, m, c in zip(fit.weights, fit.means, fit.covariances, strict=True)
            ],
            axis=1,
        )
        posterior = joint / joint.sum(axis=1, keepdims=True)
        assert fit.posterior(x) == pytest.approx(posterior, abs=1e-9)
    # One component has no entropy and the pooled covariance: its criterion is BIC.
    single = fits[0]
    likelihood = multivariate_normal(single.means[0], single.covariances[0]).logpdf(x).sum()
    assert single.criterion == pytest.approx(-2 * likelihood + 5 * np.log(250), rel=1e-6)
    assert single.means[0] == pytest.approx(x.mean(axis=0))
    assert single.covariances[0] == pytest.approx(np.cov(x.T, bias=True), rel=1e-4)


def test_counts_mean_repeated_samples():
    rng = np.random.default_rng(1)
    x, counts = np.arange(12.0)[:, None] ** 1.5, rng.integers(1, 9, 12)
    once = fit_mixtures(x, counts=counts, max_components=4)
    spelled = fit_mixtures(np.repeat(x, counts, axis=0), max_components=4)
    # The start is the sample nearest to the mean, which is the same one.
    for a, b in zip(once, spelled, strict=True):
        assert a.criterion == pytest.approx(b.criterion)
        assert a.means == pytest.approx(b.means)


def test_histogram_labels_as_samples_do():
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1, 2], [4000, 300, 40])
    x = np.array([0.0, 8.0, 15.0])[truth] + rng.normal(size=truth.size)
    direct, binned = best(fit_mixture(x, max_samples=10**6)), best(fit_mixture(x))
    assert len(direct.weights) == len(binned.weights) == 3
    a, b = (np.sort(fit.means[:, 0]) for fit in (direct, binned))
    assert a == pytest.approx(b, abs=0.02)


def test_histogram_keeps_its_resolution_beside_values_far_off():
    rng = np.random.default_rng(3)
    x = np.concatenate([rng.normal(0, 1, 3000), rng.normal(10, 1, 300), [1e6, -1e6]])
    labels = best(fit_mixture(x)).posterior(x[:, None]).argmax(axis=1)
    assert labels[0] != labels[3100]


def test_row_order_does_not_matter():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(0, 1, 300), rng.normal(5, 1, 30)])[:, None]
    shuffled = rng.permutation(len(x))
    a, b = fit_mixtures(x), fit_mixtures(x[shuffled])
    for one, other in zip(a, b, strict=True):
        assert one.criterion == pytest.approx(other.criterion, rel=1e-9)
    assert (
        best(a).posterior(x)[shuffled].argmax(axis=1).tolist()
        == best(b).posterior(x[shuffled]).argmax(axis=1).tolist()
    )


def test_resolution_is_the_least_width():
    x = np.repeat([0.0, 0.1, 5.0], [50, 50, 50])[:, None]
    assert len(best(fit_mixtures(x)).weights) == 3
    coarse = best(fit_mixtures(x, resolution=0.2))
    assert len(coarse.weights) == 2
    assert (coarse.covariances >= 0.2**2).all()


@pytest.mark.parametrize("n", [1, 2, 700])
def test_equal_values_are_one_class(n):
    fits = fit_mixture(np.full(n, 3.0))
    assert len(fits) == 1
    assert fits[0].posterior(np.full((n, 1), 3.0)) == pytest.approx(np.ones((n, 1)))


DRAWS = {
    "normal": lambda rng, n: rng.normal(5.0, 0.1, n),
    "skewed": lambda rng, n: rng.gamma(40.0, size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "two widths": lambda rng, n: rng.normal(size=n) * np.where(rng.random(n) < 0.1, 2.0, 1.0),
}


def chosen_classes(x):
    divisions, best = fit_classes(x)
    return divisions[best]


@pytest.mark.parametrize("n", [500, 20_000])
@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_one_class_of_any_shape_is_one(draw, n):
    for seed in range(3):
        assert not chosen_classes(draw(np.random.default_rng(seed), n)).classes.any()


def tailed(seed, rare=350):
    """A common class with a long tail towards a rare one, as in a real micrograph; and which is which."""
    rng = np.random.default_rng(seed)
    common = np.concatenate([rng.normal(770.0, 68.0, 3060), rng.normal(600.0, 66.0, 540)])
    return np.concatenate([common, rng.normal(345.0, 48.0, rare)]), np.repeat([0, 1], [3600, rare])


def f1(labels, truth):
    label = np.bincount(labels[truth == 1]).argmax()
    hits = np.sum((labels == label) & (truth == 1))
    return 2 * hits / (np.sum(labels == label) + np.sum(truth == 1))


def test_a_rare_class_beside_a_tail_is_found_and_not_stretched_over_it():
    for seed in range(4):
        x, truth = tailed(seed)
        found = chosen_classes(x)
        assert found.classes.max() == 1
        assert len(found.mixture.weights) > 2
        assert f1(found.posterior(x).argmax(axis=1), truth) > 0.97


def test_a_shoulder_is_a_class_where_one_gaussian_each_explains_it():
    rng = np.random.default_rng(7)
    truth = np.repeat([0, 1], [500, 60])
    x = np.concatenate([rng.normal(0, 1, 500), rng.normal(3.4, 0.8, 60)])
    found = chosen_classes(x)
    assert found.classes.tolist() == [0, 1]
    assert f1(found.posterior(x).argmax(axis=1), truth) > 0.8


def test_classes_are_gaussians_where_those_fit():
    rng = np.random.default_rng(5)
    x = np.concatenate([rng.normal(0, 1, 4000), rng.normal(7, 0.8, 200), rng.normal(-9, 1, 9)])
    gaussians, classes = best(fit_mixture(x)), chosen_classes(x)
    order = np.argsort(classes.classes)
    assert classes.classes[order].tolist() == [0, 1, 2]
    assert classes.posterior(x) == pytest.approx(gaussians.posterior(x[:, None])[:, order])


def test_there_is_a_division_into_each_number_of_classes():
    x, _ = tailed(0)
    divisions, _ = fit_classes(x, max_classes=6)
    for number, found in enumerate(divisions, start=1):
        assert np.unique(found.classes).tolist() == list(range(number))
        posterior = found.posterior(x)
        assert posterior.shape == (x.size, number)
        assert posterior.sum(axis=1) == pytest.approx(1.0)
        components = found.mixture.posterior(x[:, None])
        for k in range(number):
            assert posterior[:, k] == pytest.approx(components[:, found.classes == k].sum(axis=1))


def test_a_rare_class_is_found_beside_many_columns_and_values_far_off():
    rng = np.random.default_rng(6)
    truth = np.repeat([0, 1, 2], [60_000, 120, 20])
    x = np.concatenate([rng.normal(0, 1, 60_000), rng.normal(6, 1, 120), rng.uniform(-40, 40, 20)])
    assert f1(chosen_classes(x).posterior(x).argmax(axis=1), truth) > 0.9


@pytest.mark.parametrize("n", [1, 2, 700])
def test_equal_numbers_are_one_class_too(n):
    found = chosen_classes(np.full(n, 3.0))
    assert isinstance(found, Classes)
    assert found.posterior(np.full(n, 3.0)) == pytest.approx(np.ones((n, 1)))


def test_numbers_are_fitted_by_the_definition_of_expectation_maximisation():
    rng = np.random.default_rng(4)
    x = np.concatenate([rng.normal(0, 1, 60), rng.normal(5, 0.7, 30)])
    counts = rng.integers(1, 4, x.size).astype(np.float64)
    weights, means, variances = (
        np.array([0.5, 0.3, 0.2]),
        np.array([0.5, 2.0, 6.0]),
        np.array([1.0, 1.0, 2.0]),
    )
    floor, prior = 1e-3, 5.0
    found = expectation_maximization(x, counts, (weights, means, variances), floor, prior, 15)
    for _ in range(15):
        joint = weights * norm(means, np.sqrt(variances)).pdf(x[:, None])
        share = joint / joint.sum(axis=1, keepdims=True) * counts[:, None]
        members = share.sum(axis=0)
        means = (share * x[:, None]).sum(axis=0) / members
        scatter = (share * (x[:, None] - means) ** 2).sum(axis=0)
        pooled = scatter.sum() / counts.sum() + floor
        weights, variances = members / counts.sum(), (scatter + prior * pooled) / (members + prior) + floor
    for one, other in zip(found, (weights, means, variances, pooled), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)
