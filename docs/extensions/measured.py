"""Sphinx extension whose role ``measured`` is a number of the result files, so that no page can say another.

``{measured}`chain_30_counts/cpu_s/motifgpu .2f` `` is what a format makes of a figure of
``benchmarks/results/cpu.json``: where it stands, and how it is written.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole

_RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "cpu.json"


@cache
def _results() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_RESULTS.read_text(encoding="utf-8"))
    return found


def measured(text: str) -> str:
    """Return a figure as text.

    Parameters
    ----------
    text : str
        The names that lead to it, between slashes, the benchmark's first; a blank; the format of a number.

    Raises
    ------
    ValueError
        If nothing stands there, or it is no number.
    """
    path, _, form = text.rpartition(" ")
    benchmark, *names = path.split("/")
    try:
        value = _results()[benchmark]["figures"]
        for name in names:
            value = value[int(name) if isinstance(value, list) else name]
        return format(value, form)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{_RESULTS.name} has no number {path!r} for {form!r} ({error})") from error


class Measured(SphinxRole):
    """A figure of the result files."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return the number."""
        return [nodes.Text(measured(self.text))], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role."""
    app.add_role("measured", Measured())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
