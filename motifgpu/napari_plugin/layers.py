"""What is seen of an analysis in napari: data of layers, made without napari."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from motifgpu.column_table import FIELDS
from motifgpu.core.namespace import to_numpy
from motifgpu.figures.drawing import display_range
from motifgpu.figures.hierarchy import cell_fill
from motifgpu.figures.palette import label_color
from motifgpu.structure.hierarchy.export import motif_name
from motifgpu.structure.lattice.translations import nearest_distance

if TYPE_CHECKING:
    import pyarrow as pa

    from motifgpu.analysis import Analysis
    from motifgpu.io.micrograph import Micrograph
    from motifgpu.structure.cells import Cells
    from motifgpu.structure.hierarchy import Hierarchy
    from motifgpu.structure.lattice import Lattice

LayerData = tuple[Any, dict[str, Any], str]

ANALYSIS = "analysis"  # in the metadata of every layer but the image: what it shows
COLUMNS = "columns"  # the layer whose features the layout widget reads
LAYOUT = "layout_x", "layout_y"
MOST_CELLS = 3000  # polygons that napari draws in a few seconds
_RING = 0.66  # across, of the distance to the next column, so that rings stay apart
_LONGER = 10.0  # by how much displacements are drawn longer than they are
_WHITE, _PALE = "#FFFFFF", "#B8C4D6"


def analysis_layers(analysis: Analysis, placed: Mapping[str, Any] | None = None) -> list[LayerData]:
    """Return the layers of an analysis, the lowest first.

    Parameters
    ----------
    analysis : Analysis
    placed : dict, optional
        Where the image stands, as keywords of a layer (scale, units, translate and so on); by default what
        its pixel size says. Given for an image that is a layer already, which is then not made again.

    Returns
    -------
    list of (data, keywords, kind)
        Tuples as `napari.layers.Layer.create` takes them. Coordinates are (row, col) px, which the scale
        turns into nm where the pixel size is known. In this order, each where there is something in it:

        image
            The micrograph, raw.
        strain, lattice cells, displacements
            Deformation of the cells, their outlines, and by how much columns stand off their sites, drawn
            ten times as long; all three hidden at first.
        motif-cells
            Polygons of the cells that are not the crystal's, filled by the motifs that make them so.
        lattice vectors
            u and v as arrows.
        columns without a patch
            Crosses: columns too near the border.
        columns
            Rings in the colour of the motif, squares for lattice sites where no atom is seen. The features
            are a table with one row per column; the layer's metadata holds the analysis.
    """
    micrograph = analysis.micrograph
    where = dict(placement(micrograph.pixel_size_nm)) if placed is None else dict(placed)
    made = [image_layer(micrograph)] if placed is None else []
    lattice = analysis.cells.lattice if analysis.cells is not None else None
    if lattice is not None:
        made += [_strain(lattice), _outlines(lattice), _displacements(lattice, micrograph.pixel_size_nm)]
    if analysis.cells is not None and analysis.hierarchy is not None:
        made.append(_cells(analysis.cells, analysis.hierarchy))
    if lattice is not None:
        made.append(_vectors(lattice, micrograph.shape))
    made += [_border(analysis), _columns(analysis)]  # what is last is on top and active
    of_it = {"metadata": {ANALYSIS: analysis}}
    return [
        (data, where | keywords | ({} if kind == "image" else of_it), kind)
        for data, keywords, kind in made
        if len(data)
    ]


def placement(pixel_size_nm: float | None) -> dict[str, Any]:
    """Return the keywords that place a layer by its pixel size; none where it is not known."""
    if not pixel_size_nm:
        return {}
    return {"scale": (pixel_size_nm, pixel_size_nm), "units": ("nm", "nm")}


def image_layer(micrograph: Micrograph) -> LayerData:
    """Return a micrograph as an image, in grey from its 0.5 to its 99.5 percentile."""
    pixels = to_numpy(micrograph.image)
    finite = pixels[np.isfinite(pixels)]
    keywords = {
        "name": micrograph.title or "micrograph",
        "colormap": "gray",
        "contrast_limits": display_range(finite if finite.size else np.zeros(1)),
        "metadata": {"source": micrograph.source},
        **placement(micrograph.pixel_size_nm),
    }
    return pixels, keywords, "image"


def colors(values: Any, kind: str) -> np.ndarray:
    """Return colours (n, 4) float32 for the values of a feature.

    Parameters
    ----------
    values : (n,) array
        Labels, -1 for unassigned, or numbers from 0 to 1.
    kind : {"motif", "identity", "domain", "environment", "confidence"}
        Labels have the colours of all figures; confidence is drawn in viridis.
    """
    if kind == "confidence":
        from matplotlib import colormaps

        return np.asarray(colormaps["viridis"](np.nan_to_num(np.asarray(values, float))), np.float32)
    labels = np.asarray(values).astype(np.int64)
    known, inverse = np.unique(labels, return_inverse=True)
    table = np.array([_rgba(label_color(kind, int(label))) for label in known], np.float32).reshape(-1, 4)
    return table[inverse.reshape(-1)]


def rings(points: np.ndarray, motifs: np.ndarray, occupied: np.ndarray, spacing: float) -> dict[str, Any]:
    """Return the keywords that draw columns as rings, and empty sites as squares.

    Parameters
    ----------
    points : (n, d) array
        Only their number counts.
    motifs : (n,) int array
    occupied : (n,) bool array
    spacing : float
        Usual distance from a column to the next, px.
    """
    return {
        "size": _RING * spacing if spacing > 0 else 5.0,
        "symbol": np.where(occupied, "disc", "square") if len(points) else "disc",
        "face_color": np.zeros((len(points), 4), np.float32) if len(points) else "transparent",
        "border_color": colors(motifs, "motif") if len(points) else _WHITE,
        "border_width": 0.14,
        "blending": "translucent_no_depth",
    }


def _rgba(color: str) -> tuple[float, ...]:
    return (*(int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)), 1.0)


def table_features(table: pa.Table) -> dict[str, np.ndarray]:
    """Return the numbers that a table says of columns with a patch, by field."""
    kept = (field.name for field in FIELDS if field.name not in ("name", "moments_row"))
    return {name: table[name].to_numpy() for name in kept}


def _columns(analysis: Analysis) -> LayerData:
    mask, points = to_numpy(analysis.mask), to_numpy(analysis.points)
    occupied = to_numpy(analysis.columns.occupied)[mask]
    features = {
        "column": np.flatnonzero(mask),
        **table_features(analysis.table().filter(mask)),
        "name": np.array([analysis.motifs.name(k) for k in to_numpy(analysis.motifs.labels).tolist()]),
    }
    lattice = analysis.cells.lattice if analysis.cells is not None else None
    if lattice is not None:
        cell, sublattice = lattice.assign(points)
        features |= {"sublattice": sublattice, "i": cell[:, 0], "j": cell[:, 1]}
    keywords = {
        "name": COLUMNS,
        "features": features,
        **rings(points, features["motif"], occupied, nearest_distance(points)),
    }
    return points, keywords, "points"


def _border(analysis: Analysis) -> LayerData:
    outside = ~to_numpy(analysis.mask)
    points = to_numpy(analysis.columns.points)[outside]
    occupied = to_numpy(analysis.columns.occupied)[outside]
    keywords = {
        "name": "columns without a patch",
        "size": 0.5 * _RING * nearest_distance(to_numpy(analysis.points)) or 3.0,
        "symbol": "cross",
        "face_color": _PALE,
        "border_width": 0.0,
        "opacity": 0.6,
        "features": {"column": np.flatnonzero(outside), "occupied": occupied},
    }
    return points, keywords, "points"


def _cells(cells: Cells, hierarchy: Hierarchy) -> LayerData:
    """Return the cells that are not the crystal's, the rarest where they are too many."""
    crystal = hierarchy.dominant[0] if hierarchy.dominant else cells.contents[0]
    usual = [k for k, content in enumerate(cells.contents) if content in (hierarchy.dominant or (crystal,))]
    every = np.flatnonzero(~np.isin(cells.types, usual))
    rows = every[np.argsort(cells.counts[cells.types[every]], kind="stable")][:MOST_CELLS]
    place = np.full(len(cells), -1)
    found = hierarchy.occurrences
    place[found.cells] = np.repeat(np.arange(len(found)), np.diff(found.offsets))
    nodes = [hierarchy.nodes[found.node[k]] if k >= 0 else None for k in place[rows]]
    held = [cells.contents[k] for k in cells.types[rows]]
    features = {
        "holds": np.array([" + ".join(map(motif_name, content)) for content in held]),
        "motif_cell": np.array([node.key if node else "" for node in nodes]),
        "level": np.array([node.level if node else 0 for node in nodes]),
        "place": place[rows],
    }
    if cells.indices is not None:
        features |= {"i": cells.indices[rows, 0], "j": cells.indices[rows, 1]}
    some = f" ({len(rows):,} of {len(every):,})" if len(rows) < len(every) else ""
    keywords = {
        "name": f"motif-cells{some}",
        "shape_type": "polygon",
        "features": features,
        "face_color": np.array([(*cell_fill(content, crystal, cells.reading, 1.0), 1.0) for content in held]),
        "edge_color": _WHITE,
        "edge_width": 0.06 * nearest_distance(cells.points),
        "opacity": 0.35,
    }
    return [np.asarray(cells.polygons[k]) for k in rows], keywords, "shapes"


