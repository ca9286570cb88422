"""The inner loops of kernels in their machine code, as nvdisasm shows it."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

LEAST = 64  # instructions of a loop that is worth a row
FUNCTION = re.compile(r"^\.text\.(\w+):$(.*?)(?=^\.text\.|\Z)", re.MULTILINE | re.DOTALL)
LABEL = re.compile(r"^(\.L_x_\d+):")
INSTRUCTION = re.compile(r"^\s*/\*[0-9a-f]{4,}\*/\s+(?:@!?U?P\w+\s+)?([A-Z][A-Z0-9]*)(.*?);")
GROUPS = {  # of a table; all other instructions move, count, compare and jump
    "fused": ("FFMA",),
    "float32": ("FADD", "FMUL", "FMNMX", "FSETP", "FSEL", "FCHK"),
    "special": ("MUFU",),
    "float64": ("DADD", "DMUL", "DFMA", "DSETP"),
    "tensor": ("HMMA", "WGMMA", "IMMA"),
    "shared": ("LDS", "STS", "LDSM", "ATOMS"),
    "global": ("LDG", "STG", "LDGSTS", "ATOMG", "RED"),
    "local": ("LDL", "STL"),
}


class Loop(NamedTuple):
    """A loop that holds no other.

    Attributes
    ----------
    kernel : str
    instructions : int
    kinds : dict of str to int
        How many of them are of each of `GROUPS`.
    """

    kernel: str
    instructions: int
    kinds: dict[str, int]


def disassembler() -> Path | None:
    """Return where nvdisasm of the package nvidia-cuda-nvdisasm lies, if it is installed."""
    try:
        files = metadata.distribution("nvidia-cuda-nvdisasm").files or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(f.locate())) for f in files if f.name in ("nvdisasm", "nvdisasm.exe")), None)


def inner_loops(cubin: bytes, program: Path) -> list[Loop]:
    """Return the inner loops of every kernel in a compiled file, of at least `LEAST` instructions."""
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        listing = subprocess.run(
            [program, "-c", file.name], capture_output=True, text=True, check=True
        ).stdout
    return [loop for name, body in FUNCTION.findall(listing) for loop in _of(name, body)]


def _of(kernel: str, body: str) -> list[Loop]:
    """Return the inner loops of a kernel: from where a jump back lands to the jump itself, none within."""
    names: list[str] = []
    places: dict[str, int] = {}
    jumps: list[tuple[int, str]] = []
    for line in body.splitlines():
        if label := LABEL.match(line):
            places[label[1]] = len(names)
        elif instruction := INSTRUCTION.match(line):
            target = re.search(r"\.L_x_\d+", instruction[2])
            if instruction[1] == "BRA" and target:
                jumps.append((len(names), target[0]))
            names.append(instruction[1])
    spans = sorted({(places[label], at) for at, label in jumps if places[label] <= at})
    inner = [a for a in spans if not any(a[0] <= b[0] and b[1] <= a[1] and a != b for b in spans)]
    found = []
    for first, last in inner:
        kinds = Counter(names[first : last + 1])
        if last - first + 1 >= LEAST:
            groups = {group: sum(kinds[name] for name in of) for group, of in GROUPS.items()}
            found.append(Loop(kernel, last - first + 1, groups))
    return found
