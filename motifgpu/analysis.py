"""What `analyze` returns: everything that was found in one micrograph."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motifgpu.columns.find import Columns
from motifgpu.columns.patch_size import PatchSize
from motifgpu.core import device
from motifgpu.core.namespace import Array, to_numpy
from motifgpu.graph.affinity import AffinityGraph
from motifgpu.io.micrograph import Micrograph
from motifgpu.motifs.averages import ClassAverages
from motifgpu.motifs.find import Motifs
from motifgpu.motifs.shells import NeighborShells
from motifgpu.structure.cells import Cells
from motifgpu.structure.hierarchy import Hierarchy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from motifgpu.figures import Plots
    from motifgpu.occupancy.sites import SiteGrid
    from motifgpu.reconstruction.rebuild import Reconstruction

_COLUMNS = (
    *("row_px", "col_px", "prominence", "occupied"),
    *("motif", "environment", "confidence", "layout_x", "layout_y"),
)
_LOW_CONFIDENCE = 0.25  # of the patch size, below which the report says so


@dataclass(frozen=True, eq=False)
class Analysis:
    """Everything that `analyze` found in one micrograph.

    n columns were found, m of them have a patch that fits inside the image.

    Attributes
    ----------
    micrograph : Micrograph
    columns : Columns
        All n columns, predicted empty sites among them.
    mask : (n,) bool array
        Which columns have a patch.
    points : (m, 2) float32 array
        Those columns as (row, col), px.
    moments : (m, n_moments) float32 array
        Zernike moments of their patches, in the order j = (p(p+2)+q)/2.
    graph : AffinityGraph
    layout : (m, 2) float32 array
        Force-relaxed positions.
    motifs : Motifs
        Identity, environment and confidence of each.
    averages : ClassAverages
        Mean patch and rebuilt mean moments of each motif.
    shells : NeighborShells
        What surrounds each motif.
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

    Examples
    --------
    Shapes of what was found in m columns that have a patch:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
    >>> analysis = motifgpu.analyze(made.image)
    >>> m = len(analysis.points)
    >>> analysis.moments.shape == (m, 66), analysis.layout.shape == (m, 2), int(analysis.mask.sum()) == m
    (True, True, True)
    >>> 0 < m < len(analysis.columns.points)
    True
    """

    micrograph: Micrograph
    columns: Columns
    mask: Array
    points: Array
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

    def __repr__(self) -> str:
        return (
            f"<Analysis of {self.micrograph.source}: {len(self.columns)} columns, "
            f"{len(self.motifs.counts)} motifs>"
        )

    @cached_property
    def warnings(self) -> list[str]:
        """What a reader of the results should know."""
        found = []
        if self.patch_size.confidence < _LOW_CONFIDENCE:
            found.append(
                f"the patch size of {self.patch_size.pixels:.1f} px has a confidence of only "
                f"{self.patch_size.confidence:.2f}; compare the candidates"
            )
        unassigned = int(to_numpy(self.motifs.labels < 0).sum())
        if unassigned:
            found.append(f"{unassigned:,} columns belong to no motif")
        if self.hierarchy is not None:
            found += self.hierarchy.warnings
        elif self.parameters["structure"]:
            found.append(f"no motif-cells and no hierarchy, because there is no lattice: {self.no_lattice}")
        tied = int(to_numpy(self.graph.tied).sum())
        if tied:
            found.append(f"{tied:,} columns have neighbours at equal distance, such as duplicates")
        return found

    def view(self, viewer: Any = None) -> Any:
        """Show everything in napari, layout and micrograph linked; see `motifgpu.napari_plugin.view`."""
        from motifgpu.napari_plugin import view

        return view(self, viewer)

    @property
    def area_nm2(self) -> float | None:
        """Area that motifs are counted in, nm², None without a pixel size.

        Columns nearer to the border than half a patch have no motif, so that strip is no part of it.
        """
        nm, side = self.micrograph.pixel_size_nm, self.patch_size.pixels
        height, width = self.micrograph.shape
        return max(height - side, 0) * max(width - side, 0) * nm**2 if nm else None

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
        labels = to_numpy(self.motifs.labels)
        environments = to_numpy(self.motifs.environments)
        confidence = to_numpy(self.motifs.confidence)
        size = self.micrograph.pixel_size_nm
        height, width = self.micrograph.shape
        motifs = []
        for label in [*range(len(self.motifs.counts)), *([-1] if (labels < 0).any() else [])]:
            member = labels == label
            inside = environments[member]
            motifs.append(
                {
                    "label": label,
                    "count": int(member.sum()),
                    "fraction": float(member.mean()),
                    "per_nm2": float(member.sum() / self.area_nm2) if self.area_nm2 else None,
                    "environments": len(set(inside[inside >= 0].tolist())),
                    "confidence": float(confidence[member].mean()) if member.any() else 0.0,
                    "shell": self._shell(label),
                }
            )
        return {
            "source": self.micrograph.source,
            "shape": [height, width],
            "pixel_size_nm": size,
            "columns": len(self.columns),
            "points": len(labels),
            "empty_sites": int((~to_numpy(self.columns.occupied)).sum()),
            "column_sigma_px": self.columns.sigma_px,
            "patch_size_px": self.patch_size.pixels,
            "n_motifs": len(self.motifs.counts),
            "n_environments": len(set(environments[environments >= 0].tolist())),
            "motifs": motifs,
            "n_motif_cells": None if self.hierarchy is None else len(self.hierarchy.nodes),
            "motif_cell_places": None if self.hierarchy is None else len(self.hierarchy.occurrences),
            "warnings": self.warnings,
            "parameters": dict(self.parameters),
            "timings_s": dict(self.timings),
            "versions": dict(self.versions),
        }

    def _shell(self, label: int) -> str:
        """Say what the nearest shell of a motif holds most often."""
        if label < 0 or not self.shells.multisets or not self.shells.multisets[0][label]:
            return ""
        kinds = self.shells.multisets[0][label]
        members, number = kinds[0]
        held = {kind: members.count(kind) for kind in sorted(set(members))}
        names = " + ".join(f"{count} × {'?' if kind < 0 else kind}" for kind, count in held.items())
        share = number / sum(count for _, count in kinds)
        return f"{names or 'nothing'} ({100 * share:.0f} %)"

    def reconstruct(self, *, classes: Any = 30, hide: Any = (), weights: str = "auto") -> Reconstruction:
        """Rebuild the micrograph from its motifs; see `motifgpu.reconstruct`.

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

        # A patch is rebuilt on the image's own pixels, at least three of them.
        size = max(round(self.patch_size.pixels), 3)
        labels = self.motifs.labels
        return reconstruct(
            self.micrograph.image, self.points, labels, size, classes=classes, hide=hide, weights=weights
        )

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

    def table(self) -> str:
        """Return all columns as CSV: one row per atom column, with empty fields where it has no patch.

        Examples
        --------
        One line for every column, after a line of names:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(128, 128), lattice_constant=16.0)
        >>> analysis = motifgpu.analyze(made.image, structure=False)
        >>> lines = analysis.table().splitlines()
        >>> lines[0]
        'row_px,col_px,prominence,occupied,motif,environment,confidence,layout_x,layout_y'
        >>> len(lines) == 1 + len(analysis.columns.points)
        True
        """
        points, mask = to_numpy(self.columns.points), to_numpy(self.mask)
        prominence, occupied = to_numpy(self.columns.prominence), to_numpy(self.columns.occupied)
        labels, environments = to_numpy(self.motifs.labels), to_numpy(self.motifs.environments)
        confidence, layout = to_numpy(self.motifs.confidence), to_numpy(self.layout)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        at = 0
        for i, (row, col) in enumerate(points):
            line: list[Any] = [f"{row:.3f}", f"{col:.3f}", f"{prominence[i]:.6g}", int(occupied[i])]
            if mask[i]:
                x, y = layout[at]
                line += [labels[at], environments[at], f"{confidence[at]:.4f}", f"{x:.5f}", f"{y:.5f}"]
                at += 1
            writer.writerow(line + [""] * (len(_COLUMNS) - len(line)))
        return text.getvalue()

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
        from threadpoolctl import threadpool_limits

        from motifgpu.features.zernike import rotation_invariants
        from motifgpu.figures.movie import layout_movie
        from motifgpu.graph.relaxation import pca_start

        turned = self.parameters["rotation_invariant"]
        features = rotation_invariants(self.moments) if turned else self.moments
        with threadpool_limits(limits=1, user_api="blas"):  # the start that `analyze` had, to the bit
            start = pca_start(features)
        known = {"labels": self.motifs.labels, "seed": self.parameters["seed"]}
        layout_movie(self.graph, start, path, **known, **options)
        return Path(path)

    def _repr_html_(self) -> str:
        from motifgpu.report.notebook import summary

        return summary(self)

    def report(self, folder: str | os.PathLike[str], *, linked: bool = True, **options: Any) -> Path:
        """Write report.html, figures, columns.csv, hierarchy.json and summary.json into a folder.

        Parameters
        ----------
        folder : path-like
            Made if missing; files of the same names are replaced.
        linked : bool
            Show layout and micrograph as linked pictures, where Bokeh is installed: what is selected in one
            lights up in the other. Still pictures otherwise.
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
        from motifgpu.core.files import write_text
        from motifgpu.report import render
        from motifgpu.report.pictures import draw
        from motifgpu.structure.hierarchy.export import save_hierarchy

        drawn = {name: draw(figure) for name, figure in self.figures(**options).items()}
        folder = Path(folder)
        (folder / "figures").mkdir(parents=True, exist_ok=True)
        for name, picture in drawn.items():
            (folder / "figures" / f"{name}.png").write_bytes(picture.file)
        write_text(folder / "columns.csv", self.table())
        if self.hierarchy is not None:
            save_hierarchy(self.hierarchy, folder / "hierarchy.json")
        write_text(folder / "summary.json", json.dumps(self.summary(), indent=1) + "\n")
        return write_text(folder / "report.html", render(self, drawn, linked=linked))

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
