"""The report of a run: one HTML file, the micrographs that the motifs explain least first."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup

from motifgpu.column_table import as_csv
from motifgpu.core.errors import StageError
from motifgpu.core.files import readable, replacing, shown_path
from motifgpu.core.text import counted, percent
from motifgpu.figures import runs
from motifgpu.figures.hierarchy import plot_hierarchy
from motifgpu.figures.motif_cell import fits, motif_cell_svg
from motifgpu.report.in_words import listed
from motifgpu.report.markup import Cell, Stills, chip, data_uri, fill
from motifgpu.report.pictures import Picture, draw, save_figures
from motifgpu.store import layout
from motifgpu.store.read import RunFolder
from motifgpu.store.sealed import write_sealed
from motifgpu.store.within import check_plain
from motifgpu.structure.composition import compose
from motifgpu.structure.hierarchy.export import to_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from motifgpu.structure.cells import Cells

Row = dict[str, Any]
Table = tuple[tuple[str, ...], list[list[Cell]]]
_MOST, _PICTURES, _CELLS, _QUARANTINE = 2000, 40, 60, 200  # rows that are shown
_TRIED = 3  # micrographs whose lattice may give motif-cells their shape
_RARE, _ODD = 0.1, 0.8  # share below which a motif is rare, and explained below which a micrograph is odd
_CAPTIONS = {
    "densities": "How dense the motifs are over all micrographs, with 95 % intervals (exact Poisson), in the "
    "area of the pixels that are data.",
    "averages": "What each motif looks like: the mean of the patches of all its columns.",
    "explained": "How well the motifs explain the micrographs. Check those on the left.",
    "order": "What was found in each micrograph, in the order of their paths; densities of motifs with 95 % "
    "intervals where there are few micrographs.",
    "time": "The same against the time at which the file was written.",
    "hierarchy": "Motif-cells by level, which is their number of cells, with how often each occurs in all "
    "micrographs together. Lines say what contains what.",
}


class _Found:
    """What a run found, as its report shows it."""

    def __init__(self, run: RunFolder) -> None:
        self.run = run
        self.by_path: list[Row] = run.micrographs.to_pylist()
        self.micrographs = sorted(self.by_path, key=lambda row: (row["explained"], row["source"]))
        self.motifs: list[Row] = run.motifs.to_pylist()
        self.quarantine = run.quarantine
        self.shared = bool(self.motifs) and self.motifs[0]["micrograph"] is None
        self.hierarchy = run.hierarchy

    @cached_property
    def names(self) -> list[str]:
        """What motifs are called, in the order of their numbers."""
        if self.shared:
            return [row["name"] for row in self.motifs if row["motif"] >= 0]
        most = max((row["motif"] for row in self.motifs), default=-1)
        return [f"motif {label}" for label in range(most + 1)]

    @cached_property
    def cells(self) -> Cells | None:
        """The cells of a micrograph, whose lattice gives the motif-cells of all their shape."""
        if self.hierarchy is None or not self.shared:
            return None
        with_lattice = [row["micrograph"] for row in reversed(self.micrographs) if row["lattice"]]
        for name in with_lattice[:_TRIED]:
            try:
                table = self.run.columns(name)
            except StageError:  # they are damaged, which `check` says
                continue
            table = table.filter(table["moments_row"].is_valid())
            points = np.column_stack([table[axis].to_numpy() for axis in ("row_px", "col_px")])
            labels = (table[kind].to_numpy().astype(np.int64) for kind in ("motif", "identity", "domain"))
            cells, own, _ = compose(points.astype(np.float64), *labels)
            if own is not None and own.context == self.hierarchy.context:
                return cells
        return None

    def figures(self) -> dict[str, Figure]:
        """Draw the figures of the report."""
        if not self.by_path:
            return {}
        counts = self.run.counts.to_pylist()
        drawn = {"explained": runs.plot_explained(self.by_path)}
        for over in ("order", *(("time",) if runs.tells_time(self.by_path) else ())):
            if self.shared:
                drawn[over] = runs.plot_micrographs(counts, self.by_path, over, self.names)
            else:
                drawn[over] = runs.plot_own_motifs(self.by_path, over)
        if self.shared:
            drawn["densities"] = runs.plot_densities(self.motifs)
            drawn["averages"] = runs.plot_averages(self.motifs)
        cells, hierarchy = self.cells, self.hierarchy
        if cells and hierarchy and all(fits(hierarchy, cells, k) for k in range(len(hierarchy.nodes))):
            drawn["hierarchy"] = plot_hierarchy(hierarchy, cells, names=self.names)
        return drawn


def write_report(run: RunFolder, figures: str = "none") -> Path:
    """Write report.html into the folder of a run.

    Parameters
    ----------
    run : RunFolder
    figures : {"none", "png", "svg", "pdf"}
        Form of its figures in the folder ``figures``, with the tables that they show as CSV.

    Returns
    -------
    Path

    Raises
    ------
    StageError
        If the tables are not made yet.
    OSError
        If it cannot be written.
    """
    found = _Found(run)
    made = found.figures()
    drawn = {name: draw(figure) for name, figure in made.items()}
    folder = run.path / layout.FIGURES
    check_plain(folder)
    if save_figures(made, drawn, folder, figures):
        for name in ("micrographs", "counts", "motifs"):
            table = getattr(run, name)
            lists = [field.name for field in table.schema if pa.types.is_list(field.type)]
            with replacing(folder / f"{name}.csv") as file:
                file.write(as_csv(table.drop_columns(lists)))
    return write_sealed(run.path / layout.REPORT, _page(found, drawn, None))


def render(run: RunFolder, links: Mapping[str, str] | None = None) -> str:
    """Return the report of a run as one HTML document that needs no network.

    Parameters
    ----------
    run : RunFolder
    links : mapping of str to str, optional
        Where the page of each micrograph is, by its name; by default the pages that there are, and how the
        others are made.

    Returns
    -------
    str
    """
    found = _Found(run)
    return _page(found, found.figures(), links)


def _page(found: _Found, drawn: Mapping[str, Figure | Picture], links: Mapping[str, str] | None) -> str:
    run, quarantine = found.run, found.quarantine
    path = run.path.absolute()
    title, rows = _motif_cells(found)
    more = f", the first {_QUARANTINE} of {len(quarantine):,}" if len(quarantine) > _QUARANTINE else ""
    return fill(
        "run",
        title=readable(path.name),
        above="",
        save="",
        path=shown_path(path),
        about=run.about,
        in_words=_in_words(found),
        facts=_numbers(found),
        own=not found.shared and bool(found.motifs),
        command=_command("report", str(path), "--micrograph"),
        view=_command("view", str(path), "--open"),
        micrographs=_micrographs(found, links),
        left_out=max(0, len(found.micrographs) - _MOST),
        motifs=_motifs(found.motifs) if found.shared else ((), []),
        cells_title=title,
        cells_warnings=found.hierarchy.warnings if found.hierarchy else (),
        cells=rows,
        quarantine_title=f"Quarantine{more}",
        quarantine=_quarantined(quarantine),
        drawn=Stills(drawn, _CAPTIONS),
    )


def _command(*words: str) -> str:
    """Return a command of motifgpu as a shell takes it."""
    return f"motifgpu {_arguments(*words)}"


def _arguments(*words: str) -> str:
    """Return words as a shell takes them."""
    return subprocess.list2cmdline(words) if os.name == "nt" else " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    """Return a word as a shell takes it, bytes that are no UTF-8 as bash and zsh do."""
    if readable(word) == word:
        return shlex.quote(word)
    return "$'" + readable(word.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def _in_words(found: _Found) -> str:
    """Say what was found in a few sentences."""
    micrographs, quarantine = found.micrographs, found.quarantine
    if not micrographs:
        return ""
    columns = sum(row["columns"] for row in micrographs)
    text = f"{columns:,} atom columns in {counted(len(micrographs), 'micrograph')}."
    if found.shared:
        motifs = [row for row in found.motifs if row["motif"] >= 0 and row["count"]]
        common = [row for row in motifs if row["fraction"] >= _RARE]
        rare = sorted((row for row in motifs if row["fraction"] < _RARE), key=lambda row: -row["count"])
        if common:
            share = percent(sum(row["fraction"] for row in common))
            text += f" {share} are {listed([row['name'] for row in common])}."
        if rare:
            named = [f"{row['name']} ({percent(row['fraction'])})" for row in rare]
            text += f" Rare: {listed(named)}."
    odd = sum(row["explained"] < _ODD for row in micrographs)
    if odd:
        are = "is" if odd == 1 else "are"
        text += f" {counted(odd, 'micrograph')} {are} explained to less than {percent(_ODD)}."
    if quarantine:
        text += f" {counted(len(quarantine), 'file')} could not be analysed."
    return text


def _numbers(found: _Found) -> list[tuple[str, str]]:
    micrographs = found.micrographs
    areas = [row["area_nm2"] for row in micrographs]
    area = sum(areas) if areas and None not in areas else None
    unassigned, points = (sum(row[name] for row in micrographs) for name in ("unassigned", "points"))
    shown = [
        ("micrographs", f"{len(micrographs):,}"),
        ("atom columns", f"{sum(row['columns'] for row in micrographs):,}"),
        ("with a motif", f"{points - unassigned:,}"),
        ("without one", f"{unassigned:,}"),
        ("area", f"{area:,.4g} nm²" if area else "not known"),
        ("in quarantine", f"{len(found.quarantine):,}"),
    ]
    if found.shared:
        shown.insert(1, ("motifs", str(len(found.names))))
    return shown


def _micrographs(found: _Found, links: Mapping[str, str] | None) -> Table:
    run, micrographs = found.run, found.micrographs
    ends = Counter(Path(row["source"]).name for row in micrographs)
    rows: list[list[Cell]] = []
    for place, row in enumerate(micrographs[:_MOST]):
        end = Path(row["source"]).name
        thumb: str = ""
        if place < _PICTURES:
            source = data_uri("png", run.thumbnail(row["micrograph"]))
            thumb = Markup('<img class="thumb" src="{}" alt="">').format(source)
        page = layout.PAGES + f"/{row['key']}/report.html"
        if links is not None:
            link = links.get(row["micrograph"])
        else:
            link = page if (run.path / page).exists() else None
        # Microscopes call files alike in every folder.
        name: str = "/".join(Path(row["source"]).parts[-2:])
        if link:
            name = Markup('<a href="{}">{}</a>').format(link, name)
        else:
            wanted = end if ends[end] == 1 else row["micrograph"]
            make = Markup(' <button type="button" class="make" data-name="{}">make page</button>')
            name = Markup("{}").format(name) + make.format(_arguments(wanted))
        if (run.path / layout.PAGES / row["key"] / layout.DECISIONS).exists():
            name = Markup("{}").format(name) + Markup(" <small>decided</small>")
        title = "" if row["title"] == Path(end).stem else row["title"]
        rows.append(
            [
                ("", thumb),
                ("wide", Markup("{}<br><small>{}</small>").format(name, title) if title else name),
                ("number", f"{row['explained']:.3f}"),
                ("number", f"{row['columns']:,}"),
                ("number", f"{row['unassigned']:,}"),
                ("number", str(row["motifs"])),
                ("number", f"{row['patch_size_px']:.1f}"),
                ("wide", row["warnings"]),
            ]
        )
    head = ("", "micrograph", "explained", "columns", "without a motif", "motifs", "patch, px", "notes")
    return head, rows


def _motifs(motifs: list[Row]) -> Table:
    rows: list[list[Cell]] = []
    for row in motifs:
        label = row["motif"]
        interval = confidence = ""
        if row["per_nm2"] is not None:
            interval = f"{row['per_nm2']:.4g} ({row['per_nm2_low']:.4g} to {row['per_nm2_high']:.4g})"
        if row["confidence"] is not None:
            confidence = f"{row['confidence']:.3f}"
        rows.append(
            [
                ("", chip(label) + ("none of them" if label < 0 else row["name"])),
                ("number", f"{row['count']:,}"),
                ("number", f"{100 * row['fraction']:.2f} %"),
                ("number", f"{row['micrographs']:,}"),
                ("number", interval),
                ("number", confidence),
            ]
        )
    return ("motif", "columns", "share", "in micrographs", "per nm² (95 %)", "confidence"), rows


def _motif_cells(found: _Found) -> tuple[str, Table]:
    hierarchy, cells = found.hierarchy, found.cells
    if hierarchy is None or not hierarchy.nodes:
        return "", ((), [])
    table = to_table(hierarchy, found.names)
    order = sorted(range(len(table)), key=lambda place: (-table[place]["count"], table[place]["key"]))
    rows: list[list[Cell]] = []
    for place in order[:_CELLS]:
        row = table[place]
        drawn: str = ""
        if cells is not None and fits(hierarchy, cells, place):
            drawn = Markup(motif_cell_svg(hierarchy, cells, place))
        rows.append(
            [
                *([("", drawn)] if cells else []),
                ("wide", row["holds"]),
                ("number", str(row["level"])),
                ("number", f"{row['count']:,}"),
                ("number", f"{row['micrographs']:,}"),
                ("", Markup("<code>{}</code>").format(row["key"])),
            ]
        )
    title = f"Motif-cells, the {len(rows):,} most frequent of {len(table):,}"
    head = (*(["motif-cell"] if cells else []), "holds", "cells", "places", "in micrographs", "key")
    return title, (head, rows)


def _quarantined(quarantine: list[Row]) -> Table:
    rows: list[list[Cell]] = [
        [("wide", line["path"]), ("wide", str(line["reason"]))] for line in quarantine[:_QUARANTINE]
    ]
    return ("file", "why"), rows
