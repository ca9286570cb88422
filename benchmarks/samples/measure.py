"""One sample: simulated, analysed and scored; the peers on the same image."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from inspect import signature
from typing import Any

from benchmarks.samples import columns, labels, multislice, peers, twins
from benchmarks.samples.limits import limits
from motifgpu import Analysis, StageError, analyze, find_columns, simulate

# Kinds beside those of `motifgpu.simulate`, and what draws them.
MORE: dict[str, Callable[[str, int, float, int], simulate.SampleSimulation]] = {
    kind: module.sample for module in (multislice, twins) for kind in module.KINDS
}
# What may trouble a recording, by name.
TROUBLES: dict[str, dict[str, float]] = {
    "none": {},
    "slope": {"slope": 1.0},
    "contamination": {"contamination": 1.0},
    "distortion": {"distortion": 3.0, "scan": 0.3},
    "margin": {"margin": 0.12},
    "spikes": {"spikes": 5},
}


@dataclass(frozen=True)
class Case:
    """What is simulated and how it is analysed."""

    kind: str
    counts: float
    trouble: str
    seed: int
    size: int
    peers: tuple[str, ...] = ()

    def truth(self) -> simulate.SampleSimulation:
        """Simulate it."""
        if self.kind in MORE:
            return MORE[self.kind](self.kind, self.size, self.counts, self.seed)
        options: dict[str, Any] = TROUBLES[self.trouble]
        shape = (self.size, self.size)
        return simulate.sample(self.kind, shape, counts=self.counts, seed=self.seed, **options)


def measure(case: Case) -> tuple[dict[str, Any], simulate.SampleSimulation, Analysis | None]:
    """Return the scores of a case, its truth and what was found, None where the image was refused."""
    truth = case.truth()
    least = limits(truth)
    # The single thing that is told: atoms at random are asked for.
    told: dict[str, Any] = {}
    if case.kind == "atoms" and "lattice" in signature(analyze).parameters:
        told["lattice"] = "none"
    found: Any = columns.NONE
    analysis, refused = None, ""
    start = time.process_time()
    try:
        analysis = analyze(truth.image, structure=False, **told)
        found = analysis.columns
    except StageError as error:
        refused = str(error)
    result: dict[str, Any] = {"cpu_s": time.process_time() - start, "refused": refused}
    if refused:  # by a later stage, it may be
        with suppress(StageError):
            found = find_columns(truth.image)
    result |= columns.found(truth, found, least)
    if analysis:
        result |= labels.scores(truth, analysis, least)
    for name in case.peers:
        result[name] = columns.scores(truth, peers.PEERS[name](truth), least)
    return result, truth, analysis


def false_columns(kind: str, seed: int, size: int) -> int:
    """Return how many columns are found in an image that shows none."""
    image = simulate.nothing(kind, (size, size), seed=seed)
    try:
        return int(analyze(image, structure=False).columns.occupied.sum())
    except StageError:
        return 0
