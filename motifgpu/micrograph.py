"""A micrograph and how it is read from a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.backend import Array
from motifgpu.errors import MicrographReadError, StageError


@dataclass(frozen=True, eq=False)
class Micrograph:
    """One micrograph: pixels, pixel size and where they came from.

    Attributes
    ----------
    image : (H, W) float32 array
        Intensity in the units of the detector, row 0 at the top.
    pixel_size_nm : float or None
        Side of a pixel in nm; None where the source has no calibration that can be trusted.
    source : str
        The file, or ``"array"``.
    title : str
        What the file calls the image, or the file's stem.
    """

    image: Array
    pixel_size_nm: float | None = None
    source: str = "array"
    title: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, px."""
        return self.image.shape[0], self.image.shape[1]

    @classmethod
    def from_array(cls, image: Any, pixel_size_nm: float | None = None, **more: str) -> Micrograph:
        """Make a micrograph of an array of numbers, in the array's own namespace and on its device.

        Parameters
        ----------
        image : (H, W) array_like
        pixel_size_nm : float, optional
        **more : str
            `source` and `title`.

        Raises
        ------
        StageError
            If the array is not two-dimensional, not real, or empty, or the pixel size is not positive.
        """
        from motifgpu.backend import floating

        xp, image = floating(image, "micrograph", "the image", 2, finite=False)
        if image.shape[0] == 0:
            raise StageError(
                "micrograph", f"the image has shape {image.shape}", "give an image that is not empty"
            )
        if pixel_size_nm is not None and not 0 < pixel_size_nm < float("inf"):
            raise StageError(
                "micrograph", f"pixel_size_nm is {pixel_size_nm}", "give a positive length, or None"
            )
        return cls(xp.astype(image, xp.float32, copy=False), pixel_size_nm, **more)


@dataclass(frozen=True)
class _Found:
    """What a reader found in a file: images by name, each with its pixel size in nm."""

    images: Mapping[str, np.ndarray]
    pixel_sizes: Mapping[str, float | None]


def _read_numpy(path: Path) -> _Found:
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        return _Found({path.stem: loaded}, {})
    with loaded:
        arrays = {name: loaded[name] for name in loaded.files}
    size = arrays.pop("pixel_size_nm", None)
    images = {name: array for name, array in arrays.items() if array.ndim == 2 and 1 not in array.shape}
    if "image" in images:  # an archive that holds an image beside other arrays says which is the image
        images = {"image": images["image"]}
    scale = float(size) if size is not None and np.ndim(size) == 0 and float(size) > 0 else None
    return _Found(images, dict.fromkeys(images, scale))


def _read_tiff(path: Path) -> _Found:
    import tifffile

    with tifffile.TiffFile(path) as file:
        stacks = {series.name or str(index): series.asarray() for index, series in enumerate(file.series)}
    images: dict[str, np.ndarray] = {}
    for name, pixels in stacks.items():
        pixels = _grey(np.squeeze(pixels))
        pages = pixels[None] if pixels.ndim == 2 else pixels.reshape(-1, *pixels.shape[-2:])
        if len(pages) == 1:
            images[path.stem if len(stacks) == 1 else name] = pages[0]
        else:
            images.update(
                {f"{name}[{index}]" if len(stacks) > 1 else str(index): p for index, p in enumerate(pages)}
            )
    return _Found(images, {})


def _read_png(path: Path) -> _Found:
    from PIL import Image

    with Image.open(path) as file:
        file.load()
        readable = {"P": "RGB", "1": "L"}.get(file.mode)
        picture = file.convert(readable) if readable else file
        return _Found({path.stem: _grey(np.asarray(picture))}, {})


def _grey(pixels: np.ndarray) -> np.ndarray:
    """Take one channel of a picture whose colour channels are equal; refuse a coloured one."""
    if pixels.ndim != 3 or pixels.shape[-1] not in (2, 3, 4) or pixels.dtype.kind == "f":
        return pixels
    channels = pixels[..., :3] if pixels.shape[-1] >= 3 else pixels[..., :1]
    if (channels != channels[..., :1]).any():
        raise ValueError("it is a colour picture; save the detector's signal as a grey image")
    return channels[..., 0]


