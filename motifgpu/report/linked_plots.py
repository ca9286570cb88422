"""The two plots of the linked view, made with Bokeh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import (
    BoxSelectTool,
    BoxZoomTool,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    LassoSelectTool,
    LinearColorMapper,
    PanTool,
    ResetTool,
    SaveTool,
    TapTool,
    WheelZoomTool,
)
from bokeh.models.annotations.dimensional import ImperialLength, MetricLength
from bokeh.models.annotations.legends import ScaleBar
from bokeh.plotting import figure
from matplotlib import colormaps
from matplotlib.colors import to_hex

from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import per_label
from motifgpu.figures.layout import COLORS, LEAST_CLUMP, PLURALS, column_values
from motifgpu.figures.palette import SHAPES, label_color, motif_shape
from motifgpu.report.shown import RING, micrograph_picture, spacing, typical_columns

if TYPE_CHECKING:
    from motifgpu.analysis import Analysis

_TICKS = [step * 10.0**power for power in range(5) for step in (1, 2, 5)]  # lengths of a scale bar in pixels
_WIDTH = 600  # px of a plot before it takes the width of its place
_DASHES = "solid", "dashed", "dotted", "dotdash", "dashdot"  # of the rings, as the shapes in the layout
_SPARE = 32  # further motifs that a person may make on the page
_DISC = 130  # px across, of an environment that held every column
_DIM = "#8A94A3"  # of columns that are not selected: on a pile of them no transparency would tell

# What the CSV of a selection has from the table beside what is drawn.
_WHOLE = "occupied", "moments_row", "whole"
_TABLE = *_WHOLE, "prominence", "probability", *(f"{kind}_confidence" for kind in COLORS[1:4])


@dataclass(frozen=True, eq=False)
class LinkedPlots:
    """Two plots that share their columns, and so what is selected.

    Attributes
    ----------
    source : ColumnDataSource
        The columns.
    scale : float
        What a pixel is in the coordinates on the micrograph: nm, or 1 where that is not known.
    mappers : dict of str to LinearColorMapper
        Colours by what columns may be coloured by, `motifgpu.figures.layout.COLORS`.
    plots : dict of str to figure
        "layout" and "micrograph".
    """

    source: ColumnDataSource
    scale: float
    mappers: dict[str, LinearColorMapper]
    plots: dict[str, Any]


def linked_plots(analysis: Analysis, rows: np.ndarray) -> LinkedPlots:
    """Draw the columns `rows` in the layout and on the micrograph, from one source of data.

    Parameters
    ----------
    analysis : Analysis
    rows : (r,) int array
        Which columns of those with a patch, in the order of drawing.

    Returns
    -------
    LinkedPlots
    """
    values = column_values(analysis)
    table = analysis.table().filter(to_numpy(analysis.mask)).take(rows)
    points, layout = to_numpy(analysis.points)[rows], to_numpy(analysis.layout)[rows]
    unit = "nm" if analysis.micrograph.pixel_size_nm else "px"
    scale = analysis.micrograph.pixel_size_nm or 1.0
    source = ColumnDataSource(
        {
            "column": np.flatnonzero(to_numpy(analysis.mask))[rows].astype(np.int32),
            "right": (points[:, 1] * scale).astype(np.float32),
            "down": (points[:, 0] * scale).astype(np.float32),
            "typical": typical_columns(analysis)[rows],
            "called": np.zeros(len(rows), np.uint8),  # names, which the page fills in
            "dot": np.ones(len(rows), np.float32),
            "faint": np.full(len(rows), 0.25, np.float32),
            "ring": np.ones(len(rows), np.float32),
            "x": layout[:, 0].astype(np.float32),
            "y": layout[:, 1].astype(np.float32),
            **{
                kind: values[kind][rows].astype(np.float32 if kind == "confidence" else np.int32)
                for kind in COLORS
            },
            **{
                name: table[name].cast("int32" if name in _WHOLE else "float32").to_numpy() for name in _TABLE
            },
        }
    )
    shapes = [motif_shape(label) for label in values["motif"][rows].tolist()]
    if any(shapes):  # more motifs than colours that everyone tells apart
        source.data["shape"] = [SHAPES[shape][1] for shape in shapes]
        source.data["dash"] = [_DASHES[shape] for shape in shapes]
    ramp = [to_hex(color) for color in colormaps["viridis"](np.linspace(0, 1, 64))]
    mappers = {
        **{kind: _label_mapper(kind, values[kind]) for kind in PLURALS},
        "confidence": LinearColorMapper(palette=ramp, low=0.0, high=1.0),
    }
    color = {"field": "motif", "transform": mappers["motif"]}
    plots = {
        "layout": _layout_plot(analysis, source, color),
        "micrograph": _micrograph_plot(analysis, source, color, scale, unit),
    }
    for plot in plots.values():
        # One column at a time: stacked tooltips hide what they are about.
        plot.add_tools(
            HoverTool(
                renderers=[r for r in plot.renderers if getattr(r, "data_source", None) is source],
                tooltips=[
                    ("motif", "@called"),
                    *((kind, f"@{kind}") for kind in PLURALS if kind != "motif"),
                    ("confidence", "@confidence{0.00}"),
                    (f"right, down ({unit})", "@right{0.[00]}, @down{0.[00]}"),
                ],
                limit=1,
            )
        )
    return LinkedPlots(source, scale, mappers, plots)


def _label_mapper(kind: str, labels: np.ndarray) -> LinearColorMapper:
    """Return the colours of labels, and of further motifs that a person may add."""
    most = int(labels.max(initial=0)) + (_SPARE if kind == "motif" else 0)
    palette = [label_color(kind, label) for label in range(-1, most + 1)]
    return LinearColorMapper(palette=palette, low=-1.5, high=most + 0.5)


def _plot(name: str, height: int, **options: Any) -> Any:
    """Return a plot without axes that takes the colours of the page around it."""
    lasso = LassoSelectTool()
    zooms = PanTool(), BoxZoomTool(match_aspect=True), WheelZoomTool()
    plot = figure(
        name=name,
        width=_WIDTH,
        height=height,
        tools=[lasso, BoxSelectTool(), TapTool(), *zooms, ResetTool(), SaveTool()],
        output_backend="canvas",
        sizing_mode="scale_width",
        toolbar_location="above",
        match_aspect=True,
        background_fill_alpha=0.0,
        border_fill_alpha=0.0,
        outline_line_color=None,
        min_border=4,
        **options,
    )
    plot.axis.visible = False
    plot.grid.visible = False
    plot.toolbar.logo = None
    plot.toolbar.active_drag = lasso
    return plot


def _layout_plot(analysis: Analysis, source: ColumnDataSource, color: Any) -> Any:
    plot = _plot("layout", _WIDTH)
    layout = to_numpy(analysis.layout)
    environments = to_numpy(analysis.motifs.environments)
    clumps = [rows for k, rows in per_label(environments) if k >= 0 and len(rows) >= LEAST_CLUMP]
    # Clumps are small on the page, so the area of a disc shows how many columns an environment has.
    middle = np.array([np.median(layout[rows], axis=0) for rows in clumps]).reshape(-1, 2)
    first = [int(rows[0]) for rows in clumps]
    values = column_values(analysis)
    discs = ColumnDataSource(
        {
            "x": middle[:, 0],
            "y": middle[:, 1],
            "size": [_DISC * float(np.sqrt(len(rows) / len(layout))) for rows in clumps],
            "environment_of": environments[first].astype(np.int32),
            **{kind: [label_color(kind, int(values[kind][row])) for row in first] for kind in PLURALS},
            "confidence": [_DIM] * len(clumps),
        }
    )
    plot.scatter(
        "x", "y", size="size", source=discs, name="discs", color="motif", fill_alpha=0.22, line_color=None
    )
    plot.scatter(
        "x",
        "y",
        source=source,
        marker="shape" if "shape" in source.data else "circle",
        size=float(np.clip(300 / np.sqrt(len(layout)), 3.0, 8.0)),
        fill_color=color,
        fill_alpha="dot",
        line_color=None,
        selection_fill_alpha="dot",
        nonselection_fill_color=_DIM,
        nonselection_fill_alpha="faint",
    )
    return plot


def _micrograph_plot(
    analysis: Analysis, source: ColumnDataSource, color: Any, scale: float, unit: str
) -> Any:
    height, width = analysis.micrograph.shape
    plot = _plot(
        "micrograph",
        round(_WIDTH * min(max(height / width, 0.3), 1.8)),
        x_range=DataRange1d(range_padding=0),
        y_range=DataRange1d(range_padding=0, flipped=True),
    )
    place = {"x": [scale * (width - 1) / 2], "y": [scale * (height - 1) / 2]}
    frame = plot.rect(**place, width=scale * width, height=scale * height, fill_alpha=0, line_alpha=0)
    plot.x_range.renderers = plot.y_range.renderers = [frame]
    picture = micrograph_picture(analysis.micrograph.image)
    plot.image_url(url=[picture], **place, w=scale * width, h=scale * height, anchor="center")
    plot.circle(
        "right",
        "down",
        radius=RING * spacing(analysis) * scale,
        source=source,
        fill_color=color,
        line_color=color,
        fill_alpha=0.0,
        line_dash="dash" if "dash" in source.data else "solid",
        line_alpha="ring",
        line_width=1.2,
        selection_fill_alpha=0.55,
        selection_line_alpha="dot",
        nonselection_fill_alpha=0.0,
        nonselection_line_color=_DIM,
        nonselection_line_alpha="faint",
    )
    # BokehJS has no units of one's own choice but through ImperialLength.
    pixels = ImperialLength(basis={"px": (1.0, "px")}, ticks=_TICKS)
    plot.add_layout(
        ScaleBar(
            range=plot.x_range,
            unit=unit,
            dimensional=MetricLength() if unit == "nm" else pixels,
            orientation="horizontal",
            location="bottom_right",
            background_fill_color="black",
            background_fill_alpha=0.6,
            border_line_color=None,
            bar_length=0.18,
            bar_line_color="white",
            bar_line_width=3,
            label_text_color="white",
            label_location="above",
        )
    )
    return plot