def _outlines(lattice: Lattice) -> LayerData:
    """Return two edges of every cell, which together draw all."""
    corners = lattice.polygons(lattice.cells)
    starts = np.repeat(corners[:, 0], 2, axis=0)
    ends = corners[:, [1, 3]].reshape(-1, 2)
    keywords = {
        "name": "lattice cells",
        "edge_color": _WHITE,
        "edge_width": 0.04 * nearest_distance(lattice.points),
        "vector_style": "line",
        "opacity": 0.5,
        "visible": False,
    }
    return np.stack([starts, ends - starts], axis=1), keywords, "vectors"


def _displacements(lattice: Lattice, pixel_size_nm: float | None) -> LayerData:
    """Return from where to where columns stand off the sites of the drifted lattice."""
    on = np.flatnonzero(lattice.sublattice >= 0)
    shift = lattice.residual[on]
    unit = "pm" if pixel_size_nm else "px"
    length = np.hypot(shift[:, 0], shift[:, 1]) * (1000 * pixel_size_nm if pixel_size_nm else 1)
    keywords = {
        "name": f"displacements x {_LONGER:g}",
        "features": {"point": on, f"displacement_{unit}": length},
        "edge_color": f"displacement_{unit}",
        "edge_colormap": "viridis",
        "edge_width": 0.08 * nearest_distance(lattice.points),
        "length": _LONGER,
        "vector_style": "arrow",
        "visible": False,
    }
    return np.stack([lattice.points[on] - shift, shift], axis=1), keywords, "vectors"


