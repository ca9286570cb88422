"""The exceptions that a caller may want to distinguish."""

from __future__ import annotations

import os


class StageError(ValueError):
    """A stage cannot work on what it was given.

    Parameters
    ----------
    stage : str
        Name of the stage, which is the name of its module.
    problem : str
        What is wrong, with the value in it.
    remedy : str
        What the caller can do about it.

    Examples
    --------
    The message names the stage, what is wrong and what to do about it:

    >>> import motifgpu
    >>> import numpy as np
    >>> try:
    ...     motifgpu.find_columns(np.ones((64, 64)))
    ... except motifgpu.StageError as error:
    ...     print(error.stage)
    ...     print(error.problem)
    ...     print(error.remedy)
    columns
    the image is constant (1)
    give an image with contrast
    """

    def __init__(self, stage: str, problem: str, remedy: str) -> None:
        super().__init__(stage, problem, remedy)
        self.stage, self.problem, self.remedy = stage, problem, remedy

    def __str__(self) -> str:
        return f"{self.stage}: {self.problem}; {self.remedy}"


class MicrographReadError(ValueError):
    """A file cannot be read as a micrograph, whatever exception its reader raised.

    Parameters
    ----------
    path : path-like
        The file.
    why : str
        The reason and, where there is one, the remedy.

    Examples
    --------
    Go through several files and leave out those that cannot be read:

    >>> import motifgpu
    >>> for path in ["missing.tif", "notes.txt"]:
    ...     try:
    ...         motifgpu.read(path)
    ...     except motifgpu.MicrographReadError as error:
    ...         print(f"left out {error.path}")
    left out missing.tif
    left out notes.txt
    """

    def __init__(self, path: str | os.PathLike[str], why: str) -> None:
        super().__init__(os.fspath(path), why)
        self.path, self.why = os.fspath(path), why

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"
