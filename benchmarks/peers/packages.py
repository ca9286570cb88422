"""The packages that motifgpu is compared with, each called as its documentation advises."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from motifgpu import ForceRelaxation

PERPLEXITY = 30


def motif_learn_moments(patches: np.ndarray, order: int = 10) -> np.ndarray:
    """Return the Zernike moments (n, n_moments) of motif-learn, the paper authors' package."""
    from mtflearn.features import ZPs

    return np.asarray(ZPs(n_max=order, size=patches.shape[-1]).fit_transform(patches.astype(float)).data)


def atomap_candidates(image: np.ndarray, separation: int) -> np.ndarray:
    """Return the positions (x, y) that atomap starts from, corrected as its documentation says."""
    import atomap.api as am
    import hyperspy.api as hs

    signal = hs.signals.Signal2D(image.astype(np.float64))
    return np.asarray(
        am.get_atom_positions(
            signal, separation=separation, pca=True, subtract_background=True, normalize_intensity=True
        )
    )


def atomap_refined(image: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Return the positions (x, y) that atomap ends with: centres of mass, then Gaussians."""
    import atomap.api as am

    # Its centre of mass of a region without counts is not a number, on which it stops.
    sublattice = am.Sublattice(start, image=image.astype(np.float64) - min(image.min(), 0) + 1e-3)
    sublattice.find_nearest_neighbors()
    sublattice.refine_atom_positions_using_center_of_mass(show_progressbar=False)
    sublattice.refine_atom_positions_using_2d_gaussian(show_progressbar=False)
    return np.stack([sublattice.x_position, sublattice.y_position], axis=1)


def motif_learn_candidates(image: np.ndarray, lattice_constant: float) -> np.ndarray:
    """Return the positions (x, y) that the notebooks of motif-learn find, told the lattice constant."""
    from mtflearn.denoise._denoise_svd import denoise_svd
    from mtflearn.features import local_max

    clean = denoise_svd(image, patch_size=round(lattice_constant), n_components=12, verbose=False)
    return np.asarray(local_max(clean, min_distance=max(round(0.25 * lattice_constant), 1)))


def _motifgpu(x: np.ndarray, seed: int) -> np.ndarray:
    return ForceRelaxation(n_neighbors=10, random_state=seed).fit_transform(x.astype(np.float32))


def _motifgpu_euclidean(x: np.ndarray, seed: int) -> np.ndarray:
    relaxation = ForceRelaxation(n_neighbors=10, random_state=seed, metric="euclidean")
    return relaxation.fit_transform(x.astype(np.float32))


def _motif_learn(x: np.ndarray, seed: int) -> np.ndarray:
    from mtflearn.manifold import ForceGraph8

    return np.asarray(ForceGraph8(n_neighbors=10, random_state=seed).fit_transform(x.astype(np.float64)))


def _tsne(x: np.ndarray, seed: int) -> np.ndarray:
    from openTSNE import TSNE

    return np.asarray(TSNE(perplexity=PERPLEXITY, initialization="pca", n_jobs=1, random_state=seed).fit(x))


def _umap(x: np.ndarray, seed: int | None, **options: Any) -> np.ndarray:
    from umap import UMAP

    return np.asarray(UMAP(random_state=seed, n_jobs=1, **options).fit_transform(x))


def _umap_unseeded(x: np.ndarray, seed: int) -> np.ndarray:
    return _umap(x, None)


def _umap_clustering(x: np.ndarray, seed: int) -> np.ndarray:
    return _umap(x, seed, n_neighbors=30, min_dist=0.0)


def _umap_correlation(x: np.ndarray, seed: int) -> np.ndarray:
    return _umap(x, seed, n_neighbors=10, metric="correlation")


def _pacmap(x: np.ndarray, seed: int) -> np.ndarray:
    from pacmap import PaCMAP

    return np.asarray(PaCMAP(n_components=2, random_state=seed).fit_transform(x, init="pca"))


# openTSNE: PCA start and perplexity 30. umap-learn: its defaults, seeded and not, what its documentation
# advises before clustering (more neighbours, no least distance), and our neighbourhood. PaCMAP: its defaults.
LAYOUTS: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
    "motifgpu": _motifgpu,
    "motifgpu, Euclidean": _motifgpu_euclidean,
    "motif-learn": _motif_learn,
    "t-SNE": _tsne,
    "UMAP": _umap,
    "UMAP, unseeded": _umap_unseeded,
    "UMAP for clustering": _umap_clustering,
    "UMAP, our neighbours": _umap_correlation,
    "PaCMAP": _pacmap,
}


def cpu_seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of `work` and the CPU time of this process that it took."""
    start = time.process_time()
    result = work()
    return result, time.process_time() - start
