"""A dictionary of the motifs of a run, learned from a sample of its micrographs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.dataset.results import Run
from motifgpu.dictionary import MotifDictionary
from motifgpu.dictionary.pooled import OTHER_RING
from motifgpu.store import layout

MICROGRAPHS = 64  # files that a dictionary is learned from
COLUMNS = 100_000  # columns of theirs that are looked at


def sampled(files: Sequence[str], number: int, seed: int) -> list[str]:
    """Return files for a dictionary: one at random from each of `number` parts of the list, in its order.

    Files are sorted by path, which is by sample and time more often than not, so that every part of the data
    is represented.
    """
    if len(files) <= number:
        return list(files)
    rng = np.random.default_rng([seed, len(files)])
    cuts = np.linspace(0, len(files), number + 1).astype(int)
    return [files[int(rng.integers(a, b))] for a, b in pairwise(cuts)]


class _Rows:
    """Moments of several micrographs as one array (N, n_moments), of which one is read at a time."""

    def __init__(self, run: Run, names: Sequence[str], limits: np.ndarray) -> None:
        self._run, self._names, self._limits = run, names, limits

    def __len__(self) -> int:
        return int(self._limits[-1])

    def __getitem__(self, rows: slice) -> np.ndarray:
        place = int(np.searchsorted(self._limits, rows.start, side="right")) - 1
        begin = int(self._limits[place])
        return np.array(self._run.moments(self._names[place])[rows.start - begin : rows.stop - begin])


def learned(
    files: Sequence[str],
    root: Path,
    run: Callable[..., Run],
    seed: int,
    micrographs: int = MICROGRAPHS,
    columns: int = COLUMNS,
) -> MotifDictionary:
    """Return the dictionary in a folder of a run, learned and put there first where there is none.

    Parameters
    ----------
    files : sequence of str
        All files of the run, sorted.
    root : Path
        Folder of the run.
    run : callable
        Called as ``run(files, out)``: analyses the sample into a folder of its own, which can be interrupted
        and goes on like any run.
    seed : int
        Of the sample.
    micrographs, columns : int
        Size of the sample.

    Returns
    -------
    MotifDictionary

    Raises
    ------
    StageError
        If no micrograph of the sample can be analysed, or they show no motifs.
    """
    path = root / layout.DICTIONARY
    if path.exists():
        return MotifDictionary.load(path)
    sample = run(sampled(files, micrographs, seed), root / "sample.motif")
    rows = _comparable(sample)
    if not rows:
        raise StageError(
            "run",
            f"none of the {len(sample.quarantine)} sampled files can be analysed",
            f"see {sample.path / layout.QUARANTINE}, or give a dictionary",
        )
    names = [row["micrograph"] for row in rows]
    limits = np.cumsum([0, *(row["points"] for row in rows)])
    sizes = [row["patch_size_px"] * row["pixel_size_nm"] for row in rows if row["pixel_size_nm"]]
    dictionary = MotifDictionary.learn_pooled(
        _Rows(sample, names, limits),
        limits,
        sample=columns,
        seed=seed,
        patch_nm=float(np.median(sizes)) if sizes else None,
        sources=[row["source"] for row in rows],
        more={name: sample.about["parameters"][name] for name in ("remove_background", "rotation_invariant")},
    )
    dictionary.save(path)
    return dictionary


def _comparable(sample: Run) -> list[dict[str, Any]]:
    """Return the micrographs whose moments are of the commonest order, and patches of the usual size."""
    rows = sample.micrographs.to_pylist()
    widths = [sample.moments(row["micrograph"]).shape[1] for row in rows]
    sizes = [row["patch_size_px"] * row["pixel_size_nm"] for row in rows if row["pixel_size_nm"]]
    usual = float(np.median(sizes)) if sizes else None
    common = Counter(widths).most_common(1)[0][0] if widths else 0
    return [
        row
        for row, width in zip(rows, widths, strict=True)
        if width == common
        and not (
            usual
            and row["pixel_size_nm"]
            and abs(row["patch_size_px"] * row["pixel_size_nm"] / usual - 1) > OTHER_RING
        )
    ]
