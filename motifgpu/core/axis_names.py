"""Which axis of an image is x and which is y, by what files and arrays call them."""

from __future__ import annotations

import re

_NAMES = {
    **dict.fromkeys(("col", "cols", "column", "columns", "width", "horizontal", "fast"), "x"),
    **dict.fromkeys(("row", "rows", "line", "lines", "height", "vertical", "slow"), "y"),
}
_UNIT = re.compile(r"\s*(?:[\[(/].*)?$")
_GAP = r"[\s_.-]"
_BEFORE = rf"(?:[a-z]+{_GAP}+|scan|image|img|pos|real|stage|[rqk])?"
_AFTER = rf"(?:{_GAP}*(?:axis|dim|dimension|direction|pos|position|coord|coordinates?|px|pixels?))?"


def axis_letter(name: str) -> str:
    """Return x, y or z, or nothing where a name does not tell.

    Parameters
    ----------
    name : str
        Such as ``"Y"``, ``"R_x"``, ``"x axis"``, ``"x (nm)"``, ``"column"`` or ``"fast scan"``.
    """
    plain = _UNIT.sub("", name.strip().casefold(), count=1)
    found = re.fullmatch(f"{_BEFORE}([xyz]){_AFTER}", plain)
    if found:
        return found[1]
    letters = {_NAMES[word] for word in re.split(f"{_GAP}+", plain) if word in _NAMES}
    return letters.pop() if len(letters) == 1 else ""


def x_comes_first(names: tuple[str, str]) -> bool:
    """Say whether the first of two axes is x or the second is y, so that an image has to be turned."""
    first, second = map(axis_letter, names)
    return first != "y" and second != "x" and (first == "x" or second == "y")
