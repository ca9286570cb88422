"""A run on the disk, opened: its tables, moments, hierarchy and quarantine."""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.core.errors import StageError
from motifgpu.store import layout

if TYPE_CHECKING:
    import anndata
    import pyarrow as pa

    from motifgpu.analysis import Analysis
    from motifgpu.structure.hierarchy import Hierarchy


class Run:
    """What a run over a dataset found; made by `motifgpu.run`, or opened by its folder.

    Tables are Arrow tables: ``.to_pandas()`` or ``polars.from_arrow`` turns them into others, and the Parquet
    files in the folder can be read by anything that reads Parquet. Units are in the metadata of the columns.

    Parameters
    ----------
    path : path-like
        Folder of the run.

    Raises
    ------
    StageError
        If the folder holds no run, or one of another schema.

    Examples
    --------
    Which motifs does each micrograph of a run have, and how many columns of each?

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.save(Path(folder) / "scan.npy", made.image)
    ...     _ = motifgpu.run(folder, Path(folder) / "out", workers=1)
    ...     run = motifgpu.Run(Path(folder) / "out")
    ...     counts = run.counts.to_pydict()
    >>> counts["motif"]
    [0, 1, 2]
    >>> counts["count"][0] > counts["count"][1] > counts["count"][2]
    True
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.about: dict[str, Any] = layout.read_json(self.path / layout.RUN)
        layout.check_schema(self.about.get("schema"), self.path / layout.RUN, self.about.get("written_by"))

    def __repr__(self) -> str:
        found = self.about["found"]
        return (
            f"<Run at {self.path}: {self.about['state']}, {found.get('micrographs', 0):,} micrographs, "
            f"{found.get('columns', 0):,} columns, {found.get('quarantined', 0):,} quarantined>"
        )

    @property
    def micrographs(self) -> pa.Table:
        """One row per micrograph, in the order of their paths."""
        return self._table(layout.MICROGRAPHS, "MICROGRAPHS")

    @property
    def counts(self) -> pa.Table:
        """One row per micrograph and motif, with density and its 95 % interval."""
        return self._table(layout.COUNTS, "COUNTS")

    @property
    def motifs(self) -> pa.Table:
        """One row per motif, with its count, density and mean patch."""
        return self._table(layout.MOTIFS, "MOTIFS")

    @property
    def occurrences(self) -> pa.Table:
        """One row per place where a motif-cell occurs."""
        return self._table(layout.OCCURRENCES, "OCCURRENCES")

    def columns(self, micrograph: str | None = None) -> pa.Table:
        """Return one row per atom column.

        Parameters
        ----------
        micrograph : str, optional
            Name of one micrograph; all of them by default.

        Raises
        ------
        StageError
            If there is none of this name.

        Examples
        --------
        A table with one row per atom column:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "scan.npy", made.image)
        ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
        ...     micrograph = run.micrographs["micrograph"][0].as_py()
        ...     columns = run.columns(micrograph)
        ...     found = run.micrographs["columns"][0].as_py()
        >>> columns.column_names[:5]
        ['micrograph', 'row_px', 'col_px', 'prominence', 'occupied']
        >>> columns.num_rows == found
        True
        """
        if micrograph is None:
            return self._table(layout.COLUMNS, "COLUMNS")
        self._known(micrograph)
        return self._table(f"{layout.COLUMNS}/{micrograph}.parquet", "COLUMNS")

    def moments(self, micrograph: str) -> np.ndarray:
        """Return the moments (m, n_moments) float32 of one micrograph, mapped from the disk.

        Row r belongs to the column whose ``moments_row`` is r. The whole hierarchy of arrays opens with
        ``zarr.open(run.path / "moments.zarr")``.

        Raises
        ------
        StageError
            If there is none of this name.

        Examples
        --------
        The moments of the columns that have a patch:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "scan.npy", made.image)
        ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
        ...     micrograph = run.micrographs["micrograph"][0].as_py()
        ...     moments = np.array(run.moments(micrograph))
        ...     points = run.micrographs["points"][0].as_py()
        >>> moments.shape == (points, 66)
        True
        """
        from motifgpu.store.arrays import read_array

        self._known(micrograph)
        return read_array(self.path / layout.MOMENTS / micrograph)

    @cached_property
    def hierarchy(self) -> Hierarchy | None:
        """All micrographs' motif-cells merged; None where no micrograph has a lattice."""
        from motifgpu.structure.hierarchy.export import from_json

        path = self.path / layout.HIERARCHY
        return from_json(path.read_text(encoding="utf-8")) if path.exists() else None

    @property
    def quarantine(self) -> list[dict[str, Any]]:
        """The files and images that could not be analysed: path, title, reason and status."""
        path = self.path / layout.QUARANTINE
        if not path.exists():
            return []
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def thumbnail(self, micrograph: str) -> bytes:
        """Return a small picture of a micrograph as PNG."""
        import base64

        from motifgpu.store.assemble import details

        self._known(micrograph)
        return base64.b64decode(details(self.path, micrograph)["thumbnail"])

    def analysis(self, micrograph: str) -> Analysis:
        """Analyse one micrograph again, from its file and as in the run; the result is the same.

        Raises
        ------
        StageError
            If there is none of this name.
        MicrographReadError
            If its file is missing or has changed.

        Examples
        --------
        The whole analysis of one micrograph, computed again:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "scan.npy", made.image)
        ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
        ...     micrograph = run.micrographs["micrograph"][0].as_py()
        ...     analysis = run.analysis(micrograph)
        >>> analysis.micrograph.title, len(analysis.motifs.counts)
        ('scan', 2)
        """
        from motifgpu.dataset.reanalyze import analyze_again

        return analyze_again(self, micrograph)

    def report(self, micrograph: str | None = None) -> Path:
        """Write the report of the run, or a page of one micrograph, and return its path.

        Parameters
        ----------
        micrograph : str, optional
            Name of a micrograph, whose page goes to ``pages/<name>/report.html``.

        Examples
        --------
        The report of the whole run:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> import numpy as np
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder) / "scan.npy", made.image)
        ...     run = motifgpu.run(folder, Path(folder) / "out", workers=1, structure=False)
        ...     run.report().name
        'report.html'
        """
        if micrograph is not None:
            return self.analysis(micrograph).report(self.path / "pages" / micrograph)
        from motifgpu.dataset.report import write_report

        return write_report(self)

    def to_anndata(self) -> anndata.AnnData:
        """Return all columns that have a motif; see `motifgpu.dataset.export.to_anndata`."""
        from motifgpu.dataset.export import to_anndata

        return to_anndata(self)

    def to_hyperspy(self, micrograph: str | None = None) -> Any:
        """Return class averages or a micrograph as a signal; see `motifgpu.dataset.export.to_hyperspy`."""
        from motifgpu.dataset.export import to_hyperspy

        return to_hyperspy(self, micrograph)

    def _table(self, name: str, schema: str) -> pa.Table:
        from motifgpu.store import tables

        return tables.read_table(self.path / name, getattr(tables, schema))

    def _known(self, micrograph: str) -> None:
        if not (self.path / layout.DETAILS / f"{os.path.basename(micrograph)}.json").exists():
            raise StageError(
                layout.STAGE,
                f"{self.path} has no micrograph {micrograph!r}",
                "choose a name from the column micrograph of micrographs.parquet",
            )
