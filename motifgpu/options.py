"""The options of an analysis: names, defaults, what they may be, and how the command line has them.

This is the one place where they stand. `motifgpu.analyze` repeats names, types and defaults for those who
read its signature, and a test holds the two together. No science package is imported, so that ``--help`` is
quick.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from motifgpu.core.choices import BACKENDS, LATTICES, METRICS, SMOOTHINGS
from motifgpu.core.errors import StageError
from motifgpu.core.sizes import COARSEST_PIXEL_NM, FINEST_PIXEL_NM, LARGEST_SIDE

if TYPE_CHECKING:
    from motifgpu.dictionary import MotifDictionary


@dataclass(frozen=True)
class Rule:
    """What an option may be, and what the command line says of it.

    Attributes
    ----------
    kind : type
        bool, int, float or str (one of `choices`); None is allowed where it is the
        default, and a bool then has a flag for False too.
    flag : str
        On the command line.
    about : str
        The help, without the default.
    metavar : str or None
        Name of the value in the help, if not the flag's.
    unset : str
        What None means, in the help.
    least, most : int or float
        Smallest and largest number.
    choices : tuple of str
    """

    kind: type
    flag: str
    about: str = ""
    metavar: str | None = None
    unset: str = ""
    least: float = 0
    most: float = 0
    choices: tuple[str, ...] = ()

    def check(self, name: str, value: Any, stage: str) -> None:
        """Refuse a value with which no micrograph could be analysed.

        Raises
        ------
        StageError
            Of the stage `stage`.
        """
        if self.kind is int:
            from motifgpu.core.checks import check_integer

            check_integer(value, stage, name, int(self.least), int(self.most))
        elif self.kind is float and not self.least <= value <= self.most:
            raise StageError(
                stage, f"{name} is {value}", f"give a number from {self.least:g} to {self.most:g}"
            )
        elif self.choices and value not in self.choices:
            raise StageError(stage, f"{name} is {value!r}", f"choose from {', '.join(self.choices)}")


_SHORT = 64  # numbers of an array that a record holds in full


def _option(default: Any, kind: type, flag: str, about: str = "", **more: Any) -> Any:
    return field(default=default, metadata={"rule": Rule(kind, flag, about, **more)})


@dataclass(frozen=True)
class Options:
    """The options of `motifgpu.analyze`, whose docstring says what each means.

    Examples
    --------
    >>> from motifgpu.options import Options
    >>> Options(order=8).order, Options().metric
    (8, 'correlation')
    """

    pixel_size_nm: float | None = _option(
        None,
        float,
        "--pixel-size",
        "pixel size in nm, if the file lacks it",
        metavar="NM",
        least=FINEST_PIXEL_NM,
        most=COARSEST_PIXEL_NM,
    )
    smoothing: str = _option(SMOOTHINGS[0], str, "--smoothing", choices=SMOOTHINGS)
    lattice: str = _option(
        LATTICES[0],
        str,
        "--lattice",
        "none finds single atoms without a lattice, such as on a support",
        choices=LATTICES,
    )
    invert: bool | None = _option(
        None, bool, "--invert", "columns are dark on bright ground, as in ABF", unset="the image decides"
    )
    remove_background: bool = _option(
        False, bool, "--remove-background", "subtract uneven brightness before the moments"
    )
    patch_size: float | None = _option(
        None,
        float,
        "--patch-size",
        "side of a patch",
        metavar="PX",
        unset="measured",
        least=2,
        most=LARGEST_SIDE,
    )
    order: int | None = _option(
        None, int, "--order", "largest Zernike order", unset="10, coarse images 6", most=30
    )
    rotation_invariant: bool = _option(False, bool, "--rotation-invariant", "ignore orientation")
    n_neighbors: int = _option(
        10, int, "--neighbors", "neighbours in the graph, the column itself counted", least=2, most=10_000
    )
    metric: str = _option(METRICS[0], str, "--metric", "distance in the graph", choices=METRICS)
    n_motifs: int | None = _option(
        None, int, "--motifs", "number of motifs", metavar="N", unset="found", least=1, most=10_000
    )
    structure: bool = True
    points: Any = None
    mask: Any = None
    region: Any = None
    dictionary: MotifDictionary | None = None
    seed: int = _option(0, int, "--seed", "seed of the random numbers", most=2**64 - 1)
    backend: str = _option(BACKENDS[0], str, "--backend", choices=BACKENDS)

    def check(self, stage: str) -> None:
        """Refuse options with which no micrograph could be analysed; the backend is for `device.select`.

        Raises
        ------
        StageError
            Of the stage `stage`; it names the option, its value and what is allowed.
        """
        for name, rule in RULES.items():
            value = getattr(self, name)
            if name != "backend" and value is not None:
                rule.check(name, value, stage)

    def in_force(
        self, *, patch_size_px: float, patch_samples: int, order: int, backend: str
    ) -> dict[str, Any]:
        """Return the parameters of an analysis, with what was measured in place of what was left open.

        Parameters
        ----------
        patch_size_px : float
        patch_samples : int
            Samples along a patch.
        order : int
        backend : str
            Name of the array namespace that computed.

        Returns
        -------
        dict
            By the names of the options, but for the pixel size, which is the micrograph's; the size of the
            patches is two entries. A dictionary is its digest; points, a mask and a region that were given
            are the SHA-256 of their numbers, but a box and a polygon are tuples.
        """
        found: dict[str, Any] = {}
        for name in NAMES:
            if name == "patch_size":
                found |= {"patch_size_px": patch_size_px, "patch_samples": patch_samples}
            elif name in ("points", "mask", "region"):
                found[name] = _recorded(getattr(self, name))
            elif name != "pixel_size_nm":
                found[name] = getattr(self, name)
        known = None if self.dictionary is None else self.dictionary.digest
        return found | {"order": order, "dictionary": known, "backend": backend}


def _recorded(given: Any) -> Any:
    """Return an array in the form that a record holds: a short one of numbers as tuples, else its SHA-256."""
    import hashlib

    import numpy as np

    from motifgpu.core.namespace import to_numpy

    if given is None:
        return None
    given = getattr(given, "points", given)  # of columns
    host = np.ascontiguousarray(to_numpy(given) if hasattr(given, "shape") else np.asarray(given))
    if host.size <= _SHORT and host.dtype != bool:
        return tuple(host.tolist()) if host.ndim == 1 else tuple(map(tuple, host.tolist()))
    kind = host.dtype.newbyteorder("<")
    about = f"{'x'.join(map(str, host.shape))} {kind.name}"
    return f"{about} sha256:{hashlib.sha256(host.astype(kind).tobytes()).hexdigest()}"


NAMES = tuple(option.name for option in fields(Options))
RULES: dict[str, Rule] = {o.name: o.metadata["rule"] for o in fields(Options) if "rule" in o.metadata}
