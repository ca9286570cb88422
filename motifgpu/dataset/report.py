"""The report of a run: one HTML file, the micrographs that the motifs explain least first."""

from __future__ import annotations

import html
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

from motifgpu.figures import runs
from motifgpu.report.markup import Cell, chip, data_uri, facts, folded, pairs, picture, table
from motifgpu.store import layout
from motifgpu.store.read import RunFolder
from motifgpu.store.sealed import write_sealed
from motifgpu.structure.hierarchy.export import to_table

Row = dict[str, Any]
_OUTLIERS, _CELLS, _QUARANTINE = 16, 20, 100  # rows that are shown
_OWN = (
    "Every micrograph has its own motifs, numbered by how many columns they have, so equal numbers need not "
    "mean the same. Run with a dictionary to have motifs that all micrographs share."
)


def write_report(run: RunFolder) -> Path:
    """Write report.html into the folder of a run.

    Parameters
    ----------
    run : RunFolder

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
    return write_sealed(run.path / layout.REPORT, render(run))


def render(run: RunFolder) -> str:
    """Return the report of a run as one HTML document that needs no network."""
    micrographs, motifs = run.micrographs.to_pylist(), run.motifs.to_pylist()
    shared = bool(motifs) and motifs[0]["micrograph"] is None
    quarantine = run.quarantine
    sections = [
        _outliers(run, micrographs),
        _section("Motifs", *_motifs(motifs, shared)) if motifs else "",
        _over_micrographs(run.counts.to_pylist(), micrographs, _names(motifs, shared)) if micrographs else "",
        _hierarchy(run, _names(motifs, shared)),
        _quarantined(quarantine),
        _section(
            "How this was made",
            folded("Parameters", pairs(run.about["parameters"])),
            folded("Versions", pairs(run.about["versions"])),
        ),
    ]
    name = html.escape(run.path.absolute().name)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}: motifs of a run</title><style>{_file('style.css')}{_STYLE}</style></head>"
        f'<body><main><h1>{name}</h1><p class="where">{html.escape(str(run.path.absolute()))}, '
        f"{html.escape(run.about['state'])}, begun {html.escape(run.about['begun'])}</p>"
        f"{_numbers(micrographs, motifs, quarantine, shared)}{''.join(sections)}"
        f"</main><script>{_file('page.js')}</script></body></html>\n"
    )


_STYLE = "td img.thumb { width: 96px; display: block; } code { overflow-wrap: anywhere; }"
_CAPTIONS = {
    "densities": "How dense the motifs are over all micrographs, with 95 % intervals (exact Poisson), in the "
    "area of the pixels that are data.",
    "averages": "What each motif looks like: the mean of the patches of all its columns.",
    "explained": "How well the motifs explain the micrographs. Check those on the left.",
    "order": "Density of each motif in each micrograph, with 95 % intervals where there are few micrographs; "
    "its share of the columns where not all pixel sizes are known.",
    "time": "The same against the time at which the file was written.",
}


def _section(title: str, *parts: str) -> str:
    body = "".join(parts)
    return f"<h2>{html.escape(title)}</h2>{body}" if body else ""


def _file(name: str) -> str:
    return resources.files("motifgpu.report").joinpath(name).read_text(encoding="utf-8")


def _over_micrographs(counts: list[Row], micrographs: list[Row], names: list[str]) -> str:
    drawn = {over: runs.plot_micrographs(counts, micrographs, over, names) for over in ("order", "time")}
    return _section(
        "Motifs over micrographs and over time",
        *(picture(figure, over, _CAPTIONS[over]) for over, figure in drawn.items()),
    )


def _numbers(micrographs: list[Row], motifs: list[Row], quarantine: list[Any], shared: bool) -> str:
    areas = [row["area_nm2"] for row in micrographs]
    area = sum(areas) if areas and None not in areas else None
    unassigned, points = (sum(row[name] for row in micrographs) for name in ("unassigned", "points"))
    shown = [
        ("micrographs", f"{len(micrographs):,}"),
        ("atom columns", f"{sum(row['columns'] for row in micrographs):,}"),
        ("with a motif", f"{points - unassigned:,}"),
        ("without one", f"{unassigned:,}"),
        ("area with whole patches", f"{area:,.4g} nm²" if area else "not known"),
        ("in quarantine", f"{len(quarantine):,}"),
    ]
    if shared:
        shown.insert(1, ("motifs", str(sum(row["motif"] >= 0 for row in motifs))))
    return facts(shown)


def _outliers(run: RunFolder, micrographs: list[Row]) -> str:
    rows: list[Iterable[Cell]] = []
    for row in sorted(micrographs, key=lambda row: (row["explained"], row["source"]))[:_OUTLIERS]:
        page = Path(layout.PAGES) / row["key"] / "report.html"
        # Microscopes call files alike in every folder.
        name, title = html.escape("/".join(Path(row["source"]).parts[-2:])), html.escape(row["title"])
        thumb = data_uri("png", run.thumbnail(row["micrograph"]))
        if (run.path / page).exists():
            name = f'<a href="{html.escape(page.as_posix())}">{name}</a>'
        rows.append(
            [
                ("", f'<img class="thumb" src="{thumb}" alt="{title}">'),
                ("wide", f"{name}<br><small>{title}</small>"),
                ("number", f"{row['explained']:.3f}"),
                ("number", f"{row['unassigned']:,} of {row['points']:,}"),
                ("number", str(row["motifs"])),
                ("number", f"{row['patch_size_px']:.1f}"),
                ("wide", html.escape(row["warnings"])),
            ]
        )
    if not rows:
        return ""
    head = ("", "micrograph", "explained", "without a motif", "motifs", "patch, px", "notes")
    command = f"motifgpu report {run.path} --micrograph NAME"
    return _section(
        f"Micrographs explained least, {len(rows):,} of {len(micrographs):,}",
        table(head, rows),
        f'<p class="note">A page of any micrograph: <code>{html.escape(command)}</code>, NAME being the end '
        "of its path, as much of it as tells it from the others. All of them are in micrographs.parquet.</p>",
        picture(runs.plot_explained(micrographs), "explained", _CAPTIONS["explained"]),
    )


def _motifs(motifs: list[Row], shared: bool) -> list[str]:
    if not shared:
        return [f'<p class="note">{_OWN}</p>']
    rows: list[Iterable[Cell]] = []
    for row in motifs:
        label = row["motif"]
        name = "none of them" if label < 0 else html.escape(row["name"])
        interval = confidence = ""
        if row["per_nm2"] is not None:
            interval = f"{row['per_nm2']:.4g} ({row['per_nm2_low']:.4g} to {row['per_nm2_high']:.4g})"
        if row["confidence"] is not None:
            confidence = f"{row['confidence']:.3f}"
        rows.append(
            [
                ("", f"{chip(label)}{name}"),
                ("number", f"{row['count']:,}"),
                ("number", f"{100 * row['fraction']:.2f} %"),
                ("number", f"{row['micrographs']:,}"),
                ("number", interval),
                ("number", confidence),
            ]
        )
    head = ("motif", "columns", "share", "in micrographs", "per nm² (95 %)", "confidence")
    return [
        table(head, rows),
        '<div class="pair">',
        picture(runs.plot_densities(motifs), "densities", _CAPTIONS["densities"]),
        picture(runs.plot_averages(motifs), "averages", _CAPTIONS["averages"]),
        "</div>",
    ]


def _names(motifs: list[Row], shared: bool) -> list[str]:
    """Return what motifs are called, in the order of their numbers."""
    if shared:
        return [row["name"] for row in motifs if row["motif"] >= 0]
    return [f"motif {label}" for label in range(1 + max((row["motif"] for row in motifs), default=-1))]


def _hierarchy(run: RunFolder, names: list[str]) -> str:
    hierarchy = run.hierarchy
    if hierarchy is None or not hierarchy.nodes:
        return ""
    found = sorted(to_table(hierarchy, names), key=lambda row: (-row["count"], row["key"]))
    rows = [
        [
            ("", f"<code>{html.escape(row['key'])}</code>"),
            ("number", str(row["level"])),
            ("number", f"{row['count']:,}"),
            ("number", f"{row['micrographs']:,}"),
            ("wide", html.escape(row["holds"])),
        ]
        for row in found[:_CELLS]
    ]
    warnings = "".join(f'<p class="warn">{html.escape(text)}</p>' for text in hierarchy.warnings)
    return _section(
        f"Motif-cells, the {len(rows):,} most frequent of {len(found):,}",
        warnings,
        table(("key", "cells", "places", "in micrographs", "holds"), rows),
    )


def _quarantined(quarantine: list[dict[str, Any]]) -> str:
    rows = [
        [("wide", html.escape(line["path"])), ("wide", html.escape(str(line["reason"])))]
        for line in quarantine[:_QUARANTINE]
    ]
    if not rows:
        return ""
    more = f", the first {len(rows)} of {len(quarantine):,}" if len(quarantine) > len(rows) else ""
    return _section(f"Quarantine{more}", table(("file", "why"), rows))
