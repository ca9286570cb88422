"""What `analyze` returns: everything that was found in one micrograph."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.columns.find import Columns
from motifgpu.columns.patch_size import PatchSize
from motifgpu.core import device
from motifgpu.core.errors import StageError
from motifgpu.core.namespace import Array, take_rows, to_numpy
from motifgpu.graph.affinity import AffinityGraph
from motifgpu.io.micrograph import Micrograph
from motifgpu.motifs.averages import ClassAverages
from motifgpu.motifs.find import Motifs
from motifgpu.motifs.shells import NeighborShells
from motifgpu.structure.cells import Cells
from motifgpu.structure.hierarchy import Hierarchy

if TYPE_CHECKING:
    import pyarrow as pa
    from matplotlib.figure import Figure

    from motifgpu.decisions import Decision
    from motifgpu.figures import Plots
    from motifgpu.occupancy.sites import SiteGrid
    from motifgpu.reconstruction.rebuild import Reconstruction


# Share of the disc that may be missing of a column in the lattice. Where it is more, the column stands on the
# frame, and its mirror image, or what fills the pixels that are no data, draws it by up to a pixel or two.
FIRM = 0.4


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that `analyze` found in one micrograph.

    n columns were found, m of them have a patch, or so much of one that it says what they are; w of those are
    whole. At the frame, and beside pixels that are no data, patches are cut: graph, layout and motifs are
    found without them, and then they get moments, a place and a motif from what is seen of them.

    Attributes
    ----------
    micrograph : Micrograph
    columns : Columns
        All n columns, predicted empty sites among them.
    mask : (n,) bool array
        Which columns have a patch, whole or cut, and so a motif.
    points : (m, 2) float32 array
        Those columns as (row, col), px.
    whole : (m,) bool array
        Which of those have a whole patch, w of them.
    missing : (m,) float32 array
        Share of the disc of their patches that lies outside the image or is no data: at most 0.76, and 0.035
        at most in a patch that counts as whole.
    moments : (m, n_moments) float32 array
        Zernike moments of their patches, in the order j = (p(p+2)+q)/2; of cut ones by regularised least
        squares over what is seen (`motifgpu.features.cut_patches`).
    graph : AffinityGraph
        Of the w columns with a whole patch, by which the layout was relaxed; after decisions without those
        that were removed, and with edges from those that were added to columns that are like them.
    layout : (m, 2) float32 array
        Force-relaxed positions; a column with a cut patch stands amid the whole ones that are most like it.
    motifs : Motifs
        Identity, environment and confidence of each.
    averages : ClassAverages
        Mean patch and rebuilt mean moments of each motif, of whole patches.
    shells : NeighborShells
        Which motifs the neighbour shells of each motif hold.
    patch_size : PatchSize
    cells : Cells or None
        Motif-cells of the lattice, which is `cells.lattice`; None where no lattice was found or searched for.
    hierarchy : Hierarchy or None
        Motif-cells of increasing size, composed of the cells that are not the crystal's; None like `cells`.
    no_lattice : str
        Why there are no motif-cells, empty where there are.
    parameters : dict
        Every parameter in force, measured ones included.
    timings : dict of str to float
        Seconds by stage.
    versions : dict of str to str or None
        Of this package and what it computed with.
    decisions : tuple of Decision
        What a person decided of its motifs and columns, in order; see `rename`, `merge`, `split`, `assign`,
        `add_columns`, `remove_columns` and `apply`.

    Examples
    --------
    Shapes of what was found in m columns that have a patch:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
    >>> analysis = motifgpu.analyze(made.image)
    >>> m = len(analysis.points)
    >>> analysis.moments.shape == (m, 66), analysis.layout.shape == (m, 2), int(analysis.mask.sum()) == m
    (True, True, True)
    >>> bool(0 < analysis.whole.sum() < m)  # some patches are cut by the frame
    True
    """

    micrograph: Micrograph
    columns: Columns
    mask: Array
    points: Array
    whole: Array
    missing: Array
    moments: Array
    graph: AffinityGraph
    layout: Array
    motifs: Motifs
    averages: ClassAverages
    shells: NeighborShells
    patch_size: PatchSize
    cells: Cells | None
    hierarchy: Hierarchy | None
    no_lattice: str
    parameters: Mapping[str, Any]
    timings: Mapping[str, float]
    versions: Mapping[str, str | None] = field(default_factory=lambda: vars(device.versions()))
    decisions: tuple[Decision, ...] = ()

    def __repr__(self) -> str:
        return (
            f"<Analysis of {self.micrograph.source}: {len(self.columns)} columns, "
            f"{len(self.motifs.counts)} motifs>"
        )

    @cached_property
    def warnings(self) -> list[str]:
        """What a reader of the results should know."""
        from motifgpu.report.summary import warnings

        return warnings(self)

    def view(self, viewer: Any = None) -> Any:
        """Show everything in napari, layout and micrograph linked; see `motifgpu.napari_plugin.view`."""
        from motifgpu.napari_plugin import view

        return view(self, viewer)

    @property
    def firm(self) -> Array:
        """Which columns lattice and cells are of: (m,) bool; not those with 0.4 of the disc missing."""
        return self.missing <= FIRM

    @property
    def area_nm2(self) -> float | None:
        """Area of the pixels that are data, in which motifs are counted, nm²; None without a pixel size."""
        nm, valid = self.micrograph.pixel_size_nm, self.micrograph.valid
        height, width = self.micrograph.shape
        pixels = height * width if valid is None else int(to_numpy(valid).sum())
        return pixels * nm**2 if nm else None

    def rename(self, names: Mapping[int, str]) -> Analysis:
        """Return the analysis with names for some motifs, which figures, tables and the report then use.

        Parameters
        ----------
        names : mapping of int to str
            By the numbers of the motifs, which stay.

        Returns
        -------
        Analysis

        Raises
        ------
        StageError
            If there is no such motif, a name is empty, cannot be printed, or is that of another motif.

        Examples
        --------
        Name the motifs of a monolayer:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(96, 96), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False).rename({0: "Mo", 1: "Se2"})
        >>> [motif["name"] for motif in analysis.summary()["motifs"]]
        ['Mo', 'Se2']
        """
        from motifgpu.decisions.edit import rename

        return rename(self, names)

    def merge(self, motifs: Sequence[int], name: str | None = None) -> Analysis:
        """Return the analysis with several motifs made one.

        Parameters
        ----------
        motifs : sequence of int
            Two or more; the first one keeps its number, and those of the others are free afterwards.
        name : str, optional
            Of the merged motif; by default the first that one of them has.

        Returns
        -------
        Analysis
            Averages, shells, cells and hierarchy are those of the merged motif. The confidence of its columns
            rises by the doubt that was between the merged motifs.

        Raises
        ------
        StageError
            If a motif has no columns, or there are fewer than two.

        Examples
        --------
        Vacancies are to count as what they are in:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0, vacancies=0.1)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> merged = analysis.merge([1, 2], "Se site")
        >>> bool(merged.motifs.counts[1] == analysis.motifs.counts[1:].sum())
        True
        """
        from motifgpu.decisions.edit import merge

        return merge(self, motifs, name)

    def split(
        self, motif: int, by: Any = "intensity", *, parts: int | None = None, names: Sequence[str] = ()
    ) -> Analysis:
        """Return the analysis with a motif divided; the largest part keeps its number.

        Parameters
        ----------
        motif : int
        by : {"intensity", "environment", "domain", "layout"} or columns
            Brightness in the middle of the patches; what the neighbours are; the grain, twin or phase; the
            clusters of the layout; or the columns that become another motif, as for `assign`.
        parts : int, optional
            Into how many parts, by intensity (2 by default) and by layout (its clusters by default).
        names : sequence of str
            Of the new motifs, the largest first.

        Returns
        -------
        Analysis
            The new motifs have the numbers that follow; columns chosen by a person have the confidence 1.

        Raises
        ------
        StageError
            If there is one part only, or no chosen column is of the motif.

        Examples
        --------
        Merged by mistake, and divided again by brightness:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0, vacancies=0.1)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> again = analysis.merge([1, 2]).split(1, by="intensity", names=["V_Se"])
        >>> again.motifs.name(3), bool(again.motifs.counts[3] == analysis.motifs.counts[2])
        ('V_Se', True)
        """
        from motifgpu.decisions.edit import split

        return split(self, motif, by, parts, names)

    def assign(self, columns: Any, to: str | int | None) -> Analysis:
        """Return the analysis with another motif for some columns, such as those of a lasso.

        Parameters
        ----------
        columns : (m,) bool array, (k,) int array or (k, 2) array_like
            Which of `points`, or where they are, (row, col) px.
        to : str, int or None
            The motif by name or number; a name that no motif has makes a new one. None: they are of no motif,
            such as dirt or a misread column.

        Returns
        -------
        Analysis
            Their confidence is 1: a person decided.

        Raises
        ------
        StageError
            If no column is chosen or there.

        Examples
        --------
        Three columns that are something of their own:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(96, 96), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False).assign([4, 5, 6], "dirt")
        >>> int(analysis.motifs.counts[-1]), analysis.motifs.name(2)
        (3, 'dirt')
        """
        from motifgpu.decisions.edit import assign

        return assign(self, columns, to)

    def add_columns(self, points: Any) -> Analysis:
        """Return the analysis with columns that were not found.

        Parameters
        ----------
        points : (k, 2) array_like
            Where they are, (row, col) px, as well as one sees it: they are fitted to the image.

        Returns
        -------
        Analysis
            Each has the motif of the columns that are most like it, and a place amid them in the layout as it
            is; all other columns stay what and where they are.

        Raises
        ------
        StageError
            If there is a column at all of the places, or no data.

        Examples
        --------
        A column is taken away and added again, near enough:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> place = analysis.points[abs(analysis.points - 64).sum(axis=1).argmin()]
        >>> without = analysis.remove_columns([place])
        >>> again = without.add_columns([place + 0.5])
        >>> len(without.columns) == len(analysis.columns) - 1, len(again.columns) == len(analysis.columns)
        (True, True)
        >>> bool((again.motifs.counts == analysis.motifs.counts).all())
        True
        """
        from motifgpu.decisions.edit import add_columns

        return add_columns(self, points)

    def remove_columns(self, columns: Any) -> Analysis:
        """Return the analysis without columns that are none.

        Parameters
        ----------
        columns : (m,) bool array, (k,) int array or (k, 2) array_like
            As for `assign`; by their places also such as have no patch.

        Returns
        -------
        Analysis
            The others keep motif and place in the layout.

        Raises
        ------
        StageError
            If none of them is there.

        Examples
        --------
        Without the columns of low prominence:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(96, 96), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> fewer = analysis.remove_columns(analysis.points[:2])
        >>> len(analysis.points) - len(fewer.points)
        2
        """
        from motifgpu.decisions.edit import remove_columns

        return remove_columns(self, columns)

    def apply(self, decisions: str | os.PathLike[str] | Iterable[Decision]) -> Analysis:
        """Return the analysis after decisions that were made on it, or on another one of the micrograph.

        Parameters
        ----------
        decisions : path-like or iterable of Decision
            Carried out in their order. Those in the history already are not carried out again, so a file that
            is applied twice changes nothing the second time.

        Returns
        -------
        Analysis
            Decisions that do not fit, such as on a column that is gone, are in the history with the reason as
            their `misfit`, and in the warnings.

        Raises
        ------
        OSError
            If the file cannot be read.
        StageError
            If it is no file of decisions.

        Examples
        --------
        The same names in another analysis of the micrograph:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(96, 96), lattice_constant=16.0)
        >>> named = motifgpu.analyze(made.image, structure=False).rename({0: "Mo", 1: "Se2"})
        >>> again = motifgpu.analyze(made.image, structure=False, seed=1).apply(named.decisions)
        >>> again.motifs.names, again.apply(named.decisions) is again
        (('Mo', 'Se2'), True)
        """
        from motifgpu.decisions.apply import apply
        from motifgpu.decisions.files import read_decisions

        if isinstance(decisions, str | os.PathLike):
            decisions = read_decisions(decisions)
        return apply(self, decisions)

    def summary(self) -> dict[str, Any]:
        """Return the main numbers as a dict that JSON can hold.

        Examples
        --------
        How many columns are vacancies, the third motif?

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
        >>> summary = motifgpu.analyze(made.image).summary()
        >>> summary["n_motifs"]
        3
        >>> 0.02 < summary["motifs"][2]["fraction"] < 0.1
        True
        """
        from motifgpu.report.summary import summary

        return summary(self)

    def reconstruct(self, *, classes: Any = 30, hide: Any = (), weights: str = "auto") -> Reconstruction:
        """Rebuild the micrograph from its motifs; see `motifgpu.reconstruct`.

        It is rebuilt from whole patches; `classes` given for each column are (m,), those of cut ones unused.

        Examples
        --------
        Rebuild the image without its largest motif, molybdenum; less of the image is covered:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> whole, part = analysis.reconstruct(classes=4), analysis.reconstruct(classes=4, hide=0)
        >>> whole.uncovered < part.uncovered
        True
        """
        from motifgpu.reconstruction.rebuild import reconstruct

        size = max(round(self.patch_size.pixels), 3)  # on the image's own pixels, at least three of them
        whole = to_numpy(self.whole)
        if getattr(classes, "shape", None) == whole.shape:
            classes = to_numpy(classes)[whole]
        options = {"classes": classes, "hide": hide, "weights": weights}
        labels = to_numpy(self.motifs.labels)[whole]
        return reconstruct(self.micrograph.image, take_rows(self.points, self.whole), labels, size, **options)

    def site_grid(self, filled: Any, hollow: Any = ()) -> SiteGrid:
        """Arrange the sites of two motifs as a grid; see `motifgpu.occupancy.sites.site_grid`.

        Examples
        --------
        The selenium sites as a grid: 1 where there are two atoms, 0 at a vacancy, -1 where it is not known:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(160, 160), lattice_constant=16.0, vacancies=0.1)
        >>> analysis = motifgpu.analyze(made.image)
        >>> sites = analysis.site_grid(filled=1, hollow=2)
        >>> bool((sites.grid == 1).sum() == analysis.motifs.counts[1])
        True
        """
        from motifgpu.occupancy.sites import site_grid

        return site_grid(self.points, self.motifs.labels, filled, hollow)

    def table(self) -> pa.Table:
        """Return all columns as an Arrow table, one row per atom column.

        Returns
        -------
        pyarrow.Table
            ``.to_pandas()`` or ``polars.from_arrow`` turns it into another. It has the fields that
            ``columns.csv`` and the columns of a run have; their units are in its ``schema``.
            Those from ``moments_row`` on are null where too little of a patch is seen, and ``row_nm`` and
            ``col_nm`` without a pixel size.

        Examples
        --------
        Where the columns are, and which motif each has:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> table = analysis.table()
        >>> table.column_names[:6]
        ['row_px', 'col_px', 'row_nm', 'col_nm', 'prominence', 'occupied']
        >>> table.num_rows == len(analysis.columns)
        True
        >>> bool((table["motif"].drop_null().to_numpy() == analysis.motifs.labels).all())
        True
        """
        from motifgpu.column_table import column_table

        return column_table(self)

    @cached_property
    def plot(self) -> Plots:
        """The figures one by one, such as ``analysis.plot.layout(ax)``; see `motifgpu.figures.Plots`.

        Examples
        --------
        Draw the layout and save it:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> axes = analysis.plot.layout(color="confidence")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     axes.figure.savefig(Path(folder) / "layout.png")
        """
        from motifgpu.figures import Plots

        return Plots(self)

    def figures(self, **options: Any) -> dict[str, Figure]:
        """Draw the figures of the report; options as of `motifgpu.figures.figures`.

        Examples
        --------
        The figures of the report by name, without a lattice and the rebuilt image:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> figures = analysis.figures(reconstruction=False)
        >>> "layout" in figures and "class_averages" in figures
        True
        """
        from motifgpu.figures import figures

        return figures(self, **options)

    def movie(self, path: str | os.PathLike[str], **options: Any) -> Path:
        """Write how the layout relaxed as a movie, .gif or .mp4; options as of `motifgpu.layout_movie`.

        Parameters
        ----------
        path : path-like
            Replaced if it is there.

        Returns
        -------
        Path

        Raises
        ------
        StageError
            If the path ends in something else, or in .mp4 and ffmpeg is missing.
        OSError
            If the file cannot be written.

        Examples
        --------
        A short movie of the layout:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     movie = analysis.movie(Path(folder) / "layout.gif", frames=2, frames_per_second=1)
        ...     movie.name, movie.stat().st_size > 0
        ('layout.gif', True)
        """
        from motifgpu.figures.movie import analysis_movie

        return analysis_movie(self, path, **options)

    def _repr_html_(self) -> str:
        from motifgpu.report.notebook import summary

        return summary(self)

    def widget(self) -> Any:
        """Return a widget for a notebook: layout and micrograph linked by a lasso, motifs to be named there.

        Returns
        -------
        motifgpu.report.widget.MotifWidget
            Its ``decisions`` are what was decided, and its ``analysis`` is what follows; ``selected`` are the
            rows of `points` that are selected. Tried in JupyterLab.

        Raises
        ------
        StageError
            If anywidget is not installed.
        """
        try:
            from motifgpu.report.widget import MotifWidget
        except ImportError as error:
            raise StageError(
                "widget",
                f"anywidget cannot be imported ({error})",
                "install it: pip install 'motifgpu[notebook]'",
            ) from error
        return MotifWidget(self)

    def report(
        self, folder: str | os.PathLike[str], *, linked: bool = True, figures: str = "png", **options: Any
    ) -> Path:
        """Write report.html, figures, columns.csv, hierarchy.json and summary.json into a folder.

        Parameters
        ----------
        folder : path-like
            Made if missing; files of the same names are replaced.
        linked : bool
            Show layout and micrograph as linked pictures, where Bokeh is installed: what is selected in one
            is highlighted in the other. Still pictures otherwise.
        figures : {"png", "svg", "pdf", "none"}
            Form of the files in the folder ``figures``.
        **options
            What is drawn in addition, as of `motifgpu.figures.figures`: ``reconstruction=True``,
            ``occupancy=(filled, hollow)``, ``twist=True``.

        Returns
        -------
        Path
            The report.

        Raises
        ------
        OSError
            If the folder cannot be written.
        StageError
            If what was requested in addition cannot be made.

        Examples
        --------
        What is written beside the report:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     report = analysis.report(folder, linked=False)
        ...     sorted(path.name for path in Path(folder).iterdir())
        ['columns.csv', 'figures', 'report.html', 'summary.json']
        """
        from motifgpu.report.folder import write_report

        return write_report(self, folder, linked=linked, figures=figures, **options)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write everything into one file, whole or not at all; see `motifgpu.store.archive.save`.

        Examples
        --------
        What is read again is the same to the bit:

        >>> import tempfile
        >>> from pathlib import Path
        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = analysis.save(Path(folder) / "analysis.npz")
        ...     again = motifgpu.Analysis.load(path)
        >>> bool((again.layout == analysis.layout).all() and (again.moments == analysis.moments).all())
        True
        """
        from motifgpu.store.archive import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Analysis:
        """Read what `save` wrote, to the bit; see `motifgpu.store.archive.load`."""
        from motifgpu.store.archive import load

        return load(path)