def _strain(lattice: Lattice) -> LayerData:
    """Return the middle of every cell with its deformation against the mean lattice."""
    strain = lattice.strain
    known = np.isfinite(strain.gradient).all(axis=(1, 2))
    dilatation = 100 * np.trace(strain.gradient[known], axis1=1, axis2=2)
    largest = float(np.percentile(np.abs(dilatation), 99)) if known.any() else 1.0
    keywords = {
        "name": "strain",
        "features": {
            "dilatation_percent": dilatation,
            "shear_percent": 100 * strain.strain[known, 0, 1],
            "rotation_degrees": strain.rotation[known],
        },
        "face_color": "dilatation_percent",
        "face_colormap": "RdBu_r",
        "face_contrast_limits": (-largest or -1.0, largest or 1.0),
        "size": 0.9 * float(np.sqrt(abs(np.linalg.det(np.stack([lattice.u, lattice.v]))))),
        "symbol": "square",
        "border_width": 0.0,
        "opacity": 0.7,
        "visible": False,
    }
    return lattice.polygons(lattice.cells)[known].mean(axis=1), keywords, "points"


def _vectors(lattice: Lattice, shape: tuple[int, int]) -> LayerData:
    """Return u and v from a corner of the cell nearest to the middle of the image."""
    corners = lattice.polygons(lattice.cells)[:, 0]
    if not len(corners):
        return [], {}, "vectors"
    start = corners[np.argmin(((corners - (np.array(shape) - 1) / 2) ** 2).sum(axis=1))]
    nearest = nearest_distance(lattice.points)
    keywords = {
        "name": "lattice vectors",
        "features": {"vector": np.array(["u", "v"])},
        "edge_color": "#FFE14A",
        "edge_width": 0.2 * nearest,
        "vector_style": "arrow",
    }
    return np.stack([np.stack([start, edge]) for edge in (lattice.u, lattice.v)]), keywords, "vectors"
