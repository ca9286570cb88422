"""Values as TOML, which the standard library reads and does not write."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def to_toml(values: Mapping[str, Any]) -> str:
    """Return a table of numbers, texts, truths, paths and lists of them as TOML, one line per key."""
    return "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    text = os.path.abspath(value) if isinstance(value, Path) else str(value)
    # JSON's escapes are TOML's; names that are no Unicode have no form in either.
    quoted = json.dumps(text.encode("utf-8", "replace").decode(), ensure_ascii=False)
    return quoted.replace("\x7f", "\\u007f")
