"""Both forms of the relaxation kernels, run on the CPU, against the literal formulas and the CPU's code."""

from __future__ import annotations

import logging
from itertools import pairwise

import array_api_strict
import numpy as np
import pytest
from host_cuda import device, faults, sanitizers

from motifgpu.core import namespace
from motifgpu.core.forces import STAGES, Forces, Stage, sample_fractions
from motifgpu.cpu import relaxation as cpu
from motifgpu.cuda import loader
from motifgpu.cuda import relaxation as cuda

pytestmark = pytest.mark.skipif(device.missing() is not None, reason=str(device.missing()))

SHORT = (Stage(1, 1, 0, 2, sweeps=2), Stage(5, 1, 2, 5, sweeps=1), Stage(5, 1, 2, 4, sweeps=1, gamma=0.2))
ALONE = 10 * cuda.VERTEX_BYTES + 2 * cuda.PLAN_BYTES  # bytes that graphs of up to 10 vertices need


def graphs(counts, degree: int = 4, hubs: int = 0, seed: int = 0) -> tuple:
    """Random symmetric graphs in compressed rows, their offsets and a start; the first `hubs` touch all."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    n = offsets[-1]
    dense = np.zeros((n, n), np.float32)
    for a, b in pairwise(offsets):
        block = np.triu(rng.random((b - a, b - a)) * (rng.random((b - a, b - a)) < degree / max(b - a, 1)), 1)
        block[:hubs, :] = np.triu(rng.random((min(hubs, b - a), b - a)), 1)
        dense[a:b, a:b] = block + block.T
    indptr = np.concatenate([[0], np.cumsum((dense > 0).sum(1))]).astype(np.int32)
    indices = np.nonzero(dense)[1].astype(np.int32)
    start = (3 * rng.normal(size=(n, 2))).astype(np.float32)
    return (indptr, indices, dense[dense > 0]), offsets, start


def literal(graph, offsets, start, stages, n_repulsions: float = 10.0, seed: int = 7, clip: float = 4.0):
    """The formulas of `motifgpu.graph.relaxation` for one vertex after another, in float64."""
    indptr, indices, weights = graph
    result = start.astype(np.float64)
    for a, b in pairwise(offsets):
        n, y = b - a, result[a:b]
        mean = (indptr[b] - indptr[a]) / max(n, 1)
        for number, stage in enumerate(stages):
            total = 16 * stage.sweeps_for(n)
            samples = sample_fractions(seed, number, total).astype(np.int64) * n >> 32
            for q in range(total):
                gamma, before = stage.gamma * (1 - q / total), y.copy()
                for i in range(n):
                    degree = int(indptr[a + i + 1] - indptr[a + i])
                    move = before[i] - before[samples[q]]
                    d = np.linalg.norm(move, axis=1, keepdims=True)
                    pushed = stage.beta / (1 + d**stage.m)
                    pressure = gamma * n_repulsions / (16 * 8) * (degree + mean)
                    r, stiff = pressure * (pushed * move).sum(0), 2 * pressure * pushed.sum()
                    c, move = 0.0, 0.0
                    if degree:
                        edge = indptr[a + i] + (q * 2654435769 % 2**32 * degree >> 32)
                        move = before[indices[edge] - a] - before[i]
                        d = max(float(np.linalg.norm(move)), 1e-12)
                        c = 2 * gamma / 16 * degree * weights[edge]
                        c *= min(stage.alpha / (1 + d**stage.n), clip / d)
                        taken = stage.beta / (1 + d**stage.m)
                        c += gamma * n_repulsions / (16 * n) * degree * (degree + mean) * taken
                    y[i] = before[i] + (c * move + r) / (1 + c + stiff)
    return result


BY_LAUNCHES = {"relax_graph_step", "advance_clock"}


def forces(stages) -> Forces:
    return Forces(stages, n_repulsions=10.0, clip=4.0, seed=7)


def relax(graph, offsets, start, stages=SHORT, callback=None, every: int = 16, **options):
    host = device.HostDevice(**options)
    with loader.running_on(host):
        layout = cuda.relax(*graph, offsets, start, forces(stages), callback, every)
    return layout, set(host.launches)


@pytest.mark.parametrize("hubs", [0, 1])
def test_both_forms_are_the_formulas(hubs: int) -> None:
    graph, offsets, start = graphs([1, 2, 0, 33, 70, 5], hubs=hubs)
    start[40] = start[41]  # two vertices in one place
    wanted = literal(graph, offsets, start, SHORT)
    one_block, launched = relax(graph, offsets, start)
    assert launched == {"relax_graphs"}
    np.testing.assert_allclose(one_block, wanted, atol=1e-4)
    both, launched = relax(graph, offsets, start, shared_bytes=ALONE)
    assert launched == {"relax_graphs", *BY_LAUNCHES}
    np.testing.assert_array_equal(both, one_block)
    host = device.HostDevice()
    with loader.running_on(host):
        launches = cuda.relax_by_launches(*graph, offsets, start, forces(SHORT))
    assert set(host.launches) == BY_LAUNCHES
    np.testing.assert_array_equal(launches, one_block)


def test_agrees_with_the_cpu_over_a_whole_relaxation() -> None:
    graph, offsets, start = graphs([120, 40])
    stages = [stage._replace(sweeps=stage.sweeps // 5) for stage in STAGES]
    wanted = cpu.relax(*graph, offsets, start, forces(stages), None, 16)
    layout, _ = relax(graph, offsets, start, stages)
    assert np.abs(layout - wanted).max() < 1e-3 * np.abs(wanted).max()


@pytest.mark.parametrize(
    "stage", [Stage.umap(sweeps=1), Stage.largevis(sweeps=1), Stage(2, 1, 1.5, 2.5, sweeps=1)]
)
def test_other_laws_agree_with_the_cpu(stage: Stage) -> None:
    graph, offsets, start = graphs([50])
    mine, theirs = [], []
    cpu.relax(*graph, offsets, start, forces([stage]), lambda q, y: theirs.append(y.copy()), 4)
    relax(graph, offsets, start, [stage], lambda q, y: mine.append(y), 4)
    np.testing.assert_allclose(mine[0], theirs[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("schedule", [1, 6])
def test_same_bits_in_any_order_of_threads_alone_and_in_a_batch(schedule: int) -> None:
    graph, offsets, start = graphs([40, 70, 300])
    together, _ = relax(graph, offsets, start)
    for options in ({"schedule": schedule}, {"schedule": schedule, "shared_bytes": ALONE}):
        np.testing.assert_array_equal(relax(graph, offsets, start, **options)[0], together)
    indptr, indices, weights = graph
    for a, b in pairwise(offsets):
        edges = slice(indptr[a], indptr[b])
        one = indptr[a : b + 1] - indptr[a], indices[edges] - np.int32(a), weights[edges]
        np.testing.assert_array_equal(relax(one, np.array([0, b - a]), start[a:b])[0], together[a:b])


@pytest.mark.parametrize("shared", [227 * 1024, ALONE])
def test_callback_sees_the_layout_grow_and_changes_nothing(shared: int) -> None:
    graph, offsets, start = graphs([30, 8])
    seen: list = []
    layout, _ = relax(graph, offsets, start, callback=lambda q, y: seen.append((q, y)), shared_bytes=shared)
    assert [q for q, _ in seen] == [16, 32, 48, 64]
    np.testing.assert_array_equal(seen[-1][1], layout)
    np.testing.assert_array_equal(layout, relax(graph, offsets, start)[0])
    assert not np.array_equal(seen[0][1], seen[1][1])


def test_arrays_of_another_namespace_stay_on_their_device() -> None:
    graph, offsets, start = graphs([30, 8])
    there = array_api_strict.Device("device1")
    graph_there = tuple(array_api_strict.asarray(a, device=there) for a in graph)
    begin = array_api_strict.asarray(start, device=there)
    for shared in (227 * 1024, ALONE):
        layout, _ = relax(graph_there, offsets, begin, shared_bytes=shared)
        assert layout.device == there
        np.testing.assert_array_equal(namespace.to_numpy(layout), relax(graph, offsets, start)[0])
    np.testing.assert_array_equal(namespace.to_numpy(begin), start)


def test_wide_positions_give_the_same_bits() -> None:
    (indptr, indices, weights), offsets, start = graphs([60])
    wide = relax((indptr.astype(np.int64), indices, weights), offsets, start)[0]
    np.testing.assert_array_equal(wide, relax((indptr, indices, weights), offsets, start)[0])


def test_start_is_that_of_the_cpu() -> None:
    rng = np.random.default_rng(0)
    x, offsets = rng.normal(size=(103, 12)) * np.arange(1, 13), np.array([0, 40, 41, 100, 103])
    x[100:] = 1
    there = array_api_strict.asarray(x, device=array_api_strict.Device("device1"))
    mine = cuda.pca_start(there, offsets)
    assert mine.device == there.device
    np.testing.assert_allclose(namespace.to_numpy(mine), cpu.pca_start(x, offsets), atol=1e-4)


@pytest.mark.parametrize(("graphs", "blocks", "rounds"), [(1, 1, 2), (264, 2, 3), (1000, 4, 5)])
def test_many_small_graphs_share_a_multiprocessor(graphs: int, blocks: int, rounds: int) -> None:
    with loader.running_on(device.HostDevice(multiprocessors=132)):
        threads = cuda._threads(1200, graphs)
    assert threads % 32 == 0
    assert -(-1200 // threads) == rounds
    assert blocks * threads * cuda.REGISTERS <= 65536


@pytest.mark.parametrize(
    ("counts", "launched"),
    [
        ([1200], 0),
        ([3000], 0),
        ([5000], 1),  # five rounds of 1,024 vertices in one block, or a launch
        ([14_000], 1),
        ([20_000], 1),  # does not fit
        ([1200] * 1000, 0),
        ([5000] * 132, 0),  # each on a multiprocessor of its own
        ([14_000, *[1200] * 131], 1),
        ([20_000, 20_000, 14_000, *[12_000] * 100], 2),
        ([0, 0], 0),
    ],
)
def test_the_quicker_form_is_chosen_by_its_estimate(counts: list[int], launched: int) -> None:
    with loader.running_on(device.HostDevice(multiprocessors=132)):
        chosen = cuda._by_launches(np.array(counts))
    assert chosen.sum() == launched
    assert not launched or np.array(counts)[chosen].min() >= np.array(counts)[~chosen].max(initial=0)


def test_a_graph_that_does_not_fit_is_said(caplog: pytest.LogCaptureFixture) -> None:
    graph, offsets, start = graphs([30, 8])
    with caplog.at_level(logging.INFO, "motifgpu"):
        relax(graph, offsets, start, shared_bytes=ALONE)
    assert "1 of 2 graphs have more than the 10 vertices that fit into the shared memory" in caplog.text


def sanitized_case(shared: str, number: str = "") -> None:
    """Run in a child process, with a barrier missing where a number is given."""
    graph, offsets, start = graphs([70, 9, 1, 300])
    stages = [Stage(1, 1, 0, 2, sweeps=1), Stage(5, 1, 2, 5, sweeps=1)]
    if not number:
        relax(graph, offsets, start, stages, shared_bytes=int(shared))
        return
    with faults.without_barrier("relaxation", int(number)):
        relax(graph, offsets, start, stages, shared_bytes=int(shared))


@pytest.mark.slow
@pytest.mark.parametrize("sanitizer", ["address", "undefined", "thread"])
def test_nothing_for_the_sanitizers(sanitizer: str) -> None:
    done = sanitizers.run(sanitizer, f"{__file__}:sanitized_case", str(ALONE))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("number", range(3))
def test_every_barrier_is_missed(number: int) -> None:
    assert len(faults.barriers("relaxation")) == 3
    done = sanitizers.run("thread", f"{__file__}:sanitized_case", str(ALONE), str(number))
    assert done.returncode == sanitizers.FOUND, done.stderr
    assert "data race" in done.stderr
