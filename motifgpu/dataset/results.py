"""What a run found, opened: everything in its folder, and what is made from that."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.dataset.migration import migrate
from motifgpu.store.read import RunFolder

if TYPE_CHECKING:
    import anndata

    from motifgpu.analysis import Analysis


class Run(RunFolder):
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
        If the folder holds no run, one of a newer schema, or one of an older schema that cannot be made one
        of the present schema where it is.

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
        migrate(Path(path))
        super().__init__(path)

    def analysis(self, micrograph: str) -> Analysis:
        """Analyse one micrograph again, from its file and as in the run; the result is the same.

        Parameters
        ----------
        micrograph : str
            Named as for `columns`.

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
        from motifgpu.dataset.reanalyze import reanalyze

        return reanalyze(self, micrograph)

    def report(self, micrograph: str | None = None, *, figures: str | None = None) -> Path:
        """Write the report of the run, or a page of one micrograph, and return its path.

        Parameters
        ----------
        micrograph : str, optional
            A micrograph, named as for `columns`, whose page goes to ``pages/<key>/report.html``. What was
            decided of it in `motifgpu view` is in it.
        figures : {"png", "svg", "pdf", "none"}, optional
            Form of the files in the folder ``figures`` beside the page, ``"png"`` by default; those of the
            run are written if this is given, with the tables that they show as CSV.

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
            from motifgpu.dataset.pages import write_page

            return write_page(self, micrograph, figures or "png")
        from motifgpu.dataset.report import write_report

        return write_report(self, figures or "none")

    def to_anndata(self) -> anndata.AnnData:
        """Return all columns that have a motif; see `motifgpu.dataset.export.to_anndata`."""
        from motifgpu.dataset.export import to_anndata

        return to_anndata(self)

    def to_hyperspy(self, micrograph: str | None = None) -> Any:
        """Return class averages or a micrograph as a signal; see `motifgpu.dataset.export.to_hyperspy`."""
        from motifgpu.dataset.export import to_hyperspy

        return to_hyperspy(self, micrograph)
