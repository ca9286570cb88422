"""Pixel sizes in TIFF files: a resolution in dots per inch is none, and the general readers drop OME's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree

import numpy as np

from motifgpu.io.formats.units import nanometres, square

# Private tags of DigitalMicrograph: units and scales of columns and rows.
_DM_UNITS, _DM_SCALES = (65003, 65004), (65009, 65010)


def pixel_sizes(page: Any) -> list[float | None]:
    """Return the side of a pixel in nm for each image that the header names, or one for all.

    Parameters
    ----------
    page : tifffile.TiffPage
        The first page of the file, which has the header.

    Returns
    -------
    list of float or None
        One entry for each ``Image`` of an OME header, and one for every other file.

    Raises
    ------
    ValueError
        If an OME header is no XML or defines entities, which can grow without bound.
    """
    text = page.description or ""
    if "<OME" in text[:4096] or text.rstrip().endswith("OME>"):
        return _ome(text)
    if text.startswith("ImageJ="):
        return [_imagej(text, page.tags)]
    return [_digital_micrograph(page.tags)]


def _ome(text: str) -> list[float | None]:
    return [square(_side(image, "Y"), _side(image, "X")) for image in _ome_images(text)] or [None]


def ome_planes(page: Any) -> int:
    """Return how many planes the OME header in the first page of a file announces."""
    sizes = [[int(image.get(f"Size{axis}", 1)) for axis in "ZCT"] for image in _ome_images(page.description)]
    return sum(map(math.prod, sizes))


def _ome_images(text: str) -> list[ElementTree.Element]:
    if re.search(r"<!\s*(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError("its OME header defines a document type or entities, which are not read")
    elements = ElementTree.fromstring(text).iter()
    return [element for element in elements if element.tag.rpartition("}")[2] == "Pixels"]


def _side(image: ElementTree.Element, axis: str) -> float | None:
    value, unit = image.get(f"PhysicalSize{axis}"), image.get(f"PhysicalSize{axis}Unit")
    if unit is None:
        # The schema's unit is then µm; but a bare 1 is what programs write for "unknown".
        return None if value is None or _is_one(value) else nanometres(value, "µm")
    return nanometres(value, unit)


def _is_one(value: str) -> bool:
    try:
        return float(value) == 1
    except ValueError:
        return False


def _written(text: str) -> dict[str, str]:
    """Return what ImageJ writes into the description, by name."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def _imagej(text: str, tags: Any) -> float | None:
    written = _written(text)
    unit = written.get("unit")
    return square(
        nanometres(_per_pixel(tags, "YResolution"), written.get("yunit", unit)),
        nanometres(_per_pixel(tags, "XResolution"), unit),
    )


def imagej_line(page: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return the straight line by which ImageJ calibrates intensities, such as those of 16 bits with a sign.

    Parameters
    ----------
    page : tifffile.TiffPage
        The first page of a file of ImageJ's.

    Returns
    -------
    callable or None
        From stored to calibrated values; None where there is none.

    Raises
    ------
    ValueError
        If it is another curve, which may turn bright into dark.
    """
    written = _written(page.description or "")
    kind = written.get("cf")
    if kind is None:
        return None
    if kind.strip() != "0":
        raise ValueError(f"its intensities are calibrated by ImageJ's function {kind}; save it without")
    start, slope = float(written["c0"]), float(written["c1"])
    return lambda values: start + slope * values.astype(np.float64)


def _per_pixel(tags: Any, name: str) -> float | None:
    """Return units per pixel from the fraction of pixels per unit."""
    try:
        pixels, units = tags[name].value
        return float(units) / float(pixels)
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None


def _digital_micrograph(tags: Any) -> float | None:
    sides = []
    for unit, scale in zip(_DM_UNITS, _DM_SCALES, strict=True):
        if unit not in tags or scale not in tags:
            return None
        written = tags[unit].value
        sides.append(
            nanometres(tags[scale].value, written.decode() if isinstance(written, bytes) else written)
        )
    return square(*sides)
