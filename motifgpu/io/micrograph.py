"""A micrograph and how it is read from a file."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from motifgpu.core.errors import MicrographReadError, StageError
from motifgpu.core.files import readable
from motifgpu.core.namespace import Array
from motifgpu.core.shown import one_line
from motifgpu.core.sizes import COARSEST_PIXEL_NM, FINEST_PIXEL_NM
from motifgpu.io import formats
from motifgpu.io.formats.pages import LARGEST_STACK, Contents, Page


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
    valid : (H, W) bool array or None
        Which pixels are data, as far as the source says: not those that are NaN or infinite, masked, or left
        out by a mask that was given. None where all are. In an `Analysis` also those that were found to be no
        data are False, and `image` is filled there from its surroundings.
    offset : float
        What was subtracted from the pixels because float32 cannot hold them beside it; 0 unless the pixels
        are some ten thousand times as far from zero as from each other, or are whole numbers beyond 2^24 and
        16 times as far.
    left_out : dict of str to int
        How many pixels an analysis left out, by reason: ``"given"``, ``"margin"`` (constant, at the edge),
        ``"line"`` and ``"spike"``.

    Examples
    --------
    An array with a pixel size of 0.02 nm, to be analysed or saved with it:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(96, 64))
    >>> micrograph = motifgpu.Micrograph(made.image, pixel_size_nm=0.02)
    >>> micrograph.shape
    (96, 64)
    >>> micrograph.source
    'array'
    """

    image: Array
    pixel_size_nm: float | None = None
    source: str = "array"
    title: str = ""
    valid: Array | None = None
    offset: float = 0.0
    left_out: Mapping[str, int] = field(default_factory=dict)

    __repr__ = one_line

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns, px."""
        return self.image.shape[0], self.image.shape[1]

    @classmethod
    def from_array(
        cls,
        image: Any,
        pixel_size_nm: float | None = None,
        mask: Any = None,
        *,
        source: str = "array",
        title: str = "",
    ) -> Micrograph:
        """Make a micrograph from an array, in the array's namespace and on its device.

        Parameters
        ----------
        image : (H, W) array_like
            Of NumPy, whose masked arrays keep their mask, or CuPy; arrays of Dask are computed, those of
            PyTorch, JAX and other libraries that share memory by DLPack are taken as they are, on a GPU with
            CuPy; of xarray's dimensions ``x`` runs along the rows.
        pixel_size_nm : float, optional
        mask : (H, W) array_like of bool, optional
            True on the pixels that are data.
        source, title : str
            Where it came from, and what it is called.

        Raises
        ------
        StageError
            If the array is not two-dimensional, not real, or empty, the mask does not fit, or the pixel size
            is out of range.

        Examples
        --------
        Whole numbers of a detector become float32:

        >>> import motifgpu
        >>> import numpy as np
        >>> counts = np.arange(12, dtype="uint16").reshape(3, 4)
        >>> micrograph = motifgpu.Micrograph.from_array(counts, pixel_size_nm=0.02, title="ADF")
        >>> micrograph.image.dtype, micrograph.title
        (dtype('float32'), 'ADF')
        """
        from motifgpu.core.namespace import array_namespace
        from motifgpu.core.pixels import as_numbers

        values, valid, offset = as_numbers(image, "micrograph", mask)
        xp = array_namespace(values)
        if pixel_size_nm is not None and not FINEST_PIXEL_NM <= pixel_size_nm <= COARSEST_PIXEL_NM:
            raise StageError(
                "micrograph",
                f"pixel_size_nm is {pixel_size_nm}",
                f"give a length from {FINEST_PIXEL_NM:g} to {COARSEST_PIXEL_NM:g} nm, or None",
            )
        values = xp.astype(values, xp.float32, copy=False)
        return cls(values, pixel_size_nm, readable(source), readable(title), valid, offset)

    @classmethod
    def of(cls, source: Any) -> Micrograph:
        """Make a micrograph from a file, a signal or an array.

        Parameters
        ----------
        source : Micrograph, path-like, HyperSpy Signal2D or (H, W) array_like
            A file is read as by `read`. A signal is recognised by its `data` and `axes_manager`; its pixel
            size comes from its axes, its title from its metadata.

        Raises
        ------
        MicrographReadError
            If a file cannot be read.
        StageError
            If a signal or an array is not one real image.

        Examples
        --------
        An array has no calibration; a micrograph is returned as it is:

        >>> import motifgpu
        >>> made = motifgpu.simulate.monolayer(shape=(64, 64))
        >>> micrograph = motifgpu.Micrograph.of(made.image)
        >>> micrograph.pixel_size_nm is None
        True
        >>> motifgpu.Micrograph.of(micrograph) is micrograph
        True
        """
        from motifgpu.io.formats import hyperspy

        if isinstance(source, Micrograph):
            return source
        if isinstance(source, (str, os.PathLike)):
            return read(source)
        if hyperspy.is_signal(source):
            image, pixel_size_nm, title = hyperspy.image(source)
            return cls.from_array(image, pixel_size_nm, source="signal", title=title)
        return cls.from_array(source)


def read(
    path: str | os.PathLike[str], signal: str | None = None, *, time_limit_s: float | None = 60.0
) -> Micrograph:
    """Read one micrograph from a file.

    Parameters
    ----------
    path : path-like
        An npy or npz (pickled objects are refused), TIFF, PNG, JPEG or MRC file; with the extra ``em`` also
        dm3, dm4, EMD (Velox and NCEM), SER, HSPY and NeXus (nxs).
    signal : str, optional
        Which image, where the file holds several, by the name that `signals` lists: a title, a key of an
        npz, the number of a page of a stack from 0 on.
    time_limit_s : float, optional
        The formats of the extra ``em``, and TIFF with compressions that do not say how far they expand, are
        decoded in a separate process, because a damaged file can make their readers hang, crash or swell; it
        is ended after this many seconds. None decodes them in this process.

    Returns
    -------
    Micrograph
        `pixel_size_nm` is None unless the file states it with a unit of length, the same for rows and
        columns. A resolution in dots per inch, a scale of 1 without a unit, and 1 Å in an MRC file state
        none.

    Raises
    ------
    MicrographReadError
        Whatever is wrong: no such file, an unknown format, a damaged file, no image in it, several images but
        no `signal`, an image that is complex, coloured or not two-dimensional, a missing optional package,
        the time limit.

    Examples
    --------
    A TIFF file that states its pixel size, as ImageJ writes it:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import tifffile
    >>> made = motifgpu.simulate.monolayer(shape=(96, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.tif"
    ...     resolution = (50.0, 50.0)  # pixels per nm
    ...     tifffile.imwrite(path, made.image, imagej=True, resolution=resolution, metadata={"unit": "nm"})
    ...     micrograph = motifgpu.read(path)
    >>> micrograph.shape
    (96, 64)
    >>> round(micrograph.pixel_size_nm, 4)
    0.02
    """
    if time_limit_s is not None and formats.can_hang(Path(path)):
        from motifgpu.io.formats import guard

        return guard.ask(path, signal, one=True, seconds=time_limit_s)[0]
    return read_named(path, signal, one=True)[0]


def read_all(path: str | os.PathLike[str], *, time_limit_s: float | None = 60.0) -> list[Micrograph]:
    """Read every image in a file, such as the pages of a stack, as a micrograph of its own.

    Parameters
    ----------
    path : path-like
        As for `read`.
    time_limit_s : float, optional
        As for `read`, for the whole file.

    Returns
    -------
    list of Micrograph
        At least one, in the order of the file; `title` distinguishes them.

    Raises
    ------
    MicrographReadError
        As for `read`, or if all together are too large to be read at once.

    Examples
    --------
    Two detectors in one file:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> made = motifgpu.simulate.monolayer(shape=(64, 64))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.npz"
    ...     np.savez(path, adf=made.image, bf=-made.image)
    ...     micrographs = motifgpu.read_all(path)
    >>> [micrograph.title for micrograph in micrographs]
    ['adf', 'bf']
    """
    if time_limit_s is not None and formats.can_hang(Path(path)):
        from motifgpu.io.formats import guard

        return guard.read_guarded(path, seconds=time_limit_s)
    return read_named(path)


def read_named(
    path: str | os.PathLike[str], signal: str | None = None, *, one: bool = False, name: str | None = None
) -> list[Micrograph]:
    """Read the images in a file in this process; with `one` a file of several has to be told which.

    What the file does not call is titled by `name`, where one is given instead of the file's stem. Errors are
    those of `read` and `read_all`.
    """
    name = Path(path).stem if name is None else name
    with _opened(path, name) as found:
        if one:
            return [_load(path, _chosen(path, found, signal, name))]
        pixels = sum(page.shape[0] * page.shape[1] for page in found.pages)
        if pixels > LARGEST_STACK:
            raise MicrographReadError(
                path,
                f"its {len(found.pages)} images have {pixels} px, more than {LARGEST_STACK}; "
                "read them one by one with signal=",
            )
        return [_load(path, page) for page in found.pages]


def signals(path: str | os.PathLike[str]) -> list[str]:
    """Return the names of the images in a file, each of which `read` takes as `signal`.

    Parameters
    ----------
    path : path-like
        As for `read`. Pixels are not decoded where the format allows it.

    Raises
    ------
    MicrographReadError
        As for `read`.

    Examples
    --------
    Which images are in a file? Any of the names can be passed to `read`:

    >>> import tempfile
    >>> from pathlib import Path
    >>> import motifgpu
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "scan.npz"
    ...     np.savez(path, adf=np.eye(64), bf=np.ones((32, 32)))
    ...     names = motifgpu.signals(path)
    ...     micrograph = motifgpu.read(path, signal="bf")
    >>> names
    ['adf', 'bf']
    >>> micrograph.shape
    (32, 32)
    """
    with _opened(path, Path(path).stem) as found:
        return [page.title for page in found.pages]


@contextmanager
def _opened(path: str | os.PathLike[str], name: str) -> Iterator[Contents]:
    """Open a file for reading its images; whatever goes wrong, also while they load, is one kind of error."""
    path = Path(path)
    try:
        why = _unreadable(path)
    except (OSError, ValueError) as error:  # no permission, a name with a null byte
        raise MicrographReadError(path, f"{type(error).__name__}: {error}") from error
    if why:
        raise MicrographReadError(path, why)
    try:
        with ExitStack() as opened, np.errstate(all="ignore"):
            found = formats.contents(path, opened, name)
            if not found.pages:
                raise ValueError(_no_image(found))
            yield found
    except MicrographReadError:
        raise
    except StageError as error:
        raise MicrographReadError(path, error.problem) from error
    except Exception as error:  # readers raise exceptions of many kinds; the caller gets one
        said = str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"
        if isinstance(error, (LookupError, TypeError, AttributeError, ArithmeticError, struct.error)):
            said = f"something in it is damaged or of a kind that its reader does not know ({said})"
        raise MicrographReadError(path, said) from error


def _unreadable(path: Path) -> str:
    if not path.exists():
        return "there is no such file"
    if not path.is_file():
        return "it is not a file"
    if path.stat().st_size == 0:
        return "the file is empty"
    if path.suffix.lower() not in formats.SUFFIXES:
        return f"{path.suffix or 'no suffix'} is not a format we read: {', '.join(formats.SUFFIXES)}"
    return ""


def _no_image(found: Contents) -> str:
    reasons = "; ".join(f"{name!r}: {why}" for name, why in list(found.refused.items())[:5])
    return f"there is no image in it{f' ({reasons})' if reasons else ''}"


def _chosen(path: str | os.PathLike[str], found: Contents, signal: str | None, name: str) -> Page:
    stem = Path(path).stem
    pages = {page.title.replace(name, stem): page for page in found.pages}
    refused = {title.replace(name, stem): why for title, why in found.refused.items()}
    if signal is None and len(pages) > 1:
        raise MicrographReadError(
            path, f"it holds {len(pages)} images; choose one with signal=: {_listed([*pages])}"
        )
    if signal in refused:
        raise MicrographReadError(path, f"{signal!r} is no micrograph: {refused[signal]}")
    if signal is not None and signal not in pages:
        raise MicrographReadError(path, f"it has no image {signal!r}; there is: {_listed([*pages])}")
    return found.pages[0] if signal is None else pages[signal]


def _load(path: str | os.PathLike[str], page: Page) -> Micrograph:
    made = Micrograph.from_array(page.load(), page.pixel_size_nm, source=os.fspath(path), title=page.title)
    image = made.image
    if not (image.flags.owndata and image.flags.writeable and image.flags.c_contiguous):
        made = replace(made, image=np.array(image, order="C"))  # a map of the file would change with it
    return made


def _listed(names: list[str]) -> str:
    return ", ".join(repr(name) for name in names[:10]) + (
        f" and {len(names) - 10} more" if len(names) > 10 else ""
    )
