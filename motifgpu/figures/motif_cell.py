"""One motif-cell as a small picture, such as a table has."""

from __future__ import annotations

from matplotlib.colors import to_hex

from motifgpu.figures.hierarchy import cell_fill, differing, draw_to_scale
from motifgpu.figures.palette import motif_color
from motifgpu.structure.cells import MISSING, Cells
from motifgpu.structure.hierarchy.build import Hierarchy

_LENGTH = 20.0  # px of the shorter lattice vector, and of a side of the picture at most:
_LARGEST = 96.0
_INK, _EDGE = "#30343A", 0.2  # and room around the cells, in that vector


def motif_cell_svg(hierarchy: Hierarchy, cells: Cells, place: int) -> str:
    """Return a motif-cell as an SVG element: its cells, and the columns in them by the colours of motifs.

    Parameters
    ----------
    hierarchy : Hierarchy
    cells : Cells
        Of a micrograph, whose lattice gives the motif-cell its shape; see `fits`.
    place : int
        Of the motif-cell, in ``hierarchy.nodes``.

    Returns
    -------
    str
        What the crystal's cell lacks is large; a site without a column is a dashed ring.
    """
    crystal = hierarchy.dominant[0] if hierarchy.dominant else cells.contents[0]
    reading = hierarchy.context.reading
    drawn = draw_to_scale(hierarchy, cells, place)
    width, height = (float(side) + 2 * _EDGE for side in drawn.size)
    unit = min(_LENGTH, _LARGEST / max(width, height))

    def at(x: float, y: float) -> tuple[str, str]:
        return f"{x + _EDGE:.2f}", f"{height - y - _EDGE:.2f}"

    parts = []
    for polygon, content in zip(drawn.polygons, drawn.contents, strict=True):
        corners = " ".join(",".join(at(x, y)) for x, y in polygon.tolist())
        red, green, blue = cell_fill(content, crystal, reading, 0.5)
        fill = to_hex((red, green, blue))
        parts.append(f'<polygon points="{corners}" fill="{fill}" stroke="{_INK}" stroke-width="0.05"/>')
    for sites, content in zip(drawn.sites, drawn.contents, strict=True):
        others = differing(content, crystal, reading)
        for site, label, other in zip(sites.tolist(), content, others, strict=True):
            x, y = at(*site)
            dashes = ' stroke-dasharray="0.1"' if label == MISSING else ""
            fill = "#FFFFFF" if label == MISSING else motif_color(label)
            parts.append(
                f'<circle cx="{x}" cy="{y}" r="{0.2 if other else 0.12}" fill="{fill}" stroke="{_INK}" '
                f'stroke-width="0.04"{dashes}/>'
            )
    return (
        f'<svg role="img" width="{unit * width:.0f}" '
        f'height="{unit * height:.0f}" viewBox="0 0 {width:.2f} {height:.2f}">{"".join(parts)}</svg>'
    )


def fits(hierarchy: Hierarchy, cells: Cells, place: int) -> bool:
    """Say whether the lattice of `cells` has the sites that a motif-cell of `hierarchy` is made of."""
    return all(len(content) == len(cells.slots) for _, _, content in hierarchy.nodes[place].cells)
