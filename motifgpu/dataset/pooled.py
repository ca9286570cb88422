"""A dictionary of the motifs of a run, learned from a sample of its micrographs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.dictionary import MotifDictionary
from motifgpu.dictionary.pooled import OTHER_RING
from motifgpu.store import layout
from motifgpu.store.read import RunFolder

MICROGRAPHS = 64  # files that a dictionary is learned from
COLUMNS = 100_000  # columns of theirs that are used


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
    """Moments of whole patches of several micrographs, (N, n_moments), of which one is read at a time."""

    def __init__(self, run: RunFolder, names: Sequence[str], whole: Sequence[np.ndarray]) -> None:
        self._run, self._names, self._whole = run, names, whole
        self.limits = np.cumsum([0, *map(len, whole)])

    def __len__(self) -> int:
        return int(self.limits[-1])

    def __getitem__(self, rows: slice) -> np.ndarray:
        place = int(np.searchsorted(self.limits, rows.start, side="right")) - 1
        begin = int(self.limits[place])
        chosen = self._whole[place][rows.start - begin : rows.stop - begin]
        moments: np.ndarray = np.array(self._run.moments(self._names[place]))[chosen]
        return moments


def learn_from_run(sample: RunFolder, seed: int) -> MotifDictionary:
    """Learn a dictionary from the columns of a run.

    Parameters
    ----------
    sample : RunFolder
        Run over the sampled files.
    seed : int
        Of the columns that are used, at most 100,000.

    Returns
    -------
    MotifDictionary

    Raises
    ------
    StageError
        If no micrograph of the sample can be analysed, or they show no motifs.
    """
    rows = _comparable(sample)
    if not rows:
        raise StageError(
            "run",
            f"none of the {len(sample.quarantine)} sampled files can be analysed",
            f"see {sample.path / layout.QUARANTINE}, or give a dictionary",
        )
    names = [row["micrograph"] for row in rows]
    whole = [_whole_rows(sample, name) for name in names]
    moments = _Rows(sample, names, whole)
    return MotifDictionary.learn_pooled(
        moments,
        moments.limits,
        sample=COLUMNS,
        seed=seed,
        patch_nm=_usual_patch_nm(rows),
        sources=[row["source"] for row in rows],
        more={name: sample.about["parameters"][name] for name in ("remove_background", "rotation_invariant")},
    )


def _whole_rows(sample: RunFolder, name: str) -> np.ndarray:
    """Return the rows of a micrograph's moments that are those of whole patches."""
    columns = sample.columns(name)
    whole = np.asarray(columns["whole"].fill_null(False))
    rows: np.ndarray = np.asarray(columns["moments_row"].fill_null(-1))[whole]
    return rows


def _patch_nm(row: dict[str, Any]) -> float | None:
    size = row["pixel_size_nm"]
    return row["patch_size_px"] * size if size else None


def _usual_patch_nm(rows: Sequence[dict[str, Any]]) -> float | None:
    sizes = [size for size in map(_patch_nm, rows) if size]
    return float(np.median(sizes)) if sizes else None


def _comparable(sample: RunFolder) -> list[dict[str, Any]]:
    """Return the micrographs whose moments are of the commonest order, and patches of the usual size."""
    rows = sample.micrographs.to_pylist()
    widths = [sample.moments(row["micrograph"]).shape[1] for row in rows]
    usual = _usual_patch_nm(rows)
    common = Counter(widths).most_common(1)[0][0] if widths else 0

    def fits(size: float | None) -> bool:
        return not (usual and size and abs(size / usual - 1) > OTHER_RING)

    return [row for row, width in zip(rows, widths, strict=True) if width == common and fits(_patch_nm(row))]
