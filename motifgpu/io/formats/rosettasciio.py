"""What microscopes write, through RosettaSciIO: DM3, DM4, EMD of Velox, SER, HSPY and NeXus.

RosettaSciIO is licensed under the GPL and comes with the extra ``em``; nothing else here imports it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.io.formats import emd_ncem, hdf5
from motifgpu.io.formats.pages import Contents, refusal
from motifgpu.io.formats.units import even_step_nm, square, step_nm

_HDF5 = (".emd", ".hspy", ".nxs")
_READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".dm3": ("digitalmicrograph", {}),
    ".dm4": ("digitalmicrograph", {}),
    # Of a spectrum image only the images, but all their frames.
    ".emd": ("emd", {"select_type": "images", "load_SI_image_stack": True}),
    ".ser": ("tia", {}),
    ".hspy": ("hspy", {}),
    ".nxs": ("nexus", {"skip_array_metadata": True}),
}
_READ_AT_ONCE = 2**28  # bytes
_ENERGY, _SPECTRAL = ("eV", "keV", "meV"), ("EELS", "EDS", "CL")


def reader(suffix: str) -> Any:
    """Return the module that reads files with this suffix.

    Raises
    ------
    ValueError
        If it is not installed.
    """
    try:
        if suffix in _HDF5:
            importlib.import_module("h5py")
        return importlib.import_module(f"rsciio.{_READERS[suffix][0]}")
    except ImportError as error:
        raise ValueError(
            f"{suffix} files need the package rosettasciio ({error}); install motifgpu with its extra em: "
            "pip install 'motifgpu[em]'"
        ) from error


def contents(path: Path, opened: ExitStack, name: str) -> Contents:
    """Return the images in a file, as numbered pages where it holds stacks; the pixels are read later."""
    suffix = path.suffix.lower()
    module, options = reader(suffix), _READERS[suffix][1]
    size = path.stat().st_size
    if suffix in _HDF5:
        size = opened.enter_context(hdf5.checked(path))
        if suffix == ".emd" and hdf5.opens_as(path, emd_ncem.is_ncem):
            return emd_ncem.contents(path, opened, name)
    found = Contents()
    images = []
    # Reading late takes the reader a second to prepare.
    for signal in module.file_reader(str(path), lazy=size > _READ_AT_ONCE, **options):
        if "data" not in signal:  # a model
            continue
        title = str(signal.get("metadata", {}).get("General", {}).get("title") or name)
        data = signal["data"]
        axes = _in_order(signal["axes"], data.ndim)
        kept = [index for index, length in enumerate(data.shape) if length != 1]
        shape = tuple(data.shape[index] for index in kept)
        axes = [axes[index] for index in kept]
        why = refusal(shape, data.dtype) or _no_images(axes, signal)
        if why:
            found.refuse(title, why)
        else:
            images.append((title, shape, axes, data))
    for title, shape, axes, data in images:
        found.add(
            title,
            shape,
            square(*map(_step, axes[-2:])),
            _loader(data, shape),
            alone=len(images) == 1,
            itemsize=data.dtype.itemsize,
            file_bytes=path.stat().st_size,
        )
    return found


def _in_order(axes: Sequence[Mapping[str, Any]], ndim: int) -> list[Mapping[str, Any]]:
    """Return one axis for each dimension of the data; an axis the file does not describe is empty."""
    if len(axes) != ndim:
        return [{}] * ndim
    if all("index_in_array" in axis for axis in axes):
        return sorted(axes, key=lambda axis: int(axis["index_in_array"]))
    return list(axes)


def _step(axis: Mapping[str, Any]) -> float | None:
    """Return the step of an axis in nm, of one that lists its positions where they are even."""
    if "axis" in axis:
        return even_step_nm(axis["axis"], axis.get("units"))
    return step_nm(axis.get("scale"), axis.get("units"))


def _no_images(axes: Sequence[Mapping[str, Any]], signal: Mapping[str, Any]) -> str:
    """Say why two or three axes are spectra and no image or stack of images; empty where they may be."""
    navigates = [bool(axis.get("navigate", False)) for axis in axes]
    if len(axes) == 2:
        return "it is a line of spectra and no image" if len(set(navigates)) == 2 else ""
    # Where the file does not say which axes are the image's, they are the last two if they are of one kind.
    alike = len(set(navigates)) == 1 and axes[1].get("units") == axes[2].get("units")
    if (alike or navigates == [True, False, False]) and not _is_spectral(axes[0], signal):
        return ""
    return "it is a spectrum image and no stack of images; make an image of it first"


def _is_spectral(axis: Mapping[str, Any], signal: Mapping[str, Any]) -> bool:
    """Say whether the first of three axes is that of the spectra, which DigitalMicrograph puts there."""
    kind = str(signal.get("metadata", {}).get("Signal", {}).get("signal_type", ""))
    tags = signal.get("original_metadata", {}).get("ImageList", {}).get("TagGroup0", {}).get("ImageTags", {})
    return (
        str(axis.get("units")) in _ENERGY
        or kind.startswith(_SPECTRAL)
        or "spim" in tags
        or tags.get("Meta Data", {}).get("Format") == "Spectrum image"
    )


def _loader(data: Any, shape: tuple[int, ...]) -> Callable[[int], np.ndarray]:
    def load(index: int) -> np.ndarray:
        images = data.reshape(shape)
        return np.asarray(images[index] if len(shape) == 3 else images)

    return load