_NM = {"nm": 1.0, "Å": 0.1, "A": 0.1, "Angstrom": 0.1, "pm": 1e-3, "µm": 1e3, "um": 1e3, "μm": 1e3, "m": 1e9}


def _read_rosettasciio(path: Path) -> _Found:
    try:
        from rsciio import digitalmicrograph
    except ImportError as error:
        raise ValueError(
            f"{path.suffix} files need the package rosettasciio; install motifgpu with its extra em: "
            "pip install 'motifgpu[em]'"
        ) from error
    images: dict[str, np.ndarray] = {}
    sizes: dict[str, float | None] = {}
    for index, signal in enumerate(digitalmicrograph.file_reader(str(path))):
        data = np.asarray(signal["data"])
        if data.ndim != 2:
            continue
        title = str(signal["metadata"].get("General", {}).get("title") or index)
        title = title if title not in images else f"{title} ({index})"
        scales = {float(axis["scale"]) * _NM.get(str(axis["units"]), float("nan")) for axis in signal["axes"]}
        images[title] = data
        scale = scales.pop()
        sizes[title] = scale if not scales and 0 < scale < float("inf") else None
    return _Found(images, sizes)


_READERS: dict[str, Callable[[Path], _Found]] = {
    ".npy": _read_numpy,
    ".npz": _read_numpy,
    ".tif": _read_tiff,
    ".tiff": _read_tiff,
    ".png": _read_png,
    ".dm4": _read_rosettasciio,
}


def read(path: str | os.PathLike[str], signal: str | None = None) -> Micrograph:
    """Read one micrograph from a file.

    Parameters
    ----------
    path : path-like
        An npy, npz (pickled objects are refused), TIFF, PNG or dm4 file; dm4 needs the extra ``em``.
    signal : str, optional
        Which image, where the file holds several: its title in dm4, its key in npz, its page in TIFF.

    Returns
    -------
    Micrograph
        `pixel_size_nm` is None unless the file states it with a unit.

    Raises
    ------
    MicrographReadError
        Whatever is wrong: no such file, an unknown format, a damaged file, no image in it, several of which
        none was chosen, a missing optional package.

    Examples
    --------
    >>> import numpy as np, motifgpu, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "image.npy"
    >>> np.save(path, np.eye(4))
    >>> motifgpu.read(path).shape
    (4, 4)
    """
    path = Path(path)
    if not path.exists():
        raise MicrographReadError(path, "there is no such file")
    if not path.is_file():
        raise MicrographReadError(path, "it is not a file")
    if path.stat().st_size == 0:
        raise MicrographReadError(path, "the file is empty")
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise MicrographReadError(
            path, f"{path.suffix or 'no suffix'} is not a format we read: {', '.join(_READERS)}"
        )
    try:
        found = reader(path)
    except Exception as error:  # readers throw what they like; the caller gets one kind
        name = "" if type(error) is ValueError else f"{type(error).__name__}: "
        raise MicrographReadError(path, f"{name}{error}") from error
    names = list(found.images)
    if not names:
        raise MicrographReadError(path, "there is no two-dimensional image in it")
    if signal is None and len(names) > 1:
        raise MicrographReadError(
            path, f"it holds {len(names)} images; choose one with signal=: {_listed(names)}"
        )
    if signal is not None and signal not in names:
        raise MicrographReadError(path, f"it has no image {signal!r}; there is: {_listed(names)}")
    name = names[0] if signal is None else signal
    try:
        return Micrograph.from_array(
            found.images[name], found.pixel_sizes.get(name), source=str(path), title=name
        )
    except StageError as error:
        raise MicrographReadError(path, error.problem) from error


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:10]) + (
        f" and {len(names) - 10} more" if len(names) > 10 else ""
    )
