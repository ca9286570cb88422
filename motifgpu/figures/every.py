"""Every figure of an analysis: all at once for the report, or one by one as ``analysis.plot.layout()``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from motifgpu.core.errors import StageError
from motifgpu.figures.image import plot_background, plot_micrograph, plot_reconstruction
from motifgpu.figures.lattice import plot_strain
from motifgpu.figures.layout import plot_layout
from motifgpu.figures.motifs import plot_class_averages, plot_shells, plot_symmetry
from motifgpu.figures.spectrum import plot_patch_size, plot_twist

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from motifgpu.analysis import Analysis
    from motifgpu.structure.cells import Cells
    from motifgpu.structure.hierarchy import Hierarchy

QUICK_PIXELS = 1 << 19  # of an image that is rebuilt in about a second


class Plots:
    """The figures of an analysis, each a method; those of one panel draw into `ax` where one is given.

    Parameters
    ----------
    analysis : Analysis
    """

    def __init__(self, analysis: Analysis) -> None:
        self._analysis = analysis

    def __repr__(self) -> str:
        names = sorted(name for name in dir(self) if not name.startswith("_"))
        return f"<figures: {', '.join(names)}>"

    def micrograph(self, ax: Axes | None = None, color: str = "motif") -> Axes:
        """Draw the micrograph with its columns; see `motifgpu.figures.plot_micrograph`."""
        return plot_micrograph(self._analysis, ax, color)

    def layout(self, ax: Axes | None = None, color: str = "motif") -> Axes:
        """Draw the layout by motif, domain, environment and others; see `motifgpu.figures.plot_layout`."""
        return plot_layout(self._analysis, ax, color)

    def class_averages(self, columns: int = 6, limit: int = 24) -> Figure:
        """Draw what each motif looks like; see `motifgpu.figures.plot_class_averages`."""
        return plot_class_averages(self._analysis, columns, limit)

    def shells(self, ax: Axes | None = None, shell: int = 0) -> Axes:
        """Draw the neighbour shells of the motifs; see `motifgpu.figures.plot_shells`."""
        return plot_shells(self._analysis, shell, ax)

    def symmetry(self, ax: Axes | None = None) -> Axes:
        """Draw how symmetric each motif is; see `motifgpu.figures.plot_symmetry`."""
        return plot_symmetry(self._analysis, ax)

    def patch_size(self, ax: Axes | None = None) -> Axes:
        """Draw what the patch size was chosen from; see `motifgpu.figures.plot_patch_size`."""
        return plot_patch_size(self._analysis, ax)

    def background(self, ax: Axes | None = None) -> Axes:
        """Draw the slow background; see `motifgpu.figures.plot_background`."""
        return plot_background(self._analysis, ax)

    def cells(self, ax: Axes | None = None, names: Sequence[str] | None = None) -> Axes:
        """Draw the motif-cells on the micrograph; see `motifgpu.figures.cells.plot_cells`."""
        from motifgpu.figures.cells import plot_cells

        cells, hierarchy = self._structure()
        image, names = self._analysis.micrograph.image, names or self._names()
        return plot_cells(cells, image, hierarchy=hierarchy, names=names, ax=ax)

    def hierarchy(
        self, ax: Axes | None = None, names: Sequence[str] | None = None, limit: int = 12, levels: int = 8
    ) -> Axes:
        """Draw the hierarchy of motif-cells; see `motifgpu.figures.hierarchy.plot_hierarchy`."""
        from motifgpu.figures.hierarchy import plot_hierarchy

        cells, hierarchy = self._structure()
        names = names or self._names()
        return plot_hierarchy(hierarchy, cells, names=names, limit=limit, levels=levels, ax=ax).axes[0]

    def growth(self, ax: Axes | None = None) -> Axes:
        """Draw how many distinct motif-cells there are by level; see `motifgpu.figures.cells.plot_growth`."""
        from motifgpu.figures.cells import plot_growth

        return plot_growth(self._structure()[1], ax)

    def strain(self, ax: Axes | None = None, component: str = "dilatation") -> Axes:
        """Draw the deformation of the lattice; see `motifgpu.figures.plot_strain`."""
        self._structure()
        return plot_strain(self._analysis, ax, component)

    def reconstruction(self, **options: Any) -> Figure:
        """Draw the image rebuilt from motifs and its residual; options as of `Analysis.reconstruct`."""
        return plot_reconstruction(self._analysis, self._analysis.reconstruct(**options))

    def twist(self, ax: Axes | None = None) -> Axes:
        """Draw the Bragg peaks of a bilayer's two layers and its twist; see `motifgpu.figures.plot_twist`."""
        from motifgpu.moire.twist import twist_angle

        return plot_twist(self._analysis, twist_angle(self._analysis.micrograph.image), ax)

    def occupancy(self, filled: Any, hollow: Any = (), *, level: int = 2) -> Figure:
        """Draw how sites are filled: the most frequent patterns; see `motifgpu.figures.occupancy`.

        Parameters
        ----------
        filled, hollow : int or sequence of int
            Motifs of the filled and the hollow sites, as in `Analysis.site_grid`.
        level : {2, 3}
            Windows of 2 x 2 or of 4 x 4 sites, as in `motifgpu.occupancy_statistics`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from motifgpu.figures.occupancy import plot_patterns
        from motifgpu.occupancy.statistics import occupancy_statistics

        grid = self._analysis.site_grid(filled, hollow)
        return plot_patterns(occupancy_statistics(grid.grid, level))

    def _names(self) -> list[str] | None:
        """Return what motifs are called, None where none has a name."""
        motifs = self._analysis.motifs
        return [motifs.name(label) for label in range(len(motifs.counts))] if any(motifs.names) else None

    def _structure(self) -> tuple[Cells, Hierarchy]:
        analysis = self._analysis
        if analysis.cells is None or analysis.hierarchy is None:
            raise StageError(
                "plots",
                f"there are no motif-cells: {analysis.no_lattice or 'structure is False'}",
                "look at the micrograph and the layout, or analyse with structure=True",
            )
        return analysis.cells, analysis.hierarchy


def figures(
    analysis: Analysis,
    *,
    reconstruction: bool | None = None,
    occupancy: tuple[Any, Any] | None = None,
    twist: bool = False,
) -> dict[str, Figure]:
    """Draw the figures of an analysis, those of the report.

    Parameters
    ----------
    analysis : Analysis
    reconstruction : bool, optional
        Rebuild the image from its motifs; by default where that takes about a second at most, in images of
        up to half a million pixels.
    occupancy : (filled, hollow), optional
        Motifs of filled and of hollow sites, whose occupation is then drawn; see `Analysis.site_grid`.
    twist : bool
        Measure the twist of a bilayer.

    Returns
    -------
    dict of str to matplotlib.figure.Figure
        By name: micrograph, layout, environments, confidence, class_averages, shells, symmetry, patch_size,
        background; where there are several domains, domains; where there is a lattice cells, hierarchy,
        growth, strain and rotation; reconstruction, occupancy and twist where requested.

    Raises
    ------
    StageError
        If what was requested cannot be made: no grid of sites, no patch inside the image.
    """
    plot = Plots(analysis)
    # First what was requested, so that its errors come before the rest is drawn.
    asked: dict[str, Any] = {}
    if occupancy is not None:
        asked["occupancy"] = plot.occupancy(*occupancy)
    if twist:
        asked["twist"] = plot.twist().figure
    drawn: dict[str, Any] = {
        "micrograph": plot.micrograph().figure,
        "layout": plot.layout().figure,
        "environments": plot.layout(color="environment").figure,
        "confidence": plot.layout(color="confidence").figure,
        "class_averages": plot.class_averages(),
        "symmetry": plot.symmetry().figure,
        "patch_size": plot.patch_size().figure,
        "background": plot.background().figure,
    }
    if bool((analysis.motifs.domains != 0).any()):
        drawn["domains"] = plot.micrograph(color="domain").figure
    for shell in range(len(analysis.shells.mean)):
        drawn[f"shell_{shell + 1}"] = plot.shells(shell=shell).figure
    if analysis.hierarchy is not None:
        drawn["hierarchy"] = plot.hierarchy().figure
        drawn["cells"] = plot.cells().figure
        drawn["growth"] = plot.growth().figure
        drawn["strain"] = plot.strain().figure
        drawn["rotation"] = plot.strain(component="rotation").figure
    height, width = analysis.micrograph.shape
    placed = len(analysis.motifs.counts) > 0
    if reconstruction or (reconstruction is None and placed and height * width <= QUICK_PIXELS):
        drawn["reconstruction"] = plot.reconstruction()
    return drawn | asked
