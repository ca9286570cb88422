"""Columns by other packages, told what they need: the distance of nearest columns, and which are dark."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from benchmarks.peers.packages import atomap_candidates, atomap_refined, motif_learn_candidates
from motifgpu import match_points
from motifgpu.simulate import SampleSimulation

_SEPARATIONS = (0.35, 0.5, 0.65, 0.8)  # tried, in nearest distances


def _bright(truth: SampleSimulation) -> np.ndarray:
    image = truth.image.astype(np.float64)
    return image.max() - image if truth.kind == "dark_perovskite" else image


def atomap(truth: SampleSimulation) -> np.ndarray:
    """Return positions as atomap's documentation advises, by the separation that the truth says is best."""
    import hyperspy.api as hs

    hs.set_log_level("ERROR")  # a warning for every fit that does not converge
    image, columns = _bright(truth), truth.points[truth.occupied]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        starts = [atomap_candidates(image, max(round(part * truth.spacing_px), 2)) for part in _SEPARATIONS]
        pairs = [len(match_points(each[:, ::-1], columns, truth.spacing_px / 3).found) for each in starts]
        f1 = [2 * n / (len(columns) + len(each)) for n, each in zip(pairs, starts, strict=True)]
        return atomap_refined(image, starts[int(np.argmax(f1))])[:, ::-1]


def motif_learn(truth: SampleSimulation) -> np.ndarray:
    """Return positions as the notebooks of motif-learn find them."""
    return motif_learn_candidates(_bright(truth), np.sqrt(3) * truth.spacing_px)[:, ::-1]


PEERS: dict[str, Callable[[SampleSimulation], np.ndarray]] = {
    name: find
    for name, package, find in (("atomap", "atomap", atomap), ("motif-learn", "mtflearn", motif_learn))
    if find_spec(package)
}
