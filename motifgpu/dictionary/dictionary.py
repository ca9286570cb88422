"""The dictionary: motifs learned once, and columns of other micrographs called by their names."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from motifgpu.core import namespace
from motifgpu.core.checks import check_integer, check_offsets
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.dictionary import files, pooled
from motifgpu.dictionary.alignment import Frame
from motifgpu.dictionary.chapter import Chapter
from motifgpu.dictionary.environments import Environments
from motifgpu.dictionary.extension import extend
from motifgpu.dictionary.learning import first_chapter
from motifgpu.dictionary.naming import Assignment, assign_columns
from motifgpu.dictionary.pooled import STAGE
from motifgpu.motifs.find import Motifs

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


@dataclass(frozen=True, eq=False)
class MotifDictionary:
    """Motifs with numbers and names that stay, learned on some micrographs and found again in others.

    Make one with `learn` or `learn_pooled`. A column is named by its own patch and by what its micrograph as
    a whole says about detector, orientation and dose. So the same micrograph has the same labels, to the bit,
    in whatever company it is assigned.

    Attributes
    ----------
    chapters : tuple of Chapter
        The motifs, those learned first in the first one.
    environments : Environments
        Their environments.
    counts : (c,) int64 ndarray
        Columns of each motif among those that the dictionary was learned on.
    names : tuple of str
        Of the motifs; ``"motif 0"`` and so on unless renamed.
    provenance : dict
        What it was learned on and with: order, size of the patches, sample, micrographs.

    Notes
    -----
    Between micrographs may differ: gain and offset of the detector; dose; a slow background; the share of
    defects; the magnification, as long as patches have the paper's size, two periods; the width of columns by
    20 %; the orientation of the crystal, also from grain to grain; drift and strain of a few per cent. Where
    more differs, another crystal or a detector with other contrast, all columns are unseen rather than wrong.
    Twins are told apart from about 3 counts a pixel on; below, half of their columns get wrong names. Moments
    of another order and patches of another size in nm are errors.
    """

    chapters: tuple[Chapter, ...]
    environments: Environments
    counts: np.ndarray
    names: tuple[str, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return (
            f"<MotifDictionary {self.digest[:12]}: {len(self.names)} motifs of {int(self.counts.sum()):,} "
            f"columns, order {self.order}>"
        )

    @property
    def order(self) -> int:
        """Highest Zernike order of its moments."""
        return self.chapters[0].model.order

    @property
    def surroundings(self) -> Environments:
        """Deprecated: the former name of `environments`."""
        warnings.warn(
            "MotifDictionary.surroundings is now called environments", DeprecationWarning, stacklevel=2
        )
        return self.environments

    @property
    def patch_nm(self) -> float | None:
        """Side of a patch in nm, None where no micrograph was calibrated."""
        return self.provenance.get("patch_nm")

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that labels depend on, as 64 hexadecimal digits."""
        return files.digest(files.pack(self.chapters, self.environments))

    @classmethod
    def learn(
        cls,
        analyses: Analysis | Sequence[Analysis],
        *,
        min_size: int = 3,
        sample: int = 100_000,
        seed: int = 0,
    ) -> MotifDictionary:
        """Learn the motifs of analysed micrographs.

        Parameters
        ----------
        analyses : Analysis or sequence of Analysis
            Of the same crystal.
        min_size, sample, seed
            As for `learn_pooled`.

        Returns
        -------
        MotifDictionary

        Raises
        ------
        StageError
            If there is none, or their moments are of different orders or of patches of different sizes.
        """
        moments, offsets, more = pooled.of_analyses(analyses)
        return cls.learn_pooled(moments, offsets, min_size=min_size, sample=sample, seed=seed, **more)

    @classmethod
    def learn_pooled(
        cls,
        moments: Any,
        offsets: Any = None,
        *,
        min_size: int = 3,
        sample: int = 100_000,
        seed: int = 0,
        patch_nm: float | None = None,
        sources: Sequence[str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> MotifDictionary:
        """Learn the motifs of the columns of many micrographs.

        Parameters
        ----------
        moments : (N, n_moments) array
            Zernike moments as `motifgpu.find_motifs` takes them; or anything that gives rows by
            slices, an array on disk say, of which one micrograph at a time is read.
        offsets : (m + 1,) int array, optional
            Where each micrograph begins, the last one N; one micrograph by default.
        min_size : int
            Fewest columns of a motif.
        sample : int
            Columns that are looked at, at most: of each micrograph its share, drawn without replacement.
        seed : int
            Of that sample.
        patch_nm : float, optional
            Side of the patches in nm, if it is known.
        sources : sequence of str, optional
            What the micrographs are called.
        more : mapping, optional
            What else `provenance` shall say, as JSON can hold it.

        Returns
        -------
        MotifDictionary
            Micrographs that do not show the crystal of most of them are left out and named in its
            provenance.

        Raises
        ------
        StageError
            If the moments are not those of an order, not finite or too few, or the offsets do not fit.
        """
        min_size = check_integer(min_size, STAGE, "min_size", 1)
        sample = check_integer(sample, STAGE, "sample", 1)
        limits = check_offsets(offsets, len(moments), STAGE)
        sources = pooled.sources(sources, len(limits) - 1)
        samples = list(pooled.samples(moments, limits, sample, seed))
        with threadpool_limits(limits=1, user_api="blas"):
            chapter, pool = first_chapter(samples, min_size)
            named = chapter.name(pool.moments, chapter.scatter)
            site, labels = named.classified.site, named.classified.labels
            known = np.maximum(named.intensity, named.pattern) <= 1.0
            labels = np.where(known, labels, -1)
            environments = Environments.fit(pool.moments, site, labels, chapter)
        counts = np.bincount(labels[labels >= 0], minlength=chapter.motifs)
        provenance = {
            "order": chapter.model.order,
            "patch_nm": patch_nm,
            "min_size": min_size,
            "sample": sample,
            "seed": seed,
            "columns": int(limits[-1]),
            "columns_looked_at": sum(map(len, samples)),
            **pooled.divided(sources, pool.matched),
            **(more or {}),
        }
        return cls((chapter,), environments, counts, _names(0, len(counts)), provenance)

    def extended(self, analyses: Analysis | Sequence[Analysis], *, min_size: int = 3) -> MotifDictionary:
        """Return a dictionary that also has the motifs of further micrographs; see `extended_pooled`."""
        moments, offsets, more = pooled.of_analyses(analyses)
        pooled.check_patch(self.patch_nm, more["patch_nm"])
        return self.extended_pooled(moments, offsets, min_size=min_size, sources=more["sources"])

    def extended_pooled(
        self,
        moments: Any,
        offsets: Any = None,
        *,
        min_size: int = 3,
        sources: Sequence[str] | None = None,
    ) -> MotifDictionary:
        """Return a dictionary that also has the motifs of further columns.

        What is unseen is looked through for motifs: intensities that the known sites did not have, and
        patterns that come again and again. They get numbers after those that are there. Every column that
        the old dictionary names has the same label after the new one.

        Parameters
        ----------
        moments, offsets, sources
            As for `learn_pooled`; all columns are looked at.
        min_size : int
            Fewest columns of a new motif; 12 of those of a new pattern, if that is more.

        Returns
        -------
        MotifDictionary
            Micrographs that do not show the dictionary's crystal add nothing.

        Raises
        ------
        StageError
            As for `assign`.
        """
        min_size = check_integer(min_size, STAGE, "min_size", 1)
        limits = check_offsets(offsets, len(moments), STAGE)
        sources = pooled.sources(sources, len(limits) - 1)

        def micrographs() -> Iterator[Array]:
            return (pooled.checked(moments[i:j], self.order) for i, j in pairwise(limits.tolist()))

        with threadpool_limits(limits=1, user_api="blas"):
            found = extend(self.chapters, self.environments, micrographs, min_size)
        added = np.pad(self.counts, (0, found.counts.size - self.counts.size))
        provenance = dict(self.provenance)
        for name in ("columns", "columns_looked_at"):
            provenance[name] += int(limits[-1])
        for name, new in pooled.divided(sources, found.matched).items():
            provenance[name] = [*provenance[name], *new]
        return replace(
            self,
            chapters=found.chapters,
            environments=found.environments,
            counts=added + found.counts,
            names=self.names + _names(len(self.names), found.counts.size),
            provenance=provenance,
        )

    def assign(
        self, columns: Analysis | Array, offsets: Any = None, *, frames: Sequence[Frame] | None = None
    ) -> Assignment:
        """Say which of the dictionary's motifs columns are, seen or never seen.

        Parameters
        ----------
        columns : Analysis or (N, n_moments) array
            A micrograph, or moments of one or several.
        offsets : (m + 1,) int array, optional
            Where each micrograph begins in the moments, the last one N; one micrograph by default.
        frames : sequence of Frame, optional
            Of each micrograph, from an assignment before. To name some columns of a micrograph as they are
            named among all of them.

        Returns
        -------
        Assignment
            For the columns of an analysis that have a patch, as its `motifs`. Arrays in the moments'
            namespace and on their device; rows of a micrograph are the same bits alone and in any company.

        Raises
        ------
        StageError
            If the moments are of another order or not finite, the patches of another size, or the offsets or
            frames do not fit.

        Notes
        -----
        Gain, offset, orientation and noise are found from up to 4,096 columns of each micrograph, at least
        about twelve a site; with fewer everything may be unseen.
        """
        if hasattr(columns, "moments"):
            pooled.check_patch(self.patch_nm, pooled.patch_nm(columns))
            columns = columns.moments
        moments = pooled.checked(columns, self.order)
        limits = check_offsets(offsets, moments.shape[0], STAGE)
        if frames is not None and len(frames) != len(limits) - 1:
            raise StageError(
                STAGE, f"there are {len(frames)} frames for {len(limits) - 1} micrographs", "give one of each"
            )
        with threadpool_limits(limits=1, user_api="blas"):
            return assign_columns(moments, limits, self.chapters, self.environments, frames)

    def motifs(self, moments: Array) -> Motifs:
        """Return the motifs of one micrograph under the dictionary's numbers, as `find_motifs` does its own.

        Parameters
        ----------
        moments : (N, n_moments) array

        Returns
        -------
        Motifs
            Counts and means up to the largest label that occurs; zeros for labels without columns.
        """
        found = self.assign(moments)
        moments = pooled.checked(moments, self.order)
        xp = namespace.array_namespace(moments)
        labels = namespace.to_numpy(found.labels)
        counts = np.bincount(labels[labels >= 0])
        member = namespace.as_like(labels == np.arange(counts.size)[:, None], moments)
        size = namespace.as_like(np.maximum(counts, 1)[:, None], moments)
        return Motifs(
            labels=found.labels,
            environments=found.environments,
            counts=namespace.from_numpy(counts, moments),
            means=xp.matmul(member, moments) / size,
            confidence=found.confidence,
        )

    def patch_pixels(self, periods: float, pixel_size_nm: float | None) -> float:
        """Return how large patches of a micrograph must be to be compared with the dictionary's.

        Parameters
        ----------
        periods : float
            Side of a patch of the paper's size as `estimate_patch_size` measured it, px.
        pixel_size_nm : float or None
            Pixel size of the micrograph in nm.

        Returns
        -------
        float
            Side in pixels: the measured one, which no calibration enters; but the dictionary's size in nm
            where both are calibrated and the measured one is more than 15 % from it, since then another ring
            of the spectrum was taken for the first.
        """
        if self.patch_nm is None or pixel_size_nm is None:
            return periods
        calibrated = self.patch_nm / pixel_size_nm
        return periods if abs(periods / calibrated - 1) <= pooled.OTHER_RING else calibrated

    def renamed(self, names: Mapping[int, str]) -> MotifDictionary:
        """Return the dictionary with other names for some motifs; their numbers stay."""
        changed = list(self.names)
        for number, name in names.items():
            changed[check_integer(number, STAGE, "the number of a motif", 0, len(changed) - 1)] = str(name)
        return replace(self, names=tuple(changed))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the dictionary to a file, whole or not at all.

        Parameters
        ----------
        path : path-like
            Replaced if it exists. An archive of arrays in NumPy's format, without pickles.

        Returns
        -------
        Path

        Raises
        ------
        OSError
            If it cannot be written.
        """
        about = {"names": list(self.names), "provenance": dict(self.provenance), "digest": self.digest}
        return files.write(
            path, {**files.pack(self.chapters, self.environments), "counts": self.counts}, about
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MotifDictionary:
        """Read a dictionary from a file.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        MotifDictionary

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        StageError
            If it is no dictionary, damaged, or of a schema that this version does not read.
        """
        arrays, about = files.read(path)
        damaged = StageError(
            STAGE, f"{os.fspath(path)} is damaged: its contents are not those that were saved", "save it anew"
        )
        counts = arrays.pop("counts", None)
        if counts is None or files.digest(arrays) != about.get("digest"):
            raise damaged
        chapters, environments = files.unpack(arrays)
        names = tuple(about["names"])
        if len(names) != counts.size:
            raise damaged
        return cls(chapters, environments, counts, names, about["provenance"])


def _names(first: int, end: int) -> tuple[str, ...]:
    return tuple(f"motif {number}" for number in range(first, end))
