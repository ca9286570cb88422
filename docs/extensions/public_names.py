"""Sphinx extension whose role ``name`` links what docstrings put between backticks, where it has a page."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from docutils.parsers.rst.states import Inliner
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

import motifgpu


def target(text: str) -> str:
    """Return the full public name that is meant.

    Parameters
    ----------
    text : str
        Such as ``relax``, ``Analysis.save``, ``motifgpu.relax`` or the name of a parameter.

    Returns
    -------
    str
        ``motifgpu.relax``; the text itself where no part of it is a public name.
    """
    parts = text.removeprefix("motifgpu.").split(".")
    if parts[0] in motifgpu.__all__:
        return ".".join(["motifgpu", *parts])
    return f"motifgpu.{parts[-1]}" if parts[-1] in motifgpu.__all__ else text


def role(
    name: str,
    rawtext: str,
    text: str,
    lineno: int,
    inliner: Inliner,
    options: dict[str, Any] | None = None,
    content: list[str] | None = None,
) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """Return code that may become a link."""
    code = nodes.literal(rawtext, text, classes=["xref", "py", "py-obj"])
    link = addnodes.pending_xref(
        rawtext, code, refdomain="py", reftype="obj", reftarget=target(text), refexplicit=True, may_lack=True
    )
    return [link], []


def leave(
    app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, content: nodes.TextElement
) -> nodes.TextElement | None:
    """Return the code alone where it has no page."""
    return content if node.get("may_lack") else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role."""
    app.add_role("name", role)
    app.connect("missing-reference", leave)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
