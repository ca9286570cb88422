"""The dictionary: motifs learned once, and columns of other micrographs called by their names."""

from __future__ import annotations

import os
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
from motifgpu.core.deprecation import warn_renamed
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array
from motifgpu.core.shown import notebook_table
from motifgpu.dictionary import files, pooled
from motifgpu.dictionary.alignment import Alignment
from motifgpu.dictionary.chapter import Chapter
from motifgpu.dictionary.environments import Environments
from motifgpu.dictionary.extension import extend
from motifgpu.dictionary.learning import first_chapter
from motifgpu.dictionary.names import Called, majority, names_of, taken_over
from motifgpu.dictionary.naming import Assignment, assign_columns
from motifgpu.dictionary.pooled import STAGE
from motifgpu.motifs.find import Motifs
from motifgpu.motifs.numbering import NUMBERED

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis


@dataclass(frozen=True, eq=False)
class MotifDictionary:
    """Motifs with numbers and names that stay, learned on some micrographs and found again in others.

    Make one with `learn` or `learn_pooled`. A column is named from its own patch and from what its whole
    micrograph shows of detector, orientation and dose. A micrograph therefore has the same labels, to the
    bit, whatever other micrographs are assigned together with it.

    Attributes
    ----------
    chapters : tuple of Chapter
        The motifs; the first chapter holds those learned first.
    environments : Environments
        Their environments.
    counts : (c,) int64 ndarray
        Columns of each motif among those that the dictionary was learned on.
    names : tuple of str
        Of the motifs; ``"motif 0"`` and so on unless renamed.
    provenance : dict
        How it was learned: order, size of the patches, sample, micrographs.

    Notes
    -----
    Micrographs may differ in: gain and offset of the detector; dose; a slow background; the fraction of
    defects; the magnification, as long as patches have the paper's size, two periods; the width of columns,
    by 20 %; the orientation of the crystal, also from grain to grain; drift and strain of a few per cent.
    Where they differ more, such as another crystal or a detector with other contrast, all columns are unseen
    rather than wrong. Twins are distinguished from about 3 counts per pixel on; below, half of their columns
    get wrong names. Moments of another order and patches of another size in nm are errors.

    Examples
    --------
    Learn the motifs of one micrograph and find them in another one, where they have the same numbers:

    >>> import motifgpu
    >>> first, second = (
    ...     motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1, seed=seed)
    ...     for seed in (0, 1)
    ... )
    >>> dictionary = motifgpu.MotifDictionary.learn(motifgpu.analyze(first.image))
    >>> dictionary = dictionary.renamed({0: "Mo", 1: "Se2", 2: "V_Se"})
    >>> analysis = motifgpu.analyze(second.image, dictionary=dictionary)
    >>> match = motifgpu.match_points(analysis.points, second.points, radius=3.0)
    >>> same = analysis.motifs.labels[match.found] == second.labels[match.reference]
    >>> bool(same.mean() > 0.95)
    True
    >>> dictionary.names
    ('Mo', 'Se2', 'V_Se')
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

    def _repr_html_(self) -> str:
        rows = zip(range(len(self.names)), self.names, self.counts, strict=True)
        return notebook_table(repr(self).strip("<>"), ("motif", "name", "columns"), rows)

    @property
    def order(self) -> int:
        """Highest Zernike order of its moments."""
        return self.chapters[0].model.order

    @property
    def surroundings(self) -> Environments:
        """Deprecated: the former name of `environments`."""
        warn_renamed("MotifDictionary.surroundings", "environments")
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
            Its motifs have the names that most of their columns have in the analyses; those of one name are
            one motif. Names that none of its motifs has are in its provenance, as ``"not_learned"``.

        Raises
        ------
        StageError
            If there is none, or their moments are of different orders or of patches of different sizes.

        Examples
        --------
        The motifs of one micrograph; they are numbered as in the analysis:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> dictionary = motifgpu.MotifDictionary.learn(analysis)
        >>> dictionary.names
        ('motif 0', 'motif 1', 'motif 2')
        >>> bool(dictionary.counts.sum() == analysis.whole.sum())
        True
        """
        moments, offsets, more = pooled.of_analyses(analyses)
        called = names_of(pooled.listed(analyses))
        return cls._learned(moments, offsets, called, min_size=min_size, sample=sample, seed=seed, **more)

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
            Zernike moments as `motifgpu.find_motifs` takes them; or any object that returns rows for slices,
            such as an array on disk, of which one micrograph at a time is read.
        offsets : (m + 1,) int array, optional
            Where each micrograph begins, the last one N; one micrograph by default.
        min_size : int
            Smallest number of columns of a motif.
        sample : int
            Largest number of columns used, drawn without replacement from each micrograph in proportion to
            its columns.
        seed : int
            Seed of that sample.
        patch_nm : float, optional
            Side of the patches in nm, if it is known.
        sources : sequence of str, optional
            Names of the micrographs.
        more : mapping, optional
            Further entries of `provenance`, of types that JSON can hold.

        Returns
        -------
        MotifDictionary
            Micrographs that do not show the same crystal as most of them are left out and named in its
            provenance.

        Raises
        ------
        StageError
            If the moments are not those of an order, not finite or too few, or the offsets do not fit.

        Examples
        --------
        The moments of two micrographs, one after the other:

        >>> import motifgpu
        >>> import numpy as np
        >>> moments = []
        >>> for seed in (0, 1):
        ...     made = motifgpu.simulate.monolayer(
        ...         shape=(160, 160), lattice_constant=16.0, vacancies=0.1, seed=seed
        ...     )
        ...     patches, _ = motifgpu.extract_patches(made.image, made.points, 28)
        ...     moments.append(motifgpu.zernike_moments(patches))
        >>> offsets = np.array([0, len(moments[0]), len(moments[0]) + len(moments[1])])
        >>> dictionary = motifgpu.MotifDictionary.learn_pooled(np.concatenate(moments), offsets)
        >>> len(dictionary.names)
        3
        >>> bool(dictionary.counts.sum() == offsets[-1])
        True
        """
        return cls._learned(
            moments,
            offsets,
            None,
            min_size=min_size,
            sample=sample,
            seed=seed,
            patch_nm=patch_nm,
            sources=sources,
            more=more,
        )

    @classmethod
    def _learned(
        cls,
        moments: Any,
        offsets: Any,
        called: Called | None,
        *,
        min_size: int,
        sample: int,
        seed: int,
        patch_nm: float | None,
        sources: Sequence[str] | None,
        more: Mapping[str, Any] | None,
    ) -> MotifDictionary:
        """Learn from columns, of which some may have names."""
        min_size = check_integer(min_size, STAGE, "min_size", 1)
        sample = check_integer(sample, STAGE, "sample", 1)
        limits = check_offsets(offsets, len(moments), STAGE)
        sources = pooled.sources(sources, len(limits) - 1)
        samples = list(pooled.samples(moments, limits, sample, seed))
        with threadpool_limits(limits=1, user_api="blas"):
            chapter, pool = first_chapter(samples, min_size)
            named = chapter.name(pool.moments, chapter.scatter)
            sublattice, labels = named.classified.sublattice, named.classified.labels
            known = np.maximum(named.intensity, named.pattern) <= 1.0
            labels = np.where(known, labels, -1)
            names, lost = ("",) * chapter.motifs, list[str]()
            if called is not None:
                own = pooled.sampled(called.of_column, limits, sample, seed)
                said = np.concatenate([own[k] for k, there in enumerate(pool.matched) if there])
                chapter, labels, names, lost = taken_over(chapter, labels, said, called.names)
            environments = Environments.fit(pool.moments, sublattice, labels, chapter)
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
            **({"not_learned": lost} if lost else {}),
        }
        return cls((chapter,), environments, counts, _numbered(names), provenance)

    def extended(self, analyses: Analysis | Sequence[Analysis], *, min_size: int = 3) -> MotifDictionary:
        """Return a dictionary that also has the motifs of further micrographs; see `extended_pooled`.

        Examples
        --------
        A second micrograph has tungsten on some molybdenum sites, which becomes a fourth motif:

        >>> import motifgpu
        >>> pure = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
        >>> doped = motifgpu.simulate.monolayer(
        ...     shape=(192, 192), lattice_constant=16.0, dopants={"W": 0.1}, seed=4
        ... )
        >>> dictionary = motifgpu.MotifDictionary.learn(motifgpu.analyze(pure.image, structure=False))
        >>> analysis = motifgpu.analyze(doped.image, structure=False)
        >>> extended = dictionary.extended(analysis)
        >>> extended.names
        ('motif 0', 'motif 1', 'motif 2', 'motif 3')
        >>> bool(extended.assign(analysis).unseen.sum() < dictionary.assign(analysis).unseen.sum())
        True
        """
        moments, offsets, more = pooled.of_analyses(analyses)
        pooled.check_patch(self.patch_nm, more["patch_nm"])
        found = self.extended_pooled(moments, offsets, min_size=min_size, sources=more["sources"])
        called = names_of(pooled.listed(analyses))
        if called is None:
            return found
        labels = namespace.to_numpy(found.assign(moments, offsets).labels)
        new = majority(labels, np.concatenate(called.of_column), len(found.names))[len(self.names) :]
        names = {k: called.names[name] for k, name in enumerate(new, len(self.names)) if name >= 0}
        taken = {*self.names}
        return found.renamed({k: name for k, name in names.items() if name not in taken})

    def extended_pooled(
        self,
        moments: Any,
        offsets: Any = None,
        *,
        min_size: int = 3,
        sources: Sequence[str] | None = None,
    ) -> MotifDictionary:
        """Return a dictionary that also has the motifs of further columns.

        New motifs are searched for among the unseen columns: intensities that the known sublattices did not
        have, and patterns that occur repeatedly. Their numbers follow the existing ones. Every column that
        the old dictionary names has the same label with the new one.

        Parameters
        ----------
        moments, offsets, sources
            As for `learn_pooled`; all columns are used.
        min_size : int
            Smallest number of columns of a new motif; for a new pattern at least 12.

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
            names=_numbered((*self.names, *[""] * (found.counts.size - len(self.names)))),
            provenance=provenance,
        )

    def assign(
        self,
        columns: Analysis | Array,
        offsets: Any = None,
        *,
        alignments: Sequence[Alignment] | None = None,
        frames: Sequence[Alignment] | None = None,
    ) -> Assignment:
        """Find which of the dictionary's motifs columns are, and which columns it has never seen.

        Parameters
        ----------
        columns : Analysis or (N, n_moments) array
            A micrograph, or moments of one or several.
        offsets : (m + 1,) int array, optional
            Where each micrograph begins in the moments, the last one N; one micrograph by default.
        alignments : sequence of Alignment, optional
            Alignment of each micrograph, from an earlier assignment, so that some columns of a micrograph are
            named as they are among all of its columns.
        frames : sequence of Alignment, optional
            Deprecated: the former name of `alignments`.

        Returns
        -------
        Assignment
            For the columns of an analysis that have a patch, as its `motifs`. Arrays in the namespace and on
            the device of the moments; the rows of a micrograph are the same bits alone and in any batch.

        Raises
        ------
        StageError
            If the moments are of another order or not finite, the patches of another size, or the offsets or
            alignments do not fit.

        Notes
        -----
        Gain, offset, orientation and noise are found from up to 4,096 columns of each micrograph, at least
        about twelve per sublattice; with fewer, all columns may be unseen.

        Examples
        --------
        The same crystal at twice the dose and turned by 20 degrees; its columns have the same numbers:

        >>> import motifgpu
        >>> moments = []
        >>> for counts, angle in ((30.0, 0.0), (60.0, 20.0)):
        ...     made = motifgpu.simulate.monolayer(
        ...         shape=(160, 160), lattice_constant=16.0, vacancies=0.1, counts=counts, angle=angle
        ...     )
        ...     patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
        ...     moments.append(motifgpu.zernike_moments(patches))
        >>> dictionary = motifgpu.MotifDictionary.learn_pooled(moments[0])
        >>> assignment = dictionary.assign(moments[1])
        >>> bool((assignment.labels == made.labels[inside]).mean() > 0.95)
        True
        """
        if hasattr(columns, "moments"):
            pooled.check_patch(self.patch_nm, pooled.patch_nm(columns))
            analysis: Any = columns
            columns = analysis.moments
            if alignments is None and frames is None:
                alignments = self._alignments(columns, analysis.whole)
        moments = pooled.checked(columns, self.order)
        limits = check_offsets(offsets, moments.shape[0], STAGE)
        if frames is not None:
            warn_renamed("The argument frames of MotifDictionary.assign", "alignments")
            alignments = frames if alignments is None else alignments
        if alignments is not None and len(alignments) != len(limits) - 1:
            raise StageError(
                STAGE,
                f"there are {len(alignments)} alignments for {len(limits) - 1} micrographs",
                "give one of each",
            )
        with threadpool_limits(limits=1, user_api="blas"):
            return assign_columns(moments, limits, self.chapters, self.environments, alignments)

    def _alignments(self, moments: Array, whole: Array) -> Sequence[Alignment]:
        """Return the alignment of a micrograph from its columns with a whole patch."""
        return self.assign(namespace.take_rows(moments, whole)).alignments

    def motifs(self, moments: Array, whole: Array | None = None) -> Motifs:
        """Return the motifs of one micrograph under the dictionary's numbers, as `find_motifs` does its own.

        Parameters
        ----------
        moments : (N, n_moments) array
        whole : (N,) bool array, optional
            Which of them are of whole patches; gain, offset, orientation and noise of the micrograph are
            found from these alone. All by default.

        Returns
        -------
        Motifs
            Counts and means up to the largest label that occurs; zeros for labels without columns.

        Examples
        --------
        The dictionary's motifs in another micrograph, with the numbers of the dictionary:

        >>> import motifgpu
        >>> moments = []
        >>> for seed in (0, 1):
        ...     made = motifgpu.simulate.monolayer(
        ...         shape=(160, 160), lattice_constant=16.0, vacancies=0.1, seed=seed
        ...     )
        ...     patches, inside = motifgpu.extract_patches(made.image, made.points, 28)
        ...     moments.append(motifgpu.zernike_moments(patches))
        >>> dictionary = motifgpu.MotifDictionary.learn_pooled(moments[0])
        >>> motifs = dictionary.motifs(moments[1])
        >>> bool((motifs.labels == made.labels[inside]).mean() > 0.95)
        True
        """
        found = self.assign(moments, alignments=None if whole is None else self._alignments(moments, whole))
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
            identities=found.labels,
            domains=xp.zeros_like(found.labels),
            identity_confidence=found.confidence,
            domain_confidence=xp.ones_like(found.confidence),
            environment_confidence=xp.where(
                found.environments >= 0, found.confidence, xp.zeros_like(found.confidence)
            ),
            notes=(),
            names=tuple("" if NUMBERED.fullmatch(name) else name for name in self.names),
        )

    def patch_pixels(self, periods: float, pixel_size_nm: float | None) -> float:
        """Return the patch size with which a micrograph can be compared with the dictionary.

        Parameters
        ----------
        periods : float
            Side of a patch of the paper's size as `estimate_patch_size` measured it, px.
        pixel_size_nm : float or None
            Pixel size of the micrograph in nm.

        Returns
        -------
        float
            Side in pixels: the measured one, which does not depend on a calibration. Where both are
            calibrated and the measured one differs by more than 15 % from the dictionary's size in nm, that
            size, because then another ring of the spectrum was taken for the first.
        """
        if self.patch_nm is None or pixel_size_nm is None:
            return periods
        calibrated = self.patch_nm / pixel_size_nm
        return periods if abs(periods / calibrated - 1) <= pooled.OTHER_RING else calibrated

    def renamed(self, names: Mapping[int, str]) -> MotifDictionary:
        """Return the dictionary with other names for some motifs; their numbers stay.

        Examples
        --------
        Name the two motifs of a perfect monolayer:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0)
        >>> patches, _ = motifgpu.extract_patches(made.image, made.points, 28)
        >>> dictionary = motifgpu.MotifDictionary.learn_pooled(motifgpu.zernike_moments(patches))
        >>> dictionary.renamed({0: "Mo", 1: "Se2"}).names
        ('Mo', 'Se2')
        """
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

        Examples
        --------
        A dictionary that is read again is the same in everything that labels depend on:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0)
        >>> patches, _ = motifgpu.extract_patches(made.image, made.points, 28)
        >>> dictionary = motifgpu.MotifDictionary.learn_pooled(motifgpu.zernike_moments(patches))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = dictionary.save(Path(folder) / "MoSe2.npz")
        ...     again = motifgpu.MotifDictionary.load(path)
        >>> again.digest == dictionary.digest
        True
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
            STAGE,
            f"{os.fspath(path)} is damaged: its contents are not those that were saved",
            "save it again",
        )
        counts = arrays.pop("counts", None)
        if counts is None or files.digest(arrays) != about.get("digest"):
            raise damaged
        chapters, environments = files.unpack(arrays)
        names = tuple(about["names"])
        if len(names) != counts.size:
            raise damaged
        return cls(chapters, environments, counts, names, about["provenance"])


def _numbered(names: Sequence[str]) -> tuple[str, ...]:
    """Return names, with their number for motifs that have none."""
    return tuple(name or f"motif {number}" for number, name in enumerate(names))
