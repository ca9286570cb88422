"""What an analysis will take, before it runs: memory and time of each stage.

The figures come from a calibration: analyses of simulated micrographs of several sizes, measured stage by
stage and fitted by the few quantities that a stage's arrays and loops grow with. One is part of the package;
``python -m motifgpu.planning.calibration mine.json`` measures the machine it runs on.
"""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motifgpu.columns.patch_size import estimate_patch_size
from motifgpu.core.checks import check_integer
from motifgpu.core.errors import StageError
from motifgpu.core.forces import ENOUGH
from motifgpu.core.shown import notebook_table, one_line
from motifgpu.features.disc import n_moments
from motifgpu.io.micrograph import Micrograph, read
from motifgpu.options import RULES, Options
from motifgpu.pipeline import STAGES, sampling

STAGE = "plan"
SAVED = "saved file"
CALIBRATION = Path(__file__).with_name("calibration.json")
# A patch is sqrt(3) lattice constants wide on a honeycomb, which has two columns per cell.
_AREA_PER_COLUMN = math.sqrt(3) / 12  # in squared patch sizes
_USUAL_PATCH = 38.0  # px, with 22 px a lattice constant


@dataclass(frozen=True)
class StagePlan:
    """What one stage takes.

    Attributes
    ----------
    name : str
    bytes : int
        Most memory held at once while it runs, the image and all earlier results included.
    seconds : float
        CPU time of one core.
    """

    name: str
    bytes: int
    seconds: float


@dataclass(frozen=True)
class Plan:
    """What the analysis of one micrograph takes.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the image, px.
    columns : int
        Number of atom columns assumed.
    patch_size_px : float
    patch_samples : int
        Samples along a patch.
    order : int
        Of the Zernike moments.
    stages : tuple of StagePlan
    saved_bytes : int
        Size of the file that `Analysis.save` writes.
    processor : str
        What the calibration was measured on.
    """

    shape: tuple[int, int]
    columns: int
    patch_size_px: float
    patch_samples: int
    order: int
    stages: tuple[StagePlan, ...]
    saved_bytes: int
    processor: str

    __repr__ = one_line

    def _repr_html_(self) -> str:
        rows = [(stage.name, stage.bytes / 2**20, stage.seconds) for stage in self.stages]
        rows.append(("in all", self.bytes / 2**20, self.seconds))
        return notebook_table(str(self).split("\n")[0], ("stage", "MB", "s"), rows)

    @property
    def bytes(self) -> int:
        """Most memory held at once, beyond what Python and its libraries take."""
        return max(stage.bytes for stage in self.stages)

    @property
    def seconds(self) -> float:
        """CPU time of one core for the whole analysis, without the report."""
        return sum(stage.seconds for stage in self.stages)

    def summary(self) -> dict[str, Any]:
        """Return the figures as a dict that JSON can hold."""
        return {
            "shape": list(self.shape),
            "columns": self.columns,
            "patch_size_px": self.patch_size_px,
            "patch_samples": self.patch_samples,
            "order": self.order,
            "stages": [vars(stage) for stage in self.stages],
            "bytes": self.bytes,
            "seconds": self.seconds,
            "saved_bytes": self.saved_bytes,
            "processor": self.processor,
        }

    def __str__(self) -> str:
        height, width = self.shape
        lines = [
            f"{height} x {width} px, about {self.columns:,} columns, patches of {self.patch_size_px:.1f} px "
            f"({self.patch_samples} samples along each side, order {self.order})"
        ]
        lines += [f"  {s.name:<12} {s.bytes / 2**20:9.1f} MB {s.seconds:9.2f} s" for s in self.stages]
        lines.append(f"  {'in all':<12} {self.bytes / 2**20:9.1f} MB {self.seconds:9.2f} s")
        lines.append(f"  saved: {self.saved_bytes / 2**20:.1f} MB; times as on one core of {self.processor}")
        return "\n".join(lines)


def plan(
    source: Any,
    *,
    signal: str | None = None,
    columns: int | None = None,
    patch_size: float | None = None,
    order: int | None = None,
    n_neighbors: int = Options.n_neighbors,
    structure: bool = Options.structure,
    backend: str = "numpy",
    calibration: str | os.PathLike[str] | None = None,
) -> Plan:
    """Estimate the memory and time that `motifgpu.analyze` takes for a micrograph, without analysing it.

    Parameters
    ----------
    source : path-like, Micrograph, (H, W) array, or (int, int)
        A micrograph, or only its numbers of rows and columns.
    signal : str, optional
        Which image, where a file holds several.
    columns : int, optional
        Number of atom columns; by default that of a honeycomb lattice with this patch size, which is larger
        than for other lattices.
    patch_size, order, n_neighbors, structure
        As `motifgpu.analyze` will get them. The patch size is measured where there is an image, and 38 px
        where there is none.
    backend : {"numpy"}
        Where the analysis will run.
    calibration : path-like, optional
        A file written by ``python -m motifgpu.planning.calibration``; by default that of the package.

    Returns
    -------
    Plan

    Raises
    ------
    MicrographReadError
        If the file cannot be read.
    StageError
        If the image has no patch size, an argument is out of range, or the calibration is for another
        backend or no calibration.

    Examples
    --------
    Four times as many pixels hold about four times as many columns, and take more memory and time:

    >>> import motifgpu
    >>> small, large = motifgpu.plan((512, 512)), motifgpu.plan((1024, 1024))
    >>> 3 < large.columns / small.columns < 5
    True
    >>> [stage.name for stage in large.stages][:3]
    ['columns', 'patch size', 'moments']
    >>> large.bytes > small.bytes and large.seconds > small.seconds
    True
    """
    if isinstance(source, tuple):
        shape = source
    else:
        if isinstance(source, (str, os.PathLike)):
            source = read(source, signal)
        elif not isinstance(source, Micrograph):
            source = Micrograph.from_array(source)
        shape = source.shape
        if patch_size is None:
            patch_size = estimate_patch_size(source.image).pixels
    return estimate(
        shape,
        columns,
        patch_size=_USUAL_PATCH if patch_size is None else patch_size,
        order=order,
        n_neighbors=n_neighbors,
        structure=structure,
        backend=backend,
        calibration=calibration,
    )


