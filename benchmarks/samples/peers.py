"""Columns by other packages, each told what it needs: the distance of nearest columns, and dark columns."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from motifgpu.simulate import SampleSimulation


def _bright(truth: SampleSimulation) -> np.ndarray:
    image = truth.image.astype(np.float64)
    return image.max() - image if truth.kind == "dark_perovskite" else image


def atomap(truth: SampleSimulation) -> np.ndarray:
    """Return positions as atomap's documentation advises, refined by centre of mass and Gaussians."""
    import atomap.api as am
    import hyperspy.api as hs

    hs.set_log_level("ERROR")  # a warning for every fit that does not converge
    image = _bright(truth)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        start = am.get_atom_positions(
            hs.signals.Signal2D(image),
            separation=max(round(0.7 * truth.spacing_px), 2),
            pca=True,
            subtract_background=True,
            normalize_intensity=True,
        )
        # Its centre of mass of a region without counts is not a number, on which it stops.
        sublattice = am.Sublattice(np.asarray(start), image=image - image.min() + 1e-3)
        sublattice.find_nearest_neighbors()
        sublattice.refine_atom_positions_using_center_of_mass(show_progressbar=False)
        sublattice.refine_atom_positions_using_2d_gaussian(show_progressbar=False)
    return np.stack([sublattice.y_position, sublattice.x_position], axis=1)


def motif_learn(truth: SampleSimulation) -> np.ndarray:
    """Return positions as the notebooks of motif-learn find them."""
    from mtflearn.denoise._denoise_svd import denoise_svd
    from mtflearn.features import local_max

    size = round(1.7 * truth.spacing_px)
    clean = denoise_svd(_bright(truth), patch_size=size, n_components=12, verbose=False)
    return np.asarray(local_max(clean, min_distance=max(round(0.45 * truth.spacing_px), 1)))[:, ::-1]


PEERS: dict[str, Callable[[SampleSimulation], np.ndarray]] = {
    name: find
    for name, package, find in (("atomap", "atomap", atomap), ("motif-learn", "mtflearn", motif_learn))
    if find_spec(package)
}
