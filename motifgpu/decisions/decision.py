"""What a person decided, as data that a file can hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from motifgpu.core.errors import StageError
from motifgpu.core.text import counted

STAGE = "decisions"
KINDS = ("rename", "merge", "split", "assign", "add", "remove")
# What a motif is divided by; columns that are listed are a part of their own.
DIVIDERS = ("intensity", "environment", "domain", "layout", "columns")
Place = tuple[float, float]
_LONGEST = 60  # characters of a name


@dataclass(frozen=True)
class Decision:
    """One thing that a person decided about the motifs of a micrograph.

    Columns are known by where they are, so that a decision can be carried out again on another analysis of
    the same micrograph, in which motifs may have other numbers.

    Attributes
    ----------
    do : {"rename", "merge", "split", "assign", "add", "remove"}
    motifs : tuple of int
        The motifs that it is about: those renamed or merged, the one that is split, or the one that columns
        are assigned to.
    at : tuple of (float, float)
        A typical column of each of them, (row, col) px, by which they are found again; where it is empty the
        numbers alone say which they are.
    columns : tuple of (float, float)
        Columns that are split off, assigned, added or removed, (row, col) px, to a hundredth of a pixel.
    names : tuple of str
        New names: of the motifs renamed, of the merged motif, of the parts that are split off, or of the
        motif that columns are assigned to. Columns assigned to no name and no motif belong to none.
    by : {"", "intensity", "environment", "domain", "layout", "columns"}
        What a motif is split by.
    parts : int or None
        Into how many parts, where it was said.
    misfit : str
        What of it could not be carried out, and why; empty where all was.

    Examples
    --------
    Decisions are made by the methods of an analysis, which keeps them:

    >>> import motifgpu
    >>> made = motifgpu.simulate.monolayer(shape=(96, 96), lattice_constant=16.0)
    >>> analysis = motifgpu.analyze(made.image, structure=False).rename({0: "Mo"})
    >>> [decision] = analysis.decisions
    >>> decision.do, decision.motifs, decision.names
    ('rename', (0,), ('Mo',))
    >>> print(decision)
    motif 0 is called Mo
    """

    do: str
    motifs: tuple[int, ...] = ()
    at: tuple[Place, ...] = ()
    columns: tuple[Place, ...] = ()
    names: tuple[str, ...] = ()
    by: str = ""
    parts: int | None = None
    misfit: str = ""

    def __str__(self) -> str:
        several = f"motifs {', '.join(map(str, self.motifs))}"
        number = counted(len(self.columns), "column")
        are = "is" if len(self.columns) == 1 else "are"
        if self.do == "rename":
            text = "; ".join(f"motif {k} is called {n}" for k, n in zip(self.motifs, self.names, strict=True))
        elif self.do == "merge":
            text = f"{several} are one" + "".join(f", called {name}" for name in self.names)
        elif self.do == "split":
            how = f"{number} of it {are} another" if self.by == "columns" else f"it is divided by {self.by}"
            text = f"motif {self.motifs[0]}: {how}" + "".join(f", called {name}" for name in self.names)
        elif self.do == "assign":
            to = self.names[0] if self.names else f"motif {self.motifs[0]}" if self.motifs else "of no motif"
            text = f"{number} {are} {to}"
        else:
            text = f"{number} {are} {'added' if self.do == 'add' else 'removed'}"
        return f"{text} (does not fit: {self.misfit})" if self.misfit else text

    def is_same(self, other: Decision) -> bool:
        """Say whether two decisions are one, carried out or not; numbers count where places are not known."""
        known = self.at == other.at if self.at and other.at else self.motifs == other.motifs
        return known and all(
            getattr(self, name) == getattr(other, name) for name in ("do", "columns", "names", "by", "parts")
        )


def checked_name(name: Any) -> str:
    """Return the name of a motif, without blanks around it.

    Raises
    ------
    StageError
        If it is no text, is empty, too long, or has characters that cannot be printed.
    """
    if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _LONGEST:
        raise StageError(
            STAGE, f"a name is {name!r}", f"give a text of 1 to {_LONGEST} characters that can be printed"
        )
    return name.strip()
