from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_mutual_info_score
from support import oracles
from support.backends import same_home
from support.features import features

from motifgpu.core.errors import StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.core.philox import philox
from motifgpu.cpu import relaxation as cpu
from motifgpu.graph.affinity import affinity_graph
from motifgpu.graph.metrics import neighbor_preservation
from motifgpu.graph.neighbors import nearest_neighbors
from motifgpu.graph.relaxation import STAGES, Stage, pca_start, relax

SHORT = (Stage(1, 1, 0, 2, sweeps=3), Stage(5, 1, 2, 5, sweeps=3), Stage(5, 2, 3, 1, sweeps=1, gamma=0.2))


def prepared(n: int, seed: int = 0, k: int = 9):
    x = features(n, seed=seed)
    return x, affinity_graph(nearest_neighbors(x, k)), pca_start(x)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_gives_the_published_words(counter, key, words):
    assert philox(np.array([counter, counter]), key[0] + (key[1] << 32)).tolist() == [list(words)] * 2
    assert tuple(oracles.philox(counter, key)) == words


@pytest.mark.parametrize("stages", [SHORT, SHORT[::-1]])
def test_moves_vertices_as_the_formulas_say(xp_array, stages):
    _, graph, start = prepared(75)
    wanted = oracles.batched_relaxation(graph, start, stages, seed=7)
    given_start = xp_array(start)
    layout = relax(graph, given_start, stages=stages, seed=7)
    assert same_home(layout, given_start)
    assert to_numpy(layout).dtype == np.float32
    np.testing.assert_allclose(to_numpy(layout), wanted, atol=2e-4 * np.abs(wanted).max())


def test_options_are_those_of_the_formulas():
    _, graph, start = prepared(70, seed=1)
    options = {"n_repulsions": 3.5, "clip": 0.4, "seed": 2**40 + 3}
    layout = relax(graph, start, stages=SHORT[:1], **options)
    options["seed"] = 3  # the oracle takes the low word
    other = oracles.batched_relaxation(graph, start, SHORT[:1], **options)
    assert np.abs(layout - other).max() > 1e-3 * np.abs(other).max()
    same = relax(graph, start, stages=SHORT[:1], **options)
    np.testing.assert_allclose(same, other, atol=2e-4 * np.abs(other).max())


def test_general_forces_agree_with_the_fast_ones():
    _, graph, start = prepared(100)
    fast = relax(graph, start, stages=[Stage(5, 1, 2, 3, sweeps=4)])
    general = relax(graph, start, stages=[Stage(5, 1, 2, 3, sweeps=4, softening=1e9)._replace(beta=1e9)])
    np.testing.assert_allclose(fast, general, atol=1e-3 * np.abs(fast).max())


@pytest.mark.parametrize("stage", [Stage.largevis(), Stage.umap()])
def test_forces_of_other_methods_separate_classes(stage):
    x, graph, start = prepared(400)
    layout = relax(graph, start, stages=[stage])
    assert np.isfinite(layout).all()
    assert neighbor_preservation(x, layout) > 2 * neighbor_preservation(x, start)


def test_same_bits_alone_in_a_batch_and_for_any_number_of_threads(monkeypatch):
    parts = [features(n, seed=n) for n in (130, 64, 300, 11)]
    offsets = np.cumsum([0] + [len(part) for part in parts])
    x = np.concatenate(parts)
    graph = affinity_graph(nearest_neighbors(x, 9, offsets), offsets=offsets)
    start = pca_start(x, offsets)
    results = []
    for threads, wide in (("1", 2**16), ("2", 2**16), ("1", 100), ("2", 100), ("3", 100)):
        monkeypatch.setenv("MOTIFGPU_THREADS", threads)
        monkeypatch.setattr(cpu, "WIDE", wide)
        results.append(relax(graph, start, stages=SHORT, seed=5))
        np.testing.assert_array_equal(results[0], results[-1])
    for part, a, b in zip(parts, offsets, offsets[1:], strict=False):
        begin = pca_start(part)
        np.testing.assert_array_equal(begin, start[a:b])
        alone = relax(affinity_graph(nearest_neighbors(part, 9)), begin, stages=SHORT, seed=5)
        np.testing.assert_array_equal(alone, results[0][a:b])


def test_separates_classes_and_keeps_neighbours_as_the_sequence_does():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], [420, 60, 20])
    x = (rng.normal(size=(3, 66))[truth] + 0.35 * rng.normal(size=(500, 66))).astype(np.float32)
    graph, start = affinity_graph(nearest_neighbors(x)), pca_start(x)
    ours, sequence = relax(graph, start), oracles.sequential_relaxation(graph, start)
    labels = KMeans(3, n_init=10, random_state=0).fit_predict(ours)
    assert adjusted_mutual_info_score(truth, labels) > 0.98
    assert neighbor_preservation(x, ours) > neighbor_preservation(x, sequence) - 0.03
    for layout in (ours, sequence):  # both condense classes to a small part of their distances
        inner = np.linalg.norm(layout[truth == 0] - layout[truth == 0].mean(axis=0), axis=1).mean()
        outer = np.linalg.norm(layout[truth == 1].mean(axis=0) - layout[truth == 0].mean(axis=0))
        assert outer > 5 * inner


