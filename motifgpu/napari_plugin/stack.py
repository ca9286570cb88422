"""A run in napari: its micrographs as a stack, each read when it is shown."""

from __future__ import annotations

import io
import warnings
from collections import OrderedDict, defaultdict
from typing import Any

import numpy as np

from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.core.namespace import to_numpy
from motifgpu.dataset.results import Run
from motifgpu.figures.drawing import display_range
from motifgpu.napari_plugin.layers import COLUMNS, LayerData, rings, table_features
from motifgpu.structure.lattice.translations import nearest_distance

MOST_COLUMNS = 500_000  # that napari draws from and a few hundred MB hold
_KEPT = 1 << 28  # bytes of the micrographs that are kept once they were read


class MicrographStack:
    """The micrographs of a run as an array (n, H, W) float32 of which only what is indexed is read.

    Each is read from its file and scaled so that its own 0.5 and 99.5 percentiles are 0 and 1, since one grey
    range has to serve them all. Smaller ones stand in the upper left corner; beside them is 0. Where a file
    is not there any more or has changed, the small picture that the run keeps is shown instead, with a
    warning.

    Parameters
    ----------
    run : Run
    names : sequence of str
        Of the micrographs, as in its tables.
    shapes : (n, 2) int array
        Their rows and columns, px.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, run: Run, names: list[str], shapes: np.ndarray) -> None:
        self._run, self._names, self._shapes = run, names, shapes
        self.shape = (len(names), *(int(length) for length in shapes.max(axis=0)))
        self._read: OrderedDict[int, np.ndarray] = OrderedDict()

    def __len__(self) -> int:
        return len(self._names)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype=dtype)

    def __getitem__(self, index: Any) -> np.ndarray:
        first, *rest = index if isinstance(index, tuple) else (index,)
        chosen = np.arange(len(self))[first]
        if np.ndim(chosen) == 0:
            plane: np.ndarray = self._one(int(chosen))[tuple(rest)]
            return plane
        pages = [self._one(int(k))[tuple(rest)] for k in chosen]
        return np.stack(pages) if pages else np.zeros((0, *self.shape[1:]), np.float32)[:, *rest]

    @property
    def size(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape))

    def _one(self, k: int) -> np.ndarray:
        if k in self._read:
            self._read.move_to_end(k)
            return self._read[k]
        page = np.zeros(self.shape[1:], np.float32)
        height, width = self._shapes[k]
        page[:height, :width] = self._scaled(k)
        self._read[k] = page
        while len(self._read) > 1 and len(self._read) * page.nbytes > _KEPT:
            self._read.popitem(last=False)
        return page

    def _scaled(self, k: int) -> np.ndarray:
        from motifgpu.dataset.reanalyze import reread

        try:
            image = to_numpy(reread(self._run, self._names[k]).image)
        except (MicrographReadError, StageError) as error:
            warnings.warn(f"{error}; its small picture is shown", stacklevel=2)
            image = self._thumbnail(k)
        low, high = display_range(image)
        return (image - low) / (high - low)

    def _thumbnail(self, k: int) -> np.ndarray:
        from PIL import Image

        height, width = (int(length) for length in self._shapes[k])
        picture = Image.open(io.BytesIO(self._run.thumbnail(self._names[k]))).convert("F")
        return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32)


def run_layers(run: Run) -> list[LayerData]:
    """Return the layers of a run: its micrographs, one behind the other, with their columns and titles.

    Parameters
    ----------
    run : Run

    Returns
    -------
    list of (data, keywords, kind)
        An image of all micrographs, each read when it is shown; their titles; and the columns of
        all of them as points (micrograph, row, col), left out where there are more than half a million.
        In nm where all have the same pixel size, else in px. In the order of the table of micrographs.

    Raises
    ------
    StageError
        If the run has no micrograph.
    """
    table = run.micrographs
    if not len(table):
        raise StageError(
            "napari", f"{run.path} has no micrograph", "see its quarantine.jsonl for the reasons"
        )
    names = table["micrograph"].to_pylist()
    shapes = np.stack([table["height_px"].to_numpy(), table["width_px"].to_numpy()], axis=1)
    sizes = set(table["pixel_size_nm"].to_pylist())
    where: dict[str, Any] = {"axis_labels": ("micrograph", "row", "col")}
    if len(sizes) == 1 and (nm := sizes.pop()):
        where |= {"scale": (1.0, nm, nm), "units": ("pixel", "nm", "nm")}
    titles = [
        title or source
        for title, source in zip(*(table[c].to_pylist() for c in ("title", "source")), strict=True)
    ]
    image = {
        "name": run.path.stem,
        "colormap": "gray",
        "contrast_limits": (0.0, 1.0),
        "multiscale": False,
        "metadata": {"run": run, "micrographs": names},
    }
    made: list[LayerData] = [(MicrographStack(run, names, shapes), image, "image"), _titles(titles, shapes)]
    if sum(table["points"].to_pylist()) <= MOST_COLUMNS:
        made.append(_columns(run, names))
    return [(data, where | keywords, kind) for data, keywords, kind in made]


def _columns(run: Run, names: list[str]) -> LayerData:
    """Return the columns that have a motif of all micrographs, with what the tables say of them."""
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for k, name in enumerate(names):
        table = run.columns(name)
        rows = np.flatnonzero(table["moments_row"].is_valid().to_numpy())
        parts["micrograph"].append(np.full(len(rows), k))
        parts["column"].append(rows)
        for feature, values in table_features(table.take(rows)).items():
            parts[feature].append(values)
    features = {name: np.concatenate(values) for name, values in parts.items()}
    points = np.stack([features["micrograph"], features["row_px"], features["col_px"]], axis=1)
    spacing = nearest_distance(points[points[:, 0] == points[0, 0], 1:]) if len(points) else 0.0
    keywords = {
        "name": COLUMNS,
        "features": features,
        "metadata": {"run": run},
        **rings(points, features["motif"], features["occupied"].astype(bool), spacing),
    }
    return points.astype(np.float32), keywords, "points"


def _titles(titles: list[str], shapes: np.ndarray) -> LayerData:
    """Return what each micrograph is called, written above it."""
    points = np.zeros((len(titles), 3), np.float32)
    points[:, 0], points[:, 1] = np.arange(len(titles)), -0.02 * shapes.max()
    keywords = {
        "name": "titles",
        "features": {"title": np.array(titles)},
        "text": {"string": "{title}", "color": "white", "anchor": "lower_left", "size": 10},
        "face_color": "transparent",
        "border_color": "transparent",
        "size": 1,
    }
    return points, keywords, "points"
