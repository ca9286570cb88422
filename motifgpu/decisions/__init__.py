"""Decisions of a person about motifs: what they are called, which are one, and which columns there are.

`decision` is what was decided, as data; `files` writes and reads it; `edit` carries it out on an analysis,
for which `parts` divides a motif, `following` brings up to date what follows from labels, and `columns` what
follows from other columns; `apply` does all of a file, as far as it fits.
"""

from motifgpu.decisions.decision import Decision
from motifgpu.decisions.files import read_decisions, write_decisions

__all__ = ["Decision", "read_decisions", "write_decisions"]