def estimate(
    shape: tuple[int, int],
    columns: int | None = None,
    *,
    patch_size: float = _USUAL_PATCH,
    order: int | None = None,
    n_neighbors: int = Options.n_neighbors,
    structure: bool = Options.structure,
    backend: str = "numpy",
    calibration: str | os.PathLike[str] | None = None,
) -> Plan:
    """Say what the analysis of an image of a shape takes, as `plan` does for an image.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns, px.
    columns : int, optional
    patch_size : float
        px.
    order, n_neighbors, structure, backend, calibration
        As `plan`.

    Returns
    -------
    Plan

    Raises
    ------
    StageError
        As `plan`.
    """
    height, width = _checked_shape(shape)
    if not 0 < patch_size < math.inf:
        raise StageError(STAGE, f"patch_size is {patch_size}", "give a positive number of pixels")
    samples, order = sampling(patch_size, order)
    if columns is None:
        inside = max(height - patch_size, 0) * max(width - patch_size, 0)
        columns = round(inside / (_AREA_PER_COLUMN * patch_size**2))
    columns = _whole(columns, "columns", 0)
    fitted = calibrated(calibration, backend)
    n_neighbors = _whole(n_neighbors, "n_neighbors", int(RULES["n_neighbors"].least))
    size = quantities(height * width, columns, samples, order, n_neighbors)
    stages = tuple(
        StagePlan(name, round(_sum(fitted[name]["bytes"], size)), _sum(fitted[name]["seconds"], size))
        for name in STAGES
        if structure or name != "structure"
    )
    return Plan(
        shape=(height, width),
        columns=columns,
        patch_size_px=float(patch_size),
        patch_samples=samples,
        order=order,
        stages=stages,
        saved_bytes=round(_sum(fitted[SAVED]["bytes"], size)),
        processor=fitted["processor"],
    )


def quantities(pixels: int, columns: int, samples: int, order: int, n_neighbors: int) -> dict[str, float]:
    """Return what stages grow with, by the names that a calibration uses."""
    moments = columns * n_moments(order)
    edges = columns * n_neighbors
    return {
        "once": 1.0,
        "pixels": pixels,
        "columns": columns,
        "samples": columns * samples**2,
        "moments": moments,
        "edges": edges,
        "pairs": columns * moments,
        "pulls": edges * max(1.0, columns / ENOUGH) ** 0.25,
    }


def calibrated(path: str | os.PathLike[str] | None, name: str) -> Mapping[str, Any]:
    """Return what a calibration says of each stage, and its processor.

    Raises
    ------
    StageError
        If the file is no calibration or for another backend.
    OSError
        If it cannot be read.
    """
    content = _loaded(CALIBRATION if path is None else Path(path))
    if content["backend"] != name:
        raise StageError(
            STAGE,
            f"the calibration is for the backend {content['backend']!r}, not {name!r}",
            f"plan for the backend {content['backend']}, or give a calibration for the other",
        )
    return {**content["stages"], "processor": content["processor"]}


@functools.lru_cache(maxsize=4)
def _loaded(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        missing = {*STAGES, SAVED} - set(content["stages"])
        if missing or not {"backend", "processor"} <= set(content):
            raise KeyError(*sorted(missing))
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(
            STAGE,
            f"{path} is no calibration ({error!r})",
            "make one: python -m motifgpu.planning.calibration FILE",
        ) from error
    return content


def _sum(terms: Mapping[str, float], size: Mapping[str, float]) -> float:
    return sum(coefficient * size[name] for name, coefficient in terms.items())


def _checked_shape(shape: Any) -> tuple[int, int]:
    if not isinstance(shape, (tuple, list)) or len(shape) != 2:
        raise StageError(STAGE, f"the shape is {shape!r}", "give rows and columns, two whole numbers")
    return _whole(shape[0], "rows", 1), _whole(shape[1], "columns", 1)


def _whole(x: Any, name: str, low: int) -> int:
    return check_integer(x, STAGE, name, low)
