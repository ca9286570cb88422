"""What is done with every file of a run, and the key that results stand under."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from motifgpu.core.device import gpu_problem, select, versions
from motifgpu.core.errors import StageError
from motifgpu.dictionary import MotifDictionary
from motifgpu.options import NAMES, Options
from motifgpu.store.layout import DICTIONARY, result_key

SECONDS = 60.0  # that reading a file may take

OF_ONE = ("points", "mask", "region")  # options that are of one micrograph


@dataclass(frozen=True)
class Job:
    """The parameters of a run, as they travel to whoever works on its files.

    Attributes
    ----------
    out : str
        Folder of the run.
    options : Options
        Of the analysis, without a dictionary, which stands in the folder.
    signal : str or None
        Which image, where a file holds several; all of them for None.
    seconds : float
        Time limit for reading a file.
    digest : str or None
        Of the dictionary whose motifs are assigned; None where every micrograph has its own.
    """

    out: str
    options: Options
    signal: str | None = None
    seconds: float = SECONDS
    digest: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Return what the results depend on, beside the files and the version."""
        options = {name: value for name, value in asdict(self.options).items() if name not in OF_ONE}
        return {**options, "signal": self.signal, "dictionary": self.digest}

    def key(self, path: str, sha256: str) -> str:
        """Return the name that results of a file of this content stand under: 20 hexadecimal digits."""
        return result_key(path, sha256, self.parameters(), versions().motifgpu)

    def to_json(self) -> str:
        """Return the job as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        return cls(**{**values, "options": Options(**values["options"])})

    @property
    def full_options(self) -> Options:
        """Options of the analysis, with the dictionary.

        Raises
        ------
        StageError
            If the dictionary in the folder is damaged or another one.
        OSError
            If it cannot be read.
        """
        if self.digest is None:
            return self.options
        return replace(self.options, dictionary=_dictionary(str(self.root / DICTIONARY), self.digest))

    @property
    def on_gpu(self) -> bool:
        """Whether a GPU computes, as far as this machine can tell."""
        wanted = self.options.backend
        return wanted == "cupy" or (wanted == "auto" and gpu_problem() is None)

    @property
    def root(self) -> Path:
        """Folder of the run."""
        return Path(self.out)


@functools.lru_cache(maxsize=2)
def _dictionary(path: str, digest: str) -> MotifDictionary:
    found = MotifDictionary.load(path)
    if found.digest != digest:
        raise StageError(
            "run", f"{path} is not the dictionary that the run began with", "choose another folder"
        )
    return found


def make_options(given: dict[str, Any]) -> Options:
    """Return the options of the analysis that keyword arguments mean.

    Raises
    ------
    StageError
        If one is none of `motifgpu.analyze`'s, or no micrograph could be analysed with its value.
    GpuMissingError
        If a GPU is requested and none is usable.
    """
    known = [name for name in NAMES if name not in ("dictionary", *OF_ONE)]
    for name in given:
        if name not in known:
            raise StageError("run", f"there is no option {name!r}", f"choose from {', '.join(known)}")
    options = Options(**given)
    options.check("run")
    select(options.backend)
    return options


def make_job(
    root: Path,
    options: Options,
    signal: str | None,
    seconds: float,
    dictionary: MotifDictionary | None = None,
) -> Job:
    """Return the job of a run in a folder, which any process finds under the same path."""
    digest = dictionary.digest if dictionary else None
    return Job(str(root.absolute()), options, signal, seconds, digest)


def job_of(root: Path, about: Mapping[str, Any]) -> Job:
    """Return the job of a run from what its run.json says.

    Raises
    ------
    StageError
        If this version has not all of its options.
    """
    parameters = dict(about["parameters"])
    signal, digest = parameters.pop("signal"), parameters.pop("dictionary")
    return Job(str(root.absolute()), make_options(parameters), signal, digest=digest)


def check_motifs(options: Options) -> None:
    """Refuse a number of motifs beside a dictionary.

    Raises
    ------
    StageError
        If the options have one.
    """
    if options.n_motifs is not None:
        raise StageError(
            "run", f"n_motifs is {options.n_motifs}", "leave it out: the dictionary has its own motifs"
        )


def load_dictionary(
    dictionary: str | os.PathLike[str] | MotifDictionary | None, options: Options
) -> MotifDictionary | None:
    """Return the dictionary of a run, loaded where it is a file.

    Raises
    ------
    StageError
        If it is damaged, or the options ask for a number of motifs beside it.
    FileNotFoundError
        If there is no such file.
    """
    if dictionary is None:
        return None
    check_motifs(options)
    if isinstance(dictionary, MotifDictionary):
        return dictionary
    return MotifDictionary.load(dictionary)