def test_small_differences_of_the_start_stay_small():
    _, graph, start = prepared(300, seed=4)
    layout = relax(graph, start)
    moved = relax(graph, start * np.float32(1 + 1e-6))
    assert np.abs(layout - moved).max() < 1e-3 * np.abs(layout).max()
    assert np.abs(relax(graph, start, seed=1) - layout).max() > 0


def test_hubs_and_duplicates_stay_finite():
    rng = np.random.default_rng(0)
    centre = rng.normal(size=66)
    x = np.concatenate([centre + rng.normal(size=(300, 66)), np.tile(centre, (12, 1))]).astype(np.float32)
    graph = affinity_graph(nearest_neighbors(x, 9))
    assert np.diff(graph.indptr).max() > 100
    assert np.isfinite(relax(graph, pca_start(x))).all()
    assert np.isfinite(relax(graph, np.zeros((312, 2)))).all()


def test_callback_sees_the_layout_on_its_way():
    _, graph, start = prepared(80)
    seen = []
    layout = relax(graph, start, stages=SHORT, callback=lambda *step: seen.append(step), callback_every=2)
    assert [sweep for sweep, _ in seen] == [2, 4, 6, 7]
    np.testing.assert_array_equal(seen[-1][1], layout)
    np.testing.assert_array_equal(layout, relax(graph, start, stages=SHORT))
    first = relax(graph, start, stages=SHORT[:1])
    every = []
    relax(graph, start, stages=SHORT, callback=lambda *step: every.append(step), callback_every=3)
    np.testing.assert_array_equal(every[0][1], first)


def test_an_interruption_goes_through():
    _, graph, start = prepared(80)

    def interrupt(sweep, layout):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        relax(graph, start, callback=interrupt)


def test_more_vertices_get_more_sweeps():
    assert [STAGES[0].sweeps_for(n) for n in (10, 5000, 80_000)] == [100, 100, 200]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": np.zeros((5, 2))}, r"relaxation: start has shape \(5, 2\) and the graph 30 vertices"),
        ({"start": np.full((30, 2), np.nan)}, r"relaxation: start has 60 of 60 values that are NaN"),
        ({"stages": ()}, r"there are no stages"),
        ({"stages": [Stage(1, 1, 0, 2, sweeps=0)]}, r"stage 0 has sweeps 0 and gamma 1.0"),
        ({"stages": [Stage(1, 1, 0, 2, gamma=2)]}, r"stage 0 has sweeps 50 and gamma 2; .* up to 1"),
        ({"stages": [STAGES[0], Stage(-1, 1, 0, 2)]}, r"stage 1 is Stage\(alpha=-1"),
        ({"n_repulsions": 0}, r"n_repulsions is 0; give a positive number"),
        ({"clip": -4}, r"clip is -4; give a positive number"),
        ({"seed": -1}, r"seed is -1; give a whole number from 0"),
        ({"callback_every": 0}, r"callback_every is 0"),
        ({"offsets": [0, 10, 30]}, r"offsets differ from those of the graph"),
    ],
)
def test_bad_input(change, message):
    _, graph, start = prepared(30)
    options = {"start": start, **change}
    if "offsets" in options:
        options["offsets"] = np.array(options["offsets"])
    with pytest.raises(StageError, match=message):
        relax(graph, **options)


def test_start_is_the_principal_components(xp_array):
    x = features(200, seed=8)
    given_x = xp_array(x)
    start = pca_start(given_x)
    assert same_home(start, given_x)
    pca = PCA(2).fit(x)
    signs = np.sign(pca.components_[[0, 1], np.abs(pca.components_).argmax(axis=1)])
    wanted = pca.transform(x) * signs
    np.testing.assert_allclose(to_numpy(start), 10 * wanted / np.abs(wanted).max(), atol=1e-4)


def test_start_of_each_micrograph_on_its_own():
    x = np.concatenate([features(50), np.ones((3, 66), np.float32), features(80, seed=9)])
    start = pca_start(x, [0, 50, 53, 53, 133])
    np.testing.assert_array_equal(start[:50], pca_start(x[:50]))
    assert (start[50:53] == 0).all()
    np.testing.assert_allclose(np.abs(start[53:]).max(), 10, rtol=1e-6)
    assert pca_start(x[:, :1])[:, 1].max() == 0
    with pytest.raises(StageError, match="x has 1 of 20 values that are NaN or infinite"):
        pca_start(np.where(np.arange(20).reshape(5, 4) == 3, np.inf, 1.0))
