"""Arrays of other libraries: taken as what they are, or refused by name."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

from motifgpu.core.axis_names import x_comes_first
from motifgpu.core.errors import StageError

_HOST, _GPU = (1, 3, 11), (2, 13)  # devices of DLPack: memory that a processor or a GPU of NVIDIA's reads


def taken(x: Any, stage: str, name: str) -> Any:
    """Return an array that stages work on, from whatever a caller gave.

    Arrays of NumPy, of CuPy and of namespaces that are strict about the standard stay what they are. Lazy
    ones of Dask are computed, xarray's are turned so that rows (``y``) come first, what a table of pandas
    lacks is masked, and those of PyTorch, JAX and whatever else knows DLPack come as views: on a GPU of CuPy,
    else of NumPy.

    Parameters
    ----------
    x : object
    stage, name : str
        The stage that asks and the argument's name, for the message.

    Returns
    -------
    object
        An array, or what is not known here and NumPy may make one of.

    Raises
    ------
    StageError
        If it is sparse or has a palette, or lies where neither NumPy nor CuPy reaches it.
    """
    if isinstance(x, np.ndarray) or array_api_compat.is_cupy_array(x):
        return x
    if array_api_compat.is_dask_array(x):
        return x.compute()
    kind = f"{type(x).__module__.partition('.')[0]}.{type(x).__name__}"
    if hasattr(x, "nnz") or array_api_compat.is_pydata_sparse_array(x):
        raise StageError(stage, f"{name} is sparse ({kind})", "give an ordinary array, x.toarray() say")
    dims = getattr(x, "dims", None)
    if isinstance(dims, tuple) and hasattr(x, "values"):  # of xarray
        turned = len(dims) == 2 and x_comes_first((str(dims[0]), str(dims[1])))
        return x.values.T if turned else x.values
    if kind == "pandas.DataFrame":
        return _of_table(x)
    if getattr(x, "mode", None) in ("P", "PA") and hasattr(x, "getpalette"):
        raise StageError(stage, f"{name} is a picture with a palette ({kind})", "give image.convert('L')")
    if hasattr(x, "__dlpack_device__") and not _is_strict(x):
        return _shared(x, stage, f"{name} is a {kind}")
    return x


def _of_table(table: Any) -> Any:
    """Return the values of a table of pandas, those that are missing masked."""
    kinds = [getattr(kind, "numpy_dtype", kind) for kind in table.dtypes]
    if kinds == list(table.dtypes) or not all(
        isinstance(kind, np.dtype) and kind.kind in "biuf" for kind in kinds
    ):
        return table
    missing = table.isna().to_numpy()
    values = table.fillna(0).to_numpy(dtype=np.result_type(*kinds))
    return np.ma.array(values, mask=missing) if missing.any() else values


def _is_strict(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "array_api_strict"


def _shared(x: Any, stage: str, what: str) -> Any:
    """Return a view of an array that another library holds."""
    if getattr(x, "requires_grad", False):
        x = x.detach()
    place = int(x.__dlpack_device__()[0])
    try:
        if place in _HOST:
            return np.from_dlpack(x)
        if place in _GPU:
            import cupy

            return cupy.from_dlpack(x)
    except ImportError as error:
        raise StageError(
            stage, f"{what} on a GPU, and CuPy is not installed", "install it, or give a copy on the host"
        ) from error
    except (BufferError, TypeError, ValueError, RuntimeError) as error:
        raise StageError(
            stage, f"{what} that NumPy cannot take ({error})", "give float32 or float64"
        ) from error
    raise StageError(stage, f"{what} on a device of kind {place}", "give a copy on the host")
